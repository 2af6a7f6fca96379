/* How does the part get from its 16 MHz oscillator to board.sysclk_hz? RM0368: wait states first
 * (3.4), voltage scale 2 (5.4.1), PLL factors (6.3.2). Unlike the other STM32F4's, its PLL must not
 * run below 192 MHz (DS10086), so that it is divided by 4 where theirs is by 2; there is no
 * over-drive. */
#include "../stm32f4/sysclk.h"
#include "chip.h"
#include "flash.h"
#include "prescaler.h"

#define PLL_INPUT_HZ 2000000u /* the reference manual's advice against jitter */
#define PLL_M (HSI_HZ / PLL_INPUT_HZ)
#define PLL_P 4u
#define PLL_N (BOARD_SYSCLK_HZ * PLL_P / PLL_INPUT_HZ)
#define PLL_Q 8u                /* feeds USB, unused; at most 48 MHz is allowed */
#define PLL_RESERVED (2u << 28) /* its value at reset */

_Static_assert(BOARD_SYSCLK_HZ <= SYSCLK_MAX_HZ, "sysclk_hz is above what the chip can do");
_Static_assert(BOARD_SYSCLK_HZ % 1000000u == 0, "this PLL set-up makes whole megahertz only");
_Static_assert(PLL_N *PLL_INPUT_HZ >= 192000000u && PLL_N * PLL_INPUT_HZ <= 432000000u,
               "sysclk_hz is out of the range of the PLL");

/* RM0368, table 6. */
_Static_assert(BOARD_SYSCLK_HZ <= 30000000u * (BOARD_FLASH_WAIT_STATES + 1u),
               "flash_wait_states are too few for sysclk_hz");

void clocks_start(void) {
    flash_start();

    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* reading back waits until the clock has arrived */
    PWR_CR = (PWR_CR & ~PWR_CR_VOS_MASK) | PWR_CR_VOS_SCALE2;

    RCC_PLLCFGR = PLL_M | PLL_N << 6 | (PLL_P / 2 - 1) << 16 | PLL_Q << 24 | PLL_RESERVED;
    RCC_CR |= RCC_CR_PLLON;
    while ((RCC_CR & RCC_CR_PLLRDY) == 0) {
    }

    RCC_CFGR = APB1_BITS << 10 | APB2_BITS << 13 | RCC_CFGR_SW_PLL;
    while ((RCC_CFGR & RCC_CFGR_SWS_MASK) != RCC_CFGR_SWS_PLL) {
    }
}

uint32_t clocks_sysclk_hz(void) { return sysclk_in_registers(); }
