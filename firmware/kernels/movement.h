/* Values moved, none changed. */
#ifndef HILNAS_MOVEMENT_H
#define HILNAS_MOVEMENT_H

#include <stdint.h>

typedef struct {
    int32_t sizes[5];   /* of the output, leading axes 1 */
    int32_t strides[5]; /* bytes between elements of the input that follow each other */
} strided_copy_t;

/* [outer][size][run] -> [outer][count][run] */
typedef struct {
    int32_t outer, size, run;
    int32_t count;
    const int32_t *positions;
} gather_t;

/* Both copies go upwards: output may overlap input where no element of it lies behind the one that
 * it is copied from. */

/* `count` bytes of each row, from rows `input_stride` bytes apart to rows `output_stride` bytes
 * apart. */
void copy_rows_s8(int32_t rows, int32_t count, const int8_t *input, int32_t input_stride,
                  int8_t *output, int32_t output_stride);

void strided_copy_s8(const strided_copy_t *copy, const int8_t *input, int8_t *output);

void gather_s8(const gather_t *gather, const int8_t *input, int8_t *output);

#endif
