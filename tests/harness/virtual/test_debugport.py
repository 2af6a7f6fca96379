"""The remote-probe server: what it answers, what it refuses, who it serves."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness.virtual.debugport as debugport
from harness.errors import BoardError
from harness.virtual.debugport import DebugServer, widest
from tests.harness.virtual.fake_target import BASE, SIZE, FakeTarget

DEADLINE_SECONDS = 10.0
POWER_UP = 0x50000F00


class Client:
    """A client that can also say what pyOCD never would."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        self._lines = self.socket.makefile("rb")

    def send(self, data: bytes) -> dict[str, Any]:
        self.socket.sendall(data)
        answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer

    def ask(self, request: str, *arguments: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"id": 7, "request": request}
        if arguments:
            message["arguments"] = arguments
        answer = self.send(json.dumps(message).encode() + b"\n")
        assert answer["id"] == 7
        return answer

    def result(self, request: str, *arguments: Any) -> Any:
        answer = self.ask(request, *arguments)
        assert answer["status"] == 0, answer
        return answer.get("result")

    def ended(self) -> bool:
        return self._lines.readline() == b""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._lines.close()
        self.socket.close()

    def connect(self) -> None:
        """As pyOCD does it: serial wire selected, identity read, power on."""
        self.result("hello", 1)
        self.result("open")
        self.result("connect", "DEFAULT")
        for length, bits in ((51, (1 << 56) - 1), (16, 0xE79E), (51, (1 << 56) - 1), (8, 0)):
            self.result("swj_sequence", length, bits)
        assert self.result("read_dp", 0) == 0x2BA01477
        self.result("write_dp", 4, POWER_UP)


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def server(target: FakeTarget) -> Iterator[DebugServer]:
    server = DebugServer("test_board", target)
    yield server
    server.close()


@pytest.fixture
def client(server: DebugServer) -> Iterator[Client]:
    client = Client(server.port)
    yield client
    client.close()


@pytest.fixture
def connected(client: Client) -> Client:
    client.connect()
    return client


# ---- what it is ----


def test_the_version_is_agreed_on(client: Client) -> None:
    assert client.ask("hello", 1) == {"id": 7, "status": 0}
    assert client.ask("hello", 2) == {
        "id": 7,
        "status": 1,
        "error": "protocol version 2 is not served (expected 1)",
    }


def test_properties_describe_the_probe(client: Client) -> None:
    assert client.result("readprop", "unique_id") == "virtual-test_board"
    assert client.result("readprop", "vendor_name") == "hilnas"
    assert client.result("readprop", "product_name") == "virtual test_board"
    assert client.result("readprop", "supported_wire_protocols") == ["DEFAULT", "SWD"]
    assert client.result("readprop", "capabilities") == ["SWJ_SEQUENCE"]
    assert client.result("readprop", "wire_protocol") is None
    client.connect()
    assert client.result("readprop", "wire_protocol") == "SWD"
    client.result("disconnect")
    assert client.result("readprop", "wire_protocol") is None
    assert client.ask("readprop", "__class__")["error"] == "unknown property '__class__'"


def test_only_serial_wire_is_wired(client: Client) -> None:
    answer = client.ask("connect", "JTAG")
    assert (answer["status"], answer["error"]) == (3, "'JTAG' is not wired, only SWD is")


def test_nothing_is_read_over_a_wire_that_is_not_connected(client: Client) -> None:
    for request in (
        ("read_dp", 0),
        ("write_dp", 0, 0),
        ("read_ap", 0),
        ("write_ap", 0, 0),
        ("read_mem", 0, BASE, 32),
    ):
        answer = client.ask(*request)
        assert answer["status"] == 3
        assert answer["error"] == "the probe is not connected to the target"


def test_the_reset_pin_is_held_and_let_go(connected: Client, target: FakeTarget) -> None:
    assert connected.result("is_reset_asserted") is False
    connected.result("assert_reset", True)
    connected.result("assert_reset", True)
    assert connected.result("is_reset_asserted") is True
    connected.result("assert_reset", False)
    connected.result("reset")
    assert target.pin == [True, False, True, False]


# ---- what it reaches ----


def test_memory_is_reached_through_the_access_port(connected: Client, target: FakeTarget) -> None:
    connected.result("write_ap", 0x0, 0x23000012)
    connected.result("write_ap", 0x4, BASE)
    connected.result("write_ap_multiple", 0xC, [1, 2, 3])
    connected.result("write_ap", 0x4, BASE)
    assert connected.result("read_ap_multiple", 0xC, 3) == [1, 2, 3]
    assert connected.result("read_ap", 0x4) == BASE + 12
    assert struct.unpack("<3I", target.memory.bytes[:12]) == (1, 2, 3)


