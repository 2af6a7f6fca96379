/* How does the part get from its 4 MHz MSI, which it wakes with, to board.sysclk_hz? RM0351,
 * RM0432: wait states (embedded flash), the PLL from the more exact HSI16 (RCC), and, where the
 * frequency asks for it, range 1 boost mode (power controller). */
#include "chip.h"
#include "flash.h"
#include "prescaler.h"
#include "speed.h"

#define HSI_HZ 16000000u
#define PLL_INPUT_HZ 4000000u
#define PLL_M (HSI_HZ / PLL_INPUT_HZ)
#define PLL_R 2u
#define PLL_N (BOARD_SYSCLK_HZ * PLL_R / PLL_INPUT_HZ)
#define BOOST (BOARD_SYSCLK_HZ > RANGE_1_NORMAL_MAX_HZ)

_Static_assert(BOARD_SYSCLK_HZ <= SYSCLK_MAX_HZ, "sysclk_hz is above what the chip can do");
_Static_assert(BOARD_SYSCLK_HZ % (PLL_INPUT_HZ / PLL_R) == 0,
               "this PLL set-up makes even megahertz only");
/* RM0351, 6.4.4: N is at most 86, the VCO's output 64 to 344 MHz. */
_Static_assert(PLL_N >= 16 && PLL_N <= 86, "sysclk_hz is out of the range of the PLL");
_Static_assert(BOARD_FLASH_WAIT_STATES <= WAIT_STATES_MAX,
               "flash_wait_states are more than the chip has");
_Static_assert(BOARD_SYSCLK_HZ <= WAIT_STATE_HZ * (BOARD_FLASH_WAIT_STATES + 1u),
               "flash_wait_states are too few for sysclk_hz");

static void switch_to_pll(uint32_t ahb_bits) {
    RCC_CFGR = ahb_bits | APB1_BITS << 8 | APB2_BITS << 11 | RCC_CFGR_SW_PLL;
    while ((RCC_CFGR & RCC_CFGR_SWS_MASK) != RCC_CFGR_SWS_PLL) {
    }
}

void clocks_start(void) {
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWREN;
    (void)RCC_APB1ENR1; /* reading back waits until the clock has arrived */
    if (BOARD_CONSOLE_TX_PORT == 'G' || BOARD_CONSOLE_RX_PORT == 'G') {
        /* RM0351, 5.1.2: PG2 to PG15 live on VDDIO2, which is isolated after reset. */
        PWR_CR2 |= PWR_CR2_IOSV;
    }
    if (BOOST) {
        PWR_CR5 &= ~PWR_CR5_R1MODE;
    }
    flash_start();

    RCC_CR |= RCC_CR_HSION;
    while ((RCC_CR & RCC_CR_HSIRDY) == 0) {
    }
    RCC_PLLCFGR = RCC_PLLCFGR_PLLSRC_HSI16 | (PLL_M - 1u) << 4 | PLL_N << 8 |
                  (PLL_R / 2u - 1u) << 25 | RCC_PLLCFGR_PLLREN;
    RCC_CR |= RCC_CR_PLLON;
    while ((RCC_CR & RCC_CR_PLLRDY) == 0) {
    }

    if (BOOST) {
        /* RM0432, 5.1.7: by way of half the frequency, for a microsecond at least. */
        switch_to_pll(RCC_CFGR_HPRE_DIV2);
        for (uint32_t i = 0; i < BOARD_SYSCLK_HZ / 1000000u; i++) {
            __asm volatile("nop");
        }
    }
    switch_to_pll(0);
}

/* RM0351, 6.4.4. */
static uint32_t pll_output_hz(void) {
    uint32_t setting = RCC_PLLCFGR;
    uint32_t m = (setting >> 4 & 15u) + 1u, n = setting >> 8 & 127u;
    uint32_t r = 2u * ((setting >> 25 & 3u) + 1u);
    return (setting & RCC_PLLCFGR_PLLSRC_MASK) == RCC_PLLCFGR_PLLSRC_HSI16 ? HSI_HZ / m * n / r : 0;
}

/* The MSI, with its twelve ranges, is not told apart from a crystal: this port leaves both. */
uint32_t clocks_sysclk_hz(void) {
    switch (RCC_CFGR & RCC_CFGR_SWS_MASK) {
    case RCC_CFGR_SWS_HSI16:
        return behind_ahb_prescaler(HSI_HZ);
    case RCC_CFGR_SWS_PLL:
        return behind_ahb_prescaler(pll_output_hz());
    default:
        return 0;
    }
}
