"""QEMU's board does what a board must, ends when it should, and counts instructions: the same ones
that the virtual board executes."""

from __future__ import annotations

import bisect
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.models import NO_MODELS, REFERENCE_MODELS, mlperf_tiny
from harness import oracle
from harness.board import ROOT, Qemu, load_board
from harness.engines import AOT
from harness.errors import (
    BoardError,
    NoReplyError,
    NotComparableError,
    ToolchainError,
    UnknownBoardError,
    UsageError,
)
from harness.image import Image, build_image
from harness.measure import measure, random_inputs
from harness.measurement import load_measurement
from harness.options import DEFAULTS
from harness.qemu import QEMU, QemuBoard, qemu_version
from harness.session import Deadlines, Session, open_session, vias_of
from harness.symbols import Symbols
from harness.virtual import VirtualBoard
from harness.virtual.observed import EXCEPTION_ROOT, Modes, Observed
from tests.board_case import BoardCase, Build, make_input, output_for, run
from tests.commands import call
from tests.firmware import ENGINE_DIR, model_sources
from tests.harness.virtual.test_process import alive, wait_until
from tests.tflite_factory import small_network

BOARD = load_board("netduinoplus2")
needs_qemu = pytest.mark.skipif(
    shutil.which(QEMU) is None, reason=f"{QEMU} is not installed; scripts/setup installs it"
)


@needs_qemu
class TestQemuBoard(BoardCase):
    FAULTS = {**BoardCase.FAULTS, 1: "port_provoke", 6: "port_provoke"}

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls) -> Iterator[Session]:
        with open_session(BOARD, "qemu") as session:
            yield session

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls) -> Build:
        return functools.partial(build_image, board=BOARD, engine_dir=ENGINE_DIR)

    def test_its_label_names_qemu_and_its_version(self, session: Session) -> None:
        assert (session.via, session.timing) == ("qemu", "instructions")
        assert session.timing_model == f"QEMU {qemu_version()}"

    def test_the_same_run_takes_the_same_instructions_after_a_restart_too(
        self, flashed: Session
    ) -> None:
        data = make_input(stack_words=50)
        counts = {run(flashed, data).cycles for _ in range(2)}
        flashed.restart()
        assert counts == {run(flashed, data).cycles} and len(counts) == 1

    def test_counts_grow_with_the_work_across_the_wrap_and_a_tick(self, flashed: Session) -> None:
        """In an image built for tests the timer starts 2^23 counts before it wraps; SysTick
        interrupts after 2^24 cycles of QEMU's 168 MHz, 99.9 million instructions."""
        one, some, many = (run(flashed, make_input(spin=spin)).cycles for spin in (1, 64, 255))
        a_round = (some - one) // 63
        assert some == one + 63 * a_round and some > 2**24
        assert 0 < many - (one + 254 * a_round) < 100  # the tick's handler

    def test_a_bare_reset_starts_with_clean_memory(self, flashed: Session) -> None:
        flashed.prepare(0xA5)
        flashed.restart()
        data = make_input()
        run(flashed, data)
        assert flashed.read_output(0) == output_for(data)


@pytest.fixture(scope="module")
def image() -> Image:
    return build_image(model_sources(), BOARD, engine_dir=ENGINE_DIR)


# how it ends


@needs_qemu
def test_a_process_that_dies_in_a_run_is_named_with_its_end(image: Image) -> None:
    with open_session(BOARD, "qemu") as session:
        session.flash(image)
        session.prepare(0xA5)
        session.write_input(0, make_input(spin=255))
        assert isinstance(session.unit, QemuBoard) and session.unit.pid is not None
        threading.Timer(0.05, os.kill, (session.unit.pid, signal.SIGKILL)).start()
        with pytest.raises(BoardError, match="Run did not .*: QEMU ended with exit status -9; re"):
            session.run(deadline_s=2)


@needs_qemu
def test_a_process_that_hangs_is_silent_until_the_deadline_and_ends_with_the_session(
    image: Image,
) -> None:
    with open_session(BOARD, "qemu") as session:
        session.flash(image)
        session.prepare(0xA5)
        assert isinstance(session.unit, QemuBoard) and session.unit.pid is not None
        pid = session.unit.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(NoReplyError, match="the reply to Run did not come within 0.2 s"):
            session.run(deadline_s=0.2)
    assert not alive(pid)


