/* Which bus, enable bit and alternate function belong to the console UART of board.h? RM0351,
 * RM0432: memory map and RCC chapters; the data sheets' alternate function tables. Both parts have
 * these four at the same place. Their clock is their bus's, as RCC_CCIPR says after reset. */
#ifndef HILNAS_STM32L4_UART_H
#define HILNAS_STM32L4_UART_H

#include "registers.h"

#if BOARD_CONSOLE_BASE == 0x40013800 /* USART1 */
#define UART_APB 2
#define UART_CLOCK_ENABLE RCC_APB2ENR
#define UART_ENABLE (1u << 14)
#define UART_ALTERNATE 7u
#elif BOARD_CONSOLE_BASE == 0x40004400 /* USART2 */
#define UART_APB 1
#define UART_CLOCK_ENABLE RCC_APB1ENR1
#define UART_ENABLE (1u << 17)
#define UART_ALTERNATE 7u
#elif BOARD_CONSOLE_BASE == 0x40004800 /* USART3 */
#define UART_APB 1
#define UART_CLOCK_ENABLE RCC_APB1ENR1
#define UART_ENABLE (1u << 18)
#define UART_ALTERNATE 7u
#elif BOARD_CONSOLE_BASE == 0x40008000 /* LPUART1 */
#define UART_APB 1
#define UART_CLOCK_ENABLE RCC_APB1ENR2
#define UART_ENABLE (1u << 0)
#define UART_ALTERNATE 8u
#else
#error "console.base is no UART of this port: USART1, 2, 3 or LPUART1 of an STM32L4"
#endif

#if BOARD_CONSOLE_BASE == 0x40008000
/* RM0351, 41.4.4: BRR holds 256 * clock / baud, 0x300 at least. */
#define UART_DIVISOR_SCALE 256u
#define UART_DIVISOR_LEAST 0x300u
#else
/* RM0351, 40.5.4: BRR holds clock / baud, 16 at least. */
#define UART_DIVISOR_SCALE 1u
#define UART_DIVISOR_LEAST 16u
#endif

#endif
