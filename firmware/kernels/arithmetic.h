/* Arithmetic of two tensors, one of which may be repeated to match the other. */
#ifndef HILNAS_ARITHMETIC_H
#define HILNAS_ARITHMETIC_H

#include <stdint.h>

/* How elements meet: `rows` of `depth` results each. Result i of a row is made of the elements
 * i & mask, mask being -1, or 0 where one value serves the whole row; from row to row an operand
 * moves by row. */
typedef struct {
    int32_t rows, depth;
    int32_t mask_1, mask_2;
    int32_t row_1, row_2;
} pairing_t;

/* Results are written upwards, each behind the last read of its operands: in all of the following,
 * output may be an input that is not repeated, or begin below it. */

/* ADD and SUB where two products stand for all roundings, as was tried for every pair of values:
 * (offset + floor(factor_1 * input_1 / 2^8) + floor(factor_2 * input_2 / 2^8)) >> 20 */
typedef struct {
    pairing_t pairing;
    int32_t factor_1, factor_2, offset;
} sum_t;

void sum_s8(const sum_t *sum, const int8_t *input_1, const int8_t *input_2, int8_t *output);

/* ADD (sign 1) and SUB (sign -1) with any scales. */
typedef struct {
    pairing_t pairing;
    int32_t sign;
    int32_t zero_point_1, multiplier_1, shift_1;
    int32_t zero_point_2, multiplier_2, shift_2;
    int32_t zero_point, multiplier, shift;
} add_t;

void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output);

typedef struct {
    pairing_t pairing;
    int32_t zero_point_1, zero_point_2;
    int32_t zero_point, multiplier, shift;
} mul_t;

void mul_s8(const mul_t *mul, const int8_t *input_1, const int8_t *input_2, int8_t *output);

/* input_2 are the slopes of what is negative. */
typedef struct {
    pairing_t pairing;
    int32_t zero_point_1, zero_point_2;
    int32_t zero_point;
    int32_t multiplier, shift;
    int32_t slope_multiplier, slope_shift;
} prelu_t;

void prelu_s8(const prelu_t *prelu, const int8_t *input_1, const int8_t *input_2, int8_t *output);

void maximum_s8(const pairing_t *pairing, const int8_t *input_1, const int8_t *input_2,
                int8_t *output);
void minimum_s8(const pairing_t *pairing, const int8_t *input_1, const int8_t *input_2,
                int8_t *output);

#endif
