/* One channel of a 3x3 depthwise convolution with stride 2, in blocks of two outputs side by side:
 * they share a word of each row, and the right one needs a byte more. */
#include "depthwise_3x3_s8_dsp.h"

#if KERNELS_DSP

/* -Os and position-independent code take a register that these instructions need. */
#if defined(__ARM_FEATURE_DSP) && !defined(HILNAS_EMULATE_DSP) && defined(__OPTIMIZE__) &&         \
    !defined(__OPTIMIZE_SIZE__) && !defined(__PIC__)

/* Written as depthwise_plane_3x3_s8_dsp.c, for the same reasons. */
static inline void convolve_blocks(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    uint32_t even, odd, next;
    int32_t a, b; /* sums: left and right */
    __asm__ volatile(".p2align 2\n"
                     "1:\n\t"
                     "ldr.w %[even], [%[row]]\n\t"
                     "ldrsb.w %[next], [%[row], #4]\n\t"
                     "ldr.w %[b], [%[block], %[bias]]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[a], %[even], %[outer0], %[b]\n\t"
                     "smlatb %[b], %[even], %[outer0], %[b]\n\t"
                     "smlabb %[a], %[odd], %[inner], %[a]\n\t"
                     "smlatb %[b], %[odd], %[inner], %[b]\n\t"
                     "add.w %[row], %[row], %[line]\n\t"
                     "smlabt %[b], %[next], %[outer0], %[b]\n\t"

                     "ldr.w %[even], [%[row]]\n\t"
                     "ldrsb.w %[next], [%[row], #4]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[a], %[even], %[outer1], %[a]\n\t"
                     "smlatb %[b], %[even], %[outer1], %[b]\n\t"
                     "smlabt %[a], %[odd], %[inner], %[a]\n\t"
                     "smlatt %[b], %[odd], %[inner], %[b]\n\t"
                     "add.w %[row], %[row], %[line]\n\t"
                     "smlabt %[b], %[next], %[outer1], %[b]\n\t"

                     "ldr.w %[even], [%[row]]\n\t"
                     "ldrsb.w %[next], [%[row], #4]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[a], %[even], %[outer2], %[a]\n\t"
                     "smlatb %[b], %[even], %[outer2], %[b]\n\t"
                     "smlabt %[a], %[odd], %[rest], %[a]\n\t"
                     "smlatt %[b], %[odd], %[rest], %[b]\n\t"
                     "sub.w %[row], %[row], %[line], lsl #1\n\t"
                     "smlabt %[b], %[next], %[outer2], %[b]\n\t"

                     "ldr.w %[even], [%[block], %[offset]]\n\t"
                     "ldr.w %[next], [%[block], %[multiplier]]\n\t"
                     "add.w %[odd], %[even], %[a], asr #31\n\t"
                     "smmlar %[a], %[a], %[next], %[odd]\n\t"
                     "add.w %[odd], %[even], %[b], asr #31\n\t"
                     "smmlar %[b], %[b], %[next], %[odd]\n\t"
                     "ldr.w %[even], [%[block], %[pitch]]\n\t"
                     "ldr.w %[odd], [%[block], %[end]]\n\t"
                     "add.w %[row], %[row], #4\n\t"
                     "asr.w %[a], %[a], %[rest]\n\t"
                     "asr.w %[b], %[b], %[rest]\n\t"
                     "ssat %[a], #8, %[a]\n\t"
                     "ssat %[b], #8, %[b]\n\t"
                     "strb.w %[a], [%[output]]\n\t"
                     "strb.w %[b], [%[output], %[even]]\n\t"
                     "add.w %[output], %[output], %[even], lsl #1\n\t"
                     "cmp.w %[row], %[odd]\n\t"
                     "bne.w 1b\n\t"

                     "ldr.w %[a], [%[block], %[line_step]]\n\t"
                     "ldr.w %[b], [%[block], %[row_step]]\n\t"
                     "ldr.w %[next], [%[block], %[output_step]]\n\t"
                     "ldr.w %[even], [%[block], %[last]]\n\t"
                     "add.w %[odd], %[odd], %[a]\n\t"
                     "str.w %[odd], [%[block], %[end]]\n\t"
                     "add.w %[row], %[row], %[b]\n\t"
                     "add.w %[output], %[output], %[next]\n\t"
                     "cmp.w %[row], %[even]\n\t"
                     "bne.w 1b"
                     : [row] "+r"(row), [output] "+r"(output), [even] "=&r"(even), [odd] "=&r"(odd),
                       [next] "=&r"(next), [a] "=&r"(a), [b] "=&r"(b)
                     : [block] "r"(block), [line] "r"(line), [outer0] "r"(block->outer[0]),
                       [outer1] "r"(block->outer[1]), [outer2] "r"(block->outer[2]),
                       [inner] "r"(block->inner), [rest] "r"(block->rest), BLOCK_OFFSETS
                     : "cc", "memory");
}

#else

static inline void convolve_blocks(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    const uint32_t inner[] = {block->inner, block->inner >> 16, block->rest >> 16};
    for (const int8_t *end = block->end; row != block->last; end += block->line_step) {
        for (; row != end; row += 4) {
            int32_t left = block->bias, right = block->bias;
            for (int32_t i = 0; i < 3; i++) {
                const uint32_t word = load_word(row + i * line), outer = block->outer[i];
                const uint32_t even = sxtb16(word), odd = sxtb16_odd(word);
                left = smlabb(odd, inner[i], smlad(even, outer, left));
                right = smlatb(odd, inner[i], smlatb(even, outer, right));
                right = smlabt((uint32_t)row[i * line + 4], outer, right);
            }
            output[0] = finish_sum(block, left);
            output[block->pitch] = finish_sum(block, right);
            output += 2 * block->pitch;
        }
        row += block->row_step;
        output += block->output_step;
    }
}

#endif

void depthwise_plane_3x3_stride_2_s8(const depthwise_conv_2d_t *conv, const int8_t *plane,
                                     int32_t rows, int32_t channel, int8_t *taps, int8_t *output) {
    const int32_t width = conv->output_width, line = conv->line;
    (void)taps;
    block_t block;
    depthwise_3x3_start_s8(&block, conv, channel);
    block.line_step = 2 * line;
    int32_t x = 0, columns = width & ~1;
    for (;;) { /* an odd column is made with the one before, once more */
        const int8_t *const row = plane + 2 * x;
        block.end = row + 2 * columns;
        block.last = row + 2 * rows * line;
        block.row_step = 2 * line - 2 * columns;
        block.output_step = block.row_pitch - columns * block.pitch;
        convolve_blocks(&block, row, line, output + x * block.pitch);
        if (x > 0 || !(width & 1)) {
            break;
        }
        x = width - 2;
        columns = 2;
    }
}

#endif
