/* Which bus, enable bit and alternate function belong to the console UART of board.h? Those of the
 * other STM32F4 (RM0368, 6.3; the data sheet DS10086), as far as this part has it. */
#ifndef HILNAS_STM32F401_UART_H
#define HILNAS_STM32F401_UART_H

#include "board.h"

#if BOARD_CONSOLE_BASE == 0x40004800
#error "console.base is no USART of this port: USART1, 2 or 6 of an STM32F401"
#endif

#include "../stm32f4/uart.h"

#endif
