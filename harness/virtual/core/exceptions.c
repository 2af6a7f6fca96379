/* How does the core enter and leave an exception, and when does it lock up? DDI 0403, B1.5. Unicorn
 * stops at every exception of an M-profile core and leaves the rest to this file. */
#include "machine.h"
#include <string.h>

enum {
    CONTROL_SPSEL = 1u << 1,
    CONTROL_FPCA = 1u << 2,
    CCR_NONBASETHRDENA = 1u << 0,
    CCR_STKALIGN = 1u << 9,
    PSR_FRAME_ALIGNED = 1u << 9,
    PSR_THUMB = 1u << 24,
    ENTRY_CYCLES = 12, /* DDI 0439, 3.8.2; FP registers are stacked lazily in that time */
    EXIT_CYCLES = 10,
    BASIC_FRAME = 0x20,
    EXTENDED_FRAME = 0x68,
};

#define PSR_FLAGS 0xF80F0000u /* NZCVQ and GE: the same bits in CPSR and xPSR */
#define PSR_IT 0x0600FC00u

bool in_handler(const Machine *m) { return *m->ipsr != 0; }

static int group_priority(const Machine *m, uint32_t priority) {
    return (int)(priority & (0xFFu << (m->prigroup + 1)) & 0xFF);
}

static int priority_of(const Machine *m, int number) {
    if (number <= EXCEPTION_HARD)
        return number - 4; /* Reset -3, NMI -2, HardFault -1 */
    return group_priority(m, m->priority[number]);
}

uint32_t read_control(const Machine *m) {
    return (m->control[0] & 3) | (m->control[LIVE_FPCA] & CONTROL_FPCA);
}

Stacks read_stacks(const Machine *m) {
    bool process = !*m->ipsr && (m->control[0] & CONTROL_SPSEL);
    uint32_t other = m->control[LIVE_OTHER_SP], current = m->registers[13];
    return process ? (Stacks){other, current} : (Stacks){current, other};
}

static int execution_priority(const Machine *m) {
    int priority = 256;
    for (int i = 1; i < EXCEPTIONS; i++)
        if (m->active[i] && priority_of(m, i) < priority)
            priority = priority_of(m, i);
    uint32_t basepri = m->control[LIVE_BASEPRI];
    if (basepri && group_priority(m, basepri) < priority)
        priority = group_priority(m, basepri);
    if (m->ipsr[LIVE_PRIMASK] && priority > 0)
        priority = 0;
    if (m->ipsr[LIVE_FAULTMASK] && priority > -1)
        priority = -1;
    return priority;
}

/* C_MASKINTS: a debugger steps without being led into handlers. */
static bool masks_interrupts(const Machine *m) {
    return (m->debug.control & (C_DEBUGEN | C_MASKINTS)) == (C_DEBUGEN | C_MASKINTS);
}

static bool is_enabled(const Machine *m, int number) {
    if (number >= EXCEPTION_MEMORY && number <= EXCEPTION_USAGE)
        return m->shcsr_enables >> (16 + number - EXCEPTION_MEMORY) & 1;
    if (number == EXCEPTION_DEBUG)
        return m->demcr & MON_EN;
    if (masks_interrupts(m) && number >= EXCEPTION_PENDSV)
        return false;
    return number < EXCEPTION_IRQ0 || m->enabled[number];
}

static void lock_up(Machine *m) {
    m->status.state = LOCKED_UP;
    m->status.pc = read_register(m, UC_ARM_REG_R15);
}

void set_mode(Machine *m, uint32_t exception, uint32_t control, Stacks stacks) {
    bool process = !exception && (control & CONTROL_SPSEL);
    *m->ipsr = exception;
    m->control[0] = control & 3;
    m->control[LIVE_FPCA] = control & CONTROL_FPCA; /* Unicorn keeps it in the secure bank */
    m->control[LIVE_OTHER_SP] = process ? stacks.main : stacks.process;
    m->registers[13] = process ? stacks.process : stacks.main;
    /* Writing flags makes Unicorn recompute the translation flags that depend on the mode. */
    write_register(m, UC_ARM_REG_APSR_NZCV, read_register(m, UC_ARM_REG_CPSR));
}

