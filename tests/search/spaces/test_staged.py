"""Networks of stages: what may be built and read, which operators a block means, what is drawn,
and how widths are slimmed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from search.cost import cost_of
from search.lowering import Add, Conv2D, DepthwiseConv2D, Op, Pool2D, Shape
from search.spaces.staged.description import read_description
from search.spaces.staged.draft import collapse
from search.spaces.staged.genotype import Block, StagedGenotype
from search.spaces.staged.lowering import lower
from search.spaces.staged.space import Staged
from tests.search.spaces.spaces import SPACE_FILES, TINY, shipped, tiny


def conv(width: int = 4, **changes: object) -> Block:
    fields: dict = dict(kernel=(3, 3), stride=(1, 1), padding="same", shortcut="none")
    return Block("conv", width, **{**fields, **changes})


def block(kind: str, width: int = 4, **changes: object) -> Block:
    fields = vars(conv(width)) | {"kind": kind}
    fields["hidden"] = width if kind == "residual" else None
    fields["shortcut"] = "projection" if kind == "residual" else "none"
    return Block(**{**fields, **changes})


def network(*stages: tuple[Block, ...], pooling: str | None = None) -> StagedGenotype:
    return StagedGenotype(stages, pooling)


def body(*blocks: Block, shape: Shape = (8, 8, 3)) -> list[Op]:
    ops = lower(network(blocks), shape, 5)
    assert [op.name for op in ops[-2:]] == ["flatten", "classifier"]
    return list(ops[1:-2])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: block("vgg"), "block kind must be one of conv, separable, inverted_residual"),
        (lambda: conv(0), "width must be at least 1, got 0"),
        (lambda: conv(True), "width must be at least 1, got True"),
        (lambda: conv(kernel=None), "kernel must be height and width, got None"),
        (lambda: conv(kernel=(3,)), "kernel must be height and width, got (3,)"),
        (lambda: conv(stride=(1, 0)), "stride must be at least 1, got 0"),
        (lambda: conv(pool=(1, 1)), "a pool of 1x1 means nothing"),
        (lambda: conv(padding="full"), "padding must be one of valid, same, got 'full'"),
        (lambda: conv(shortcut="projection"), "shortcut must be one of none, identity"),
        (lambda: block("residual", shortcut="none"), "must be one of identity, projection"),
        (lambda: conv(shortcut="identity", padding="valid"), 'a shortcut needs padding "same"'),
        (lambda: conv(shortcut="identity", stride=(2, 2)), "identity shortcut needs stride 1"),
        (lambda: conv(hidden=3), "hidden of a conv block means nothing"),
        (lambda: block("residual", hidden=None), "hidden must be at least 1, got None"),
        (lambda: block("inverted_residual", hidden=0), "hidden must be at least 1, got 0"),
        (lambda: Block("dense", 4, kernel=(1, 1)), "kernel of a dense block means nothing"),
        (lambda: network((conv(),), pooling="mean"), "pooling must be one of average, max"),
        (lambda: network((Block("dense", 4),), (conv(),)),
         "stage 1, block 0: a conv block cannot follow a dense one"),
        (lambda: network((conv(4), conv(5, shortcut="identity"))),
         "stage 0, block 1: its shortcut adds 4 channels to 5; the widths must agree"),
        (lambda: network((conv(4, shortcut="identity"),)),
         "stage 0, block 0: its shortcut adds an image's channels to 4"),
    ],
)  # fmt: skip
def test_what_means_nothing_cannot_be_built(build, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        build()

    assert message in str(caught.value)


def test_the_archid_is_fixed_for_all_time() -> None:
    """Journals name candidates by it."""
    genotype = network((conv(4, pool=(2, 2)),), (), (Block("dense", 7),), pooling="max")

    assert genotype.canonical() == (
        '{"pooling":"max","stages":[[{"kernel":[3,3],"kind":"conv","padding":"same",'
        '"pool":[2,2],"shortcut":"none","stride":[1,1],"width":4}],[],'
        '[{"kind":"dense","width":7}]]}'
    )
    assert genotype.archid == "d72d5ebc6ad9b0ab"


EXAMPLE = tiny("convolutions").read(
    {
        "stages": [
            [conv(3, kernel=(3, 2), stride=(2, 1)).to_json()],
            [conv(2, kernel=(3, 1)).to_json(),
             conv(2, kernel=(3, 1), shortcut="identity").to_json()],
        ],
        "pooling": "max",
    }
)  # fmt: skip


def edited(path: str, value: object) -> dict:
    table = copy.deepcopy(EXAMPLE.to_json())
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = table
    for step in steps:
        place = place[step]
    place[last] = value
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "genotype is not a table, got []"),
        (edited("colour", 1), "genotype: unknown key 'colour'"),
        (edited("stages", 1), "stages is not a list, got 1"),
        (edited("stages.1", None), "stage 1 is not a list, got None"),
        (edited("stages.1.0", None), "stage 1, block 0 is not a table, got None"),
        (edited("stages.1.0.groups", 2), "stage 1, block 0: unknown key 'groups'"),
        (edited("stages.1.0.hidden", None), "stage 1, block 0: hidden is null; leave it out"),
        (edited("stages.1.0.kernel", 3), "stage 1, block 0: kernel is not a list, got 3"),
        (edited("stages.1.0.width", -1), "stage 1, block 0: width must be at least 1, got -1"),
        (edited("stages.1.0.kernel", [5, 1]), "stage 1, block 0: kernel (5, 1) is not in the"),
        (edited("stages.0.0.stride", [2, 2]), "stage 0, block 0: stride (2, 2) is not in the"),
        (edited("stages.1.0.pool", [4, 1]), "stage 1, block 0: pool (4, 1) is not in the space"),
        (edited("stages.1.1.pool", [2, 1]), "stage 1, block 1: pool (2, 1) is not in the space"),
        (edited("stages.0.0.padding", "valid"), "stage 0, block 0: padding 'valid' is not in"),
        (edited("stages.0.0.kind", "separable"), "kind 'separable' is not that of the stage"),
        (edited("stages.1.1.width", 3), "stage 1, block 1: its shortcut adds 2 channels to 3"),
        (edited("stages.0", []), "stage 0: 0 blocks are not in the space"),
        (edited("stages", []), "the space has 2 stages, the genotype 0"),
        (edited("pooling", "mean"), "pooling must be one of average, max, got 'mean'"),
        (edited("pooling", {}), "pooling must be one of average, max, got {}"),
    ],
)
def test_json_that_is_no_genotype_of_the_space_is_refused_with_the_place(
    table: object, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        tiny("convolutions").read(table)

    assert message in str(caught.value)


def test_a_shortcut_pooling_or_missing_expansion_that_a_space_lacks_is_refused() -> None:
    drawn = tiny("residual").sample(np.random.default_rng(0)).to_json()
    with pytest.raises(ValueError, match="pooling 'max' is not in the space"):
        tiny("residual").read({**drawn, "pooling": "max"})
    with pytest.raises(ValueError, match="1, block 0: an identity shortcut is not in the space"):
        single_conv_stages().read(
            {
                "stages": [[conv(2).to_json()], [conv(2, shortcut="identity").to_json()]],
                "pooling": None,
            }
        )
    mobile = shipped("mobile")
    table = mobile.sample(np.random.default_rng(1)).to_json()
    table["stages"][3] = [block("inverted_residual", 8, stride=(2, 2)).to_json()]
    with pytest.raises(ValueError, match="stage 3, block 0: a block without expansion"):
        mobile.read(table)


def single_conv_stages() -> Staged:
    stage = {"block": "conv", "filters": [2, 4], "kernel": 3}
    return Staged("plain", "0" * 64, read_description({"stage": [stage, stage]}))


def test_a_separable_block_is_two_convolutions() -> None:
    depthwise, pointwise = body(block("separable", 6, kernel=(3, 5), stride=(2, 1)))

    assert depthwise == DepthwiseConv2D(
        "stage0_block0_depthwise", ("input",), (8, 8, 3), (4, 8, 3),
        (3, 5), (2, 1), True, True, "same",
    )  # fmt: skip
    assert isinstance(pointwise, Conv2D)
    assert (pointwise.output_shape, pointwise.relu) == ((4, 8, 6), True)


def test_an_inverted_residual_block_expands_filters_and_projects_without_relu() -> None:
    stem, expand, depthwise, project, added = body(
        conv(4), block("inverted_residual", 4, hidden=12, shortcut="identity")
    )

    assert expand.output_shape == depthwise.output_shape == (8, 8, 12)
    assert isinstance(expand, Conv2D) and expand.relu
    assert isinstance(project, Conv2D) and not project.relu
    assert added == Add("stage0_block1_add", (stem.name, project.name), (8, 8, 4))


def test_without_expansion_it_has_one_convolution_less() -> None:
    names = [op.name for op in body(conv(4), block("inverted_residual", 6))]

    assert names[1:] == ["stage0_block1_depthwise", "stage0_block1_project"]


def test_a_residual_block_adds_a_projection_and_then_comes_relu() -> None:
    first, second, shortcut, added = body(block("residual", 6, stride=(2, 2), hidden=5))

    assert (first.output_shape, second.output_shape) == ((4, 4, 5), (4, 4, 6))
    assert isinstance(second, Conv2D) and second.stride == (1, 1) and not second.relu
    assert isinstance(shortcut, Conv2D) and shortcut.kernel == (1, 1) and not shortcut.relu
    assert shortcut.inputs == ("input",)
    assert added == Add("stage0_block0_add", (shortcut.name, second.name), (4, 4, 6), relu=True)


def test_a_residual_block_of_equal_widths_adds_its_input_as_it_is() -> None:
    stem, _, second, added = body(conv(4), block("residual", 4, shortcut="identity"))

    assert added.inputs == (stem.name, second.name)


def test_a_pool_comes_before_the_block_and_its_shortcut() -> None:
    _, pool, _, added = body(conv(4), conv(4, pool=(2, 2), shortcut="identity"))

    assert isinstance(pool, Pool2D) and pool.output_shape == (4, 4, 4)
    assert added.inputs[0] == pool.name


def test_the_head_pools_the_whole_map_before_the_dense_blocks() -> None:
    ops = lower(network((conv(4),), (Block("dense", 9),), pooling="average"), (8, 6, 3), 5)

    assert ops[2] == Pool2D("head_pool", (ops[1].name,), (8, 6, 4), (1, 1, 4), "average", (8, 6))
    assert [op.output_shape for op in ops[3:]] == [(4,), (9,), (5,)]


@pytest.mark.parametrize(("padding", "kernel"), [("valid", (3, 1)), ("same", (5, 1))])
def test_kernels_are_clamped_to_what_can_meet_the_map(padding: str, kernel: tuple) -> None:
    """With "same" the taps of a window of 2 * 3 - 1 rows still meet all 3 of the map."""
    (op,) = body(conv(4, kernel=(9, 9), padding=padding), shape=(3, 1, 2))

    assert isinstance(op, Conv2D) and op.kernel == kernel


@pytest.mark.parametrize("name", [*TINY, *SPACE_FILES])
def test_every_choice_of_every_stage_is_drawn(name: str) -> None:
    space = tiny(name) if name in TINY else shipped(name)
    assert isinstance(space, Staged)
    rng = np.random.default_rng(0)
    drawn = [collapse(space.sample(rng)) for _ in range(1500)]

    assert {draft.pooling for draft in drawn} == set(space.description.poolings)
    for i, stage in enumerate(space.description.stages):
        drafts = [draft.stages[i] for draft in drawn]
        blocks = [one for draft in drafts for one in draft.blocks]
        assert {len(draft.blocks) for draft in drafts} == set(stage.repeats)
        assert {draft.stride for draft in drafts if draft.blocks} == set(stage.strides)
        assert {draft.pool for draft in drafts if draft.blocks} == set(stage.pools)
        assert {one.width for one in blocks} == set(stage.widths)
        assert {one.kernel for one in blocks} == set(stage.kernels)
        if stage.kind == "inverted_residual":
            assert {one.expansion for one in blocks} == set(stage.expansions)
        if stage.kind not in ("residual", "dense"):
            assert {one.skip for one in blocks} - {None} <= set(stage.skips)


def test_resnet_holds_the_image_classification_network_of_mlperf_tiny() -> None:
    space = shipped("resnet")
    stages = [
        [conv(16).to_json()],
        [block("residual", 16, shortcut="identity").to_json()],
        [block("residual", 32, stride=(2, 2)).to_json()],
        [block("residual", 64, stride=(2, 2)).to_json()],
    ]

    genotype = space.read({"stages": stages, "pooling": "average"})

    assert space.contains(genotype)
    ops = space.lower(genotype, (32, 32, 3), 10)
    assert cost_of(ops).macs == 12_501_632, "as its .tflite"


def test_ds_cnn_holds_the_keyword_spotting_network_of_mlperf_tiny() -> None:
    space = shipped("ds_cnn")
    stages = [
        [conv(64, kernel=(10, 4), stride=(2, 2)).to_json()],
        [block("separable", 64).to_json()] * 4,
        [],
    ]

    genotype = space.read({"stages": stages, "pooling": "average"})

    assert space.contains(genotype)
    ops = space.lower(genotype, (49, 10, 1), 12)
    assert cost_of(ops).macs == 2_656_768, "as its .tflite"


def test_slimming_what_a_shortcut_adds_takes_all_of_its_widths() -> None:
    space = tiny("residual")
    parent = space.read(
        {
            "stages": [
                [conv(3).to_json()],
                [block("residual", 3, kernel=(2, 2), shortcut="identity").to_json()],
                [],
            ],
            "pooling": None,
        }
    )
    with pytest.raises(ValueError, match="stage 1, block 0: its shortcut adds 2 channels to 3"):
        space.slim(parent, {"stage0_block0_conv": 2})

    child = space.slim(
        parent,
        {"stage0_block0_conv": 2, "stage1_block0_first": 1, "stage1_block0_second": 2},
    )

    assert [(b.width, b.hidden) for _, _, b in child.blocks()] == [(2, None), (2, 1)]
    assert not space.contains(child) and space.read(child.to_json()) == child


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"stage9_block0_conv": 2}, "stage9_block0_conv: no weighted operator of that name"),
        ({"stage0_block0_conv": 0}, "stage0_block0_conv: a width must be at least 1, got 0"),
        ({"stage0_block0_conv": 1.5}, "stage0_block0_conv: a width must be at least 1, got 1.5"),
        ({"classifier": 2}, "classifier: its width is the number of classes"),
        ({"stage1_block0_depthwise": 3}, "stage1_block0_depthwise: its width would be 4 instead"),
        ({"stage0_block0_conv": 3, "stage1_block0_depthwise": 2},
         "stage1_block0_depthwise: its width would be 3 instead of 2, because it is coupled with"),
        ({"stage1_block0_shortcut": 3}, "no weighted operator of that name"),
    ],
)  # fmt: skip
def test_widths_that_cannot_be_are_refused_with_the_place(widths: dict, message: str) -> None:
    space = tiny("separable")
    parent = space.read(
        {"stages": [[conv(4).to_json()], [block("separable", 4).to_json()]], "pooling": None}
    )
    with pytest.raises(ValueError) as caught:
        space.slim(parent, widths)

    assert message in str(caught.value)


def test_the_channels_of_the_image_cannot_be_slimmed() -> None:
    space = tiny("dense")
    parent = space.read(
        {"stages": [[block("separable", 2, padding="valid").to_json()], []], "pooling": None}
    )

    with pytest.raises(ValueError, match="depthwise: its channels are the image's and cannot be"):
        space.slim(parent, {"stage0_block0_depthwise": 1})


def test_hidden_widths_that_were_slimmed_keep_their_share_when_filters_change() -> None:
    space = tiny("residual")
    parent = space.read(
        {
            "stages": [[], [block("residual", 3, kernel=(2, 2), hidden=1).to_json()], []],
            "pooling": None,
        }
    )

    children = space.neighbours("change_filters", parent, np.random.default_rng(0))

    assert [(b.width, b.hidden) for child in children for _, _, b in child.blocks()] == [(2, 1)]


def test_a_space_of_one_network_has_no_neighbours() -> None:
    stage = {"block": "dense", "units": 4}
    space = Staged("single", "0" * 64, read_description({"stage": [stage]}))
    only = space.sample(np.random.default_rng(0))

    with pytest.raises(ValueError, match="the space has no other genotype"):
        space.morph(only, np.random.default_rng(0))
