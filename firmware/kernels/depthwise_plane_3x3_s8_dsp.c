/* One channel of a 3x3 depthwise convolution with stride 1, in blocks of 2x2 outputs: each row of
 * four inputs is loaded and widened once for two rows of outputs, which lie side by side in it. */
#include "depthwise_3x3_s8_dsp.h"

#if KERNELS_DSP

/* -Os and position-independent code take a register that these instructions need. */
#if defined(__ARM_FEATURE_DSP) && !defined(HILNAS_EMULATE_DSP) && defined(__OPTIMIZE__) &&         \
    !defined(__OPTIMIZE_SIZE__) && !defined(__PIC__)

/* As instructions: their registers fill the core exactly. All are wide and start on a word: a run
 * of wide instructions across word boundaries starves the fetch buffer. ASR by a register takes its
 * lowest byte (ARMv7-M ARM, A7.7.11), so `rest` needs no unpacking. */
static inline void convolve_blocks(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    uint32_t even, odd, outer;
    int32_t a, b, c, d; /* sums: upper left and right, lower left and right */
    __asm__ volatile(
        ".p2align 2\n"
        "1:\n\t"
        "ldr.w %[even], [%[row]]\n\t"
        "ldr.w %[outer], [%[block], %[outer0]]\n\t"
        "ldr.w %[c], [%[block], %[bias]]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[outer], %[c]\n\t"
        "smlad %[b], %[odd], %[outer], %[c]\n\t"
        "smlabb %[a], %[odd], %[inner], %[a]\n\t"
        "smlatb %[b], %[even], %[inner], %[b]\n\t"

        "ldr.w %[even], [%[row], %[line]]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[d], %[odd], %[outer], %[c]\n\t"
        "smlad %[c], %[even], %[outer], %[c]\n\t"
        "smlatb %[d], %[even], %[inner], %[d]\n\t"
        "smlabb %[c], %[odd], %[inner], %[c]\n\t"
        "smlad %[a], %[even], %[outer1], %[a]\n\t"
        "smlad %[b], %[odd], %[outer1], %[b]\n\t"
        "smlabt %[a], %[odd], %[inner], %[a]\n\t"
        "smlatt %[b], %[even], %[inner], %[b]\n\t"

        "ldr.w %[even], [%[row], %[line], lsl #1]\n\t"
        "ldr.w %[outer], [%[block], %[outer2]]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[outer], %[a]\n\t"
        "smlad %[b], %[odd], %[outer], %[b]\n\t"
        "smlabt %[a], %[odd], %[rest], %[a]\n\t"
        "smlatt %[b], %[even], %[rest], %[b]\n\t"
        "smlad %[c], %[even], %[outer1], %[c]\n\t"
        "smlad %[d], %[odd], %[outer1], %[d]\n\t"
        "smlabt %[c], %[odd], %[inner], %[c]\n\t"
        "add.w %[odd], %[line], %[line], lsl #1\n\t"
        "smlatt %[d], %[even], %[inner], %[d]\n\t"

        "ldr.w %[even], [%[row], %[odd]]\n\t"
        "add.w %[row], %[row], #2\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[c], %[even], %[outer], %[c]\n\t"
        "smlad %[d], %[odd], %[outer], %[d]\n\t"
        "smlabt %[c], %[odd], %[rest], %[c]\n\t"
        "smlatt %[d], %[even], %[rest], %[d]\n\t"

        "ldr.w %[even], [%[block], %[offset]]\n\t"
        "ldr.w %[outer], [%[block], %[multiplier]]\n\t"
        "add.w %[odd], %[even], %[a], asr #31\n\t"
        "smmlar %[a], %[a], %[outer], %[odd]\n\t"
        "add.w %[odd], %[even], %[b], asr #31\n\t"
        "smmlar %[b], %[b], %[outer], %[odd]\n\t"
        "add.w %[odd], %[even], %[c], asr #31\n\t"
        "smmlar %[c], %[c], %[outer], %[odd]\n\t"
        "add.w %[odd], %[even], %[d], asr #31\n\t"
        "smmlar %[d], %[d], %[outer], %[odd]\n\t"
        "ldr.w %[even], [%[block], %[pitch]]\n\t"
        "ldr.w %[outer], [%[block], %[row_pitch]]\n\t"
        "ldr.w %[odd], [%[block], %[end]]\n\t"
        "asr.w %[a], %[a], %[rest]\n\t"
        "asr.w %[b], %[b], %[rest]\n\t"
        "asr.w %[c], %[c], %[rest]\n\t"
        "asr.w %[d], %[d], %[rest]\n\t"
        "ssat %[a], #8, %[a]\n\t"
        "ssat %[b], #8, %[b]\n\t"
        "ssat %[c], #8, %[c]\n\t"
        "ssat %[d], #8, %[d]\n\t"
        "strb.w %[a], [%[output]]\n\t"
        "add.w %[a], %[output], %[outer]\n\t"
        "strb.w %[b], [%[output], %[even]]\n\t"
        "strb.w %[c], [%[a]]\n\t"
        "strb.w %[d], [%[a], %[even]]\n\t"
        "add.w %[output], %[output], %[even], lsl #1\n\t"
        "cmp.w %[row], %[odd]\n\t"
        "bne.w 1b\n\t"

        "ldr.w %[a], [%[block], %[line_step]]\n\t"
        "ldr.w %[b], [%[block], %[row_step]]\n\t"
        "ldr.w %[c], [%[block], %[output_step]]\n\t"
        "ldr.w %[d], [%[block], %[last]]\n\t"
        "add.w %[odd], %[odd], %[a]\n\t"
        "str.w %[odd], [%[block], %[end]]\n\t"
        "add.w %[row], %[row], %[b]\n\t"
        "add.w %[output], %[output], %[c]\n\t"
        "cmp.w %[row], %[d]\n\t"
        "bne.w 1b"
        : [row] "+r"(row), [output] "+r"(output), [even] "=&r"(even), [odd] "=&r"(odd),
          [outer] "=&r"(outer), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [block] "r"(block), [line] "r"(line), [outer1] "r"(block->outer[1]),
          [inner] "r"(block->inner), [rest] "r"(block->rest),
          [outer0] "i"(offsetof(block_t, outer[0])), [outer2] "i"(offsetof(block_t, outer[2])),
          BLOCK_OFFSETS
        : "cc", "memory");
}

