/* Average over windows clipped to the input, int16; halves round away from zero. */
#include "kernels.h"
#include "pooling_window.h"
#include "requantize.h"

static inline int16_t divide(const pool_2d_t *pool, int32_t sum, int32_t count) {
    const int32_t half = sum > 0 ? count / 2 : -(count / 2);
    return (int16_t)clamp((sum + half) / count, pool->min, pool->max);
}

static void find_average(const pool_2d_t *pool, const window_t *window, const void *input,
                         void *output) {
    const int16_t *const corner = (const int16_t *)input + window->corner;
    int16_t *const pixel = (int16_t *)output + window->pixel;
    const int32_t channels = pool->channels, count = window->rows * window->columns;
    for (int32_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (int32_t y = 0; y < window->rows; y++) {
            const int16_t *from = corner + y * window->line + c;
            for (int32_t x = window->columns; x > 0; x--) {
                sum += *from;
                from += channels;
            }
        }
        pixel[c] = divide(pool, sum, count);
    }
}

void average_pool_2d_s16(const pool_2d_t *pool, const int16_t *input, int16_t *output) {
    for_each_window(pool, find_average, input, output);
}
