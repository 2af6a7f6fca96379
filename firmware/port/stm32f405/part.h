/* Which part is it? RM0090; interrupt lines: table 61. */
#ifndef HILNAS_STM32F405_PART_H
#define HILNAS_STM32F405_PART_H

#include "board.h"

#if defined(CHIP_STM32F405)
#define PART_INTERRUPTS 82
#define ADC_SENSOR_CHANNEL 16u /* RM0090, 13.10: that of the STM32F40x and F41x */
#else
#error "chip is not one of this port: stm32f405"
#endif

#endif
