/* What the 3x3 depthwise kernels have in common: one channel's numbers as their loops want them. */
#ifndef HILNAS_DEPTHWISE_3X3_S8_DSP_H
#define HILNAS_DEPTHWISE_3X3_S8_DSP_H

#include <stddef.h>

#include "depthwise_plane_s8.h"
#include "dsp.h"
#include "requantize_dsp.h"

/* Weights and bias are doubled, because requantize_dsp.h wants doubled sums. The loops read the
 * first part by offset, as there are no registers for it, and keep the rest in registers. */
typedef struct {
    int32_t bias, offset, multiplier;
    int32_t pitch;                            /* from an output to its right neighbour */
    int32_t row_pitch;                        /* and to its lower one */
    const int8_t *end;                        /* of a row of blocks, in the plane */
    const int8_t *last;                       /* where the row behind the last one would start */
    int32_t line_step, row_step, output_step; /* from the end of a row to the next one's */
    uint32_t outer[3];                        /* each row's left and right weight */
    uint32_t inner; /* the middle weights of the first and the second row */
    uint32_t rest;  /* shift (lowest byte), middle weight of the third row (upper half) */
} block_t;

/* All of a block that does not depend on where it lies. */
void depthwise_3x3_start_s8(block_t *block, const depthwise_conv_2d_t *conv, int32_t channel);

/* A doubled sum as int8. */
static inline int8_t finish_sum(const block_t *block, int32_t sum) {
    const int32_t nudge = block->offset + (sum >> 31);
    return (int8_t)ssat8(smmlar(sum, block->multiplier, nudge) >> (block->rest & 0xFF));
}

/* Operands of the loops' instructions. */
#define BLOCK_OFFSETS                                                                              \
    [bias] "i"(offsetof(block_t, bias)), [offset] "i"(offsetof(block_t, offset)),                  \
        [multiplier] "i"(offsetof(block_t, multiplier)), [pitch] "i"(offsetof(block_t, pitch)),    \
        [row_pitch] "i"(offsetof(block_t, row_pitch)), [end] "i"(offsetof(block_t, end)),          \
        [last] "i"(offsetof(block_t, last)), [line_step] "i"(offsetof(block_t, line_step)),        \
        [row_step] "i"(offsetof(block_t, row_step)),                                               \
        [output_step] "i"(offsetof(block_t, output_step))

#endif
