/* Activation functions. */
#ifndef HILNAS_ACTIVATION_H
#define HILNAS_ACTIVATION_H

#include <stdint.h>

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;
    int32_t lowest_difference; /* below it exp() is taken as 0 */
} softmax_t;

/* output may be the input or begin below it: elements are written upwards, each after it was read
 * for the last time. */
void softmax_s8(const softmax_t *softmax, const int8_t *input, int8_t *output);

/* RELU6 and every other clamp without a change of scale. Elements are read and written
 * upwards: output may be the input or begin below it. */
void clamp_s8(int32_t count, int32_t min, int32_t max, const int8_t *input, int8_t *output);

/* Any function of one byte: table[256] is indexed by the input's byte as an unsigned number.
 * Elements are read and written upwards: output may be the input or begin below it. */
void lookup_s8(int32_t count, const int8_t *table, const int8_t *input, int8_t *output);

#endif
