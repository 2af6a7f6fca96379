/* The walk of every pooling: its windows clipped to the input, pixel by pixel of the output. */
#ifndef HILNAS_POOLING_WINDOW_H
#define HILNAS_POOLING_WINDOW_H

#include <stdint.h>

#include "pooling.h"

typedef struct {
    int32_t rows, columns;
    int32_t line;   /* elements from a row of the input to the next */
    int32_t corner; /* where the window begins: element of the input */
    int32_t pixel;  /* and what it becomes: element of the output */
} window_t;

/* Makes all channels of one pixel. */
typedef void pool_window_t(const pool_2d_t *pool, const window_t *window, const void *input,
                           void *output);

/* The part of `size` elements in which [start, start + reach) lies: returns where it begins. */
static inline int32_t clip(int32_t start, int32_t reach, int32_t size, int32_t *count) {
    const int32_t first = start > 0 ? start : 0;
    *count = (start + reach < size ? start + reach : size) - first;
    return first;
}

/* Compiled into its caller, `function` with it. */
static inline void for_each_window(const pool_2d_t *pool, pool_window_t *function,
                                   const void *input, void *output) {
    window_t window = {.line = pool->input_width * pool->channels, .pixel = 0};
    for (int32_t row = 0; row < pool->output_height; row++) {
        const int32_t y = clip(row * pool->stride_height - pool->pad_top, pool->window_height,
                               pool->input_height, &window.rows);
        for (int32_t column = 0; column < pool->output_width; column++) {
            const int32_t x = clip(column * pool->stride_width - pool->pad_left, pool->window_width,
                                   pool->input_width, &window.columns);
            window.corner = y * window.line + x * pool->channels;
            function(pool, &window, input, output);
            window.pixel += pool->channels;
        }
    }
}

#endif
