/* Conversions between types and quantisations. */
#ifndef HILNAS_CONVERSION_H
#define HILNAS_CONVERSION_H

#include <stdint.h>

typedef struct {
    int32_t count;
    int32_t input_zero_point;
    int32_t multiplier, shift;
    int32_t zero_point;
    int32_t min, max;
} rescale_t;

/* All of them read and write elements upwards: output may be the input or begin below it, and that
 * of dequantize_s8, which is larger, may reach over the input's beginning (harness/kernels.py). */

/* QUANTIZE from int8 and RELU. */
void rescale_s8(const rescale_t *rescaling, const int8_t *input, int8_t *output);

/* Values outside int32 and NaN saturate; TFLite leaves them undefined. */
void quantize_f32(int32_t count, float scale, int32_t zero_point, const float *input,
                  int8_t *output);
void dequantize_s8(int32_t count, double scale, int32_t zero_point, const int8_t *input,
                   float *output);

#endif
