/* Layers of int8 networks for many inputs at once, as TensorFlow Lite's reference kernels compute
 * them, on this machine. Nothing is checked here: integer_network.py has done that.
 *
 * Activations are int8 [image][row][column][channel]. Sums are made for LANES output channels at
 * once, and wrap as the reference's do. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16 /* as in integer_network.py */
#define HALF (LANES / 2)
#define PIXELS 4 /* of the output, together: each weight is read once for all of them */

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

typedef uint32_t lanes_t __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t half_t __attribute__((vector_size(4 * HALF), aligned(4), may_alias));
typedef int64_t wide_t __attribute__((vector_size(8 * HALF)));
typedef int8_t bytes_t __attribute__((vector_size(HALF), aligned(1), may_alias));
#define widened(lanes) __builtin_convertvector(lanes, wide_t)

/* Of LANES output channels. A sum is shifted to the left, multiplied, and divided by powers of two:
 * first rounding halves up, then rounding them away from zero. */
typedef struct {
    int32_t bias[LANES], multiplier[LANES], left[LANES], first[LANES], second[LANES];
} rescaling_t;

typedef struct { /* Layer of integer_network.py */
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left, padded_width;
    int32_t input_zero_point, zero_point, min, max;
} layer_t;

/* Of HALF the sums, from the lane `at` on. */
INLINE half_t rescale(const rescaling_t *rescaling, const lanes_t *sums, int at) {
    const half_t *const left = (const half_t *)&rescaling->left[at];
    const wide_t one = {1, 1, 1, 1, 1, 1, 1, 1};
    const wide_t shifted = widened(((const half_t *)sums)[at / HALF] << *left);
    const wide_t multiplier = widened(*(const half_t *)&rescaling->multiplier[at]);
    const wide_t first = widened(*(const half_t *)&rescaling->first[at]);
    const wide_t second = widened(*(const half_t *)&rescaling->second[at]);
    const wide_t once = (shifted * multiplier + (one << (first - 1))) >> first;
    const wide_t half = (one << second) >> 1;
    const wide_t away = (once < 0) & (half > 0); /* -1 where so */
    return __builtin_convertvector((once + half + away) >> second, half_t);
}

INLINE void store(const rescaling_t *rescaling, const layer_t *layer, lanes_t sums, int channels,
                  int8_t *output) {
    int8_t results[LANES];
    for (int at = 0; at < LANES; at += HALF) {
        half_t values = rescale(rescaling, &sums, at) + layer->zero_point;
        const half_t below = values<layer->min, above = values> layer->max;
        values = (below & layer->min) | (above & layer->max) | (~(below | above) & values);
        *(bytes_t *)&results[at] = __builtin_convertvector(values, bytes_t);
    }
    memcpy(output, results, (size_t)channels);
}

/* The input less its zero point, into the middle of zeros. */
FOR_EACH_CPU static void widen(const layer_t *layer, const int8_t *input, int32_t *padded) {
    const int line = layer->input_width * layer->input_channels;
    for (int y = 0; y < layer->input_height; y++) {
        int32_t *const to =
            padded +
            ((y + layer->pad_top) * layer->padded_width + layer->pad_left) * layer->input_channels;
        for (int i = 0; i < line; i++) {
            to[i] = input[y * line + i] - layer->input_zero_point;
        }
    }
}

INLINE int first_of_window(const layer_t *layer, int pixel) {
    const int y = pixel / layer->output_width, x = pixel % layer->output_width;
    return (y * layer->stride_height * layer->padded_width + x * layer->stride_width) *
           layer->input_channels;
}

