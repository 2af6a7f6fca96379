/* Where does Unicorn keep the core's registers? Its interface copies them one call at a time and
 * cannot write IPSR at all, so the live ones are found once, by changing what the interface can
 * change and looking for it, and checked by reading back through it. */
#define _GNU_SOURCE
#include "machine.h"
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HANDLE_WORDS = 256, WINDOW_BYTES = 1 << 16 };

uint32_t read_register(const Machine *m, int id) {
    uint32_t value = 0;
    uc_reg_read(m->uc, id, &value);
    return value;
}

void write_register(Machine *m, int id, uint32_t value) { uc_reg_write(m->uc, id, &value); }

uint32_t effective_address(const Machine *m, const Instruction *i, uint32_t pc) {
    bool table = i->class_ == CLASS_TABLE_BRANCH;
    uint32_t base = i->base == 15 ? (table ? pc + 4 : (pc + 4) & ~3u) : m->registers[i->base];
    uint32_t index = i->index == NO_REGISTER ? 0 : m->registers[i->index];
    return base + (uint32_t)i->offset + (index << i->index_shift);
}

/* Memory that was freed may hold a copy; the live registers change with the interface. */
static bool follows_interface(uc_engine *uc, const volatile uint32_t *registers) {
    uint32_t before = registers[7], changed = ~before;
    uc_reg_write(uc, UC_ARM_REG_R7, &changed);
    bool follows = registers[7] == changed;
    uc_reg_write(uc, UC_ARM_REG_R7, &before);
    return follows;
}

/* The thirteen words that were just written through the interface, in the memory of Unicorn itself:
 * behind one of the pointers that its handle begins with. Read through the kernel, because any of
 * these words may be no pointer. */
static uint32_t *find_live_registers(uc_engine *uc, const uint32_t *marks, size_t bytes) {
    static _Thread_local uint8_t window[WINDOW_BYTES];
    uintptr_t candidates[HANDLE_WORDS];
    struct iovec here = {candidates, sizeof candidates}, there = {uc, sizeof candidates};
    ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    for (ssize_t i = 0; i < got / (ssize_t)sizeof *candidates; i++) {
        here = (struct iovec){window, sizeof window};
        there = (struct iovec){(void *)candidates[i], sizeof window};
        ssize_t size = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
        const uint8_t *from = window, *end = window + (size > 0 ? size : 0), *found;
        while ((found = memmem(from, (size_t)(end - from), marks, bytes))) {
            uint32_t *registers = (uint32_t *)(candidates[i] + (size_t)(found - window));
            if (follows_interface(uc, registers))
                return registers;
            from = found + 4;
        }
    }
    return NULL;
}

bool find_registers(Machine *m) {
    uint32_t marks[13];
    for (uint32_t i = 0; i < 13; i++) {
        marks[i] = 0x9E3779B9u * (i + 1);
        write_register(m, UC_ARM_REG_R0 + (int)i, marks[i]);
    }
    m->registers = find_live_registers(m->uc, marks, sizeof marks);
    bool found = m->registers != NULL;
    if (found) {
        m->registers[7] = 0x12345678;
        found = read_register(m, UC_ARM_REG_R7) == 0x12345678;
    }
    uc_context_restore(m->uc, m->pristine);
    return found;
}

/* Where IPSR and CONTROL lie: found in saved contexts by changing what Unicorn's interface can
 * change; the same distances from R0 hold in the live state. Checked by reading back through the
 * interface. */
bool find_mode_fields(Machine *m) {
    size_t size = uc_context_size(m->uc), primask = 0, control = 0;
    const uint8_t *before = (const uint8_t *)m->pristine, *after = (const uint8_t *)m->scratch;
    uint32_t marks[13];
    for (uint32_t i = 0; i < 13; i++) {
        marks[i] = 0x9E3779B9u * (i + 1);
        m->registers[i] = marks[i];
    }
    write_register(m, UC_ARM_REG_PRIMASK, 1);
    write_register(m, UC_ARM_REG_PSP, 0x12345678);
    write_register(m, UC_ARM_REG_CONTROL, 1); /* last: unprivileged code can change nothing more */
    uc_context_save(m->uc, m->scratch);
    uc_context_restore(m->uc, m->pristine);
    const uint8_t *registers = memmem(after, size, marks, sizeof marks);
    for (size_t i = 0; registers && i + 4 <= size; i += 4) {
        uint32_t was, is;
        memcpy(&was, before + i, 4);
        memcpy(&is, after + i, 4);
        if (was == is || is != 1)
            continue;
        if (!control)
            control = i;
        else if (!primask)
            primask = i;
    }
    if (!control || !primask)
        return false;
    m->control = m->registers + ((ptrdiff_t)control - (registers - after)) / 4;
    m->ipsr = m->registers + ((ptrdiff_t)primask - (registers - after)) / 4 - LIVE_PRIMASK;

    *m->ipsr = EXCEPTION_SYSTICK;
    m->control[LIVE_OTHER_SP] = 0x12345678;
    bool found = read_register(m, UC_ARM_REG_IPSR) == EXCEPTION_SYSTICK &&
                 read_register(m, UC_ARM_REG_PSP) == 0x12345678 &&
                 m->ipsr[LIVE_FPCCR] == FPCCR_ASPEN;
    uc_context_restore(m->uc, m->pristine);
    return found;
}
