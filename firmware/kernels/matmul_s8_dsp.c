/* Matrix product with dual 16-bit multiplications: two filters times four columns at once
 * (multiply_filters_s8), four filters where there is a single column. */
#include "dsp.h"
#include "kernels.h"
#include "multiply_filters_s8.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

typedef struct {
    int32_t a, b, d, e; /* two pairs of filters */
} column_sums_t;

#if DSP_LOOPS

#define FOUR_DEEP_SINGLE(i, write_back)                                                            \
    "ldr.w %[a], [%[w], #(8*" #i "+4)]\n\t"                                                        \
    "ldr.w %[b], [%[w], #(8*" #i "+8)]" write_back "\n\t"                                          \
    "ldr.w %[d], [%[v], #(8*" #i "+4)]\n\t"                                                        \
    "ldr.w %[e], [%[v], #(8*" #i "+8)]" write_back "\n\t"                                          \
    "ldr.w %[x], [%[c], #(8*" #i "+4)]\n\t"                                                        \
    "ldr.w %[y], [%[c], #(8*" #i "+8)]" write_back "\n\t"                                          \
    "smlad %[sa], %[a], %[x], %[sa]\n\t"                                                           \
    "smlad %[sb], %[b], %[x], %[sb]\n\t"                                                           \
    "smlad %[sd], %[d], %[x], %[sd]\n\t"                                                           \
    "smlad %[se], %[e], %[x], %[se]\n\t"                                                           \
    "sxtb16 %[a], %[a], ror #8\n\t"                                                                \
    "sxtb16 %[b], %[b], ror #8\n\t"                                                                \
    "sxtb16 %[d], %[d], ror #8\n\t"                                                                \
    "sxtb16 %[e], %[e], ror #8\n\t"                                                                \
    "smlad %[sa], %[a], %[y], %[sa]\n\t"                                                           \
    "smlad %[sb], %[b], %[y], %[sb]\n\t"                                                           \
    "smlad %[sd], %[d], %[y], %[sd]\n\t"                                                           \
    "smlad %[se], %[e], %[y], %[se]\n\t"

#define LOOP_SINGLE(rounds, w, v, c, end, s)                                                       \
    do {                                                                                           \
        uint32_t a, b, d, e, x, y;                                                                 \
        __asm__ volatile(".p2align 2\n\t"                                                          \
                         "1:\n\t" rounds "ldr.w %[x], %[last]\n\t"                                 \
                         "cmp %[c], %[x]\n\t"                                                      \
                         "bne 1b"                                                                  \
                         : [a] "=&r"(a), [b] "=&r"(b), [d] "=&r"(d), [e] "=&r"(e), [x] "=&r"(x),   \
                           [y] "=&r"(y), [w] "+r"(w), [v] "+r"(v), [c] "+r"(c), [sa] "+r"(s.a),    \
                           [sb] "+r"(s.b), [sd] "+r"(s.d), [se] "+r"(s.e)                          \
                         : [last] "m"(end)                                                         \
                         : "cc", "memory");                                                        \
    } while (0)

#endif

/* w, v, c: the words before the first of two pairs' weights and of a single column. */
static inline __attribute__((always_inline)) column_sums_t multiply_column(
    const int32_t *w, const int32_t *v, const int32_t *c, int32_t depth, column_sums_t s) {
    const int32_t *const end = c + depth / 2;
#if DSP_LOOPS
    const int32_t *const rounds = c + (depth & ~31) / 2;
    if (c != rounds) {
        LOOP_SINGLE(FOUR_DEEP_SINGLE(0, "") FOUR_DEEP_SINGLE(1, "") FOUR_DEEP_SINGLE(2, "")
                        FOUR_DEEP_SINGLE(3, "") FOUR_DEEP_SINGLE(4, "") FOUR_DEEP_SINGLE(5, "")
                            FOUR_DEEP_SINGLE(6, "") FOUR_DEEP_SINGLE(7, "!"),
                    w, v, c, rounds, s);
    }
    if (c != end) {
        LOOP_SINGLE(FOUR_DEEP_SINGLE(0, "!"), w, v, c, end, s);
    }
#else
    for (; c != end; c += 2) {
        const uint32_t even = (uint32_t)c[1], odd = (uint32_t)c[2];
        s.a = smlad(sxtb16_odd((uint32_t)w[1]), odd, smlad((uint32_t)w[1], even, s.a));
        s.b = smlad(sxtb16_odd((uint32_t)w[2]), odd, smlad((uint32_t)w[2], even, s.b));
        s.d = smlad(sxtb16_odd((uint32_t)v[1]), odd, smlad((uint32_t)v[1], even, s.d));
        s.e = smlad(sxtb16_odd((uint32_t)v[2]), odd, smlad((uint32_t)v[2], even, s.e));
        w += 2;
        v += 2;
    }
#endif
    return s;
}

