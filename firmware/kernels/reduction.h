/* Reductions. */
#ifndef HILNAS_REDUCTION_H
#define HILNAS_REDUCTION_H

#include <stdint.h>

typedef struct {
    int32_t outer, count, inner; /* [outer][count][inner] -> [outer][inner] */
    int32_t input_zero_point;
    int32_t multiplier, shift; /* 1 / count included */
    int32_t zero_point;
} mean_t;

/* Elements are written upwards, each after its operands were read: output may be the input or
 * begin below it. */
void mean_s8(const mean_t *mean, const int8_t *input, int8_t *output);

#endif
