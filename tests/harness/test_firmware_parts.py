"""The firmware's wire and clock, compiled for this machine with sanitizers and fed with what a
unit never hopes to see."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from harness import wire
from harness.wire import Decoder, Frame
from tests.firmware import compile_program, run_program
from tests.harness.test_wire import IDS, VECTORS


@pytest.fixture(scope="module")
def wire_echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program("wire_echo.c", ["app/wire.c"], tmp_path_factory.mktemp("wire"))


@pytest.fixture(scope="module")
def clock_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program("clock_steps.c", ["app/clock.c"], tmp_path_factory.mktemp("clock"))


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_golden_frames_are_reproduced(wire_echo: Path, vector: dict[str, str]) -> None:
    golden = bytes.fromhex(vector["frame"])
    assert run_program(wire_echo, golden) == golden


def test_no_bad_frame_is_taken_and_no_good_one_lost(wire_echo: Path) -> None:
    """Thousands of damaged frames, each followed by a good one, in one run."""
    chance = random.Random(1)
    line, good = bytearray(), []
    for sequence in range(3000):
        golden = bytes.fromhex(chance.choice(VECTORS)["frame"])
        damage = chance.randrange(4)
        if damage == 0:  # cut
            line += golden[: chance.randrange(1, len(golden) - 1)]
        elif damage == 1:  # a byte changed, zeros included
            changed = bytearray(golden)
            changed[chance.randrange(len(golden) - 1)] ^= chance.randrange(1, 256)
            line += changed
        elif damage == 2:  # noise, at times longer than any frame
            line += chance.randbytes(chance.choice([1, 10, 800]))
        else:  # no zero for a long time
            line += bytes(chance.choices(range(1, 256), k=1500))
        frame = Frame(sequence, wire.WriteInput(1, sequence, chance.randbytes(sequence % 508)))
        line += b"\0" + wire.encode(frame)
        good.append(frame)

    echoed = list(Decoder().feed(run_program(wire_echo, bytes(line))))

    assert echoed == good


def test_the_clock_extends_a_32_bit_counter(clock_steps: Path) -> None:
    """Any steps below 2^31 between looks, ticks or not: the sum comes out exact."""
    chance = random.Random(2)
    script, expected, elapsed = ["+4294967290", "start"], [], 0
    for _ in range(2000):
        step = chance.choice([0, 1, 1000, 2**24, 2**31 - 1, chance.randrange(2**31)])
        elapsed += step
        script += [f"+{step}", "tick"]
        if chance.random() < 0.5:
            ahead = chance.randrange(2**31)
            elapsed += ahead
            script += [f"+{ahead}", chance.choice(["now", "interrupted"])]
            expected.append(elapsed)
            script.append("tick")

    printed = run_program(clock_steps, "\n".join(script).encode()).split()

    assert list(map(int, printed)) == expected
    assert elapsed > 2**40


def test_a_restarted_clock_counts_from_zero(clock_steps: Path) -> None:
    script = b"start +500 tick +7 now start now +9 now"
    assert run_program(clock_steps, script).split() == [b"507", b"0", b"9"]


def test_the_tick_runs_only_while_the_clock_does(clock_steps: Path) -> None:
    script = b"ticking start ticking stop ticking"
    assert run_program(clock_steps, script).split() == [b"0", b"1", b"0"]
