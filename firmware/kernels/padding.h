/* Frames around tensors. */
#ifndef HILNAS_PADDING_H
#define HILNAS_PADDING_H

#include <stdint.h>

typedef struct {
    int32_t input[5];  /* sizes, leading axes 1 */
    int32_t before[5]; /* padding in front of each axis */
    int32_t output[5];
    int32_t value;
} pad_t;

typedef struct {
    int32_t input[4]; /* as above, of elements of `run` bytes */
    int32_t before[4];
    int32_t output[4];
    int32_t run;
    int32_t skipped; /* 1 where the outermost element is not repeated, else 0 */
} mirror_pad_t;

/* Rows along the last axis are moved upwards, each at once: the end of output may lie over the
 * beginning of input as far as harness/kernels.py says. */
void pad_s8(const pad_t *pad, const int8_t *input, int8_t *output);

void mirror_pad_s8(const mirror_pad_t *pad, const int8_t *input, int8_t *output);

#endif
