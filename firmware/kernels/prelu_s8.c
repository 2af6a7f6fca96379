#include "kernels.h"
#include "pairing.h"
#include "prelu_pair.h"

#if !KERNELS_DSP

void prelu_s8(const prelu_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    for_each_pair(&table->pairing, prelu_pair, table, input_1, input_2, output);
}

#endif