/* A column of blocks that are one output wide, down to where `row` is block->last. */
static inline void convolve_column(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    uint32_t even, odd, more;
    int32_t a, b; /* sums: upper and lower */
    __asm__ volatile(".p2align 2\n"
                     "1:\n\t"
                     "ldr.w %[even], [%[row]]\n\t"
                     "ldr.w %[b], [%[block], %[bias]]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[a], %[even], %[outer0], %[b]\n\t"
                     "smlabb %[a], %[odd], %[inner], %[a]\n\t"

                     "ldr.w %[even], [%[row], %[line]]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[b], %[even], %[outer0], %[b]\n\t"
                     "smlabb %[b], %[odd], %[inner], %[b]\n\t"
                     "smlad %[a], %[even], %[outer1], %[a]\n\t"
                     "add.w %[row], %[row], %[line], lsl #1\n\t"
                     "smlabt %[a], %[odd], %[inner], %[a]\n\t"

                     "ldr.w %[even], [%[row]]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[a], %[even], %[outer2], %[a]\n\t"
                     "smlabt %[a], %[odd], %[rest], %[a]\n\t"
                     "smlad %[b], %[even], %[outer1], %[b]\n\t"
                     "smlabt %[b], %[odd], %[inner], %[b]\n\t"

                     "ldr.w %[even], [%[row], %[line]]\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t"
                     "smlad %[b], %[even], %[outer2], %[b]\n\t"
                     "smlabt %[b], %[odd], %[rest], %[b]\n\t"

                     "ldr.w %[even], [%[block], %[offset]]\n\t"
                     "ldr.w %[more], [%[block], %[multiplier]]\n\t"
                     "add.w %[odd], %[even], %[a], asr #31\n\t"
                     "smmlar %[a], %[a], %[more], %[odd]\n\t"
                     "add.w %[odd], %[even], %[b], asr #31\n\t"
                     "smmlar %[b], %[b], %[more], %[odd]\n\t"
                     "ldr.w %[even], [%[block], %[row_pitch]]\n\t"
                     "ldr.w %[odd], [%[block], %[last]]\n\t"
                     "asr.w %[a], %[a], %[rest]\n\t"
                     "asr.w %[b], %[b], %[rest]\n\t"
                     "ssat %[a], #8, %[a]\n\t"
                     "ssat %[b], #8, %[b]\n\t"
                     "strb.w %[a], [%[output]]\n\t"
                     "strb.w %[b], [%[output], %[even]]\n\t"
                     "add.w %[output], %[output], %[even], lsl #1\n\t"
                     "cmp.w %[row], %[odd]\n\t"
                     "bne.w 1b"
                     : [row] "+r"(row), [output] "+r"(output), [even] "=&r"(even), [odd] "=&r"(odd),
                       [more] "=&r"(more), [a] "=&r"(a), [b] "=&r"(b)
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
        for (; row != end; row += 2) {
            for (int32_t y = 0; y < 2; y++) {
                int32_t left = block->bias, right = block->bias;
                for (int32_t i = 0; i < 3; i++) {
                    const uint32_t word = load_word(row + (y + i) * line);
                    const uint32_t even = sxtb16(word), odd = sxtb16_odd(word);
                    left = smlabb(odd, inner[i], smlad(even, block->outer[i], left));
                    right = smlatb(even, inner[i], smlad(odd, block->outer[i], right));
                }
                output[y * block->row_pitch] = finish_sum(block, left);
                output[y * block->row_pitch + block->pitch] = finish_sum(block, right);
            }
            output += 2 * block->pitch;
        }
        row += block->row_step;
        output += block->output_step;
    }
}

