/* What is different where QEMU plays the part? It has no DWT: the cycle counter cannot be switched
 * on. Its timer 2 counts nanoseconds of virtual time, whatever the clocks, of which -icount shift=0
 * lets one pass with each instruction. And it has better to do than to play how a core polls. Its
 * ADC never ends a conversion, and there is nothing where the calibration should stand. */
#include <stdbool.h>

#include "port.h"
#include "registers.h"
#include "uart.h"

#if BOARD_CONSOLE_BASE == 0x40011400
#define CONSOLE_IRQ IRQ_USART6
#else
#error "console.base is no USART of this port: USART6 of an STM32F405"
#endif

/* The part's own, of port/cortexm and port/stm32: parts.cmake. */
uint32_t dwt_cycles(void);
uint8_t polled_byte(void);
port_conditions_t adc_conditions(void);

static bool in_qemu(void) { return (DWT_CTRL & DWT_CTRL_CYCCNTENA) == 0; }

uint32_t port_cycles(void) { return in_qemu() ? TIM2_CNT : dwt_cycles(); }

/* The interrupt is masked: it wakes the core (ARMv7-M ARM, B1.5.19) and is not taken. */
static uint8_t awaited_byte(void) {
    __asm volatile("cpsid i" ::: "memory");
    NVIC_ISER(CONSOLE_IRQ) = NVIC_BIT(CONSOLE_IRQ);
    USART_CR1 |= USART_CR1_RXNEIE;
    while ((USART_STATUS & USART_SR_RXNE) == 0) {
        __asm volatile("wfi");
        NVIC_ICPR(CONSOLE_IRQ) = NVIC_BIT(CONSOLE_IRQ); /* pending since the last byte, or now */
    }
    NVIC_ICER(CONSOLE_IRQ) = NVIC_BIT(CONSOLE_IRQ);
    __asm volatile("cpsie i" ::: "memory");
    return (uint8_t)USART_RECEIVED;
}

uint8_t port_read(void) { return in_qemu() ? awaited_byte() : polled_byte(); }

port_conditions_t port_conditions(void) {
    const port_conditions_t unknown = {PORT_TEMPERATURE_UNKNOWN, PORT_VDD_UNKNOWN};
    return in_qemu() ? unknown : adc_conditions();
}
