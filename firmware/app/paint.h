/* Which memory did a run touch? What is painted with a pattern before and differs after. */
#ifndef HILNAS_PAINT_H
#define HILNAS_PAINT_H

#include <stdbool.h>
#include <stdint.h>

/* Paints the free stack, the arena and the guard behind it. */
void paint_memory(uint8_t pattern);

/* Bytes from the arena's start up to the last one that lost its paint. */
uint32_t paint_arena_used(uint8_t pattern);

/* Bytes from the stack's upper end down to the lowest one that lost its paint. */
uint32_t paint_stack_used(uint8_t pattern);

/* Whether nothing was written behind the arena. */
bool paint_guard_intact(uint8_t pattern);

#endif
