"""pyOCD and gdb on a virtual board: unmodified commands, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
import serial

from harness.board import load_board
from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import compile_firmware
from tests.harness.virtual.test_debugport import Client

DEADLINE_SECONDS = 90
TARGET = "stm32f412xg"
COUNTING = """
volatile uint32_t counter;
__attribute__((noinline)) void add(uint32_t by) { counter += by; }
__attribute__((noinline)) void twice(uint32_t by) { add(by); add(by + 1); }
void main(void) { report(0xC0DE0001); for (;;) twice(3); }
"""


@dataclass(frozen=True)
class Bench:
    """A board with an open debug port, and the firmware that pyOCD has flashed to it."""

    board: VirtualBoard
    probe: str
    elf: Path
    flashing: str
    said: bytes


def pyocd(*arguments: str, status: int = 0) -> str:
    """What one pyOCD command printed; it ends with `status`."""
    done = subprocess.run(
        [sys.executable, "-m", "pyocd", *arguments, "--no-config"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def bench(firmware_folder: Path) -> Iterator[Bench]:
    elf = compile_firmware(COUNTING, firmware_folder)
    with VirtualBoard(load_board("nucleo_f412zg")) as board:
        probe = board.debug_port()
        with serial.Serial(board.port, timeout=DEADLINE_SECONDS) as line:
            printed = pyocd("flash", "-u", probe, "-t", TARGET, str(elf))
            said = line.read(4)
        yield Bench(board, probe, elf, printed, said)


def test_pyocd_flash_erases_programs_and_starts_the_firmware(bench: Bench) -> None:
    assert re.search(r"Erased \d+ bytes \(\d+ sectors?\), programmed \d+ bytes", bench.flashing)
    assert bench.said == bytes.fromhex("0100dec0")


def test_pyocd_reads_the_chip_and_the_halted_core_and_meets_a_bus_error(bench: Bench) -> None:
    commands = ["halt", "status", "read32 0x08000000 8", "read8 0x1fff7a10 4", "reg", "step"]
    commands += ["write32 0x20010000 0x12345678", "read16 0x20010002", "read32 0xe000ed00"]
    commands += ["continue", "read32 0x60000000"]
    arguments = [word for command in commands for word in ("-c", command)]
    printed = pyocd("commander", "-u", bench.probe, "-t", TARGET, *arguments, status=2)
    assert "Halted" in printed
    assert "08000000:  20040000 08000" in printed
    assert re.search(r"pc: 0x080001", printed)
    assert "20010002:  1234" in printed
    assert "e000ed00:  410fc241" in printed
    assert "Error: memory transfer failed" in printed


@contextmanager
def gdb_server(bench: Bench) -> Iterator[str]:
    """pyOCD's gdb server; its TCP port, after it has said so."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pyocd", "gdbserver", "-u", bench.probe, "-t", TARGET]
        + ["-p", "0", "-T", "0", "--elf", str(bench.elf), "--no-config"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    silent = threading.Timer(DEADLINE_SECONDS, process.kill)  # ends the wait for its words
    silent.start()
    try:
        assert process.stdout is not None
        port = _listening_port(process.stdout)
        silent.cancel()
        yield port
        process.wait(DEADLINE_SECONDS)  # it ends with its only client
    finally:
        silent.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _listening_port(output: IO[bytes]) -> str:
    seen = b""
    for line in output:
        seen += line
        match = re.search(rb"GDB server listening on port (\d+)", line)
        if match:
            return match[1].decode()
    raise AssertionError(seen.decode(errors="replace"))


def knows_localhost() -> bool:
    try:
        socket.getaddrinfo("localhost", None)
    except socket.gaierror:
        return False
    return True


@pytest.mark.skipif(
    not knows_localhost(),
    reason="pyOCD's gdbserver listens on `localhost`, a name that this machine does not resolve",
)
def test_gdb_breaks_inspects_steps_and_watches(bench: Bench) -> None:
    with gdb_server(bench) as port:
        commands = [
            *("set pagination off", "set remotetimeout 60"),
            *(f"target extended-remote 127.0.0.1:{port}", "monitor reset halt"),
            "maintenance flush register-cache",  # gdb does not know that the core was reset
            *("break add", "continue", "print by", "print counter", "backtrace"),
            *("print $pc", "stepi", "print $pc", "finish", "delete"),
            *("watch counter", "continue", "print counter", "delete", "detach"),
        ]
        arguments = [word for command in commands for word in ("-ex", command)]
        done = subprocess.run(
            ["gdb-multiarch", "-nx", "-batch", *arguments, str(bench.elf)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
    said = done.stdout
    assert "Breakpoint 1, add (by=" in said
    assert "$1 = 3" in said and "$2 = 0" in said
    assert re.search(r"#0 .*add .*\n#1 .*twice .*\n#2 .*main ", said)
    before, after = (
        int(found, 16) for found in re.findall(r"\$[34] = .* (0x[0-9a-f]+) <add", said)
    )
    assert after == before + 2
    assert "twice (by=" in said.split("$4 = ")[1]  # finish
    assert "$5 = 7" in said
    assert "detached" in said
    assert bench.board.counters().state == "running"


def test_pyocd_erase_and_reset(bench: Bench) -> None:
    with serial.Serial(bench.board.port, timeout=DEADLINE_SECONDS) as line:
        pyocd("reset", "-u", bench.probe, "-t", TARGET)
        assert line.read(4) == bench.said
    pyocd("erase", "-u", bench.probe, "-t", TARGET, "--sector", "0x08000000+0x4000")
    reader = Client(int(bench.probe.rpartition(":")[2]))
    reader.connect()
    handle = reader.result("get_memory_interface_for_ap", 1, 0)
    assert reader.result("read_block32", handle, 0x08000000, 0x1000) == [0xFFFFFFFF] * 0x1000
    reader.close()
