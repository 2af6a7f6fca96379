"""The LPM01A behind a pty: what it is told, what it says, and each way in which it fails, in one
sentence and in time."""

from __future__ import annotations

import os
import pty
import threading
import time
from pathlib import Path

import pytest

from harness import lpm01a
from harness.errors import MeterError
from harness.lpm01a import Lpm01a
from harness.port import Port
from tests.harness.test_lpm01a_stream import fixture
from tests.played_meter import PlayedMeter


@pytest.fixture(autouse=True)
def no_supply_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpm01a, "_SETTLE_S", 0.0)


class StandsStill(Port):
    """The port on a host that stands still behind each request, until it was answered."""

    def write(self, data: bytes) -> None:
        super().write(data)
        end = time.monotonic() + 30
        while not self.in_waiting:
            assert time.monotonic() < end
            time.sleep(0.01)


class Expired:
    """A deadline that passed while the host stood still."""

    expired = True

    def __init__(self, seconds: float) -> None:
        pass


def test_a_unit_is_supplied_and_its_draw_summed_up() -> None:
    with PlayedMeter(lambda: 0.066) as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        time.sleep(0.3)
        acquisition = meter.stop()
        assert acquisition.samples >= 30 and acquisition.sample_rate_hz == 100.0
        assert acquisition.watts == pytest.approx(0.066, rel=1e-3)
        assert acquisition.mean_amps == pytest.approx(0.020, rel=1e-3)
        assert meter.name == "lpm01a 540619864-1110659081-4784204, firmware 1.0.6"
    settings = ["format ascii_dec", "acqmode dyn", "freq 100", "output energy", "acqtime inf"]
    assert played.commands == [
        "stop", "htc", "powershield", "version", *settings, "trigsrc sw", "volt 3300m",
        "pwrend on", "pwr on", "start", "stop", "hrc",
    ]  # fmt: skip


