/* Where are the registers this port uses? Where the other STM32F4 have them (RM0368). */
#ifndef HILNAS_STM32F401_REGISTERS_H
#define HILNAS_STM32F401_REGISTERS_H

#include "../stm32f4/registers.h"

#define PWR_CR_VOS_MASK (3u << 14)
#define PWR_CR_VOS_SCALE2 (2u << 14) /* RM0368, 5.4.1: this part has no scale 1 */

#endif
