"""A genotype is a value with one JSON and one hash; nothing outside the space can be built."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
from hypothesis import given

from search.spaces.munas.genotype import (
    ConvBlock,
    ConvLayer,
    MunasGenotype,
    Pooling,
    arrange,
    joined_width,
)
from tests.search.genotypes import (
    branch,
    conv,
    depthwise,
    genotypes,
    network,
    pointwise,
    series,
)

EXAMPLE = network(
    series(conv(8, 5, 2, batch_norm=True), pointwise(16)),
    branch(depthwise(7), conv(None, pre_pool=True)),
    pooling=Pooling("average", 4),
    dense=(32, 10),
)


@given(genotypes())
def test_json_round_trip_gives_an_equal_genotype(genotype: MunasGenotype) -> None:
    again = MunasGenotype.from_json(json.loads(json.dumps(genotype.to_json())))

    assert again == genotype
    assert again.archid == genotype.archid


@given(genotypes(), genotypes())
def test_archids_agree_exactly_where_genotypes_do(
    one: MunasGenotype, other: MunasGenotype
) -> None:
    assert (one.archid == other.archid) == (one == other)


def test_archid_does_not_depend_on_the_order_of_keys() -> None:
    def reverse(value: object) -> object:
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(value)}
        return [reverse(item) for item in value] if isinstance(value, list) else value

    assert MunasGenotype.from_json(reverse(EXAMPLE.to_json())).archid == EXAMPLE.archid


def test_archid_is_fixed_for_all_time() -> None:
    """Journals name candidates by it: a change of this value breaks every run on disk."""
    assert EXAMPLE.canonical() == (
        '{"blocks":[{"branch":false,"layers":[{"batch_norm":true,"filters":8,"kernel":5,'
        '"kind":"conv","pre_pool":false,"relu":true,"stride":2},{"batch_norm":false,'
        '"filters":16,"kind":"pointwise","pre_pool":false,"relu":true}]},{"branch":true,'
        '"layers":[{"batch_norm":false,"kernel":7,"kind":"depthwise","pre_pool":false,'
        '"relu":true,"stride":1},{"batch_norm":false,"kernel":3,"kind":"conv","pre_pool":true,'
        '"relu":true,"stride":1}]}],"dense":[32,10],"pooling":{"kind":"average","size":4}}'
    )
    assert EXAMPLE.archid == "047eb48ef2f031c1"


def test_fields_that_cannot_matter_are_not_in_the_json() -> None:
    first, second = EXAMPLE.to_json()["blocks"]

    assert "kernel" not in first["layers"][1] and "stride" not in first["layers"][1]
    assert "filters" not in second["layers"][0], "depthwise"
    assert "filters" not in second["layers"][1], "end of a branch"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ConvLayer("dense"), "layer kind must be one of conv, pointwise, depthwise"),
        (lambda: conv(kernel=4), "kernel must be one of 3, 5, 7, got 4"),
        (lambda: conv(kernel=None), "kernel must be one of 3, 5, 7, got None"),
        (lambda: conv(kernel=3.0), "kernel must be one of 3, 5, 7, got 3.0"),
        (lambda: conv(stride=3), "stride must be one of 1, 2, got 3"),
        (lambda: conv(stride=True), "stride must be one of 1, 2, got True"),
        (lambda: conv(0), "filters must be 1 to 128, got 0"),
        (lambda: conv(129), "filters must be 1 to 128, got 129"),
        (lambda: conv(True), "filters must be 1 to 128, got True"),
        (lambda: conv(relu=1), "relu must be true or false, got 1"),
        (lambda: ConvLayer("pointwise", 3, 4), "pointwise kernel means nothing"),
        (lambda: ConvLayer("pointwise", None, 4, 1), "pointwise stride means nothing"),
        (lambda: ConvLayer("depthwise", 3, 4, 1), "depthwise filters means nothing"),
        (lambda: series(), "number of layers of a block must be 1 to 3, got 0"),
        (lambda: series(*[conv()] * 4), "number of layers of a block must be 1 to 3, got 4"),
        (lambda: series(conv(), conv(None)), "layer 1 has no filters"),
        (lambda: branch(conv(None), conv(None)), "layer 0 has no filters"),
        (lambda: branch(conv(4)), "filters of a branch's last layer means nothing"),
        (lambda: ConvBlock(1, (conv(),)), "branch must be true or false, got 1"),
        (lambda: Pooling("mean", 2), "pooling kind must be one of average, max, got 'mean'"),
        (lambda: Pooling("max", 3), "pooling size must be one of 2, 4, 6, got 3"),
        (lambda: network(), "number of blocks must be 1 to 10, got 0"),
        (lambda: network(*[series(conv())] * 11), "number of blocks must be 1 to 10, got 11"),
        (lambda: network(branch(depthwise())), "the first block is a branch"),
        (lambda: network(series(conv()), dense=()), "number of dense blocks must be 1 to 3"),
        (lambda: network(series(conv()), dense=(9,)), "units must be 10 to 256, got 9"),
        (lambda: network(series(conv()), dense=(257,)), "units must be 10 to 256, got 257"),
    ],
)
def test_what_lies_outside_the_space_cannot_be_built(build, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        build()

    assert message in str(caught.value)


def edited(path: str, value: object) -> dict:
    """EXAMPLE's JSON with one place replaced; "a.0.b" walks keys and indices."""
    table = copy.deepcopy(EXAMPLE.to_json())
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = table
    for step in steps:
        place = place[step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (edited("colour", 1), "genotype: unknown key 'colour'"),
        (edited("dense", KeyError), "genotype: key 'dense' is missing"),
        (edited("pooling", 3), "pooling is not a table, got 3"),
        (edited("pooling.depth", 3), "pooling: unknown key 'depth'"),
        (edited("blocks", {}), "blocks is not a list, got {}"),
        (edited("dense", 10), "dense is not a list, got 10"),
        (edited("blocks.1.index", 1), "block 1: unknown key 'index'"),
        (edited("blocks.0.branch", "no"), "block 0: branch must be true or false, got 'no'"),
        (edited("blocks.1.layers", None), "block 1: layers is not a list, got None"),
        (edited("blocks.1.layers.0.groups", 2), "block 1, layer 0: unknown key 'groups'"),
        (edited("blocks.1.layers.1.relu", KeyError), "block 1, layer 1: key 'relu' is missing"),
        (edited("blocks.0.layers.1.kernel", None), "layer 1: kernel is null; leave it out"),
        (edited("blocks.0.layers.0.filters", 500), "layer 0: filters must be 1 to 128, got 500"),
        (edited("blocks.0.layers.0.filters", KeyError), "block 0: layer 0 has no filters"),
        ([], "genotype is not a table, got []"),
    ],
)
def test_json_that_is_no_genotype_is_refused_with_the_place(table: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        MunasGenotype.from_json(table)

    assert message in str(caught.value)


def test_joined_width_is_that_of_the_last_series_block() -> None:
    blocks = network(
        series(conv(8)),
        branch(conv(3), depthwise()),
        series(pointwise(20), depthwise()),
        series(depthwise()),
        branch(depthwise()),
    ).blocks

    assert [joined_width(blocks, index) for index in range(6)] == [None, 8, 8, 20, 20, 20]


def test_joined_width_of_the_bare_image_is_unknown() -> None:
    assert joined_width([series(depthwise())], 1) is None


def test_arrange_fills_and_drops_filters() -> None:
    loose = (conv(None), pointwise(9))

    assert arrange(True, loose, 7) == branch(conv(7), pointwise(None))
    assert arrange(False, loose, 7) == series(conv(7), pointwise(9))
    assert arrange(False, loose, None) == series(conv(1), pointwise(9))


def test_the_pure_modules_import_no_framework() -> None:
    code = (
        "import sys, search.run, search.front\n"
        "heavy = {'torch', 'tensorflow', 'unicorn', 'serial', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
