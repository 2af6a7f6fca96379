/* Which exception is pending, enabled and urgent enough? The NVIC and the priorities of the system
 * exceptions: DDI 0403, B1.5.4 and B3.4. Says nothing of what taking one does. */
#include "machine.h"
#include <string.h>

enum { SCR_SEVONPEND = 1u << 4, NO_PRIORITY = 256 };

static int group_priority(const Machine *m, uint32_t priority) {
    return (int)(priority & (0xFFu << (m->prigroup + 1)) & 0xFF);
}

int priority_of(const Machine *m, int number) {
    if (number <= EXCEPTION_HARD)
        return number - 4; /* Reset -3, NMI -2, HardFault -1 */
    return group_priority(m, m->priority[number]);
}

/* Subpriorities decide between what waits, never who interrupts whom. */
static int order_of(const Machine *m, int number) {
    return number <= EXCEPTION_HARD ? number - 4 : m->priority[number];
}

/* The next flag at `i` or above that is set, eight at a glance; EXCEPTIONS: none. */
static int next_set(const bool *flags, int i) {
    while (i < EXCEPTIONS) {
        uint64_t eight = 0;
        memcpy(&eight, flags + i, EXCEPTIONS - i < 8 ? (size_t)(EXCEPTIONS - i) : 8);
        if (eight)
            return i + __builtin_ctzll(eight) / 8;
        i += 8;
    }
    return EXCEPTIONS;
}

static int active_priority(const Machine *m) {
    int priority = NO_PRIORITY;
    for (int i = next_set(m->active, 1); i < EXCEPTIONS; i = next_set(m->active, i + 1))
        if (priority_of(m, i) < priority)
            priority = priority_of(m, i);
    return priority;
}

static int with_basepri(const Machine *m, int priority) {
    uint32_t basepri = m->control[LIVE_BASEPRI];
    if (basepri && group_priority(m, basepri) < priority)
        return group_priority(m, basepri);
    return priority;
}

int execution_priority(const Machine *m) {
    int priority = with_basepri(m, active_priority(m));
    if (m->ipsr[LIVE_PRIMASK] && priority > 0)
        priority = 0;
    if (m->ipsr[LIVE_FAULTMASK] && priority > -1)
        priority = -1;
    return priority;
}

bool is_enabled(const Machine *m, int number) {
    if (number >= EXCEPTION_MEMORY && number <= EXCEPTION_USAGE)
        return m->shcsr_enables >> (16 + number - EXCEPTION_MEMORY) & 1;
    if (number == EXCEPTION_DEBUG)
        return m->demcr & MON_EN;
    if (number >= EXCEPTION_PENDSV && /* a debugger steps without being led into handlers */
        (m->debug.control & (C_DEBUGEN | C_MASKINTS)) == (C_DEBUGEN | C_MASKINTS))
        return false;
    return number < EXCEPTION_IRQ0 || m->enabled[number];
}

int most_urgent(const Machine *m) {
    int best = 0;
    for (int i = next_set(m->pending, EXCEPTION_NMI); i < EXCEPTIONS;
         i = next_set(m->pending, i + 1))
        if (is_enabled(m, i) && (!best || order_of(m, i) < order_of(m, best)))
            best = i;
    return best;
}

int takeable(const Machine *m) {
    int best = most_urgent(m);
    return best && priority_of(m, best) < execution_priority(m) ? best : 0;
}

/* WFI wakes on what would be taken if PRIMASK were clear (B1.5.19). */
bool would_interrupt(const Machine *m) {
    int best = most_urgent(m);
    return best && priority_of(m, best) < with_basepri(m, active_priority(m));
}

void pend(Machine *m, int number) {
    if (!m->pending[number] && (m->scr & SCR_SEVONPEND))
        m->event = true;
    m->pending[number] = true;
    if (is_enabled(m, number)) {
        m->any_pending = true;
        stop_at_next_block(m);
    }
}

/* Where its line is still high the interrupt is pending again at once. */
void unpend(Machine *m, int number) { m->pending[number] = m->line[number] && !m->active[number]; }

void set_interrupt(Machine *m, int irq, bool level) {
    if (irq < 0)
        return;
    bool rises = level && !m->line[EXCEPTION_IRQ0 + irq];
    m->line[EXCEPTION_IRQ0 + irq] = level;
    if (rises)
        pend(m, EXCEPTION_IRQ0 + irq);
}

/* No longer active; its peripheral may still ask. */
void deactivate(Machine *m, int number) {
    m->active[number] = false;
    if (m->line[number])
        pend(m, number);
}

void reset_nvic(Machine *m) {
    memset(m->pending, 0, sizeof m->pending);
    memset(m->active, 0, sizeof m->active);
    memset(m->enabled, 0, sizeof m->enabled);
    memset(m->priority, 0, sizeof m->priority);
    m->any_pending = m->event = false;
}
