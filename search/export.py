"""How do operators and plain weights become an int8 .tflite, and how often is that model wrong?

The only module that imports tensorflow. Batch normalisation is folded before TensorFlow sees the
network, every convolution keeps its bias, and nothing is left for the converter to fold: an
untrained and a trained export of one network have the same operators and shapes. Knows nothing of
training or boards.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError
from search.data.dataset import PIXELS, Encoding, Images, Labels, to_int8
from search.integer_network import compile_network
from search.lowering import Add, Conv2D, Dense, DepthwiseConv2D, Flatten, Input, Op, Pad, Pool2D
from search.network import Folded, draw_untrained_weights


@contextlib.contextmanager
def _hold_stderr() -> Iterator[None]:
    """Keeps back what TensorFlow's C++ writes to standard error, past Python; lets it out when the
    block fails."""
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors only
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
with _hold_stderr():
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    # One thread a worker: two workers share the machine. Must precede the first operation.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)

# Enough for the extremes of a few thousand activations to settle, 0.1 s of conversion.
CALIBRATION_IMAGES = 200
# An untrained export needs ranges that are not empty, not ranges that are good.
UNTRAINED_CALIBRATION_IMAGES = 4
# Images in one call of the interpreter: amortises the call, keeps the activations in the cache.
ERROR_BATCH = 50


@dataclass(frozen=True)
class Grid:
    """The reals that an int8 tensor can hold: scale * (q - zero_point), q from -128 to 127."""

    scale: float
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        return (-128 - self.zero_point) * self.scale, (127 - self.zero_point) * self.scale


def export_int8(
    ops: Sequence[Op],
    weights: Mapping[str, Folded],
    calibration_images: Images,
    encoding: Encoding = PIXELS,
) -> bytes:
    """Convert to a full-int8 .tflite: int8 in and out, weights quantised per channel.

    The input's scale and zero point are exactly those of `encoding`. The same arguments give the
    same bytes.

    Args:
        weights: per weighted operator's name, as Network.folded_weights returns them.
        calibration_images: (n, h, w, c) uint8, n >= 1; activation ranges are observed on them.

    Raises:
        ModelError: the converter failed, or did not quantise the input as promised.
    """
    samples = encoding.to_reals(calibration_images)[:, np.newaxis]  # (n, 1, h, w, c)
    # The input's observed range must be all of the encoding's, whatever images are at hand: two
    # values of one image see to it.
    samples[0].flat[0], samples[0].flat[-1] = encoding.reals[[0, 255]]
    return _convert(ops, weights, {}, samples, encoding)


def export_on_grids(
    ops: Sequence[Op],
    weights: Mapping[str, Folded],
    grids: Mapping[str, Grid],
    encoding: Encoding = PIXELS,
) -> bytes:
    """As export_int8, but the outputs of operators have the given `grids` instead of ranges that
    calibration finds: what quantisation-aware training ends in.

    Args:
        grids: by the name of each Conv2D, DepthwiseConv2D, Dense and Add. The others keep their
            input's, as TensorFlow Lite's 8-bit specification demands.
    """
    input_grid = Grid(encoding.scale, encoding.zero_point)
    return _convert(ops, weights, {ops[0].name: input_grid, **grids}, None, encoding)


def _convert(
    ops: Sequence[Op],
    weights: Mapping[str, Folded],
    grids: Mapping[str, Grid],
    samples: NDArray[np.float32] | None,
    encoding: Encoding,
) -> bytes:
    """samples: (n, 1, h, w, c), to find ranges with; None where `grids` says them."""
    height, width, channels = ops[0].output_shape

    def infer(image: Any) -> Any:
        return _emit(ops, weights, grids, image)

    try:
        with _hold_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signature = [tf.TensorSpec([1, height, width, channels], tf.float32, name="image")]
            traced = tf.function(infer, input_signature=signature, autograph=False)
            converter = tf.lite.TFLiteConverter.from_concrete_functions(
                [traced.get_concrete_function()]
            )
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if samples is not None:
                converter.representative_dataset = lambda: ([sample] for sample in samples)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
            model: bytes = bytes(converter.convert())
    except Exception as error:  # the converter raises whatever its layers raise
        raise ModelError(
            f"TensorFlow's converter failed: {type(error).__name__}: {_first_line(error)}",
            hint="its own messages stand above",
        ) from error
    _check_input(model, encoding)
    return model


def export_untrained(ops: Sequence[Op], *, seed: int, encoding: Encoding = PIXELS) -> bytes:
    """The int8 model that measuring before training needs: same operators, shapes and per-channel
    structure as the trained one, weights drawn from `seed`, biases and batch normalisation off
    their neutral values. Raises ModelError as export_int8 does."""
    rng = np.random.default_rng(seed)
    shape = (UNTRAINED_CALIBRATION_IMAGES, *ops[0].output_shape)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    return export_int8(ops, draw_untrained_weights(ops, seed=seed), images, encoding)


def int8_outputs(
    model: bytes,
    images: Images,
    *,
    exact: bool = True,
    before_batch: Callable[[], None] = lambda: None,
) -> NDArray[np.int8]:
    """Outputs (n, classes) of the int8 `model` for uint8 `images` (n, h, w, c). `before_batch` may
    raise, to end the work early.

    exact: by TensorFlow Lite's reference kernels. All but one agree bit for bit with TFLite
    Micro's and so with the board; a fully-connected layer rounds one output in some hundreds the
    other way, which moved the class of 1 image of 4000 where it was counted. TFLite Micro itself
    takes up to three times as long. Otherwise by the default kernels, which are the fastest by far
    and differ in every fourth output, by a step.
    """
    network = compile_network(model) if exact else None  # the same bytes, several times sooner
    answer = _interpreter(model, exact=exact) if network is None else network.outputs
    outputs = []
    for start in range(0, len(images), ERROR_BATCH):
        before_batch()
        outputs.append(answer(to_int8(images[start : start + ERROR_BATCH])))  # (b, classes)
    return np.concatenate(outputs)


def _interpreter(model: bytes, *, exact: bool) -> Callable[[NDArray[np.int8]], NDArray[np.int8]]:
    """(b, h, w, c) -> (b, classes), by tf.lite."""
    interpreter = _open(model, exact=exact)
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    allocated = 0

    def answer(batch: NDArray[np.int8]) -> NDArray[np.int8]:
        nonlocal allocated
        if len(batch) != allocated:
            interpreter.resize_tensor_input(source["index"], batch.shape)
            interpreter.allocate_tensors()
            allocated = len(batch)
        interpreter.set_tensor(source["index"], batch)
        interpreter.invoke()
        outputs: NDArray[np.int8] = interpreter.get_tensor(sink["index"])
        return outputs

    return answer


def int8_error(
    model: bytes,
    images: Images,
    labels: Labels,
    *,
    before_batch: Callable[[], None] = lambda: None,
) -> float:
    """Share of `images` (n, h, w, c) uint8 that the int8 `model` gets wrong, 0..1. `before_batch`
    as in int8_outputs."""
    outputs = int8_outputs(model, images, before_batch=before_batch)
    return float(np.mean(outputs.argmax(axis=1) != labels))


def _emit(
    ops: Sequence[Op], weights: Mapping[str, Folded], grids: Mapping[str, Grid], image: Any
) -> Any:
    """The operators as tensorflow ops, (1, h, w, c) float32 -> logits (1, classes); outputs that
    are rounded to `grids` tell the converter what to quantise them with."""
    values: dict[str, Any] = {}
    value = image
    for op in ops:
        operands = [values[name] for name in op.inputs]
        with tf.name_scope(re.sub(r"\W", "_", f"n_{op.name}")):
            match op:
                case Input():
                    value = image
                case Conv2D():
                    folded = weights[op.name]
                    padding = op.padding.upper()
                    value = tf.nn.conv2d(operands[0], folded.weights, op.stride, padding)
                    value = tf.nn.bias_add(value, folded.bias)
                    value = tf.nn.relu(value) if op.relu else value
                case DepthwiseConv2D():
                    folded = weights[op.name]
                    strides, padding = [1, *op.stride, 1], op.padding.upper()
                    value = tf.nn.depthwise_conv2d(operands[0], folded.weights, strides, padding)
                    value = tf.nn.bias_add(value, folded.bias)
                    value = tf.nn.relu(value) if op.relu else value
                case Dense():
                    folded = weights[op.name]
                    value = tf.matmul(operands[0], folded.weights)
                    value = tf.nn.bias_add(value, folded.bias)
                    value = tf.nn.relu(value) if op.relu else value
                case Pool2D(kind="max"):
                    value = tf.nn.max_pool2d(operands[0], op.size, op.size, "VALID")
                case Pool2D():
                    value = tf.nn.avg_pool2d(operands[0], op.size, op.size, "VALID")
                case Pad():
                    (height, width, _), (to_height, to_width, _) = op.input_shape, op.output_shape
                    margins = [[0, 0], [0, to_height - height], [0, to_width - width], [0, 0]]
                    value = tf.pad(operands[0], margins)
                case Add():
                    value = tf.add(operands[0], operands[1])
                    value = tf.nn.relu(value) if op.relu else value
                case Flatten():
                    value = tf.reshape(operands[0], [-1, op.output_shape[0]])
            if op.name in grids:
                value = tf.quantization.fake_quant_with_min_max_args(value, *grids[op.name].range)
        values[op.name] = value
    return value


def _open(model: bytes, *, exact: bool = True) -> Any:
    resolvers = tf.lite.experimental.OpResolverType
    with warnings.catch_warnings():
        # TensorFlow announces the interpreter's move to a package of its own at every opening.
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=resolvers.BUILTIN_REF if exact else resolvers.AUTO,
        )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _check_input(model: bytes, encoding: Encoding) -> None:
    details = _open(model).get_input_details()[0]
    scale, zero_point = details["quantization"]
    if np.float32(scale) != np.float32(encoding.scale) or zero_point != encoding.zero_point:
        raise ModelError(
            "the converter chose another input quantisation",
            expected=f"scale {encoding.scale:.9g}, zero point {encoding.zero_point}",
            got=f"scale {scale:.9g}, zero point {zero_point}",
            hint="the pinned TensorFlow release is needed",
        )
