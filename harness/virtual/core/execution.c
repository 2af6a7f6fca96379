/* The run loop: Unicorn executes, this file decides what a stop meant and hands it to exceptions.c.
 */
#include "machine.h"
#include <stdio.h>
#include <string.h>

#define LOOK_AROUND_CYCLES 2000000 /* some 20 ms of host time */

#define PUMP_CYCLES 10000 /* a call of the kernel's costs as much as an exception */

/* QEMU's EXCP_* */
enum { UC_SWI = 2, UC_DATA_ABORT = 4, UC_BKPT = 7, UC_EXCEPTION_EXIT = 8, UC_NO_COPROCESSOR = 17 };

void stop_at_next_block(Machine *m) {
    __atomic_store_n(&m->next_event, 0, __ATOMIC_SEQ_CST);
    if (m->port.visiting)
        m->port.disturbed = true;
}

/* When does something happen without any instruction? NEVER: nothing is due. */
uint64_t next_timed_event(const Machine *m) {
    uint64_t next = next_device_event(m);
    if (m->systick_on && m->systick_interrupts && m->systick_zero_at < next)
        next = m->systick_zero_at;
    return next;
}

static void plan_next_event(Machine *m) {
    m->next_event = m->status.cycles + LOOK_AROUND_CYCLES;
    uint64_t next = next_timed_event(m), end = deadline_cycles(m);
    if (next < m->next_event)
        m->next_event = next;
    if (end < m->next_event)
        m->next_event = end;
    if (debugger_steps(m))
        m->next_event = m->status.cycles + 1; /* behind the first block */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (m->port.running && (m->stop_wanted || visitors_wait(m)))
        m->next_event = 0;
}

void on_interrupt(uc_engine *uc, uint32_t number, void *user) {
    ((Machine *)user)->interrupt = (int)number;
    uc_emu_stop(uc);
}

static void take_interrupt(Machine *m, uint32_t pc) {
    switch (m->interrupt) {
    case UC_SWI:
        raise_fault(m, EXCEPTION_SVC, 0, 0);
        break;
    case UC_BKPT:
        settle_at(m, pc);
        if (halting_debug(m)) {
            halt_core(m, DFSR_BKPT);
            break;
        }
        raise_breakpoint(m);
        break;
    case UC_EXCEPTION_EXIT:
        return_from_exception(m, pc | 1);
        break;
    case UC_DATA_ABORT: /* an exclusive access that is not aligned */
        settle_at(m, pc);
        raise_fault(m, EXCEPTION_USAGE, CFSR_UNALIGNED, 0);
        break;
    case UC_NO_COPROCESSOR: /* any but 10 and 11, which are the FPU */
        settle_at(m, pc);
        raise_fault(m, EXCEPTION_USAGE, CFSR_NOCP, 0);
        break;
    default:
        snprintf(m->error, sizeof m->error, "unexpected emulator exception %d at 0x%08x",
                 m->interrupt, pc);
    }
}

/* What virtual time has brought by now. */
void catch_up(Machine *m) {
    advance_systick(m, m->status.cycles);
    advance_devices(m, m->status.cycles);
    check_deadline(m);
}

static bool debugger_wants(const Machine *m) {
    return halting_debug(m) && (m->debug.control & (C_HALT | C_STEP));
}

/* WFE and YIELD stop Unicorn like an undefined instruction. */
static void refuse_instruction(Machine *m, uint32_t pc) {
    enum { YIELD = 0xBF10, YIELD_WIDE = 0x8001 };
    if (m->last->last_class == CLASS_WAIT_EVENT && pc == m->last->end) {
        uint16_t code;
        memcpy(&code, memory_at(m, pc - 2, 2, false), sizeof code);
        if (code != YIELD && code != YIELD_WIDE)
            m->sleep = SLEEPS_FOR_EVENT;
        return;
    }
    settle_at(m, pc);
    raise_fault(m, EXCEPTION_USAGE, CFSR_UNDEFINSTR, 0);
}

static bool is_woken(Machine *m) {
    if (debugger_wants(m))
        return true; /* Debug entry wakes a core, as silicon has it */
    return m->sleep == SLEEPS_FOR_EVENT ? m->event || takeable(m) : would_interrupt(m);
}

