"""What every board must do, real or played: one class, run on each that is there.

A subclass gives the fixtures `session` (open, of class scope) and `build` (sources -> what flash()
takes, the keyword `selftest` included), and names the faults its port can raise.
"""

from __future__ import annotations

import dataclasses
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from cobs import cobs

from harness import wire
from harness.board import Board, Caches
from harness.errors import (
    BoardError,
    FirmwareFaultError,
    NoReplyError,
    RequestRefusedError,
    WrongImageError,
)
from harness.measurement import Conditions
from harness.session import Session
from harness.wire import Frame
from tests.firmware import ARENA_BYTES, ARENA_USED_BYTES, BIAS, TENSOR_BYTES, model_sources

DEADLINE_S = 10.0
Build = Callable[..., Any]


def make_input(
    *, stack_words: int = 0, code: int = 0, behind_arena: int = 0, spin: int = 0
) -> bytes:
    """An input that tells the test engine what to do; the rest is noise."""
    noise = random.Random(3).randbytes(TENSOR_BYTES - 4)
    return bytes([stack_words, code, behind_arena, spin]) + noise


def caches_of(board: Board) -> wire.FlashCaches:
    """The names of board.toml are those of the wire's flags."""
    flags = wire.FlashCaches(0)
    for name, is_on in vars(board.caches).items():
        flags |= wire.FlashCaches[name.upper()] if is_on else wire.FlashCaches(0)
    return flags


def output_for(data: bytes) -> bytes:
    return bytes((byte + BIAS) % 256 for byte in reversed(data))


def run(session: Session, data: bytes, *, pattern: int = 0xA5, profile: bool = False) -> Any:
    session.prepare(pattern)
    session.write_input(0, data)
    return session.run(profile=profile)