@needs_qemu
def test_a_qemu_that_cannot_play_the_machine_is_quoted(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_session(BOARD, "qemu") as session:
        session.deadlines = Deadlines(boot_s=4.0)
        monkeypatch.setattr(session.unit, "_qemu", Qemu("moon", serial=0))
        with pytest.raises(
            BoardError, match="QEMU ended with exit status 1, saying .*unsupported machine"
        ):
            session.flash(image)


@needs_qemu
def test_it_dies_with_the_process_that_started_it(image: Image) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from harness.board import load_board\n"
        "from harness.qemu import QemuBoard\n"
        "with QemuBoard(load_board('netduinoplus2').qemu) as unit:\n"
        "    unit.load(Path(sys.argv[1]))\n"
        "    print(unit.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, image.elf],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: b"qemu" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0])
        parent.kill()
    wait_until(lambda: not alive(pid))


# what is refused


def test_a_machine_without_qemu_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = f"^{QEMU} is not on the PATH; apt-get install qemu-system-arm$"
    with pytest.raises(ToolchainError, match=sentence), open_session(BOARD, "qemu"):
        pass


def test_a_qemu_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in ((QEMU, "#!/bin/sh\nexit 3\n"), ("setpriv", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match=f"{QEMU}: does not run: .* exit status 3.; apt-get"):
        qemu_version()
    (tmp_path / QEMU).write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(ToolchainError, match="does not tell its version"):
        qemu_version()


def test_a_board_that_qemu_does_not_have_is_refused() -> None:
    board = load_board("nucleo_f446re")
    assert "qemu" not in vias_of(board) and "qemu" in vias_of(BOARD)
    with pytest.raises(
        UnknownBoardError,
        match=r"nucleo_f446re cannot be measured via 'qemu' \(expected .*\); use --via virtual",
    ):
        open_session(board, "qemu")


def test_there_is_no_probe_to_flash_through() -> None:
    with (
        pytest.raises(UsageError, match="QEMU's boards have no debug probe"),
        open_session(BOARD, "qemu", "probe"),
    ):
        pass


def test_an_image_is_needed_before_a_reset() -> None:
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed; scripts/setup installs it")
    assert BOARD.qemu is not None
    with QemuBoard(BOARD.qemu) as unit:
        assert unit.pid is None and unit.explain_silence() is None
        with pytest.raises(BoardError, match="reset without an image; load one first"):
            unit.reset()


# what is counted


@pytest.fixture(scope="module")
def boards() -> Iterator[tuple[Session, Session]]:
    """The same board, played by QEMU and by us."""
    with open_session(BOARD, "qemu") as qemu, open_session(BOARD, "virtual") as ours:
        yield qemu, ours


def compare(model: bytes, boards: tuple[Session, Session], name: str) -> int:
    """Runs one image on both; the outputs are the reference's. How many instructions QEMU counts
    above those of the engine: what reading the clock twice takes."""
    qemu, ours = boards
    built = AOT.build(model, ours, name=name, options=DEFAULTS, on_step=lambda step: None)
    inputs = random_inputs(built.graph, seed=0)
    symbols = Symbols(built.image.elf)
    for session in boards:
        session.flash(built.image)
        session.prepare(0xA5)
        for index, array in enumerate(inputs):
            session.write_input(index, array.tobytes())
    assert isinstance(ours.unit, VirtualBoard)
    ours.unit.observe(Modes(profile=True), symbols.boundaries())
    ours.unit.go()
    ours.run()
    seen = ours.unit.observed()
    assert seen is not None and seen.dropped == 0
    ours.unit.observe(Modes())
    ours.unit.go()
    counted = qemu.run().cycles
    for index, expected in enumerate(oracle.reference_outputs(model, inputs)):
        assert qemu.read_output(index) == expected.tobytes()
    return counted - engine_instructions(seen, symbols)


def engine_instructions(seen: Observed, symbols: Symbols) -> int:
    """How many the virtual board executed in engine_invoke and what it calls, interrupts aside."""
    inside: set[int] = set()
    for number, made in enumerate(seen.calls):
        if made.function >= EXCEPTION_ROOT:
            continue
        if made.parent in inside or symbols.name_at(made.function) == "engine_invoke":
            inside.add(number)
    functions = {seen.calls[number].function for number in inside}
    elsewhere = {made.function for n, made in enumerate(seen.calls) if n not in inside}
    assert functions and not functions & elsewhere
    starts = symbols.boundaries()
    return sum(
        block.executions
        for block in seen.blocks
        for address, _ in block.instructions
        if starts[bisect.bisect_right(starts, address) - 1] in functions
    )


@pytest.fixture(scope="module")
def clock_instructions(boards: tuple[Session, Session]) -> int:
    return compare(small_network(), boards, "small")


@needs_qemu
@pytest.mark.parametrize("name", REFERENCE_MODELS)
def test_a_reference_model_takes_the_instructions_that_the_virtual_board_executes(
    name: str, boards: tuple[Session, Session], clock_instructions: int
) -> None:
    path = mlperf_tiny(name)
    if path is None:
        pytest.skip(NO_MODELS)
    assert compare(path.read_bytes(), boards, name) == clock_instructions
    assert 0 < clock_instructions < 50


@needs_qemu
def test_instructions_and_cycles_never_meet(boards: tuple[Session, Session]) -> None:
    counted, modelled = (measure(small_network(), session, repeats=2) for session in boards)
    assert counted.output.bit_exact and counted.cycles.min == counted.cycles.max
    assert counted.image_sha256 == modelled.image_sha256
    assert f"netduinoplus2, via qemu, instructions (QEMU {qemu_version()})" in counted.label
    with pytest.raises(NotComparableError, match="measurements differ in via"):
        counted.comparable_with(modelled)


@needs_qemu
def test_measure_prints_instructions_and_no_latency(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model, file = tmp_path / "small.tflite", tmp_path / "m.json"
    model.write_bytes(small_network())
    words = ("--board", BOARD.name, "--via", "qemu", "--repeats", 1, "--layers", "--json", file)
    answer = call(monkeypatch, capsys, "measure", model, *words)
    assert answer.code == 0, answer.err
    measured = load_measurement(file)
    assert f"{measured.cycles.median:,.0f}" in answer.out and "MAC/instruction" in answer.out
    assert "latency" not in answer.out and "cycle" not in answer.out