static void wake_up(Machine *m) {
    SleepKind slept = m->sleep;
    m->sleep = AWAKE;
    if (slept == SLEEPS_FOR_EVENT)
        m->event = false;
    if (slept == SLEEPS_ON_EXIT)
        finish_return(m, m->exit_link);
}

/* Until something wakes the core, or somebody wants a stop or a reset: it sleeps on after that. */
static void sleep_on(Machine *m) {
    while (!m->stop_wanted && !m->reset_wanted) {
        admit_visitors(m);
        m->port.disturbed = false;
        catch_up(m);
        if (is_woken(m)) {
            wake_up(m);
            return;
        }
        if (line_stalls(m))
            continue;
        uint64_t next = next_timed_event(m), end = deadline_cycles(m);
        bool wakes = next_device_event(m) != NEVER || !m->pending[EXCEPTION_SYSTICK];
        if (next != NEVER && wakes) { /* a masked tick wakes nothing, ever */
            next = end < next ? end : next;
            pump_serial(m);
            if (pace_until(m, next))
                m->status.cycles = next; /* nothing happens before */
        } else {
            wait_for_anything(m, ASLEEP, true);
            pump_serial(m);
        }
    }
}

static void reset_chip(Machine *m) {
    memset(m->line, 0, sizeof m->line);
    m->accelerator = m->parts.accelerator;
    set_core_clock(m, m->parts.reset_hz);
    accelerator_changed(m);
    for (int i = 0; i < CLOCKS; i++)
        m->cycles_per_tick[i] = 1;
    reset_devices(m); /* which may set any of these */
}

void reset_core(Machine *m) {
    uint32_t vector[2];
    if (m->observer)
        observe_reset(m);
    uc_context_restore(m->uc, m->pristine);
    reset_exceptions(m);
    reset_system(m);
    if (!m->reset_spares_devices)
        reset_chip(m);
    m->reset_spares_devices = false;
    memcpy(vector, m->memories[0].bytes, sizeof vector);
    write_register(m, UC_ARM_REG_R13, vector[0] & ~3u);
    write_register(m, UC_ARM_REG_R14, 0xFFFFFFFF);
    write_register(m, UC_ARM_REG_R15, vector[1]);
    forget_last_block(m, vector[1] & ~1u);
    m->reset_wanted = false;
    m->retranslate = true;
    m->access_in = NEVER;
    m->store_refused = false;
    m->polls = 0;
    m->status.state = RUNNING;
    reset_debug(m, m->reset_cause == RESET_POWER);
}

static bool exits_at(const Machine *m, uint32_t pc) {
    for (uint32_t i = 0; i < m->debug.exit_count; i++)
        if (m->debug.exits[i] == pc)
            return true;
    return false;
}

static void execute(Machine *m) {
    uint32_t pc = read_register(m, UC_ARM_REG_R15) & ~1u;
    uint32_t thumb = read_register(m, UC_ARM_REG_CPSR) >> 5 & 1;
    if (!thumb) {
        raise_fault(m, EXCEPTION_USAGE, CFSR_INVSTATE, 0);
        return;
    }
    m->interrupt = -1;
    m->trap_cfsr = 0;
    m->access_refused = m->stop_at_block = false;
    plan_next_event(m);
    uc_err error = uc_emu_start(m->uc, pc | 1, 0, 0, 0);
    pc = read_register(m, UC_ARM_REG_R15) & ~1u;
    if (m->stop_at_block && !m->debug.watch_hit)
        return;
    if (m->trap_cfsr) {
        settle_at(m, m->trap_pc);
        write_register(m, UC_ARM_REG_R15, m->trap_pc | 1);
        raise_fault(m, EXCEPTION_USAGE, m->trap_cfsr, 0);
    } else if (m->access_refused) {
        refuse_access(m, pc);
    } else if (m->interrupt >= 0) {
        take_interrupt(m, pc);
    } else if (error == UC_ERR_INSN_INVALID) {
        if (read_register(m, UC_ARM_REG_CPSR) >> 5 & 1)
            refuse_instruction(m, pc);
        else
            raise_fault(m, EXCEPTION_USAGE, CFSR_INVSTATE, 0);
    } else if (m->debug.watch_hit) {
        settle_at(m, pc);
        halt_core(m, DFSR_DWTTRAP);
    } else if (error == UC_ERR_OK && m->last->last_class == CLASS_WAIT_INTERRUPT &&
               m->last->end == pc) {
        m->sleep = SLEEPS_FOR_INTERRUPT;
    } else if (error != UC_ERR_OK || !exits_at(m, pc)) {
        snprintf(m->error, sizeof m->error, "emulator stopped at 0x%08x: %s", pc,
                 uc_strerror(error));
    }
    m->debug.watch_hit = false;
    forget_last_block(m, read_register(m, UC_ARM_REG_R15) & ~1u);
}