def test_a_recorded_style_stream_gives_its_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its samples arrive at once, whatever time it really is."""
    monkeypatch.setattr(lpm01a, "_LATE_S", 60.0)
    stream = fixture()
    end = stream.index(b"\r\nend")
    answers: dict[str, bytes | None] = {"start": stream[:end], "stop": stream[end:]}
    with PlayedMeter(answers=answers) as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        acquisition = meter.stop()
    assert acquisition.samples == 50
    assert acquisition.joules == pytest.approx(40 * 990e-6 + 10 * 1650e-6)


def test_two_acquisitions_do_not_mix() -> None:
    with PlayedMeter(lambda: 0.05) as played, Lpm01a(played.port, 1.8) as meter:
        joules = []
        for _ in range(2):
            meter.start()
            time.sleep(0.2)
            joules.append(meter.stop())
        assert all(each.watts == pytest.approx(0.05, rel=1e-3) for each in joules)


def test_start_drops_an_acquisition_that_still_runs() -> None:
    with PlayedMeter() as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        meter.start()
        assert meter.stop().samples >= 1
    assert played.commands[-5:] == ["start", "stop", "start", "stop", "hrc"]


def test_all_that_crosses_the_line_is_kept_in_a_file(tmp_path: Path) -> None:
    log = tmp_path / "meter.log"
    with PlayedMeter() as played, Lpm01a(played.port, 3.3, log):
        pass
    text = log.read_text()
    assert b"volt 3300m\n".hex(" ") in text and b"ack volt 3300m".hex(" ") in text


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="the energy meter's port cannot be opened"):
        Lpm01a(str(tmp_path / "ttyACM9"), 3.3)


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="the log cannot be written"):
        Lpm01a("/dev/null", 3.3, tmp_path / "none" / "log")


def test_a_port_where_nobody_answers_is_told_in_time() -> None:
    ours, theirs = pty.openpty()
    start = time.monotonic()
    try:
        with pytest.raises(
            MeterError, match=r"a reply to 'htc' did not come from the energy meter within 2 s"
        ) as said:
            Lpm01a(os.ttyname(theirs), 3.3)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "got not one byte" in str(said.value)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (
            {"version": b"PowerShield > ack version: 1.0.0\r\n"},
            r"firmware does not do \(expected version 1\.0\.2 or later, got '1\.0\.0'\)",
        ),
        (
            {"version": b"PowerShield > ack version: none\r\n"},
            r"firmware does not do \(expected version 1\.0\.2 or later, got 'none'\)",
        ),
        (
            {"volt 3300m": b"PowerShield > ack volt 3000m\r\n"},
            r"applied another setting .*expected 'volt 3300m', got 'volt 3000m'",
        ),
        (
            {"pwr on": b"PowerShield > error pwr on\r\nError detail: overcurrent\r\n"},
            r"refused 'pwr on' \(got overcurrent\)",
        ),
        ({"htc": b"PowerShield > err htc\r\n"}, r"refused 'htc' \(got no reason\)"),
        (
            {"freq 100": None},
            r"a reply to 'freq 100' did not come from the energy meter within 2 s",
        ),
        (
            {"htc": b"\x00\xff\xfe garbage \r\n" * 200},
            r"a reply to 'htc' did not come .*\(got .*garbage",
        ),
    ],
)
def test_a_meter_that_does_not_do_is_told_by_what_it_said(
    answers: dict[str, bytes | None], sentence: str
) -> None:
    with (
        PlayedMeter(answers=answers) as played,
        pytest.raises(MeterError, match=sentence),
    ):
        Lpm01a(played.port, 3.3)


def test_a_reply_with_a_blank_in_the_number_is_the_manuals_own() -> None:
    spaced = {"volt 3300m": b"PowerShield > ack volt 3300 m\r\n"}
    with PlayedMeter(answers=spaced) as played, Lpm01a(played.port, 3.3) as meter:
        assert meter.volts == 3.3


def test_without_a_first_sample_there_is_no_acquisition() -> None:
    answers: dict[str, bytes | None] = {"start": b"PowerShield > ack start\r\n"}
    with (
        PlayedMeter(answers=answers) as played,
        Lpm01a(played.port, 3.3) as meter,
        pytest.raises(MeterError, match="the first sample did not come from the energy meter"),
    ):
        meter.start()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ({5: b"\r\nerror overcurrent\r\n"}, "the meter reports: overcurrent"),
        ({5: b"99-07\r\n"}, "a line of the meter is no sample: '99-07'"),
        ({5: b"\xff\xfe\r\n"}, r"a line of the meter is no sample: '\\\\xff\\\\xfe'"),
        ({5: b"\r\nend\r\n"}, "the meter ended the acquisition by itself"),
        ({n: b"" for n in range(5, 10_000)}, r"sent 0\.0\d s of samples in \d+\.\d\d s"),
        ({5: b"1980-06\r\n"}, r"draws 60\.0 mA, and the meter measures at most 50 mA"),
    ],
    ids=["overcurrent", "torn", "garbage", "end", "silent", "range"],
)
def test_what_spoils_an_acquisition_is_said(spoil: dict[int, bytes], sentence: str) -> None:
    with PlayedMeter(spoil=spoil) as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        time.sleep(0.5)
        with pytest.raises(MeterError, match=f"the energy cannot be told: .*{sentence}"):
            meter.stop()


def test_the_late_answer_to_a_stop_is_not_that_to_the_next_command() -> None:
    """It comes when the line has been quiet for long enough to be taken for quiet."""
    with PlayedMeter(spoil={5: b"99-07\r\n"}, late_s=0.5) as played:
        with Lpm01a(played.port, 3.3) as meter:
            meter.start()
            time.sleep(0.2)
            with pytest.raises(MeterError, match="no sample: '99-07'"):
                meter.stop()
            played._spoil.clear()
            meter.start()
            assert meter.stop().watts == pytest.approx(0.05, rel=1e-3)
        assert played.commands[-5:] == ["start", "stop", "start", "stop", "hrc"]


def test_what_came_while_the_host_stood_still_is_seen_behind_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lpm01a, "Port", StandsStill)
    monkeypatch.setattr(lpm01a, "Deadline", Expired)
    with PlayedMeter() as played, Lpm01a(played.port, 3.3) as meter:
        assert meter.name.endswith("firmware 1.0.6")


def test_after_a_spoilt_acquisition_the_next_one_is_whole() -> None:
    with PlayedMeter(spoil={5: b"99-07\r\n"}) as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        time.sleep(0.2)
        with pytest.raises(MeterError):
            meter.stop()
        played._spoil.clear()
        meter.start()
        time.sleep(0.2)
        assert meter.stop().watts == pytest.approx(0.05, rel=1e-3)


def test_an_end_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpm01a, "_END_S", 1.0)
    with PlayedMeter() as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        played._answers["stop"] = None
        with pytest.raises(MeterError, match="the end of the acquisition did not come"):
            meter.stop()


def test_a_meter_that_never_stops_sending_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpm01a, "_END_S", 1.0)
    with PlayedMeter() as played:
        with Lpm01a(played.port, 3.3) as meter:
            meter.start()
            played._answers["stop"] = None
        with pytest.raises(MeterError, match="does not stop sending within 1 s"):
            Lpm01a(played.port, 3.3)


def test_an_unplugged_meter_is_told_from_a_silent_one() -> None:
    with PlayedMeter() as played, Lpm01a(played.port, 3.3) as meter:
        meter.start()
        played.unplug()
        with pytest.raises(MeterError, match="the energy meter's line broke"):
            meter.stop()


def test_an_end_without_a_beginning_is_refused() -> None:
    with (
        PlayedMeter() as played,
        Lpm01a(played.port, 3.3) as meter,
        pytest.raises(MeterError, match="there is no acquisition to end"),
    ):
        meter.stop()


def test_no_thread_outlives_the_meter() -> None:
    with PlayedMeter() as played:
        with Lpm01a(played.port, 3.3) as meter:
            meter.start()
        assert not [t for t in threading.enumerate() if t.name == f"meter {played.port}"]
