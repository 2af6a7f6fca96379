"""The process around the core: its control channel, what it refuses, how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import serial

import harness.virtual.__main__ as process
import harness.virtual.board as client
import harness.virtual.core as core_module
from harness.board import BOARDS_DIR, ROOT, load_board
from harness.chip import Preset, load_chip
from harness.errors import BoardError
from harness.virtual import TIMING_MODEL, Counters, VirtualBoard
from harness.virtual.__main__ import Unit, answer, main
from tests.harness.virtual.firmware import compile_firmware, run_firmware

BOARD = load_board("nucleo_f412zg")
CHIP = load_chip(BOARD.chip, BOARDS_DIR)
ECHO = "void main(void) { for (;;) put(get() + 1); }"
COMPUTE = """
static uint32_t state[256];
void main(void) {
    for (;;) {
        uint32_t seed = get();
        CYCCNT = 0;
        for (uint32_t i = 0; i < 200000; i++)
            seed += 7, state[seed & 0xFF] += seed * 31 ^ state[i & 0xFF] / (seed | 1);
        uint32_t cycles = CYCCNT, sum = 0;
        for (uint32_t i = 0; i < 256; i++)
            sum += state[i];
        report(cycles);
        report(sum);
    }
}"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def unit() -> Iterator[Unit]:
    unit = Unit(BOARD, CHIP)
    yield unit
    if not unit.over:
        unit.close()


# ---- the serial line ----