static bool store_word(Machine *m, uint32_t address, uint32_t word) {
    uint8_t *at = memory_at(m, address, 4, true);
    if (at)
        memcpy(at, &word, 4);
    if (at && m->observer)
        observe_write(m, address, 4);
    return at != NULL;
}

static bool load_word(const Machine *m, uint32_t address, uint32_t *word) {
    const uint8_t *at = memory_at(m, address, 4, false);
    if (at)
        memcpy(word, at, 4);
    return at != NULL;
}

static const int frame_registers[8] = {
    UC_ARM_REG_R0,  UC_ARM_REG_R1,  UC_ARM_REG_R2,  UC_ARM_REG_R3,
    UC_ARM_REG_R12, UC_ARM_REG_R14, UC_ARM_REG_R15, 0};

static bool push_frame(Machine *m, uint32_t frame, uint32_t psr, bool extended) {
    bool stored = true;
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t word = i == 7 ? psr : read_register(m, frame_registers[i]);
        stored &= store_word(m, frame + 4 * i, word);
    }
    for (uint32_t i = 0; extended && i < 16; i++)
        stored &=
            store_word(m, frame + BASIC_FRAME + 4 * i, read_register(m, UC_ARM_REG_S0 + (int)i));
    if (extended)
        stored &= store_word(m, frame + BASIC_FRAME + 64, read_register(m, UC_ARM_REG_FPSCR));
    return stored;
}

uint32_t program_status(const Machine *m) {
    uint32_t cpsr = read_register(m, UC_ARM_REG_CPSR);
    return (cpsr & (PSR_FLAGS | PSR_IT)) | (cpsr >> 5 & 1) << 24 | *m->ipsr;
}

void set_program_status(Machine *m, uint32_t psr) {
    uint32_t cpsr = read_register(m, UC_ARM_REG_CPSR) & ~(PSR_FLAGS | PSR_IT | 1u << 5);
    write_register(m, UC_ARM_REG_CPSR,
                   cpsr | (psr & (PSR_FLAGS | PSR_IT)) | (psr & PSR_THUMB ? 1u << 5 : 0));
}

/* DDI 0403, ExceptionTaken(): from whatever stands in `stacks` into the handler, no frame pushed.
 */
static void take(Machine *m, int number, uint32_t control, Stacks stacks, uint32_t link) {
    uint32_t vector, flags = read_register(m, UC_ARM_REG_CPSR) & PSR_FLAGS;
    if (m->observer)
        observe_exception(m, number);
    if (!load_word(m, m->vtor + 4 * (uint32_t)number, &vector)) {
        m->hfsr |= HFSR_VECTTBL;
        if (number <= EXCEPTION_HARD || !load_word(m, m->vtor + 4 * EXCEPTION_HARD, &vector)) {
            lock_up(m);
            return;
        }
        number = EXCEPTION_HARD;
    }
    m->pending[number] = false;
    m->active[number] = true;
    set_mode(m, (uint32_t)number, control & ~(CONTROL_SPSEL | CONTROL_FPCA), stacks);
    set_program_status(m, flags | (vector & 1 ? PSR_THUMB : 0));
    write_register(m, UC_ARM_REG_R14, link);
    write_register(m, UC_ARM_REG_R15, vector);
    m->status.cycles += ENTRY_CYCLES;
}

