"""What holds for every genotype of every space, drawn or reached by morphisms."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.cost import cost_of
from search.lowering import Add, Conv2D, Dense, DepthwiseConv2D, Input, Pool2D, Shape, padding_of
from search.network import Network
from search.space import Space
from tests.search.networks import same_padding
from tests.search.spaces.spaces import NAMES, SHAPES, TINY, reached, shipped, tiny

EVERY = {name: shipped(name) for name in NAMES} | {f"tiny {name}": tiny(name) for name in TINY}

SEEDS = st.integers(0, 2**32)
STEPS = st.integers(0, 8)
IMAGES = st.tuples(st.integers(1, 64), st.integers(1, 64), st.integers(1, 3))
SERIES = st.tuples(st.integers(1, 2000), st.just(1), st.integers(1, 6))


@pytest.fixture(params=EVERY, scope="module")
def space(request: pytest.FixtureRequest) -> Space:
    return EVERY[request.param]


@settings(max_examples=25)
@given(seed=SEEDS, steps=STEPS)
def test_json_is_read_back_as_an_equal_genotype(space: Space, seed: int, steps: int) -> None:
    genotype = reached(space, seed, steps)

    again = space.read(json.loads(json.dumps(genotype.to_json())))

    assert again == genotype
    assert (again.archid, again.canonical()) == (genotype.archid, genotype.canonical())


@settings(max_examples=25)
@given(seed=SEEDS)
def test_what_is_drawn_is_contained_and_a_function_of_the_seed(space: Space, seed: int) -> None:
    one, other = (space.sample(np.random.default_rng(seed)) for _ in range(2))

    assert one == other
    assert space.contains(one)


@settings(max_examples=25)
@given(seed=SEEDS, steps=STEPS)
def test_a_morphism_leads_to_another_valid_genotype(space: Space, seed: int, steps: int) -> None:
    parent = reached(space, seed, steps)

    name, child = space.morph(parent, np.random.default_rng(seed))

    assert name
    assert child.archid != parent.archid
    assert space.read(child.to_json()) == child


@settings(max_examples=25)
@given(seed=SEEDS, steps=STEPS)
def test_morphisms_of_a_file_space_stay_within_it(seed: int, steps: int) -> None:
    for name in TINY:
        assert tiny(name).contains(reached(tiny(name), seed, steps))


@settings(max_examples=100)
@given(seed=SEEDS, steps=STEPS, shape=IMAGES | SERIES, classes=st.integers(2, 100))
def test_every_genotype_lowers_for_every_input_and_the_operators_fit_together(
    space: Space, seed: int, steps: int, shape: Shape, classes: int
) -> None:
    ops = space.lower(reached(space, seed, steps), shape, classes)

    made: dict[str, Shape] = {}
    used: set[str] = set()
    for op in ops:
        assert min(op.output_shape) >= 1
        assert op.name not in made, "names are unique"
        if isinstance(op, Add):
            assert [made[name] for name in op.inputs] == [op.output_shape] * 2
        elif not isinstance(op, Input):
            assert [made[name] for name in op.inputs] == [op.input_shape]
        made[op.name] = op.output_shape
        used.update(op.inputs)
    assert ops[0] == Input("input", shape)
    assert set(made) - used == {"classifier"}, "nothing is computed in vain"
    assert made["classifier"] == (classes,)


@settings(max_examples=100)
@given(seed=SEEDS, steps=STEPS, shape=IMAGES | SERIES)
def test_every_window_lies_in_its_padded_map(
    space: Space, seed: int, steps: int, shape: Shape
) -> None:
    for op in space.lower(reached(space, seed, steps), shape, 10):
        if isinstance(op, Pool2D):
            assert op.size != (1, 1), "does nothing"
        if not isinstance(op, Conv2D | DepthwiseConv2D):
            continue
        margins = padding_of(op)
        for axis in (0, 1):
            before, behind = margins[2 * axis], margins[2 * axis + 1]
            if op.padding == "same":
                assert (before, behind) == same_padding(axis, op)
            size = op.input_shape[axis] + before + behind
            positions = range(0, size - op.kernel[axis] + 1, op.stride[axis])
            assert op.output_shape[axis] == len(positions)
            assert max(before, behind) < op.kernel[axis], "every position meets the map"


@settings(max_examples=25)
@given(seed=SEEDS, steps=STEPS, shape=IMAGES)
def test_costs_are_positive_and_no_order_goes_below_the_floor(
    space: Space, seed: int, steps: int, shape: Shape
) -> None:
    cost = cost_of(space.lower(reached(space, seed, steps), shape, 10))

    assert cost.macs > 0 and cost.model_size_bytes > 0
    assert 0 < cost.memory_floor_bytes <= cost.peak_memory_bytes


@settings(max_examples=25)
@given(seed=SEEDS, steps=STEPS)
def test_features_are_finite_of_one_length_and_a_function_of_the_genotype(
    space: Space, seed: int, steps: int
) -> None:
    genotype = reached(space, seed, steps)
    features = space.features(genotype)

    length = len(space.features(space.sample(np.random.default_rng(0))))
    assert features.shape == (length,) and features.dtype == np.float64
    assert np.isfinite(features).all()
    assert features.min() >= 0 and features.max() <= 1
    assert np.array_equal(features, space.features(space.read(genotype.to_json())))


def test_features_tell_most_genotypes_apart(space: Space) -> None:
    rng = np.random.default_rng(0)
    drawn = {genotype.archid: genotype for genotype in (space.sample(rng) for _ in range(200))}
    places = {space.features(genotype).tobytes() for genotype in drawn.values()}

    assert len(places) > 0.5 * len(drawn)


def widths_of(ops: tuple) -> dict[str, int]:
    return {
        op.name: op.output_shape[-1]
        for op in ops
        if isinstance(op, Conv2D | DepthwiseConv2D | Dense)
    }


@settings(max_examples=25)
@given(seed=SEEDS, steps=STEPS, data=st.data())
def test_slimming_gives_exactly_the_widths_asked_for_or_says_why_not(
    space: Space, seed: int, steps: int, data: st.DataObject
) -> None:
    genotype = reached(space, seed, steps)
    before = widths_of(space.lower(genotype, (20, 20, 1), 3))
    name = data.draw(st.sampled_from(sorted(before)))
    width = data.draw(st.integers(1, before[name]))
    try:
        slimmed = space.slim(genotype, {name: width})
    except ValueError as error:
        assert str(error)
        return
    after = widths_of(space.lower(slimmed, (20, 20, 1), 3))

    assert after[name] == width
    assert after.keys() == before.keys(), "no operator comes or goes"
    assert space.read(slimmed.to_json()) == slimmed


@settings(max_examples=15)
@given(seed=SEEDS, steps=STEPS)
def test_asking_for_the_present_widths_changes_nothing(
    space: Space, seed: int, steps: int
) -> None:
    genotype = reached(space, seed, steps)
    grey, other = (widths_of(space.lower(genotype, (20, 20, c), 3)) for c in (1, 2))
    own = {name: width for name, width in grey.items() if other[name] == width}
    del own["classifier"]

    assert space.slim(genotype, own) == genotype


@settings(max_examples=15)
@given(seed=SEEDS, steps=STEPS)
@example(seed=677927724, steps=0)  # mobile: a hidden width that is slimmed to the input's
def test_slimmed_genotypes_can_be_morphed(space: Space, seed: int, steps: int) -> None:
    genotype = reached(space, seed, steps)
    rng = np.random.default_rng(seed)
    for name, width in widths_of(space.lower(genotype, (20, 20, 1), 3)).items():
        try:
            genotype = space.slim(genotype, {name: int(rng.integers(1, width + 1))})
        except ValueError:
            continue
    for _ in range(5):
        _, child = space.morph(genotype, rng)
        assert child != genotype
        assert space.read(child.to_json()) == child
        genotype = child


def test_genotypes_of_another_space_are_refused(space: Space) -> None:
    other = EVERY["mlp" if space.name == "munas" else "munas"]
    stranger = other.sample(np.random.default_rng(0))

    assert not space.contains(stranger)
    with pytest.raises(TypeError):
        space.features(stranger)


def test_count_is_large_enough_for_what_was_drawn(space: Space) -> None:
    rng = np.random.default_rng(0)

    assert len({space.sample(rng).archid for _ in range(300)}) <= space.count()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_every_genotype_trains_one_step(name: str, seed: int) -> None:
    torch.set_num_threads(1)
    space = EVERY[name]
    ops = space.lower(reached(space, seed, seed), SHAPES[name], 3)
    network = Network(ops, seed=seed)
    height, width, channels = SHAPES[name]
    images = torch.rand(4, channels, height, width, generator=torch.Generator().manual_seed(0))
    before = [parameter.clone() for parameter in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    loss = torch.nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    optimizer.step()

    assert math.isfinite(float(loss.detach()))
    after = list(network.parameters())
    assert all(torch.isfinite(parameter).all() for parameter in after)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
