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

/* What a tensor may hold at the borders of a network. */
typedef enum {
    ELEMENT_INT8,
    ELEMENT_UINT8,
    ELEMENT_INT16,
    ELEMENT_INT32,
    ELEMENT_UINT32,
    ELEMENT_BOOL,
    ELEMENT_FLOAT32
} element_t;

/* All of them read and write elements upwards: output may be the input or begin below it, and where
 * its elements are larger, it may reach over the input's beginning (harness/kernels.py). */

/* QUANTIZE from int8 to int8, and RELU. */
void rescale_s8(const rescale_t *rescaling, const int8_t *input, int8_t *output);

/* QUANTIZE from integers to integers. */
void rescale_elements(const rescale_t *rescaling, element_t from, element_t to, const void *input,
                      void *output);

/* To int8 or int16. Values outside int32 and NaN saturate; TFLite leaves them undefined. */
void quantize_f32(int32_t count, element_t type, float scale, int32_t zero_point,
                  const float *input, void *output);

/* From int8, uint8 or int16. */
void dequantize(int32_t count, element_t type, float scale, int32_t zero_point, const void *input,
                float *output);

/* CAST, between all types but to uint8 and bool. */
void cast_elements(int32_t count, element_t from, element_t to, const void *input, void *output);

#endif
