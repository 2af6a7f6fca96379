/* Which instructions must be looked at each time they execute? Divisions, whose time depends on
 * their operands, and those that may have to trap, when their block is first seen in a mode that
 * makes them trap. Each gets a hook of its own. */
#include "machine.h"
#include <string.h>

static bool sets_event(const Machine *m, const Instruction *i, uint32_t pc) {
    enum { SEV = 0xBF40, SEV_WIDE = 0x8004 };
    if (i->class_ != CLASS_HINT)
        return false;
    uint16_t code;
    memcpy(&code, memory_at(m, pc + i->bytes - 2, 2, false), sizeof code);
    return code == (i->bytes == 2 ? SEV : SEV_WIDE);
}

enum { CCR_UNALIGN_TRP = 1u << 3, CCR_DIV_0_TRP = 1u << 4, CPACR_FULL = 0x00F00000 };

/* A division ends early where its quotient is short: its operands tell, each time. */
static void pay_for_division(Machine *m, uint32_t pc) {
    uint16_t halfwords[2];
    memcpy(halfwords, memory_at(m, pc, 4, false), 4);
    bool is_signed = (halfwords[0] & 0x20) == 0;
    uint32_t more = division_cycles(m->registers[halfwords[0] & 0xF],
                                    m->registers[halfwords[1] & 0xF], is_signed) -
                    SHORTEST_DIVISION;
    m->status.cycles += more;
    if (m->observer)
        observe_more(m, SPENT_DIVIDE, more);
}

static void on_trap(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)size;
    Machine *m = user;
    uint32_t pc = (uint32_t)address;
    Instruction i;
    if (!fetch_instruction(m, pc, &i))
        return;
    if (i.class_ == CLASS_DIV)
        pay_for_division(m, pc);
    if (sets_event(m, &i, pc)) {
        m->event = true;
    } else if (i.is_fp && (m->cpacr & CPACR_FULL) != CPACR_FULL) {
        m->trap_cfsr = CFSR_NOCP;
    } else if (i.class_ == CLASS_DIV && (m->ccr & CCR_DIV_0_TRP)) {
        uint32_t divisor = memory_at(m, pc + 2, 2, false)[0] & 0xF;
        if (m->registers[divisor] == 0) /* LR too, which Unicorn does not number in a row */
            m->trap_cfsr = CFSR_DIVBYZERO;
    } else if (i.access_bytes > 1 && (m->ccr & CCR_UNALIGN_TRP)) {
        if (effective_address(m, &i, pc) & (i.access_bytes - 1u))
            m->trap_cfsr = CFSR_UNALIGNED;
    }
    if (m->trap_cfsr) {
        m->trap_pc = pc;
        uc_emu_stop(uc);
    }
}

/* Unicorn gets an FP context ready where it translates a block's first FP instruction, and takes it
 * for ready behind that even where IT skipped it. */
static bool governs_fp(const Machine *m, const Instruction *it, uint32_t pc) {
    Instruction i;
    uint32_t at = pc + it->bytes;
    for (uint32_t k = 0; it->class_ == CLASS_IT && k < it->it_length; k++, at += i.bytes) {
        if (!fetch_instruction(m, at, &i))
            return false;
        if (i.is_fp)
            return true;
    }
    return false;
}

static void on_conditional_fp(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)uc, (void)address, (void)size;
    Machine *m = user;
    if ((m->cpacr & CPACR_FULL) == CPACR_FULL)
        begin_fp_context(m);
}

bool add_traps(Machine *m, const Block *block) {
    bool fp = (m->cpacr & CPACR_FULL) != CPACR_FULL, added = false;
    Instruction i;
    for (uint32_t at = block->start; at < block->end && fetch_instruction(m, at, &i);
         at += i.bytes) {
        bool conditional_fp = governs_fp(m, &i, at);
        if (!(conditional_fp || (i.is_fp && fp) || i.class_ == CLASS_DIV || sets_event(m, &i, at) ||
              (i.access_bytes > 1 && (m->ccr & CCR_UNALIGN_TRP))))
            continue;
        bool known = false;
        for (uint32_t k = 0; k < m->trap_count; k++)
            known |= m->traps[k].address == at;
        if (known || m->trap_count == MAX_TRAPS)
            continue;
        Trap *trap = &m->traps[m->trap_count++];
        trap->address = at;
        uc_hook_add(m->uc, &trap->hook, UC_HOOK_CODE,
                    conditional_fp ? (void *)on_conditional_fp : (void *)on_trap, m, at, at);
        added = true;
    }
    return added;
}

void forget_traps(Machine *m) {
    while (m->trap_count)
        uc_hook_del(m->uc, m->traps[--m->trap_count].hook);
}
