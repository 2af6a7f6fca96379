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

/* Products of a vector with `weights`, [units][depth]: clamped to int16 after rescaling. bias:
 * [units], with -zero_point * sum(weights) in it. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    int32_t multiplier, shift;
} lstm_product_t;

typedef struct {
    lstm_product_t input, hidden; /* to Q3.12 */
} lstm_gate_t;

/* Row (b, t) of input and output is b * batch_rows + t * step_rows. sigmoid: 256 knots of
 * sigmoid(i / 24), scale 2^-16. cell_multiplier and cell_shift bring the cell's state to three
 * quarters of Q3.12, the scale in which those are looked up. */
typedef struct {
    int32_t batch, steps, depth, units;
    int32_t step_rows, batch_rows;
    lstm_gate_t gates[4]; /* forget, input, cell, output */
    int32_t update_multiplier, update_shift;
    int32_t cell_min, cell_max;
    int32_t cell_multiplier, cell_shift;
    int32_t multiplier, shift, zero_point;
    const uint16_t *sigmoid;
} lstm_t;

/* hidden and cell are state: [batch][units]. */
void lstm_s8(const lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell,
             int8_t *output);

#endif
