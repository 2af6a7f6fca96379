/* The inside of the matrix product (matmul.h): pairs of filters times groups of four columns. */
#ifndef HILNAS_MULTIPLY_FILTERS_S8_H
#define HILNAS_MULTIPLY_FILTERS_S8_H

#include "matmul.h"

typedef struct {
    const int32_t *columns, *record;
    int32_t *buffer; /* a record is read from here where it is not NULL */
    int32_t record_bytes, pairs, groups;
    int8_t *output;
    int32_t channels;
    int32_t depth;
    int32_t zero_point;
    const int32_t *rescaling; /* of all records, or NULL: each has its own behind its weights */
} multiply_filters_t;

/* Only where rescaling is simple; results are not clamped. */
void multiply_filters_s8(const multiply_filters_t *job);

#endif
