/* Halting debug of the core: what do DHCSR, DCRSR, DCRDR and DEMCR answer, and when does the core
 * halt? DDI 0403, C1.4 to C1.6. */
#include "machine.h"
#include <string.h>

/* Offsets from PPB_BASE. */
enum { DHCSR = 0xEDF0, DCRSR = 0xEDF4, DCRDR = 0xEDF8, DEMCR = 0xEDFC };

#define DEBUG_KEY 0xA05Fu
#define S_REGRDY (1u << 16)
#define S_HALT (1u << 17)
#define S_SLEEP (1u << 18)
#define S_LOCKUP (1u << 19)
#define S_RETIRE_ST (1u << 24)
#define S_RESET_ST (1u << 25)
#define DCRSR_WRITE (1u << 16)
#define DEMCR_VECTOR_CATCH 0x7F1u
#define MON_PEND (1u << 17)
#define DEMCR_MASK (TRCENA | MON_EN | DEMCR_VECTOR_CATCH) /* no stepping by the monitor */

/* DCRSR.REGSEL */
enum {
    SELECT_SP = 13,
    SELECT_RETURN = 15,
    SELECT_PSR = 16,
    SELECT_MSP = 17,
    SELECT_PSP = 18,
    SELECT_MASKS = 20,
    SELECT_FPSCR = 33,
    SELECT_S0 = 64,
    SELECT_S31 = 95,
};

bool halting_debug(const Machine *m) { return m->debug.control & C_DEBUGEN; }

bool debugger_steps(const Machine *m) {
    return (m->debug.control & (C_DEBUGEN | C_STEP)) == (C_DEBUGEN | C_STEP);
}

void halt_core(Machine *m, uint32_t reason) {
    m->dfsr |= reason;
    m->debug.control |= C_HALT;
    m->debug.halted = true;
    if (m->sleep == SLEEPS_ON_EXIT)
        finish_return(m, m->exit_link);
    m->sleep = AWAKE;
    if (m->status.state == LOCKED_UP)
        m->status.state = RUNNING; /* leaving Debug state, it tries again */
}

/* Does the core stand still for the debugger? Asked between instructions. */
bool debugger_halts(Machine *m) {
    if (!m->debug.halted && halting_debug(m) && (m->debug.control & C_HALT))
        halt_core(m, DFSR_HALTED);
    return m->debug.halted;
}

/* An exception was just entered, or the core reset, that these bits of DEMCR are about. */
void catch_vector(Machine *m, uint32_t vector_catch) {
    if (halting_debug(m) && (m->demcr & vector_catch))
        halt_core(m, DFSR_VCATCH);
}

/* Debug logic outlives every reset but power-on. */
void reset_debug(Machine *m, bool power) {
    Debug *d = &m->debug;
    if (power) {
        d->control = d->fpb_control = d->fpb_remap = d->transfer = 0;
        memset(d->fpb, 0, sizeof d->fpb);
        memset(d->watch, 0, sizeof d->watch);
        d->itm_enable = d->itm_privilege = d->itm_control = 0;
        memset(d->tpiu, 0, sizeof d->tpiu);
        d->comparators_changed = true;
        m->demcr = 0;
    } else if (!halting_debug(m)) {
        m->demcr = 0;
    }
    m->demcr &= ~MON_EN; /* reset with the system */
    d->halted = false;   /* C_HALT stays: what was wanted before the reset is wanted after it */
    d->reset_seen = true;
    catch_vector(m, VC_CORERESET);
}

static uint32_t read_dhcsr(Machine *m) {
    Debug *d = &m->debug;
    uint32_t word = d->control | S_REGRDY | (d->halted ? S_HALT : 0) |
                    (d->reset_seen ? S_RESET_ST : 0) | (m->status.state == ASLEEP ? S_SLEEP : 0) |
                    (m->status.state == LOCKED_UP ? S_LOCKUP : 0) |
                    (m->status.instructions != d->retired_count ? S_RETIRE_ST : 0);
    if (m->port.visiting) {
        d->reset_seen = false;
        d->retired_count = m->status.instructions;
    }
    return word;
}

static void write_dhcsr(Machine *m, uint32_t value) {
    Debug *d = &m->debug;
    uint32_t was = d->control;
    if (value >> 16 != DEBUG_KEY)
        return;
    if (!m->port.visiting) /* C_DEBUGEN is the debugger's alone */
        value = (value & ~C_DEBUGEN) | (was & C_DEBUGEN);
    d->control =
        value & C_DEBUGEN ? value & (C_DEBUGEN | C_HALT | C_STEP | C_MASKINTS | C_SNAPSTALL) : 0;
    if ((was ^ d->control) & C_DEBUGEN)
        d->comparators_changed = true;
    if (!(d->control & C_HALT) && d->halted) {
        d->halted = false;
        forget_last_block(m, m->registers[15]);
    }
    m->any_pending = true; /* C_MASKINTS may have changed */
    stop_at_next_block(m);
}

