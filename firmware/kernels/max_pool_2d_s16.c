/* Maximum of int16 over windows clipped to the input. */
#include "kernels.h"
#include "requantize.h"

static int32_t max_of(int32_t a, int32_t b) { return a > b ? a : b; }
static int32_t min_of(int32_t a, int32_t b) { return a < b ? a : b; }

void max_pool_2d_s16(const pool_2d_t *pool, const int16_t *input, int16_t *output) {
    const int32_t channels = pool->channels;
    const int32_t line = pool->input_width * channels;
    for (int32_t row = 0; row < pool->output_height; row++) {
        const int32_t top = row * pool->stride_height - pool->pad_top;
        const int32_t first_y = max_of(top, 0);
        const int32_t rows = min_of(top + pool->window_height, pool->input_height) - first_y;
        for (int32_t column = 0; column < pool->output_width; column++) {
            const int32_t left = column * pool->stride_width - pool->pad_left;
            const int32_t first_x = max_of(left, 0);
            const int32_t columns = min_of(left + pool->window_width, pool->input_width) - first_x;
            const int16_t *const corner = input + first_y * line + first_x * channels;
            for (int32_t c = 0; c < channels; c++) {
                int32_t largest = INT16_MIN;
                for (int32_t y = 0; y < rows; y++) {
                    const int16_t *from = corner + y * line + c;
                    for (int32_t x = 0; x < columns; x++) {
                        largest = max_of(largest, *from);
                        from += channels;
                    }
                }
                *output++ = (int16_t)clamp(largest, pool->min, pool->max);
            }
        }
    }
}
