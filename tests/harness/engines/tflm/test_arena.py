"""The least arena is found in few attempts, whatever the library's own count says."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.board import load_board
from harness.engines.tflm.arena import ALIGNMENT, ArenaSize, size_arena
from harness.errors import (
    DoesNotFitError,
    FirmwareFaultError,
    NoReplyError,
    RequestRefusedError,
)
from harness.measurement import ArenaParts


class SizingUnit:
    """A unit whose interpreter needs `needed_bytes` while it is set up, of which it counts `head`
    and `tail` afterwards; below `faults_below` it does not fail but fault, or `hangs`."""

    board = load_board("nucleo_f412zg")
    hangs = False

    def __init__(
        self, *, needed: int, head: int, tail: int, available: int, faults_below: int = 0
    ) -> None:
        self.needed, self.head, self.tail = needed, head, tail
        self.available, self.faults_below = available, faults_below
        self.asked: list[int] = []
        self.faulted = False

    def prepare(self, pattern: int) -> None:
        assert not self.faulted, "a unit that met a fault answers only after a reset"

    def write_input(self, index: int, data: bytes) -> None:
        assert index == 0
        (self.bytes,) = struct.unpack("<I", data)

    def run(self, *, deadline_s: float) -> None:
        self.asked.append(self.bytes)
        if 0 < self.bytes < self.faults_below:
            self.faulted = True
            if self.hangs:
                raise NoReplyError("no reply")
            raise FirmwareFaultError("BusFault", kind="BusFault", registers={})
        if 0 < self.bytes < self.needed or self.bytes > self.available:
            raise RequestRefusedError("the unit refused Run: the engine failed, 'too little'")

    def read_output(self, index: int) -> bytes:
        assert index == 0
        parts = (self.head, self.tail) if self.bytes else (0, 0)
        return struct.pack("<3I", self.available, *parts)

    def restart(self) -> None:
        self.faulted = False


def size(unit: SizingUnit) -> ArenaSize:
    return size_arena(unit, name="m.tflite")  # type: ignore[arg-type]


def test_where_the_own_count_suffices_it_is_aligned_and_taken() -> None:
    unit = SizingUnit(needed=54_996, head=49_728, tail=5_268, available=600_000)
    found = size(unit)
    assert found == ArenaSize(55_008, 54_996, ArenaParts(49_728, 5_268, 0))
    assert found.plan == "the library's own count of 54,996, aligned"
    assert unit.asked == [0, 600_000, 55_008]


def test_where_it_does_not_the_arena_grows_and_says_so() -> None:
    found = size(SizingUnit(needed=3_020, head=768, tail=1_812, available=600_000))
    assert found == ArenaSize(3_024, 2_580, ArenaParts(768, 1_812, 444))
    assert found.plan == (
        "2,592 of the library's own count do not suffice: with temporary allocations it needs "
        "3,024"
    )


def test_an_attempt_that_faults_is_one_that_failed() -> None:
    unit = SizingUnit(needed=3_020, head=768, tail=1_812, available=600_000, faults_below=2_700)
    assert size(unit).arena_bytes == 3_024


def test_an_attempt_that_does_not_end_is_one_that_failed() -> None:
    unit = SizingUnit(needed=3_020, head=768, tail=1_812, available=600_000, faults_below=2_700)
    unit.hangs = True
    assert size(unit).arena_bytes == 3_024


def test_what_not_even_all_memory_holds_does_not_fit() -> None:
    unit = SizingUnit(needed=300_000, head=1, tail=1, available=250_000)
    with pytest.raises(
        DoesNotFitError,
        match=r"m\.tflite: TFLite Micro cannot set the model up in the 250,000 bytes of SRAM that "
        "are left on nucleo_f412zg: the unit refused Run: the engine failed, 'too little'; take a "
        "smaller model or a larger board",
    ) as caught:
        size(unit)
    assert caught.value.region == "SRAM" and caught.value.missing_bytes > 0


def test_what_would_be_enough_is_told_where_it_can_be_estimated() -> None:
    unit = SizingUnit(needed=300_000, head=1, tail=1, available=250_000)
    with pytest.raises(
        DoesNotFitError,
        match=r"\(expected about 300,016 bytes, estimated on this machine\); "
        "take a smaller model or a larger board$",
    ) as caught:
        size_arena(unit, name="m.tflite", estimate=lambda: 300_016)  # type: ignore[arg-type]
    assert caught.value.missing_bytes == 50_016


def test_where_the_estimate_would_fit_it_may_be_something_else_that_fails() -> None:
    unit = SizingUnit(needed=300_000, head=1, tail=1, available=250_000)
    with pytest.raises(DoesNotFitError, match="says whether it is memory") as caught:
        size_arena(unit, name="m.tflite", estimate=lambda: 200_000)  # type: ignore[arg-type]
    assert caught.value.missing_bytes == ALIGNMENT


@given(st.data())
def test_it_is_the_least_that_suffices_in_few_attempts(data: st.DataObject) -> None:
    available = data.draw(st.integers(1, 40_000)) * ALIGNMENT
    needed = data.draw(st.integers(1, available))
    tail = data.draw(st.integers(1, needed))
    head = data.draw(st.integers(0, needed - tail))
    unit = SizingUnit(needed=needed, head=head, tail=tail, available=available)

    found = size(unit)

    assert found.arena_bytes % ALIGNMENT == 0
    assert needed <= found.arena_bytes < needed + ALIGNMENT
    parts = found.parts
    assert (parts.head_bytes, parts.tail_bytes) == (head, tail)
    everything = parts.head_bytes + parts.tail_bytes + parts.temporary_bytes
    assert found.arena_bytes - ALIGNMENT < everything <= found.arena_bytes
    assert len(unit.asked) <= 40
