/* The console: an STM32 USART (RM0402, 25.6) whose line is a pty. */
#include "machine.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { SR = 0x00, DR = 0x04, CR1 = 0x0C };
enum { SR_RXNE = 1u << 5, SR_TC = 1u << 6, SR_TXE = 1u << 7 };

enum { CR1_RE = 1u << 2, CR1_TE = 1u << 3, CR1_UE = 1u << 13 };

/* A firmware that finds the receiver empty this often, this densely, is waiting for the host. */
enum { WAITING_POLLS = 8, DENSE_CYCLES = 2000 };

void reset_uart(Machine *m) {
    m->received.count = 0;
    m->empty_polls = 0;
}

static void drain_host(Machine *m) {
    Queue *queue = &m->received;
    while (queue->count < SERIAL_BYTES) {
        uint32_t tail = (queue->head + queue->count) % SERIAL_BYTES;
        uint32_t room = SERIAL_BYTES - queue->count;
        if (room > SERIAL_BYTES - tail)
            room = SERIAL_BYTES - tail;
        ssize_t got = read(m->parts.serial_fd, queue->bytes + tail, room);
        if (got <= 0)
            return;
        queue->count += (uint32_t)got;
    }
}

/* Write what the pty takes now; with `wait`, all of it unless the control thread interferes. */
static void send_to_host(Machine *m, bool wait) {
    Queue *queue = &m->sent;
    while (queue->count) {
        ssize_t put = write(m->parts.serial_fd, queue->bytes + queue->head, queue->count);
        if (put > 0) {
            queue->head += (uint32_t)put;
            queue->count -= (uint32_t)put;
            continue;
        }
        if (!wait || m->stop_wanted)
            return;
        struct pollfd fds[2] = {{.fd = m->parts.serial_fd, .events = POLLOUT},
                                {.fd = m->parts.wake_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) > 0 && fds[1].revents)
            return;
    }
    queue->head = 0;
}

void flush_serial(Machine *m) { send_to_host(m, false); }

void pump_serial(Machine *m) {
    flush_serial(m);
    drain_host(m);
}

void wait_for_anything(Machine *m, RunState state, bool also_serial) {
    uint32_t before = m->status.state;
    m->status.state = state;
    pump_serial(m);
    while (!m->stop_wanted && !(also_serial && m->received.count)) {
        short wanted = (short)((also_serial ? POLLIN : 0) | (m->sent.count ? POLLOUT : 0));
        struct pollfd fds[2] = {{.fd = m->parts.wake_fd, .events = POLLIN},
                                {.fd = m->parts.serial_fd, .events = wanted}};
        if (poll(fds, wanted ? 2 : 1, -1) > 0 && fds[0].revents)
            break;
        flush_serial(m);
        if (also_serial)
            drain_host(m);
    }
    m->status.state = before;
}

static uint32_t *stored(Machine *m, uint32_t offset) {
    return &m->peripherals[(m->parts.uart_base - PERIPHERAL_BASE + offset) / 4];
}

static bool enabled(Machine *m, uint32_t direction) {
    return (*stored(m, CR1) & (CR1_UE | direction)) == (CR1_UE | direction);
}

static uint32_t read_status(Machine *m) {
    if (!enabled(m, CR1_RE))
        return SR_TXE | SR_TC;
    if (!m->received.count) {
        uint64_t now = m->status.cycles;
        m->empty_polls = now - m->last_poll < DENSE_CYCLES ? m->empty_polls + 1 : 1;
        m->last_poll = now;
        if (m->empty_polls >= WAITING_POLLS) {
            m->empty_polls = 0;
            wait_for_anything(m, WAITING_FOR_SERIAL, true);
            if (m->stop_wanted)
                stop_at_next_block(m);
        }
    }
    return SR_TXE | SR_TC | (m->received.count ? SR_RXNE : 0);
}

uint32_t uart_read(Machine *m, uint32_t offset) {
    if (offset == SR)
        return read_status(m);
    if (offset == DR) {
        Queue *queue = &m->received;
        m->empty_polls = 0;
        if (queue->count) {
            *stored(m, DR) = queue->bytes[queue->head];
            queue->head = (queue->head + 1) % SERIAL_BYTES;
            queue->count -= 1;
        }
    }
    return *stored(m, offset);
}

void uart_write(Machine *m, uint32_t offset, uint32_t value) {
    if (offset == SR)
        return;
    if (offset != DR) {
        *stored(m, offset) = value;
        return;
    }
    m->empty_polls = 0;
    if (!enabled(m, CR1_TE))
        return; /* as on silicon, the byte goes nowhere */
    Queue *queue = &m->sent;
    if (queue->count == SERIAL_BYTES)
        send_to_host(m, true); /* the host reads slowly: the line stalls, nothing is lost */
    if (queue->count == SERIAL_BYTES) {
        stop_at_next_block(m); /* the control thread wants something else */
        return;
    }
    if (queue->head + queue->count == SERIAL_BYTES) {
        memmove(queue->bytes, queue->bytes + queue->head, queue->count);
        queue->head = 0;
    }
    queue->bytes[queue->head + queue->count] = (uint8_t)value;
    queue->count += 1;
}
