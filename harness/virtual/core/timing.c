/* What does a block of instructions cost on a Cortex-M4 with zero wait states? The class table of
 * the technical reference manual (DDI 0439, 3.3) and the static part of the load/store and fetch
 * rules; docs/timing.md lists what is modelled. Knows nothing of the board's state. */
#include "machine.h"

/* The name of what this file computes. harness/virtual/board.py says it in Python, and a core that
 * was compiled from another version is refused. */
EXPORT const char *timing_model(void) { return "class-table-1"; }

enum {
    REFILL_DIRECT = 1,   /* target known early */
    REFILL_INDIRECT = 2, /* target comes from a register or memory */
    DIVIDE = 6,          /* 2-12, early-out on the operands; not known statically */
    FP_DIVIDE = 14,
};

/* What the cost of an instruction depends on besides itself. */
typedef struct {
    Instruction previous;
    bool have_previous;
    bool load_can_chain; /* the previous instruction was a single load or the chain goes on */
    uint32_t wide_run;   /* unaligned wide instructions in a row */
} Context;

static uint32_t base_cost(const Instruction *i) {
    switch (i->class_) {
    case CLASS_LOAD:
        return 2 + (i->writes_pc ? REFILL_INDIRECT : 0);
    case CLASS_STORE:
        return i->index != NO_REGISTER || i->writes_back ? 2 : 1;
    case CLASS_LOAD_DUAL:
    case CLASS_STORE_DUAL:
        return 3;
    case CLASS_LOAD_MULTIPLE:
        return 1 + i->elements + (i->writes_pc ? REFILL_INDIRECT : 0);
    case CLASS_STORE_MULTIPLE:
    case CLASS_FP_LOAD_MULTIPLE:
    case CLASS_FP_STORE_MULTIPLE:
        return 1 + i->elements;
    case CLASS_LOAD_EXCLUSIVE:
    case CLASS_STORE_EXCLUSIVE:
        return 2;
    case CLASS_DIV:
        return DIVIDE;
    case CLASS_BRANCH:
        return 1 + REFILL_DIRECT;
    case CLASS_BRANCH_INDIRECT:
        return 1 + REFILL_INDIRECT;
    case CLASS_TABLE_BRANCH:
        return 2 + REFILL_INDIRECT;
    case CLASS_FP_MAC:
        return 3;
    case CLASS_FP_DIV:
        return FP_DIVIDE;
    case CLASS_FP_MOVE_CORE_PAIR:
        return 2;
    case CLASS_FP_LOAD:
    case CLASS_FP_STORE:
        return 1 + i->elements;
    default:
        return 1;
    }
}

static uint32_t cost_in_context(const Instruction *i, uint32_t pc, Context *context) {
    const Instruction *previous = &context->previous;
    uint32_t cost = base_cost(i);
    bool chains = false;

    if (i->class_ == CLASS_LOAD) {
        /* n back-to-back single loads cost n + 1, unless the address waits for the load before. */
        uint16_t address = (i->base == NO_REGISTER ? 0 : (uint16_t)(1u << i->base)) |
                           (i->index == NO_REGISTER ? 0 : (uint16_t)(1u << i->index));
        if (context->load_can_chain && !(previous->writes & address))
            cost -= 1;
        chains = true;
    } else if (i->class_ == CLASS_IT) {
        if (context->have_previous && previous->bytes == 2)
            cost = 0; /* folded onto the 16-bit instruction before it */
    } else if (i->is_fp && context->have_previous && previous->is_fp &&
               (previous->fp_writes & i->fp_reads) && previous->class_ != CLASS_FP_LOAD &&
               previous->class_ != CLASS_FP_LOAD_MULTIPLE) {
        cost += 1; /* result used by the next FP instruction */
    }

    /* A stand-in for the prefetch buffer: a run of wide instructions at odd halfwords starves it at
     * the third and then at every second one. */
    if (i->bytes == 4 && (pc & 2)) {
        context->wide_run += 1;
        if (context->wide_run >= 3 && (context->wide_run & 1))
            cost += 1;
    } else {
        context->wide_run = 0;
    }

    context->previous = *i;
    context->have_previous = true;
    context->load_can_chain = chains;
    return cost;
}

void cost_block(const Machine *m, Block *block, uint32_t pc, uint32_t bytes) {
    Context context = {0};
    Instruction i = {0};
    uint32_t cost = 0, count = 0, at = pc, it_left = 0;
    bool conditional = false;
    *block = (Block){.key = pc | (uint64_t)bytes << 32, .start = pc, .end = pc + bytes};
    while (at < block->end && fetch_instruction(m, at, &i)) {
        if (at == pc && i.bytes == 4 && (pc & 2))
            block->entry = 1; /* two fetches before the first instruction is whole */
        cost += cost_in_context(&i, at, &context);
        conditional = it_left > 0;
        it_left = i.class_ == CLASS_IT ? i.it_length : it_left ? it_left - 1 : 0;
        if (i.class_ == CLASS_STATUS)
            block->changes_mask = 1;
        at += i.bytes;
        count += 1;
    }
    block->last_class = i.class_;
    if (i.class_ == CLASS_BRANCH_CONDITIONAL) {
        block->taken = REFILL_DIRECT;
    } else if (conditional && (i.writes_pc || i.class_ == CLASS_BRANCH)) {
        /* Inside an IT block: one cycle where the condition fails. */
        uint32_t whole = base_cost(&i);
        block->taken = (uint16_t)(whole - 1);
        cost -= whole - 1;
    }
    block->cost = (uint16_t)cost;
    block->instructions = (uint16_t)count;
}

uint32_t cost_before(const Machine *m, const Block *block, uint32_t pc, uint32_t *instructions) {
    Context context = {0};
    Instruction i;
    uint32_t cost = 0, at = block->start, count = 0;
    while (at < block->end && at < pc && fetch_instruction(m, at, &i)) {
        cost += cost_in_context(&i, at, &context);
        at += i.bytes;
        count += 1;
    }
    if (instructions)
        *instructions = count;
    return cost;
}
