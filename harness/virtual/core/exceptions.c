/* How does the core enter and leave an exception, and when does it lock up? DDI 0403, B1.5. Unicorn
 * stops at every exception of an M-profile core and leaves the rest to this file. */
#include "machine.h"
#include <string.h>

enum {
    CONTROL_NPRIV = 1u << 0,
    CONTROL_SPSEL = 1u << 1,
    CONTROL_FPCA = 1u << 2,
    CCR_NONBASETHRDENA = 1u << 0,
    CCR_STKALIGN = 1u << 9,
    PSR_FRAME_ALIGNED = 1u << 9,
    PSR_THUMB = 1u << 24,
    ENTRY_CYCLES = 12, /* DDI 0439, 3.8.2 */
    EXIT_CYCLES = 10,
    TAIL_CYCLES = 6,
    LAZY_CYCLES = 17, /* a word each: S0 to S15 and FPSCR */
    BASIC_FRAME = 0x20,
    EXTENDED_FRAME = 0x68,
};

#define PSR_FLAGS 0xF80F0000u /* NZCVQ and GE: the same bits in CPSR and xPSR */
#define PSR_IT 0x0600FC00u
#define SCR_SLEEPONEXIT (1u << 1)

/* FPCCR */
enum {
    LSPACT = 1u << 0,
    FPCCR_USER = 1u << 1,
    FPCCR_THREAD = 1u << 3,
    FPCCR_HFRDY = 1u << 4,
    FPCCR_MMRDY = 1u << 5,
    FPCCR_BFRDY = 1u << 6,
    FPCCR_MONRDY = 1u << 8,
    FPCCR_STATE = 0x17B,
    LSPEN = 1u << 30,
};

bool in_handler(const Machine *m) { return *m->ipsr != 0; }

uint32_t read_control(const Machine *m) {
    return (m->control[0] & 3) | (m->control[LIVE_FPCA] & CONTROL_FPCA);
}

