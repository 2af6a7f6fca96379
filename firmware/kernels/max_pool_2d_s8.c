/* Maximum over windows clipped to the input, four channels at a time. */
#include "dsp.h"
#include "kernels.h"
#include "pooling_window.h"
#include "requantize.h"

static void find_max(const pool_2d_t *pool, const window_t *window, const void *input,
                     void *output) {
    const int8_t *const corner = (const int8_t *)input + window->corner;
    int8_t *const pixel = (int8_t *)output + window->pixel;
    const int32_t channels = pool->channels;
    int32_t c = 0;
#if KERNELS_DSP
    for (; c <= channels - 4; c += 4) {
        uint32_t largest = four_times(INT8_MIN);
        for (int32_t y = 0; y < window->rows; y++) {
            const int8_t *from = corner + y * window->line + c;
            for (int32_t x = window->columns; x > 0; x--) {
                largest = max_of_bytes(largest, load_word(from));
                from += channels;
            }
        }
        largest = max_of_bytes(largest, four_times(pool->min));
        store_word(pixel + c, min_of_bytes(largest, four_times(pool->max)));
    }
#endif
    for (; c < channels; c++) {
        int32_t largest = INT8_MIN;
        for (int32_t y = 0; y < window->rows; y++) {
            const int8_t *from = corner + y * window->line + c;
            for (int32_t x = window->columns; x > 0; x--) {
                largest = *from > largest ? *from : largest;
                from += channels;
            }
        }
        pixel[c] = (int8_t)clamp(largest, pool->min, pool->max);
    }
}

void max_pool_2d_s8(const pool_2d_t *pool, const int8_t *input, int8_t *output) {
    for_each_window(pool, find_max, input, output);
}