def test_every_byte_goes_through_both_ways(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    sent = bytes(range(256)) * 64
    with serial.Serial(virtual_board.port, timeout=10, write_timeout=10) as line:
        virtual_board.load(compile_firmware(ECHO, firmware_folder))
        echoed = bytearray()
        for i in range(0, len(sent), 1024):
            line.write(sent[i : i + 1024])
            echoed += line.read(1024)
    assert echoed == bytes((byte + 1) & 0xFF for byte in sent)


def test_a_host_that_reads_late_loses_nothing(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    source = "void main(void) { for (uint32_t i = 0; i < 20000; i++) report(i); }"
    with serial.Serial(virtual_board.port, timeout=10) as line:
        virtual_board.load(compile_firmware(source, firmware_folder))
        before = virtual_board.counters()
        time.sleep(0.05)
        data = line.read(80000)
    assert before.state == "running"
    assert data == b"".join(i.to_bytes(4, "little") for i in range(20000))


def test_halting_a_stalled_line_loses_nothing(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    source = "void main(void) { for (uint32_t i = 0; i < 5000; i++) report(i); rest(); }"

    def stalls() -> bool:
        before = virtual_board.counters().cycles
        time.sleep(0.02)
        return virtual_board.counters().cycles == before

    with serial.Serial(virtual_board.port, timeout=10) as line:
        virtual_board.load(compile_firmware(source, firmware_folder))
        for _ in range(5):
            wait_until(stalls)
            virtual_board.halt()
            virtual_board.go()
        data = line.read(20000)
    assert data == b"".join(i.to_bytes(4, "little") for i in range(5000))


def test_a_firmware_that_waits_for_the_host_burns_no_processor(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    virtual_board.load(compile_firmware(ECHO, firmware_folder))
    wait_until(lambda: virtual_board.counters().state == "waiting for serial")
    first = virtual_board.counters()
    time.sleep(0.05)
    second = virtual_board.counters()
    assert (second.instructions, second.cycles) == (first.instructions, first.cycles)
    assert second.seconds > first.seconds


def test_loading_forgets_what_the_old_image_said_and_was_told(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    loud = compile_firmware("void main(void) { report(0xDEAD); }", firmware_folder)
    echo = compile_firmware(ECHO, firmware_folder)
    with serial.Serial(virtual_board.port, timeout=10) as line:
        virtual_board.load(loud)
        wait_until(lambda: virtual_board.counters().state == "waiting for serial")
        virtual_board.load(echo)
        line.write(b"A")
        assert line.read(1) == b"B"


def test_a_transmitter_that_was_not_enabled_sends_nothing(run: Callable[..., list[int]]) -> None:
    source = """
void main(void) {
    REG(0x4000480C) = 0x2004;
    report(1);
    REG(0x4000480C) = 0x200C;
    report(2);
}"""
    assert run(source, 1) == [2]


# ---- determinism ----


def test_the_same_image_and_input_cost_the_same_cycles(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    elf = compile_firmware(COMPUTE, firmware_folder)
    runs = [run_firmware(virtual_board, elf, 4, send=b"\x05\x05") for _ in range(5)]
    with VirtualBoard(BOARD) as other:
        runs.append(run_firmware(other, elf, 4, send=b"\x05\x05"))
    assert all(run == runs[0] for run in runs)
    assert runs[0][0] > 200000


def test_neither_the_first_run_nor_the_phase_of_the_run_loop_changes_the_cycles(
    run: Callable[..., list[int]],
) -> None:
    source = """
static volatile uint32_t sink;
__attribute__((noinline)) static void work(uint32_t rounds) {
    for (uint32_t i = 1; i < rounds; i++)
        sink = sink + 1000000007u / i + (sink & 1 ? i : 0) * 3;
}
void main(void) {
    CCR |= 1 << 4; /* divisions may trap: their blocks are translated anew */
    for (int i = 0; i < 4; i++) {
        sink = 0;
        CYCCNT = 0;
        work(150000); /* longer than the run loop's look around */
        report(CYCCNT);
        for (int wait = i * 12345; wait > 0; wait--)
            sink = 0;
    }
}"""
    cycles = run(source, 4)
    assert len(set(cycles)) == 1
    assert cycles[0] > 2_000_000


# ---- the client ----


def test_counters_tell_what_the_core_did(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    virtual_board.load(compile_firmware(ECHO, firmware_folder))
    wait_until(lambda: virtual_board.counters().state == "waiting for serial")
    counters = virtual_board.counters()
    assert isinstance(counters, Counters)
    assert counters.cycles > counters.instructions > 0


def test_a_reset_starts_the_image_again(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    elf = compile_firmware("void main(void) { report(CYCCNT < 1000); }", firmware_folder)
    with serial.Serial(virtual_board.port, timeout=10) as line:
        virtual_board.load(elf)
        assert line.read(4) == b"\x01\0\0\0"
        virtual_board.reset()
        assert line.read(4) == b"\x01\0\0\0"


def test_a_busy_core_can_be_loaded_again(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    virtual_board.load(compile_firmware("void main(void) { for (;;) {} }", firmware_folder))
    assert virtual_board.counters().state == "running"
    elf = compile_firmware("void main(void) { report(3); }", firmware_folder)
    assert run_firmware(virtual_board, elf, 1) == [3]


def test_waiting_for_an_interrupt_that_never_comes_is_sleep(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    source = 'void main(void) { __asm volatile("wfe\\n yield\\n wfi"); }'
    virtual_board.load(compile_firmware(source, firmware_folder))
    wait_until(lambda: virtual_board.counters().state == "asleep")


def test_a_sleeper_whose_tick_is_not_urgent_enough_sleeps_on(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    source = """
void svc(void) { for (;;) __asm volatile("wfi"); }
void main(void) {
    REG(0xE000E014) = 1000;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    __asm volatile("svc #0");
}"""
    virtual_board.load(compile_firmware(source, firmware_folder))
    wait_until(lambda: virtual_board.counters().state == "asleep")


def test_closing_leaves_no_process_behind() -> None:
    with VirtualBoard(BOARD) as board:
        pid = board._process.pid
        assert alive(pid)
    assert not alive(pid)
    board.close()
    with pytest.raises(BoardError, match="cannot reset: the virtual board was closed"):
        board.reset()


def test_the_process_ends_when_its_parent_dies(firmware_folder: Path) -> None:
    busy = compile_firmware("void main(void) { for (;;) {} }", firmware_folder)
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from harness.board import load_board\nfrom harness.virtual import VirtualBoard\n"
        "board = VirtualBoard(load_board('nucleo_f412zg'))\nboard.load(Path(sys.argv[1]))\n"
        "print(board._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(busy)], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    wait_until(lambda: not alive(pid))


def test_the_death_of_the_process_is_a_board_error() -> None:
    with VirtualBoard(BOARD) as board:
        os.kill(board._process.pid, signal.SIGKILL)
        board._process.wait()
        with pytest.raises(BoardError, match=r"died during 'count' \(got exit status -9\)"):
            board.counters()


def test_a_board_that_cannot_start_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="died during 'start', its last words: unknown board"):
        VirtualBoard(BOARD, boards_dir=tmp_path)


def test_a_process_that_does_not_answer_meets_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.VirtualBoard, "reply_s", 0.05)
    monkeypatch.setattr(client.VirtualBoard, "quit_s", 0.05)
    with VirtualBoard(BOARD) as board:
        os.kill(board._process.pid, signal.SIGSTOP)
        with pytest.raises(BoardError, match="does not answer to 'count'"):
            board.counters()
        with pytest.raises(BoardError, match="cannot count: the virtual board was closed"):
            board.counters()  # and not what it may have answered to the first


# ---- what is refused ----


def test_a_file_that_is_no_elf_is_refused(virtual_board: VirtualBoard, tmp_path: Path) -> None:
    path = tmp_path / "noise.elf"
    path.write_bytes(b"noise" * 100)
    with pytest.raises(BoardError, match=r"cannot load: .*noise\.elf: is no ELF file"):
        virtual_board.load(path)


def test_a_refused_image_leaves_the_old_one_running(
    virtual_board: VirtualBoard, firmware_folder: Path, tmp_path: Path
) -> None:
    with serial.Serial(virtual_board.port, timeout=10) as line:
        virtual_board.load(compile_firmware(ECHO, firmware_folder))
        with pytest.raises(BoardError, match="No such file"):
            virtual_board.load(tmp_path / "absent.elf")
        line.write(b"x")
        assert line.read(1) == b"y"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"command": "fly"}', "unknown command 'fly'"),
        ("noise", "not a command: 'noise'"),
        ('{"path": 1}', "not a command"),
        ('{"command": "load"}', "not a command"),
        ("[1]", "not a command"),
    ],
)
def test_a_bad_command_line_is_answered_not_fatal(unit: Unit, line: str, message: str) -> None:
    assert message in answer(unit, line)["error"]


def test_a_core_that_is_not_compiled_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "EXTENSION_SUFFIXES", [".absent"])
    with pytest.raises(BoardError, match="core is not compiled; run `pip install"):
        Unit(BOARD, CHIP)


def test_the_client_does_not_import_the_emulator() -> None:
    script = "import sys, harness.virtual; sys.exit('unicorn' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30, cwd=ROOT)


def test_a_missing_emulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BoardError, match="the package unicorn is not installed; pip install"):
        Unit(BOARD, CHIP)


def test_a_core_that_cannot_be_loaded_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "_core.noise").write_text("noise")
    monkeypatch.setattr(core_module, "EXTENSION_SUFFIXES", [".noise"])
    monkeypatch.setattr(core_module, "__file__", str(tmp_path / "core.py"))
    with pytest.raises(BoardError, match="core cannot be loaded: .*_core.noise"):
        Unit(BOARD, CHIP)


def test_a_core_compiled_from_another_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "TIMING_MODEL", "class-table-0")
    with pytest.raises(
        BoardError, match=r"\(expected class-table-0, got pipeline-1\); run `pip install"
    ):
        Unit(BOARD, CHIP)


FLASH, SRAM, *_ = CHIP.memory


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"memory": (FLASH, replace(SRAM, size=1000))}, "must be whole pages of 4096 bytes"),
        ({"memory": (FLASH, replace(SRAM, base=0x20000100))}, "must be whole pages of 4096 bytes"),
        ({"memory": (FLASH, replace(SRAM, base=0x08000000))}, "Invalid memory mapping"),
        ({"memory": (FLASH,) + 8 * (SRAM,)}, "more memories, buses, presets or interrupts"),
        ({"interrupts": 241}, "more memories, buses, presets or interrupts"),
        ({"device": CHIP.device[:1]}, "the console is not among the devices"),
        ({"device": (replace(CHIP.device[0], model="toaster"),)}, "no such device model"),
        ({"device": 2 * CHIP.device[:1]}, "another device is there"),
        ({"device": (replace(CHIP.device[0], base=0x60000000),)}, "takes whole kilobytes from"),
        ({"device": (replace(CHIP.device[0], size=100),)}, "takes whole kilobytes from"),
        ({"preset": (Preset(0x5FFFFC00, 1),)}, "a reset value belongs to no device"),
    ],
)
def test_parts_that_the_emulator_cannot_play_are_refused(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BoardError, match=f"emulator refuses to build a cortex-m4f: .*{reason}"):
        Unit(BOARD, replace(CHIP, **change))


