/* Matrix product, plain C. Sums are unsigned: they may wrap, as the reference's do. */
#include "kernels.h"
#include "requantize.h"

#if !KERNELS_DSP

static int32_t low(int32_t pair) { return (int16_t)pair; }
static int32_t high(int32_t pair) { return pair >> 16; }

/* weights: every other word; column: a pair of words, `columns` apart, after 2 * columns words. */
static int32_t dot(const int32_t *weights, const int32_t *column, int32_t columns, int32_t depth) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < depth; i += 4) {
        const int32_t w = *weights, even = column[0], odd = column[columns];
        sum += (uint32_t)(low(w) * low(even) + (low(w) >> 8) * low(odd));
        sum += (uint32_t)(high(w) * high(even) + (high(w) >> 8) * high(odd));
        weights += 2;
        column += 2 * columns;
    }
    return (int32_t)sum;
}

void matmul_s8(const filters_t *filters, const int32_t *columns, int32_t pixels, int32_t *buffer,
               int8_t *output) {
    const int32_t depth = filters->depth, channels = filters->channels;
    (void)buffer; /* for slow flash and fast cores */
    for (int32_t p = 0; p < pixels; p++) {
        const int32_t together = p % 4 == 0 && p == pixels - 1 ? 1 : 4;
        const int32_t *const column = columns + p / 4 * column_words(depth, 4) + p % 4;
        for (int32_t c = 0; c < channels; c++) {
            const int32_t *const record = filters->records + c / 2 * record_words(filters);
            const int32_t *const weights = record + 2;
            const int32_t *const rescaling =
                filters->per_channel ? weights + depth / 2 : filters->rescaling;
            const int32_t sum = dot(weights + c % 2, column + together, together, depth);
            *output++ = requantize_filter(add_wrapping(add_wrapping(sum, record[c % 2]), *column),
                                          filters, rescaling, c % 2);
        }
    }
}

#endif
