#include "kernels.h"
#include "mul_pair.h"
#include "pairing.h"

#if !KERNELS_DSP

void mul_s8(const mul_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    for_each_pair(&table->pairing, mul_pair, table, input_1, input_2, output);
}

#endif
