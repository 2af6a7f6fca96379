#include "copy.h"
#include "kernels.h"

void copy_rows_s8(int32_t rows, int32_t count, const int8_t *input, int32_t input_stride,
                  int8_t *output, int32_t output_stride) {
    for (int32_t row = 0; row < rows; row++) {
        if (count == 1) {
            *output = *input;
        } else {
            copy_upwards(output, input, count);
        }
        input += input_stride;
        output += output_stride;
    }
}
