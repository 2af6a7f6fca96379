#include <string.h>

#include "svdf_step.h"

void svdf_s8_state_s8(const svdf_t *svdf, const int8_t *input, int8_t *state, int8_t *output) {
    const int32_t memory = svdf->memory;
    for (int32_t b = 0; b < svdf->batch; b++) {
        const int8_t *times = svdf->times;
        for (int32_t unit = 0; unit < svdf->units; unit++) {
            int32_t sum = svdf->bias[unit];
            for (int32_t i = 0; i < svdf->rank; i++) {
                memmove(state, state + 1, (size_t)(memory - 1) * sizeof *state);
                state[memory - 1] =
                    (int8_t)svdf_feature(svdf, input, unit * svdf->rank + i, INT8_MIN, INT8_MAX);
                sum = dot_s8(state, times, memory, sum);
                state += memory;
                times += memory;
            }
            *output++ = svdf_result(svdf, sum);
        }
        input += svdf->depth;
    }
}
