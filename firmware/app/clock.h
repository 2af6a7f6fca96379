/* How many cycles have passed, when the counter that knows wraps every 2^32 of them? */
#ifndef HILNAS_CLOCK_H
#define HILNAS_CLOCK_H

#include <stdint.h>

/* Starts counting from zero. */
void clock_start(void);

/* Cycles since clock_start(). */
uint64_t clock_now(void);

/* Ends the tick; clock_now() stays right for 2^31 cycles more. */
void clock_stop(void);

/* The port's timer interrupt calls this at least once every 2^31 cycles. */
void clock_tick(void);

#endif
