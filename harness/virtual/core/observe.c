/* Which observers are on, and what is each told? */
#include "machine.h"
#include <stdlib.h>

struct Observer {
    Profile *profile; /* NULL: off */
    Trace *trace;     /* NULL: off */
    Observed seen;
};

void observe_block(Machine *m, const Block *block, const Spent *spent) {
    Observer *o = m->observer;
    if (o->profile)
        profile_block(o->profile, m, block, spent);
    if (o->trace)
        trace_stack(o->trace, m, block);
}

void observe_more(Machine *m, SpentReason reason, uint32_t cycles) {
    if (m->observer->profile)
        profile_more(m->observer->profile, reason, cycles);
}

void observe_cut(Machine *m, const Block *block, uint32_t pc, uint32_t taken_back) {
    if (m->observer->profile)
        profile_cut(m->observer->profile, m, block, pc, taken_back);
}

void observe_switch(Machine *m) {
    if (m->observer->profile)
        profile_switch(m->observer->profile, m);
}

void observe_exception(Machine *m, int number) {
    if (m->observer->profile)
        profile_exception(m->observer->profile, m, number);
    if (m->observer->trace)
        trace_mode(m->observer->trace);
}

void observe_return(Machine *m) {
    if (m->observer->profile)
        profile_return(m->observer->profile, m);
    if (m->observer->trace)
        trace_mode(m->observer->trace);
}

void observe_reset(Machine *m) {
    if (m->observer->profile)
        profile_reset(m->observer->profile, m);
    if (m->observer->trace)
        trace_reset(m->observer->trace);
}

void observe_write(Machine *m, uint32_t address, uint32_t bytes) {
    if (m->observer->trace)
        trace_write(m->observer->trace, m, address, bytes);
}

void forget_observer(Machine *m) {
    if (!m->observer)
        return;
    free_profile(m->observer->profile);
    free_trace(m->observer->trace, m);
    free(m->observer);
    m->observer = NULL;
    m->retranslate = true; /* without the memory hooks */
}

/* Start anew with the observers in `modes` (ObserveMode bits; 0: none), while the core does not
 * run. `functions`: where functions start and where gaps between them do, ascending; without any,
 * what is called is a function. False: out of memory, nothing is observed. */
EXPORT bool machine_observe(Machine *m, uint32_t modes, const uint32_t *functions, uint32_t count) {
    forget_observer(m);
    if (!modes)
        return true;
    m->observer = calloc(1, sizeof *m->observer);
    if (!m->observer)
        return false;
    bool whole = true;
    if (modes & OBSERVE_PROFILE) {
        m->observer->profile = new_profile(functions, count, m->status.cycles);
        whole &= m->observer->profile != NULL;
    }
    if (modes & (OBSERVE_TRACE | OBSERVE_WATCH)) {
        m->observer->trace = new_trace(m, modes & OBSERVE_WATCH);
        whole &= m->observer->trace != NULL;
        m->retranslate = true;
    }
    if (!whole)
        forget_observer(m);
    return whole;
}

/* What was seen until now; valid until the core runs again. NULL: nothing is observed. */
EXPORT const Observed *machine_observed(Machine *m) {
    Observer *o = m->observer;
    if (!o)
        return NULL;
    o->seen = (Observed){.main = {1, 0}, .process = {1, 0}};
    if (o->profile)
        profile_read(o->profile, m, &o->seen);
    if (o->trace)
        trace_read(o->trace, &o->seen);
    return &o->seen;
}

/* How the static cost of a block spreads over its instructions: fills `into`, returns how many. */
EXPORT uint32_t machine_instruction_costs(const Machine *m, uint32_t start, uint32_t bytes,
                                          InstructionCost *into, uint32_t room) {
    Block block;
    Instruction i;
    uint32_t count = 0, before = 0;
    describe_block(m, &block, start, bytes);
    for (uint32_t at = start; at < start + bytes && fetch_instruction(m, at, &i) && count < room;) {
        uint32_t upto = cost_upto(m, &block, STATE_DIRECT, at + i.bytes, NULL);
        into[count++] = (InstructionCost){at, upto - before};
        before = upto;
        at += i.bytes;
    }
    return count;
}
