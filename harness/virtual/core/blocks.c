/* What does each block cost as it runs? The hook that Unicorn calls at a block's start, and the
 * questions that need the time within one. */
#include "machine.h"

#define NO_KEY UINT64_MAX

/* Cycles at the start of the instruction that is accessing `address`. Unicorn's pc stands at the
 * block's start here, so the instruction is found by its effective address: the first match behind
 * the last access of the same block. */
uint64_t cycles_now(Machine *m, uint32_t address, bool write) {
    const Block *block = m->last;
    Instruction i;
    if (m->port.visiting)
        return m->status.cycles; /* no instruction asks, but a debugger */
    bool same_block = m->access_cycles == m->status.cycles;
    uint32_t at = same_block ? m->access_pc : block->start;
    for (; at < block->end && fetch_instruction(m, at, &i); at += i.bytes) {
        if (!(write ? is_store(&i) : is_load(&i)))
            continue;
        uint32_t first = effective_address(m, &i, at) & ~3u;
        if (address - first < 4u * i.elements + (i.elements == 0))
            break;
    }
    if (at >= block->end)
        return m->status.cycles;
    m->access_cycles = m->status.cycles;
    m->access_pc = at + i.bytes;
    return m->status.cycles - block->cost + cost_before(m, block, at, NULL);
}

/* The first instruction of the block at work that accesses `address`; where none does, the block's
 * first. */
uint32_t accessing_pc(const Machine *m, uint32_t address) {
    const Block *block = m->last;
    Instruction i;
    for (uint32_t at = block->start; at < block->end && fetch_instruction(m, at, &i); at += i.bytes)
        if ((is_load(&i) || is_store(&i)) &&
            address - effective_address(m, &i, at) < (uint32_t)i.elements * i.access_bytes)
            return at;
    return block->start;
}

void forget_last_block(Machine *m, uint32_t next) {
    m->none = (Block){.key = NO_KEY, .start = next, .end = next, .last_class = CLASS_HINT};
    m->last = &m->none;
}

/* The block in progress was left before the instruction at `pc`: take back the rest. */
void settle_at(Machine *m, uint32_t pc) {
    const Block *block = m->last;
    if (pc < block->start || pc >= block->end)
        return;
    uint32_t done, cost = cost_before(m, block, pc, &done);
    m->status.cycles -= block->cost - cost;
    m->status.instructions -= block->instructions - done;
    if (m->observer)
        observe_cut(m, block, pc, block->cost - cost);
}

void forget_costs(Machine *m) {
    for (uint32_t i = 0; i < BLOCKS; i++)
        m->blocks[i].key = NO_KEY;
}

static void stop_here(Machine *m, uint32_t pc) {
    forget_last_block(m, pc);
    m->stop_at_block = true;
    uc_emu_stop(m->uc);
}

/* First sight of a block, or one that must not be cached. Returns false where the core must stop.
 */
static bool meet_block(Machine *m, Block *block, uint32_t pc, uint32_t bytes) {
    cost_block(m, block, pc, bytes);
    if (add_traps(m, block)) {
        block->key = NO_KEY;
        m->retranslate = true;
        stop_here(m, pc);
        return false;
    }
    if (block->changes_mask)
        block->key = NO_KEY;
    return true;
}

void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)uc;
    Machine *m = user;
    uint32_t pc = (uint32_t)address;
    Block *block = &m->blocks[(pc >> 1) & (BLOCKS - 1)];
    const Block *last = m->last;
    bool branched = last->end != pc;
    uint32_t taken = branched ? last->taken : 0;
    uint64_t cycles = m->status.cycles + taken;
    if (__builtin_expect(block->key != (pc | (uint64_t)size << 32), 0)) {
        /* `last` may be overwritten from here on. */
        if (!meet_block(m, block, pc, size)) {
            m->status.cycles = cycles + (branched ? block->entry : 0);
            return;
        }
    }
    cycles += branched ? block->entry : 0;
    if (__builtin_expect(cycles >= m->next_event, 0)) {
        m->status.cycles = cycles;
        stop_here(m, pc);
        return;
    }
    m->status.cycles = cycles + block->cost;
    m->status.instructions += block->instructions;
    m->last = block;
    if (__builtin_expect(m->observer != NULL, 0))
        observe_block(m, block,
                      &(Spent){.by = {[SPENT_ISSUE] = block->cost,
                                      [SPENT_BRANCH] = taken,
                                      [SPENT_FETCH] = branched ? block->entry : 0}});
    if (__builtin_expect(block->changes_mask && m->any_pending, 0))
        stop_at_next_block(m);
}

/* A block was translated (again): what it cost before no longer holds. */
void on_translation(uc_engine *uc, uc_tb *block, uc_tb *previous, void *user) {
    (void)uc, (void)previous;
    Machine *m = user;
    note_code(m, (uint32_t)block->pc);
    m->blocks[((uint32_t)block->pc >> 1) & (BLOCKS - 1)].key = NO_KEY;
}

void accelerator_changed(Machine *m) {
    m->retranslate = true;
    stop_at_next_block(m);
}