static uint32_t read_masks(const Machine *m) {
    return read_control(m) << 24 | m->ipsr[LIVE_FAULTMASK] << 16 | m->control[LIVE_BASEPRI] << 8 |
           m->ipsr[LIVE_PRIMASK];
}

static void write_masks(Machine *m, uint32_t value) {
    m->ipsr[LIVE_PRIMASK] = value & 1;
    m->control[LIVE_BASEPRI] = value >> 8 & 0xFF & m->priority_mask;
    m->ipsr[LIVE_FAULTMASK] = value >> 16 & 1;
    set_mode(m, *m->ipsr, value >> 24 & 7, read_stacks(m));
    m->any_pending = true; /* look again */
}

static uint32_t read_selected(Machine *m, uint32_t selected) {
    Stacks stacks = read_stacks(m);
    if (selected < SELECT_RETURN)
        return m->registers[selected];
    if (selected >= SELECT_S0 && selected <= SELECT_S31)
        return read_register(m, UC_ARM_REG_S0 + (int)(selected - SELECT_S0));
    switch (selected) {
    case SELECT_RETURN:
        return m->registers[15] & ~1u;
    case SELECT_PSR:
        return program_status(m);
    case SELECT_MSP:
        return stacks.main;
    case SELECT_PSP:
        return stacks.process;
    case SELECT_MASKS:
        return read_masks(m);
    case SELECT_FPSCR:
        return read_register(m, UC_ARM_REG_FPSCR);
    default:
        return 0;
    }
}

static void write_selected(Machine *m, uint32_t selected, uint32_t value) {
    Stacks stacks = read_stacks(m);
    if (selected < SELECT_RETURN) {
        m->registers[selected] = selected == SELECT_SP ? value & ~3u : value;
        return;
    }
    if (selected >= SELECT_S0 && selected <= SELECT_S31) {
        write_register(m, UC_ARM_REG_S0 + (int)(selected - SELECT_S0), value);
        return;
    }
    switch (selected) {
    case SELECT_RETURN: /* keeps the Thumb bit, which Unicorn takes from bit 0 */
        write_register(m, UC_ARM_REG_R15, (value & ~1u) | (program_status(m) >> 24 & 1));
        break;
    case SELECT_PSR:
        set_mode(m, value & 0x1FF, read_control(m), stacks);
        set_program_status(m, value);
        break;
    case SELECT_MSP:
        stacks.main = value & ~3u;
        set_mode(m, *m->ipsr, read_control(m), stacks);
        break;
    case SELECT_PSP:
        stacks.process = value & ~3u;
        set_mode(m, *m->ipsr, read_control(m), stacks);
        break;
    case SELECT_MASKS:
        write_masks(m, value);
        break;
    case SELECT_FPSCR:
        write_register(m, UC_ARM_REG_FPSCR, value);
        break;
    default:
        break;
    }
}

static void transfer_register(Machine *m, uint32_t value) {
    uint32_t selected = value & 0x7F;
    if (!m->debug.halted)
        return; /* UNPREDICTABLE, and no debugger does it */
    if (value & DCRSR_WRITE)
        write_selected(m, selected, m->debug.transfer);
    else
        m->debug.transfer = read_selected(m, selected);
}

uint32_t read_debug_register(Machine *m, uint32_t offset) {
    switch (offset) {
    case DHCSR:
        return read_dhcsr(m);
    case DCRDR:
        return m->debug.transfer;
    case DEMCR:
        return m->demcr | (m->pending[EXCEPTION_DEBUG] ? MON_PEND : 0);
    default:
        return 0; /* DCRSR is write-only */
    }
}

void write_debug_register(Machine *m, uint32_t offset, uint32_t value) {
    switch (offset) {
    case DHCSR:
        write_dhcsr(m, value);
        break;
    case DCRSR:
        transfer_register(m, value);
        break;
    case DCRDR:
        m->debug.transfer = value;
        break;
    case DEMCR:
        if ((m->demcr ^ value) & TRCENA)
            m->debug.comparators_changed = true;
        m->demcr = value & DEMCR_MASK;
        m->pending[EXCEPTION_DEBUG] = value & MON_PEND;
        m->any_pending = true;
        stop_at_next_block(m);
        break;
    default:
        break;
    }
}
