"""A board goes back to where it was, and on from there as it did before."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest
import serial

from harness.board import load_board
from harness.errors import BoardError
from harness.virtual import VirtualBoard
from harness.virtual.board import ForkedProcess
from harness.virtual.report import Limits
from tests.harness.virtual.firmware import compile_firmware

# Touches what a snapshot must hold: RAM, FPU, SysTick, a division trap, the line, code in RAM.
WORK = """
volatile uint32_t ticks;
volatile float real = 1;
__attribute__((section(".noinit"))) uint16_t code[2];
void systick(void) { ticks++; real = real * 1.0001f + 0.5f; }
void main(void) {
    CCR |= 1 << 4;
    code[0] = 0x3001; /* adds r0, #1 */
    code[1] = 0x4770; /* bx lr */
    REG(0xE000E014) = 5000;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    real = 1;
    uint32_t sum = get();
    for (uint32_t round = 1;; round++) {
        for (uint32_t i = 1; i < 4000; i++)
            sum = ((uint32_t (*)(uint32_t))((uint32_t)code | 1))(sum * 31 + round / i);
        uint32_t bits;
        float value = real;
        __builtin_memcpy(&bits, &value, 4);
        report(sum ^ bits);
        report(CYCCNT);
        report(ticks);
        if (round % 4 == 0)
            code[0] = 0x3001 + (round & 0xFF); /* changed after it ran */
    }
}"""


def continuation(board: VirtualBoard, line: serial.Serial, words: int) -> list[int]:
    board.go()
    data = line.read(4 * words)
    board.halt()
    assert len(data) == 4 * words
    return list(struct.unpack(f"<{words}I", data))


def test_a_restored_board_goes_on_byte_for_byte_and_cycle_for_cycle(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    elf = compile_firmware(WORK, firmware_folder)
    other = compile_firmware("void main(void) { for (;;) put(get() + 1); }", firmware_folder)
    with serial.Serial(virtual_board.port, timeout=20) as line:
        virtual_board.load(elf)
        line.write(b"s")
        line.read(12 * 3)
        virtual_board.limit(Limits(seconds=0.02))
        virtual_board.go()
        while virtual_board.counters().state != "stopped":
            pass
        line.reset_input_buffer()
        snapshot = virtual_board.snapshot()
        virtual_board.limit(Limits())
        before = virtual_board.counters()
        first = continuation(virtual_board, line, 60)
        virtual_board.restore(snapshot)
        restored = virtual_board.counters()
        assert (restored.cycles, restored.instructions) == (before.cycles, before.instructions)
        virtual_board.limit(Limits())
        assert continuation(virtual_board, line, 60) == first
        virtual_board.load(other)  # other flash, other devices at work
        line.write(b"a")
        assert line.read(1) == b"b"
        virtual_board.restore(snapshot)
        virtual_board.limit(Limits())
        assert continuation(virtual_board, line, 60) == first
    assert first[2] > 0


def test_two_snapshots_do_not_mix(virtual_board: VirtualBoard, firmware_folder: Path) -> None:
    elf = compile_firmware(WORK, firmware_folder)
    with serial.Serial(virtual_board.port, timeout=20) as line:
        virtual_board.load(elf)
        line.write(b"s")
        taken = []
        for seconds in (0.02, 0.01):
            virtual_board.limit(Limits(seconds=seconds))
            virtual_board.go()
            while virtual_board.counters().state != "stopped":
                line.read(line.in_waiting)
            taken.append((virtual_board.snapshot(), virtual_board.counters().cycles))
        for number, cycles in reversed(taken):
            virtual_board.restore(number)
            assert virtual_board.counters().cycles == cycles


def test_a_snapshot_that_was_never_taken_is_refused(virtual_board: VirtualBoard) -> None:
    with pytest.raises(BoardError, match="there is no such snapshot .*got 99"):
        virtual_board.restore(99)


# ---- forks ----


def test_a_fork_goes_on_as_the_board_it_came_from_would(firmware_folder: Path) -> None:
    elf = compile_firmware(WORK, firmware_folder)
    with VirtualBoard(load_board("nucleo_f412zg")) as board:
        with serial.Serial(board.port, timeout=20) as line:
            board.load(elf)
            line.write(b"s")
            line.read(12 * 3)
            board.limit(Limits(seconds=0.02))
            board.go()
            while board.counters().state != "stopped":
                line.read(line.in_waiting)
            line.reset_input_buffer()
            board.limit(Limits())
            forks = [board.fork(), board.fork()]
            assert len({board.port, *(fork.port for fork in forks)}) == 3
            forks[1].close()
            expected = continuation(board, line, 60)
        with forks[0] as fork, serial.Serial(fork.port, timeout=20) as line:
            board.close()
            with fork.fork() as again, serial.Serial(again.port, timeout=20) as other:
                assert continuation(fork, line, 60) == expected
                assert continuation(again, other, 60) == expected


def test_a_fork_takes_another_image(virtual_board: VirtualBoard, firmware_folder: Path) -> None:
    echo = compile_firmware("void main(void) { for (;;) put(get() + 1); }", firmware_folder)
    with virtual_board.fork() as fork, serial.Serial(fork.port, timeout=20) as line:
        fork.load(echo)
        line.write(b"a")
        assert line.read(1) == b"b"


def test_a_fork_s_death_is_its_own(virtual_board: VirtualBoard) -> None:
    with virtual_board.fork() as fork:
        os.kill(fork._process.pid, signal.SIGKILL)
        with pytest.raises(BoardError, match="died during 'count'"):
            fork.counters()
    virtual_board.counters()


def test_a_fork_that_died_before_it_is_known_is_a_board_error() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait(10)
    ours, theirs = socket.socketpair()
    with theirs:
        sentence = rf"died at its start \(expected process {gone.pid}, got no such process\); fork"
        with pytest.raises(BoardError, match=sentence):
            ForkedProcess(gone.pid, ours)
    assert ours.fileno() == -1


def test_a_closed_fork_leaves_no_process_behind(virtual_board: VirtualBoard) -> None:
    fork = virtual_board.fork()
    pid = fork._process.pid
    fork.close()
    fork.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_board_with_a_debugger_does_not_fork() -> None:
    with VirtualBoard(load_board("nucleo_f412zg")) as board:
        board.debug_port()
        with pytest.raises(BoardError, match="whose debug port is served cannot fork"):
            board.fork()
