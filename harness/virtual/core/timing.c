/* What does a block of instructions cost? pipeline.c stepped over it, once for each state of the
 * pipeline in which it is entered; docs/timing.md lists what is modelled. */
#include "machine.h"
#include <string.h>

/* The name of what this file computes. harness/virtual/board.py says it in Python, and a core that
 * was compiled from another version is refused. */
EXPORT const char *timing_model(void) { return "pipeline-1"; }

/* ---- states of the pipeline, by number ---- */

static uint16_t number_of(Machine *m, const Pipeline *state);

/* No block knows a number any more: only the present state keeps one. */
void reset_states(Machine *m) {
    Pipeline present = m->states[m->state];
    memset(m->states, 0, sizeof m->states);
    m->states[STATE_DIRECT] = pipeline_after_branch(true);
    m->states[STATE_INDIRECT] = pipeline_after_branch(false);
    m->states[STATE_REFILLED] = pipeline_refilled();
    m->state_count = FIRST_FREE_STATE;
    if (m->state >= FIRST_FREE_STATE)
        m->state = number_of(m, &present);
}

static uint16_t number_of(Machine *m, const Pipeline *state) {
    for (uint32_t i = FIRST_FREE_STATE; i < m->state_count; i++)
        if (!memcmp(&m->states[i], state, sizeof *state))
            return (uint16_t)i;
    if (m->state_count == MAX_STATES) { /* blocks that know an old number are described anew */
        forget_costs(m);
        return STATE_REFILLED;
    }
    m->states[m->state_count] = *state;
    return (uint16_t)m->state_count++;
}

/* ---- blocks ---- */

/* What a taken branch at the end of a block leaves. */
static uint16_t state_behind(const Instruction *i) {
    return i->class_ == CLASS_BRANCH || i->class_ == CLASS_BRANCH_CONDITIONAL ? STATE_DIRECT
                                                                              : STATE_INDIRECT;
}

void describe_block(const Machine *m, Block *block, uint32_t pc, uint32_t bytes) {
    Instruction i = {0};
    uint32_t count = 0, at = pc, it_left = 0;
    bool conditional = false;
    *block = (Block){.key = pc | (uint64_t)bytes << 32, .start = pc, .end = pc + bytes};
    for (uint32_t v = 0; v < VARIANTS; v++)
        block->variants[v].before = MAX_STATES;
    while (at < block->end && fetch_instruction(m, at, &i)) {
        conditional = it_left > 0;
        it_left = i.class_ == CLASS_IT ? i.it_length : it_left ? it_left - 1 : 0;
        if (i.class_ == CLASS_STATUS)
            block->changes_mask = 1;
        at += i.bytes;
        count += 1;
    }
    block->last_class = i.class_;
    bool leaves = i.writes_pc || i.class_ == CLASS_BRANCH;
    block->next = leaves && !conditional ? NOWHERE : block->end;
    if (conditional && leaves) {
        /* In an IT block: one cycle where the condition fails, all of them where it holds. */
        Pipeline p = pipeline_after_branch(true);
        Spent spent = {0};
        block->taken_extra = (uint8_t)(step_pipeline(&p, &i, 0, false, &spent) - 1);
    }
    block->taken_state = state_behind(&i);
    block->instructions = (uint16_t)count;
    block->in_flash = pc - m->memories[0].part.base < m->memories[0].part.size;
}

/* Step over the block up to `until`; cycles. */
static uint32_t walk(const Machine *m, const Block *block, uint32_t state, uint32_t until,
                     Pipeline *p, uint32_t *instructions, Spent *spent) {
    Instruction i;
    uint32_t cycles = 0, at = block->start, count = 0;
    *p = m->states[state];
    if (state == STATE_DIRECT || state == STATE_INDIRECT) {
        cycles += 1; /* nothing executes while the target is decoded */
        spent->by[SPENT_BRANCH] += 1;
    }
    while (at < block->end && at < until && fetch_instruction(m, at, &i)) {
        cycles += step_pipeline(p, &i, at, !block->in_flash, spent);
        at += i.bytes;
        count += 1;
    }
    if (at >= block->end) {
        cycles -= block->taken_extra;
        spent->by[SPENT_MEMORY] -= block->taken_extra;
    }
    if (instructions)
        *instructions = count;
    return cycles;
}

const Variant *cost_variant(Machine *m, Block *block, uint32_t state) {
    Variant *variant = &block->variants[block->next_variant];
    Pipeline p;
    Spent spent = {0};
    variant->cost = walk(m, block, state, block->end, &p, NULL, &spent);
    variant->before = (uint16_t)state;
    variant->after = number_of(m, &p);
    block->next_variant = (uint8_t)((block->next_variant + 1) % VARIANTS);
    return variant;
}

uint32_t cost_upto(const Machine *m, const Block *block, uint32_t state, uint32_t pc,
                   uint32_t *instructions) {
    Pipeline p;
    Spent spent = {0};
    return walk(m, block, state, pc, &p, instructions, &spent);
}

uint32_t cost_before(Machine *m, const Block *block, uint32_t pc, uint32_t *instructions) {
    return cost_upto(m, block, m->entered_in, pc, instructions);
}

Spent spend_of(const Machine *m, const Block *block, uint32_t state) {
    Pipeline p;
    Spent spent = {0};
    walk(m, block, state, block->end, &p, NULL, &spent);
    return spent;
}

/* SDIV and UDIV take 2 to 12 cycles, fewer where the quotient is short (DDI 0439, 3.3.1). How many
 * bits a cycle brings is not published: 3.2, which is what the two ends leave. */
uint32_t division_cycles(uint32_t dividend, uint32_t divisor, bool is_signed) {
    enum { LONGEST_DIVISION = 12, BITS = 32 };
    if (is_signed && (int32_t)dividend < 0)
        dividend = 0 - dividend;
    if (is_signed && (int32_t)divisor < 0)
        divisor = 0 - divisor;
    if (divisor == 0 || dividend < divisor)
        return SHORTEST_DIVISION;
    uint32_t bits = (uint32_t)(__builtin_clz(divisor) - __builtin_clz(dividend)) + 1;
    return SHORTEST_DIVISION + (bits * (LONGEST_DIVISION - SHORTEST_DIVISION) + BITS - 1) / BITS;
}
