/* How does the part get from its 16 MHz oscillator to board.sysclk_hz? RM0402: wait states first
 * (embedded flash), voltage scale 1 above 84 MHz (power controller), PLL factors (RCC). */
#include "chip.h"
#include "registers.h"
#include "uart.h"

#define HSI_HZ 16000000u
#define PLL_INPUT_HZ 2000000u /* the reference manual's advice against jitter */
#define PLL_M (HSI_HZ / PLL_INPUT_HZ)
#define PLL_P 2u
#define PLL_N (BOARD_SYSCLK_HZ * PLL_P / PLL_INPUT_HZ)
#define PLL_Q 8u /* feeds USB, unused; at most 48 MHz is allowed */
#define PLL_R 2u

_Static_assert(BOARD_SYSCLK_HZ % 1000000u == 0, "this PLL set-up makes whole megahertz only");
_Static_assert(PLL_N >= 50 && PLL_N <= 432, "sysclk_hz is out of the range of the PLL");
_Static_assert(BOARD_FLASH_WAIT_STATES <= 15, "flash_wait_states has four bits");

/* The bus that feeds the console is divided down to clock_hz. The other one needs a legal divider
 * only: APB1 takes at most half of the core clock, APB2 all of it. */
#define DIVIDER (BOARD_SYSCLK_HZ / BOARD_CONSOLE_CLOCK_HZ)
_Static_assert(BOARD_CONSOLE_CLOCK_HZ *DIVIDER == BOARD_SYSCLK_HZ && DIVIDER >= 1 &&
                   DIVIDER <= 16 && (DIVIDER & (DIVIDER - 1)) == 0,
               "clock_hz is not sysclk_hz divided by 1, 2, 4, 8 or 16");
#define PRESCALER_BITS(divider)                                                                    \
    ((divider) == 16 ? 7u : (divider) == 8 ? 6u : (divider) == 4 ? 5u : (divider) == 2 ? 4u : 0u)
#define APB1_BITS (UART_APB == 1 ? PRESCALER_BITS(DIVIDER) : PRESCALER_BITS(2))
#define APB2_BITS (UART_APB == 2 ? PRESCALER_BITS(DIVIDER) : PRESCALER_BITS(1))

void clocks_start(void) {
    FLASH_ACR = BOARD_FLASH_WAIT_STATES | (BOARD_PREFETCH ? FLASH_ACR_PRFTEN : 0u) |
                (BOARD_INSTRUCTION_CACHE ? FLASH_ACR_ICEN : 0u) |
                (BOARD_DATA_CACHE ? FLASH_ACR_DCEN : 0u);
    while ((FLASH_ACR & FLASH_ACR_LATENCY_MASK) != BOARD_FLASH_WAIT_STATES) {
    }

    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* reading back waits until the clock has arrived */
    PWR_CR |= PWR_CR_VOS_SCALE1;

    RCC_PLLCFGR = PLL_M | PLL_N << 6 | (PLL_P / 2 - 1) << 16 | PLL_Q << 24 | PLL_R << 28;
    RCC_CR |= RCC_CR_PLLON;
    while ((RCC_CR & RCC_CR_PLLRDY) == 0) {
    }

    RCC_CFGR = APB1_BITS << 10 | APB2_BITS << 13 | RCC_CFGR_SW_PLL;
    while ((RCC_CFGR & RCC_CFGR_SWS_MASK) != RCC_CFGR_SWS_PLL) {
    }
}
