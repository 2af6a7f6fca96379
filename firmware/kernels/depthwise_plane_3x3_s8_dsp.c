/* One channel of a 3x3 depthwise convolution with stride 1, in blocks of 2x2 outputs: each row of
 * four inputs is loaded and widened once for two rows of outputs, which lie side by side in it. */
#include "depthwise_3x3_s8_dsp.h"

#if KERNELS_DSP

#if DSP_LOOPS

/* As instructions: their registers fill the core exactly. All are wide and start on a word: a run
 * of wide instructions across word boundaries starves the fetch buffer. */
static inline __attribute__((always_inline)) void convolve_blocks(block_t *block, const int8_t *row,
                                                                  int32_t line, int8_t *output) {
    uint32_t even, odd, other;
    /* sums: upper left and right, lower left and right */
    int32_t a, b, c, d;
    /* clang-format off */
    __asm__ volatile(
        ".p2align 2\n"
        "1:\n\t"
        "ldr.w %[even], [%[row]]\n\t"
        "ldr.w %[other], %[outer0]\n\t"
        "ldr.w %[c], %[bias]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[other], %[c]\n\t"
        "smlad %[b], %[odd], %[other], %[c]\n\t"
        "smlabb %[a], %[odd], %[inner], %[a]\n\t"
        "smlatb %[b], %[even], %[inner], %[b]\n\t"

        "ldr.w %[even], [%[row], %[line]]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[d], %[odd], %[other], %[c]\n\t"
        "smlad %[c], %[even], %[other], %[c]\n\t"
        "smlatb %[d], %[even], %[inner], %[d]\n\t"
        "smlabb %[c], %[odd], %[inner], %[c]\n\t"
        "smlad %[a], %[even], %[outer1], %[a]\n\t"
        "smlad %[b], %[odd], %[outer1], %[b]\n\t"
        "smlabt %[a], %[odd], %[inner], %[a]\n\t"
        "smlatt %[b], %[even], %[inner], %[b]\n\t"

        "ldr.w %[even], [%[row], %[line], lsl #1]\n\t"
        "ldr.w %[other], %[outer2]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[other], %[a]\n\t"
        "smlad %[b], %[odd], %[other], %[b]\n\t"
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
        "smlad %[c], %[even], %[other], %[c]\n\t"
        "smlad %[d], %[odd], %[other], %[d]\n\t"
        "smlabt %[c], %[odd], %[rest], %[c]\n\t"
        "smlatt %[d], %[even], %[rest], %[d]\n\t"

        RESCALE_START RESCALE("a") RESCALE("b") RESCALE("c") RESCALE("d")
        "ldr.w %[even], %[pitch]\n\t"
        "ldr.w %[other], %[row_pitch]\n\t"
        "ldr.w %[odd], %[end]\n\t"
        SATURATE("a") SATURATE("b") SATURATE("c") SATURATE("d")
        "strb.w %[a], [%[output]]\n\t"
        "add.w %[a], %[output], %[other]\n\t"
        "strb.w %[b], [%[output], %[even]]\n\t"
        "strb.w %[c], [%[a]]\n\t"
        "strb.w %[d], [%[a], %[even]]\n\t"
        NEXT_BLOCK
        /* clang-format on */
        : [end] "+m"(block->end), [row] "+r"(row), [output] "+r"(output), [even] "=&r"(even),
          [odd] "=&r"(odd), [other] "=&r"(other), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c),
          [d] "=&r"(d)
        : [line] "r"(line), [outer1] "r"(block->outer[1]), [inner] "r"(block->inner),
          [rest] "r"(block->rest), [outer0] "m"(block->outer[0]), [outer2] "m"(block->outer[2]),
          BLOCK_MEMORY
        : "cc", "memory");
}

/* A column of blocks that are one output wide, down to where `row` is block->last. */
static inline __attribute__((always_inline)) void
convolve_column(const block_t *block, const int8_t *row, int32_t line, int8_t *output) {
    uint32_t even, odd, other;
    /* sums: upper and lower */
    int32_t a, b;
    /* clang-format off */
    __asm__ volatile(
        ".p2align 2\n"
        "1:\n\t"
        "ldr.w %[even], [%[row]]\n\t"
        "ldr.w %[b], %[bias]\n\t"
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

        RESCALE_START RESCALE("a") RESCALE("b")
        "ldr.w %[even], %[row_pitch]\n\t"
        "ldr.w %[odd], %[last]\n\t"
        SATURATE("a") SATURATE("b")
        "strb.w %[a], [%[output]]\n\t"
        "strb.w %[b], [%[output], %[even]]\n\t"
        "add.w %[output], %[output], %[even], lsl #1\n\t"
        "cmp.w %[row], %[odd]\n\t"
        "bne.w 1b"
        /* clang-format on */
        : [row] "+r"(row), [output] "+r"(output), [even] "=&r"(even), [odd] "=&r"(odd),
          [other] "=&r"(other), [a] "=&r"(a), [b] "=&r"(b)
        : [line] "r"(line), [outer0] "r"(block->outer[0]), [outer1] "r"(block->outer[1]),
          [outer2] "r"(block->outer[2]), [inner] "r"(block->inner), [rest] "r"(block->rest),
          BLOCK_MEMORY
        : "cc", "memory");
}

#else

static inline void make_block(const block_t *block, const int8_t *row, int32_t line,
                              int8_t *output) {
    const uint32_t inner[] = {block->inner, block->inner >> 16, block->rest >> 16};
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
}

static inline void convolve_blocks(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    for_each_block(block, make_block, 2, row, line, output);
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
