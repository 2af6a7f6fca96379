/* What a run leaves behind for its user: cycles by block and call path, SRAM bytes touched, reads
 * of what nobody wrote. Off, it costs the block hook one null check; on, it changes no cycle.
 * Python reads the structures through ctypes (harness/virtual/observed.py mirrors them). */
#ifndef HILNAS_VIRTUAL_OBSERVE_H
#define HILNAS_VIRTUAL_OBSERVE_H

#include "decode.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Machine;
typedef struct Observer Observer;

/* What a cycle went into. The block hook knows the first seven, the observer the last two. */
typedef enum {
    SPENT_ISSUE,  /* the instructions themselves */
    SPENT_MEMORY, /* loads, stores and their hazards */
    SPENT_BRANCH, /* leaving the block before this one other than by falling through */
    SPENT_FETCH,  /* the prefetch buffer ran dry */
    SPENT_FLASH,  /* wait states */
    SPENT_FPU,
    SPENT_DIVIDE,
    SPENT_EXCEPTION, /* entry and return */
    SPENT_SLEEP,     /* WFI, and polls that virtual time skips */
    SPENT_REASONS,
} SpentReason;

/* Cycles by reason. */
typedef struct {
    uint32_t by[SPENT_EXCEPTION];
} Spent;

typedef enum { OBSERVE_PROFILE = 1, OBSERVE_TRACE = 2, OBSERVE_WATCH = 4 } ObserveMode;

typedef struct {
    uint32_t start, bytes;
    uint64_t executions;
    int64_t cycles[SPENT_REASONS];
} ProfiledBlock;

/* One function on one call path. `function` is where it starts, or EXCEPTION_ROOT + number. */
typedef struct {
    uint32_t parent, function;
    uint64_t calls;
    int64_t cycles[SPENT_REASONS]; /* its own, without what it calls */
    uint32_t first_child, next_sibling;
} CallNode;

#define EXCEPTION_ROOT 0xFFFFFF00u

/* A load of bytes that were not written since reset. */
typedef struct {
    uint32_t address, pc, bytes, reserved;
    uint64_t times;
} UninitialisedRead;

/* What an instruction takes by itself in its block. */
typedef struct {
    uint32_t address, cycles;
} InstructionCost;

/* Which bytes of one RAM were read and written: a bit a byte, lowest bit first. */
typedef struct {
    uint32_t base, size;
    uint8_t *read, *written;
} TouchedMemory;

typedef struct {
    uint32_t lowest, highest; /* stack pointer; lowest > highest: never used */
} StackExtent;

typedef struct {
    uint64_t cycles;  /* what all blocks, and all call nodes, add up to */
    uint64_t dropped; /* blocks and call paths for which there was no room; in the sums */
    const ProfiledBlock *blocks;
    const CallNode *nodes;
    const TouchedMemory *memories;
    const UninitialisedRead *uninitialised;
    uint32_t block_count, node_count, memory_count, uninitialised_count;
    StackExtent main, process;
} Observed;

/* observe.c: each may be called only while `m->observer` is not NULL, `m->status.cycles` and
 * `m->last` being up to date. */
struct Block;
void observe_block(struct Machine *m, const struct Block *block, const Spent *spent);
/* The block at work takes longer than was told; `m->status.cycles` is up to date. */
void observe_more(struct Machine *m, SpentReason reason, uint32_t cycles);
void observe_cut(struct Machine *m, const struct Block *block, uint32_t pc, uint32_t taken_back);
void observe_switch(struct Machine *m); /* from here on cycles are spent on entry or return */
void observe_exception(struct Machine *m, int number); /* it was taken */
void observe_return(struct Machine *m);                /* what it interrupted goes on, or another */
void observe_reset(struct Machine *m);
void observe_write(struct Machine *m, uint32_t address, uint32_t bytes); /* not by an instruction */
void forget_observer(struct Machine *m);

/* profile.c */
typedef struct Profile Profile;
Profile *new_profile(const uint32_t *functions, uint32_t count, uint64_t cycles);
void profile_block(Profile *p, const struct Machine *m, const struct Block *block,
                   const Spent *spent);
void profile_more(Profile *p, SpentReason reason, uint32_t cycles);
void profile_cut(Profile *p, const struct Machine *m, const struct Block *block, uint32_t pc,
                 uint32_t taken_back);
void profile_switch(Profile *p, const struct Machine *m);
void profile_exception(Profile *p, const struct Machine *m, int number);
void profile_return(Profile *p, const struct Machine *m);
void profile_reset(Profile *p, const struct Machine *m);
void profile_read(Profile *p, const struct Machine *m, Observed *into);
void free_profile(Profile *p);

/* trace.c */
typedef struct Trace Trace;
Trace *new_trace(struct Machine *m, bool watch);
void trace_stack(Trace *t, const struct Machine *m, const struct Block *block);
void trace_mode(Trace *t);
void trace_write(Trace *t, const struct Machine *m, uint32_t address, uint32_t bytes);
void trace_reset(Trace *t);
void trace_read(const Trace *t, Observed *into);
void free_trace(Trace *t, struct Machine *m);

#endif
