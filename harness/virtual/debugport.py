"""How does a debugger reach a virtual board? Over pyOCD's remote-probe protocol, on loopback.

One JSON object a line, {"id", "request", "arguments"} answered by {"id", "status", "result" or
"error"}: the other side is pyocd/probe/tcp_client_probe.py, protocol version 1. What a client
sends is untrusted: whatever it is, it gets an answer, and the board goes on.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from harness.errors import HilnasError
from harness.virtual.dap import (
    RDBUFF,
    WORD,
    AccessFault,
    DebugPort,
    FaultResponse,
    Memory,
    NoAnswer,
)

PROTOCOL_VERSION = 1
LOOPBACK = "127.0.0.1"
MAX_LINE_BYTES = 1 << 23  # 1 MiB as a JSON list of bytes fits twice
MAX_BLOCK_BYTES = 1 << 22  # one answer; above any memory of a board
MAX_CLIENTS = 8  # one is served, the others are told so
IDLE_REFUSED_SECONDS = 10.0
LEAVING_SECONDS = 0.5  # how long a client that said close may take to be gone
POLL_SECONDS = 0.02  # how late close() may be noticed
MAX_SEQUENCE_BITS = 256

# Status codes of the protocol.
GENERAL_ERROR, PROBE_ERROR, TRANSFER_ERROR, TRANSFER_FAULT = 1, 3, 10, 12

Check = Callable[[Any], bool]


class Target(Protocol):
    """What hangs on the probe: memory behind an AHB-AP, and the reset pin."""

    @property
    def memory(self) -> Memory: ...
    @property
    def dap(self) -> DebugPort: ...

    def hold_reset(self, asserted: bool) -> None: ...


class RefusedRequest(Exception):
    """A request that is not carried out, and why."""

    def __init__(self, why: str, status: int = GENERAL_ERROR) -> None:
        super().__init__(why)
        self.status = status


def _is_word(value: Any) -> bool:
    return type(value) is int and 0 <= value <= WORD


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _is_natural(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_words(value: Any) -> bool:
    """Of which the low 32 bits go over the wire: pyOCD relies on that in its flash analyzer."""
    return isinstance(value, list) and all(type(x) is int and 0 <= x < 1 << 64 for x in value)


def _are_bytes(value: Any) -> bool:
    return isinstance(value, list) and all(type(x) is int and 0 <= x <= 255 for x in value)


class VirtualProbe:
    """The probe that a client drives: carries out one request at a time."""

    def __init__(self, name: str, target: Target) -> None:
        self._target = target
        self._port = target.dap
        self._wire_protocol: str | None = None
        self._held = False
        self._properties: dict[str, Callable[[], Any]] = {
            "unique_id": lambda: f"virtual-{name}",
            "vendor_name": lambda: "hilnas",
            "product_name": lambda: f"virtual {name}",
            "description": lambda: f"hilnas virtual {name}",
            "supported_wire_protocols": lambda: ["DEFAULT", "SWD"],
            "wire_protocol": lambda: self._wire_protocol,
            "capabilities": lambda: ["SWJ_SEQUENCE"],
            "is_open": lambda: True,
        }
        self._requests: dict[str, tuple[Callable[..., Any], tuple[Check, ...]]] = {
            "hello": (self._hello, (_is_natural,)),
            "readprop": (self._read_property, (_is_text,)),
            "open": (self._nothing, ()),
            "close": (self._disconnect, ()),
            "lock": (self._nothing, ()),
            "unlock": (self._nothing, ()),
            "flush": (self._nothing, ()),
            "connect": (self._connect, (_is_text,)),
            "disconnect": (self._disconnect, ()),
            "swj_sequence": (self._swj_sequence, (_is_natural, _is_natural)),
            "set_clock": (self._nothing, (_is_number,)),
            "reset": (self._reset, ()),
            "assert_reset": (self._assert_reset, (_is_bool,)),
            "is_reset_asserted": (lambda: self._held, ()),
            "read_dp": (self._read_dp, (_is_word,)),
            "write_dp": (self._write_dp, (_is_word, _is_word)),
            "read_ap": (self._read_ap, (_is_word,)),
            "write_ap": (self._write_ap, (_is_word, _is_word)),
            "read_ap_multiple": (self._read_ap_multiple, (_is_word, _is_natural)),
            "write_ap_multiple": (self._write_ap_multiple, (_is_word, _are_words)),
            "get_memory_interface_for_ap": (self._memory_handle, (_is_natural, _is_natural)),
            "read_mem": (self._read_mem, (_is_natural, _is_word, _is_natural)),
            "write_mem": (self._write_mem, (_is_natural, _is_word, _is_word, _is_natural)),
            "read_block32": (self._read_block32, (_is_natural, _is_word, _is_natural)),
            "write_block32": (self._write_block32, (_is_natural, _is_word, _are_words)),
            "read_block8": (self._read_block8, (_is_natural, _is_word, _is_natural)),
            "write_block8": (self._write_block8, (_is_natural, _is_word, _are_bytes)),
        }

    def carry_out(self, request: Any, arguments: Any) -> Any:
        """The result of one request.

        Raises:
            RefusedRequest, AccessFault, FaultResponse, NoAnswer.
        """
        if not isinstance(request, str) or request not in self._requests:
            raise RefusedRequest(f"unknown request {str(request)[:40]!r}")
        method, checks = self._requests[request]
        if not isinstance(arguments, list) or len(arguments) != len(checks):
            raise RefusedRequest(f"{request} takes {len(checks)} arguments in a list")
        for position, (check, argument) in enumerate(zip(checks, arguments, strict=True), start=1):
            if not check(argument):
                wanted = check.__name__.removeprefix("_is_").removeprefix("_are_")
                raise RefusedRequest(
                    f"argument {position} of {request} is not of type {wanted}: "
                    f"{json.dumps(argument)[:40]}"
                )
        return method(*arguments)

    def _nothing(self, *_: Any) -> None:
        """What one client and no cable have no use for."""

    def _hello(self, version: int) -> None:
        if version != PROTOCOL_VERSION:
            raise RefusedRequest(
                f"protocol version {version} is not served (expected {PROTOCOL_VERSION})"
            )

    def _read_property(self, name: str) -> Any:
        if name not in self._properties:
            raise RefusedRequest(f"unknown property {name[:40]!r}")
        return self._properties[name]()

    def _connect(self, protocol: str) -> None:
        if protocol not in ("DEFAULT", "SWD"):
            raise RefusedRequest(f"{protocol[:40]!r} is not wired, only SWD is", PROBE_ERROR)
        self._wire_protocol = "SWD"

    def _disconnect(self) -> None:
        self._wire_protocol = None

    def release(self) -> None:
        """The client is gone: let go of the pin and of the wire."""
        self._disconnect()
        if self._held:
            self._assert_reset(False)

    # ---- pins ----

    def _swj_sequence(self, length: int, bits: int) -> None:
        if length > MAX_SEQUENCE_BITS:
            raise RefusedRequest(f"a sequence is of at most {MAX_SEQUENCE_BITS} bits")
        self._port.shift(length, bits)  # pyOCD sends more bits than it counts

    def _assert_reset(self, asserted: bool) -> None:
        if asserted != self._held:
            self._target.hold_reset(asserted)
            self._held = asserted

    def _reset(self) -> None:
        self._assert_reset(True)
        self._assert_reset(False)

    # ---- DP and AP ----

    def _require_connected(self) -> None:
        if self._wire_protocol is None:
            raise RefusedRequest("the probe is not connected to the target", PROBE_ERROR)

    def _read_dp(self, address: int) -> int:
        self._require_connected()
        return self._port.read(address & 0xC)

    def _write_dp(self, address: int, value: int) -> None:
        self._require_connected()
        self._port.write(address & 0xC, value)

    def _read_ap(self, address: int) -> int:
        return self._read_ap_multiple(address, 1)[0]

    def _write_ap(self, address: int, value: int) -> None:
        self._write_ap_multiple(address, [value])

    def _read_ap_multiple(self, address: int, count: int) -> list[int]:
        self._require_connected()
        if not 0 < count <= MAX_BLOCK_BYTES // 4:
            raise RefusedRequest(f"{count} reads in one request")
        values = [self._port.read_ap(address) for _ in range(count)]
        return [*values[1:], self._port.read(RDBUFF)]

    def _write_ap_multiple(self, address: int, values: list[int]) -> None:
        self._require_connected()
        for value in values:
            self._port.write_ap(address, value & WORD)
        self._port.read(RDBUFF)  # a fault of the last one shows here

    # ---- memory, as a probe with an adapter of its own reaches it ----

    def _memory_handle(self, version: int, number: int) -> int | None:
        return 0 if version == 1 and number == 0 else None

    def _memory(self, handle: int, address: int, size: int, bits: int) -> Memory:
        self._require_connected()
        if handle != 0:
            raise RefusedRequest(f"no memory interface has the handle {handle}")
        if bits not in (8, 16, 32):
            raise RefusedRequest(f"transfers of {bits} bits (expected 8, 16 or 32)")
        if address % (bits // 8):
            raise RefusedRequest(f"0x{address:08x} is not aligned to {bits} bits", TRANSFER_ERROR)
        if size > MAX_BLOCK_BYTES or address + size > WORD + 1:
            raise RefusedRequest(f"{size} bytes at 0x{address:08x} in one request")
        return self._target.memory

    def _read_mem(self, handle: int, address: int, bits: int) -> int:
        memory = self._memory(handle, address, bits // 8, bits)
        return int.from_bytes(memory.read(address, bits // 8, bits // 8), "little")

    def _write_mem(self, handle: int, address: int, value: int, bits: int) -> None:
        memory = self._memory(handle, address, bits // 8, bits)
        data = (value & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
        memory.write(address, data, bits // 8)

    def _read_block32(self, handle: int, address: int, count: int) -> list[int]:
        data = self._memory(handle, address, 4 * count, 32).read(address, 4 * count, 4)
        return list(memoryview(data).cast("I"))

    def _write_block32(self, handle: int, address: int, words: list[int]) -> None:
        memory = self._memory(handle, address, 4 * len(words), 32)
        memory.write(address, b"".join((word & WORD).to_bytes(4, "little") for word in words), 4)

    def _read_block8(self, handle: int, address: int, count: int) -> list[int]:
        memory = self._memory(handle, address, count, 8)
        return list(b"".join(memory.read(at, n, w) for at, n, w in widest(address, count)))

    def _write_block8(self, handle: int, address: int, data: list[int]) -> None:
        memory = self._memory(handle, address, len(data), 8)
        for at, size, width in widest(address, len(data)):
            memory.write(at, bytes(data[at - address : at - address + size]), width)


def widest(address: int, size: int) -> list[tuple[int, int, int]]:
    """Bytes as aligned words, with single bytes before and behind: (address, bytes, width)."""
    head = min(-address % 4, size)
    body = (size - head) & ~3
    parts = [
        (address, head, 1),
        (address + head, body, 4),
        (address + head + body, size - head - body, 1),
    ]
    return [part for part in parts if part[1]]


class _Connection(socketserver.StreamRequestHandler):
    """One client, from its first line to its last."""

    server: DebugServer
    disable_nagle_algorithm = True

    def handle(self) -> None:
        peer = f"{self.client_address[0]}:{self.client_address[1]}"
        with self.server.serving(peer) as holder:
            if holder is not None:
                self.connection.settimeout(IDLE_REFUSED_SECONDS)
            try:
                while self._answer_line(holder):
                    pass
            except OSError:  # it vanished
                return

    def _answer_line(self, holder: str | None) -> bool:
        line = self.rfile.readline(MAX_LINE_BYTES + 1)
        if not line:
            return False
        if len(line) > MAX_LINE_BYTES:
            self._reply(-1, GENERAL_ERROR, error=f"a line is of at most {MAX_LINE_BYTES} bytes")
            return False
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._reply(-1, GENERAL_ERROR, error="a request is one JSON object on one line")
            return True
        identity = message.get("id") if isinstance(message, dict) else None
        if type(identity) is not int or "request" not in message:
            self._reply(-1, GENERAL_ERROR, error="a request has an integer id and a request")
            return True
        if holder is not None:
            return self._refuse(identity, message["request"], holder)
        self._carry_out(identity, message["request"], message.get("arguments", []))
        return True

    def _refuse(self, identity: int, request: Any, holder: str) -> bool:
        if request == "close":  # pyOCD waits for this answer, whatever came before
            self._reply(identity, 0)
            return False
        self._reply(
            identity, PROBE_ERROR, error=f"another client is debugging this board: {holder}"
        )
        return True

    def _carry_out(self, identity: int, request: Any, arguments: Any) -> None:
        try:
            result = self.server.probe.carry_out(request, arguments)
        except RefusedRequest as refused:
            self._reply(identity, refused.status, error=str(refused))
        except (AccessFault, FaultResponse) as fault:
            self._reply(identity, TRANSFER_FAULT, error=str(fault))
        except (NoAnswer, HilnasError) as silence:
            self._reply(identity, TRANSFER_ERROR, error=str(silence))
        else:
            self._reply(identity, 0, result=result)

    def _reply(self, identity: int, status: int, **rest: Any) -> None:
        answer = {"id": identity, "status": status}
        answer.update({key: value for key, value in rest.items() if value is not None})
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Serving:
    """Who is served: enters with None for the one, with that one's address for any other."""

    def __init__(self, server: DebugServer, peer: str) -> None:
        self._server, self._peer = server, peer
        self._mine = False

    def __enter__(self) -> str | None:
        server = self._server
        with server.turn:
            if server.turn.wait_for(lambda: server.client is None, LEAVING_SECONDS):
                server.client, self._mine = self._peer, True
                return None
            return server.client

    def __exit__(self, *_: object) -> None:
        if self._mine:
            with self._server.turn:
                self._server.probe.release()
                self._server.client = None
                self._server.turn.notify()


class DebugServer(socketserver.ThreadingTCPServer):
    """Serves one client at a time from threads of its own, until close()."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, name: str, target: Target, port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Connection)
        self.probe = VirtualProbe(name, target)
        self.turn = threading.Condition()
        self.client: str | None = None
        self._room = threading.BoundedSemaphore(MAX_CLIENTS)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="debug port", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def serving(self, peer: str) -> _Serving:
        return _Serving(self, peer)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self._room.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        print(f"debug port: {sys.exc_info()[1]!r}", file=sys.stderr)

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
