/* Maximum over windows clipped to the input, int16. */
#include "kernels.h"
#include "pooling_window.h"
#include "requantize.h"

static void find_max(const pool_2d_t *pool, const window_t *window, const void *input,
                     void *output) {
    const int16_t *const corner = (const int16_t *)input + window->corner;
    int16_t *const pixel = (int16_t *)output + window->pixel;
    const int32_t channels = pool->channels;
    for (int32_t c = 0; c < channels; c++) {
        int32_t largest = INT16_MIN;
        for (int32_t y = 0; y < window->rows; y++) {
            const int16_t *from = corner + y * window->line + c;
            for (int32_t x = window->columns; x > 0; x--) {
                largest = *from > largest ? *from : largest;
                from += channels;
            }
        }
        pixel[c] = (int16_t)clamp(largest, pool->min, pool->max);
    }
}

void max_pool_2d_s16(const pool_2d_t *pool, const int16_t *input, int16_t *output) {
    for_each_window(pool, find_max, input, output);
}
