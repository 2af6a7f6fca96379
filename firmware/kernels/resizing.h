/* Feature maps of another size. */
#ifndef HILNAS_RESIZING_H
#define HILNAS_RESIZING_H

#include <stdint.h>

typedef struct {
    int32_t input_width;
    int32_t output_height, output_width;
    int32_t pixel;                  /* bytes */
    const uint16_t *rows, *columns; /* of the input, for each of the output */
} resize_nearest_t;

/* Output i lies at i * step + start of the input, in 1024ths. */
typedef struct {
    int32_t input, output; /* sizes */
    int32_t step, start;
} resize_axis_t;

typedef struct {
    resize_axis_t rows, columns;
    int32_t channels;
} resize_bilinear_t;

void resize_nearest_s8(const resize_nearest_t *resize, const int8_t *input, int8_t *output);
void resize_bilinear_s8(const resize_bilinear_t *resize, const int8_t *input, int8_t *output);

#endif
