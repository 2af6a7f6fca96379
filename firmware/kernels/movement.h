/* Values moved, none changed. */
#ifndef HILNAS_MOVEMENT_H
#define HILNAS_MOVEMENT_H

#include <stdint.h>

typedef struct {
    int32_t sizes[5];   /* of the output, leading axes 1 */
    int32_t strides[5]; /* bytes between elements of the input that follow each other */
} strided_copy_t;

typedef struct {
    int32_t input[4];  /* sizes, leading axes 1 */
    int32_t before[4]; /* padding in front of each axis */
    int32_t output[4];
    int32_t value;
} pad_t;

/* Both copies go upwards: output may overlap input where no element of it lies behind the one that
 * it is copied from. */

/* `count` bytes of each row, from rows `input_stride` bytes apart to rows `output_stride` bytes
 * apart. */
void copy_rows_s8(int32_t rows, int32_t count, const int8_t *input, int32_t input_stride,
                  int8_t *output, int32_t output_stride);

void strided_copy_s8(const strided_copy_t *copy, const int8_t *input, int8_t *output);

/* Rows along the last axis are moved upwards, each at once: the end of output may lie over the
 * beginning of input as far as harness/kernels.py says. */
void pad_s8(const pad_t *pad, const int8_t *input, int8_t *output);

#endif
