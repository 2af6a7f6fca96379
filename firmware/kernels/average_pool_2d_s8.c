/* Average over windows clipped to the input, four channels at a time; halves round away from zero.
 */
#include "dsp.h"
#include "kernels.h"
#include "pooling_window.h"
#include "requantize.h"

#define MOST_SUMMED 256 /* values of int8 that an int16 holds the sum of */

static inline int8_t divide(const pool_2d_t *pool, int32_t sum, int32_t count) {
    const int32_t half = sum > 0 ? count / 2 : -(count / 2);
    return (int8_t)clamp((sum + half) / count, pool->min, pool->max);
}

static void find_average(const pool_2d_t *pool, const window_t *window, const void *input,
                         void *output) {
    const int8_t *const corner = (const int8_t *)input + window->corner;
    int8_t *const pixel = (int8_t *)output + window->pixel;
    const int32_t channels = pool->channels, count = window->rows * window->columns;
    int32_t c = 0;
#if KERNELS_DSP
    const int32_t words_end = count <= MOST_SUMMED ? channels & ~3 : 0;
    for (; c < words_end; c += 4) {
        uint32_t even = 0, odd = 0;
        for (int32_t y = 0; y < window->rows; y++) {
            const int8_t *from = corner + y * window->line + c;
            for (int32_t x = window->columns; x > 0; x--) {
                const uint32_t word = load_word(from);
                even = sxtab16(even, word);
                odd = sxtab16_odd(odd, word);
                from += channels;
            }
        }
        pixel[c] = divide(pool, (int16_t)even, count);
        pixel[c + 1] = divide(pool, (int16_t)odd, count);
        pixel[c + 2] = divide(pool, (int16_t)(even >> 16), count);
        pixel[c + 3] = divide(pool, (int16_t)(odd >> 16), count);
    }
#endif
    for (; c < channels; c++) {
        int32_t sum = 0;
        for (int32_t y = 0; y < window->rows; y++) {
            const int8_t *from = corner + y * window->line + c;
            for (int32_t x = window->columns; x > 0; x--) {
                sum += *from;
                from += channels;
            }
        }
        pixel[c] = divide(pool, sum, count);
    }
}

void average_pool_2d_s8(const pool_2d_t *pool, const int8_t *input, int8_t *output) {
    for_each_window(pool, find_average, input, output);
}
