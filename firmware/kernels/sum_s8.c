/* Values are taken where they lie in a word: as the upper bytes of its halves, 2^8 times as much,
 * half of them after the word was shifted. */
#include "dsp.h"
#include "kernels.h"
#include "pairing.h"

static inline int8_t low_sum(const sum_t *sum, uint32_t a, uint32_t b) {
    const int32_t x = smlawb(sum->factor_1, a, sum->offset);
    return (int8_t)ssat8_shifted_20(smlawb(sum->factor_2, b, x));
}

#if DSP_LOOPS

/* As instructions, all of them wide and at whole words, where they wait for no fetch. */
static inline void sum_words(const sum_t *sum, const int8_t *input_1, const int8_t *input_2,
                             int8_t *output, int32_t count) {
    uint32_t a, b, x, y, z;
    __asm__ volatile(
        "cmp.w %[output], %[end]\n\t"
        "beq.w 2f\n\t"
        ".p2align 2\n"
        "1:\n\t"
        "ldr.w %[a], [%[input_1]], #4\n\t"
        "ldr.w %[b], [%[input_2]], #4\n\t"
        "and.w %[x], %[upper], %[a], lsl #8\n\t"
        "and.w %[y], %[upper], %[b], lsl #8\n\t"
        "and.w %[a], %[upper], %[a]\n\t"
        "and.w %[b], %[upper], %[b]\n\t"
        "smlawb %[z], %[factor_1], %[x], %[offset]\n\t"
        "smlawt %[x], %[factor_1], %[x], %[offset]\n\t"
        "smlawb %[z], %[factor_2], %[y], %[z]\n\t"
        "smlawt %[x], %[factor_2], %[y], %[x]\n\t"
        "ssat %[z], #8, %[z], asr #20\n\t"
        "ssat %[x], #8, %[x], asr #20\n\t"
        "pkhbt %[z], %[z], %[x], lsl #16\n\t" /* results 0 and 2 */
        "smlawb %[y], %[factor_1], %[a], %[offset]\n\t"
        "smlawt %[x], %[factor_1], %[a], %[offset]\n\t"
        "smlawb %[y], %[factor_2], %[b], %[y]\n\t"
        "smlawt %[x], %[factor_2], %[b], %[x]\n\t"
        "ssat %[y], #8, %[y], asr #20\n\t"
        "ssat %[x], #8, %[x], asr #20\n\t"
        "pkhbt %[y], %[y], %[x], lsl #16\n\t" /* results 1 and 3 */
        "and.w %[y], %[upper], %[y], lsl #8\n\t"
        "uxtab16 %[z], %[y], %[z]\n\t"
        "str.w %[z], [%[output]], #4\n\t"
        "cmp.w %[output], %[end]\n\t"
        "bne.w 1b\n"
        "2:"
        : [input_1] "+r"(input_1), [input_2] "+r"(input_2), [output] "+r"(output), [a] "=&r"(a),
          [b] "=&r"(b), [x] "=&r"(x), [y] "=&r"(y), [z] "=&r"(z)
        : [end] "r"(output + count), [factor_1] "r"(sum->factor_1), [factor_2] "r"(sum->factor_2),
          [offset] "r"(sum->offset), [upper] "r"(0xFF00FF00u)
        : "cc", "memory");
}

#else

static inline int8_t high_sum(const sum_t *sum, uint32_t a, uint32_t b) {
    const int32_t x = smlawt(sum->factor_1, a, sum->offset);
    return (int8_t)ssat8_shifted_20(smlawt(sum->factor_2, b, x));
}

static inline void sum_words(const sum_t *sum, const int8_t *input_1, const int8_t *input_2,
                             int8_t *output, int32_t count) {
    const uint32_t upper = 0xFF00FF00u;
    for (int32_t i = 0; i < count; i += 4) {
        const uint32_t a = load_word(input_1 + i), b = load_word(input_2 + i);
        const uint32_t a_even = (a << 8) & upper, b_even = (b << 8) & upper;
        const uint32_t a_odd = a & upper, b_odd = b & upper;
        output[i] = low_sum(sum, a_even, b_even);
        output[i + 1] = low_sum(sum, a_odd, b_odd);
        output[i + 2] = high_sum(sum, a_even, b_even);
        output[i + 3] = high_sum(sum, a_odd, b_odd);
    }
}

#endif

void sum_s8(const sum_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const pairing_t *const pairing = &table->pairing;
    for (int32_t row = 0; row < pairing->rows; row++) {
        const int32_t words = in_words(pairing);
        sum_words(table, input_1, input_2, output, words);
        for (int32_t i = words; i < pairing->depth; i++) {
            const int32_t a = input_1[i & pairing->mask_1], b = input_2[i & pairing->mask_2];
            output[i] = low_sum(table, (uint32_t)a << 8, (uint32_t)b << 8);
        }
        input_1 += pairing->row_1;
        input_2 += pairing->row_2;
        output += pairing->depth;
    }
}
