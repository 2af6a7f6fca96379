/* Reductions. Elements are written upwards, each after its operands were read: the output of the
 * int8 ones may be the input or begin below it. */
#ifndef HILNAS_REDUCTION_H
#define HILNAS_REDUCTION_H

#include <stdint.h>

/* [outer][far][middle][near][inner] -> [outer][middle][inner] */
typedef struct {
    int32_t outer, far, middle, near, inner;
} reduction_t;

typedef struct {
    reduction_t shape;
    int32_t offset; /* of the sum: minus the input's zero point for each element */
    int32_t multiplier, shift;
    int32_t zero_point;
} reduce_sum_t;

typedef struct {
    reduction_t shape;
    int32_t flip; /* 0, or -1 for the minimum: ~x is ordered as x backwards */
} reduce_max_t;

typedef struct {
    int32_t outer, count, inner; /* [outer][count][inner] -> [outer][inner] */
    int32_t flip;                /* as above */
} arg_max_t;

/* MEAN too, with 1 / count in the multiplier. */
void reduce_sum_s8(const reduce_sum_t *reduce, const int8_t *input, int8_t *output);
void reduce_max_s8(const reduce_max_t *reduce, const int8_t *input, int8_t *output);

/* The first of the largest. */
void arg_max_s8(const arg_max_t *arg_max, const int8_t *input, int32_t *output);

#endif
