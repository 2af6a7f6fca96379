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
    bool same_block = m->access_in == m->status.instructions;
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
    m->access_in = m->status.instructions;
    m->access_pc = at + i.bytes;
    return m->status.cycles - m->last_cost + cost_before(m, block, at, NULL);
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

/* The core goes on at `next` with a refilled pipeline: behind an exception, a reset, a halt. */
void forget_last_block(Machine *m, uint32_t next) {
    m->none = (Block){.key = NO_KEY,
                      .start = next,
                      .end = next,
                      .last_class = CLASS_HINT,
                      .next = next,
                      .taken_state = STATE_REFILLED};
    m->last = &m->none;
    m->state = STATE_REFILLED;
    m->last_cost = 0;
}

/* The block in progress was left before the instruction at `pc`: take back the rest. */
void settle_at(Machine *m, uint32_t pc) {
    const Block *block = m->last;
    if (pc < block->start || pc >= block->end)
        return;
    uint32_t done, cost = cost_before(m, block, pc, &done);
    m->status.cycles -= m->last_cost - cost;
    m->status.instructions -= block->instructions - done;
    if (m->observer)
        observe_cut(m, block, pc, m->last_cost - cost);
}

void forget_costs(Machine *m) {
    for (uint32_t i = 0; i < BLOCKS; i++)
        m->blocks[i].key = NO_KEY;
    reset_states(m);
    m->groups_used = m->accesses_used = m->indirects_used = 0;
}

/* Leave before the block at `pc`, whose cost is not counted yet: it will be entered in `state`. */
static void stop_before(Machine *m, uint32_t pc, uint32_t state) {
    forget_last_block(m, pc);
    m->state = state;
    m->stop_at_block = true;
    uc_emu_stop(m->uc);
}

/* First sight of a block, or one that must not be cached. Returns false where the core must stop.
 */
static bool meet_block(Machine *m, Block *block, uint32_t pc, uint32_t bytes, uint32_t state) {
    describe_block(m, block, pc, bytes);
    bool full = !find_touches(m, block), trapped = add_traps(m, block);
    if (full || trapped) {
        block->key = NO_KEY;
        m->retranslate |= full; /* which forgets what all blocks touch */
        m->stale_from = pc;
        m->stale_to = pc + bytes;
        stop_before(m, pc, state);
        return false;
    }
    if (block->changes_mask)
        block->key = NO_KEY;
    return true;
}

static void tell_observer(Machine *m, const Block *block, Waits waits, uint32_t taken_extra) {
    Spent spent = spend_of(m, block, m->entered_in);
    spent.by[SPENT_MEMORY] += waits.memory;
    spent.by[SPENT_FLASH] += waits.flash;
    spent.by[SPENT_BRANCH] += taken_extra;
    observe_block(m, block, &spent);
}

void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)uc;
    Machine *m = user;
    uint32_t pc = (uint32_t)address;
    Block *block = &m->blocks[(pc >> 1) & (BLOCKS - 1)];
    const Block *last = m->last;
    bool jumped = last->next != pc;
    uint32_t taken_extra = jumped ? last->taken_extra : 0;
    uint32_t state = jumped ? last->taken_state : m->state;
    bool branched = jumped || state <= STATE_INDIRECT; /* a stop came before the target */
    uint64_t cycles = m->status.cycles + taken_extra;
    /* `last` may be overwritten from here on. */
    if (__builtin_expect(block->key != (pc | (uint64_t)size << 32), 0)) {
        if (!meet_block(m, block, pc, size, state)) {
            m->status.cycles = cycles;
            return;
        }
    }
    if (__builtin_expect(cycles >= m->next_event, 0)) {
        m->status.cycles = cycles;
        stop_before(m, pc, state);
        return;
    }
    const Variant *variant = &block->variants[0];
    if (__builtin_expect(variant->before != state, 0) && (++variant)->before != state &&
        (++variant)->before != state)
        variant = cost_variant(m, block, state);
    uint32_t cost = variant->cost;
    cycles += cost;
    Waits waits = {0};
    if (block->group_count)
        waits = wait_for_touches(m, block);
    if (m->waits_for_flash && block->in_flash)
        waits.flash += wait_for_instructions(m, block, cost, branched);
    m->status.cycles = cycles + waits.memory + waits.flash;
    m->status.instructions += block->instructions;
    m->entered_in = state;
    m->state = variant->after;
    m->last_cost = cost;
    m->last = block;
    if (__builtin_expect(m->observer != NULL, 0))
        tell_observer(m, block, waits, taken_extra);
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