/* Not inlined: the rare cases must not take registers and flash from the common ones. */
__attribute__((noinline)) static int8_t finish(int32_t sum, const filters_t *filters,
                                               const int32_t *record, int32_t which) {
    const int32_t *const rescaling =
        filters->per_channel ? record + 2 + filters->depth / 2 : filters->rescaling;
    return filters->simple
               ? requantize_simple(sum, simple_of_filter(rescaling, which, filters->zero_point))
               : requantize_filter(sum, filters, rescaling, which);
}

/* One filter of a pair times one column of a group of four: what is left over by the fast ways. */
__attribute__((noinline)) static int8_t multiply_one(const filters_t *filters,
                                                     const int32_t *record, int32_t which,
                                                     const int32_t *column) {
    const int32_t *w = record + 2 + which, *const end = w + filters->depth / 2;
    int32_t sum = add_wrapping(record[which], *column);
    for (column += 4; w != end; w += 2) {
        sum = smlad((uint32_t)w[0], (uint32_t)column[0], sum);
        sum = smlad(sxtb16_odd((uint32_t)w[0]), (uint32_t)column[4], sum);
        column += 8;
    }
    return finish(sum, filters, record, which);
}

/* All filters times a single column, two pairs at a time. */
static void multiply_single(const filters_t *filters, const int32_t *column, int8_t *output) {
    const int32_t words = record_words(filters), depth = filters->depth;
    const int32_t *record = filters->records;
    const int32_t shares = filters->simple && !filters->per_channel;
    const simple_t shared =
        shares ? simple_of_filter(filters->rescaling, 0, filters->zero_point) : (simple_t){0, 0, 0};
    for (int32_t left = filters->channels; left > 0; left -= 4) {
        const int32_t *const other = left > 2 ? record + words : record;
        column_sums_t s;
        s.a = add_wrapping(record[0], *column);
        s.b = add_wrapping(record[1], *column);
        s.d = add_wrapping(other[0], *column);
        s.e = add_wrapping(other[1], *column);
        s = multiply_column(record + 1, other + 1, column, depth, s);
        if (shares && left > 3) {
            output[0] = requantize_simple(s.a, shared);
            output[1] = requantize_simple(s.b, shared);
            output[2] = requantize_simple(s.d, shared);
            output[3] = requantize_simple(s.e, shared);
        } else {
            output[0] = finish(s.a, filters, record, 0);
            if (left > 1) {
                output[1] = finish(s.b, filters, record, 1);
            }
            if (left > 2) {
                output[2] = finish(s.d, filters, other, 0);
            }
            if (left > 3) {
                output[3] = finish(s.e, filters, other, 1);
            }
        }
        record += 2 * words;
        output += 4;
    }
}

/* Not inlined: the job needs stack that a single column has no use for. */
__attribute__((noinline)) static void multiply_groups(const filters_t *filters,
                                                      const int32_t *columns, int32_t groups,
                                                      int32_t *buffer, int8_t *output) {
    const multiply_filters_t job = {
        .columns = columns,
        .record = filters->records,
        .buffer = buffer,
        .record_bytes = 4 * record_words(filters),
        .pairs = filters->channels / 2,
        .groups = groups,
        .output = output,
        .channels = filters->channels,
        .depth = filters->depth,
        .zero_point = filters->zero_point,
        .rescaling = filters->per_channel ? NULL : filters->rescaling,
    };
    multiply_filters_s8(&job);
}

void matmul_s8(const filters_t *filters, const int32_t *columns, int32_t pixels, int32_t *buffer,
               int8_t *output) {
    const int32_t words = record_words(filters), channels = filters->channels;
    const int32_t group = column_words(filters->depth, 4);
    const int32_t grouped = pixels % 4 == 1 ? pixels - 1 : pixels;
    const int32_t fast = filters->simple && channels > 1 && pixels > 3;
    if (fast) {
        multiply_groups(filters, columns, pixels / 4, buffer, output);
    }
    for (int32_t p = 0; p < grouped; p++) {
        for (int32_t c = fast && p < (pixels & ~3) ? channels & ~1 : 0; c < channels; c++) {
            output[p * channels + c] = multiply_one(filters, filters->records + c / 2 * words,
                                                    c % 2, columns + p / 4 * group + p % 4);
        }
    }
    if (grouped < pixels) {
        multiply_single(filters, columns + grouped / 4 * group, output + grouped * channels);
    }
    if (filters->simple && filters->clamped) {
        for (int32_t i = 0; i < pixels * channels; i++) {
            output[i] = (int8_t)clamp(output[i], filters->min, filters->max);
        }
    }
}

#endif
