/* A tensor framed by its own reflection. */
#include "copy.h"
#include "kernels.h"

/* The element of an axis that stands at `i`, which is negative in front of it. */
static int32_t mirrored(const mirror_pad_t *pad, int32_t axis, int32_t i) {
    const int32_t size = pad->input[axis];
    if (i < 0) {
        return pad->skipped - 1 - i;
    }
    return i < size ? i : 2 * size - 1 - pad->skipped - i;
}

static int8_t *mirror_line(const mirror_pad_t *pad, const int8_t *line, int8_t *output) {
    const int32_t run = pad->run, size = pad->input[3], before = pad->before[3];
    for (int32_t i = -before; i < 0; i++) {
        copy_upwards(output, line + mirrored(pad, 3, i) * run, run);
        output += run;
    }
    copy_upwards(output, line, size * run);
    output += size * run;
    for (int32_t i = size; i < pad->output[3] - before; i++) {
        copy_upwards(output, line + mirrored(pad, 3, i) * run, run);
        output += run;
    }
    return output;
}

void mirror_pad_s8(const mirror_pad_t *pad, const int8_t *input, int8_t *output) {
    const int32_t *const in = pad->input;
    const int32_t *const before = pad->before;
    const int32_t *const out = pad->output;
    const int32_t line = in[3] * pad->run;
    for (int32_t a = -before[0]; a < out[0] - before[0]; a++) {
        const int32_t block = mirrored(pad, 0, a) * in[1];
        for (int32_t b = -before[1]; b < out[1] - before[1]; b++) {
            const int32_t plane = (block + mirrored(pad, 1, b)) * in[2];
            for (int32_t c = -before[2]; c < out[2] - before[2]; c++) {
                const int32_t row = plane + mirrored(pad, 2, c);
                output = mirror_line(pad, input + row * line, output);
            }
        }
    }
}
