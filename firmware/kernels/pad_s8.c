/* A tensor of up to four axes, framed by one value. */
#include <string.h>

#include "kernels.h"

static void *fill(int8_t *to, int32_t value, int32_t count) {
    memset(to, value, (size_t)count);
    return to + count;
}

void pad_s8(const pad_t *pad, const int8_t *input, int8_t *output) {
    const int32_t *const in = pad->input;
    const int32_t *const out = pad->output;
    const int32_t *const before = pad->before;
    for (int32_t a = -before[0]; a < out[0] - before[0]; a++) {
        if (a < 0 || a >= in[0]) {
            output = fill(output, pad->value, out[1] * out[2] * out[3]);
            continue;
        }
        for (int32_t b = -before[1]; b < out[1] - before[1]; b++) {
            if (b < 0 || b >= in[1]) {
                output = fill(output, pad->value, out[2] * out[3]);
                continue;
            }
            for (int32_t c = -before[2]; c < out[2] - before[2]; c++) {
                if (c < 0 || c >= in[2]) {
                    output = fill(output, pad->value, out[3]);
                    continue;
                }
                output = fill(output, pad->value, before[3]);
                memmove(output, input, (size_t)in[3]); /* they may overlap */
                input += in[3];
                output = fill(output + in[3], pad->value, out[3] - before[3] - in[3]);
            }
        }
    }
}
