"""The interpreter's reference kernels are the judge: every output byte is theirs."""

from __future__ import annotations

import numpy as np
import pytest

from search import export
from search.config import SpaceChoice
from search.export import export_int8, int8_outputs
from search.integer_network import compile_network
from search.lowering import Op
from search.space import open_space
from tests.search.networks import EVERY_OPERATOR, SAME_PADDING, used


def _agrees(ops: tuple[Op, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, *ops[0].output_shape), dtype=np.uint8)
    model = export_int8(ops, used(ops, seed=1).folded_weights(), images[:20])
    assert compile_network(model) is not None
    ours = int8_outputs(model, images)
    monkeypatch.setattr(export, "compile_network", lambda model: None)
    np.testing.assert_array_equal(ours, int8_outputs(model, images))


@pytest.mark.parametrize("ops", [EVERY_OPERATOR, SAME_PADDING])
def test_every_operator_gives_the_reference_kernels_bytes(
    ops: tuple[Op, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _agrees(ops, monkeypatch)


@pytest.mark.parametrize("name", ["munas", "resnet", "ds_cnn", "mobile", "mlp"])
def test_networks_of_every_space_give_the_reference_kernels_bytes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = open_space(SpaceChoice(name=name))
    _agrees(space.lower(space.sample(np.random.default_rng(3)), (12, 11, 2), 4), monkeypatch)


def test_images_of_another_shape_are_refused() -> None:
    images = np.zeros((2, *EVERY_OPERATOR[0].output_shape), np.uint8)
    model = export_int8(EVERY_OPERATOR, used(EVERY_OPERATOR, seed=1).folded_weights(), images)
    network = compile_network(model)
    assert network is not None
    with pytest.raises(ValueError, match=r"expected int8 \(8, 8, 1\), got \(9, 8, 1\)"):
        network.outputs(np.zeros((2, 9, 8, 1), np.int8))
