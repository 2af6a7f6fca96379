/* Operators that keep state: `state` lives from one inference to the next, and is all zero points
 * before the first. */
#ifndef HILNAS_RECURRENT_H
#define HILNAS_RECURRENT_H

#include <stdint.h>

/* A layer of single-value decomposition filters: each multiplies the input, remembers the last
 * `memory` results, and multiplies those; `rank` filters add up to one output.
 *
 * weights: [units * rank][depth]; weights_bias: [units * rank], -input_zero_point * sum(weights);
 * times: [units * rank][memory] of the state's type; bias: [units], with -state_zero_point *
 * sum(times) in it. */
typedef struct {
    int32_t batch, depth, units, rank, memory;
    const int8_t *weights;
    const int32_t *weights_bias;
    int32_t weights_multiplier, weights_shift;
    int32_t state_zero_point;
    const void *times;
    const int32_t *bias;
    int32_t multiplier, shift;
    int32_t zero_point;
} svdf_t;

/* state: [batch][units * rank][memory], the newest last. */
void svdf_s8(const svdf_t *svdf, const int8_t *input, int16_t *state, int8_t *output);

/* The same with state of int8. */
void svdf_s8_state_s8(const svdf_t *svdf, const int8_t *input, int8_t *state, int8_t *output);

#endif
