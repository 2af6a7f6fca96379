/* What SVDF layers with state of 8 and of 16 bits share. */
#ifndef HILNAS_SVDF_STEP_H
#define HILNAS_SVDF_STEP_H

#include "dot.h"
#include "kernels.h"
#include "requantize.h"

/* What `filter` remembers of this input, its zero point included: that may wrap where the caller
 * narrows it, as it does in the reference. */
static inline int32_t svdf_feature(const svdf_t *svdf, const int8_t *input, int32_t filter,
                                   int32_t least, int32_t most) {
    const int32_t depth = svdf->depth;
    const int32_t sum =
        dot_s8(input, svdf->weights + filter * depth, depth, svdf->weights_bias[filter]);
    const int32_t x = rescale(sum, svdf->weights_multiplier, svdf->weights_shift);
    return clamp(x, least, most) + svdf->state_zero_point;
}

static inline int8_t svdf_result(const svdf_t *svdf, int32_t sum) {
    const int32_t x = rescale(sum, svdf->multiplier, svdf->shift);
    return (int8_t)clamp(add_wrapping(x, svdf->zero_point), INT8_MIN, INT8_MAX);
}

#endif
