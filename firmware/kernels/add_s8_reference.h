/* The plain addition, which the DSP variant falls back to. */
#ifndef HILNAS_ADD_S8_REFERENCE_H
#define HILNAS_ADD_S8_REFERENCE_H

#include "kernels.h"

void add_s8_reference(const add_t *add, const int8_t *input_1, const int8_t *input_2,
                      int8_t *output);

#endif
