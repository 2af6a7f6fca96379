/* What the 3x3 depthwise kernels have in common: one channel's numbers as their loops want them. */
#ifndef HILNAS_DEPTHWISE_3X3_S8_DSP_H
#define HILNAS_DEPTHWISE_3X3_S8_DSP_H

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

#if DSP_LOOPS

/* What the loops written as instructions have in common. The block is read from the stack, where
 * their callers have it: a register for its address is one too many where another holds the frame.
 * ASR by a register takes its lowest byte (ARMv7-M ARM, A7.7.11), so `rest` needs no unpacking. */
#define BLOCK_MEMORY                                                                               \
    [bias] "m"(block->bias), [offset] "m"(block->offset), [multiplier] "m"(block->multiplier),     \
        [pitch] "m"(block->pitch), [row_pitch] "m"(block->row_pitch), [last] "m"(block->last),     \
        [line_step] "m"(block->line_step), [row_step] "m"(block->row_step),                        \
        [output_step] "m"(block->output_step)

/* Between RESCALE_START and the last RESCALE, `even` and `other` hold offset and multiplier. */
#define RESCALE_START                                                                              \
    "ldr.w %[even], %[offset]\n\t"                                                                 \
    "ldr.w %[other], %[multiplier]\n\t"
#define RESCALE(sum)                                                                               \
    "add.w %[odd], %[even], %[" sum "], asr #31\n\t"                                               \
    "smmlar %[" sum "], %[" sum "], %[other], %[odd]\n\t"
#define SATURATE(sum)                                                                              \
    "asr.w %[" sum "], %[" sum "], %[rest]\n\t"                                                    \
    "ssat %[" sum "], #8, %[" sum "]\n\t"

/* Behind two columns of outputs, with the pitch in `even` and the row's end in `odd`: the next
 * block of this row, or of the next one. */
#define NEXT_BLOCK                                                                                 \
    "add.w %[output], %[output], %[even], lsl #1\n\t"                                              \
    "cmp.w %[row], %[odd]\n\t"                                                                     \
    "bne.w 1b\n\t"                                                                                 \
    "ldr.w %[a], %[line_step]\n\t"                                                                 \
    "ldr.w %[b], %[row_step]\n\t"                                                                  \
    "ldr.w %[other], %[output_step]\n\t"                                                           \
    "ldr.w %[even], %[last]\n\t"                                                                   \
    "add.w %[odd], %[odd], %[a]\n\t"                                                               \
    "str.w %[odd], %[end]\n\t"                                                                     \
    "add.w %[row], %[row], %[b]\n\t"                                                               \
    "add.w %[output], %[output], %[other]\n\t"                                                     \
    "cmp.w %[row], %[even]\n\t"                                                                    \
    "bne.w 1b"

#else

typedef void make_block_t(const block_t *block, const int8_t *row, int32_t line, int8_t *output);

/* A doubled sum as int8. */
static inline int8_t finish_sum(const block_t *block, int32_t sum) {
    const int32_t nudge = block->offset + (sum >> 31);
    return (int8_t)ssat8(smmlar(sum, block->multiplier, nudge) >> (block->rest & 0xFF));
}

/* Blocks of two columns of outputs, `step` bytes of the plane apart, down to block->last. Compiled
 * into its caller, `make` with it. */
static inline void for_each_block(const block_t *block, make_block_t *make, int32_t step,
                                  const int8_t *row, int32_t line, int8_t *output) {
    for (const int8_t *end = block->end; row != block->last; end += block->line_step) {
        for (; row != end; row += step) {
            make(block, row, line, output);
            output += 2 * block->pitch;
        }
        row += block->row_step;
        output += block->output_step;
    }
}

#endif

#endif
