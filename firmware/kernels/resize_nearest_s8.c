#include "copy.h"
#include "kernels.h"

void resize_nearest_s8(const resize_nearest_t *resize, const int8_t *input, int8_t *output) {
    const int32_t pixel = resize->pixel;
    const int32_t line = resize->output_width * pixel;
    for (int32_t y = 0; y < resize->output_height; y++) {
        if (y > 0 && resize->rows[y] == resize->rows[y - 1]) {
            copy_upwards(output, output - line, line);
            output += line;
            continue;
        }
        const int8_t *const row = input + resize->rows[y] * resize->input_width * pixel;
        for (int32_t x = 0; x < resize->output_width; x++) {
            copy_upwards(output, row + resize->columns[x] * pixel, pixel);
            output += pixel;
        }
    }
}
