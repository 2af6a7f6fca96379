/* How do bytes reach the console? By polling: no interrupt disturbs a measurement. */
#include "chip.h"
#include "port.h"
#include "registers.h"
#include "uart.h"

#define BAUD_DIVISOR ((BOARD_CONSOLE_CLOCK_HZ + BOARD_CONSOLE_BAUD / 2) / BOARD_CONSOLE_BAUD)

/* A receiver tolerates some 3 % (RM0402, USART receiver tolerance); 2 % leaves the other side its
 * share. */
_Static_assert(BAUD_DIVISOR >= 16, "the baud rate is above a sixteenth of clock_hz");
_Static_assert(BAUD_DIVISOR *BOARD_CONSOLE_BAUD <= BOARD_CONSOLE_CLOCK_HZ / 100 * 102 &&
                   BAUD_DIVISOR * BOARD_CONSOLE_BAUD >= BOARD_CONSOLE_CLOCK_HZ / 100 * 98,
               "the baud rate is not within 2 % of what clock_hz divides to");

static void connect_pin(char letter, uint32_t pin) {
    RCC_AHB1ENR |= 1u << (letter - 'A');
    (void)RCC_AHB1ENR; /* reading back waits until the clock has arrived */
    uint32_t shift = 4u * (pin % 8u);
    GPIO_AFR(letter, pin) = (GPIO_AFR(letter, pin) & ~(15u << shift)) | UART_ALTERNATE << shift;
    GPIO_MODER(letter) = (GPIO_MODER(letter) & ~(3u << 2u * pin)) | GPIO_MODE_ALTERNATE << 2u * pin;
}

void console_start(void) {
    connect_pin(BOARD_CONSOLE_TX_PORT, BOARD_CONSOLE_TX_PIN);
    connect_pin(BOARD_CONSOLE_RX_PORT, BOARD_CONSOLE_RX_PIN);
    if (UART_APB == 1) {
        RCC_APB1ENR |= UART_ENABLE;
        (void)RCC_APB1ENR;
    } else {
        RCC_APB2ENR |= UART_ENABLE;
        (void)RCC_APB2ENR;
    }
    USART_BRR = BAUD_DIVISOR;
    USART_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE;
}

uint8_t port_read(void) {
    /* Reading DR clears an overrun too; the frame that lost a byte fails its CRC. */
    while ((USART_SR & USART_SR_RXNE) == 0) {
    }
    return (uint8_t)USART_DR;
}

void port_write(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        while ((USART_SR & USART_SR_TXE) == 0) {
        }
        USART_DR = bytes[i];
    }
}