def test_a_bus_error_is_a_transfer_fault_with_its_address(connected: Client) -> None:
    connected.result("write_ap", 0x4, 0xDEADBEE0)
    for request in (("read_ap", 0xC), ("write_ap", 0xC, 1), ("write_ap_multiple", 0xC, [1, 2])):
        answer = connected.ask(*request)
        assert answer["status"] == 12
        assert "0xdeadbee0" in answer["error"]
        connected.result("write_dp", 0, 0x1E)


def test_an_access_after_a_line_reset_is_a_transfer_error(connected: Client) -> None:
    connected.result("swj_sequence", 51, (1 << 51) - 1)
    answer = connected.ask("read_dp", 4)
    assert (answer["status"], answer["error"]) == (
        10,
        "after a line reset the first access must read DPIDR",
    )


@given(at=st.integers(0, 64), data=st.binary(max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_blocks_of_bytes_come_back(
    connected: Client, target: FakeTarget, at: int, data: bytes
) -> None:
    handle = connected.result("get_memory_interface_for_ap", 1, 0)
    connected.result("write_block8", handle, BASE + at, list(data))
    assert target.memory.bytes[at : at + len(data)] == data
    assert connected.result("read_block8", handle, BASE + at, len(data)) == list(data)


@given(address=st.integers(0, 1000), size=st.integers(0, 100))
def test_bytes_are_moved_as_words_where_they_can_be(address: int, size: int) -> None:
    parts = widest(address, size)
    assert sum(part[1] for part in parts) == size
    assert all(at % width == 0 and n % width == 0 for at, n, width in parts)
    assert sum(n for _, n, width in parts if width == 1) <= 6
    assert [at for at, _, _ in parts] == [
        address + sum(part[1] for part in parts[:i]) for i in range(len(parts))
    ]


def test_words_and_parts_of_words_are_reached_directly(
    connected: Client, target: FakeTarget
) -> None:
    handle = connected.result("get_memory_interface_for_ap", 1, 0)
    connected.result("write_block32", handle, BASE, [0xA04030201, 0xFFFFFFFF])
    assert connected.result("read_block32", handle, BASE, 2) == [0x04030201, 0xFFFFFFFF]
    connected.result("write_mem", handle, BASE + 2, 0x10807, 16)
    assert connected.result("read_mem", handle, BASE, 32) == 0x08070201
    assert connected.result("read_mem", handle, BASE + 3, 8) == 8
    assert target.memory.transfers[-1] == (BASE + 3, 1, False)
    fault = connected.ask("read_mem", handle, BASE + SIZE, 32)
    assert (fault["status"], fault["error"]) == (
        12,
        "bus error: 4 bytes cannot be read from 0x20003000",
    )
    assert connected.result("read_dp", 4) & 0x20 == 0  # such a probe clears what it raised


def test_only_the_ahb_ap_has_a_memory_interface(connected: Client) -> None:
    assert connected.result("get_memory_interface_for_ap", 1, 1) is None
    assert connected.result("get_memory_interface_for_ap", 2, 0) is None


# ---- what it refuses ----


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"hello\n", "a request is one JSON object on one line"),
        (b"\xff\xfe\n", "a request is one JSON object on one line"),
        (b"[" * 100000 + b"\n", "a request is one JSON object on one line"),
        (b"[1]\n", "a request has an integer id and a request"),
        (b'{"id": true, "request": "open"}\n', "a request has an integer id and a request"),
        (b'{"id": 1}\n', "a request has an integer id and a request"),
        (b'{"id": 1, "request": ["open"]}\n', "unknown request \"['open']\""),
        (b'{"id": 1, "request": "__init__"}\n', "unknown request '__init__'"),
        (b'{"id": 1, "request": "open", "arguments": 5}\n', "open takes 0 arguments in a list"),
        (b'{"id": 1, "request": "read_dp"}\n', "read_dp takes 1 arguments in a list"),
    ],
)
def test_what_is_no_request_is_answered_with_an_error(
    client: Client, line: bytes, error: str
) -> None:
    answer = client.send(line)
    assert (answer["status"], answer["error"]) == (1, error)
    assert client.result("hello", 1) is None


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (("read_dp", -4), "argument 1 of read_dp is not of type word: -4"),
        (("read_dp", 1 << 32), "argument 1 of read_dp is not of type word: 4294967296"),
        (("write_dp", 4, True), "argument 2 of write_dp is not of type word: true"),
        (("write_ap", 4, 1.0), "argument 2 of write_ap is not of type word: 1.0"),
        (("write_ap_multiple", 0, [1, -1]), "is not of type words: [1, -1]"),
        (("write_block8", 0, BASE, [256]), "is not of type bytes: [256]"),
        (("set_clock", 0), "is not of type number: 0"),
        (("assert_reset", 1), "is not of type bool: 1"),
        (("connect", None), "is not of type text: null"),
        (("swj_sequence", 257, 0), "a sequence is of at most 256 bits"),
        (("read_ap_multiple", 0, 0), "0 reads in one request"),
        (("read_ap_multiple", 0, 1 << 40), "1099511627776 reads in one request"),
        (("read_mem", 1, BASE, 32), "no memory interface has the handle 1"),
        (("read_mem", 0, BASE, 64), "transfers of 64 bits (expected 8, 16 or 32)"),
        (("write_mem", 0, BASE + 1, 0, 16), "0x20000001 is not aligned to 16 bits"),
        (("read_block32", 0, BASE, 1 << 50), "bytes at 0x20000000 in one request"),
        (("read_block8", 0, 0xFFFFFFFF, 2), "2 bytes at 0xffffffff in one request"),
    ],
)
def test_what_cannot_be_done_is_refused(
    connected: Client, request_: tuple[Any, ...], error: str
) -> None:
    answer = connected.ask(*request_)
    assert answer["status"] != 0
    assert error in answer["error"]
    assert connected.result("read_dp", 0) == 0x2BA01477


