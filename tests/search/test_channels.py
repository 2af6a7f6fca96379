"""Channels hang together where operators cannot change them, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.channels import channel_groups, filter_shape, group_of
from tests.search.networks import EVERY_OPERATOR, SAME_PADDING
from tests.search.spaces.spaces import NAMES, SHAPES, reached, shipped


def test_depthwise_pooling_padding_and_addition_pass_channels_on() -> None:
    groups = channel_groups(EVERY_OPERATOR)

    assert [(group.members, group.width, group.is_free) for group in groups] == [
        (("input",), 1, False),
        (("conv", "max", "depthwise", "pad", "add"), 5, True),
        (("pointwise", "average", "flatten"), 4, True),
        (("dense",), 10, True),
        (("classifier",), 3, False),
    ]
    assert groups[1].weighted == ("conv", "depthwise")


def test_an_addition_joins_the_groups_of_what_it_adds() -> None:
    groups = channel_groups(SAME_PADDING)

    assert groups[1].weighted == ("tall", "even", "uneven", "skips")
    assert groups[1].members[-1] == "flatten"


def test_a_depthwise_layer_on_the_image_has_the_images_channels() -> None:
    networks = (shipped("munas").lower(reached(shipped("munas"), seed, 0), (12, 11, 2), 3)
                for seed in range(40))  # fmt: skip
    tied = [group for ops in networks for group in channel_groups(ops)[:1] if group.weighted]

    assert tied and all(group.width == 2 and not group.is_free for group in tied)


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32), steps=st.integers(0, 5))
def test_every_operator_is_in_one_group_of_its_own_width(name: str, seed: int, steps: int) -> None:
    ops = shipped(name).lower(reached(shipped(name), seed, steps), SHAPES[name], 5)
    groups = channel_groups(ops)

    assert sorted(n for group in groups for n in group.members) == sorted(op.name for op in ops)
    for op in ops:
        size, width = op.output_shape[-1], group_of(groups)[op.name].width
        assert size % width == 0 if type(op).__name__ == "Flatten" else size == width


def test_a_dense_layer_is_a_convolution_over_the_map_that_was_flattened() -> None:
    names = ("conv", "depthwise", "pointwise", "dense", "classifier")
    assert {name: filter_shape(EVERY_OPERATOR, name) for name in names} == {
        "conv": (5, 1, 3, 3), "depthwise": (5, 1, 3, 3), "pointwise": (4, 5, 1, 1),
        "dense": (10, 4, 1, 3), "classifier": (3, 10, 1, 1),
    }  # fmt: skip


def test_what_has_no_weights_has_no_filters() -> None:
    with pytest.raises(ValueError, match="max: has no weights"):
        filter_shape(EVERY_OPERATOR, "max")
