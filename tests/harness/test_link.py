"""The link against a pty whose other end follows a script: good, late, half, garbled, silent."""

from __future__ import annotations

import os
import pty
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import serial.serialposix

from harness import wire
from harness.errors import (
    BoardError,
    FirmwareFaultError,
    FrameError,
    LinkError,
    NoReplyError,
    RequestRefusedError,
)
from harness.link import Link
from harness.wire import Decoder, Frame

Script = Callable[[Frame], bytes]
GREETING = wire.Greeting(
    *(bytes(16), bytes(range(16)), 100_000_000, 3, wire.FlashCaches.DATA, 64, (4,), (4,), 1),
    *("board", "aot", "1", "dsp"),
)
HELLO = wire.Hello(GREETING.session)
PREPARE = wire.Prepare(0xA5)
FAULT = wire.Fault(
    3, 0x0800_0710, 0x0800_0769, 0x6100_0000, 0x8200, 0, 0, 0x3000_0000, 0x2000_0F80
)


class Peer:
    """The unit's end of the line: answers each request as the script says and keeps them all."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Frame] = []
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang_up()

    def send(self, data: bytes) -> None:
        os.write(self._ours, data)

    def hang_up(self) -> None:
        if self._thread.is_alive():
            # The stop word ends the thread's read; a frame could not hold it.
            os.write(self._theirs, b"\0\x01stop\0")
            self._thread.join(10)
            os.close(self._theirs)
            os.close(self._ours)

    def _serve(self) -> None:
        decoder, line = Decoder(), b""
        while b"\x01stop" not in line:
            data = os.read(self._ours, 4096)
            line = (line + data)[-64:]
            for event in decoder.feed(data):
                if isinstance(event, Frame):
                    self.requests.append(event)
                    os.write(self._ours, self.script(event))


def reply(frame: Frame, message: wire.Message) -> bytes:
    return wire.encode(Frame(frame.sequence, message))


def scripted(*answers: Callable[[Frame], bytes] | bytes) -> Script:
    """The n-th request gets the n-th answer; later ones get none."""
    left = list(answers)

    def answer(frame: Frame) -> bytes:
        if not left:
            return b""
        first = left.pop(0)
        return first if isinstance(first, bytes) else first(frame)

    return answer


def prepared(frame: Frame) -> bytes:
    return reply(frame, wire.Prepared())


def run_done(frame: Frame) -> bytes:
    return reply(frame, wire.RunDone(1, 2, 3, True))


@pytest.fixture
def connect() -> Iterator[Callable[[Script], tuple[Peer, Link]]]:
    opened: list[Any] = []

    def open_both(script: Script) -> tuple[Peer, Link]:
        peer = Peer(script).__enter__()
        link = Link(peer.port, 921_600).__enter__()
        opened.extend((peer, link))
        return peer, link

    yield open_both
    for each in reversed(opened):
        each.__exit__(None, None, None)


Connect = Callable[[Script], tuple[Peer, Link]]


def test_a_reply_is_matched_by_its_sequence_number(connect: Connect) -> None:
    peer, link = connect(
        lambda frame: (
            wire.encode(Frame(frame.sequence + 7, wire.Prepared())) + run_done(frame)
            if isinstance(frame.message, wire.Run)
            else prepared(frame)
        )
    )
    assert link.request(PREPARE, deadline_s=10) == wire.Prepared()
    assert link.request(wire.Run(False), deadline_s=10) == wire.RunDone(1, 2, 3, True)
    assert [frame.sequence for frame in peer.requests] == [1, 2]


def test_sequence_numbers_wrap_past_zero(connect: Connect) -> None:
    """0 is kept for what a unit says unasked."""
    peer, link = connect(prepared)
    link._sequence = 0xFFFF
    link.request(PREPARE, deadline_s=10)
    assert peer.requests[0].sequence == 1


def test_noise_before_a_reply_is_tolerated(connect: Connect) -> None:
    peer, link = connect(scripted(lambda frame: b"\x05boot loader 1.0\r\n\0" + prepared(frame)))
    assert link.request(PREPARE, deadline_s=10) == wire.Prepared()


def test_silence_is_named_with_what_was_awaited_and_how_long(connect: Connect) -> None:
    peer, link = connect(scripted())
    with pytest.raises(NoReplyError) as caught:
        link.request(wire.Run(False), deadline_s=0.2)
    assert str(caught.value) == (
        f"{peer.port}: the reply to Run did not come within 0.2 s "
        "(expected one frame, got not one byte); is the board powered and flashed?"
    )


def test_half_a_frame_is_shown_in_hexadecimal(connect: Connect) -> None:
    half = wire.encode(Frame(1, wire.RunDone(1, 2, 3, True)))[:6]
    _, link = connect(scripted(half))
    with pytest.raises(NoReplyError) as caught:
        link.request(wire.Run(False), deadline_s=2)
    assert f"got 6 bytes of an unfinished frame, [{half.hex(' ')}]" in str(caught.value)


def test_bytes_that_are_no_frame_are_told_from_silence(connect: Connect) -> None:
    _, link = connect(scripted(b"\x03no\0"))
    with pytest.raises(NoReplyError) as caught:
        link.request(wire.Run(False), deadline_s=2)
    assert "got 4 bytes that are no frame, ending in [03 6e 6f 00]" in str(caught.value)


def test_after_good_frames_the_last_bytes_are_shown(connect: Connect) -> None:
    _, link = connect(scripted(prepared))
    link.request(PREPARE, deadline_s=10)
    with pytest.raises(NoReplyError) as caught:
        link.request(wire.Run(False), deadline_s=0.2)
    assert "got nothing; the last bytes before were [" in str(caught.value)


def test_endless_garbage_is_a_frame_error(connect: Connect) -> None:
    _, link = connect(scripted(b"\xff" * 3000, b"\xff" * 3000, b"\xff" * 3000))
    with pytest.raises(FrameError) as caught:
        link.request(PREPARE, deadline_s=3)
    assert "bytes without a frame while waiting for the reply to Prepare" in str(caught.value)
    assert "the last 32 were [ff ff ff" in str(caught.value)
    assert "check baud rate and wiring" in str(caught.value)


def test_a_lost_request_is_sent_again_with_the_same_number(connect: Connect) -> None:
    peer, link = connect(scripted(b"", b"", prepared))
    assert link.request(PREPARE, deadline_s=6) == wire.Prepared()
    assert peer.requests == [Frame(1, PREPARE)] * 3


def test_after_three_attempts_the_link_gives_up(connect: Connect) -> None:
    peer, link = connect(scripted())
    with pytest.raises(NoReplyError, match="did not come within 1.5 s, asked 3 times"):
        link.request(PREPARE, deadline_s=1.5)
    assert len(peer.requests) == 3


def test_a_run_is_never_asked_for_twice(connect: Connect) -> None:
    peer, link = connect(scripted())
    with pytest.raises(NoReplyError):
        link.request(wire.Run(False), deadline_s=1)
    assert len(peer.requests) == 1


def test_a_late_second_reply_is_not_taken_for_the_next_one(connect: Connect) -> None:
    _, link = connect(scripted(lambda frame: prepared(frame) * 2, run_done))
    link.request(PREPARE, deadline_s=10)
    assert isinstance(link.request(wire.Run(False), deadline_s=10), wire.RunDone)


def test_layers_arrive_in_order_before_the_reply(connect: Connect) -> None:
    sent = [wire.LayerDone(0, 10), wire.LayerDone(1, 20)]
    _, link = connect(
        scripted(lambda frame: b"".join(reply(frame, layer) for layer in sent) + run_done(frame))
    )
    layers: list[wire.LayerDone] = []
    link.request(wire.Run(True), deadline_s=10, on_layer=layers.append)
    assert layers == sent


def test_a_late_answer_to_a_run_given_up_is_passed_over(connect: Connect) -> None:
    late: list[Frame] = []
    _, link = connect(
        scripted(
            lambda frame: late.append(frame) or b"",  # type: ignore[func-returns-value]
            lambda frame: run_done(late[0]) + prepared(frame),
        )
    )
    with pytest.raises(NoReplyError):
        link.request(wire.Run(False), deadline_s=0.2)
    assert link.request(PREPARE, deadline_s=10) == wire.Prepared()


@pytest.mark.parametrize(
    ("code", "reason"), [(5, "not prepared, detail 9"), (77, "code 77, detail 9")]
)
def test_a_refusal_names_request_and_reason(connect: Connect, code: int, reason: str) -> None:
    _, link = connect(scripted(lambda frame: reply(frame, wire.Refused(code, 4, 9))))
    with pytest.raises(RequestRefusedError, match=f"the unit refused Run: {reason}"):
        link.request(wire.Run(False), deadline_s=10)


def test_what_the_engine_said_is_quoted_with_the_refusal_and_forgotten_then(
    connect: Connect,
) -> None:
    words = ["", "first", "12 bytes missing\n", "\r\n", "in node 0", "gives up"]

    def refuse(frame: Frame) -> bytes:
        return reply(frame, wire.Refused(4, 4, 2))

    def explain(frame: Frame) -> bytes:
        return b"".join(reply(frame, wire.Log(text)) for text in words) + refuse(frame)

    _, link = connect(scripted(explain, refuse))
    with pytest.raises(RequestRefusedError) as caught:
        link.request(wire.Run(False), deadline_s=10)
    assert str(caught.value).endswith(
        "the engine failed, detail 2, '12 bytes missing', 'in node 0', 'gives up'"
    )
    with pytest.raises(RequestRefusedError, match="detail 2; was the image built by"):
        link.request(wire.Run(False), deadline_s=10)


def test_what_the_engine_said_is_quoted_with_a_fault(connect: Connect) -> None:
    _, link = connect(
        scripted(lambda frame: reply(frame, wire.Log("in node 7")) + reply(frame, FAULT))
    )
    with pytest.raises(FirmwareFaultError, match="sp 20000f80, 'in node 7'; reset the unit"):
        link.request(wire.Run(False), deadline_s=10)


def test_a_fault_carries_kind_and_registers(connect: Connect) -> None:
    peer, link = connect(scripted(lambda frame: reply(frame, FAULT)))
    with pytest.raises(FirmwareFaultError) as caught:
        link.request(wire.Run(False), deadline_s=10)
    assert str(caught.value).startswith(
        f"{peer.port}: BusFault in 0x08000710 while serving Run: pc 08000710, lr 08000769, "
        "psr 61000000, cfsr 00008200, hfsr 00000000, mmfar 00000000, bfar 30000000, sp 20000f80"
    )
    assert caught.value.kind == "BusFault"
    assert caught.value.registers["bfar"] == 0x3000_0000


@pytest.mark.parametrize(
    ("known", "place"),
    [
        ({0x0800_0710: "conv_2d_s8+0x10"}, "in conv_2d_s8+0x10 while"),
        ({0x0800_0768: "model_invoke+0x20"}, "in 0x08000710, called from model_invoke+0x20 while"),
    ],
)
def test_a_fault_names_the_function_where_it_is_known(
    connect: Connect, known: dict[int, str], place: str
) -> None:
    _, link = connect(scripted(lambda frame: reply(frame, FAULT)))
    link.find_function = known.get
    with pytest.raises(FirmwareFaultError) as caught:
        link.request(wire.Run(False), deadline_s=10)
    assert place in str(caught.value)


def test_a_restart_instead_of_a_reply_is_noticed(connect: Connect) -> None:
    _, link = connect(scripted(wire.encode(Frame(0, wire.Boot(GREETING)))))
    with pytest.raises(BoardError, match="the unit restarted instead of answering Run; check"):
        link.request(wire.Run(False), deadline_s=10)


def test_a_greeting_may_follow_a_restart(connect: Connect) -> None:
    boot = wire.encode(Frame(0, wire.Boot(GREETING)))
    _, link = connect(scripted(lambda frame: boot + reply(frame, GREETING)))
    assert link.request(HELLO, deadline_s=10) == GREETING


def test_a_reply_of_another_type_is_refused(connect: Connect) -> None:
    _, link = connect(scripted(prepared))
    with pytest.raises(FrameError) as caught:
        link.request(wire.Run(False), deadline_s=10)
    assert "Run was answered with another type (expected 0x84, got Prepared (0x82))" in str(
        caught.value
    )


def test_boot_is_awaited_through_noise(connect: Connect) -> None:
    peer, link = connect(scripted())
    peer.send(b"\x05??\0" + wire.encode(Frame(3, wire.Prepared())))
    peer.send(wire.encode(Frame(0, wire.Boot(GREETING))))
    assert link.await_boot(10) == GREETING


def test_a_missing_boot_is_named(connect: Connect) -> None:
    _, link = connect(scripted())
    with pytest.raises(NoReplyError, match="Boot after a reset did not come within 0.1 s"):
        link.await_boot(0.1)


def test_a_fault_while_starting_is_reported(connect: Connect) -> None:
    peer, link = connect(scripted())
    peer.send(wire.encode(Frame(0, FAULT)))
    with pytest.raises(FirmwareFaultError, match="BusFault in 0x08000710 while starting"):
        link.await_boot(10)


def test_any_frame_can_be_received_or_missed(connect: Connect) -> None:
    peer, link = connect(scripted())
    peer.send(wire.encode(Frame(3, wire.Prepared())))
    assert link.receive(10) == Frame(3, wire.Prepared())
    with pytest.raises(NoReplyError, match="a frame did not come within 0.1 s"):
        link.receive(0.1)


def test_what_is_there_when_the_host_looks_late_is_not_missed(connect: Connect) -> None:
    """A deadline that passed while nobody looked, as on a host that stood still."""
    peer, link = connect(scripted())
    sent = wire.encode(Frame(3, wire.Prepared()))
    peer.send(sent)
    while link._serial.in_waiting < len(sent):  # the kernel hands a pty's bytes on in its own time
        time.sleep(0.01)
    assert link.receive(0) == Frame(3, wire.Prepared())


def test_discard_forgets_what_arrived(connect: Connect) -> None:
    peer, link = connect(scripted())
    peer.send(wire.encode(Frame(3, wire.Prepared())) * 2)
    link.receive(10)  # the second frame waits decoded
    link.discard()
    with pytest.raises(NoReplyError):
        link.receive(0.1)


def test_a_line_that_breaks_is_told_from_silence(connect: Connect) -> None:
    peer, link = connect(scripted())
    peer.hang_up()
    with pytest.raises(LinkError, match="the serial line broke: .*; was the board unplugged"):
        link.request(wire.Run(False), deadline_s=10)
    with pytest.raises(LinkError, match="the serial line broke"):
        link.discard()


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError) as caught:
        Link(str(tmp_path / "ttyNone"), 921_600, log=tmp_path / "serial.log")
    assert str(caught.value).startswith(f"{tmp_path}/ttyNone: serial port cannot be opened: ")
    assert "is the board plugged in, may you use the port (group dialout)" in str(caught.value)


def test_a_port_that_another_link_uses_is_refused(connect: Connect) -> None:
    peer, _ = connect(scripted())
    with pytest.raises(LinkError, match="cannot be opened: .*exclusively lock.*nobody else"):
        Link(peer.port, 921_600)


def test_a_line_that_takes_no_bytes_is_named() -> None:
    ours, theirs = pty.openpty()  # nobody reads `ours`
    tty.setraw(theirs)
    try:
        with Link(os.ttyname(theirs), 921_600, write_s=0.1) as link:
            with pytest.raises(NoReplyError, match="did not take 100000 bytes within 0.1 s"):
                link.write(b"U" * 100_000)
            link.discard()
            os.set_blocking(ours, False)
            os.read(ours, 1 << 20)
    finally:
        os.close(ours)
        os.close(theirs)


def test_dtr_and_rts_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pty has no such lines; what can be seen is that nobody asks for them, and that closing the
    port will not lower them."""
    asked: list[int] = []
    ioctl = serial.serialposix.fcntl.ioctl
    monkeypatch.setattr(
        serial.serialposix.fcntl, "ioctl", lambda *words: asked.append(words[1]) or ioctl(*words)
    )
    ours, theirs = pty.openpty()
    try:
        attributes = termios.tcgetattr(theirs)
        attributes[2] |= termios.HUPCL
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        with Link(os.ttyname(theirs), 115200) as link:
            os.write(ours, wire.encode(Frame(1, wire.Prepared())))
            link.receive(5.0)
            assert not termios.tcgetattr(theirs)[2] & termios.HUPCL
    finally:
        os.close(ours)
        os.close(theirs)
    assert asked, "this test no longer sees what pyserial asks for"
    assert not {termios.TIOCMSET, termios.TIOCMBIS, termios.TIOCMBIC} & set(asked)


def test_the_transcript_holds_both_directions_and_goes_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "serial.log"
    with Peer(scripted(prepared)) as peer, Link(peer.port, 921_600, log=log) as link:
        link.request(PREPARE, deadline_s=10)
        lines = str(link.transcript).splitlines()
    assert "-> 00" in lines[0]
    assert "<- " in lines[1]
    assert log.read_text().splitlines() == lines


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="none/serial.log: the log cannot be written: No such"):
        Link("/dev/null", 921_600, log=tmp_path / "none" / "serial.log")


def test_the_transcript_is_bounded_in_memory(connect: Connect) -> None:
    peer, link = connect(scripted())
    for _ in range(10):
        link.transcript.add(b"x" * 100_000, sent=False)
    link.transcript.add(b"last", sent=True)
    assert len(str(link.transcript)) < 3 * 300_000
    assert str(link.transcript).endswith("-> 6c 61 73 74")
    assert link.transcript.received(3) == b"xxx"
