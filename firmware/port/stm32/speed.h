/* What do the clock tree's registers come to? Each port's clocks.c knows. */
#ifndef HILNAS_STM32_SPEED_H
#define HILNAS_STM32_SPEED_H

#include "registers.h"

/* The core's clock, hertz, read back from the registers; 0 where it comes from a crystal, whose
 * frequency they do not tell. */
uint32_t clocks_sysclk_hz(void);

/* HPRE in RCC_CFGR, alike in the F4 (RM0402, 6.3.3) and the L4 (RM0351, 6.4.3): 1 below 8, then 2
 * to 16 and, as there is no 32, 64 to 512. */
static inline uint32_t behind_ahb_prescaler(uint32_t hz) {
    uint32_t hpre = RCC_CFGR >> 4 & 15u;
    return hpre < 8u ? hz : hz >> (hpre < 12u ? hpre - 7u : hpre - 6u);
}

#endif