def test_a_broken_emulation_is_reported_with_the_counters(unit: Unit) -> None:
    unit._failure = "emulator stopped at 0x08000000: noise"
    assert answer(unit, '{"command": "count"}') == {
        "error": "nucleo_f412zg: emulator stopped at 0x08000000: noise; load the image again"
    }


def test_a_core_that_does_not_stop_is_not_waited_for(
    unit: Unit, firmware_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.load(compile_firmware("void main(void) { for (;;) {} }", firmware_folder))
    with monkeypatch.context() as patch:
        patch.setattr(process, "JOIN_SECONDS", 0.01)
        patch.setattr(core_module.Core, "stop", lambda core: None)
        with pytest.raises(BoardError, match="the core did not stop"):
            unit.halt()


# ---- the same, inside this process ----


def test_a_unit_loads_runs_and_counts(unit: Unit, firmware_folder: Path) -> None:
    assert unit.counters()["state"] == "stopped"
    echo = json.dumps({"command": "load", "path": str(compile_firmware(ECHO, firmware_folder))})
    with serial.Serial(unit.port, timeout=10) as line:
        assert answer(unit, echo) == {}
        line.write(b"a")
        assert line.read(1) == b"b"
        assert answer(unit, '{"command": "reset"}') == {}
        line.write(b"c")
        assert line.read(1) == b"d"
    wait_until(lambda: unit.counters()["state"] == "waiting for serial")
    assert answer(unit, '{"command": "count"}')["instructions"] > 0
    assert answer(unit, '{"command": "quit"}') == {}
    assert unit.over


def run_main(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], commands: str
) -> tuple[int, list[Any]]:
    output = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["harness.virtual", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(commands))
    monkeypatch.setattr(sys, "stdout", output)
    status = main()
    return status, [json.loads(line) for line in output.getvalue().splitlines()]


def test_the_process_speaks_one_json_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    status, replies = run_main(
        monkeypatch,
        ["--board", "nucleo_f412zg"],
        '{"command": "count"}\n{"command": "quit"}\n{"command": "count"}\n',
    )
    assert status == 0
    assert replies[0]["timing_model"] == TIMING_MODEL and replies[0]["port"].startswith("/dev/")
    assert replies[1]["state"] == "stopped"
    assert replies[2:] == [{}]


def test_an_unknown_board_ends_the_process_with_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, replies = run_main(monkeypatch, ["--board", "toaster"], "")
    assert (status, replies) == (2, [])
    assert "unknown board 'toaster'" in capsys.readouterr().err