/* weights: [block of LANES output channels][kernel row][column][input channel][lane] */
FOR_EACH_CPU static void convolve(const layer_t *layer, const int32_t *padded,
                                  const lanes_t *weights, const rescaling_t *rescaling,
                                  int8_t *output) {
    const int pixels = layer->output_height * layer->output_width;
    const int channels = layer->output_channels;
    const int apart = layer->dilation_width > 1; /* the columns of a kernel */
    const int columns = apart ? layer->kernel_width : 1;
    const int run = apart ? layer->input_channels : layer->kernel_width * layer->input_channels;
    for (int pixel = 0; pixel < pixels; pixel += PIXELS) {
        const int32_t *windows[PIXELS];
        for (int p = 0; p < PIXELS; p++) { /* behind the last pixel, that one again */
            const int known = pixel + p < pixels ? pixel + p : pixels - 1;
            windows[p] = padded + first_of_window(layer, known);
        }
        const lanes_t *weight = weights;
        const rescaling_t *of_block = rescaling;
        for (int c = 0; c < channels; c += LANES, of_block++) {
            lanes_t sums[PIXELS];
            for (int p = 0; p < PIXELS; p++) {
                sums[p] = *(const lanes_t *)of_block->bias;
            }
            for (int y = 0; y < layer->kernel_height; y++) {
                for (int x = 0; x < columns; x++) {
                    const int at = (y * layer->dilation_height * layer->padded_width +
                                    x * layer->dilation_width) *
                                   layer->input_channels;
                    for (int i = 0; i < run; i++, weight++) {
                        const lanes_t one = *weight;
                        for (int p = 0; p < PIXELS; p++) {
                            sums[p] += one * (uint32_t)windows[p][at + i];
                        }
                    }
                }
            }
            const int rest = channels - c < LANES ? channels - c : LANES;
            for (int p = 0; p < PIXELS && pixel + p < pixels; p++) {
                store(of_block, layer, sums[p], rest, output + (pixel + p) * channels + c);
            }
        }
    }
}

/* weights: [block of LANES channels][kernel row][column][lane]. Reads up to LANES - 1 values behind
 * `padded`. */
FOR_EACH_CPU static void convolve_depthwise(const layer_t *layer, const int32_t *padded,
                                            const lanes_t *weights, const rescaling_t *rescaling,
                                            int8_t *output) {
    const int pixels = layer->output_height * layer->output_width;
    const int channels = layer->output_channels;
    for (int pixel = 0; pixel < pixels; pixel++) {
        const int32_t *const window = padded + first_of_window(layer, pixel);
        const lanes_t *weight = weights;
        const rescaling_t *of_block = rescaling;
        for (int c = 0; c < channels; c += LANES, of_block++) {
            lanes_t sums = *(const lanes_t *)of_block->bias;
            for (int y = 0; y < layer->kernel_height; y++) {
                for (int x = 0; x < layer->kernel_width; x++, weight++) {
                    const int at = (y * layer->dilation_height * layer->padded_width +
                                    x * layer->dilation_width) *
                                   channels;
                    sums += *weight * *(const lanes_t *)(window + at + c);
                }
            }
            const int rest = channels - c < LANES ? channels - c : LANES;
            store(of_block, layer, sums, rest, output + pixel * channels + c);
        }
    }
}

typedef void convolve_t(const layer_t *layer, const int32_t *padded, const lanes_t *weights,
                        const rescaling_t *rescaling, int8_t *output);

/* padded: zeros, as many as the windows reach, and LANES more. */
INLINE void for_each_image(convolve_t *function, const layer_t *layer, int32_t images,
                           const int8_t *input, const lanes_t *weights,
                           const rescaling_t *rescaling, int32_t *padded, int8_t *output) {
    for (int32_t i = 0; i < images; i++) {
        widen(layer, input, padded);
        function(layer, padded, weights, rescaling, output);
        input += layer->input_height * layer->input_width * layer->input_channels;
        output += layer->output_height * layer->output_width * layer->output_channels;
    }
}

void conv_2d(const layer_t *layer, int32_t images, const int8_t *input, const lanes_t *weights,
             const rescaling_t *rescaling, int32_t *padded, int8_t *output) {
    for_each_image(convolve, layer, images, input, weights, rescaling, padded, output);
}

void depthwise_conv_2d(const layer_t *layer, int32_t images, const int8_t *input,
                       const lanes_t *weights, const rescaling_t *rescaling, int32_t *padded,
                       int8_t *output) {
    for_each_image(convolve_depthwise, layer, images, input, weights, rescaling, padded, output);
}

/* output = table[first as a byte][second as a byte] */
void combine(int64_t count, const uint8_t *first, const uint8_t *second, const int8_t *table,
             int8_t *output) {
    for (int64_t i = 0; i < count; i++) {
        output[i] = table[first[i] << 8 | second[i]];
    }
}
