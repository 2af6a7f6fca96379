/* Products of matrices computed at run time. With l and r the values less their zero points,
 * sum(l * r) = sum(x * y) - zero_2 * sum(x) - zero_1 * sum(y) + depth * zero_1 * zero_2: dot
 * products of raw values, and sums of rows and columns that are made once. Everything wraps alike.
 */
#include "dot.h"
#include "kernels.h"
#include "requantize.h"

static int32_t multiply_wrapping(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* `count` values, `step` apart, side by side; returns their sum. */
static int32_t gather(const int8_t *from, int32_t count, int32_t step, int8_t *to) {
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        to[i] = from[i * step];
        sum += to[i];
    }
    return sum;
}

static int32_t sum_of(const int8_t *values, int32_t count) {
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum;
}

static void multiply(const batch_matmul_t *matmul, const int8_t *first, const int8_t *second,
                     int8_t *output, int8_t *scratch) {
    const int32_t rows = matmul->rows, columns = matmul->columns, depth = matmul->depth;
    int32_t *const starts = (int32_t *)(void *)scratch;
    int8_t *gathered = scratch + 4 * rows;
    const int8_t *const left = matmul->by_columns_1 ? gathered : first;
    for (int32_t i = 0; i < rows; i++) {
        int32_t sum;
        if (matmul->by_columns_1) {
            sum = gather(first + i, depth, rows, gathered);
            gathered += depth;
        } else {
            sum = sum_of(first + i * depth, depth);
        }
        const int32_t centred = depth * matmul->zero_point_1 - sum;
        starts[i] = multiply_wrapping(centred, matmul->zero_point_2);
    }
    for (int32_t j = 0; j < columns; j++) {
        const int8_t *column = second + j * depth;
        int32_t sum;
        if (matmul->by_rows_2) {
            sum = gather(second + j, depth, columns, gathered);
            column = gathered;
        } else {
            sum = sum_of(column, depth);
        }
        const int32_t less = multiply_wrapping(-matmul->zero_point_1, sum);
        for (int32_t i = 0; i < rows; i++) {
            const int32_t start = add_wrapping(starts[i], less);
            const int32_t x = rescale(dot_s8(left + i * depth, column, depth, start),
                                      matmul->multiplier, matmul->shift);
            output[i * columns + j] =
                (int8_t)clamp(add_wrapping(x, matmul->zero_point), INT8_MIN, INT8_MAX);
        }
    }
}

void batch_matmul_s8(const batch_matmul_t *matmul, const int8_t *input_1, const int8_t *input_2,
                     int8_t *output, int8_t *scratch) {
    const int32_t *const batch = matmul->batch;
    const int32_t *const steps_1 = matmul->steps_1, *const steps_2 = matmul->steps_2;
    for (int32_t a = 0; a < batch[0]; a++) {
        for (int32_t b = 0; b < batch[1]; b++) {
            for (int32_t c = 0; c < batch[2]; c++) {
                multiply(matmul, input_1 + a * steps_1[0] + b * steps_1[1] + c * steps_1[2],
                         input_2 + a * steps_2[0] + b * steps_2[1] + c * steps_2[2], output,
                         scratch);
                output += matmul->rows * matmul->columns;
            }
        }
    }
}
