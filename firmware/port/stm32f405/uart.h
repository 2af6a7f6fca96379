#ifndef HILNAS_STM32F405_UART_H
#define HILNAS_STM32F405_UART_H

#include "../stm32f4/uart.h" /* its four USARTs are where this part has them */

#endif
