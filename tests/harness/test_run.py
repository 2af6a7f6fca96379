"""`hilnas run`: real descriptors, a real terminal, and every way in which it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.board import ROOT
from tests.commands import Answer, call
from tests.harness.virtual.firmware import compile_firmware
from tests.harness.virtual.test_loader import objcopy, with_note

BOARD = "nucleo_f412zg"
HILNAS = [sys.executable, "-m", "search", "run"]
HELLO = """
static void say(const char *text) { while (*text) put(*text++); }
void main(void) { say("hello\\r\\n"); for (;;) put(get() ^ 0x20); }"""
SILENT_LOOP = "void main(void) { for (;;) {} }"
TICKS = """
volatile uint32_t ticks;
void systick(void) { ticks++; }
void main(void) {
    REG(0xE000E014) = 15999;  /* 1 ms at 16 MHz */
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    for (;;) __asm volatile("wfi");
}"""
TO_USART2 = "REG(0x40004408) = 16; REG(0x4000440C) = 0x200C;"
INTERRUPT_ECHO = """
extern void (*const vectors[])(void);
static void (*table[128])(void) __attribute__((aligned(512)));
static void heard(void) { put(get() ^ 0x20); }
void main(void) {
    for (int i = 0; i < 16; i++) table[i] = vectors[i];
    table[16 + 39] = heard;              /* USART3 */
    REG(0xE000ED08) = (uint32_t)table;
    REG(0x4000480C) |= 1 << 5;           /* RXNEIE */
    REG(0xE000E104) = 1 << (39 - 32);
    put('!');
    for (;;) __asm volatile("wfi");
}"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


