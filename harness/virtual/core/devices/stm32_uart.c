#include "stm32_uart.h"
#include <string.h>

void reset_line(UartLine *line) {
    *line =
        (UartLine){.complete = true, .shifted_at = NEVER, .arrives_at = NEVER, .idle_at = NEVER};
}

static uint64_t earliest(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t next_on_line(const UartLine *line) {
    return earliest(line->shifted_at, earliest(line->arrives_at, line->idle_at));
}

static void byte_has_gone(UartLine *line, const UartSetup *setup) {
    if (line->to_send_count) {
        line->to_send_count -= 1;
        line->shifted_at += setup->byte_cycles;
    } else {
        line->shifted_at = NEVER;
        line->complete = true;
    }
}

static void byte_has_come(Machine *m, UartLine *line, const UartSetup *setup) {
    uint64_t at = line->arrives_at;
    uint8_t byte;
    line->arrives_at = NEVER;
    if (!serial_take(m, &byte))
        return;
    if (line->received_count < setup->depth)
        line->received[line->received_count++] = byte;
    else
        line->overrun = true; /* what was there stays, the new byte is lost */
    line->came_at = at;
    line->idle_at = m->received.count ? NEVER : at + setup->byte_cycles;
}

static void expect_byte(Machine *m, const Device *d, UartLine *line, const UartSetup *setup) {
    bool ready = setup->listens || line->received_count < setup->depth;
    if (!setup->receives || d != m->console || !m->received.count || line->arrives_at != NEVER ||
        !ready)
        return;
    uint64_t now = m->status.cycles, next = line->came_at + setup->byte_cycles;
    bool follows = line->came_at && line->idle_at == NEVER; /* it stood right behind the last one */
    line->arrives_at = follows ? next : now + setup->byte_cycles;
    line->idle_at = NEVER;
}

static void serve_dma(Machine *m, const UartLine *line, const UartSetup *setup) {
    while (setup->dma_sends && line->to_send_count < setup->depth &&
           serve_by_dma(m, setup->send_register, true)) {
    }
    while (setup->dma_receives && line->received_count &&
           serve_by_dma(m, setup->receive_register, false)) {
    }
}

void follow_line(Machine *m, Device *d, UartLine *line, const UartSetup *setup) {
    if (line->at_work || !setup->byte_cycles)
        return;
    uint64_t now = m->status.cycles;
    line->at_work = true; /* the DMA controller comes back through the registers */
    serve_dma(m, line, setup);
    expect_byte(m, d, line, setup);
    for (uint64_t next = next_on_line(line); next <= now; next = next_on_line(line)) {
        if (next == line->shifted_at)
            byte_has_gone(line, setup);
        else if (next == line->arrives_at)
            byte_has_come(m, line, setup);
        else
            line->idle = true, line->idle_at = NEVER;
        line->changed = true;
        serve_dma(m, line, setup);
        expect_byte(m, d, line, setup);
    }
    line->at_work = false;
}

void watch_line(Machine *m, Device *d, UartLine *line, const UartSetup *setup) {
    follow_line(m, d, line, setup);
    if (line->changed) /* this look finds something new */
        m->polls = 0;
    line->changed = false;
    uint64_t next = next_on_line(line);
    if (next != NEVER)
        poll_until(m, d, next);
    else if (setup->receives && d == m->console && !line->received_count)
        serial_waits_for_host(m);
    follow_line(m, d, line, setup);
}

/* The host hears a byte when it is written, so that no event is needed where nobody waits for its
 * end. One written although all places are taken is lost. */
void send_on_line(Machine *m, Device *d, UartLine *line, const UartSetup *setup, uint8_t byte) {
    line->complete = false;
    if (line->shifted_at == NEVER && setup->byte_cycles)
        line->shifted_at = m->status.cycles + setup->byte_cycles;
    else if (line->to_send_count < setup->depth)
        line->to_send_count += 1;
    else
        return;
    line_put(m, d, byte);
}

uint8_t take_from_line(UartLine *line) {
    uint8_t byte = line->received[0];
    memmove(line->received, line->received + 1, --line->received_count);
    return byte;
}

void uart_reset(Machine *m, Device *d) {
    (void)m;
    reset_line(d->state);
}

void uart_heard(Machine *m, Device *d) { d->model->advance(m, d, m->status.cycles); }
