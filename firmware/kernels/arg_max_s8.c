#include "kernels.h"

void arg_max_s8(const arg_max_t *arg_max, const int8_t *input, int32_t *output) {
    for (int32_t outer = 0; outer < arg_max->outer; outer++) {
        for (int32_t inner = 0; inner < arg_max->inner; inner++) {
            const int8_t *from = input + outer * arg_max->count * arg_max->inner + inner;
            int32_t largest = INT8_MIN - 1, place = 0;
            for (int32_t i = 0; i < arg_max->count; i++) {
                const int32_t x = *from ^ arg_max->flip;
                if (x > largest) {
                    largest = x;
                    place = i;
                }
                from += arg_max->inner;
            }
            *output++ = place;
        }
    }
}
