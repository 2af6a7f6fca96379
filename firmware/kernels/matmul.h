/* Matrix products: filters times columns, for convolutions and fully-connected layers. */
#ifndef HILNAS_MATMUL_H
#define HILNAS_MATMUL_H

#include <stdint.h>

/* Filters lie in pairs, a record of words for each:
 *
 *     bias of a, bias of b; then for each four of depth: four bytes of a, four of b;
 *     where every filter has a scale of its own: multiplier of a, of b, shifts (a, b, 0, 0)
 *
 * depth % 4 == 0; an odd last filter has zeros beside it. Of every four bytes w0 to w3 the even
 * ones are stored as w + 128, unsigned, the odd ones as they are: so a halfword is 256 w1 + w0 +
 * 128, and with packed columns (below) a dual multiplication takes it as it lies. The bias contains
 * +128 times the sum of a filter's odd weights, besides -input_zero_point times the sum of all. */
typedef struct filters filters_t;

/* output[p][c] = requantized dot product of column p and filter c. columns: groups of four; a rest
 * of two or three pixels is a group of four, whose other columns may be anything; a rest of one is
 * a single column. buffer: NULL, or room for a record, rounded up to eight words, which is
 * read from there then: worth it where flash is slow and there are many pixels. Up to seven words
 * behind the last record are read. */
typedef void matmul_t(const filters_t *filters, const int32_t *columns, int32_t pixels,
                      int32_t *buffer, int8_t *output);
matmul_t matmul_s8;
matmul_t matmul_small_s8; /* in less flash */

struct filters {
    matmul_t *matmul; /* one of them, so that only this one is linked */
    const int32_t *records;
    int32_t depth, channels;
    int32_t per_channel;  /* records end with their rescaling */
    int32_t rescaling[3]; /* multipliers of a and b, shifts: of all filters, unless per_channel */
    int32_t simple;       /* every shift lies in -22 to -1, no sum reaches 2^30 */
    int32_t clamped;      /* min and max are not int8's */
    int32_t zero_point, min, max;
};

/* Packed columns. A column is the input of one output pixel, `depth` values of int8; four of them,
 * or one, lie side by side in words:
 *
 *     -128 times the sum of its even values, for each column;
 *     for each four of depth: the pair (x0, x2) of each column,
 *                             the pair (x1 - 256 x0 - 128, x3 - 256 x2 - 128) of each column
 *
 * With w as stored, (256 w1 + w0 + 128) x0 + w1 (x1 - 256 x0 - 128) = w0 x0 + w1 x1 + 128 x0 -
 * 128 w1: what is too much is in the first word and in the bias. */
static inline int32_t column_words(int32_t depth, int32_t columns) {
    return columns * (1 + depth / 2);
}

static inline int32_t record_words(const filters_t *filters) {
    return 2 + filters->depth / 2 + (filters->per_channel ? 3 : 0);
}

/* Packs `lines` times 4 * words values, `pitch` bytes apart, as part of one column of a group of
 * `columns` (4 or 1); `to` is their first pair. Returns -128 times the sum of the even ones. */
int32_t pack_lines_s8(const int8_t *values, int32_t words, int32_t lines, int32_t pitch,
                      int32_t *to, int32_t columns);

typedef struct {
    int32_t rows, depth;
    filters_t filters; /* their depth is `depth` rounded up to 4, with zero weights */
} fully_connected_t;

/* scratch: packed columns of min(4, rows) rows, 4-byte aligned. */
void fully_connected_s8(const fully_connected_t *layer, const int8_t *input, int8_t *output,
                        int8_t *scratch);

/* Products of matrices that are both computed at run time. batch: matrices along three axes, which
 * lie steps_1 and steps_2 bytes apart, 0 where one serves all. by_columns_1: the first matrix lies
 * column by column, by_rows_2: the second one row by row. */
typedef struct {
    int32_t batch[3];
    int32_t rows, columns, depth;
    int32_t steps_1[3], steps_2[3];
    int32_t by_columns_1, by_rows_2;
    int32_t zero_point_1, zero_point_2;
    int32_t multiplier, shift, zero_point;
} batch_matmul_t;

/* scratch: 4 * rows bytes, 4-byte aligned, then rows * depth with by_columns_1, then depth with
 * by_rows_2. */
void batch_matmul_s8(const batch_matmul_t *matmul, const int8_t *input_1, const int8_t *input_2,
                     int8_t *output, int8_t *scratch);

#endif
