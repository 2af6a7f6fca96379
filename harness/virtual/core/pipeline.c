/* How many cycles does an instruction take behind the one before it? The three stages of a
 * Cortex-M4 with memory that always answers at once: the class table of DDI 0439 (3.3.1),
 * load/store pipelining (3.3.2 and 3.3.3), and the prefetch buffer, simulated cycle by cycle. Knows
 * nothing of memories. */
#include "timing.h"

enum {
    FP_RESULT = 1,  /* an FP result is usable one instruction later (DDI 0439, 7.2.3) */
    FP_DIVIDE = 14, /* VDIV, VSQRT; integer instructions go on meanwhile */
    /* A product is stored late: a load right behind that store waits for the bus. Not in any
     * manual; measured by others on STM32F407 (docs/timing.md). */
    LATE_STORE = 2,
    BUFFER_WORDS = 3, /* of the prefetch unit, the fetch under way included */
};

Pipeline pipeline_after_branch(bool direct) {
    /* A direct branch is seen in its decode cycle, which is when its target is asked for: the word
     * is there when the branch has executed. An indirect one asks in its execute cycle. */
    return (Pipeline){.words = direct ? 1 : 0, .coming = 1, .before = BEFORE_OTHER};
}

Pipeline pipeline_refilled(void) {
    return (Pipeline){.words = BUFFER_WORDS - 1, .coming = 1, .before = BEFORE_OTHER};
}

/* One cycle of the prefetch unit: what is in its data phase arrives, and the next fetch is issued
 * where a place in the buffer is certain. */
static void fetch_cycle(Pipeline *p) {
    uint8_t issued = p->words + p->coming < BUFFER_WORDS;
    p->words += p->coming;
    p->coming = issued;
}

/* One cycle in which data has the bus that instructions come over. */
static void data_cycle(Pipeline *p) {
    p->words += p->coming;
    p->coming = 0;
}

/* The decode cycle of an instruction of `halfwords` at `pc`: cycles it had to wait for them. An
 * instruction across two words holds both until it leaves, which is why a run of such ones gets two
 * words in three cycles. */
static uint32_t take_halfwords(Pipeline *p, uint32_t pc, const Instruction *i) {
    uint32_t halfwords = (pc >> 1 & 1) + i->bytes / 2u, waited = 0;
    while (2u * p->words < halfwords) {
        fetch_cycle(p);
        waited += 1;
    }
    fetch_cycle(p);
    if (i->class_ == CLASS_BRANCH_CONDITIONAL)
        p->coming = 0; /* the target's fetch took the place; not taken, it was for nothing */
    p->words -= (uint8_t)(halfwords / 2);
    return waited;
}

static uint16_t address_registers(const Instruction *i) {
    uint16_t registers = i->base == NO_REGISTER ? 0 : (uint16_t)(1u << i->base);
    return i->index == NO_REGISTER ? registers : registers | (uint16_t)(1u << i->index);
}

/* Cycles in the execute stage, besides the first. */
static uint32_t more_cycles(const Pipeline *p, const Instruction *i, SpentReason *on) {
    *on = SPENT_MEMORY;
    switch (i->class_) {
    case CLASS_LOAD:
        /* n loads in a row take n + 1, unless an address waits for the load before. */
        return p->before == BEFORE_LOAD && !(p->writes & address_registers(i)) ? 0 : 1;
    case CLASS_STORE: /* an immediate offset leaves through the write buffer */
        return i->index != NO_REGISTER || i->writes_back ? 1 : 0;
    case CLASS_LOAD_DUAL:
    case CLASS_STORE_DUAL:
        return 2;
    case CLASS_LOAD_MULTIPLE:
    case CLASS_STORE_MULTIPLE:
    case CLASS_FP_LOAD_MULTIPLE:
    case CLASS_FP_STORE_MULTIPLE:
    case CLASS_FP_LOAD:
    case CLASS_FP_STORE:
        return i->elements;
    case CLASS_LOAD_EXCLUSIVE:
    case CLASS_STORE_EXCLUSIVE:
    case CLASS_TABLE_BRANCH:
        return 1;
    case CLASS_DIV:
        *on = SPENT_DIVIDE;
        return SHORTEST_DIVISION - 1;
    case CLASS_FP_MAC:
        *on = SPENT_FPU;
        return 2;
    case CLASS_FP_MOVE_CORE_PAIR:
        *on = SPENT_ISSUE;
        return 1;
    default:
        *on = SPENT_ISSUE;
        return 0;
    }
}

static bool is_memory(const Instruction *i) { return is_load(i) || is_store(i); }

uint32_t step_pipeline(Pipeline *p, const Instruction *i, uint32_t pc, bool shared_bus,
                       Spent *spent) {
    uint32_t fetch = take_halfwords(p, pc, i);
    spent->by[SPENT_FETCH] += fetch;
    if (i->class_ == CLASS_IT && p->was_short) {
        p->was_short = false; /* folded onto the 16-bit instruction before it */
        return fetch;
    }

    uint8_t was = p->before;
    uint16_t product = p->writes;
    SpentReason on;
    uint32_t more = more_cycles(p, i, &on), hazard = 0, fp = 0;
    spent->by[on] += more;
    uint16_t address = address_registers(i);
    if (is_memory(i) && p->before == BEFORE_ALU && (p->writes & address))
        hazard = 1;
    if (is_load(i))
        hazard += p->late_store;
    if (i->is_fp && p->fp_wait && ((p->fp_writes & (i->fp_reads | i->fp_writes)) || p->fp_wait > 1))
        fp = p->fp_wait;
    spent->by[SPENT_MEMORY] += hazard;
    spent->by[SPENT_FPU] += fp;
    spent->by[SPENT_ISSUE] += 1;

    uint32_t cycles = 1 + more + hazard + fp;
    uint32_t data_cycles = shared_bus && is_memory(i) ? i->elements : 0;
    if (data_cycles >= cycles)
        p->coming = 0; /* the access takes the place of the fetch beside it */
    for (uint32_t k = 1; k < cycles; k++)
        if (k <= data_cycles)
            data_cycle(p);
        else
            fetch_cycle(p);

    uint32_t elapsed = cycles + fetch;
    p->fp_wait = p->fp_wait > elapsed ? (uint8_t)(p->fp_wait - elapsed) : 0;
    if (i->class_ == CLASS_FP_DIV) {
        p->fp_wait = FP_DIVIDE - 1;
        p->fp_writes = i->fp_writes;
    } else if (i->is_fp && i->fp_writes && i->class_ != CLASS_FP_LOAD &&
               i->class_ != CLASS_FP_LOAD_MULTIPLE) {
        p->fp_wait = FP_RESULT;
        p->fp_writes = i->fp_writes;
    }
    p->before = i->class_ == CLASS_LOAD  ? BEFORE_LOAD
                : i->class_ == CLASS_ALU ? BEFORE_ALU
                : i->class_ == CLASS_MUL ? BEFORE_MULTIPLY
                                         : BEFORE_OTHER;
    bool late =
        i->class_ == CLASS_STORE && was == BEFORE_MULTIPLY && (product & i->reads & ~address);
    p->late_store = late ? LATE_STORE : 0;
    p->writes = p->before == BEFORE_OTHER ? 0 : i->writes;
    p->was_short = i->bytes == 2;
    return elapsed;
}
