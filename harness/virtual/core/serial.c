/* The line between the console and the host: a pty. Knows nothing of any UART's registers. */
#define _GNU_SOURCE
#include "machine.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* The line stalls from here on. The room above is for what the core sends before it stops at the
 * end of its block, when somebody wants something else meanwhile: it is on the line already. */
#define STALL_BYTES (SERIAL_BYTES / 2)

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
        m->heard += (uint64_t)got;
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
        if (!wait || m->stop_wanted || m->port.disturbed ||
            sleep_on_line(m, POLLOUT, NULL) == WOKEN_BY_CONTROL)
            return;
    }
    queue->head = 0;
}

static void flush_serial(Machine *m) { send_to_host(m, false); }

/* After a run that ended by itself: nobody has asked the core to hurry. */
void finish_serial(Machine *m) {
    bool stopping = m->stop_wanted;
    m->stop_wanted = m->limits.ended == ENDED_NOT;
    send_to_host(m, true);
    m->stop_wanted = stopping;
}

void pump_serial(Machine *m) {
    flush_serial(m);
    drain_host(m);
    if (m->received.count && m->console->model->heard)
        m->console->model->heard(m, m->console);
}

/* As wait_for_anything(), at most so many nanoseconds of the host's time (FOREVER: no limit). */
static void wait_for(Machine *m, RunState state, bool also_serial, int64_t nanoseconds) {
    uint32_t before = m->status.state;
    uint64_t heard = m->heard; /* the queue may be empty again: the UART takes what it is told of */
    struct timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    m->status.state = state;
    pump_serial(m);
    while (!m->stop_wanted && !m->port.disturbed && !(also_serial && m->heard != heard)) {
        if (also_serial && !check_input(m))
            break;
        short wanted = (short)((also_serial ? POLLIN : 0) | (m->sent.count ? POLLOUT : 0));
        Waker waker = sleep_on_line(m, wanted, nanoseconds == FOREVER ? NULL : &limit);
        if (waker == WOKEN_BY_CONTROL || (waker == WOKEN_BY_NOTHING && nanoseconds != FOREVER))
            break;
        flush_serial(m);
        if (also_serial)
            drain_host(m);
    }
    m->status.state = before;
}

/* Until the control thread interferes, or the host sends (`also_serial`). */
void wait_for_anything(Machine *m, RunState state, bool also_serial) {
    wait_for(m, state, also_serial, FOREVER);
}

/* Something is due before a byte may come: time goes there as the host's clock does, so that
 * time-outs are as long as they say; at once where no byte will come. */
static void wait_until_due(Machine *m, uint64_t due) {
    uint64_t heard = m->heard;
    if (!m->limits.input_over) {
        uint64_t cycles = due - m->status.cycles, second = m->core_hz;
        uint64_t part = cycles % second * 1000000000 / second;
        wait_for(m, WAITING_FOR_SERIAL, true, (int64_t)(cycles / second * 1000000000 + part));
    }
    if (m->heard == heard && !m->stop_wanted && !m->port.disturbed)
        m->polled_at = m->status.cycles = due;
}

/* The firmware has looked for a byte and there is none: where it does nothing else, the core sleeps
 * until the host sends one, and virtual time stands still. True when there is a byte now. */
bool serial_waits_for_host(Machine *m) {
    if (m->received.count || m->port.visiting)
        return m->received.count > 0;
    if (!polls_densely(m, m->console))
        return false;
    uint64_t due = next_timed_event(m), end = deadline_cycles(m);
    if (due == NEVER)
        wait_for(m, WAITING_FOR_SERIAL, true, FOREVER);
    else if (due > m->status.cycles)
        wait_until_due(m, due < end ? due : end);
    if (m->stop_wanted)
        stop_at_next_block(m);
    return m->received.count > 0;
}

bool serial_take(Machine *m, uint8_t *byte) {
    Queue *queue = &m->received;
    if (!queue->count)
        return false;
    *byte = queue->bytes[queue->head];
    queue->head = (queue->head + 1) % SERIAL_BYTES;
    queue->count -= 1;
    return true;
}

/* The host reads slowly, and has not caught up: somebody wants something else before it does. */
bool line_stalls(Machine *m) {
    if (m->sent.count < STALL_BYTES)
        return false;
    send_to_host(m, true);
    return m->sent.count >= STALL_BYTES;
}

static void serial_put(Machine *m, uint8_t byte) {
    Queue *queue = &m->sent;
    check_text(m, byte);
    if (line_stalls(m))
        stop_at_next_block(m);
    if (queue->count == SERIAL_BYTES) /* by a debugger's hand, the core does not run on so long */
        return;
    if (queue->head + queue->count == SERIAL_BYTES) {
        memmove(queue->bytes, queue->bytes + queue->head, queue->count);
        queue->head = 0;
    }
    queue->bytes[queue->head + queue->count] = byte;
    queue->count += 1;
}

void line_put(Machine *m, Device *d, uint8_t byte) {
    d->said += 1;
    if (d == m->console)
        serial_put(m, byte);
}

/* Whether the UART at `base` is on, and how many bytes it has sent, to the host or to nobody. */
EXPORT bool machine_line(Machine *m, uint32_t base, uint32_t *said) {
    const Device *d = device_holding(m, base);
    *said = d ? d->said : 0;
    return d && d->model->on && d->model->on(d);
}
