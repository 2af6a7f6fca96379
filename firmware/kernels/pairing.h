/* One result after the other from two tensors, as a pairing tells. */
#ifndef HILNAS_PAIRING_H
#define HILNAS_PAIRING_H

#include <stdint.h>

#include "arithmetic.h"

typedef int8_t pair_function_t(const void *table, int32_t a, int32_t b);

/* Compiled into its caller, `function` with it. */
static inline void for_each_pair(const pairing_t *pairing, pair_function_t *function,
                                 const void *table, const int8_t *input_1, const int8_t *input_2,
                                 int8_t *output) {
    for (int32_t row = 0; row < pairing->rows; row++) {
        for (int32_t i = 0; i < pairing->depth; i++) {
            *output++ = function(table, *input_1, *input_2);
            input_1 += pairing->step_1;
            input_2 += pairing->step_2;
        }
        input_1 += pairing->next_1;
        input_2 += pairing->next_2;
    }
}

#endif
