"""A space file says what it says, or what is wrong with it: file, table, key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from search.config import SpaceChoice
from search.space import open_space
from search.spaces.staged.description import Stage, read_description
from search.spaces.staged.space import open_staged

CONV = {"block": "conv", "filters": [4, 8], "kernel": 3}


def only_stage(**keys: object) -> Stage:
    (stage,) = read_description({"stage": [{**CONV, **keys}]}).stages
    return stage


@pytest.mark.parametrize(
    ("keys", "field", "choices"),
    [
        ({}, "repeats", (1,)),
        ({"repeat": [3, 0]}, "repeats", (0, 3)),
        ({"repeat": {"from": 1, "to": 3}}, "repeats", (1, 2, 3)),
        ({"filters": 7}, "widths", (7,)),
        ({"filters": {"from": 8, "to": 24, "step": 8}}, "widths", (8, 16, 24)),
        ({"kernel": [5, 3]}, "kernels", ((5, 5), (3, 3))),
        ({"kernel": [[10, 4], 3]}, "kernels", ((10, 4), (3, 3))),
        ({"kernel": {"from": 3, "to": 7, "step": 2}}, "kernels", ((3, 3), (5, 5), (7, 7))),
        ({"block": "conv1d", "kernel": [9, 3]}, "kernels", ((9, 1), (3, 1))),
        ({"block": "conv1d", "stride": 4}, "strides", ((4, 1),)),
        ({"block": "conv1d", "pool": [1, 2]}, "pools", ((1, 1), (2, 1))),
        ({"stride": [1, [2, 1]]}, "strides", ((1, 1), (2, 1))),
        ({}, "skips", (False,)),
        ({"skip": [True, False]}, "skips", (True, False)),
        ({}, "padding", "same"),
        ({"padding": "valid"}, "padding", "valid"),
        ({"block": "conv1d"}, "kind", "conv"),
    ],
)
def test_the_forms_that_choices_take(keys: dict, field: str, choices: object) -> None:
    assert getattr(only_stage(**keys), field) == choices


def test_an_inverted_residual_block_adds_its_input_unless_told_otherwise() -> None:
    inverted = {**CONV, "block": "inverted_residual", "expansion": [1, 6]}

    _, stage = read_description({"stage": [CONV, inverted]}).stages

    assert (stage.skips, stage.expansions) == ((True,), (1, 6))


def test_poolings_are_listed_and_default_to_none() -> None:
    assert read_description({"stage": [CONV]}).poolings == (None,)
    head = {"pooling": ["average", "none"]}
    assert read_description({"stage": [CONV], "head": head}).poolings == ("average", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file: key 'stage' is missing"),
        ("stage = 3", "stage is not a list, got 3"),
        ("stage = []", "there is no [[stage]]"),
        ("stage = [1]", "[[stage]] 0 is not a table, got 1"),
        ("[[stage]]\n[tail]", "the file: unknown key 'tail', expected one of stage, head"),
        ("[[stage]]", "[[stage]] 0: key 'block' is missing, expected one of conv, conv1d, sep"),
        ("[[stage]]\nblock = 'vgg'", "[[stage]] 0 block: the value must be one of conv, conv1d"),
        ("[[stage]]\nblock = ['conv']", "[[stage]] 0 block: the value must be one of conv,"),
        ("[[stage]]\nblock = 'conv'\nkernel = 3", "[[stage]] 0 (conv): key 'filters' is missing"),
        ("[[stage]]\nblock = 'dense'\nunits = 4\nkernel = 3",
         "[[stage]] 0 (dense): unknown key 'kernel', expected one of block, units, repeat"),
        ("CONV\nfilters = 0", "[[stage]] 0 filters: each choice must be a whole number from 1 to "
         "4096, got 0"),
        ("CONV\nfilters = [4, 4097]", "from 1 to 4096, got 4097"),
        ("CONV\nfilters = 4.0", "from 1 to 4096, got 4.0"),
        ("CONV\nfilters = true", "from 1 to 4096, got True"),
        ("CONV\nfilters = '4'", "from 1 to 4096, got '4'"),
        ("CONV\nfilters = []", "[[stage]] 0 filters: there must be at least one choice, got []"),
        ("CONV\nfilters = [4, 4]", "filters: a choice stands there twice, got [4, 4]"),
        ("CONV\nfilters = {from = 4}", "filters: the range: key 'to' is missing"),
        ("CONV\nfilters = {from = 4, to = 8, by = 2}", "filters: the range: unknown key 'by'"),
        ("CONV\nfilters = {from = 8, to = 4}", "from 8 to 4 in steps of 1 there is nothing"),
        ("CONV\nfilters = {from = 4, to = 8, step = 0}", "in steps of 0 there is nothing"),
        ("CONV\nfilters = {from = 4, to = 9, step = 2}",
         "filters: from 4 in steps of 2, 9 is never reached"),
        ("CONV\nfilters = {from = 4, to = 8.5}", "filters: to must be a whole number, got 8.5"),
        ("CONV\nfilters = {from = 1, to = 999999999}", "in steps of 1 are too many"),
        ("CONV\nfilters = 4\nrepeat = 33", "repeat: each choice must be a whole number from 0 to"),
        ("CONV\nfilters = 4\nkernel = 0", "[[stage]] 0 kernel: each choice must be a whole number "
         "from 1 to 1024 or [height, width], got 0"),
        ("CONV\nfilters = 4\nkernel = [[3, 3, 3]]", "or [height, width], got [3, 3, 3]"),
        ("CONV\nfilters = 4\nkernel = [3, [3, 3]]", "kernel: a choice stands there twice"),
        ("CONV\nfilters = 4\nstride = 'two'", "stride: each choice must be a whole number"),
        ("[[stage]]\nblock = 'conv1d'\nfilters = 4\nkernel = [[3, 1]]",
         "kernel: each choice must be a whole number from 1 to 1024, got [3, 1]"),
        ("CONV\nfilters = 4\npadding = 'full'", "padding: the value must be one of valid, same"),
        ("CONV\nfilters = 4\nskip = 1", "skip: each choice must be true or false, got 1"),
        ("CONV\nfilters = 4\nskip = true\npadding = 'valid'",
         '[[stage]] 0 skip: adding the input needs padding = "same"'),
        ("[[stage]]\nblock = 'residual'\nfilters = 4\nkernel = 3\nskip = true",
         "[[stage]] 0 (residual): unknown key 'skip'"),
        ("[[stage]]\nblock = 'inverted_residual'\nfilters = 4\nkernel = 3\nexpansion = 2",
         "[[stage]] 0 block: inverted_residual expands the channels of a stage before it"),
        ("[[stage]]\nblock = 'dense'\nunits = 4\nCONV\nfilters = 3",
         "[[stage]] 1 block: conv cannot follow a dense stage"),
        ("CONV\nfilters = 4\n[head]\npooling = 'mean'",
         "[head] pooling: each choice must be one of none, average, max, got 'mean'"),
        ("CONV\nfilters = 4\n[head]\npool = 2", "[head]: unknown key 'pool', expected one of"),
        ("CONV\nfilters = 4\n[head]\npooling = ['max', 'max']", "a choice stands there twice"),
        ("CONV\nfilters = 4", "describes a single network; give at least one key several choices"),
        ("[[stage", "cannot be read as TOML"),
        ("\xff", "cannot be read as TOML"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_one_sentence_with_file_table_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    plain = "[[stage]]\nblock = 'conv'\n" + ("" if "kernel =" in text else "kernel = 3\n")
    path.write_bytes(text.replace("CONV\n", plain).encode("latin-1"))

    with pytest.raises(ConfigError) as caught:
        open_staged(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value).replace(str(path), "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 9000) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "to", "step", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = ("block", "repeat", "filters", "units", "kernel", "stride", "pool", "expansion", "skip")


@given(
    st.sampled_from(["conv", "conv1d", "separable", "residual", "dense"]),
    st.sampled_from(KEYS),
    JSON,
)
def test_no_value_of_a_key_fails_otherwise_than_by_a_sentence(
    block: str, key: str, value: object
) -> None:
    needed = {"units": 4} if block == "dense" else {"filters": 4, "kernel": 3}
    try:
        read_description({"stage": [{"block": block, **needed, key: value}]})
    except ValueError as error:
        assert str(error)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.toml: no such file; check \[space\] file"):
        open_staged(tmp_path / "gone.toml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        open_staged(tmp_path)


def test_a_space_of_ones_own_is_opened_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[[stage]]\nblock = 'dense'\nunits = [3, 4]\n")

    space = open_space(SpaceChoice(file=str(path)))

    assert (space.name, space.count()) == ("mine", 2)
    assert space.sha256 is not None and len(space.sha256) == 64


def test_munas_is_what_is_searched_unless_told_otherwise() -> None:
    assert open_space(SpaceChoice()).name == "munas"
    assert open_space(SpaceChoice(name="munas")).sha256 is None


def test_a_name_that_is_none_is_answered_with_those_that_are() -> None:
    with pytest.raises(ConfigError) as caught:
        open_space(SpaceChoice(name="vgg"))

    assert str(caught.value) == (
        "[space] name: no space of the name 'vgg' (expected one of munas, cnn1d, ds_cnn, mlp, "
        "mobile, resnet); or give the file of your own as file"
    )
