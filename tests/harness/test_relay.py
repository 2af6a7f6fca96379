"""Bytes cross in both directions; neither who does not read nor who is gone holds the relay."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

import pytest

from harness.relay import Relay
from tests.harness.virtual.test_process import wait_until


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two lines with a relay between them: what those at their far ends hold."""
    left, one = socket.socketpair()
    other, right = socket.socketpair()
    with left, one, other, right:
        relay = Relay(one.fileno(), other.fileno())
        left.settimeout(10)
        right.settimeout(10)
        yield left, right
        relay.close()


def test_bytes_cross_both_ways_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    data = random.Random(1).randbytes(20_000)
    for sender, receiver in (ends, ends[::-1]):
        sender.sendall(data)
        got = b""
        while len(got) < len(data):
            got += receiver.recv(4096)
        assert got == data


def test_who_does_not_read_holds_neither_the_other_direction_nor_the_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    left, right = ends
    left.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            left.send(bytes(65536))
    right.sendall(b"still here")
    left.settimeout(10)
    assert left.recv(100) == b"still here"


def test_a_line_that_is_hung_up_ends_it() -> None:
    ours, theirs = os.openpty()
    line, far = socket.socketpair()
    with line, far:
        relay = Relay(ours, line.fileno())
        os.close(theirs)
        wait_until(lambda: not relay._thread.is_alive())
        relay.close()
    os.close(ours)