Run = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, real descriptors as its stdin and stdout."""

    def run(image: Path, *options: object, send: bytes = b"") -> Answer:
        receiving, sending = os.pipe()
        os.write(sending, send)
        os.close(sending)
        with os.fdopen(receiving) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return call(monkeypatch, capfd, "run", image, "--board", BOARD, *options)

    return run


@contextmanager
def running(
    image: Path, *options: object, stdin: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*HILNAS, str(image), "--board", BOARD, *map(str, options)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(descriptor: int, wanted: bytes) -> bytes:
    data, deadline = b"", time.monotonic() + 30
    while wanted not in data:
        assert select.select([descriptor], [], [], deadline - time.monotonic())[0], data
        data += os.read(descriptor, 4096)
    return data


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- the console ----


def test_what_the_console_says_is_stdout_and_what_is_piped_in_is_its_input(
    run: Run, folder: Path
) -> None:
    answer = run(compile_firmware(HELLO, folder), "--for", 1, send=b"ABC")
    assert answer.code == 0
    assert answer.out == "hello\r\nabc"
    assert "ended: the firmware waits for input, and there is no more" in answer.err
    assert "timing modelled" in answer.err


def test_elf_hex_and_binary_run_alike(run: Run, folder: Path, tmp_path: Path) -> None:
    elf = compile_firmware(HELLO, folder)
    images = [
        elf,
        objcopy(elf, tmp_path / "a.hex", "-O", "ihex"),
        objcopy(elf, tmp_path / "a.bin", "-O", "binary"),
    ]
    facts = []
    for image in images:
        answer = run(image, "--for", 1, "--json", tmp_path / "run.json", send=b"XYZ")
        result = json.loads((tmp_path / "run.json").read_text())
        facts.append((answer.out, result["cycles"], result["instructions"], result["ended"]))
    assert facts[0] == facts[1] == facts[2]
    assert facts[0][0] == "hello\r\nxyz"


def test_the_end_of_the_input_does_not_end_the_run(folder: Path) -> None:
    with running(compile_firmware(HELLO, folder), stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stderr is not None
        read_until(process.stdout.fileno(), b"hello\r\n")
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert b"ended by the user" in process.stderr.read()


def test_a_terminal_passes_each_key_and_is_as_before_afterwards(folder: Path) -> None:
    image = compile_firmware(HELLO, folder)
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with running(image, stdin=slave) as process:
        assert process.stdout is not None and process.stderr is not None
        read_until(process.stdout.fileno(), b"hello\r\n")
        os.write(master, b"a")
        read_until(process.stdout.fileno(), b"A")
        os.write(master, b"\x1a\x1c\r")  # no job control, no core dump, no new line
        read_until(process.stdout.fileno(), b"\x3a\x3c\x2d")
        # The terminal's Ctrl-C reaches the process through its group; here it is sent.
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        words = process.stderr.read()
    assert words.count(b"Ctrl-C ends the run") == 1
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_terminated_run_says_what_it_was(folder: Path) -> None:
    with running(compile_firmware(HELLO, folder)) as process:
        assert process.stdout is not None and process.stderr is not None
        read_until(process.stdout.fileno(), b"hello\r\n")
        process.terminate()
        assert process.wait(30) == 0
        assert b"ended by the user" in process.stderr.read()


def test_a_pty_is_named_and_speaks(folder: Path) -> None:
    with running(compile_firmware(HELLO, folder), "--uart", "pty") as process:
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        line = os.open(port, os.O_RDWR | os.O_NOCTTY)  # pyserial would drop what was said before
        try:
            read_until(line, b"hello\r\n")
            os.write(line, b"q")
            read_until(line, b"Q")
        finally:
            os.close(line)


def test_a_firmware_that_waits_for_the_user_burns_no_processor(folder: Path) -> None:
    with running(compile_firmware(HELLO, folder)) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"hello\r\n")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        time.sleep(0.1)
        before = [cpu_seconds(int(pid)) for pid in children]
        time.sleep(0.5)
        after = [cpu_seconds(int(pid)) for pid in children]
    assert len(children) == 1
    assert after[0] - before[0] < 0.2


def test_a_byte_wakes_a_firmware_that_listens_by_interrupt(run: Run, folder: Path) -> None:
    image = compile_firmware(INTERRUPT_ECHO, folder)
    with running(image) as process:
        assert process.stdin is not None and process.stdout is not None
        read_until(process.stdout.fileno(), b"!")
        for key, answer in ((b"a", b"A"), (b"Bc", b"bC")):
            process.stdin.write(key)
            process.stdin.flush()
            read_until(process.stdout.fileno(), answer)
    answer = run(image, "--for", 1, send=b"xyz")
    assert (answer.code, answer.out) == (0, "!XYZ")


def test_a_tick_at_the_host_s_pace_lets_time_pass_as_it_does(run: Run, folder: Path) -> None:
    started = time.monotonic()
    answer = run(compile_firmware(TICKS, folder), "--for", 0.5, "--pace", "host")
    assert time.monotonic() - started >= 0.5
    assert answer.code == 0
    assert "0.500000 s of virtual time" in answer.err


def test_a_debugger_finds_the_board_where_it_is_told(folder: Path) -> None:
    with running(compile_firmware(HELLO, folder), "--debug-port", 0) as process:
        assert process.stderr is not None
        words = read_until(process.stderr.fileno(), b"\n").decode()
        found = re.search(r"debug port: remote:127\.0\.0\.1:(\d+)", words)
        assert found is not None
        socket.create_connection(("127.0.0.1", int(found[1])), timeout=10).close()


# ---- another console ----


@pytest.fixture(scope="module")
def on_usart2(folder: Path) -> Path:
    """Echoes there, and leaves the board's own console, USART3, off."""
    lines = HELLO.replace("void main(void) {", f"void main(void) {{ {TO_USART2}", 1)
    source = f"""
        static void send(uint32_t byte) {{
            REG(0x40004404) = byte;
            while (!(REG(0x40004400) & 0x40)) {{}}
        }}
        static uint32_t hear(void) {{
            while (!(REG(0x40004400) & 0x20)) {{}}
            return REG(0x40004404);
        }}
        {lines.replace("put(", "send(").replace("get(", "hear(")}"""
    return compile_firmware(source, folder)


