/* Which bus, enable bit and alternate function belong to the console UART of board.h? RM0402,
 * RM0390, RM0090: memory map and RCC chapters; the data sheets' alternate function tables. All
 * three parts have these four at the same place. */
#ifndef HILNAS_STM32F4_UART_H
#define HILNAS_STM32F4_UART_H

#include "registers.h"

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
#error "console.base is no USART of this port: USART1, 2, 3 or 6 of an STM32F4"
#endif

#define UART_CLOCK_ENABLE (*(UART_APB == 1 ? &RCC_APB1ENR : &RCC_APB2ENR))

/* RM0402, 25.4.4: BRR holds clock / baud in sixteenths of sixteen samples a bit. */
#define UART_DIVISOR_SCALE 1u
#define UART_DIVISOR_LEAST 16u

#endif