static void enter(Machine *m, int number) {
    uint32_t control = read_control(m);
    bool handler = in_handler(m), extended = control & CONTROL_FPCA;
    bool process = !handler && (control & CONTROL_SPSEL);
    Stacks stacks = read_stacks(m);
    uint32_t *stack = process ? &stacks.process : &stacks.main;
    bool aligns = (m->ccr & CCR_STKALIGN) || extended, misaligned = aligns && (*stack & 4);
    uint32_t frame = *stack - (extended ? EXTENDED_FRAME : BASIC_FRAME) - (misaligned ? 4 : 0);
    uint32_t psr = program_status(m) | (misaligned ? PSR_FRAME_ALIGNED : 0);

    if (!push_frame(m, frame, psr, extended)) {
        /* A derived exception (B1.5.8): taken in place of the one being entered, which stays
         * pending where it is the less urgent of the two. */
        m->cfsr |= CFSR_STKERR;
        if (number <= EXCEPTION_HARD) {
            lock_up(m);
            return;
        }
        pend(m, number);
        if (is_enabled(m, EXCEPTION_BUS) &&
            priority_of(m, EXCEPTION_BUS) < priority_of(m, number)) {
            number = EXCEPTION_BUS;
        } else {
            number = EXCEPTION_HARD;
            m->hfsr |= HFSR_FORCED;
        }
    }
    *stack = frame;

    uint32_t origin = handler ? 0 : process ? 0xC : 0x8;
    take(m, number, control, stacks, 0xFFFFFFE1u | (extended ? 0 : 0x10) | origin);
}

/* Which exception a fault becomes at execution priority `current`; 0: the core locks up. */
static int escalate(Machine *m, int number, int current) {
    if (number != EXCEPTION_HARD && (!is_enabled(m, number) || priority_of(m, number) >= current)) {
        number = EXCEPTION_HARD;
        m->hfsr |= HFSR_FORCED;
    }
    return number == EXCEPTION_HARD && current <= -1 ? 0 : number;
}

void raise_fault(Machine *m, int number, uint32_t cfsr_bits, uint32_t hfsr_bits) {
    int current = execution_priority(m);
    m->cfsr |= cfsr_bits;
    m->hfsr |= hfsr_bits;
    record_fault(m, number, cfsr_bits);
    number = escalate(m, number, current);
    if (number)
        enter(m, number);
    else
        lock_up(m);
}

void pend(Machine *m, int number) {
    m->pending[number] = true;
    m->any_pending = true;
    stop_at_next_block(m);
}

void set_interrupt(Machine *m, int irq, bool level) {
    if (irq < 0)
        return;
    m->line[EXCEPTION_IRQ0 + irq] = level;
    if (level)
        pend(m, EXCEPTION_IRQ0 + irq);
}

int most_urgent(const Machine *m) {
    int best = 0;
    for (int i = EXCEPTION_NMI; i < EXCEPTIONS; i++)
        if (m->pending[i] && is_enabled(m, i) &&
            (!best || priority_of(m, i) < priority_of(m, best)))
            best = i;
    return best;
}

bool would_interrupt(const Machine *m) {
    /* WFI wakes on what would preempt if PRIMASK were clear (B1.5.19). */
    int best = most_urgent(m), current = 256;
    for (int i = 1; i < EXCEPTIONS; i++)
        if (m->active[i] && priority_of(m, i) < current)
            current = priority_of(m, i);
    return best && priority_of(m, best) < current;
}

void take_pending(Machine *m) {
    int best = most_urgent(m);
    if (best && priority_of(m, best) < execution_priority(m))
        enter(m, best);
    m->any_pending = false;
    for (int i = EXCEPTION_NMI; i < EXCEPTIONS; i++)
        m->any_pending |= m->pending[i];
}

static bool pop_frame(Machine *m, uint32_t frame, bool extended, uint32_t *words, uint32_t *fp) {
    for (uint32_t i = 0; i < 8; i++)
        if (!load_word(m, frame + 4 * i, &words[i]))
            return false;
    for (uint32_t i = 0; extended && i < 17; i++)
        if (!load_word(m, frame + BASIC_FRAME + 4 * i, &fp[i]))
            return false;
    return true;
}

