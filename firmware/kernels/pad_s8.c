/* A tensor of up to five axes, framed by one value. */
#include "copy.h"
#include "kernels.h"

static int8_t *fill(int8_t *to, int32_t value, int32_t count) {
    memset(to, value, (size_t)count);
    return to + count;
}

static void move(int8_t *to, const int8_t *from, int32_t count) {
    if (to <= from || to >= from + count) {
        copy_upwards(to, from, count);
    } else {
        memmove(to, from, (size_t)count);
    }
}

/* The inner four axes; returns the input behind them. */
static const int8_t *pad_block(const pad_t *pad, const int8_t *input, int8_t *output) {
    const int32_t *const in = pad->input + 1;
    const int32_t *const out = pad->output + 1;
    const int32_t *const before = pad->before + 1;
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
                move(output, input, in[3]);
                input += in[3];
                output = fill(output + in[3], pad->value, out[3] - before[3] - in[3]);
            }
        }
    }
    return input;
}

void pad_s8(const pad_t *pad, const int8_t *input, int8_t *output) {
    const int32_t block = pad->output[1] * pad->output[2] * pad->output[3] * pad->output[4];
    for (int32_t i = -pad->before[0]; i < pad->output[0] - pad->before[0]; i++) {
        if (i < 0 || i >= pad->input[0]) {
            fill(output, pad->value, block);
        } else {
            input = pad_block(pad, input, output);
        }
        output += block;
    }
}
