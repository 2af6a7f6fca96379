"""What do the bytes of an X-NUCLEO-LPM01A mean? Lines, samples, and the account of one
acquisition. Pure arithmetic on bytes; opens no port.

By ST's UM2269 (Getting started with PowerShield firmware), revision 6: section 4.2.3 on replies,
section 4.4.1 on data in ASCII (tables 30 to 35). Where public drivers of the meter see its
firmware differ from the manual, both are read: `error` as well as `err`, `Acquisition completed`
as well as `end`, a prompt before any line, NUL bytes behind a time stamp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_MAX = 256  # bytes; the longest that the manual knows, a time stamp, has 33
_PROMPT = b"PowerShield >"
_SAMPLE = re.compile(rb"(\d{4})([+-]\d{2})")
_STAMP = re.compile(rb"timestamp: *(\d{1,7})s (\d{3})ms, buff +(\d{1,3})%", re.IGNORECASE)
_NOTES = (b"pwr ", b"event ")  # UM2269 table 34; later firmware's marks of a pin
# Two samples: a stamp may be put before or behind the sample of its millisecond. One in a hundred:
# the meter's two clocks.
_STAMP_SLACK = 2.0
_STAMP_SHARE = 0.01


@dataclass(frozen=True)
class Sample:
    """Joules of one integration interval (`output energy`)."""

    joules: float


@dataclass(frozen=True)
class Stamp:
    """Milliseconds since the acquisition began; how full the meter's buffer is, in percent."""

    ms: int
    load_percent: int


@dataclass(frozen=True)
class End:
    """All that was acquired has been sent."""


@dataclass(frozen=True)
class Failure:
    """What the meter says is wrong."""

    text: str


@dataclass(frozen=True)
class Reply:
    """What stands behind `ack`."""

    text: str


@dataclass(frozen=True)
class Unreadable:
    """A line that is none of these."""

    line: bytes


Event = Sample | Stamp | End | Failure | Reply | Unreadable


class Decoder:
    """Bytes in any pieces to events. A line that never ends becomes Unreadable at LINE_MAX bytes,
    so that memory stays bounded."""

    def __init__(self) -> None:
        self._line = b""
        self._in_summary = False

    def feed(self, data: bytes) -> list[Event]:
        events = []
        *lines, rest = (self._line + data).split(b"\n")
        while len(rest) > LINE_MAX:
            lines.append(rest[:LINE_MAX])
            rest = rest[LINE_MAX:]
        self._line = rest
        for line in lines:
            if (event := self._read(line)) is not None:
                events.append(event)
        return events

    def _read(self, line: bytes) -> Event | None:
        line = line.strip(b"\r\n\0 ")
        while line.startswith(_PROMPT):
            line = line.removeprefix(_PROMPT).strip(b"\0 ")
        word = line.lower()
        if word.startswith((b"summary beg", b"summary end")):
            self._in_summary = word.startswith(b"summary beg")
            return None
        if not line or self._in_summary or word.startswith(_NOTES):
            return None
        text = line.decode("ascii", "replace")
        if found := _SAMPLE.fullmatch(line):
            return Sample(float(b"%be%b" % found.groups()))
        if found := _STAMP.fullmatch(line):
            seconds, ms, load = map(int, found.groups())
            return Stamp(1000 * seconds + ms, load)
        if word == b"end" or word.startswith(b"acquisition completed"):
            return End()
        if word.startswith(b"ack "):
            return Reply(text[4:].strip())
        if word.startswith(b"err"):
            said = re.sub(r"^err(or)?( detail)?:? *", "", text, flags=re.IGNORECASE)
            return Failure(said or "an error, without a word")
        return Unreadable(line)


class Account:
    """Sums up one acquisition at `rate_hz`, event by event. `failure`: the first thing by which
    its sum would be wrong, as a sentence; nothing is added from then on."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.samples = 0
        self.joules = 0.0
        self.highest_j = 0.0
        self.ended = False
        self.failure: str | None = None
        self._stamped: tuple[int, int] | None = None  # samples, milliseconds

    @property
    def is_over(self) -> bool:
        return self.ended or self.failure is not None

    def add(self, event: Event) -> None:
        if self.is_over:
            return
        if isinstance(event, Sample):
            self.samples += 1
            self.joules += event.joules
            self.highest_j = max(self.highest_j, event.joules)
        elif isinstance(event, Stamp):
            self._compare(event)
        elif isinstance(event, End):
            self.ended = True
        elif isinstance(event, Failure):
            self.failure = f"the meter reports: {event.text}"
        elif isinstance(event, Unreadable) and (self.samples or self._stamped is not None):
            # Before that, greetings pass.
            shown = event.line[:32].decode("ascii", "backslashreplace")
            self.failure = f"a line of the meter is no sample: {shown!r}"

    def _compare(self, stamp: Stamp) -> None:
        """UM2269 4.4.1: time stamps serve to check the count of samples."""
        if self._stamped is not None:
            samples, ms = self._stamped
            due = (stamp.ms - ms) * self.rate_hz / 1000
            came = self.samples - samples
            if abs(due - came) > _STAMP_SLACK + _STAMP_SHARE * max(due, came):
                self.failure = (
                    f"samples were lost: {came} came between the meter's time stamps {ms} and "
                    f"{stamp.ms} ms, {due:.0f} were due"
                )
        self._stamped = (self.samples, stamp.ms)
