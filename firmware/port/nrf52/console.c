/* How do bytes reach the console? By polling the UART, whose receiver holds six: no interrupt
 * disturbs a measurement, and no DMA the memory. */
#include "chip.h"
#include "port.h"
#include "registers.h"

/* BAUDRATE is the rate times 2^32 / 16 MHz, of which the upper 20 bits count. */
#define UART_CLOCK_HZ 16000000u
#define BAUDRATE                                                                                   \
    ((uint32_t)((((uint64_t)BOARD_CONSOLE_BAUD << 32) / UART_CLOCK_HZ + 0x800u) & 0xFFFFF000u))
#define PIN_SELECT(port, pin) ((uint32_t)((port) - '0') << 5 | (pin))

_Static_assert(BOARD_CONSOLE_BASE == 0x40002000u, "console.base is no UART of an nRF52: UART0");
_Static_assert(BOARD_CONSOLE_CLOCK_HZ == UART_CLOCK_HZ, "clock_hz of an nRF52's UART is 16 MHz");
_Static_assert(BOARD_CONSOLE_BAUD >= 1200 && BOARD_CONSOLE_BAUD <= 1000000,
               "the baud rate is not within 1200 and 1 000 000");
_Static_assert(BOARD_CONSOLE_TX_PORT <= '1' && BOARD_CONSOLE_RX_PORT <= '1' &&
                   BOARD_CONSOLE_TX_PIN < 32 && BOARD_CONSOLE_RX_PIN < 32,
               "the console's pins are not within P0.00 and P1.31");

void console_start(void) {
    GPIO_OUTSET(BOARD_CONSOLE_TX_PORT) = 1u << BOARD_CONSOLE_TX_PIN; /* an idle line is high */
    GPIO_PIN_CNF(BOARD_CONSOLE_TX_PORT, BOARD_CONSOLE_TX_PIN) = GPIO_PIN_CNF_OUTPUT;
    GPIO_PIN_CNF(BOARD_CONSOLE_RX_PORT, BOARD_CONSOLE_RX_PIN) = GPIO_PIN_CNF_PULLED_UP;
    UART_PSEL_TXD = PIN_SELECT(BOARD_CONSOLE_TX_PORT, BOARD_CONSOLE_TX_PIN);
    UART_PSEL_RXD = PIN_SELECT(BOARD_CONSOLE_RX_PORT, BOARD_CONSOLE_RX_PIN);
    UART_BAUDRATE = BAUDRATE;
    UART_ENABLE = UART_ENABLE_ENABLED;
    UART_TASKS_STARTTX = 1;
    UART_TASKS_STARTRX = 1;
}

uint8_t port_read(void) {
    while (UART_EVENTS_RXDRDY == 0) {
    }
    UART_EVENTS_RXDRDY = 0; /* first: reading RXD announces the next byte */
    return (uint8_t)UART_RXD;
}

void port_write(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        UART_EVENTS_TXDRDY = 0;
        UART_TXD = bytes[i];
        while (UART_EVENTS_TXDRDY == 0) {
        }
    }
}
