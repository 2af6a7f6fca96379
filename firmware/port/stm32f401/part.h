/* What is this part? Its interrupt lines (RM0368, chapter 10) and highest frequencies (6.2, at 2.7
 * to 3.6 V). */
#ifndef HILNAS_STM32F401_PART_H
#define HILNAS_STM32F401_PART_H

#include "board.h"

#if !defined(CHIP_STM32F401)
#error "chip is not one of this port: stm32f401"
#endif

#define PART_INTERRUPTS 85
#define SYSCLK_MAX_HZ 84000000u
#define APB1_MAX_HZ 42000000u
#define APB2_MAX_HZ 84000000u
#define ADC_SENSOR_CHANNEL 18u /* RM0368, chapter ADC */

#endif
