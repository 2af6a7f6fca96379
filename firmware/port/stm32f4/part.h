/* Which part is it, and what do the parts of this family differ in? Interrupt lines from each
 * reference manual's vector table; highest frequencies from its RCC chapter, at 2.7 to 3.6 V. */
#ifndef HILNAS_STM32F4_PART_H
#define HILNAS_STM32F4_PART_H

#include "board.h"

#if defined(CHIP_STM32F412) /* RM0402: table 40 and 6.2 */
#define PART_INTERRUPTS 97
#define SYSCLK_MAX_HZ 100000000u
#define PLAIN_MAX_HZ SYSCLK_MAX_HZ /* this part has no over-drive */
#define APB1_MAX_HZ 50000000u
#define APB2_MAX_HZ 100000000u
#elif defined(CHIP_STM32F429) /* RM0090: table 63, 5.1.4 and 7.2 */
#define PART_INTERRUPTS 91
#define SYSCLK_MAX_HZ 180000000u
#define PLAIN_MAX_HZ 168000000u
#define APB1_MAX_HZ 45000000u
#define APB2_MAX_HZ 90000000u
#elif defined(CHIP_STM32F446) /* RM0390: table 38, 5.1.4 and 6.2 */
#define PART_INTERRUPTS 97
#define SYSCLK_MAX_HZ 180000000u
#define PLAIN_MAX_HZ 168000000u
#define APB1_MAX_HZ 45000000u
#define APB2_MAX_HZ 90000000u
#else
#error "chip is not one of this port: stm32f412, stm32f429, stm32f446"
#endif

#define ADC_SENSOR_CHANNEL 18u /* all three: chapter ADC, "Temperature sensor" */

#endif