class BoardCase:
    """Subclass it and name it Test...; see the module's docstring."""

    # fault kind -> the function its pc must lie in
    FAULTS: ClassVar[dict[int, str]] = {3: "provoke_bus_fault", 4: "provoke_usage_fault"}

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls) -> Any:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls) -> Build:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, build: Build) -> Any:
        return build(model_sources(), selftest=True)

    @pytest.fixture
    def flashed(self, session: Session, image: Any) -> Session:
        session.flash(image)
        return session

    # who is there

    def test_hello_names_build_board_and_engine(self, flashed: Session, image: Any) -> None:
        expected = wire.Greeting(
            nonce=image.nonce,
            session=flashed.hello.session,
            sysclk_hz=flashed.board.sysclk_hz,
            flash_wait_states=flashed.board.flash_wait_states,
            caches=caches_of(flashed.board),
            arena_bytes=ARENA_BYTES,
            input_bytes=(TENSOR_BYTES,),
            output_bytes=(TENSOR_BYTES,),
            layers=2,
            board=flashed.board.name,
            engine="test",
            engine_version="1",
            kernels="none",
        )
        assert flashed.hello == expected
        assert any(expected.session)
        other = bytes(range(wire.NONCE_BYTES))
        answer = flashed.link.request(wire.Hello(other), deadline_s=DEADLINE_S)
        assert answer == dataclasses.replace(expected, session=other)

    def test_another_build_is_noticed(self, session: Session, image: Any) -> None:
        other = dataclasses.replace(image, nonce=bytes(16))
        with pytest.raises(WrongImageError, match="its build nonce differs.*expected 0000.*got"):
            session.flash(other)

    def test_another_session_is_noticed(
        self, session: Session, image: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else says hello to the unit while this session does."""
        ask = session.link.request

        def ask_beside(message: wire.Request, **details: Any) -> wire.Message:
            other = wire.Hello(bytes(wire.NONCE_BYTES))
            return ask(other if isinstance(message, wire.Hello) else message, **details)

        monkeypatch.setattr(session.link, "request", ask_beside)
        with pytest.raises(WrongImageError, match="its session differs.*got 0000"):
            session.flash(image)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"sysclk_hz": 1_000_000}, r"clock \(Hz\).*expected 1000000, got [0-9]+"),
            ({"flash_wait_states": 9}, "flash wait states.*expected 9, got [0-9]"),
            ({"caches": Caches(False, False, True)}, "flash caches.*expected data, got "),
        ],
    )
    def test_a_chip_that_runs_otherwise_than_its_board_is_noticed(
        self,
        session: Session,
        image: Any,
        monkeypatch: pytest.MonkeyPatch,
        change: dict[str, Any],
        told: str,
    ) -> None:
        monkeypatch.setattr(session, "board", dataclasses.replace(session.board, **change))
        with pytest.raises(BoardError, match=told):
            session.flash(image)

    # what a run does

    def test_input_goes_in_and_the_output_comes_back(self, flashed: Session) -> None:
        data = make_input()
        assert run(flashed, data).cycles > 0
        assert flashed.read_output(0) == output_for(data)

    def test_runs_may_be_repeated(self, flashed: Session) -> None:
        for stack_words in (1, 2, 3):
            data = make_input(stack_words=stack_words)
            flashed.prepare(0x5A)
            flashed.write_input(0, data)
            flashed.run()
            assert flashed.read_output(0) == output_for(data)

    def test_a_run_that_the_line_repeats_is_answered_once(self, flashed: Session) -> None:
        """A second inference would read inputs that the first one may have written over."""
        flashed.prepare(0x5A)
        flashed.write_input(0, make_input())
        request = wire.encode(Frame(4711, wire.Run(False)))
        flashed.link.write(request)
        answer = flashed.link.receive(DEADLINE_S)
        assert answer.sequence == 4711 and isinstance(answer.message, wire.RunDone)
        flashed.link.write(request + wire.encode(Frame(4712, wire.ReadOutput(0, 0, 1))))
        assert flashed.link.receive(DEADLINE_S).sequence == 4712

    def test_layers_are_reported_and_sum_to_no_more_than_the_whole(self, flashed: Session) -> None:
        data = make_input()
        result = run(flashed, data, profile=True)
        assert [index for index, _ in result.layers] == [0, 1]
        assert all(cycles > 0 for _, cycles in result.layers)
        assert sum(cycles for _, cycles in result.layers) <= result.cycles
        assert flashed.read_output(0) == output_for(data)

    def test_a_longer_run_takes_more_cycles(self, flashed: Session) -> None:
        short, long = (run(flashed, make_input(spin=spin)).cycles for spin in (1, 8))
        assert long > 3 * short

    # how memory is measured

    @pytest.mark.parametrize("pattern", [0x00, 0x5A, 0xFF])
    def test_the_arena_mark_is_exact(self, flashed: Session, pattern: int) -> None:
        data = make_input()
        data = bytes([(pattern + 1) % 256 % 8]) + data[1:]  # its image ends the output
        assert output_for(data)[-1] != pattern
        result = run(flashed, data, pattern=pattern)
        assert result.arena_used_bytes == ARENA_USED_BYTES
        assert result.guard_intact

    def test_the_stack_mark_follows_the_deepest_call_to_the_byte(self, flashed: Session) -> None:
        marks = [
            run(flashed, make_input(stack_words=words)).stack_used_bytes
            for words in (100, 140, 250, 100)
        ]
        assert marks[1] - marks[0] == 8 * 40
        assert marks[2] - marks[1] == 8 * 110
        assert marks[3] == marks[0]

    def test_a_mark_stays_until_memory_is_painted_again(self, flashed: Session) -> None:
        deep = run(flashed, make_input(stack_words=200)).stack_used_bytes
        flashed.write_input(0, make_input(stack_words=1))
        assert flashed.run().stack_used_bytes == deep

    def test_a_write_behind_the_arena_breaks_the_guard(self, flashed: Session) -> None:
        assert not run(flashed, make_input(behind_arena=0x77), pattern=0xA5).guard_intact
        # The pattern's own value is invisible, hence the second run with another pattern.
        assert run(flashed, make_input(behind_arena=0x77), pattern=0x77).guard_intact

    # what the chip says of itself

    def test_conditions_are_told_between_runs(self, flashed: Session) -> None:
        data = make_input()
        before = run(flashed, data)
        self.check_conditions(flashed.conditions())
        self.check_conditions(flashed.conditions())  # what was used is fit to be used again
        behind = run(flashed, data)
        assert flashed.read_output(0) == output_for(data)
        assert dataclasses.replace(behind, cycles=before.cycles) == before

    def check_conditions(self, told: Conditions) -> None:
        """Where no chip is played that has sensors."""
        assert told == Conditions(None, None)

    def test_the_counter_of_cycles_goes_on(self, flashed: Session) -> None:
        before, behind = flashed.cycles(), flashed.cycles()
        assert 0 < (behind - before) % 2**32 < 2**31

    # what is refused

    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (wire.WriteInput(1, 0, b""), "WriteInput: out of range, detail 1"),
            (wire.WriteInput(0, 1001, b""), "WriteInput: out of range, detail 1001"),
            (wire.WriteInput(0, 0xFFFFFFFF, b"x"), "WriteInput: out of range, detail 4294967295"),
            (wire.WriteInput(0, 999, b"xy"), "WriteInput: out of range, detail 2"),
            (wire.ReadOutput(1, 0, 1), "ReadOutput: out of range, detail 1"),
            (wire.ReadOutput(0, 900, 101), "ReadOutput: out of range, detail 101"),
            (wire.ReadOutput(0, 0, 508), "ReadOutput: out of range, detail 508"),
            (wire.Run(False), "Run: not prepared, detail 0"),
            (wire.Provoke(99), "Provoke: out of range, detail 99"),
        ],
    )
    def test_what_cannot_be_done_is_refused(
        self, flashed: Session, request_: wire.Request, reason: str
    ) -> None:
        with pytest.raises(RequestRefusedError) as caught:
            flashed.link.request(request_, deadline_s=DEADLINE_S)
        assert f"the unit refused {reason}" in str(caught.value)

    @pytest.mark.parametrize(
        ("kind", "payload", "code", "detail"),
        [
            (0x33, b"", 1, 0),  # unknown type
            (0x81, b"", 1, 0),  # a reply is no request
            (0x01, b"x", 2, 1),  # bad length
            (0x02, b"", 2, 0),
            (0x03, b"\0\0\0\0", 2, 4),
            (0x05, bytes(8), 2, 8),
            (0x07, b"x", 2, 1),
            (0x04, b"\x82", 3, 0x82),  # unknown flags
        ],
    )
    def test_a_wrong_request_is_refused_by_code(
        self, flashed: Session, kind: int, payload: bytes, code: int, detail: int
    ) -> None:
        body = struct.pack("<BH", kind, 777) + payload
        frame = cobs.encode(body + struct.pack("<I", zlib.crc32(body)))
        flashed.link.write(b"\0" + frame + b"\0")
        answer = flashed.link.receive(DEADLINE_S)
        assert answer == Frame(777, wire.Refused(code, kind, detail))

    def test_a_hello_that_fits_no_frame_is_refused(self, session: Session, build: Build) -> None:
        with pytest.raises(
            RequestRefusedError, match="refused to introduce itself: .* detail 201"
        ):
            session.flash(build(model_sources(input_count=200)))

    def test_an_engine_that_fails_says_with_which_code(self, flashed: Session) -> None:
        with pytest.raises(RequestRefusedError, match="refused Run: the engine failed, detail 7"):
            run(flashed, make_input(code=7))

    def test_an_engine_that_cannot_be_set_up_says_why_and_has_no_tensors(
        self, session: Session, build: Build
    ) -> None:
        session.flash(build(model_sources(reset_code=9)))
        with pytest.raises(
            RequestRefusedError,
            match="refused Prepare: the engine failed, detail 9, 'no room for two'",
        ):
            session.prepare(0xA5)
        for use in (
            lambda: session.write_input(0, bytes(TENSOR_BYTES)),
            session.run,
            lambda: session.read_output(0),
        ):
            with pytest.raises(RequestRefusedError, match="not prepared, detail 0;"):
                use()

    def test_faults_cannot_be_provoked_in_a_shipped_image(
        self, session: Session, build: Build
    ) -> None:
        session.flash(build(model_sources()))
        with pytest.raises(RequestRefusedError, match="refused Provoke: unknown request type"):
            session.provoke(3)

    # what goes wrong

    def test_faults_are_reported_with_kind_and_place(self, flashed: Session) -> None:
        for kind, function in self.FAULTS.items():
            with pytest.raises(FirmwareFaultError) as caught:
                flashed.provoke(kind)
            assert caught.value.kind == wire.FAULT_KINDS[kind]
            assert f"{wire.FAULT_KINDS[kind]} in {function}" in str(caught.value)
            assert "while serving Provoke: pc " in str(caught.value)
            flashed.restart()

    def test_a_bus_fault_names_the_address(self, flashed: Session) -> None:
        with pytest.raises(FirmwareFaultError) as caught:
            flashed.provoke(3)
        assert caught.value.registers["bfar"] == 0x30000000
        assert "bfar 30000000" in str(caught.value)

    def test_a_stack_overflow_is_called_one(self, flashed: Session) -> None:
        with pytest.raises(FirmwareFaultError) as caught:
            flashed.provoke(5)
        assert caught.value.kind == "stack overflow"
        place = str(caught.value)
        if caught.value.registers["pc"] == 0:
            assert "in an unknown place (the core could not stack its registers)" in place
        else:
            assert "in provoke_stack_overflow+0x" in place

    def test_after_a_fault_there_is_silence_until_a_reset(self, flashed: Session) -> None:
        with pytest.raises(FirmwareFaultError):
            flashed.provoke(4)
        with pytest.raises(NoReplyError, match="the reply to Hello did not come within 0.3 s"):
            flashed.link.request(wire.Hello(bytes(16)), deadline_s=0.3)
        flashed.restart()
        data = make_input()
        run(flashed, data)
        assert flashed.read_output(0) == output_for(data)

    @pytest.mark.parametrize(
        "noise",
        [
            b"\xff" * 700,
            bytes(50),
            random.Random(4).randbytes(3000),
            wire.encode(Frame(9, wire.Prepare(1)))[:5],
            b"\0" + wire.encode(Frame(9, wire.Prepare(1)))[:-2] + b"\0",
        ],
        ids=["endless frame", "zeros", "random", "half a frame", "cut frame"],
    )
    def test_noise_on_the_line_does_not_end_service(self, flashed: Session, noise: bytes) -> None:
        flashed.link.write(noise)
        again = wire.Hello(flashed.hello.session)
        assert flashed.link.request(again, deadline_s=DEADLINE_S) == flashed.hello

    def test_a_request_may_come_in_pieces(self, flashed: Session) -> None:
        frame = wire.encode(Frame(5, wire.Prepare(1)))
        for byte in frame:
            flashed.link.write(bytes([byte]))
        assert flashed.link.receive(DEADLINE_S) == Frame(5, wire.Prepared())
