/* How long may a run go on, how fast, and what ends it? Virtual time, the text that is waited for,
 * the pace of a board that somebody types at, the faults and accesses that a user is told of. */
#define _GNU_SOURCE
#include "machine.h"
#include <poll.h>
#include <string.h>
#include <time.h>

#define SECOND_NS 1000000000ull

/* Nanoseconds of the board's life: cycles at the clock they ran at. May be asked while it runs. */
EXPORT uint64_t machine_virtual_ns(const Machine *m) {
    const Limits *l = &m->limits;
    uint64_t cycles = m->status.cycles - l->clock_cycles;
    return l->clock_ns + (uint64_t)((unsigned __int128)cycles * SECOND_NS / l->clock_hz);
}

EXPORT uint32_t machine_faults(const Machine *m) { return m->limits.fault_count; }

/* The same on the core's thread, which sees a new clock. */
uint64_t virtual_ns(Machine *m) {
    Limits *l = &m->limits;
    uint64_t now = machine_virtual_ns(m);
    if (l->clock_hz != m->core_hz) {
        l->clock_ns = now;
        l->clock_cycles = m->status.cycles;
        l->clock_hz = m->core_hz;
    }
    return now;
}

/* The core's clock from now on; the clock tree's model calls it. */
void set_core_clock(Machine *m, uint32_t hz) {
    virtual_ns(m);
    m->core_hz = hz;
    virtual_ns(m);
}

static void end_run(Machine *m, EndKind kind) {
    m->limits.ended = kind;
    m->stop_wanted = true;
    stop_at_next_block(m);
}

/* The cycle count at which the run is over, at the clock of now. */
uint64_t deadline_cycles(Machine *m) {
    if (m->limits.deadline_ns == NEVER)
        return NEVER;
    uint64_t now = virtual_ns(m);
    if (now >= m->limits.deadline_ns)
        return m->status.cycles;
    unsigned __int128 left = m->limits.deadline_ns - now;
    return m->status.cycles + (uint64_t)((left * m->limits.clock_hz + SECOND_NS - 1) / SECOND_NS);
}

void check_deadline(Machine *m) {
    if (m->limits.deadline_ns != NEVER && virtual_ns(m) >= m->limits.deadline_ns)
        end_run(m, ENDED_DEADLINE);
}

/* The core can go on with nothing but input. False: none will come, and the run is over. */
bool check_input(Machine *m) {
    if (m->limits.input_over && !m->received.count)
        end_run(m, ENDED_IDLE);
    return m->limits.ended != ENDED_IDLE;
}

/* The console sends `byte`: is that the end of the text? (Knuth, Morris and Pratt.) */
void check_text(Machine *m, uint8_t byte) {
    Limits *l = &m->limits;
    if (!l->text_bytes)
        return;
    while (l->text_matched && l->text[l->text_matched] != byte)
        l->text_matched = l->text_fallback[l->text_matched];
    l->text_matched += l->text[l->text_matched] == byte;
    if (l->text_matched == l->text_bytes) {
        l->text_matched = 0;
        end_run(m, ENDED_TEXT);
    }
}

void refuse_unmodelled(Machine *m) {
    if (m->limits.refuse_unmodelled)
        end_run(m, ENDED_REFUSED);
}

/* A fault is about to be taken; `number` is the exception it asks for. */
void record_fault(Machine *m, int number, uint32_t cfsr_bits) {
    if (number < EXCEPTION_HARD || number > EXCEPTION_USAGE)
        return;
    m->limits.fault_count += 1;
    m->limits.fault = (FaultRecord){
        .number = (uint32_t)number,
        .pc = m->registers[15] & ~1u,
        .lr = m->registers[14],
        .sp = m->registers[13],
        .cfsr = cfsr_bits,
        .hfsr = m->hfsr,
        .mmfar = m->mmfar,
        .bfar = m->bfar,
        .cycles = m->status.cycles,
    };
}

