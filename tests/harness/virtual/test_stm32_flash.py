"""Flash rules of the STM32s that hold for any sequence of writes, as a debugger sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.virtual.debugger import Debugger
from tests.harness.virtual.firmware import compile_firmware

WORDS = st.integers(0, 0xFFFFFFFF)
SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Controller:
    """KEYR, SR and CR of a halted board's flash controller."""

    def __init__(self, debugger: Debugger, keyr: int, sr: int, cr: int) -> None:
        self.debugger, self._sr, self._cr = debugger, sr, cr
        debugger.write(keyr, 0x45670123)
        debugger.write(keyr, 0xCDEF89AB)

    def status(self) -> int:
        self.debugger.read(self._sr)  # time stands still under a halted core: it sees the end
        status = self.debugger.read(self._sr)
        assert not status & 1 << 16
        return status

    def clear(self) -> None:
        self.debugger.write(self._sr, 0xFFFF)

    def control(self, value: int) -> None:
        self.debugger.write(self._cr, value)


@pytest.fixture(scope="module")
def f4(firmware_folder: Path) -> Iterator[Controller]:
    with Debugger("nucleo_f412zg") as debugger:
        debugger.start_halted(compile_firmware("void main(void) {}", firmware_folder))
        yield Controller(debugger, 0x40023C04, 0x40023C0C, 0x40023C10)


@pytest.fixture(scope="module")
def l4(firmware_folder: Path) -> Iterator[Controller]:
    with Debugger("nucleo_l4r5zi") as debugger:
        debugger.start_halted(compile_firmware("void main(void) {}", firmware_folder))
        yield Controller(debugger, 0x40022008, 0x40022010, 0x40022014)


@SETTINGS
@given(values=st.lists(st.tuples(st.integers(0, 7), WORDS), max_size=12))
def test_what_the_f4_holds_is_the_and_of_all_that_was_programmed(
    f4: Controller, values: list[tuple[int, int]]
) -> None:
    f4.control(2 << 8 | 5 << 3 | 2)
    f4.control(2 << 8 | 5 << 3 | 2 | 1 << 16)
    assert f4.status() == 0
    f4.control(2 << 8 | 1)
    expected = [0xFFFFFFFF] * 8
    for index, value in values:
        f4.debugger.write(0x08020000 + 4 * index, value)
        assert f4.status() == 0
        expected[index] &= value
    assert [f4.debugger.read(0x08020000 + 4 * i) for i in range(8)] == expected


@SETTINGS
@given(values=st.lists(st.tuples(st.integers(0, 3), WORDS, WORDS), max_size=8))
def test_the_l4_programs_a_double_word_once_or_to_zero(
    l4: Controller, values: list[tuple[int, int, int]]
) -> None:
    l4.control(2 | 100 << 3)
    l4.control(2 | 100 << 3 | 1 << 16)
    assert l4.status() == 0
    l4.control(1)
    blank, expected = 2**64 - 1, [2**64 - 1] * 4
    for index, low, high in values:
        at, value = 0x08064000 + 8 * index, high << 32 | low
        l4.debugger.write(at, low)
        l4.debugger.write(at + 4, high)
        refused = expected[index] != blank and value != 0
        assert l4.status() == (1 << 3 if refused else 0)
        l4.clear()
        expected[index] = expected[index] if refused else value
    words = [l4.debugger.read(0x08064000 + 4 * i) for i in range(8)]
    assert [words[2 * i + 1] << 32 | words[2 * i] for i in range(4)] == expected
