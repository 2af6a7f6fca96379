"""Renode's board does what a board must and leaves no process behind: proved with a stand-in,
tests/renode_double.py. What Renode is given is held against what it takes: tests/renode_syntax.py.
Tests marked `renode` run the real one, where it is installed."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import doctor, renode, renode_platform
from harness.board import BOARDS_DIR, ROOT, Board, board_names, load_board, with_console
from harness.chip import load_chip
from harness.errors import (
    BoardError,
    NoReplyError,
    NotComparableError,
    ToolchainError,
    UnknownBoardError,
    UsageError,
)
from harness.image import HostProgram, build_host_program, build_image
from harness.link import Link
from harness.measure import measure
from harness.renode import RenodeBoard, find_renode, renode_version
from harness.session import Session, open_session, vias_of
from harness.virtual import VirtualBoard
from tests.board_case import BoardCase, Build, make_input, output_for, run
from tests.commands import call
from tests.firmware import ENGINE_DIR, model_sources
from tests.harness.virtual.test_process import alive, wait_until
from tests.renode_syntax import SyntaxRefused, read_platform, read_script
from tests.tflite_factory import small_network

BOARD = load_board("nucleo_f446re")


def chip_of(board: Board):
    return load_chip(board.chip, BOARDS_DIR)


def text_for(name: str) -> str:
    board = load_board(name)
    return renode_platform.platform(board, chip_of(board))


def address_in(line: str, key: str) -> int:
    found = re.search(rf"{key} = (0x[0-9A-F_]+)", line)
    assert found is not None
    return int(found[1], 16)


def write_program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def install_double(folder: Path, name: str = "renode", arguments: str = '"$@"') -> Path:
    """Like Renode's own, a script that starts the program and waits for it."""
    return write_program(
        folder / name,
        f"#!/bin/sh\nPYTHONPATH='{ROOT}' '{sys.executable}' -m tests.renode_double {arguments}\n",
    )


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    program = install_double(tmp_path)
    monkeypatch.setenv(renode.VARIABLE, str(program))
    return program


