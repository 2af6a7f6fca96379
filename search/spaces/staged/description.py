"""What does a space file say? Checked choices for every stage and for the head (docs/spaces.md).
Must not know how a network is drawn from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.lowering import PADDINGS, Window
from search.spaces.reading import Place, check_flag, check_one_of, read_list, read_table
from search.spaces.staged.genotype import ONE, POOLING_KINDS

# What the keys may hold. Far beyond any microcontroller; they catch a digit too many.
REPEATS = range(0, 33)
WIDTHS = range(1, 4097)
WINDOWS = range(1, 1025)
EXPANSIONS = range(1, 33)

_CONV = ("filters", "kernel")
_CONV_OPTIONAL = ("repeat", "stride", "pool", "padding", "skip")

# Required and optional keys of each `block`.
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "conv": (_CONV, _CONV_OPTIONAL),
    "conv1d": (_CONV, _CONV_OPTIONAL),
    "separable": (_CONV, _CONV_OPTIONAL),
    "inverted_residual": ((*_CONV, "expansion"), _CONV_OPTIONAL),
    "residual": (_CONV, ("repeat", "stride", "pool")),
    "dense": (("units",), ("repeat",)),
}


@dataclass(frozen=True)
class Stage:
    """Choices, each without repetition. repeats: numbers of blocks, ascending. widths: ascending;
    all blocks of a stage share one, dense blocks have their own. strides and pools: of the first
    block; the others have none. skips: whether a block adds its input to its output where both
    agree in shape; a residual block always adds one."""

    kind: str
    repeats: tuple[int, ...]
    widths: tuple[int, ...]
    kernels: tuple[Window, ...] = (ONE,)
    strides: tuple[Window, ...] = (ONE,)
    pools: tuple[Window, ...] = (ONE,)
    expansions: tuple[int, ...] = (1,)
    skips: tuple[bool, ...] = (False,)
    padding: str = "same"

    @property
    def is_dense(self) -> bool:
        return self.kind == "dense"


@dataclass(frozen=True)
class Description:
    """poolings: over all of the last map before the dense blocks; None is none."""

    stages: tuple[Stage, ...]
    poolings: tuple[str | None, ...]


def read_description(table: dict[str, Any]) -> Description:
    """From a parsed TOML file.

    Raises:
        ValueError: a key is unknown, missing or of the wrong type, a value out of range, or stages
            that cannot follow each other; names the table and the key.
    """
    read_table(table, "the file", ("stage",), optional=("head",))
    entries = read_list(table["stage"], "stage")
    if not entries:
        raise ValueError("there is no [[stage]]")
    stages = tuple(_stage(entry, f"[[stage]] {i}") for i, entry in enumerate(entries))
    _check_sequence(stages)
    head = read_table(table.get("head", {}), "[head]", (), optional=("pooling",))
    with Place("[head] pooling"):
        poolings = _listed(head.get("pooling", "none"))
        for pooling in poolings:
            check_one_of("each choice", pooling, ("none", *POOLING_KINDS))
        _check_choices(poolings)
    return Description(stages, tuple(None if one == "none" else one for one in poolings))


def _stage(entry: Any, where: str) -> Stage:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is not a table, got {entry!r}")
    block = entry.get("block")
    if block is None:
        raise ValueError(f"{where}: key 'block' is missing, expected one of {', '.join(KEYS)}")
    with Place(f"{where} block"):
        check_one_of("the value", block, tuple(KEYS))
    required, optional = KEYS[block]
    read_table(entry, f"{where} ({block})", ("block", *required), optional)

    def numbers(key: str, allowed: range, default: int = 1) -> tuple[int, ...]:
        with Place(f"{where} {key}"):
            return tuple(sorted(_numbers(entry.get(key, default), allowed)))

    def windows(key: str) -> tuple[Window, ...]:
        with Place(f"{where} {key}"):
            return _windows(entry.get(key, 1), is_1d=block == "conv1d")

    repeats = numbers("repeat", REPEATS)
    if block == "dense":
        return Stage(block, repeats, numbers("units", WIDTHS))
    padding = entry.get("padding", "same")
    with Place(f"{where} padding"):
        check_one_of("the value", padding, PADDINGS)
    with Place(f"{where} skip"):
        skips = _skips(entry.get("skip", block == "inverted_residual"))
    kernels = windows("kernel")
    if any(skips) and padding != "same" and kernels != (ONE,):
        raise ValueError(f'{where} skip: adding the input needs padding = "same"')
    return Stage(
        kind="conv" if block == "conv1d" else block,
        repeats=repeats,
        widths=numbers("filters", WIDTHS),
        kernels=kernels,
        strides=windows("stride"),
        pools=windows("pool"),
        expansions=numbers("expansion", EXPANSIONS),
        skips=skips,
        padding=padding,
    )


def _check_sequence(stages: Sequence[Stage]) -> None:
    knows_width = False
    is_flat = False
    for index, stage in enumerate(stages):
        where = f"[[stage]] {index} block"
        if is_flat and not stage.is_dense:
            raise ValueError(f"{where}: {stage.kind} cannot follow a dense stage")
        if stage.kind == "inverted_residual" and not knows_width:
            raise ValueError(
                f"{where}: inverted_residual expands the channels of a stage before it, and none "
                "is always there; let a conv stage come first"
            )
        is_flat = stage.is_dense
        knows_width = knows_width or stage.repeats[0] > 0


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _numbers(value: Any, allowed: range) -> tuple[int, ...]:
    """A number, a list of numbers, or {from, to, step} with both ends."""
    choices = _range(value) if isinstance(value, dict) else _listed(value)
    for choice in choices:
        if type(choice) is not int or choice not in allowed:
            raise ValueError(
                f"each choice must be a whole number from {allowed[0]} to {allowed[-1]}, "
                f"got {choice!r}"
            )
    _check_choices(choices)
    return choices


def _range(value: dict[str, Any]) -> tuple[int, ...]:
    value = read_table(value, "the range", ("from", "to"), optional=("step",))
    low, high, step = value["from"], value["to"], value.get("step", 1)
    for name, number in (("from", low), ("to", high), ("step", step)):
        if type(number) is not int:
            raise ValueError(f"{name} must be a whole number, got {number!r}")
    if step < 1 or high < low:
        raise ValueError(f"from {low} to {high} in steps of {step} there is nothing")
    if (high - low) % step:
        raise ValueError(f"from {low} in steps of {step}, {high} is never reached")
    if high - low > 10_000 * step:
        raise ValueError(f"from {low} to {high} in steps of {step} are too many")
    return tuple(range(low, high + 1, step))


def _windows(value: Any, *, is_1d: bool) -> tuple[Window, ...]:
    """Sizes, or [height, width] pairs in a list; along the first axis only where `is_1d`."""
    choices = _range(value) if isinstance(value, dict) else _listed(value)
    windows = []
    for choice in choices:
        sides = choice if isinstance(choice, list) else [choice, 1 if is_1d else choice]
        is_window = len(sides) == 2 and all(type(n) is int and n in WINDOWS for n in sides)
        if not is_window or (is_1d and isinstance(choice, list)):
            pair = "" if is_1d else " or [height, width]"
            raise ValueError(
                f"each choice must be a whole number from {WINDOWS[0]} to {WINDOWS[-1]}{pair}, "
                f"got {choice!r}"
            )
        windows.append((sides[0], sides[1]))
    _check_choices(windows)
    return tuple(windows)


def _skips(value: Any) -> tuple[bool, ...]:
    choices = _listed(value)
    for choice in choices:
        check_flag("each choice", choice)
    _check_choices(choices)
    return choices


def _check_choices(choices: Sequence[Any]) -> None:
    if not choices:
        raise ValueError("there must be at least one choice, got []")
    if len(set(choices)) < len(choices):
        raise ValueError(f"a choice stands there twice, got {list(choices)}")
