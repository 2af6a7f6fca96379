/* Which part is it, and what do the parts of this family differ in? Interrupt lines from each
 * reference manual's vector table; frequencies from its chapters on dynamic voltage scaling, clocks
 * and read access latency, at voltage range 1. */
#ifndef HILNAS_STM32L4_PART_H
#define HILNAS_STM32L4_PART_H

#include "board.h"

#define RANGE_1_NORMAL_MAX_HZ 80000000u

#if defined(CHIP_STM32L475) /* RM0351 */
#define PART_INTERRUPTS 82
#define SYSCLK_MAX_HZ RANGE_1_NORMAL_MAX_HZ /* this part has no boost mode */
#define WAIT_STATE_HZ 16000000u
#define WAIT_STATES_MAX 4u
#define CALIBRATION_WARM_CELSIUS 110 /* DS10969 */
#elif defined(CHIP_STM32L4R5)        /* RM0432 */
#define PART_INTERRUPTS 95
#define SYSCLK_MAX_HZ 120000000u
#define WAIT_STATE_HZ 20000000u
#define WAIT_STATES_MAX 15u
#define CALIBRATION_WARM_CELSIUS 130 /* DS12023 */
#else
#error "chip is not one of this port: stm32l475, stm32l4r5"
#endif

/* All buses may run as fast as the core. */
#define APB1_MAX_HZ SYSCLK_MAX_HZ
#define APB2_MAX_HZ SYSCLK_MAX_HZ

#endif
