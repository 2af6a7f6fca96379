/* Which bus, enable bit and alternate function belong to the console UART of board.h? RM0402,
 * memory map and RCC chapters; STM32F412 datasheet, alternate function table. */
#ifndef HILNAS_STM32F4_UART_H
#define HILNAS_STM32F4_UART_H

#include "board.h"

#if BOARD_CONSOLE_BASE == 0x40011000 /* USART1 */
#define UART_APB 2
#define UART_ENABLE (1u << 4)
#define UART_ALTERNATE 7u
#elif BOARD_CONSOLE_BASE == 0x40011400 /* USART6 */
#define UART_APB 2
#define UART_ENABLE (1u << 5)
#define UART_ALTERNATE 8u
#elif BOARD_CONSOLE_BASE == 0x40004400 /* USART2 */
#define UART_APB 1
#define UART_ENABLE (1u << 17)
#define UART_ALTERNATE 7u
#elif BOARD_CONSOLE_BASE == 0x40004800 /* USART3 */
#define UART_APB 1
#define UART_ENABLE (1u << 18)
#define UART_ALTERNATE 7u
#else
#error "console.base is no USART of an STM32F412"
#endif

#endif
