/* Convolution: the windows of a block of output pixels are packed as columns (matmul.h), then
 * multiplied with all filters. Each row of a window has a whole number of words in its column. */
#include <string.h>

#include "kernels.h"

typedef struct {
    const conv_2d_t *conv;
    const int8_t *input;
    int8_t *line;                           /* room for one row of a window, rounded up to words */
    int32_t words;                          /* of one row of a window */
    int32_t line_bytes;                     /* of the input */
    int32_t columns;                        /* of the group being packed */
    int32_t whole;                          /* a row of a window has no gaps */
    int32_t last_top, last_left, last_from; /* of windows that lie inside */
} window_t;

/* `words` words of the input's zero point. */
static int32_t pack_zero_point(const window_t *window, int32_t words, int32_t *to) {
    const int32_t value = window->conv->input_zero_point;
    const uint32_t even = (uint32_t)value & 0xFFFFu;
    const uint32_t odd = (uint32_t)(-255 * value - 128) & 0xFFFFu;
    for (int32_t i = 0; i < words; i++) {
        to[0] = (int32_t)(even << 16 | even);
        to[window->columns] = (int32_t)(odd << 16 | odd);
        to += 2 * window->columns;
    }
    return -256 * value * words;
}

/* A row of the window that begins at column `left` of the input's row `row`, and partly lies
 * outside or has gaps. */
static int32_t pack_taps(const window_t *window, const int8_t *row, int32_t left, int32_t words,
                         int32_t *to) {
    const conv_2d_t *const conv = window->conv;
    const int32_t channels = conv->input_channels;
    int32_t sum = 0;
    int8_t *into = window->line;
    for (int32_t i = 0; i < conv->kernel_width; i++) {
        const int32_t x = left + i * conv->dilation_width;
        const int32_t inside = x >= 0 && x < conv->input_width;
        if (channels % 4 == 0) {
            sum += inside
                       ? pack_lines_s8(row + x * channels, channels / 4, 1, 0, to, window->columns)
                       : pack_zero_point(window, channels / 4, to);
            to += channels / 2 * window->columns;
        } else {
            if (inside) {
                memcpy(into, row + x * channels, (size_t)channels);
            } else {
                memset(into, conv->input_zero_point, (size_t)channels);
            }
            into += channels;
        }
    }
    if (channels % 4 == 0) {
        return sum;
    }
    memset(into, 0, (size_t)(window->line + 4 * words - into)); /* against zero weights */
    return pack_lines_s8(window->line, words, 1, 0, to, window->columns);
}

/* The window of an output pixel, from row `top` and column `left` of the input on. */
static void pack_window(const window_t *window, int32_t top, int32_t left, int32_t *to) {
    const conv_2d_t *const conv = window->conv;
    const int32_t columns = window->columns, words = window->words, line = window->line_bytes;
    const int32_t pitch = conv->dilation_height * line;
    const int32_t from = top * line + left * conv->input_channels;
    int32_t sum = 0;
    int32_t *const first = to;
    to += columns;
    if (window->whole && top >= 0 && top <= window->last_top && left >= 0 &&
        left <= window->last_left && from <= window->last_from) {
        sum = pack_lines_s8(window->input + from, words, conv->kernel_height, pitch, to, columns);
    } else {
        for (int32_t i = 0; i < conv->kernel_height; i++) {
            const int32_t y = top + i * conv->dilation_height;
            sum += y < 0 || y >= conv->input_height
                       ? pack_zero_point(window, words, to)
                       : pack_taps(window, window->input + y * line, left, words, to);
            to += 2 * words * columns;
        }
    }
    *first = sum;
}

void conv_2d_s8(const conv_2d_t *table, const int8_t *input, int8_t *output, int8_t *scratch) {
    const conv_2d_t local = *table, *const conv = &local; /* out of slow flash */
    const int32_t pixels = conv->output_height * conv->output_width;
    const int32_t group = column_words(conv->filters.depth, 4);
    int32_t *const buffer = (int32_t *)(void *)(scratch + conv->line_bytes);
    int32_t *const columns =
        buffer + (conv->buffered ? (record_words(&conv->filters) + 7) / 8 * 8 : 0);
    const int32_t reach = (conv->kernel_height - 1) * conv->dilation_height;
    window_t window = {
        .conv = conv,
        .input = input,
        .line = scratch,
        .words = (conv->kernel_width * conv->input_channels + 3) / 4,
        .line_bytes = conv->input_width * conv->input_channels,
        .whole = conv->dilation_width == 1 || conv->kernel_width == 1,
        .last_top = conv->input_height - 1 - reach,
        .last_left = conv->input_width - conv->kernel_width,
    };
    /* The last word of a line may hold what lies behind the window: against zero weights. */
    window.last_from = (conv->input_height - reach) * window.line_bytes - 4 * window.words;
    int32_t top = -conv->pad_top, left = -conv->pad_left;
    const int32_t right = conv->output_width * conv->stride_width - conv->pad_left;
    for (int32_t done = 0; done < pixels; done += conv->block) {
        const int32_t rest = pixels - done;
        const int32_t block = rest < conv->block ? rest : conv->block;
        int32_t *to = columns;
        for (int32_t i = 0; i < block; i++) {
            if (left == right) {
                left = -conv->pad_left;
                top += conv->stride_height;
            }
            window.columns = i % 4 == 0 && i == block - 1 ? 1 : 4;
            pack_window(&window, top, left, to + i % 4);
            left += conv->stride_width;
            to += i % 4 == 3 ? group : 0;
        }
        for (int32_t i = block; i % 4 > 1 || (i % 4 && window.columns == 4); i++) {
            pack_window(&window, top, left - conv->stride_width, to + i % 4);
        }
        matmul_s8(&conv->filters, columns, block, conv->buffered ? buffer : NULL, output);
        output += block * conv->filters.channels;
    }
}
