#include "add_pair.h"
#include "kernels.h"
#include "pairing.h"

#if !KERNELS_DSP

void add_s8(const add_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    for_each_pair(&table->pairing, add_pair, table, input_1, input_2, output);
}

#endif