def test_any_uart_of_the_chip_can_be_the_console(run: Run, on_usart2: Path) -> None:
    answer = run(on_usart2, "--console", "USART2", "--for", 1, send=b"ABC")
    assert (answer.code, answer.out) == (0, "hello\r\nabc")
    assert "silent" not in answer.err


def test_a_silent_console_is_told_with_the_uart_that_spoke(
    run: Run, on_usart2: Path, tmp_path: Path
) -> None:
    answer = run(on_usart2, "--for", 0.1, "--json", tmp_path / "run.json")
    assert answer.out == ""
    assert "USART3 was silent, USART2 was written 7 bytes: --console USART2" in answer.err
    uarts = {
        uart["name"]: uart for uart in json.loads((tmp_path / "run.json").read_text())["uarts"]
    }
    assert uarts["USART2"] == {"name": "USART2", "on": True, "sent_bytes": 7}
    assert set(uarts) == {"USART1", "USART2", "USART3", "USART6"}


def test_a_silent_console_is_told_with_the_uarts_that_were_switched_on(
    run: Run, folder: Path
) -> None:
    image = compile_firmware(
        f"void main(void) {{ {TO_USART2} REG(0x4000480C) = 0; for (;;) {{}} }}", folder
    )
    answer = run(image, "--for", 0.01)
    assert "USART3 was silent, USART2 was switched on: --console USART2" in answer.err


def test_a_console_that_spoke_is_no_reason_to_look_elsewhere(run: Run, folder: Path) -> None:
    image = compile_firmware(f"void main(void) {{ {TO_USART2} put('!'); for (;;) {{}} }}", folder)
    assert "silent" not in run(image, "--for", 0.01).err


# ---- how a run ends ----


