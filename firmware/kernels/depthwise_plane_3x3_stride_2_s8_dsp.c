/* One channel of a 3x3 depthwise convolution with stride 2, in blocks of two outputs side by side:
 * they share a word of each row, and the right one needs a byte more. */
#include "depthwise_3x3_s8_dsp.h"

#if KERNELS_DSP

#if DSP_LOOPS

/* Written as depthwise_plane_3x3_s8_dsp.c, for the same reasons. Registers have their names,
 * because gcc 12 finds none for some operands where one holds the frame, though it leaves exactly
 * as many as there are. */
static inline __attribute__((always_inline)) void convolve_blocks(block_t *block, const int8_t *row,
                                                                  int32_t line, int8_t *output) {
    register const int8_t *from __asm__("r0") = row;
    register int8_t *to __asm__("r1") = output;
    register uint32_t outer0 __asm__("r2") = block->outer[0];
    register uint32_t outer1 __asm__("r3") = block->outer[1];
    register uint32_t outer2 __asm__("r4") = block->outer[2];
    register uint32_t inner __asm__("r5") = block->inner;
    register uint32_t rest __asm__("r6") = block->rest;
    register uint32_t other __asm__("r8");
    /* sums: left and right */
    register int32_t a __asm__("r9"), b __asm__("r10");
    register int32_t pitch __asm__("r11") = line;
    register uint32_t even __asm__("ip"), odd __asm__("lr");
    /* clang-format off */
    __asm__ volatile(
        ".p2align 2\n"
        "1:\n\t"
        "ldr.w %[even], [%[row]]\n\t"
        "ldrsb.w %[other], [%[row], #4]\n\t"
        "ldr.w %[b], %[bias]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[outer0], %[b]\n\t"
        "smlatb %[b], %[even], %[outer0], %[b]\n\t"
        "smlabb %[a], %[odd], %[inner], %[a]\n\t"
        "smlatb %[b], %[odd], %[inner], %[b]\n\t"
        "add.w %[row], %[row], %[line]\n\t"
        "smlabt %[b], %[other], %[outer0], %[b]\n\t"

        "ldr.w %[even], [%[row]]\n\t"
        "ldrsb.w %[other], [%[row], #4]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[outer1], %[a]\n\t"
        "smlatb %[b], %[even], %[outer1], %[b]\n\t"
        "smlabt %[a], %[odd], %[inner], %[a]\n\t"
        "smlatt %[b], %[odd], %[inner], %[b]\n\t"
        "add.w %[row], %[row], %[line]\n\t"
        "smlabt %[b], %[other], %[outer1], %[b]\n\t"

        "ldr.w %[even], [%[row]]\n\t"
        "ldrsb.w %[other], [%[row], #4]\n\t"
        "sxtb16 %[odd], %[even], ror #8\n\t"
        "sxtb16 %[even], %[even]\n\t"
        "smlad %[a], %[even], %[outer2], %[a]\n\t"
        "smlatb %[b], %[even], %[outer2], %[b]\n\t"
        "smlabt %[a], %[odd], %[rest], %[a]\n\t"
        "smlatt %[b], %[odd], %[rest], %[b]\n\t"
        "sub.w %[row], %[row], %[line], lsl #1\n\t"
        "smlabt %[b], %[other], %[outer2], %[b]\n\t"

        RESCALE_START RESCALE("a") RESCALE("b")
        "ldr.w %[even], %[pitch]\n\t"
        "ldr.w %[odd], %[end]\n\t"
        "add.w %[row], %[row], #4\n\t"
        SATURATE("a") SATURATE("b")
        "strb.w %[a], [%[output]]\n\t"
        "strb.w %[b], [%[output], %[even]]\n\t"
        NEXT_BLOCK
        /* clang-format on */
        : [end] "+m"(block->end), [row] "+r"(from), [output] "+r"(to), [even] "=&r"(even),
          [odd] "=&r"(odd), [other] "=&r"(other), [a] "=&r"(a), [b] "=&r"(b)
        : [line] "r"(pitch), [outer0] "r"(outer0), [outer1] "r"(outer1), [outer2] "r"(outer2),
          [inner] "r"(inner), [rest] "r"(rest), BLOCK_MEMORY
        : "cc", "memory");
}

#else

static inline void make_block(const block_t *block, const int8_t *row, int32_t line,
                              int8_t *output) {
    const uint32_t inner[] = {block->inner, block->inner >> 16, block->rest >> 16};
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
}

static inline void convolve_blocks(const block_t *block, const int8_t *row, int32_t line,
                                   int8_t *output) {
    for_each_block(block, make_block, 4, row, line, output);
}

#endif

void depthwise_plane_3x3_stride_2_s8(const depthwise_conv_2d_t *conv, const int8_t *plane,
                                     int32_t rows, int32_t channel, int8_t *taps, int8_t *output) {
    const int32_t width = conv->output_width, line = conv->line;
    (void)taps;
    block_t block;
    depthwise_3x3_start_s8(&block, conv, channel);
    block.line_step = 2 * line;
    int32_t x = 0, blocks = width / 2;
    do { /* an odd column is made with the one before, once more */
        const int8_t *const row = plane + 2 * x;
        block.end = row + 4 * blocks;
        block.last = row + 2 * rows * line;
        block.row_step = 2 * line - 4 * blocks;
        block.output_step = block.row_pitch - 2 * blocks * block.pitch;
        convolve_blocks(&block, row, line, output + x * block.pitch);
        x += 2 * blocks - 1;
        blocks = 1;
    } while (x == width - 2);
}

#endif
