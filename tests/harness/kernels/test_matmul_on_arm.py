"""The matrix product's instructions answer what the reference kernels answer, for every remainder
of its blocks: what the same kernels' C beside them answers on this machine is tested elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from harness.board import load_board
from harness.compiler import CompilerOptions
from harness.measure import measure
from harness.options import Optimise
from harness.session import Session, open_session
from tests.harness.kernels.windows import Windows, add_convolution
from tests.tflite_factory import NONE, RELU6, SAME, ModelFactory


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with open_session(load_board("nucleo_l4r5zi"), "virtual") as session:
        yield session


def _filters(
    model: ModelFactory, shape: tuple[int, ...], *, per_channel: bool = True
) -> tuple[list[int], float]:
    """Weights and biases, and an output scale that makes most of int8's range of their sums."""
    count, depth = shape[0], int(np.prod(shape[1:]))
    rng = np.random.default_rng(shape)
    scales = rng.uniform(0.002, 0.01, count if per_channel else 1)
    weights = rng.integers(-128, 128, shape, dtype=np.int8)
    biases = rng.integers(-5000, 5000, count, dtype=np.int32)
    operands = [
        model.constant(weights, scale=scales.tolist()),
        model.constant(biases, scale=(0.5 * scales).tolist()),
    ]
    return operands, float(0.5 * 0.006 * 74 * np.sqrt(depth))


def _add_convolution(
    model: ModelFactory,
    windows: Windows,
    depth: int,
    count: int,
    *,
    activation: int = NONE,
    gain: float = 1.0,
) -> None:
    operands, scale = _filters(model, (count, *windows.kernel, depth))
    source = model.input((1, *windows.size, depth), scale=0.5, zero_point=-3)
    out = {"scale": scale / gain, "zero_point": 5}
    add_convolution(
        model, "CONV_2D", windows, [source, *operands], count, out, activation=activation
    )


def pointwise() -> ModelFactory:
    """Every depth of a round and beyond, every rest of pixels, of pairs and of blocks."""
    model = ModelFactory()
    for step, depth in enumerate([*range(1, 21), 24, 28, 32, 36, 68]):
        _add_convolution(model, Windows((1, 1 + step % 9), (1, 1)), depth, 1 + step % 5)
    for pixels in (16, 17, 18, 19, 31, 32, 33):
        _add_convolution(model, Windows((1, pixels), (1, 1)), 12, 6)
    return model


def windows() -> ModelFactory:
    """Borders, words across taps, filters kept in RAM at once and in turn, and what is rescaled in
    other ways."""
    model = ModelFactory()
    for depth in (1, 3, 4, 6):
        _add_convolution(model, Windows((7, 6), (3, 3), padding=SAME), depth, 4)
        _add_convolution(model, Windows((7, 6), (2, 3), stride=(2, 2)), depth, 3)
    _add_convolution(model, Windows((9, 8), (3, 3), padding=SAME), 16, 6)
    _add_convolution(model, Windows((5, 5), (3, 3), padding=SAME), 40, 9, activation=RELU6)
    pointwise = Windows((5, 5), (1, 1))
    _add_convolution(model, pointwise, 8, 4, gain=300.0)  # shifts left
    _add_convolution(model, pointwise, 8, 4, gain=1e-8)  # shifts everything out
    return model


def fully_connected() -> ModelFactory:
    model = ModelFactory()
    for step, depth in enumerate([1, 3, 4, 8, 15, 16, 31, 32, 36, 60, 64, 92, 128]):
        for per_channel in (True, False):
            count = 1 + (step + 4 * per_channel) % 9
            operands, scale = _filters(model, (count, depth), per_channel=per_channel)
            rows = 1 + step % 6 if depth < 20 else 1
            source = model.input((rows, depth), scale=0.5, zero_point=-3)
            output = model.tensor((rows, count), scale=scale, zero_point=5)
            model.outputs.append(output)
            model.operator("FULLY_CONNECTED", [source, *operands], [output], activation=NONE)
    return model


@pytest.mark.parametrize("optimise", Optimise, ids=lambda optimise: optimise.value)
@pytest.mark.parametrize(
    "build", [pointwise, windows, fully_connected], ids=lambda build: build.__name__
)
def test_every_remainder_is_bit_exact_as_arm_code(
    build: Callable[[], ModelFactory], optimise: Optimise, session: Session
) -> None:
    options = CompilerOptions(optimise=optimise)

    # Refuses what is not exact: outputs, arena, guard.
    measurement = measure(build().build(), session, repeats=1, options=options)

    assert measurement.output.bit_exact
