/* Weighted means of four pixels; weights are 1024ths along each axis, halves round away from
 * zero. */
#include "kernels.h"

typedef struct {
    int32_t low, high; /* the elements on both sides */
    int32_t weight;    /* of the higher one */
} place_t;

static place_t locate(const resize_axis_t *axis, int32_t i) {
    const int32_t at = i * axis->step + axis->start;
    if (at <= 0) {
        return (place_t){0, 0, 0};
    }
    const int32_t low = at >> 10;
    if (low >= axis->input - 1) {
        return (place_t){low, low, 0};
    }
    return (place_t){low, low + 1, at & 1023};
}

/* round(sum / 2^20) */
static int8_t finish(int32_t sum) { return (int8_t)((sum + (1 << 19) + (sum >> 31)) >> 20); }

void resize_bilinear_s8(const resize_bilinear_t *resize, const int8_t *input, int8_t *output) {
    const int32_t channels = resize->channels;
    const int32_t line = resize->columns.input * channels;
    for (int32_t y = 0; y < resize->rows.output; y++) {
        const place_t row = locate(&resize->rows, y);
        for (int32_t x = 0; x < resize->columns.output; x++) {
            const place_t column = locate(&resize->columns, x);
            const int32_t below_right = row.weight * column.weight;
            const int32_t below_left = (row.weight << 10) - below_right;
            const int32_t above_right = (column.weight << 10) - below_right;
            const int32_t above_left = (1 << 20) - below_right - below_left - above_right;
            const int8_t *const above = input + row.low * line;
            const int8_t *const below = input + row.high * line;
            const int8_t *a = above + column.low * channels;
            const int8_t *b = above + column.high * channels;
            const int8_t *c = below + column.low * channels;
            const int8_t *d = below + column.high * channels;
            for (int32_t i = 0; i < channels; i++) {
                *output++ = finish(a[i] * above_left + b[i] * above_right + c[i] * below_left +
                                   d[i] * below_right);
            }
        }
    }
}