static uint64_t host_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* The core is idle until `next`. At the host's pace that takes as long as it says; false when the
 * host sent a byte or the control thread wants something before, virtual time being where it was
 * then. */
bool pace_until(Machine *m, uint64_t next) {
    Limits *l = &m->limits;
    if (!l->pace)
        return true;
    uint64_t virtual_now = virtual_ns(m), host_now = host_ns();
    if (host_now > l->host_lead_ns + virtual_now)
        l->host_lead_ns = host_now - virtual_now; /* the board is late: it does not catch up */
    unsigned __int128 idle = next - m->status.cycles;
    uint64_t due = l->host_lead_ns + virtual_now + (uint64_t)(idle * SECOND_NS / l->clock_hz);
    while (host_now < due) {
        struct timespec left = {(time_t)((due - host_now) / SECOND_NS),
                                (long)((due - host_now) % SECOND_NS)};
        Waker waker = sleep_on_line(m, POLLIN, &left);
        host_now = host_ns();
        if (waker == WOKEN_BY_NOTHING || host_now >= due)
            continue;
        uint64_t ahead = due - host_now;
        m->status.cycles = next - (uint64_t)((unsigned __int128)ahead * l->clock_hz / SECOND_NS);
        if (waker == WOKEN_BY_LINE)
            pump_serial(m); /* may pend an interrupt */
        return false;
    }
    return true;
}

/* For another image: no limits, no faults; virtual time goes on. */
void reset_limits(Machine *m) {
    Limits *l = &m->limits;
    *l = (Limits){.clock_ns = l->clock_ns,
                  .clock_cycles = l->clock_cycles,
                  .clock_hz = l->clock_hz,
                  .host_lead_ns = l->host_lead_ns,
                  .deadline_ns = NEVER};
}

static void learn_text(Limits *l, const uint8_t *text, uint32_t bytes) {
    memcpy(l->text, text, bytes);
    l->text[bytes] = 0;
    l->text_bytes = bytes;
    l->text_matched = 0;
    l->text_fallback[0] = l->text_fallback[1] = 0;
    for (uint32_t i = 1, k = 0; i < bytes; i++) {
        while (k && text[k] != text[i])
            k = l->text_fallback[k];
        k += text[k] == text[i];
        l->text_fallback[i + 1] = (uint8_t)k;
    }
}

/* What the next run is held to, while the core does not run. `nanoseconds` of virtual time from
 * now, NEVER for no end; at most LIMIT_TEXT_BYTES of text, none for no text. */
EXPORT void machine_limit(Machine *m, uint64_t nanoseconds, const uint8_t *text, uint32_t bytes,
                          bool refuse, bool pace) {
    Limits *l = &m->limits;
    l->deadline_ns = nanoseconds == NEVER ? NEVER : virtual_ns(m) + nanoseconds;
    learn_text(l, text, bytes < LIMIT_TEXT_BYTES ? bytes : LIMIT_TEXT_BYTES);
    l->refuse_unmodelled = refuse;
    l->pace = pace;
    l->ended = ENDED_NOT;
    l->input_over = false;
}

/* The host has sent all it will; may be called while the core runs, and wakes it through wake_fd.
 */
EXPORT void machine_end_input(Machine *m) { m->limits.input_over = true; }

/* What became of the run: exact while the core does not run. */
EXPORT void machine_report(Machine *m, Report *into) {
    static const int more[] = {UC_ARM_REG_XPSR, UC_ARM_REG_MSP, UC_ARM_REG_PSP, UC_ARM_REG_CONTROL};
    *into = (Report){
        .ended = m->limits.ended,
        .fault_count = m->limits.fault_count,
        .virtual_ns = virtual_ns(m),
        .core_hz = m->core_hz,
        .cfsr = m->cfsr,
        .hfsr = m->hfsr,
        .fault = m->limits.fault,
    };
    memcpy(into->registers, m->registers, sizeof into->registers);
    for (uint32_t i = 0; i < sizeof more / sizeof *more; i++)
        into->special[i] = read_register(m, more[i]);
}
