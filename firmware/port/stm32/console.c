/* How do bytes reach the console? By polling: no interrupt disturbs a measurement. */
#include "chip.h"
#include "pin.h"
#include "port.h"
#include "uart.h"

/* At the same place in the status and control registers of every USART and LPUART. */
#define STATUS_RXNE (1u << 5)
#define STATUS_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)

#define SCALED_HZ ((uint64_t)BOARD_CONSOLE_CLOCK_HZ * UART_DIVISOR_SCALE)
#define BAUD_DIVISOR ((SCALED_HZ + BOARD_CONSOLE_BAUD / 2) / BOARD_CONSOLE_BAUD)

/* A receiver tolerates some 3 % (RM0402, USART receiver tolerance); 2 % leaves the other side its
 * share. */
_Static_assert(BAUD_DIVISOR >= UART_DIVISOR_LEAST, "the baud rate is too high for clock_hz");
_Static_assert(BAUD_DIVISOR *BOARD_CONSOLE_BAUD <= SCALED_HZ / 100 * 102 &&
                   BAUD_DIVISOR * BOARD_CONSOLE_BAUD >= SCALED_HZ / 100 * 98,
               "the baud rate is not within 2 % of what clock_hz divides to");

void console_start(void) {
    pin_connect(BOARD_CONSOLE_TX_PORT, BOARD_CONSOLE_TX_PIN, UART_ALTERNATE);
    pin_connect(BOARD_CONSOLE_RX_PORT, BOARD_CONSOLE_RX_PIN, UART_ALTERNATE);
    UART_CLOCK_ENABLE |= UART_ENABLE;
    (void)UART_CLOCK_ENABLE; /* reading back waits until the clock has arrived */
    USART_BRR = (uint32_t)BAUD_DIVISOR;
    USART_CR1 = USART_CR1_UE | CR1_TE | CR1_RE;
}

uint8_t port_read(void) {
    /* A byte that came too late is lost, and its frame fails its CRC; the next ones arrive. */
    while ((USART_STATUS & STATUS_RXNE) == 0) {
    }
    return (uint8_t)USART_RECEIVED;
}

void port_write(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        while ((USART_STATUS & STATUS_TXE) == 0) {
        }
        USART_TO_SEND = bytes[i];
    }
}
