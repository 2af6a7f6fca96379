/* Convolution of int16: columns of four output pixels are gathered side by side, then multiplied
 * with all filters. */
#include <string.h>

#include "dsp.h"
#include "kernels.h"

/* A column, `group` of which lie side by side in pairs of values. */
typedef struct {
    int16_t *values;
    int32_t group, filled;
} column_t;

/* `count` values from `from` on, `step` apart: 1, or 0 for two zeros again and again. */
static void append(column_t *column, const int16_t *from, int32_t step, int32_t count) {
    const int32_t line = 2 * column->group;
    int16_t *to = column->values + (column->filled >> 1) * line;
    const int half = column->filled & 1; /* of a pair is there already */
    column->filled += count;
    if (half && count > 0) {
        to[1] = *from;
        to += line;
        from += step;
        count--;
    }
    for (; count >= 2; count -= 2) {
        const uint32_t pair = load_halves(from);
        memcpy(to, &pair, sizeof pair);
        to += line;
        from += 2 * step;
    }
    if (count > 0) {
        *to = *from;
    }
}

static void append_zeros(column_t *column, int32_t count) {
    static const int16_t zeros[2];
    append(column, zeros, 0, count);
}

/* One output pixel's window as a row of the matrix; what lies outside is zero. */
static void gather_column(const conv_2d_s16_t *conv, const int16_t *input, int32_t row,
                          int32_t column, column_t *into) {
    const int32_t channels = conv->input_channels;
    const int32_t left = column * conv->stride_width - conv->pad_left;
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        const int32_t y = row * conv->stride_height - conv->pad_top + i * conv->dilation_height;
        const int16_t *const from = input + y * conv->input_width * channels;
        if (y < 0 || y >= conv->input_height) {
            append_zeros(into, conv->kernel_width * channels);
        } else if (conv->dilation_width == 1 && left >= 0 &&
                   left + conv->kernel_width <= conv->input_width) {
            append(into, from + left * channels, 1, conv->kernel_width * channels);
        } else {
            for (int32_t j = 0; j < conv->kernel_width; j++) {
                const int32_t x = left + j * conv->dilation_width;
                if (x < 0 || x >= conv->input_width) {
                    append_zeros(into, channels);
                } else {
                    append(into, from + x * channels, 1, channels);
                }
            }
        }
    }
    append_zeros(into, into->filled & 1); /* against zero weights */
}

void conv_2d_s16(const conv_2d_s16_t *conv, const int16_t *input, int16_t *output,
                 int16_t *scratch) {
    const int32_t pixels = conv->output_height * conv->output_width;
    const int32_t group = pixels > 1 ? 4 : 1;
    for (int32_t done = 0; done < pixels; done += group) {
        for (int32_t p = 0; p < group; p++) {
            /* The last pixel again where a group lacks some. */
            const int32_t pixel = done + p < pixels ? done + p : pixels - 1;
            column_t column = {scratch + 2 * p, group, 0};
            gather_column(conv, input, pixel / conv->output_width, pixel % conv->output_width,
                          &column);
        }
        const int32_t present = pixels - done < group ? pixels - done : group;
        matmul_s16(&conv->filters, scratch, group, present, output);
        output += present * conv->output_channels;
    }
}
