"""Does a network keep its accuracy as int8, and what if not? It is fine-tuned while it computes
with what int8 can hold (quantisation-aware training), and exported with the grid that it saw.
Must not know boards, genotypes or the search.

The arithmetic is TensorFlow Lite's (its 8-bit quantisation specification): weights symmetric per
output channel, -127 to 127; activations with scale and zero point per tensor; pooling, padding and
reshaping keep their input's. Batch normalisation is folded before, as in the export: what trains
is what is exported (Krishnamoorthi, arXiv 1806.08342, section 3.2: statistics are frozen).
Rounding has the gradient of the identity within the range (Jacob et al., arXiv 1712.05877).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver
from torch.nn.utils import parametrize

from search.config import Quantisation, Training
from search.data.dataset import Dataset, Split
from search.distill import Teacher
from search.export import CALIBRATION_IMAGES, Grid, export_int8, export_on_grids, int8_error
from search.lowering import Add, Conv2D, Dense, DepthwiseConv2D, Pool2D
from search.network import Network
from search.train import to_inputs, train
from search.wall_time import EXPORTING, MEASURING, TRAINING

# Ranges follow the activations in this share of the epochs, then stand still, so that the weights
# settle on the grid that is exported.
MOVING_SHARE = 0.5
_LEAST_SCALE = 1e-12  # of a channel without weights


@dataclass(frozen=True, eq=False)
class Quantised:
    """model: the int8 .tflite with the lower error. val_error: of it; plain_val_error: of the
    export without fine-tuning (both 0..1, on the validation split). tried: whether a copy was
    fine-tuned. seconds: of that."""

    model: bytes
    val_error: float
    plain_val_error: float
    tried: bool = False
    seconds: float = 0.0

    @property
    def tuned(self) -> bool:
        """Whether `model` is the fine-tuned one."""
        return self.val_error < self.plain_val_error


def quantise(
    network: Network,
    dataset: Dataset,
    recipe: Training,
    settings: Quantisation,
    *,
    float_val_error: float,
    seed: int,
    teacher: Teacher | None = None,
    lap: Callable[[str], None] = lambda activity: None,
) -> Quantised:
    """Export a trained `network`; where its int8 model loses more than `settings.tolerance`
    against `float_val_error`, fine-tune a copy as well. The network stays as it is.

    Args:
        network: slimmed, where it was pruned.
        recipe: of training, of which epochs and learning rate are replaced by the settings'.
        teacher: as of train.
        lap: told behind each step which of the activities of search.wall_time it was.

    Raises:
        ModelError: from export_int8.
    """
    calibration = dataset.train.first(CALIBRATION_IMAGES)
    weights = network.folded_weights()
    plain = export_int8(network.ops, weights, calibration.images, dataset.encoding)
    lap(EXPORTING)
    plain_error = _error(plain, dataset)
    lap(MEASURING)
    if not settings.epochs or plain_error - float_val_error <= settings.tolerance:
        return Quantised(plain, plain_error, plain_error)
    tuned = FakeQuantised(network, calibration)
    moving = max(1, round(MOVING_SHARE * settings.epochs))
    trained = train(
        tuned,
        dataset.train,
        dataset.validation,
        replace(recipe, epochs=settings.epochs, learning_rate=settings.learning_rate),
        seed=seed,
        teacher=teacher,
        on_epoch=lambda epoch: tuned.hold_ranges() if epoch.index + 1 == moving else None,
    )
    lap(TRAINING)
    if trained.diverged:
        return Quantised(plain, plain_error, plain_error, True, trained.seconds)
    model = tuned.export()
    lap(EXPORTING)
    error = _error(model, dataset)
    lap(MEASURING)
    if error >= plain_error:
        return Quantised(plain, plain_error, plain_error, True, trained.seconds)
    return Quantised(model, error, plain_error, True, trained.seconds)


class FakeQuantised(Network):
    """A copy of `network`, batch normalisation folded, that computes on an int8 grid: weights and
    every operator's output are rounded to what the exported model can hold. Of equal inputs an
    operator's outputs are that model's, but for a step now and then, where its fixed-point
    multiplier rounds twice; such steps add up, so that the logits of deep networks may differ.

    Ranges of activations start as those of `calibration` images, and follow the batches while the
    module is in training mode, until hold_ranges(). folded_weights() are the rounded ones.
    """

    def __init__(self, network: Network, calibration: Split) -> None:
        ops = tuple(
            replace(op, batch_norm=False) if isinstance(op, Conv2D | DepthwiseConv2D) else op
            for op in network.ops
        )
        super().__init__(ops, seed=0)
        self.take_folded(network.folded_weights())
        self.encoding = calibration.encoding
        self.grids = nn.ModuleDict()  # by the operator's position
        self._source: dict[str, str] = {}  # operator -> the one whose output's grid its own has
        self._moving = True
        for index, op in enumerate(ops):
            self._source[op.name] = self._source[op.inputs[0]] if op.inputs else op.name
            if isinstance(op, Conv2D | DepthwiseConv2D | Dense):
                weighted = self.layers[str(index)].get_submodule("0")
                parametrize.register_parametrization(weighted, "weight", _RoundedWeights())
                round_bias = _RoundedBias(partial(self._bias_scales, index))
                parametrize.register_parametrization(weighted, "bias", round_bias)
            if isinstance(op, Conv2D | DepthwiseConv2D | Dense | Add):
                self.grids[str(index)] = _moving_grid()
                self._source[op.name] = op.name
        self._calibrate(calibration)

    def settle(self, index: int, value: Tensor) -> Tensor:
        op = self.ops[index]
        if str(index) in self.grids:
            rounded: Tensor = self.grids[str(index)](value)
            return rounded
        if isinstance(op, Pool2D) and op.kind == "average":
            return _round_mean(value, self.grid_of(op.name), op.size[0] * op.size[1])
        return value  # of bytes, or of numbers that are on the grid already

    def grid_of(self, name: str) -> Grid:
        """Of the output of the operator `name`."""
        source = self._source[name]
        if source == self.ops[0].name:
            return Grid(self.encoding.scale, self.encoding.zero_point)
        index = next(i for i, op in enumerate(self.ops) if op.name == source)
        grid = self.grids[str(index)]
        assert isinstance(grid, FakeQuantize)
        return Grid(float(grid.scale), int(grid.zero_point))

    def hold_ranges(self) -> None:
        """From now on ranges stand still."""
        self._moving = False
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for grid in self.grids.values():
            grid.enable_observer(mode and self._moving)  # type: ignore[operator]
        return self

    def export(self) -> bytes:
        """The int8 .tflite with exactly these weights and grids. Raises ModelError as export_int8
        does."""
        owners = [self.ops[int(index)].name for index in self.grids]
        grids = {name: self.grid_of(name) for name in owners}
        return export_on_grids(self.ops, self.folded_weights(), grids, self.encoding)

    def _bias_scales(self, index: int) -> Tensor:
        """(out,): those of the sums of products that the bias of operator `index` is added to."""
        parametrized = self.layers[str(index)].get_submodule("0.parametrizations.weight")
        assert isinstance(parametrized, parametrize.ParametrizationList)
        of_input = self.grid_of(self.ops[index].inputs[0]).scale
        return _weight_scales(parametrized.original.detach()) * of_input

    @torch.no_grad()
    def _calibrate(self, calibration: Split) -> None:
        """The extremes of the activations, before any of them is rounded."""
        for fake in self.grids.values():
            fake.enable_fake_quant(False)  # type: ignore[operator]
        self(to_inputs(calibration, slice(None)))
        for fake in self.grids.values():
            fake.enable_fake_quant(True)  # type: ignore[operator]


def _weight_scales(weights: Tensor) -> Tensor:
    """(out,), of weights (out, ...), as the converter chooses them."""
    largest = weights.abs().flatten(1).amax(1)
    return (largest / 127).clamp_min(_LEAST_SCALE)


class _RoundedWeights(nn.Module):
    def forward(self, weights: Tensor) -> Tensor:
        scales = _weight_scales(weights.detach())
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weights, scales, zeros, 0, -127, 127)


class _RoundedBias(nn.Module):
    """A bias is an int32: its steps are fine, but a layer's output shows them now and then."""

    def __init__(self, scales: Callable[[], Tensor]) -> None:
        super().__init__()
        self._scales = scales

    def forward(self, bias: Tensor) -> Tensor:
        scales = self._scales()
        return bias + (torch.round(bias.detach() / scales) * scales - bias.detach())


def _moving_grid() -> FakeQuantize:
    return FakeQuantize(  # type: ignore[no-untyped-call]
        observer=MovingAverageMinMaxObserver,
        quant_min=-128,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_tensor_affine,
    )


def _round_mean(value: Tensor, grid: Grid, count: int) -> Tensor:
    """Means of `count` numbers on the grid, rounded to it half away from q = 0: every fourth mean
    of 2 x 2 is a tie (tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h)."""
    sums = (value.detach() / grid.scale + grid.zero_point).mul(count).round()  # whole numbers
    q = sums.sign() * ((sums.abs() + count // 2) / count).floor()
    return value + ((q - grid.zero_point) * grid.scale - value.detach())


def _error(model: bytes, dataset: Dataset) -> float:
    return int8_error(model, dataset.validation.images, dataset.validation.labels)