Stacks read_stacks(const Machine *m) {
    bool process = !*m->ipsr && (m->control[0] & CONTROL_SPSEL);
    uint32_t other = m->control[LIVE_OTHER_SP], current = m->registers[13];
    return process ? (Stacks){other, current} : (Stacks){current, other};
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

static const uint8_t frame_registers[7] = {0, 1, 2, 3, 12, 14, 15};

static bool push_frame(Machine *m, uint32_t frame, uint32_t psr, bool extended) {
    bool stored = true;
    for (uint32_t i = 0; i < 8; i++)
        stored &= store_word(m, frame + 4 * i, i == 7 ? psr : m->registers[frame_registers[i]]);
    for (uint32_t i = 0; extended && i < 16; i++)
        stored &=
            store_word(m, frame + BASIC_FRAME + 4 * i, read_register(m, UC_ARM_REG_S0 + (int)i));
    if (extended)
        stored &= store_word(m, frame + BASIC_FRAME + 64, read_register(m, UC_ARM_REG_FPSCR));
    return stored;
}

/* Leave the FP registers where they are; the first FP instruction, if there is one, stores them
 * (B1.5.7). Unicorn does that by itself, from these fields. */
static void stack_lazily(Machine *m, uint32_t frame) {
    int current = execution_priority(m);
    static const struct {
        int exception;
        uint32_t ready;
    } faults[] = {{EXCEPTION_MEMORY, FPCCR_MMRDY},
                  {EXCEPTION_BUS, FPCCR_BFRDY},
                  {EXCEPTION_DEBUG, FPCCR_MONRDY}};
    uint32_t state = LSPACT | (m->control[0] & CONTROL_NPRIV ? FPCCR_USER : 0) |
                     (in_handler(m) ? 0 : FPCCR_THREAD) | (current > -1 ? FPCCR_HFRDY : 0);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (is_enabled(m, faults[i].exception) && priority_of(m, faults[i].exception) < current)
            state |= faults[i].ready;
    m->ipsr[LIVE_FPCCR] = (m->ipsr[LIVE_FPCCR] & ~FPCCR_STATE) | state;
    m->ipsr[LIVE_FPCAR] = frame + BASIC_FRAME;
    m->lazy_frame = true;
}

/* ExecuteFPCheck() of DDI 0403, B1.5.7, for where Unicorn's own comes too late. */
void begin_fp_context(Machine *m) {
    uint32_t *fpccr = &m->ipsr[LIVE_FPCCR], fpcar = m->ipsr[LIVE_FPCAR];
    if (*fpccr & LSPACT) {
        for (uint32_t i = 0; i < 16; i++)
            store_word(m, fpcar + 4 * i, read_register(m, UC_ARM_REG_S0 + (int)i));
        store_word(m, fpcar + 64, read_register(m, UC_ARM_REG_FPSCR));
        *fpccr &= ~(uint32_t)LSPACT;
    }
    if ((*fpccr & FPCCR_ASPEN) && !m->control[LIVE_FPCA]) {
        write_register(m, UC_ARM_REG_FPSCR, m->ipsr[LIVE_FPDSCR]);
        m->control[LIVE_FPCA] = CONTROL_FPCA;
    }
}

/* What storing them took, where it has happened since somebody asked. */
void settle_lazy_stacking(Machine *m) {
    if (m->lazy_frame && !(m->ipsr[LIVE_FPCCR] & LSPACT)) {
        m->lazy_frame = false;
        m->status.cycles += LAZY_CYCLES;
    }
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
}

/* One that arrives while the frame is being stacked, and is more urgent, is taken with that frame;
 * the other stays pending (late arrival, B1.5.13). */
static int take_late_arrival(Machine *m, int number) {
    catch_up(m);
    int late = most_urgent(m);
    if (!late || priority_of(m, late) >= priority_of(m, number))
        return number;
    pend(m, number);
    return late;
}

/* The frame did not fit: a derived exception (B1.5.11), taken in place of the one being entered,
 * which stays pending where it is the less urgent of the two. 0: the core locks up. */
static int derive(Machine *m, int number) {
    m->cfsr |= CFSR_STKERR;
    if (number <= EXCEPTION_HARD)
        return 0;
    pend(m, number);
    if (is_enabled(m, EXCEPTION_BUS) && priority_of(m, EXCEPTION_BUS) < priority_of(m, number))
        return EXCEPTION_BUS;
    m->hfsr |= HFSR_FORCED;
    return EXCEPTION_HARD;
}

/* Returns the exception that was taken. */
static int enter(Machine *m, int number) {
    settle_lazy_stacking(m);
    uint32_t control = read_control(m);
    bool handler = in_handler(m), extended = control & CONTROL_FPCA;
    bool process = !handler && (control & CONTROL_SPSEL);
    bool lazy = extended && (m->ipsr[LIVE_FPCCR] & LSPEN);
    Stacks stacks = read_stacks(m);
    uint32_t *stack = process ? &stacks.process : &stacks.main;
    bool aligns = (m->ccr & CCR_STKALIGN) || extended, misaligned = aligns && (*stack & 4);
    uint32_t frame = *stack - (extended ? EXTENDED_FRAME : BASIC_FRAME) - (misaligned ? 4 : 0);
    uint32_t psr = program_status(m) | (misaligned ? PSR_FRAME_ALIGNED : 0);

    if (m->observer)
        observe_switch(m);
    bool stored = push_frame(m, frame, psr, extended && !lazy);
    if (stored && lazy)
        stack_lazily(m, frame);
    m->status.cycles += ENTRY_CYCLES + (extended && !lazy ? LAZY_CYCLES : 0);
    number = stored ? take_late_arrival(m, number) : derive(m, number);
    if (!number) {
        lock_up(m);
        return 0;
    }
    *stack = frame;

    uint32_t origin = handler ? 0 : process ? 0xC : 0x8;
    take(m, number, control, stacks, 0xFFFFFFE1u | (extended ? 0 : 0x10) | origin);
    return number;
}

/* Which exception a fault becomes at execution priority `current`; 0: the core locks up. */
static int escalate(Machine *m, int number, int current) {
    if (number != EXCEPTION_HARD && (!is_enabled(m, number) || priority_of(m, number) >= current)) {
        number = EXCEPTION_HARD;
        m->hfsr |= HFSR_FORCED;
    }
    return number == EXCEPTION_HARD && current <= -1 ? 0 : number;
}

/* The bit of DEMCR that a debugger halts the core with at this fault. */
static uint32_t vector_catch_of(int number, uint32_t cfsr_bits) {
    if (number == EXCEPTION_HARD)
        return VC_HARDERR;
    if (cfsr_bits & (CFSR_STKERR | CFSR_UNSTKERR))
        return VC_INTERR;
    if (number == EXCEPTION_MEMORY)
        return VC_MMERR;
    if (number == EXCEPTION_BUS)
        return VC_BUSERR;
    if (number != EXCEPTION_USAGE)
        return 0;
    if (cfsr_bits & CFSR_NOCP)
        return VC_NOCPERR;
    return cfsr_bits & (CFSR_UNALIGNED | CFSR_DIVBYZERO) ? VC_CHKERR : VC_STATERR;
}

void raise_fault(Machine *m, int number, uint32_t cfsr_bits, uint32_t hfsr_bits) {
    int current = execution_priority(m);
    m->cfsr |= cfsr_bits;
    m->hfsr |= hfsr_bits;
    record_fault(m, number, cfsr_bits);
    number = escalate(m, number, current);
    if (!number) {
        lock_up(m);
        return;
    }
    if (enter(m, number) == number)
        catch_vector(m, vector_catch_of(number, cfsr_bits));
}

/* BKPT with no debugger: the monitor's, where it is enabled and urgent enough (C1.6.3). */
void raise_breakpoint(Machine *m) {
    m->dfsr |= DFSR_BKPT;
    if (is_enabled(m, EXCEPTION_DEBUG) && priority_of(m, EXCEPTION_DEBUG) < execution_priority(m))
        raise_fault(m, EXCEPTION_DEBUG, 0, 0);
    else
        raise_fault(m, EXCEPTION_HARD, 0, HFSR_DEBUGEVT);
}

void take_pending(Machine *m) {
    int next = takeable(m);
    if (next)
        enter(m, next);
    m->any_pending = most_urgent(m) != 0;
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
    if (!number) {
        lock_up(m);
        return;
    }
    take(m, number, control, stacks, exc_return | 0xF0000000u);
    m->status.cycles += ENTRY_CYCLES;
    catch_vector(m, vector_catch_of(number, cfsr_bits));
}

/* From one handler straight into the next, with the frame that is there (B1.5.12). */
static void chain(Machine *m, int number, uint32_t exc_return) {
    if (m->observer)
        observe_return(m);
    take(m, number, read_control(m), read_stacks(m), exc_return);
    m->status.cycles += TAIL_CYCLES;
}

/* The handler is done; unstack, unless another exception wants the frame or arrives meanwhile. */
void finish_return(Machine *m, uint32_t exc_return) {
    uint32_t control = read_control(m) & ~(CONTROL_SPSEL | CONTROL_FPCA), words[8], fp[17];
    bool extended = !(exc_return & 0x10), process = (exc_return & 0xF) == 0xD;
    bool to_handler = (exc_return & 0xF) == 1, lazy = m->ipsr[LIVE_FPCCR] & LSPACT;
    if (m->observer)
        observe_switch(m);
    int next = takeable(m);
    if (next) {
        chain(m, next, exc_return);
        return;
    }
    m->status.cycles += EXIT_CYCLES + (extended && !lazy ? LAZY_CYCLES : 0);
    catch_up(m);
    next = takeable(m);
    if (next) {
        chain(m, next, exc_return);
        return;
    }
    Stacks stacks = read_stacks(m);
    uint32_t *stack = process ? &stacks.process : &stacks.main, frame = *stack;
    if (!pop_frame(m, frame, extended && !lazy, words, fp)) {
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
    if (extended) {
        control |= CONTROL_FPCA;
        m->ipsr[LIVE_FPCCR] &= ~(uint32_t)LSPACT;
        m->lazy_frame = false;
    }
    set_mode(m, psr & 0x1FF, control, stacks);
    for (uint32_t i = 0; i < 6; i++)
        m->registers[frame_registers[i]] = words[i];
    for (uint32_t i = 0; extended && !lazy && i < 16; i++)
        write_register(m, UC_ARM_REG_S0 + (int)i, fp[i]);
    if (extended && !lazy)
        write_register(m, UC_ARM_REG_FPSCR, fp[16]);
    write_register(m, UC_ARM_REG_R15, (words[6] & ~1u) | (psr & PSR_THUMB ? 1 : 0));
    set_program_status(m, psr);
    if (m->observer)
        observe_return(m);
}

void return_from_exception(Machine *m, uint32_t exc_return) {
    settle_lazy_stacking(m);
    uint32_t number = *m->ipsr, kind = exc_return & 0xF, nesting = 0;
    bool to_handler = kind == 1;
    for (int i = 1; i < EXCEPTIONS; i++)
        nesting += m->active[i];

    /* A frame can hold any number: not all have an exception. */
    bool was_active = number < EXCEPTIONS && m->active[number];
    if (was_active)
        deactivate(m, (int)number);
    if (number != EXCEPTION_NMI)
        m->ipsr[LIVE_FAULTMASK] = 0;
    m->event = true;
    if (!was_active || (exc_return | 0x1F) != 0xFFFFFFFF ||
        (kind != 1 && kind != 9 && kind != 0xD) ||
        to_handler != (nesting > 1 && !(!to_handler && (m->ccr & CCR_NONBASETHRDENA)))) {
        fail_return(m, EXCEPTION_USAGE, CFSR_INVPC, exc_return, read_stacks(m));
        return;
    }
    if (!to_handler && (m->scr & SCR_SLEEPONEXIT) && !takeable(m)) {
        m->sleep = SLEEPS_ON_EXIT;
        m->exit_link = exc_return;
        return;
    }
    finish_return(m, exc_return);
}

void reset_exceptions(Machine *m) {
    reset_nvic(m);
    m->vtor = m->prigroup = m->scr = m->shcsr_enables = 0;
    m->cfsr = m->hfsr = m->dfsr = m->mmfar = m->bfar = m->cpacr = 0;
    m->ccr = CCR_STKALIGN;
    m->mpu.control = 0; /* the regions are unknown after a reset; here they stay */
    m->sleep = AWAKE;
    m->lazy_frame = false;
    /* Unicorn's own view of who may use the FPU is open; traps.c refuses where CPACR does. */
    m->ipsr[LIVE_FPCCR] = FPCCR_ASPEN | LSPEN;
    m->ipsr[LIVE_SECURE_FPCCR] = 0;
    m->ipsr[LIVE_CPACR] = 0x00F00000;
    m->ipsr[LIVE_NSACR] = 0xCFF;
}
