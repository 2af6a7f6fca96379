#include "depthwise_3x3_s8_dsp.h"

#if KERNELS_DSP

/* Doubles two halfwords of -128 to 127. */
static inline uint32_t doubled(uint32_t pair) { return (pair << 1) & ~0x10000u; }

void depthwise_3x3_start_s8(block_t *block, const depthwise_conv_2d_t *conv, int32_t channel) {
    const int8_t *const weights = conv->weights + 9 * channel;
    const uint32_t top = load_word(weights), middle = load_word(weights + 3);
    const uint32_t bottom = load_word(weights + 5);
    const simple_t simple = simple_of(&conv->out, channel);
    block->bias = conv->out.bias[channel] * 2;
    block->offset = simple.offset;
    block->multiplier = simple.multiplier;
    block->pitch = conv->output_channels;
    block->row_pitch = conv->output_width * conv->output_channels;
    block->outer[0] = doubled(sxtb16(top));
    block->outer[1] = doubled(sxtb16(middle));
    block->outer[2] = doubled(sxtb16_odd(bottom));
    block->inner = doubled(pkhbt(sxtb16_odd(top), sxtb16_odd(middle)));
    block->rest = (sxtb16(bottom) >> 16 << 17) | (uint32_t)simple.shift;
}

#endif
