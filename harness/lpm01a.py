"""How is ST's X-NUCLEO-LPM01A (PowerShield) driven? Commands and their replies over its virtual
serial port, one acquisition at a time. Knows nothing of units and inferences; what the bytes mean
is harness.lpm01a_stream's.

Commands: ST's UM2269, revision 6, section 4.3.2. Ranges and accuracy: ST's UM2243, revision 2,
chapter 10. The meter integrates by itself (`output energy`): UM2269 table 17 limits that to 100
samples a second, each the energy of 10 ms, so that no inference falls between two samples. In
ASCII (`format ascii_dec`) that is a kilobyte a second, which every host keeps up with.
"""

from __future__ import annotations

import contextlib
import re
import termios
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import serial

from harness.energy import Acquisition
from harness.errors import MeterError
from harness.link import Deadline, Transcript
from harness.lpm01a_stream import Account, Decoder, Event, Failure, Reply
from harness.port import POLL_S, Port

# Of the ways to a PowerShield the UART needs it, UM2269 table 2; over USB it changes nothing.
_BAUD = 3_686_400
_RATE_HZ = 100.0
# UM2243, chapter 10: currents in the range of 2 %. UM2269 4.4: the voltage is not measured but
# taken for the one that was set, which it meets by about 1 %.
_ACCURACY = 0.02 + 0.01
_MOST_AMPS = 0.050  # UM2243, chapter 10: dynamic mode
_FIRMWARE_MIN = (1, 0, 2)  # UM2269 table 22: the first with `pwr`

_REPLY_S = 2.0
_WRITE_S = 10.0  # pyserial looks at the time only: on a busy host it may pass behind the write
_CALIBRATION_S = 10.0  # the meter calibrates itself after a change of voltage
_FIRST_SAMPLE_S = 3.0
_END_S = 5.0
_QUIET_S = 0.2  # a stream has a line each 10 ms
_QUIET_READS = round(_QUIET_S / POLL_S)
_LATE_READS = 10  # what a host that stood still finds waiting is read in fewer
_SETTLE_S = 0.5  # the unit's supply, after it was switched on
_LATE_S = 0.25  # of samples under way when an acquisition is ended
_LATE_SHARE = 0.02
_SHOWN_BYTES = 64


