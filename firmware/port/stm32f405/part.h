/* Which part is it? RM0090, table 61. */
#ifndef HILNAS_STM32F405_PART_H
#define HILNAS_STM32F405_PART_H

#include "board.h"

#if defined(CHIP_STM32F405)
#define PART_INTERRUPTS 82
#else
#error "chip is not one of this port: stm32f405"
#endif

#endif