/* One instruction for the debugger: the block ends behind it, and wherever else it leads, the next
 * block does not start. */
static void step(Machine *m) {
    uint32_t pc = m->registers[15] & ~1u;
    uint64_t cycles = m->status.cycles, instructions = m->status.instructions;
    Instruction i;
    if (fetch_instruction(m, pc, &i)) {
        uint32_t behind = pc + i.bytes;
        place_exits(m, &behind);
        execute(m);
        place_exits(m, NULL);
    } else {
        execute(m);
    }
    bool moved = pc != (m->registers[15] & ~1u) || cycles != m->status.cycles ||
                 instructions != m->status.instructions;
    if (moved && !m->debug.halted)
        halt_core(m, DFSR_HALTED);
}

/* What the debugger or the firmware asked for since the last block. */
static void settle(Machine *m) {
    if (m->reset_wanted) /* before a debugger writes what a power-on would clear */
        reset_core(m);
    admit_visitors(m);
    m->port.disturbed = false;
    if (m->reset_wanted)
        reset_core(m);
    if (m->debug.comparators_changed)
        place_comparators(m);
    if (m->debug.written_end != m->debug.written_first) {
        translate_anew(m, m->debug.written_first, m->debug.written_end);
        m->debug.written_first = m->debug.written_end = 0;
    }
    if (m->stale_to) {
        uc_ctl_remove_cache(m->uc, m->stale_from, m->stale_to);
        m->stale_to = 0;
    }
    if (m->retranslate) {
        m->retranslate = false;
        uc_ctl_flush_tb(m->uc);
        forget_costs(m);
        memset(m->code_pages, 0, m->memories[0].part.size / MAP_BYTES);
    }
    answer_visitor(m);
}

/* To the next event. False: the core stands still, `*state` says why. */
static bool advance(Machine *m, RunState *state) {
    settle(m);
    if (debugger_halts(m) || m->status.state == LOCKED_UP) {
        *state = m->debug.halted ? HALTED : LOCKED_UP;
        return false;
    }
    if (m->port.running && !debugger_steps(m) && line_stalls(m))
        return true;
    if (m->status.cycles >= m->pump_due) {
        pump_serial(m);
        m->pump_due = m->status.cycles + PUMP_CYCLES;
    }
    catch_up(m);
    if (m->sleep)
        sleep_on(m);
    if (m->sleep || m->reset_wanted) /* the latter by a watchdog */
        return true;
    uint64_t before = m->status.cycles;
    if (m->store_refused) {
        m->store_refused = false;
        raise_fault(m, EXCEPTION_BUS, CFSR_IMPRECISERR, 0);
    }
    if (m->any_pending)
        take_pending(m);
    if (m->status.state == LOCKED_UP || m->debug.halted)
        return true;
    if (breakpoint_at(m, m->registers[15] & ~1u))
        halt_core(m, DFSR_BKPT);
    else if (!debugger_steps(m))
        execute(m);
    else if (m->status.cycles != before) /* stepped into the exception */
        halt_core(m, DFSR_HALTED);
    else
        step(m);
    return true;
}

void run_once(Machine *m) {
    RunState state;
    advance(m, &state);
}

/* Run until the control thread wants a stop. NULL, or what broke inside the emulation itself. */
EXPORT const char *machine_run(Machine *m) {
    RunState state;
    take_machine(m);
    if (m->status.state == STOPPED)
        m->status.state = RUNNING;
    while (!m->stop_wanted && !m->error[0])
        if (!advance(m, &state)) {
            answer_visitor(m);
            wait_for_anything(m, state, false);
        }
    finish_serial(m);
    if (m->status.state != LOCKED_UP)
        m->status.state = STOPPED;
    leave_machine(m);
    return m->error[0] ? m->error : NULL;
}

EXPORT void machine_stop(Machine *m) {
    m->stop_wanted = true;
    m->next_event = 0;
}

EXPORT void machine_allow(Machine *m) { m->stop_wanted = false; }
