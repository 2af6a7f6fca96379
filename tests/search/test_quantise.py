"""Fake quantisation computes what the exported model computes, and mends what int8 broke."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import Tensor

from harness.tflite import Tensor as ModelTensor
from harness.tflite import read_graph
from search import quantise as quantise_module
from search.config import Quantisation, SpaceChoice, Training
from search.data.dataset import PIXELS, Split, encoding_of, to_int8
from search.export import (
    CALIBRATION_IMAGES,
    export_int8,
    export_untrained,
    int8_error,
    int8_outputs,
)
from search.lowering import Flatten, Op
from search.network import Network
from search.quantise import FakeQuantised, quantise
from search.space import open_space
from search.train import float_error, to_inputs, train
from tests.search.idx_files import make_dataset
from tests.search.networks import EVERY_OPERATOR, SAME_PADDING, sample_networks
from tests.search.test_network import perturb

RECIPE = Training(epochs=6, batch_size=32, learning_rate=0.1)


def staged(name: str, seed: int) -> tuple[Op, ...]:
    space = open_space(SpaceChoice(name=name))
    return space.lower(space.sample(np.random.default_rng(seed)), (12, 12, 1), 4)


NETWORKS = [EVERY_OPERATOR, SAME_PADDING, *sample_networks(2, seed=5), staged("mobile", 0)]


def outputs_of(model: bytes) -> dict[str, ModelTensor]:
    """By the names of lowered operators; the converter orders branches in its own way."""
    graph = read_graph(model, where="a test")
    tensors = [graph.tensors[operator.outputs[0]] for operator in graph.operators]
    return {tensor.name.split("/")[0].removeprefix("n_"): tensor for tensor in tensors}


def noise(ops: tuple[Op, ...], count: int, encoding: object = PIXELS) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (count, *ops[0].output_shape), np.uint8)
    return Split(images, np.zeros(count, np.int64), encoding)


def fake(ops: tuple[Op, ...], calibration: Split, seed: int = 0) -> FakeQuantised:
    network = Network(ops, seed=seed).eval()
    perturb(network, seed)
    return FakeQuantised(network, calibration).eval()


class Compared(FakeQuantised):
    """Takes each operator's output from the int8 model, having compared it with its own: of equal
    inputs, what share of the outputs is equal, and how many steps are the others away?"""

    def against(self, model: bytes) -> None:
        with pytest.warns(UserWarning, match="deprecated"):
            self.interpreter = tf.lite.Interpreter(
                model_content=model,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
            )
        self.interpreter.allocate_tensors()
        self.outputs = {name: tensor.index for name, tensor in outputs_of(model).items()}
        self.differences: list[np.ndarray] = []

    def compare(self, split: Split) -> None:
        for row in range(len(split)):
            image = slice(row, row + 1)
            source = self.interpreter.get_input_details()[0]["index"]
            self.interpreter.set_tensor(source, to_int8(split.images[image]))
            self.interpreter.invoke()
            with torch.no_grad():
                self(to_inputs(split, image))

    def settle(self, index: int, value: Tensor) -> Tensor:
        mine = super().settle(index, value)
        if index == 0 or not hasattr(self, "interpreter"):
            return mine
        name = self.ops[index].name
        if name not in self.outputs:
            return mine
        theirs = self.interpreter.get_tensor(self.outputs[name]).astype(int)
        grid = self.grid_of(name)
        q = np.rint(mine.numpy() / grid.scale + grid.zero_point)
        if q.ndim == 4:
            q = q.transpose(0, 2, 3, 1)
        self.differences.append(np.abs(q - theirs).ravel())
        reals = torch.from_numpy((theirs - grid.zero_point) * grid.scale).float()
        return reals.permute(0, 3, 1, 2) if reals.ndim == 4 else reals


@pytest.mark.parametrize("ops", NETWORKS, ids=lambda ops: f"{len(ops)}")
def test_every_operator_rounds_as_the_exported_models_does(ops: tuple[Op, ...]) -> None:
    """All but the last bit of fixed-point multipliers, which round twice."""
    split = noise(ops, 6)
    network = Network(ops, seed=1).eval()
    perturb(network, 1)
    compared = Compared(network, split).eval()
    compared.against(compared.export())
    compared.compare(split)
    differences = np.concatenate(compared.differences)
    assert np.mean(differences == 0) > 0.99
    assert differences.max() <= 1


@pytest.mark.parametrize("ops", NETWORKS, ids=lambda ops: f"{len(ops)}")
def test_the_exported_model_has_the_grids_that_training_saw(ops: tuple[Op, ...]) -> None:
    network = fake(ops, noise(ops, 20))
    outputs = outputs_of(network.export())
    missing = {op for op in ops[1:] if op.name not in outputs}
    assert all(isinstance(op, Flatten) for op in missing), "of a single pixel it is no operator"
    for name, tensor in outputs.items():
        grid = network.grid_of(name)
        assert tensor.dtype == "int8"
        assert tensor.quantisation.zero_points == (grid.zero_point,)
        assert tensor.quantisation.scales[0] == pytest.approx(grid.scale, rel=1e-6)


def test_the_exported_model_has_the_weights_that_training_saw() -> None:
    network = fake(EVERY_OPERATOR, noise(EVERY_OPERATOR, 20))
    graph = read_graph(network.export(), where="a test")
    folded = network.folded_weights()["conv"].weights.transpose(3, 0, 1, 2)  # (out, h, w, in)
    tensor = graph.tensors[graph.operators[0].inputs[1]]
    scales = np.array(tensor.quantisation.scales)[:, None, None, None]
    assert np.allclose(tensor.data * scales, folded, rtol=1e-5)


def test_the_input_keeps_the_encoding_of_the_data() -> None:
    encoding = encoding_of(-1.0, 0.62)
    split = noise(EVERY_OPERATOR, 10, encoding)
    network = fake(EVERY_OPERATOR, split)
    graph = read_graph(network.export(), where="a test")
    quantisation = graph.tensors[graph.inputs[0]].quantisation
    assert quantisation.scales == (np.float32(encoding.scale),)
    assert quantisation.zero_points == (encoding.zero_point,)


def test_ranges_follow_the_batches_until_they_are_held() -> None:
    split = noise(EVERY_OPERATOR, 20)
    network = fake(EVERY_OPERATOR, split)
    brighter = 3 * to_inputs(split, slice(None))

    def grids() -> list:
        return [network.grid_of(op.name) for op in network.ops]

    before = grids()
    network(brighter)
    assert grids() == before, "evaluation moves nothing"
    network.train()(brighter)
    moved = grids()
    assert moved != before
    network.hold_ranges()
    network(brighter)
    network.train()(brighter)
    assert grids() == moved


def test_rounding_has_the_gradient_of_the_identity() -> None:
    network = fake(EVERY_OPERATOR, noise(EVERY_OPERATOR, 20))
    network(to_inputs(noise(EVERY_OPERATOR, 8), slice(None))).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


@pytest.fixture(scope="module")
def network(dataset) -> Network:
    network = Network(EVERY_OPERATOR, seed=1)
    train(network, dataset.train, dataset.validation, RECIPE, seed=0)
    return network


TOUCHED = Quantisation(tolerance=0.0, epochs=2, learning_rate=0.01)
BETTER_THAN_ANY = -1.0  # a float error that no int8 model is near


def test_a_network_that_keeps_its_accuracy_is_exported_as_ever(dataset, network) -> None:
    error = float_error(network, dataset.validation)
    settings = Quantisation(tolerance=0.05)
    found = quantise(network, dataset, RECIPE, settings, float_val_error=error, seed=0)
    images = dataset.train.images[:CALIBRATION_IMAGES]
    assert not found.tuned and found.seconds == 0
    assert found.model == export_int8(EVERY_OPERATOR, network.folded_weights(), images)
    assert found.val_error == found.plain_val_error


def test_a_network_that_int8_breaks_is_mended_and_left_as_it_was(
    dataset, network, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    broken = export_untrained(EVERY_OPERATOR, seed=0)
    monkeypatch.setattr(quantise_module, "export_int8", lambda *_: broken)
    error = float_error(network, dataset.validation)
    laps: list[str] = []
    found = quantise(
        network, dataset, RECIPE, TOUCHED, float_val_error=error, seed=0, lap=laps.append
    )
    assert laps == ["exporting", "measuring", "training", "exporting", "measuring"]
    assert found.tuned and found.val_error <= error + 0.05 < found.plain_val_error
    images, labels = dataset.validation.images, dataset.validation.labels
    assert int8_error(found.model, images, labels) == found.val_error
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_fine_tuning_repeats_itself_to_the_byte(
    dataset, network, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = export_untrained(EVERY_OPERATOR, seed=0)
    monkeypatch.setattr(quantise_module, "export_int8", lambda *_: broken)
    models = [
        quantise(network, dataset, RECIPE, TOUCHED, float_val_error=0.0, seed=3).model
        for _ in range(2)
    ]
    assert models[0] == models[1] != broken


def test_fine_tuning_can_be_forbidden(dataset, network) -> None:
    never = replace(TOUCHED, epochs=0)
    found = quantise(network, dataset, RECIPE, never, float_val_error=BETTER_THAN_ANY, seed=0)
    assert not found.tried and not found.tuned and found.seconds == 0


@pytest.mark.parametrize("rate", [1e-9, 1e30], ids=["changes nothing", "diverges"])
def test_fine_tuning_that_brings_nothing_is_dropped(
    dataset, network, monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    monkeypatch.setattr(quantise_module, "int8_error", lambda *_: 0.5)
    settings = replace(TOUCHED, learning_rate=rate)
    found = quantise(network, dataset, RECIPE, settings, float_val_error=BETTER_THAN_ANY, seed=0)
    assert found.tried and not found.tuned and found.seconds > 0 and found.val_error == 0.5


def test_logits_of_a_trained_network_are_the_models_outputs(dataset, network) -> None:
    fake_quantised = FakeQuantised(network, dataset.train.first(50)).eval()
    grid = fake_quantised.grid_of("classifier")
    with torch.no_grad():
        logits = fake_quantised(to_inputs(dataset.validation, slice(None))).numpy()
    outputs = int8_outputs(fake_quantised.export(), dataset.validation.images)
    steps = np.abs(np.rint(logits / grid.scale + grid.zero_point) - outputs)
    assert np.mean(steps == 0) > 0.9 and steps.max() <= 2