/* An exception return that fails is chained to the fault: the frame it meant stays where it is, the
 * handler's lr says where that is (DDI 0403, ExceptionReturn() and B1.5.12). */
static void fail_return(Machine *m, int number, uint32_t cfsr_bits, uint32_t exc_return,
                        Stacks stacks) {
    m->cfsr |= cfsr_bits;
    number = escalate(m, number, execution_priority(m));
    uint32_t control = read_control(m);
    if (number)
        take(m, number, control, stacks, exc_return | 0xF0000000u);
    else
        lock_up(m);
}

void return_from_exception(Machine *m, uint32_t exc_return) {
    uint32_t number = *m->ipsr;
    uint32_t control = read_control(m) & ~(CONTROL_SPSEL | CONTROL_FPCA);
    Stacks stacks = read_stacks(m);
    uint32_t kind = exc_return & 0xF, words[8], fp[17], nesting = 0;
    bool extended = !(exc_return & 0x10), to_handler = kind == 1, process = kind == 0xD;
    for (int i = 1; i < EXCEPTIONS; i++)
        nesting += m->active[i];

    /* A frame can hold any number: not all have an exception. */
    bool was_active = number < EXCEPTIONS && m->active[number];
    if (was_active)
        m->active[number] = false;
    if (was_active && m->line[number]) /* its peripheral still asks (B3.4) */
        pend(m, (int)number);
    if (number != EXCEPTION_NMI)
        m->ipsr[LIVE_FAULTMASK] = 0;
    if (!was_active || (exc_return | 0x1F) != 0xFFFFFFFF ||
        (kind != 1 && kind != 9 && kind != 0xD) ||
        to_handler != (nesting > 1 && !(!to_handler && (m->ccr & CCR_NONBASETHRDENA)))) {
        fail_return(m, EXCEPTION_USAGE, CFSR_INVPC, exc_return, stacks);
        return;
    }
    uint32_t *stack = process ? &stacks.process : &stacks.main, frame = *stack;
    if (!pop_frame(m, frame, extended, words, fp)) {
        fail_return(m, EXCEPTION_BUS, CFSR_UNSTKERR, exc_return, stacks);
        return;
    }
    uint32_t psr = words[7];
    if (to_handler != ((psr & 0x1FF) != 0)) {
        fail_return(m, EXCEPTION_USAGE, CFSR_INVPC, exc_return, stacks);
        return;
    }
    *stack = frame + (extended ? EXTENDED_FRAME : BASIC_FRAME) + (psr & PSR_FRAME_ALIGNED ? 4 : 0);
    if (process)
        control |= CONTROL_SPSEL;
    if (extended)
        control |= CONTROL_FPCA;
    set_mode(m, psr & 0x1FF, control, stacks);
    for (uint32_t i = 0; i < 6; i++)
        write_register(m, frame_registers[i], words[i]);
    for (uint32_t i = 0; extended && i < 16; i++)
        write_register(m, UC_ARM_REG_S0 + (int)i, fp[i]);
    if (extended)
        write_register(m, UC_ARM_REG_FPSCR, fp[16]);
    write_register(m, UC_ARM_REG_R15, (words[6] & ~1u) | (psr & PSR_THUMB ? 1 : 0));
    set_program_status(m, psr);
    if (m->observer)
        observe_return(m);
    m->status.cycles += EXIT_CYCLES;
}

void reset_exceptions(Machine *m) {
    memset(m->pending, 0, sizeof m->pending);
    memset(m->active, 0, sizeof m->active);
    memset(m->enabled, 0, sizeof m->enabled);
    memset(m->priority, 0, sizeof m->priority);
    m->any_pending = false;
    m->vtor = m->prigroup = m->scr = m->shcsr_enables = 0;
    m->cfsr = m->hfsr = m->dfsr = m->mmfar = m->bfar = m->cpacr = 0;
    m->ccr = CCR_STKALIGN;
    m->fpccr = 0xC0000000;
    m->fpcar = m->fpdscr = 0;
}
