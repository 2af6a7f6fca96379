/* Where are the registers this port uses? Most as in port/stm32f4; chapters are RM0090's. */
#ifndef HILNAS_STM32F405_REGISTERS_H
#define HILNAS_STM32F405_REGISTERS_H

#include "../stm32f4/registers.h"

/* Timer 2, 32 bits: 18.4 */
#define TIM2_CNT REGISTER(0x40000024u)

/* USART: 30.6 */
#define USART_SR_RXNE (1u << 5)
#define USART_CR1_RXNEIE (1u << 5)

/* Interrupt lines: table 61 */
#define IRQ_USART6 71u

/* NVIC: ARMv7-M ARM, B3.4 */
#define NVIC_ISER(irq) REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_ICER(irq) REGISTER(0xE000E180u + 4u * ((irq) / 32u))
#define NVIC_ICPR(irq) REGISTER(0xE000E280u + 4u * ((irq) / 32u))
#define NVIC_BIT(irq) (1u << ((irq) % 32u))

#endif
