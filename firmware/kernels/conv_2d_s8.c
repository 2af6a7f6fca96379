/* Convolution: the windows of a block of output pixels are packed as columns (matmul.h), then
 * multiplied with all filters. Each row of a window has a whole number of words in its column. */
#include <string.h>

#include "kernels.h"
#include "requantize.h"

typedef struct {
    conv_2d_t conv; /* out of slow flash */
    const int8_t *input;
    int8_t *line;       /* room for one row of a window, rounded up to words */
    int32_t words;      /* of one row of a window */
    int32_t line_bytes; /* of the input */
    int32_t last_left;  /* of windows whose rows lie inside, words and all, and have no gaps */
} windows_t;

/* `words` words of the input's zero point. */
__attribute__((noinline)) static int32_t pack_zero_point(const windows_t *windows, int32_t words,
                                                         int32_t *to, int32_t columns) {
    const int32_t value = windows->conv.input_zero_point;
    const uint32_t even = (uint32_t)value & 0xFFFFu;
    const uint32_t odd = (uint32_t)(-255 * value - 128) & 0xFFFFu;
    for (int32_t i = 0; i < words; i++) {
        to[0] = (int32_t)(even << 16 | even);
        to[columns] = (int32_t)(odd << 16 | odd);
        to += 2 * columns;
    }
    return -256 * value * words;
}

/* A row of a window with gaps or of no whole words, from column `left` of the input's row on. */
static int32_t pack_taps(const windows_t *windows, const int8_t *row, int32_t left, int32_t *to,
                         int32_t columns) {
    const conv_2d_t *const conv = &windows->conv;
    const size_t channels = (size_t)conv->input_channels;
    int8_t *into = windows->line;
    for (int32_t i = 0; i < conv->kernel_width; i++) {
        const int32_t x = left + i * conv->dilation_width;
        if (x >= 0 && x < conv->input_width) {
            memcpy(into, row + x * conv->input_channels, channels);
        } else {
            memset(into, conv->input_zero_point, channels);
        }
        into += channels;
    }
    memset(into, 0, (size_t)(windows->line + 4 * windows->words - into)); /* against zero weights */
    return pack_lines_s8(windows->line, windows->words, 1, 0, to, columns);
}

/* A row of a window that sticks out to the left or right by `before` and `after` taps. */
static int32_t pack_part(const windows_t *windows, const int8_t *row, int32_t left, int32_t *to,
                         int32_t columns) {
    const int32_t width = windows->conv.kernel_width, words = windows->conv.input_channels / 4;
    const int32_t before = clamp(-left, 0, width);
    const int32_t after = clamp(left + width - windows->conv.input_width, 0, width - before);
    const int32_t inside = width - before - after, step = 2 * columns * words;
    int32_t sum = pack_zero_point(windows, before * words, to, columns);
    sum += pack_lines_s8(row + 4 * words * (left + before), inside * words, 1, 0,
                         to + before * step, columns);
    return sum + pack_zero_point(windows, after * words, to + (width - after) * step, columns);
}

/* The first word of a column whose window begins at (top, left) and lies partly outside or has
 * gaps; the rest of it is packed. */
__attribute__((noinline)) static int32_t pack_border(const windows_t *windows, int32_t top,
                                                     int32_t left, int32_t *to, int32_t columns) {
    const conv_2d_t *const conv = &windows->conv;
    const int32_t words = conv->line_bytes == 0;
    int32_t sum = 0;
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        const int32_t y = top + i * conv->dilation_height;
        const int8_t *const row = windows->input + y * windows->line_bytes;
        if (y < 0 || y >= conv->input_height) {
            sum += pack_zero_point(windows, windows->words, to, columns);
        } else if (words) {
            sum += pack_part(windows, row, left, to, columns);
        } else {
            sum += pack_taps(windows, row, left, to, columns);
        }
        to += 2 * windows->words * columns;
    }
    return sum;
}

static int32_t last_left(const conv_2d_t *conv, int32_t words) {
    if (conv->dilation_width > 1 && conv->kernel_width > 1) {
        return -1;
    }
    const int32_t rest = conv->input_width * conv->input_channels - 4 * words;
    return rest < 0 ? -1 : rest / conv->input_channels;
}

void conv_2d_s8(const conv_2d_t *table, const int8_t *input, int8_t *output, int8_t *scratch) {
    windows_t windows = {.conv = *table, .input = input, .line = scratch};
    conv_2d_t *const conv = &windows.conv;
    windows.words = (conv->kernel_width * conv->input_channels + 3) / 4;
    windows.line_bytes = conv->input_width * conv->input_channels;
    windows.last_left = last_left(conv, windows.words);
    int32_t *const buffer = (int32_t *)(void *)(scratch + conv->line_bytes);
    int32_t *const columns = buffer + conv->buffer_words;
    int32_t *one = conv->buffer_words ? buffer : NULL;
    const int32_t all_words = record_words(&conv->filters) * ((conv->output_channels + 1) / 2);
    if (conv->buffer_words >= all_words) {
        memcpy(buffer, conv->filters.records, (size_t)all_words * sizeof *buffer);
        conv->filters.records = buffer;
        one = NULL;
    }

    const int32_t pixels = conv->output_height * conv->output_width;
    const int32_t group = column_words(conv->filters.depth, 4);
    const int32_t pitch = conv->dilation_height * windows.line_bytes;
    const int32_t last_top =
        conv->input_height - 1 - (conv->kernel_height - 1) * conv->dilation_height;
    const int32_t right = conv->output_width * conv->stride_width - conv->pad_left;
    int32_t top = -conv->pad_top, left = -conv->pad_left;
    for (int32_t done = 0; done < pixels; done += conv->block) {
        const int32_t rest = pixels - done;
        const int32_t block = rest < conv->block ? rest : conv->block;
        const int32_t single = block % 4 == 1 ? block - 1 : -1;
        int32_t *to = columns;
        /* A last group of two or three repeats its last column. */
        for (int32_t i = 0; i < block || (i % 4 && single < 0); i++) {
            const int32_t together = i == single ? 1 : 4;
            if (i < block && left == right) {
                left = -conv->pad_left;
                top += conv->stride_height;
            }
            const int32_t from = i < block ? left : left - conv->stride_width;
            int32_t *const column = to + i % 4;
            if (top >= 0 && top <= last_top && from >= 0 && from <= windows.last_left) {
                *column = pack_lines_s8(
                    input + top * windows.line_bytes + from * conv->input_channels, windows.words,
                    conv->kernel_height, pitch, column + together, together);
            } else {
                *column = pack_border(&windows, top, from, column + together, together);
            }
            left += i < block ? conv->stride_width : 0;
            to += i % 4 == 3 ? group : 0;
        }
        conv->filters.matmul(&conv->filters, columns, block, one, output);
        output += block * conv->output_channels;
    }
}