class Lpm01a:
    """A PowerShield at `port` that supplies a unit with `volts`; see harness.energy.EnergyMeter.
    The unit stays supplied when the meter is closed, as far as that is the meter's to say. `log`
    gets all that crosses the line.

    Raises:
        MeterError: the port cannot be opened, no PowerShield answers, its firmware is too old, or
            it refuses a setting.
    """

    accuracy = _ACCURACY
    volts_range = (1.8, 3.3)  # UM2269 table 12

    def __init__(self, port: str, volts: float, log: Path | None = None) -> None:
        self.port = port
        self.volts = volts
        self._decoder = Decoder()
        self._events: deque[Event] = deque()
        self._reader: threading.Thread | None = None
        self._halt = threading.Event()
        self._due: Deadline | None = None  # of what the reader waits for
        self._account = Account(_RATE_HZ)
        self._broken: MeterError | None = None
        self._started_s = 0.0
        self._may_run = True  # an acquisition, from before
        try:
            self._log_file = log.open("ab") if log is not None else None
        except OSError as error:
            raise MeterError(f"the log cannot be written: {error.strerror}", where=log) from None
        try:
            self._serial = Port(
                port, _BAUD, timeout=POLL_S, write_timeout=_WRITE_S, exclusive=True
            )
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
            if self._log_file is not None:
                self._log_file.close()
            raise MeterError(
                f"the energy meter's port cannot be opened: {error}",
                where=port,
                hint="is the meter plugged in, may you use the port (group dialout), does nobody "
                "else? `energy` in the hardware map names it",
            ) from None
        self._transcript = Transcript(self._log_file)
        try:
            self.name = self._set_up()
        except BaseException:
            self._close_port()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what runs, give the meter its buttons back, close the port."""
        with contextlib.suppress(MeterError):  # it is being let go of
            self._quieten()
            self._command("hrc")
        self._close_port()

    def _close_port(self) -> None:
        self._serial.close()
        if self._log_file is not None:
            self._log_file.close()

    def _set_up(self) -> str:
        self._quieten()
        self._command("htc")
        identity = self._command("powershield").removeprefix("PowerShield present").strip(" :")
        version = self._command("version").strip(": ")
        numbers = re.fullmatch(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
        if numbers is None or tuple(map(int, numbers.groups())) < _FIRMWARE_MIN:
            raise MeterError(
                "the energy meter's firmware does not do",
                where=self.port,
                expected=f"version {'.'.join(map(str, _FIRMWARE_MIN))} or later",
                got=repr(version),
                hint="update it, as ST's UM2243 says",
            )
        for setting in (
            "format ascii_dec",
            "acqmode dyn",
            f"freq {_RATE_HZ:.0f}",
            "output energy",
            "acqtime inf",
            "trigsrc sw",
        ):
            self._command(setting)
        self._command(f"volt {1000 * self.volts:.0f}m", deadline_s=_CALIBRATION_S)
        self._command("pwrend on")
        self._command("pwr on")
        time.sleep(_SETTLE_S)
        return f"lpm01a {identity or 'without id'}, firmware {version}"

    def start(self) -> None:
        """Begin an acquisition; returns when its first sample is there.

        Raises:
            MeterError: the meter refuses, or no sample comes.
        """
        self._quieten()
        self._account, self._broken = Account(_RATE_HZ), None
        self._may_run = True
        self._command("start")
        first = threading.Event()
        self._halt.clear()
        self._due = Deadline(_FIRST_SAMPLE_S)
        self._reader = threading.Thread(
            target=self._follow,
            args=(self._account, first),
            name=f"meter {self.port}",
            daemon=True,
        )
        self._reader.start()
        first.wait()  # for no longer than the reader does
        if not self._account.samples:
            self._end_reader()
            raise self._broken or self._silent("the first sample", _FIRST_SAMPLE_S)
        self._started_s = time.monotonic()

    def stop(self) -> Acquisition:
        """End the acquisition that start() began.

        Raises:
            MeterError: it ended by itself, samples are missing, the meter reported an error, its
                range was left, or its end does not come.
        """
        elapsed_s = time.monotonic() - self._started_s
        reader, account = self._reader, self._account
        if reader is None:
            raise MeterError(
                "there is no acquisition to end", where=self.port, hint="call start() first"
            )
        ended_by_itself = account.is_over
        if not ended_by_itself and self._broken is None:
            self._write("stop")
        self._due = Deadline(_END_S)
        reader.join()
        self._reader = None
        self._may_run = ended_by_itself or not account.ended
        if self._broken is not None:
            raise self._broken
        if account.failure is not None:
            raise self._wrong(account.failure)
        if ended_by_itself:
            raise self._wrong("the meter ended the acquisition by itself")
        if not account.ended:
            raise self._silent("the end of the acquisition", _END_S)
        acquisition = Acquisition(account.joules, account.samples, _RATE_HZ, self.volts)
        if acquisition.seconds < elapsed_s * (1 - _LATE_SHARE) - _LATE_S:
            raise self._wrong(
                f"the meter sent {acquisition.seconds:.2f} s of samples in {elapsed_s:.2f} s"
            )
        most_amps = account.highest_j * _RATE_HZ / self.volts
        if most_amps > _MOST_AMPS:
            raise self._wrong(
                f"the unit draws {1000 * most_amps:.1f} mA, and the meter measures at most "
                f"{1000 * _MOST_AMPS:.0f} mA"
            )
        return acquisition

    def _follow(self, account: Account, first: threading.Event) -> None:
        """Read the stream until it is over, somebody halts it or what is due did not come; in a
        thread of its own, because the line does not wait while inferences run."""
        try:
            is_late = False
            while not (self._halt.is_set() or account.is_over or is_late):
                is_late = self._due is not None and self._due.expired
                self._receive()
                while self._events and not account.is_over:
                    account.add(self._events.popleft())
                if account.samples and not first.is_set():
                    self._due, is_late = None, False
                    first.set()
            if account.failure is not None and not first.is_set():
                self._broken = self._wrong(account.failure)
        except MeterError as error:
            self._broken = error
        finally:
            first.set()

    def _end_reader(self) -> None:
        """No wait is longer than that for one read."""
        if self._reader is not None:
            self._halt.set()
            self._reader.join()
            self._reader = None

    def _quieten(self) -> None:
        """End an acquisition, whoever began it, and forget what is on the line. Quiet is counted
        in reads that found nothing: on a busy host time may pass in which nobody looked."""
        self._end_reader()
        if self._may_run:
            self._write("stop")
        deadline, quiet_reads, late_reads = Deadline(_END_S), 0, 0
        while quiet_reads < _QUIET_READS:
            is_late = deadline.expired
            if not self._receive():
                quiet_reads += 1
                continue
            quiet_reads = 0
            late_reads += is_late
            if late_reads > _LATE_READS:
                raise self._wrong(f"the meter does not stop sending within {_END_S:g} s")
        self._decoder = Decoder()
        self._events.clear()
        self._may_run = False

    def _command(self, command: str, deadline_s: float | None = None) -> str:
        """Send `command`; returns what the reply says behind it. Replies come in the order of
        their commands: what comes before it is old."""
        deadline_s = deadline_s or _REPLY_S
        self._write(command)
        for event in self._until(Deadline(deadline_s)):
            if isinstance(event, Failure):
                if event.text.startswith("stop"):  # the only command whose reply is not awaited
                    continue
                raise self._refused(command, event)
            if isinstance(event, Reply) and event.text.startswith(command.split()[0]):
                said = re.sub(r"\s", "", event.text)  # UM2269 table 49: ack volt 3300 m
                if not said.startswith(re.sub(r"\s", "", command)):
                    raise MeterError(
                        "the energy meter applied another setting than was sent",
                        where=self.port,
                        expected=repr(command),
                        got=repr(event.text),
                        hint="its manual, UM2269, lists what it can do",
                    )
                return event.text.removeprefix(command).strip()
        raise self._silent(f"a reply to {command!r}", deadline_s)

    def _refused(self, command: str, failure: Failure) -> MeterError:
        """UM2269 4.2.3: on following lines, a description of the error can be sent."""
        said = [failure.text.removeprefix(command).strip(" :")]
        for event in self._until(Deadline(_QUIET_S)):
            if isinstance(event, Failure):
                said.append(event.text)
        return MeterError(
            f"the energy meter refused {command!r}",
            where=self.port,
            got="; ".join(filter(None, said)) or "no reason",
            hint="look at its display and its supply",
        )

    def _until(self, deadline: Deadline) -> Iterator[Event]:
        """What came, and once more after the deadline: a host that stood still has not looked."""
        yield from self._taken()
        is_late = False
        while not is_late:
            is_late = deadline.expired
            self._receive()
            yield from self._taken()

    def _taken(self) -> Iterator[Event]:
        while self._events:
            yield self._events.popleft()

    def _receive(self) -> bytes:
        """What came within POLL_S, decoded into self._events."""
        try:
            data: bytes = self._serial.read(max(1, self._serial.in_waiting))
        except (OSError, TypeError) as error:  # TypeError: closed under pyserial's feet
            raise self._lost(error) from None
        if data:
            self._transcript.add(data, sent=False)
            self._events.extend(self._decoder.feed(data))
        return data

    def _write(self, command: str) -> None:
        data = f"{command}\n".encode()
        self._transcript.add(data, sent=True)
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            raise self._silent(f"room for {command!r}", _WRITE_S) from None
        except OSError as error:
            raise self._lost(error) from None

    def _silent(self, awaited: str, deadline_s: float) -> MeterError:
        last = self._transcript.received(_SHOWN_BYTES)
        return MeterError(
            f"{awaited} did not come from the energy meter within {deadline_s:g} s",
            where=self.port,
            got=repr(last.decode("ascii", "backslashreplace")) if last else "not one byte",
            hint="is this the port of an X-NUCLEO-LPM01A?",
        )

    def _wrong(self, what: str) -> MeterError:
        return MeterError(
            f"the energy cannot be told: {what}",
            where=self.port,
            hint="see docs/energy.md for what the meter can do",
        )

    def _lost(self, error: Exception) -> MeterError:
        return MeterError(
            f"the energy meter's line broke: {error}",
            where=self.port,
            hint="was the meter unplugged?",
        )
