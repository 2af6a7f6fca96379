/* How does the part get from its 16 MHz oscillator to board.sysclk_hz? RM0402, RM0390, RM0090: wait
 * states first (embedded flash), voltage scale 1 (power controller), PLL factors (RCC), and, where
 * the frequency asks for it, over-drive (power controller). */
#include "chip.h"
#include "flash.h"
#include "prescaler.h"
#include "sysclk.h"

#define PLL_INPUT_HZ 2000000u /* the reference manual's advice against jitter */
#define PLL_M (HSI_HZ / PLL_INPUT_HZ)
#define PLL_P 2u
#define PLL_N (BOARD_SYSCLK_HZ * PLL_P / PLL_INPUT_HZ)
#define PLL_Q 8u /* feeds USB, unused; at most 48 MHz is allowed */
#define PLL_R 2u /* reserved in the STM32F429, with this value at reset */

_Static_assert(BOARD_SYSCLK_HZ <= SYSCLK_MAX_HZ, "sysclk_hz is above what the chip can do");
_Static_assert(BOARD_SYSCLK_HZ % 1000000u == 0, "this PLL set-up makes whole megahertz only");
_Static_assert(PLL_N >= 50 && PLL_N <= 432, "sysclk_hz is out of the range of the PLL");

/* RM0402, table 6; RM0390, table 5; RM0090, table 11: the same steps. */
_Static_assert(BOARD_SYSCLK_HZ <= 30000000u * (BOARD_FLASH_WAIT_STATES + 1u),
               "flash_wait_states are too few for sysclk_hz");

/* RM0390, 5.1.4: while the part runs from its oscillator and the PLL starts. */
static void over_drive_start(void) {
    PWR_CR |= PWR_CR_ODEN;
    while ((PWR_CSR & PWR_CSR_ODRDY) == 0) {
    }
    PWR_CR |= PWR_CR_ODSWEN;
    while ((PWR_CSR & PWR_CSR_ODSWRDY) == 0) {
    }
}

void clocks_start(void) {
    flash_start();

    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* reading back waits until the clock has arrived */
    PWR_CR |= PWR_CR_VOS_SCALE1;

    RCC_PLLCFGR = PLL_M | PLL_N << 6 | (PLL_P / 2 - 1) << 16 | PLL_Q << 24 | PLL_R << 28;
    RCC_CR |= RCC_CR_PLLON;
    if (BOARD_SYSCLK_HZ > PLAIN_MAX_HZ) {
        over_drive_start();
    }
    while ((RCC_CR & RCC_CR_PLLRDY) == 0) {
    }

    RCC_CFGR = APB1_BITS << 10 | APB2_BITS << 13 | RCC_CFGR_SW_PLL;
    while ((RCC_CFGR & RCC_CFGR_SWS_MASK) != RCC_CFGR_SWS_PLL) {
    }
}

uint32_t clocks_sysclk_hz(void) { return sysclk_in_registers(); }