def group_of(pid: int) -> list[int]:
    """The living processes of the process group `pid`."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


@pytest.fixture(scope="module")
def program() -> HostProgram:
    return build_host_program(model_sources(), BOARD, engine_dir=ENGINE_DIR)


# what Renode is given


@pytest.mark.parametrize("name", board_names())
def test_renode_would_take_every_boards_platform(name: str) -> None:
    board = load_board(name)
    chip = chip_of(board)
    found = read_platform(text_for(name))
    spans = [span for part in found.values() for span in part.spans]
    for region in (board.memory.flash, board.memory.sram):
        end = region.base
        while end < region.end:  # pieces that follow each other
            end = next(last for first, last in spans if first <= end < last)
    (boot,) = (part for part in found.values() if part.spans[:1] and part.name == "flash")
    assert boot.values["size"] == board.memory.flash.size == chip.memory[0].size
    console = found[board.console.uart.lower()]
    assert console.spans[0][0] == board.console.base
    (device,) = (part for part in chip.device if part.name == board.console.uart)
    assert console.lines == (("IRQ", "nvic", device.irq),)
    assert found["cpu"].values["cpuType"] == board.core
    priorities = found["nvic"].values["priorityMask"]
    assert isinstance(priorities, int) and priorities.bit_count() == chip.priority_bits


@pytest.mark.parametrize(
    ("name", "mips"),
    [
        ("b_l475e_iot01a", 50),
        ("netduinoplus2", 10),
        ("nrf52840dk", 50),
        ("nucleo_f401re", 50),
        ("nucleo_f412zg", 100),
        ("nucleo_f446re", 125),
        ("nucleo_l4r5zi", 100),
        ("stm32f429i_disc1", 125),
    ],
)
def test_every_counter_counts_instructions_each_a_whole_number_of_nanoseconds(
    name: str, mips: int
) -> None:
    found = read_platform(text_for(name))
    assert found["cpu"].values["PerformanceInMips"] == mips
    assert found["dwt"].values["frequency"] == mips * 1_000_000
    assert found["nvic"].values["systickFrequency"] == mips * 1_000_000
    assert 1000 % mips == 0 and mips * 1_000_000 <= load_board(name).sysclk_hz


@pytest.mark.parametrize(
    ("name", "model", "values"),
    [
        ("nucleo_f446re", "UART.STM32_UART", {"frequency": 45_000_000}),
        ("b_l475e_iot01a", "UART.STM32F7_USART", {"frequency": 80_000_000}),
        (
            "nucleo_l4r5zi",
            "UART.STM32F7_USART",
            {"frequency": 120_000_000, "lowPowerMode": True},
        ),
        ("nrf52840dk", "UART.NRF52840_UART", {"easyDMA": False}),
    ],
)
def test_the_console_is_the_model_that_the_port_talks_to(
    name: str, model: str, values: dict[str, int | bool]
) -> None:
    console = read_platform(text_for(name))[load_board(name).console.uart.lower()]
    assert (console.model, console.values) == (model, values)


def test_another_console_is_played_where_it_lies() -> None:
    board = with_console(BOARD, chip_of(BOARD), "USART6")
    found = read_platform(renode_platform.platform(board, chip_of(BOARD)))
    assert found["usart6"].spans == ((0x40011400, 0x40011800),) and "usart2" not in found


def test_an_l4_finds_its_oscillator_ready_and_its_pll_in_use() -> None:
    tags = read_platform(text_for("b_l475e_iot01a"))["sysbus"].values
    assert tags == {"0x40021000": 1 << 10 | 1 << 25, "0x40021008": 3 << 2}


@pytest.mark.parametrize("name", board_names())
def test_the_platform_has_every_block_that_the_firmware_touches(name: str, tmp_path: Path) -> None:
    """The virtual board, with no other blocks than Renode would have, notices accesses to any."""
    board = load_board(name)
    spans = [span for part in read_platform(text_for(name)).values() for span in part.spans]
    text = (BOARDS_DIR / "chips" / f"{board.chip}.toml").read_text()
    devices = re.findall(r'^  \{ name = "\w+".*?\},$', text, re.MULTILINE | re.DOTALL)
    left_out = []
    for device in devices:
        base = address_in(device, "base")
        if not any(
            first <= base + 12 < last for first, last in spans
        ):  # an L4's RCC is memory from 12 on
            left_out.append(base)
            text = text.replace(device, "")
    assert len(devices) > 20 and len(left_out) >= len(devices) - 7
    for preset in re.findall(r"^  \{ address = .*\},.*$", text, re.MULTILINE):
        if address_in(preset, "address") & ~0x3FF in left_out:
            text = text.replace(preset, "")
    (tmp_path / "chips").mkdir()
    (tmp_path / "chips" / f"{board.chip}.toml").write_text(text)
    (tmp_path / name).mkdir()
    (tmp_path / name / "board.toml").write_bytes((BOARDS_DIR / name / "board.toml").read_bytes())
    image = build_image(model_sources(), board, engine_dir=ENGINE_DIR)
    with (
        VirtualBoard(board, boards_dir=tmp_path) as unit,
        Link(unit.port, board.console.baud) as link,
    ):
        session = Session(board, "virtual", unit, link, timing="modelled", timing_model="")
        session.flash(image)
        data = make_input()
        run(session, data)
        assert session.read_output(0) == output_for(data)
        assert [hex(notice.address) for notice in unit.report().notices] == []


def test_renode_would_take_the_script() -> None:
    line = Path("/tmp/a/console")
    text = renode_platform.script(BOARD, Path("/tmp/a/b.repl"), Path("/tmp/my models/a.elf"), line)
    assert read_script(text) == {
        "logLevel": ["3"],
        "mach create": ["nucleo_f446re"],
        "machine LoadPlatformDescription": ["/tmp/a/b.repl"],
        "emulation SetGlobalQuantum": ["0.0001"],
        "sysbus LoadELF": ["/tmp/my models/a.elf"],
        "sysbus.cpu VectorTableOffset": ["0x08000000"],
        "emulation CreateUartPtyTerminal": ["console", "/tmp/a/console", "true"],
        "connector Connect": ["sysbus.usart2", "console"],
        "start": [],
    }
    assert list(read_script(text))[-3:] == [
        "emulation CreateUartPtyTerminal",
        "connector Connect",
        "start",
    ]


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("flash: Memory", "sram: Memory", "a name is used twice"),
        ("Memory.MappedMemory", "Memory.MagicMemory", "there is no model Memory.MagicMemory"),
        ("    size: 0x80000", "  size: 0x80000", "indent of"),
        ("    size: 0x80000", "    bytes: 0x80000", "flash needs size"),
        ("    size: 0x80000", "    size: 512KiB", "Unexpected|No terminal"),
        ("    frequency: 125000000", "    rate: 125000000", "Miscellaneous.DWT has no rate"),
        ("    rtcPeripheral: rtc", "    rtcPeripheral: pwr", "must be a Timers.STM32F4_RTC"),
        ("    rtcPeripheral: rtc", "    rtcPeripheral: clock", "there is no clock"),
        ("priorityMask: 0xF0", "priorityMask: 0xF00", "nvic.priorityMask is no byte"),
        ('cpuType: "cortex-m4f"', 'cpuType: "cortex-m9"', "no core cortex-m9"),
        ('cpuType: "cortex-m4f"', "cpuType: cortex", "cpu.cpuType is no string"),
        ("    nvic: nvic\n", "", "CPU.CortexM needs nvic"),
        ("IRQ -> nvic@38", "IRQ -> gic@38", "usart2 interrupts gic, which is not there"),
        ("IRQ -> nvic@38", "IRQ -> nvic@300", "nvic has no input 300"),
        ("IRQ -> nvic@38", "Alarm -> nvic@38", "UART.STM32_UART has no output Alarm"),
        ("<0x40004400, +0x400>", "0x40004400", "usart2 does not know its size"),
        ("<0x40004400, +0x400>", "<0x40004400, 0x400>", "a range ends before it begins"),
        ("sysbus 0x40023800", "sysbus <0x40023800, +0x400>", "rcc knows its size"),
        ("sysbus 0x40023800", "sysbus", "rcc has no address"),
        ("sysbus 0x40023800", "bus 0x40023800", "rcc is registered at bus"),
        ("sysbus 0x40023C00", "sysbus 0x40023A00", "rcc and flash_interface overlap"),
        ("rtc: Timers", "local: Timers", "local is a keyword"),
    ],
)
def test_the_syntax_check_finds_what_renode_would_not_take(
    good: str, bad: str, reason: str
) -> None:
    text = text_for(BOARD.name)
    assert good in text
    with pytest.raises(SyntaxRefused, match=reason):
        read_platform(text.replace(good, bad, 1))


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("start", "go", "no command: 'go'"),
        (" true", "", "wrong arguments: 'emulation"),
        ("0x08000000", "flash", "wrong arguments: 'sysbus.cpu"),
        ("/tmp/b", "/tmp/b b", "wrong arguments: 'sysbus LoadELF"),
    ],
)
def test_the_script_check_finds_what_the_monitor_would_not_take(
    good: str, bad: str, reason: str
) -> None:
    text = renode_platform.script(BOARD, Path("/tmp/a"), Path("/tmp/b"), Path("/tmp/c"))
    with pytest.raises(SyntaxRefused, match=reason):
        read_script(text.replace(good, bad, 1))


# how it is played


class TestRenodeBoard(BoardCase):
    """The stand-in: proves the line, resets and deadlines, not what Renode does with an ELF."""

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
        with pytest.MonkeyPatch.context() as patch:
            double = install_double(tmp_path_factory.mktemp("with a space"))
            patch.setenv(renode.VARIABLE, str(double))
            with open_session(BOARD, "renode") as session:
                yield session

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls) -> Build:
        return functools.partial(build_host_program, board=BOARD, engine_dir=ENGINE_DIR)

    def test_its_label_names_renode_and_its_version(self, session: Session) -> None:
        assert (session.via, session.timing) == ("renode", "instructions")
        assert session.timing_model == "Renode 1.16.1.26112"


def test_renode_run_gets_the_options_behind_two_dashes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: HostProgram
) -> None:
    install_double(tmp_path, "renode-run", '"$@"')
    text = (tmp_path / "renode-run").read_text()
    (tmp_path / "renode-run").write_text(
        text.replace("#!/bin/sh\n", '#!/bin/sh\n[ "$1" = -- ] || exit 9\nshift\n')
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv(renode.VARIABLE, raising=False)
    with open_session(BOARD, "renode") as session:
        session.flash(program)
        assert session.hello.nonce == program.nonce


# how it ends


def test_closing_leaves_no_process_and_no_file(double: Path, program: HostProgram) -> None:
    with RenodeBoard(BOARD, chip_of(BOARD)) as unit:
        unit.load(program.elf)
        assert unit.pid is not None
        pid, folder = unit.pid, Path(unit._folder.name)
        wait_until(lambda: len(group_of(pid)) == 4)  # leader, script, Renode, what it plays
        unit.reset()
        wait_until(lambda: group_of(pid) == [])
        assert unit.pid is not None
        second = unit.pid
    wait_until(lambda: group_of(second) == [])
    assert not folder.exists()


def test_what_it_started_ends_even_if_it_ended_itself(double: Path, program: HostProgram) -> None:
    with open_session(BOARD, "renode") as session:
        session.flash(program)
        assert isinstance(session.unit, RenodeBoard) and session.unit.pid is not None
        pid = session.unit.pid
        wait_until(lambda: len(group_of(pid)) == 4)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid))
        assert len(group_of(pid)) == 3  # its own children, until somebody looks
        assert session.unit.explain_silence() == (
            "Renode ended with exit status -9, saying '16:20:48.0337 [INFO] Including script'"
        )
        wait_until(lambda: group_of(pid) == [])


def test_a_renode_that_dies_in_a_run_is_named_with_its_end(
    double: Path, program: HostProgram
) -> None:
    with open_session(BOARD, "renode") as session:
        session.flash(program)
        assert isinstance(session.unit, RenodeBoard) and session.unit.pid is not None
        pid = session.unit.pid
        os.killpg(pid, signal.SIGSTOP)
        threading.Timer(0.1, os.killpg, (pid, signal.SIGKILL)).start()
        with pytest.raises(BoardError, match="Renode ended with exit status -9"):
            session.run(deadline_s=1)


def test_a_renode_that_hangs_is_silent_until_the_deadline_and_ends_with_the_session(
    double: Path, program: HostProgram
) -> None:
    with open_session(BOARD, "renode") as session:
        session.flash(program)
        assert isinstance(session.unit, RenodeBoard) and session.unit.pid is not None
        pid = session.unit.pid
        os.killpg(pid, signal.SIGSTOP)
        with pytest.raises(NoReplyError, match="the reply to Run did not come within 0.2 s"):
            session.run(deadline_s=0.2)
    wait_until(lambda: group_of(pid) == [])


def test_all_of_it_dies_with_the_process_that_started_it(
    double: Path, program: HostProgram
) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from harness.board import BOARDS_DIR, load_board\n"
        "from harness.chip import load_chip\n"
        "from harness.renode import RenodeBoard\n"
        f"board = load_board('{BOARD.name}')\n"
        "with RenodeBoard(board, load_chip(board.chip, BOARDS_DIR)) as unit:\n"
        "    unit.load(Path(sys.argv[1]))\n"
        "    print(unit.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, program.elf],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid) and len(group_of(pid)) >= 3
        parent.kill()
    wait_until(lambda: group_of(pid) == [])


# what does not come up


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (
            "mute",
            r"no console within 1 s; its last words: '16:20:48.0337 \[INFO\] Including script'",
        ),
        (
            "refuse",
            "Renode says \"There was an error executing command 'machine LoadPlatformDescription "
            "@board.repl' Error E04: Could not resolve type: 'Moon.Phase'.\"",
        ),
        (
            "end",
            r"Renode ended with exit status 3, saying '16:20:48.0338 \[ERROR\] Fatal: no tlib for "
            r"this machine'",
        ),
    ],
)
def test_a_renode_that_does_not_come_up_is_told_with_its_words(
    does: str,
    reason: str,
    double: Path,
    program: HostProgram,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HILNAS_RENODE_DOUBLE", does)
    monkeypatch.setattr(renode, "_START_DEADLINE_S", 1.0 if does == "mute" else 30.0)
    started: list[int] = []
    popen = subprocess.Popen

    def remember(*words: object, **options: object) -> subprocess.Popen[bytes]:
        process = popen(*words, **options)  # type: ignore[call-overload]
        started.append(process.pid)
        return process

    with open_session(BOARD, "renode") as session:
        monkeypatch.setattr(subprocess, "Popen", remember)
        with pytest.raises(BoardError, match=f"nucleo_f446re: Renode does not play .*: {reason};"):
            session.flash(program)
        (pid,) = started
        wait_until(lambda: group_of(pid) == [])
        assert isinstance(session.unit, RenodeBoard) and session.unit.pid is None
        monkeypatch.setenv("HILNAS_RENODE_DOUBLE", "play")
        session.flash(program)
        assert session.hello.nonce == program.nonce


def test_an_image_is_needed_before_a_reset(double: Path) -> None:
    with RenodeBoard(BOARD, chip_of(BOARD)) as unit:
        assert unit.pid is None and unit.explain_silence() is None
        with pytest.raises(BoardError, match="reset without an image; load one first"):
            unit.reset()


# what is refused


def test_a_machine_without_renode_is_told_the_three_ways_to_name_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_program(tmp_path / "setpriv", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(renode.VARIABLE, raising=False)
    sentence = (
        "^renode or renode-run: neither is on the PATH; put renode or renode-run on the PATH, or "
        "name one in HILNAS_RENODE: docs/renode.md$"
    )
    with pytest.raises(ToolchainError, match=sentence), open_session(BOARD, "renode"):
        pass
    monkeypatch.setenv(renode.VARIABLE, "/none/renode")
    with pytest.raises(ToolchainError, match="^/none/renode: is no program, says HILNAS_RENODE; "):
        find_renode()
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(ToolchainError, match="^setpriv is not on the PATH; apt-get install util"):
        renode_version()


def test_the_variable_comes_before_the_path_and_renode_before_renode_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_too = install_double(tmp_path, "renode-run")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(renode.VARIABLE, raising=False)
    assert find_renode() == (str(run_too), "--")
    itself = install_double(tmp_path)
    assert find_renode() == (str(itself),)
    (tmp_path / "mine").mkdir()
    mine = install_double(tmp_path / "mine", "renode-1.16")
    monkeypatch.setenv(renode.VARIABLE, str(mine))
    assert find_renode() == (str(mine),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 3", "does not run: .* exit status 3"),
        ("echo hello", "does not tell its version"),
        (
            "echo Renode v1.15.3.58110",
            r"Renode is too old: .* \(expected 1.16 or newer, got 1.15.3.58110\)",
        ),
    ],
)
def test_a_renode_that_cannot_be_used_is_told(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "renode", f"#!/bin/sh\n{text}\n")
    monkeypatch.setenv(renode.VARIABLE, str(program))
    with pytest.raises(ToolchainError, match=f"{tmp_path}/renode: {reason}.*; put renode or"):
        renode_version()


def test_there_is_no_probe_to_flash_through() -> None:
    with (
        pytest.raises(UsageError, match="Renode's boards have no debug probe"),
        open_session(BOARD, "renode", "probe"),
    ):
        pass


def test_a_port_that_it_does_not_know_cannot_be_measured_with_it() -> None:
    board = dataclasses.replace(BOARD, port="samd51")
    assert "renode" not in vias_of(board) and "renode" in vias_of(BOARD)
    with pytest.raises(UnknownBoardError, match="cannot be measured via 'renode'"):
        open_session(board, "renode")


# what is told of it


def test_doctor_and_boards_say_whether_it_is_there(
    double: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (check,) = (check for check in doctor.examine() if check.name == "Renode")
    assert (check.ok, check.found) == (True, f"1.16.1.26112: {double}") and not check.required
    told = " ".join(call(monkeypatch, capsys, "boards").out.split())
    assert "--via virtual, hardware, renode;" in told and "Renode is not installed" not in told
    monkeypatch.setenv(renode.VARIABLE, "/none/renode")
    check = doctor.examine_renode()
    assert (check.ok, check.fix) == (False, renode.INSTALL)
    assert check.found == "/none/renode: is no program, says HILNAS_RENODE"
    told = " ".join(call(monkeypatch, capsys, "boards").out.split())
    assert "; Renode is not installed" in told


def test_doctor_does_not_make_renode_run_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    program = write_program(tmp_path / "renode-run", f"#!/bin/sh\ntouch '{asked}'\n")
    monkeypatch.setenv(renode.VARIABLE, str(program))
    check = doctor.examine_renode()
    assert check.ok and check.found == f"not asked, it may download one: {program}"
    assert not asked.exists()


# the real one


@pytest.fixture(scope="module")
def real() -> str:
    try:
        return renode_version()
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.mark.renode
@pytest.mark.parametrize("name", board_names())
def test_renode_plays_every_board(name: str, real: str) -> None:
    board = load_board(name)
    image = build_image(model_sources(), board, engine_dir=ENGINE_DIR)
    data = make_input()
    with open_session(board, "renode") as session:
        session.flash(image)
        counts = {run(session, data).cycles for _ in range(2)}
        assert session.read_output(0) == output_for(data)
        session.restart()
        assert counts == {run(session, data).cycles} and len(counts) == 1


@pytest.mark.renode
def test_a_model_is_bit_exact_and_its_instructions_are_no_cycles(real: str) -> None:
    with open_session(BOARD, "renode") as counted, open_session(BOARD, "virtual") as modelled:
        instructions = measure(small_network(), counted, repeats=2)
        cycles = measure(small_network(), modelled, repeats=2)
    assert instructions.output.bit_exact
    assert instructions.image_sha256 == cycles.image_sha256
    assert f"{BOARD.name}, via renode, instructions (Renode {real})" in instructions.label
    assert 0 < instructions.cycles.median < cycles.cycles.median
    with pytest.raises(NotComparableError, match="measurements differ in via"):
        instructions.comparable_with(cycles)
