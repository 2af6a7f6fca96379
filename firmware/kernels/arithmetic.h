/* Arithmetic of two tensors. */
#ifndef HILNAS_ARITHMETIC_H
#define HILNAS_ARITHMETIC_H

#include <stdint.h>

typedef struct {
    int32_t count;
    int32_t zero_point_1, multiplier_1, shift_1;
    int32_t zero_point_2, multiplier_2, shift_2;
    int32_t zero_point, multiplier, shift;
    int32_t min, max;
} add_t;

/* Elements are read and written upwards: output may be either input or begin below it. */
void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output);

#endif
