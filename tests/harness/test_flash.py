"""Flashing virtual boards through their debug ports, as silicon is flashed."""

from __future__ import annotations

import functools
import json
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.board import load_board
from harness.errors import ProbeError, UsageError
from harness.image import build_image
from harness.probe import Access, flash
from harness.session import RunResult, Session, open_session
from harness.virtual import VirtualBoard
from tests.board_case import make_input, output_for
from tests.commands import Answer, call
from tests.firmware import ENGINE_DIR, model_sources
from tests.harness.virtual.firmware import compile_firmware

BOARDS = ("nucleo_f412zg", "stm32f429i_disc1", "b_l475e_iot01a", "nrf52840dk")


@pytest.mark.parametrize("name", BOARDS)
def test_the_vendors_algorithm_erases_and_programs_what_changes(name: str) -> None:
    board = load_board(name)
    base = board.memory.flash.base
    image = [(base, random.Random(5).randbytes(9001)), (base + 0x10000, b"\x00\xff" * 64)]
    steps: list[str] = []
    with VirtualBoard(board) as unit:
        access = Access(board.pyocd.target, unit.debug_port())
        first = flash(
            image,
            access,
            on_progress=lambda step, fraction: steps.append(step),
        )
        again = flash(image, access)
    assert first.image_bytes == 9001 + 128
    assert first.sectors >= 2 and first.erased_bytes >= first.programmed_bytes > 9001
    assert list(dict.fromkeys(steps)) == ["connecting", "erasing", "programming", "verifying"]
    assert (again.sectors, again.programmed_bytes) == (0, 0)
    assert again.unchanged_bytes >= 9001 + 128


def test_an_image_behind_the_end_of_flash_is_refused() -> None:
    with (
        VirtualBoard(load_board("nucleo_f412zg")) as unit,
        pytest.raises(ProbeError, match="0x08100000: the image has bytes outside the target's"),
    ):
        flash([(0x080FFFFC, bytes(8))], Access("stm32f412xg", unit.debug_port()))


def _measured(session: Session, image: Any) -> tuple[RunResult, bytes]:
    session.flash(image)
    session.prepare(0xA5)
    data = make_input(stack_words=40, spin=3)
    session.write_input(0, data)
    result = session.run()
    output = session.read_output(0)
    assert output == output_for(data)
    return result, output


def test_both_ways_into_flash_give_the_same_cycles_and_bytes() -> None:
    board = load_board("nucleo_f412zg")
    image = build_image(model_sources(), board, engine_dir=ENGINE_DIR)
    results = []
    for through in ("memory", "probe"):
        with open_session(board, "virtual", through) as session:
            results.append(_measured(session, image))
            session.restart()
    assert results[0] == results[1]


def test_there_is_no_third_way_into_flash() -> None:
    with pytest.raises(UsageError, match=r"through 'osmosis' \(expected memory or probe\)"):
        open_session(load_board("nucleo_f412zg"), "virtual", "osmosis")


# ---- the command ----


@pytest.fixture
def ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    return functools.partial(call, monkeypatch, capsys, "flash")


def test_hilnas_flash_starts_a_board_flashes_it_and_says_so(
    ask: Callable[..., Answer], tmp_path: Path
) -> None:
    elf = compile_firmware("void main(void) { report(1); }", tmp_path)
    answer = ask(elf, "--board", "nucleo_f412zg")
    assert answer.code == 0, answer.err
    assert re.search(
        r"elf: [\d,]+ bytes in the flash of nucleo_f412zg, read back and equal; 1 sectors erased, "
        r"0 bytes were there already; \d+\.\d s through remote:127.0.0.1:\d+",
        answer.out,
    )


def test_hilnas_flash_goes_through_the_probe_that_is_named(
    ask: Callable[..., Answer], tmp_path: Path
) -> None:
    binary = tmp_path / "firmware.bin"
    elf = compile_firmware("void main(void) { report(1); }", tmp_path)
    subprocess.run(["arm-none-eabi-objcopy", "-Obinary", elf, binary], check=True, timeout=20)
    board = load_board("nucleo_f412zg")
    with VirtualBoard(board) as unit:
        probe = unit.debug_port()
        answer = ask(binary, "--board", board.name, "--probe", probe, "--json", "-")
        assert unit.counters().state == "waiting for serial"
    assert answer.code == 0, answer.err
    facts = json.loads(answer.out)
    assert (facts["board"], facts["probe"]) == (board.name, probe)
    assert facts["image_bytes"] == binary.stat().st_size


def test_a_chip_that_pyocd_does_not_know_is_said_in_a_sentence(
    ask: Callable[..., Answer],
) -> None:
    board = load_board("nucleo_f446re")
    image = build_image(model_sources(), board, engine_dir=ENGINE_DIR)
    answer = ask(image.elf, "--board", board.name)
    assert answer.code == 1
    assert answer.err.strip().endswith(
        "pyOCD does not know the target 'stm32f446re'; "
        "give the vendor's CMSIS pack with --pack FILE.pack"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--via", "hardware"), "nowhere.toml: no such file"),
        (("--unit", "left"), "--unit names a unit of the hardware map"),
        (("--via", "hardware", "--unit", "left", "--probe", "x"), "hardware without --probe"),
        (("--via", "moon"), "cannot be flashed via 'moon' (expected virtual or hardware)"),
        (("--pack", "nowhere.pack"), "nowhere.pack: there is no such pack; check the path"),
    ],
)
def test_what_hilnas_flash_cannot_use_is_refused(
    ask: Callable[..., Answer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.setenv("HILNAS_HARDWARE_MAP", "nowhere.toml")
    elf = compile_firmware("void main(void) { report(1); }", tmp_path)
    answer = ask(elf, "--board", "nucleo_f412zg", *options)
    assert answer.code == 2
    assert sentence in answer.err
