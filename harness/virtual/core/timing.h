/* The vocabulary of time: the pipeline between two instructions, and what a block costs. */
#ifndef HILNAS_VIRTUAL_TIMING_H
#define HILNAS_VIRTUAL_TIMING_H

#include "decode.h"
#include "observe.h"

/* What came before, as far as the next instruction's cost depends on it. */
typedef enum {
    BEFORE_LOAD, /* a single load: the next one's address phase overlaps its data phase */
    BEFORE_ALU,  /* its result is there too late to be an address */
    BEFORE_MULTIPLY,
    BEFORE_OTHER,
} Before;

/* The state between two instructions, at the start of the cycle in which the second one may first
 * be decoded. */
typedef struct {
    uint8_t words;      /* in the prefetch buffer and not used up */
    uint8_t coming;     /* a fetch is in its data phase */
    uint8_t before;     /* Before */
    uint8_t was_short;  /* the instruction before was a 16-bit one: an IT folds onto it */
    uint16_t writes;    /* core registers it wrote */
    uint8_t fp_wait;    /* cycles until the FPU's last result */
    uint8_t late_store; /* cycles that a load right behind waits */
    uint32_t fp_writes; /* FP registers whose value is that result */
} Pipeline;

/* States with a number of their own: behind a taken branch, and refilled without one, as exception
 * entry and return leave the pipeline. */
enum { STATE_DIRECT, STATE_INDIRECT, STATE_REFILLED, FIRST_FREE_STATE };

/* What SDIV and UDIV take at least; step_pipeline() counts no more. */
enum { SHORTEST_DIVISION = 2 };

Pipeline pipeline_after_branch(bool direct);
Pipeline pipeline_refilled(void);

/* Step `state` over `i` at `pc`; the cycles it took, told apart in `spent`. Memory is taken as hit
 * and aligned, a division as the shortest. `shared_bus`: the code lies in RAM, whose bus takes data
 * as well. */
uint32_t step_pipeline(Pipeline *state, const Instruction *i, uint32_t pc, bool shared_bus,
                       Spent *spent);

#endif
