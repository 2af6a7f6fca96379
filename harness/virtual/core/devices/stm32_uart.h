/* What goes over the line of a U(S)ART, and when: one byte at a time, each taking its time. Knows
 * nothing of registers.
 *
 * Where an interrupt or the DMA controller receives, the host's bytes follow each other at the
 * line's rate, and what is too slow for that overruns. Firmware that polls gets the next byte when
 * it has read the one before, as from a host that waits for the prompt. */
#ifndef HILNAS_VIRTUAL_STM32_UART_H
#define HILNAS_VIRTUAL_STM32_UART_H

#include "stm32.h"

enum { UART_FIFO_BYTES = 8 };

/* What the registers say at the moment. */
typedef struct {
    uint64_t
        byte_cycles; /* one character with its start and stop bits; 0: no baud rate, no clock */
    uint32_t depth;  /* bytes that wait on either side of the shift registers */
    bool sends, receives, listens; /* `listens`: by interrupt or DMA, not by polling */
    bool dma_sends, dma_receives;
    uint32_t send_register, receive_register; /* addresses, for the DMA controller */
} UartSetup;

/* The first member of a model's state. */
typedef struct {
    uint8_t received[UART_FIFO_BYTES];
    uint32_t received_count;
    uint32_t to_send_count; /* behind the one in the shift register */
    bool complete;          /* everything has gone out */
    bool overrun, idle;
    bool at_work;
    bool changed;        /* since the firmware last looked */
    uint64_t shifted_at; /* the byte that is going out has gone; this and the next: or NEVER */
    uint64_t arrives_at, idle_at;
    uint64_t came_at; /* the last one from the host */
} UartLine;

void reset_line(UartLine *line);

/* What has happened on the line by now; the DMA controller is served. */
void follow_line(Machine *m, Device *d, UartLine *line, const UartSetup *setup);

/* The firmware looks at the flags: as follow_line(), and where it does nothing else, virtual time
 * goes to the line's next event, or the process sleeps until the host sends. */
void watch_line(Machine *m, Device *d, UartLine *line, const UartSetup *setup);

void send_on_line(Machine *m, Device *d, UartLine *line, const UartSetup *setup, uint8_t byte);
uint8_t take_from_line(UartLine *line); /* some byte must be there */
uint64_t next_on_line(const UartLine *line);

/* reset() and heard() of every model. */
void uart_reset(Machine *m, Device *d);
void uart_heard(Machine *m, Device *d);

#endif
