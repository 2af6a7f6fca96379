/* Long short-term memory. All gates of a unit are computed together; the new hidden state grows in
 * the output and replaces the old one when no gate needs that any longer. */
#include <string.h>

#include "dot.h"
#include "kernels.h"
#include "requantize.h"

/* Between two knots, `bits` bits of position apart; beyond the last one, `limit`. */
static int32_t interpolate(const uint16_t *knots, uint32_t at, int32_t bits, int32_t limit) {
    const uint32_t knot = at >> bits;
    if (knot >= 255) {
        return limit << bits;
    }
    const int32_t low = knots[knot], high = knots[knot + 1];
    return (low << bits) + (int32_t)(at & ((1u << bits) - 1u)) * (high - low);
}

/* Both as Q0.15 of x as three quarters of Q3.12; tanh(x) = 2 * sigmoid(2 * x) - 1. */

static int32_t sigmoid_q15(const lstm_t *lstm, int32_t x) {
    const int32_t y = interpolate(lstm->sigmoid, (uint32_t)(x < 0 ? -x : x), 9, 0x7FFF << 1);
    return ((x < 0 ? (1 << 25) - 1 - y : y) + (1 << 9)) >> 10;
}

static int32_t tanh_q15(const lstm_t *lstm, int32_t x) {
    const int32_t y = interpolate(lstm->sigmoid, (uint32_t)(x < 0 ? -x : x), 8, 0xFFFF) - (1 << 23);
    return ((x < 0 ? -1 - y : y) + (1 << 7)) >> 8;
}

static int32_t to_int16(int32_t x) { return clamp(x, INT16_MIN, INT16_MAX); }

static int32_t multiply_row(const lstm_product_t *product, const int8_t *x, int32_t depth,
                            int32_t unit) {
    const int32_t sum = dot_s8(x, product->weights + unit * depth, depth, product->bias[unit]);
    return to_int16(rescale(sum, product->multiplier, product->shift));
}

/* What a gate's activation reads, three times Q3.12. */
static int32_t gate(const lstm_t *lstm, int32_t which, const int8_t *input, const int8_t *hidden,
                    int32_t unit) {
    const lstm_gate_t *const weights = &lstm->gates[which];
    return 3 * to_int16(multiply_row(&weights->input, input, lstm->depth, unit) +
                        multiply_row(&weights->hidden, hidden, lstm->units, unit));
}

static void step(const lstm_t *lstm, const int8_t *input, const int8_t *hidden, int16_t *cell,
                 int8_t *output) {
    for (int32_t unit = 0; unit < lstm->units; unit++) {
        const int32_t forget = sigmoid_q15(lstm, gate(lstm, 0, input, hidden, unit));
        const int32_t admit = sigmoid_q15(lstm, gate(lstm, 1, input, hidden, unit));
        const int32_t fresh = tanh_q15(lstm, gate(lstm, 2, input, hidden, unit));
        const int32_t emit = sigmoid_q15(lstm, gate(lstm, 3, input, hidden, unit));
        const int32_t kept = to_int16(rescale(forget * cell[unit], 1 << 30, -14)); /* 2^-15 */
        const int32_t added =
            to_int16(rescale(admit * fresh, lstm->update_multiplier, lstm->update_shift));
        const int32_t now = clamp(to_int16(kept + added), lstm->cell_min, lstm->cell_max);
        cell[unit] = (int16_t)now;
        const int32_t shift = lstm->cell_shift;
        const int32_t x = (now * lstm->cell_multiplier + (shift ? 1 << (shift - 1) : 0)) >> shift;
        const int32_t y = rescale(tanh_q15(lstm, x) * emit, lstm->multiplier, lstm->shift);
        output[unit] = (int8_t)clamp(add_wrapping(y, lstm->zero_point), INT8_MIN, INT8_MAX);
    }
}

void lstm_s8(const lstm_t *lstm, const int8_t *input, int8_t *hidden, int16_t *cell,
             int8_t *output) {
    for (int32_t b = 0; b < lstm->batch; b++) {
        for (int32_t t = 0; t < lstm->steps; t++) {
            const int32_t row = b * lstm->batch_rows + t * lstm->step_rows;
            int8_t *const out = output + row * lstm->units;
            step(lstm, input + row * lstm->depth, hidden, cell, out);
            memcpy(hidden, out, (size_t)lstm->units);
        }
        hidden += lstm->units;
        cell += lstm->units;
    }
}
