/* int8 operators, and those of int16 activations (int16.h). Tensors are NHWC with a batch of one;
 * every function reads its parameters from a constant table that is computed when the model is
 * generated, and writes nothing but its output and its scratch memory. Bit-exact with the
 * TensorFlow Lite Micro reference kernels.
 *
 * Folded biases: bias[c] already contains -input_zero_point * sum(weights of c), so kernels
 * multiply raw inputs and pad with the input's zero point. */
#ifndef HILNAS_KERNELS_H
#define HILNAS_KERNELS_H

#include "activation.h"
#include "arithmetic.h"
#include "conversion.h"
#include "convolution.h"
#include "int16.h"
#include "matmul.h"
#include "movement.h"
#include "padding.h"
#include "pooling.h"
#include "recurrent.h"
#include "reduction.h"
#include "resizing.h"
#include "variant.h"

#endif
