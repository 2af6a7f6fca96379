/* Matrix product in little flash: one filter times four columns, or two times a single
 * one, at once. */
#include "dsp.h"
#include "kernels.h"
#include "requantize_dsp.h"

#define LOAD_FOUR(at)                                                                              \
    "ldr.w %[x0], [%[column], #" at "]\n\t"                                                        \
    "ldr.w %[x1], [%[column], #" at "+4]\n\t"                                                      \
    "ldr.w %[x2], [%[column], #" at "+8]\n\t"                                                      \
    "ldr.w %[x3], [%[column], #" at "+12]\n\t"
#define MULTIPLY_FOUR                                                                              \
    "smlad %[s0], %[w], %[x0], %[s0]\n\t"                                                          \
    "smlad %[s1], %[w], %[x1], %[s1]\n\t"                                                          \
    "smlad %[s2], %[w], %[x2], %[s2]\n\t"                                                          \
    "smlad %[s3], %[w], %[x3], %[s3]\n\t"

/* Sums of a filter's products with the four columns at `column`. */
static void multiply_four(const int32_t *weights, const int32_t *column, int32_t depth,
                          int32_t bias, int32_t *sums) {
    int32_t s0 = add_wrapping(bias, column[0]), s1 = add_wrapping(bias, column[1]);
    int32_t s2 = add_wrapping(bias, column[2]), s3 = add_wrapping(bias, column[3]);
    const int32_t *const end = weights + depth / 2;
#if DSP_LOOPS
    /* Loads in runs, which a compiler takes apart. */
    uint32_t w, x0, x1, x2, x3;
    __asm__ volatile(".p2align 2\n\t"
                     "1:\n\t"
                     "ldr.w %[w], [%[weights]], #8\n\t" LOAD_FOUR("16") MULTIPLY_FOUR
                     "sxtb16 %[w], %[w], ror #8\n\t" LOAD_FOUR("32") MULTIPLY_FOUR
                     "add.w %[column], %[column], #32\n\t"
                     "cmp %[weights], %[end]\n\t"
                     "bne 1b"
                     : [w] "=&r"(w), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3),
                       [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3),
                       [weights] "+r"(weights), [column] "+r"(column)
                     : [end] "r"(end)
                     : "cc", "memory");
#else
    for (; weights != end; weights += 2) {
        uint32_t w = (uint32_t)*weights;
        s0 = smlad(w, (uint32_t)column[4], s0);
        s1 = smlad(w, (uint32_t)column[5], s1);
        s2 = smlad(w, (uint32_t)column[6], s2);
        s3 = smlad(w, (uint32_t)column[7], s3);
        w = sxtb16_odd(w);
        s0 = smlad(w, (uint32_t)column[8], s0);
        s1 = smlad(w, (uint32_t)column[9], s1);
        s2 = smlad(w, (uint32_t)column[10], s2);
        s3 = smlad(w, (uint32_t)column[11], s3);
        column += 8;
    }
#endif
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* Sums of two filters' products with a single column. */
__attribute__((noinline)) static void multiply_single(const int32_t *record, const int32_t *column,
                                                      int32_t depth, int32_t *a, int32_t *b) {
    int32_t sum_a = add_wrapping(record[0], *column), sum_b = add_wrapping(record[1], *column);
    const int32_t *const end = record + depth / 2;
    do { /* not `for`, of which -Os makes two jumps a round */
        const uint32_t even = (uint32_t)column[1], odd = (uint32_t)column[2];
        const uint32_t w = (uint32_t)record[2], v = (uint32_t)record[3];
        sum_a = smlad(sxtb16_odd(w), odd, smlad(w, even, sum_a));
        sum_b = smlad(sxtb16_odd(v), odd, smlad(v, even, sum_b));
        record += 2;
        column += 2;
    } while (record != end);
    *a = sum_a;
    *b = sum_b;
}

/* Sums of the first (0) or second (1) filter of a pair become every channels-th output. Not
 * inlined: the rare case must not take the registers of the other one. */
__attribute__((noinline)) static void finish_rare(const filters_t *filters,
                                                  const int32_t *rescaling, int32_t which,
                                                  const int32_t *sums, const int32_t *end,
                                                  int8_t *output) {
    for (; sums != end; sums++) {
        *output = requantize_filter(*sums, filters, rescaling, which);
        output += filters->channels;
    }
}

/* The same. */
static void finish(const filters_t *filters, const int32_t *rescaling, int32_t which,
                   const int32_t *sums, const int32_t *end, int8_t *output) {
    if (!filters->simple) {
        finish_rare(filters, rescaling, which, sums, end, output);
        return;
    }
    const int32_t channels = filters->channels, min = filters->min, max = filters->max;
    const simple_t simple = simple_of_filter(rescaling, which, filters->zero_point);
    do {
        *output = (int8_t)clamp(requantize_simple(*sums, simple), min, max);
        output += channels;
    } while (++sums != end);
}

void matmul_small_s8(const filters_t *filters, const int32_t *columns, int32_t pixels,
                     int32_t *buffer, int8_t *output) {
    const int32_t depth = filters->depth, channels = filters->channels;
    (void)buffer;
    for (; pixels > 0; pixels -= 4) {
        const int32_t count = pixels < 4 ? pixels : 4;
        const int32_t *record = filters->records;
        for (int32_t c = 0; c < channels; c++) {
            int32_t sums[2][4];
            if (count == 1) {
                multiply_single(record, columns, depth, &sums[0][0], &sums[1][0]);
            } else {
                multiply_four(record + 2, columns, depth, record[0], sums[0]);
                multiply_four(record + 3, columns, depth, record[1], sums[1]);
            }
            const int32_t *const own = record + 2 + depth / 2;
            const int32_t *const rescaling = filters->per_channel ? own : filters->rescaling;
            finish(filters, rescaling, 0, sums[0], sums[0] + count, output + c);
            if (++c < channels) {
                finish(filters, rescaling, 1, sums[1], sums[1] + count, output + c);
            }
            record += record_words(filters);
        }
        columns += column_words(depth, 4);
        output += 4 * channels;
    }
}