def test_virtual_time_ends_a_run_at_the_same_cycle_each_time(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    image, cycles = compile_firmware(TICKS, folder), []
    for _ in range(2):
        answer = run(image, "--for", 0.25, "--json", tmp_path / "run.json")
        assert answer.code == 0
        cycles.append(json.loads((tmp_path / "run.json").read_text())["cycles"])
    assert cycles[0] == cycles[1]
    assert 4_000_000 <= cycles[0] <= 4_000_100


def test_a_text_ends_a_run(run: Run, folder: Path) -> None:
    answer = run(compile_firmware(HELLO, folder), "--until", "llo")
    assert (answer.code, answer.out) == (0, "hello")
    assert "ended by --until" in answer.err


def test_an_endless_loop_meets_its_deadline_and_is_named(run: Run, folder: Path) -> None:
    answer = run(compile_firmware(SILENT_LOOP, folder), "--until", "done", "--for", 0.1)
    assert answer.code == 1
    assert "did not say 'done' within 0.1 s of virtual time" in answer.err
    assert re.search(r"the core was at 0x0800[0-9a-f]+, main", answer.err)


def test_waiting_for_input_that_will_not_come_is_told(run: Run, folder: Path) -> None:
    answer = run(compile_firmware(HELLO, folder), "--until", "never")
    assert answer.code == 1
    assert "the firmware waits for input and will not say 'never'; the core was at" in answer.err


# ---- bad input ----


def test_an_image_for_another_board_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    elf = compile_firmware(HELLO, folder)
    image = with_note(elf, tmp_path / "other.elf", b"nucleo_l4r5zi", b"hilnas")
    answer = run(image)
    assert answer.code == 1
    assert "built for another board (expected nucleo_f412zg, got nucleo_l4r5zi)" in answer.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--base", "here"), "--base is no address (expected 0x08000000, say, got 'here')"),
        (("--base", "0x08000000"), "--base is for raw binaries, and this is elf"),
        (("--for", 0), "--for needs virtual seconds above 0"),
        (("--until", ""), "--until cannot wait for that (expected 1 to 200 bytes"),
        (("--via", "hardware"), "cannot be run via 'hardware' (expected virtual)"),
        (("--profile", "/nowhere/p.json"), "/nowhere/p.json: cannot be written: No such"),
        (
            ("--console", "UART4"),
            "nucleo_f412zg: stm32f412 has no UART 'UART4' "
            "(expected one of USART2, USART3, USART1, USART6)",
        ),
        (("--uart", "usb"), "run: invalid value for '--uart'"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    folder: Path,
    options: tuple[object, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = compile_firmware(HELLO, folder)
    answer = call(monkeypatch, capsys, "run", image, "--board", BOARD, *options)
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_a_run_that_does_not_start_leaves_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("kept")
    files = ("--profile", old, "--json", new)
    absent = tmp_path / "absent.elf"
    assert call(monkeypatch, capsys, "run", absent, "--board", BOARD, *files).code == 2
    assert old.read_text() == "kept"
    assert not new.exists()


def test_a_missing_image_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = call(monkeypatch, capsys, "run", tmp_path / "a.elf", "--board", BOARD)
    assert (answer.code, "a.elf: cannot be read: No such file" in answer.err) == (2, True)


def test_a_vector_table_that_points_nowhere_is_refused(run: Run, tmp_path: Path) -> None:
    image = tmp_path / "erased.bin"
    image.write_bytes(b"\xff" * 64)
    answer = run(image)
    assert answer.code == 1
    assert "has a vector table without a stack (expected a stack pointer in 0x2000" in answer.err


def test_an_instruction_the_core_does_not_have_is_named(run: Run, folder: Path) -> None:
    source = """
void hard_fault(void) { for (;;) {} }
void main(void) { __asm volatile(".inst.w 0xf7f0a000"); }"""
    answer = run(compile_firmware(source, folder), "--for", 0.01)
    assert answer.code == 0  # the firmware has a handler, and it is at work
    assert re.search(
        r"fault: UsageFault at 0x0800\w+, main[^:]*(:\d+\))?: an instruction that the core does "
        r"not have \(0xf7f0 0xa000\); lr 0x[^;]*; sp 0x[^;]*; cfsr 0x00010000 \(UNDEFINSTR\); "
        r"hfsr 0x40000000 \(FORCED\)",
        answer.err,
    )


def test_a_lock_up_is_explained(run: Run, folder: Path) -> None:
    source = """
void hard_fault(void) { REG(0x60000000) = 1; }
void main(void) { REG(0x70000000) = 1; }"""
    answer = run(compile_firmware(source, folder))
    assert answer.code == 1
    assert re.search(
        r"nucleo_f412zg: the core locked up, by a fault inside a fault handler: BusFault at "
        r"0x0800[0-9a-f]+, hard_fault[^:]*(:\d+\))?: an access to where nothing is "
        r"\(0x60000000\); lr 0x\w+; sp .*cfsr 0x00008200 \(PRECISERR, BFARVALID\)",
        answer.err,
    )


UNMODELLED = 'void main(void) { REG(0x40007C00) = 1; REG(0x40007C04) = 2; put("!"[0]); }'


def test_a_peripheral_without_a_model_is_named_and_tolerated(run: Run, folder: Path) -> None:
    answer = run(compile_firmware(UNMODELLED, folder), "--until", "!")
    assert (answer.code, answer.out) == (0, "!")
    assert re.search(r"not modelled: 0x40007c00, first accessed at 0x0800\w+, main", answer.err)
    assert answer.err.count("not modelled") == 1


def test_a_peripheral_without_a_model_is_refused_where_asked(run: Run, folder: Path) -> None:
    answer = run(compile_firmware(UNMODELLED, folder), "--unmodelled", "refuse")
    assert answer.code == 1
    assert re.search(
        r"no model of stm32f412 answers at 0x40007c00, accessed at 0x0800\w+, main", answer.err
    )


def test_a_board_that_dies_leaves_a_report(folder: Path) -> None:
    with running(compile_firmware(HELLO, folder)) as process:
        assert process.stdout is not None and process.stderr is not None
        read_until(process.stdout.fileno(), b"hello\r\n")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert process.wait(30) == 1
        assert re.search(rb"died during '\w[\w ]*' \(got exit status -9\)", process.stderr.read())