static inline void convolve_column(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    const uint32_t inner[] = {block->inner, block->inner >> 16, block->rest >> 16};
    for (; row != block->last; row += line) {
        int32_t sum = block->bias;
        for (int32_t i = 0; i < 3; i++) {
            const uint32_t word = load_word(row + i * line);
            sum = smlabb(sxtb16_odd(word), inner[i], smlad(sxtb16(word), block->outer[i], sum));
        }
        *output = finish_sum(block, sum);
        output += block->row_pitch;
    }
}

#endif

void depthwise_plane_3x3_s8(const depthwise_conv_2d_t *conv, const int8_t *plane, int32_t rows,
                            int32_t channel, int8_t *taps, int8_t *output) {
    const int32_t width = conv->output_width, line = conv->line;
    (void)taps;
    block_t block;
    depthwise_3x3_start_s8(&block, conv, channel);
    const int32_t columns = width & ~1;
    block.line_step = 2 * line;
    block.row_step = 2 * line - columns;
    block.output_step = 2 * block.row_pitch - columns * block.pitch;
    int32_t y = 0, height = rows & ~1;
    for (;;) {
        const int8_t *const row = plane + y * line;
        int8_t *const to = output + y * block.row_pitch;
        if (columns > 0) {
            block.end = row + columns;
            block.last = row + height * line;
            convolve_blocks(&block, row, line, to);
        }
        if (width & 1) {
            block.last = row + columns + height * line;
            convolve_column(&block, row + columns, line, to + columns * block.pitch);
        }
        if (y > 0 || !(rows & 1)) {
            break;
        }
        y = rows - 2; /* an odd row is made with the one before, once more */
        height = 2;
    }
}

#endif
