"""The int8 model is the network; the untrained export is the trained one but for its numbers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ModelError
from harness.oracle import reference_outputs
from search import export
from search.config import Training
from search.cost import cost_of
from search.data.dataset import PIXELS, Encoding, encoding_of, to_int8
from search.export import export_int8, export_untrained, int8_error, int8_outputs
from search.network import Network, draw_untrained_weights
from search.train import float_error, train
from tests.search.exported import macs, read, structure, weight_bytes
from tests.search.idx_files import make_dataset
from tests.search.networks import EVERY_OPERATOR, SAME_PADDING, infer_plainly, sample_networks
from tests.search.spaces.spaces import shipped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


@pytest.fixture(scope="module")
def network(dataset) -> Network:
    network = Network(EVERY_OPERATOR, seed=1)
    recipe = Training(epochs=6, batch_size=32, learning_rate=0.1)
    train(network, dataset.train, dataset.validation, recipe, seed=0)
    return network


@pytest.fixture(scope="module")
def model(network: Network, dataset) -> bytes:
    return export_int8(EVERY_OPERATOR, network.folded_weights(), dataset.train.images[:50])


def test_input_and_output_are_int8_and_the_input_is_the_pixel_itself(model: bytes) -> None:
    graph = read(model)
    source, sink = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (source.dtype, sink.dtype) == ("int8", "int8")
    assert source.quantisation.scales == (np.float32(PIXELS.scale),)
    assert source.quantisation.zero_points == (PIXELS.zero_point,)


def test_the_input_is_lossless_even_when_calibration_images_are_dim(network: Network) -> None:
    dim = np.full((3, 8, 8, 1), 100, np.uint8)
    graph = read(export_int8(EVERY_OPERATOR, network.folded_weights(), dim))
    quantization = graph.tensors[graph.inputs[0]].quantisation
    assert quantization.scales == (np.float32(PIXELS.scale),)
    assert quantization.zero_points == (PIXELS.zero_point,)


@pytest.mark.parametrize("bounds", [(-1.0, 0.62), (0.0, 1000.0), (-37.3, -1.0), (-1e-6, 3e-6)])
def test_the_input_is_quantised_as_the_data_is(
    network: Network, bounds: tuple[float, float]
) -> None:
    encoding = encoding_of(*bounds)
    images = np.full((2, 8, 8, 1), 100, np.uint8)
    graph = read(export_int8(EVERY_OPERATOR, network.folded_weights(), images, encoding))
    quantization = graph.tensors[graph.inputs[0]].quantisation
    assert quantization.scales == (np.float32(encoding.scale),)
    assert quantization.zero_points == (encoding.zero_point,)


def test_calibration_leaves_the_images_as_they_were(network: Network) -> None:
    images = np.full((2, 8, 8, 1), 100, np.uint8)
    export_int8(EVERY_OPERATOR, network.folded_weights(), images)
    assert np.all(images == 100)


def test_every_operator_becomes_one_and_activations_are_fused(model: bytes) -> None:
    assert [operator.op for operator in read(model).operators] == [
        "CONV_2D",
        "MAX_POOL_2D",
        "DEPTHWISE_CONV_2D",
        "PAD",
        "ADD",
        "CONV_2D",
        "AVERAGE_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
        "FULLY_CONNECTED",
    ]


def test_the_int8_model_keeps_the_float_networks_accuracy(
    model: bytes, network: Network, dataset
) -> None:
    test = dataset.load_test()
    assert abs(int8_error(model, test.images, test.labels) - float_error(network, test)) <= 0.05


def test_int8_outputs_are_the_definitions_quantised(
    model: bytes, network: Network, dataset
) -> None:
    graph = read(model)
    quantization = graph.tensors[graph.outputs[0]].quantisation
    images = dataset.validation.images[:10]
    outputs = int8_outputs(model, images).astype(float)
    reals = (outputs - quantization.zero_points[0]) * quantization.scales[0]
    weights = network.folded_weights()
    expected = [infer_plainly(EVERY_OPERATOR, weights, i / 255)["classifier"] for i in images]
    assert np.abs(reals - expected).max() < 0.1 * np.abs(expected).max()


def test_outputs_are_the_micro_kernels_up_to_one_step(model: bytes, dataset) -> None:
    images = dataset.validation.images
    outputs = int8_outputs(model, images)
    reference = np.concatenate([reference_outputs(model, [to_int8(i[None])])[0] for i in images])
    assert np.abs(outputs.astype(int) - reference).max() <= 1
    assert np.mean(outputs != reference) < 0.02


def test_padding_the_same_way_on_both_sides_of_the_export() -> None:
    """TensorFlow pads by itself what torch is told to pad: the outputs are the definition's."""
    weights = draw_untrained_weights(SAME_PADDING, seed=2)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 7, 2), dtype=np.uint8)
    model = export_int8(SAME_PADDING, weights, images)
    graph = read(model)
    assert [operator.op for operator in graph.operators].count("ADD") == 2
    assert "PAD" not in {operator.op for operator in graph.operators}
    quantization = graph.tensors[graph.outputs[0]].quantisation
    reals = (int8_outputs(model, images).astype(float) - quantization.zero_points[0]) * (
        quantization.scales[0]
    )
    expected = np.array(
        [infer_plainly(SAME_PADDING, weights, image / 255)["classifier"] for image in images]
    )
    assert np.abs(reals - expected).max() < 0.1 * np.abs(expected).max()