def test_a_line_without_end_is_refused(
    server: DebugServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugport, "MAX_LINE_BYTES", 1000)  # of what connects from now on
    client = Client(server.port)
    answer = client.send(b" " * 1001)
    assert answer == {"id": -1, "status": 1, "error": "a line is of at most 1000 bytes"}
    assert client.ended()
    client.close()
    other = Client(server.port)
    assert other.result("hello", 1) is None
    other.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["hello", "open", "connect", "lock", "reset", "swj_sequence", "read_dp", "write_dp"]
    + ["read_ap_multiple", "write_ap_multiple", "read_mem", "write_mem", "read_block32"]
    + ["write_block8", "get_memory_interface_for_ap", "readprop", "assert_reset", "set_clock"]
)


@given(request_=NAMES | JSON, arguments=st.lists(JSON, max_size=4) | JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_whatever_is_asked_is_answered(connected: Client, request_: Any, arguments: Any) -> None:
    message = {"id": 3, "request": request_, "arguments": arguments}
    answer = connected.send(json.dumps(message).encode() + b"\n")
    assert answer["id"] == 3
    assert isinstance(answer["status"], int)
    assert (answer["status"] == 0) != ("error" in answer)


def test_a_board_that_fails_says_so(
    connected: Client, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(asserted: bool) -> None:
        raise BoardError("the core did not stop")

    monkeypatch.setattr(target, "hold_reset", refuse)
    answer = connected.ask("reset")
    assert (answer["status"], answer["error"]) == (10, "the core did not stop")


# ---- who is served ----


def test_a_second_client_is_told_who_the_first_is(
    connected: Client, server: DebugServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugport, "LEAVING_SECONDS", 0.01)
    other = Client(server.port)
    answer = other.ask("hello", 1)
    port = connected.socket.getsockname()[1]
    assert (answer["status"], answer["error"]) == (
        3,
        f"another client is debugging this board: 127.0.0.1:{port}",
    )
    assert other.ask("close")["status"] == 0
    assert other.ended()
    assert connected.result("read_dp", 0) == 0x2BA01477
    other.close()


def test_a_second_client_that_stays_silent_is_hung_up_on(
    connected: Client, server: DebugServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugport, "LEAVING_SECONDS", 0.01)
    monkeypatch.setattr(debugport, "IDLE_REFUSED_SECONDS", 0.05)
    other = Client(server.port)
    assert other.ended()
    other.close()


def test_more_clients_than_there_is_room_for_are_hung_up_on(
    connected: Client, server: DebugServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugport, "LEAVING_SECONDS", 0.01)
    others = [Client(server.port) for _ in range(debugport.MAX_CLIENTS - 1)]
    assert all(other.ask("hello", 1)["status"] == 3 for other in others)
    surplus = Client(server.port)
    with contextlib.suppress(ConnectionResetError):
        assert surplus.ended()
    for client in (*others, surplus):
        client.close()


def test_a_client_that_vanishes_leaves_the_board_to_the_next(
    connected: Client, server: DebugServer, target: FakeTarget
) -> None:
    connected.result("assert_reset", True)
    connected.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()  # a reset connection, in the middle of a session
    other = Client(server.port)
    other.connect()
    assert target.pin == [True, False]
    other.close()


def test_an_answer_that_nobody_takes_ends_the_connection_alone(
    connected: Client, server: DebugServer
) -> None:
    request = {"id": 1, "request": "read_block32", "arguments": [0, BASE, SIZE // 4]}
    connected.socket.sendall((json.dumps(request).encode() + b"\n") * 50)
    connected.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()
    other = Client(server.port)
    other.connect()
    other.close()
