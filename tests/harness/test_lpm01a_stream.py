"""The bytes of an LPM01A: what UM2269 shows is read, what is damaged is never counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.lpm01a_stream import (
    LINE_MAX,
    Account,
    Decoder,
    End,
    Event,
    Failure,
    Reply,
    Sample,
    Stamp,
    Unreadable,
)
from tests.played_meter import as_line

FIXTURE = Path(__file__).parent / "lpm01a_stream.txt"


def fixture() -> bytes:
    lines = [line for line in FIXTURE.read_text().splitlines() if not line.startswith("#")]
    return "\r\n".join([*lines, ""]).replace("\\0", "\0").encode()


def events_of(data: bytes) -> list[Event]:
    return Decoder().feed(data)


def account_of(data: bytes, rate_hz: float = 100.0) -> Account:
    account = Account(rate_hz)
    for event in events_of(data):
        account.add(event)
    return account


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"6409-07", Sample(640.9e-6)),  # the manual's example, table 30
        (b"0008-10", Sample(0.8e-9)),
        (b"1000+00", Sample(1000.0)),
        (b"\x009900-07", Sample(990e-6)),
        (b"TimeStamp: 012s 345ms, buff 07%", Stamp(12_345, 7)),
        (b"end", End()),
        (b"PowerShield > Acquisition completed", End()),
        (b"PowerShield > ack volt 3300m", Reply("volt 3300m")),
        (b"PowerShield > PowerShield > ack htc", Reply("htc")),
        (b"PowerShield > err volt 9", Failure("volt 9")),
        (b"error freq 3", Failure("freq 3")),
        (b"Error detail: wrong argument", Failure("wrong argument")),
        (b"error", Failure("an error, without a word")),
        (b"11958-09", Unreadable(b"11958-09")),
        (b"195-09", Unreadable(b"195-09")),
        (b"1958-09 2041-09", Unreadable(b"1958-09 2041-09")),
        (b"hello", Unreadable(b"hello")),
    ],
)
def test_a_line_is_what_the_manual_says(line: bytes, event: Event) -> None:
    (read,) = events_of(line + b"\r\n")
    if isinstance(event, Sample):
        assert isinstance(read, Sample)
        assert read.joules == pytest.approx(event.joules, rel=1e-12)
    else:
        assert read == event


@pytest.mark.parametrize(
    "line", [b"", b"PowerShield > ", b"pwr on", b"event 3 ris", b"summary end"]
)
def test_what_says_nothing_is_no_event(line: bytes) -> None:
    assert events_of(line + b"\r\n") == []


def test_an_acquisition_is_summed_up_to_its_end() -> None:
    account = account_of(fixture())
    assert account.ended and account.failure is None
    assert account.samples == 50, "the summary's lines look like samples and are none"
    assert account.joules == pytest.approx(40 * 990e-6 + 10 * 1650e-6)
    assert account.highest_j == pytest.approx(1650e-6)


@given(st.lists(st.integers(0, len(fixture())), max_size=12))
def test_pieces_in_which_bytes_arrive_do_not_matter(cuts: list[int]) -> None:
    data, decoder = fixture(), Decoder()
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == events_of(data)


@given(st.binary(max_size=2000), st.integers(1, 40))
def test_no_bytes_raise_or_are_kept_without_bound(data: bytes, size: int) -> None:
    decoder, account = Decoder(), Account(100.0)
    for at in range(0, len(data), size):
        for event in decoder.feed(data[at : at + size]):
            account.add(event)
        assert len(decoder._line) <= LINE_MAX
    assert account.joules >= 0


@given(st.integers(0, len(fixture()) - 1), st.integers(0, 255))
@example(fixture().index(b"9900-07\r\n") + 8, 0)  # the first two samples become one line
def test_a_byte_that_changes_on_the_way_costs_one_sample_or_the_account(
    at: int, value: int
) -> None:
    """A digit that becomes another digit cannot be seen: the line has no checksum. Half a line, or
    two lines that become one, are."""
    data = fixture()
    spoilt = account_of(data[:at] + bytes([value]) + data[at + 1 :])
    if spoilt.ended and spoilt.failure is None:
        assert abs(spoilt.samples - 50) <= 1


@given(st.floats(1e-12, 1.0))
def test_energies_survive_the_line_to_four_digits(joules: float) -> None:
    (event,) = events_of(as_line(joules))
    assert isinstance(event, Sample)
    assert event.joules == pytest.approx(joules, rel=0.6e-3)


def test_samples_that_are_lost_between_two_stamps_are_missed() -> None:
    stamp = b"TimeStamp: %03ds 000ms, buff 01%%\r\n"
    whole = stamp % 0 + 1000 * b"9900-07\r\n" + stamp % 10
    assert account_of(whole).failure is None
    torn = stamp % 0 + 900 * b"9900-07\r\n" + stamp % 10
    assert account_of(torn).failure == (
        "samples were lost: 900 came between the meter's time stamps 0 and 10000 ms, 1000 were due"
    )


def test_what_the_meter_reports_ends_the_account() -> None:
    account = account_of(b"9900-07\r\n\r\nerror overcurrent\r\n9900-07\r\n")
    assert account.failure == "the meter reports: overcurrent"
    assert account.samples == 1


def test_a_line_that_is_no_sample_spoils_the_sum_but_not_before_it_began() -> None:
    assert account_of(b"welcome\r\n9900-07\r\nend\r\n").failure is None
    account = account_of(b"9900-07\r\n99-07\r\n9900-07\r\nend\r\n")
    assert account.failure == "a line of the meter is no sample: '99-07'"
