/* How does a debugger's thread reach the machine while the core's thread runs it? It announces
 * itself, the core stops at its next block, hands the machine over and takes it back. What the
 * access asks of the core (halt, step, reset) has happened when the call returns, as on silicon,
 * where a core is faster than any probe. */
#define _GNU_SOURCE
#include "machine.h"
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ANSWER_MILLISECONDS = 2000 };
enum { IDLE_TURNS = 4 }; /* a step may need its block translated twice */
enum { NO_ERROR, BUS_FAULT };

bool open_port(Machine *m) {
    DebugPort *port = &m->port;
    pthread_mutex_init(&port->turn, NULL);
    pthread_mutex_init(&port->lock, NULL);
    pthread_cond_init(&port->left, NULL);
    port->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    port->answer = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return port->bell >= 0 && port->answer >= 0;
}

void close_port(Machine *m) {
    if (m->port.bell >= 0)
        close(m->port.bell);
    if (m->port.answer >= 0)
        close(m->port.answer);
}

/* Has the core done what the debugger asked for? */
static bool settled(const Machine *m) {
    bool wants_halt = halting_debug(m) && (m->debug.control & (C_HALT | C_STEP));
    return !m->reset_wanted && (m->debug.halted || !wants_halt);
}

/* ---- the core's thread ---- */

bool visitors_wait(const Machine *m) {
    return __atomic_load_n(&m->port.visitors, __ATOMIC_SEQ_CST) != 0;
}

void admit_visitors(Machine *m) {
    while (visitors_wait(m) && m->port.running)
        pthread_cond_wait(&m->port.left, &m->port.lock);
}

void answer_visitor(Machine *m) {
    if (m->port.awaited && settled(m)) {
        m->port.awaited = false;
        eventfd_write(m->port.answer, 1);
    }
}

void take_machine(Machine *m) {
    pthread_mutex_lock(&m->port.lock);
    m->port.running = true;
}

void leave_machine(Machine *m) {
    m->port.running = false;
    if (m->port.awaited)
        eventfd_write(m->port.answer, 1);
    m->port.awaited = false;
    pthread_mutex_unlock(&m->port.lock);
}

Waker sleep_on_line(Machine *m, short serial_events, const struct timespec *limit) {
    struct pollfd fds[3] = {{.fd = m->parts.wake_fd, .events = POLLIN},
                            {.fd = m->port.bell, .events = POLLIN},
                            {.fd = m->parts.serial_fd, .events = serial_events}};
    pthread_mutex_unlock(&m->port.lock);
    int ready = ppoll(fds, serial_events ? 3 : 2, limit, NULL);
    pthread_mutex_lock(&m->port.lock);
    admit_visitors(m);
    eventfd_t rings;
    if (ready > 0 && fds[1].revents)
        eventfd_read(m->port.bell, &rings);
    if (ready > 0 && fds[0].revents)
        return WOKEN_BY_CONTROL;
    if (m->port.disturbed)
        return WOKEN_BY_VISITOR;
    return ready > 0 && fds[2].revents ? WOKEN_BY_LINE : WOKEN_BY_NOTHING;
}

/* ---- the visitor's thread ---- */

static void begin_visit(Machine *m) {
    pthread_mutex_lock(&m->port.turn);
    __atomic_fetch_add(&m->port.visitors, 1, __ATOMIC_SEQ_CST);
    stop_at_next_block(m);
    pthread_mutex_lock(&m->port.lock);
    if (!m->port.running && m->reset_wanted)
        reset_core(m);
    m->port.visiting = true;
}

static void end_visit(Machine *m) {
    DebugPort *port = &m->port;
    eventfd_t count;
    port->visiting = false;
    if (port->disturbed)
        eventfd_write(port->bell, 1);
    for (int i = 0; i < IDLE_TURNS && !port->running && !settled(m); i++)
        run_once(m); /* nobody else will */
    bool awaits = port->running && !settled(m);
    if (awaits) {
        eventfd_read(port->answer, &count); /* one that came too late for another visit */
        port->awaited = true;
    }
    __atomic_fetch_sub(&port->visitors, 1, __ATOMIC_SEQ_CST);
    pthread_cond_signal(&port->left);
    pthread_mutex_unlock(&port->lock);
    if (awaits)
        poll(&(struct pollfd){.fd = port->answer, .events = POLLIN}, 1, ANSWER_MILLISECONDS);
    pthread_mutex_unlock(&port->turn);
}

static bool bus_read(Machine *m, uint32_t address, uint32_t bytes, uint32_t *value) {
    const uint8_t *at = memory_at(m, address, bytes, false);
    *value = 0;
    if (at)
        memcpy(value, at, bytes);
    else if (address - PPB_BASE < PPB_BYTES)
        *value = (uint32_t)system_read(m->uc, address - PPB_BASE, bytes, m);
    else if (device_exists(m, address))
        *value = (uint32_t)device_read(m->uc, address - PERIPHERAL_BASE, bytes, m);
    else
        return false;
    return true;
}

static void note_written(Machine *m, uint32_t address, uint32_t bytes) {
    Debug *d = &m->debug;
    bool first = d->written_first == d->written_end;
    if (first || address < d->written_first)
        d->written_first = address;
    if (first || address + bytes > d->written_end)
        d->written_end = address + bytes;
}

static bool bus_write(Machine *m, uint32_t address, uint32_t bytes, uint32_t value) {
    const Memory *memory = memory_of(m, address, bytes);
    if (memory && memory->part.kind == MEMORY_FLASH)
        return program_flash(m, address, bytes, value);
    if (memory) {
        uint8_t *at = memory_at(m, address, bytes, true);
        if (!at)
            return false;
        memcpy(at, &value, bytes);
        note_written(m, address, bytes);
    } else if (address - PPB_BASE < PPB_BYTES) {
        system_write(m->uc, address - PPB_BASE, bytes, value, m);
    } else if (device_exists(m, address)) {
        device_write(m->uc, address - PERIPHERAL_BASE, bytes, value, m);
    } else {
        return false;
    }
    return true;
}

static bool can_access(uint32_t address, uint32_t bytes, uint32_t access_bytes) {
    bool size = access_bytes == 1 || access_bytes == 2 || access_bytes == 4;
    return size && address % access_bytes == 0 && bytes % access_bytes == 0;
}

/* What the AHB-AP reads: memories, devices and the private bus, `access_bytes` at a time. 0, or 1
 * where the bus answers with an error; what was read before that is in `into`. From any thread. */
EXPORT int machine_debug_read(Machine *m, uint32_t address, uint8_t *into, uint32_t bytes,
                              uint32_t access_bytes) {
    if (!can_access(address, bytes, access_bytes))
        return BUS_FAULT;
    bool done = true;
    begin_visit(m);
    for (uint32_t i = 0; done && i < bytes; i += access_bytes) {
        uint32_t value;
        done = bus_read(m, address + i, access_bytes, &value);
        if (done)
            memcpy(into + i, &value, access_bytes);
    }
    end_visit(m);
    return done ? NO_ERROR : BUS_FAULT;
}

EXPORT int machine_debug_write(Machine *m, uint32_t address, const uint8_t *from, uint32_t bytes,
                               uint32_t access_bytes) {
    if (!can_access(address, bytes, access_bytes))
        return BUS_FAULT;
    bool done = true;
    begin_visit(m);
    for (uint32_t i = 0; done && i < bytes; i += access_bytes) {
        uint32_t value = 0;
        memcpy(&value, from + i, access_bytes);
        done = bus_write(m, address + i, access_bytes, value);
    }
    end_visit(m);
    return done ? NO_ERROR : BUS_FAULT;
}
