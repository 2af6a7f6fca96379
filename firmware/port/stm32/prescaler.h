/* How are the peripheral buses divided? 1, 2, 4, 8 or 16, coded alike in RCC_CFGR of the F4
 * (RM0402, 6.3.3) and the L4 (RM0351, 6.4.3). The console's bus runs at clock_hz; the other one
 * takes the least divider it may have. */
#ifndef HILNAS_STM32_PRESCALER_H
#define HILNAS_STM32_PRESCALER_H

#include "part.h"
#include "uart.h"

#define LEAST_DIVIDER(max_hz)                                                                      \
    (BOARD_SYSCLK_HZ <= (max_hz)        ? 1u                                                       \
     : BOARD_SYSCLK_HZ / 2u <= (max_hz) ? 2u                                                       \
     : BOARD_SYSCLK_HZ / 4u <= (max_hz) ? 4u                                                       \
                                        : 8u)
#define CONSOLE_DIVIDER (BOARD_SYSCLK_HZ / BOARD_CONSOLE_CLOCK_HZ)
#define PRESCALER_BITS(divider)                                                                    \
    ((divider) == 16 ? 7u : (divider) == 8 ? 6u : (divider) == 4 ? 5u : (divider) == 2 ? 4u : 0u)
#define APB1_BITS PRESCALER_BITS(UART_APB == 1 ? CONSOLE_DIVIDER : LEAST_DIVIDER(APB1_MAX_HZ))
#define APB2_BITS PRESCALER_BITS(UART_APB == 2 ? CONSOLE_DIVIDER : LEAST_DIVIDER(APB2_MAX_HZ))

_Static_assert(BOARD_CONSOLE_CLOCK_HZ *CONSOLE_DIVIDER == BOARD_SYSCLK_HZ && CONSOLE_DIVIDER >= 1 &&
                   CONSOLE_DIVIDER <= 16 && (CONSOLE_DIVIDER & (CONSOLE_DIVIDER - 1)) == 0,
               "clock_hz is not sysclk_hz divided by 1, 2, 4, 8 or 16");
_Static_assert(BOARD_CONSOLE_CLOCK_HZ <= (UART_APB == 1 ? APB1_MAX_HZ : APB2_MAX_HZ),
               "clock_hz is above what the bus of the console may have");

#endif
