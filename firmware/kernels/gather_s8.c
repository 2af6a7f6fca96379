#include "copy.h"
#include "kernels.h"

void gather_s8(const gather_t *gather, const int8_t *input, int8_t *output) {
    const int32_t run = gather->run;
    for (int32_t outer = 0; outer < gather->outer; outer++) {
        for (int32_t i = 0; i < gather->count; i++) {
            const int8_t *const from = input + gather->positions[i] * run;
            if (run == 1) {
                *output = *from;
            } else {
                copy_upwards(output, from, run);
            }
            output += run;
        }
        input += gather->size * run;
    }
}