def test_error_counts_wrong_classes_over_ragged_batches(model: bytes, dataset) -> None:
    images = dataset.train.images[: export.ERROR_BATCH + 7]
    classes = int8_outputs(model, images).argmax(1)
    assert len(classes) == export.ERROR_BATCH + 7
    assert int8_error(model, images, classes) == 0.0
    wrong = classes.copy()
    wrong[:3] += 1
    assert int8_error(model, images, wrong) == pytest.approx(3 / len(images))


def test_the_same_weights_give_the_same_bytes(network: Network, model: bytes, dataset) -> None:
    again = export_int8(EVERY_OPERATOR, network.folded_weights(), dataset.train.images[:50])
    assert hashlib.sha256(again).digest() == hashlib.sha256(model).digest()


def test_another_process_writes_the_same_bytes_and_nothing_to_the_terminal() -> None:
    program = (
        "import hashlib; from search.export import export_untrained;"
        "from tests.search.networks import EVERY_OPERATOR;"
        "print(hashlib.sha256(export_untrained(EVERY_OPERATOR, seed=4)).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    here = hashlib.sha256(export_untrained(EVERY_OPERATOR, seed=4)).hexdigest()
    assert (done.stdout, done.stderr) == (here + "\n", "")


def networks_of_spaces() -> list[tuple]:
    rng = np.random.default_rng(3)
    spaces = [shipped(name) for name in ("mobile", "resnet", "ds_cnn")]
    return [space.lower(space.sample(rng), (12, 12, 1), 4) for space in spaces]


@pytest.mark.parametrize("index", range(8))
def test_the_untrained_export_has_the_structure_of_the_trained_one(index: int) -> None:
    ops = [*sample_networks(5, seed=11), *networks_of_spaces()][index]
    dataset = make_dataset(160, classes=4, size=12)
    network = Network(ops, seed=index)
    recipe = Training(epochs=2, batch_size=32, learning_rate=0.05)
    assert train(network, dataset.train, dataset.validation, recipe, seed=0).diverged == ""
    trained = export_int8(ops, network.folded_weights(), dataset.train.images[:50])
    untrained = export_untrained(ops, seed=index)
    assert structure(read(untrained)) == structure(read(trained))
    cost = cost_of(ops)  # the arithmetic, against what the file says
    assert (macs(read(trained)), weight_bytes(read(trained))) == (cost.macs, cost.model_size_bytes)


def test_a_network_whose_channels_all_died_is_still_exported(dataset) -> None:
    weights = dict(draw_untrained_weights(EVERY_OPERATOR, seed=0))
    dead = weights["conv"]
    weights["conv"] = type(dead)(dead.weights * 0, dead.bias * 0 - 1)  # ReLU leaves zeros only
    model = export_int8(EVERY_OPERATOR, weights, dataset.train.images[:10])
    assert len(set(map(bytes, int8_outputs(model, dataset.validation.images[:5])))) == 1


def test_a_failing_conversion_is_one_sentence(network: Network, dataset) -> None:
    weights = network.folded_weights()
    del weights["conv"]
    with pytest.raises(
        ModelError, match="TensorFlow's converter failed: KeyError: 'conv'; its own"
    ):
        export_int8(EVERY_OPERATOR, weights, dataset.train.images[:1])


def test_another_input_quantisation_is_refused() -> None:
    class Crooked(Encoding):
        reals = PIXELS.reals

    with pytest.raises(ModelError, match="another input quantisation .*got scale .*point -128"):
        export_untrained(EVERY_OPERATOR, seed=0, encoding=Crooked(PIXELS.scale, 0))


def test_held_back_messages_come_out_when_the_block_fails(capfd) -> None:
    with export._hold_stderr():
        os.write(2, b"noise\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError), export._hold_stderr():
        os.write(2, b"the cause\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the cause\n"
