/* What does the clock tree of an STM32F4 come to? RM0402, 6.3.2 and 6.3.3; alike in all of them. */
#ifndef HILNAS_STM32F4_SYSCLK_H
#define HILNAS_STM32F4_SYSCLK_H

#include "speed.h"

#define HSI_HZ 16000000u

static inline uint32_t pll_output_hz(void) {
    uint32_t setting = RCC_PLLCFGR;
    uint32_t m = setting & 63u, n = setting >> 6 & 511u, p = 2u * ((setting >> 16 & 3u) + 1u);
    return (setting & RCC_PLLCFGR_PLLSRC_HSE) != 0 || m == 0 ? 0 : HSI_HZ / m * n / p;
}

static inline uint32_t sysclk_in_registers(void) {
    switch (RCC_CFGR & RCC_CFGR_SWS_MASK) {
    case RCC_CFGR_SWS_HSI:
        return behind_ahb_prescaler(HSI_HZ);
    case RCC_CFGR_SWS_PLL:
        return behind_ahb_prescaler(pll_output_hz());
    default:
        return 0;
    }
}

#endif
