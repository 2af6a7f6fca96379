/* Softmax in fixed point. A Qm.n below has m integer and n fractional bits and a sign.
 *
 * exp(x), x <= 0: x is split into -1/4 <= r < 0 and quarters; exp(r) by a Taylor polynomial of
 * degree 4 around -1/8, the quarters by a product of the constants exp(-2^k). 1 / (1 + x):
 * Newton-Raphson from 48/17 - 32/17 d, three rounds. The order of roundings is gemmlowp's, whose
 * results these are. */
#include "kernels.h"
#include "requantize.h"

#define INPUT_FRACTION 26 /* differences are Q5.26 */
#define SUM_INTEGER 12    /* sums are Q12.19 */

/* Called from many places in code that never takes long: inlined, it is two thirds of the kernel.
 */
#define OUTLINED __attribute__((noinline))

/* a * b with saturation of -1 * -1, the only product that does not fit. */
OUTLINED static int32_t multiply(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return multiply_high(a, b);
}

static int32_t shift_left_saturating(int32_t x, int32_t by) {
    const int32_t limit = (int32_t)(INT32_MAX >> by);
    return x > limit ? INT32_MAX : x < -limit ? INT32_MIN : x * (1 << by);
}

/* exp(a) as Q0.31, -1/4 <= a < 0 as Q0.31 */
static int32_t exp_of_fraction(int32_t a) {
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t x = a + (1 << 28);
    const int32_t x2 = multiply(x, x);
    const int32_t x3 = multiply(x2, x);
    const int32_t x4 = multiply(x2, x2);
    const int32_t x4_quarter = shift_right_rounding(x4, 2);
    const int32_t tail = shift_right_rounding(multiply(x4_quarter + x3, third) + x2, 1);
    return exp_of_minus_eighth + multiply(exp_of_minus_eighth, x + tail);
}

/* exp(a) as Q0.31, a <= 0 as Q5.26 */
OUTLINED static int32_t exp_of_negative(int32_t a) {
    static const int32_t powers[] = {/* exp(-2^k), k = -2 .. 4 */
                                     1672461947, 1302514674, 790015084, 290630308,
                                     39332535,   720401,     242};
    const int32_t quarter = 1 << (INPUT_FRACTION - 2);
    const int32_t fraction = (a & (quarter - 1)) - quarter;
    int32_t result = exp_of_fraction(shift_left_saturating(fraction, 5));
    const int32_t rest = (int32_t)((uint32_t)fraction - (uint32_t)a);
    for (int32_t k = 0; k < 7; k++) {
        if (rest & (1 << (INPUT_FRACTION - 2 + k))) {
            result = multiply(result, powers[k]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

/* 1 / (1 + a) as Q0.31, 0 <= a < 1 as Q0.31 */
static int32_t reciprocal_of_one_plus(int32_t a) {
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1); /* (1 + a) / 2 */
    int32_t x = 1515870810 + multiply(half, -1010580540);              /* Q2.29 */
    for (int32_t round = 0; round < 3; round++) {
        const int32_t error = (1 << 29) - multiply(half, x);
        x += shift_left_saturating(multiply(x, error), 2);
    }
    return shift_left_saturating(x, 1);
}

static int32_t leading_zeros(uint32_t x) { return x ? __builtin_clz(x) : 32; }

void softmax_s8(const softmax_t *softmax, const int8_t *input, int8_t *output) {
    for (int32_t row = 0; row < softmax->rows; row++) {
        const int32_t depth = softmax->depth;
        int32_t largest = INT8_MIN;
        for (int32_t i = 0; i < depth; i++) {
            largest = input[i] > largest ? input[i] : largest;
        }
        int32_t sum = 0;
        for (int32_t i = 0; i < depth; i++) {
            const int32_t difference = input[i] - largest;
            if (difference >= softmax->lowest_difference) {
                const int32_t x = rescale(difference, softmax->multiplier, softmax->shift);
                sum += shift_right_rounding(exp_of_negative(x), SUM_INTEGER);
            }
        }
        const int32_t headroom = leading_zeros((uint32_t)sum);
        const int32_t mantissa = (int32_t)(((uint32_t)sum << headroom) - (1u << 31));
        const int32_t scale = reciprocal_of_one_plus(mantissa);
        const int32_t exponent = SUM_INTEGER - headroom + 31 - 8;
        for (int32_t i = 0; i < depth; i++) {
            const int32_t difference = input[i] - largest;
            int32_t y = INT8_MIN;
            /* From a sum of 512 on every probability rounds to 0; the reference stops there. */
            if (difference >= softmax->lowest_difference && exponent <= 31) {
                const int32_t x = rescale(difference, softmax->multiplier, softmax->shift);
                y += shift_right_rounding(multiply(scale, exp_of_negative(x)), exponent);
            }
            output[i] = (int8_t)clamp(y, INT8_MIN, INT8_MAX);
        }
        input += depth;
        output += depth;
    }
}
