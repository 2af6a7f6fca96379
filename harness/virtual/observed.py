"""What has the core seen of a run? Plain values, their JSON on the control channel, and how they
are read out of the C core (core/observe.h). Knows no names: addresses only."""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

# The order of SpentReason.
REASONS = ("issue", "memory", "branch", "fetch", "flash", "fpu", "divide", "exception", "sleep")
EXCEPTION_ROOT = 0xFFFFFF00

Cycles = tuple[int, ...]  # one a reason


@dataclass(frozen=True)
class Modes:
    """What to observe. `trace`: bytes of SRAM and stacks; `watch`: reads of what nobody wrote."""

    profile: bool = False
    trace: bool = False
    watch: bool = False

    def __bool__(self) -> bool:
        return self.profile or self.trace or self.watch


@dataclass(frozen=True)
class Block:
    """Instructions that ran in a row. instructions: (address, cycles it takes by itself)."""

    start: int
    bytes: int
    executions: int
    cycles: Cycles
    instructions: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Call:
    """A function on one call path; `cycles` are its own. parent: a number in the same list, which
    the root at 0 has, too. function: its address, or EXCEPTION_ROOT + exception number."""

    parent: int
    function: int
    calls: int
    cycles: Cycles


@dataclass(frozen=True)
class Touched:
    """A RAM, and a bit for each byte that was read or written, lowest bit first."""

    base: int
    size: int
    read: bytes
    written: bytes


@dataclass(frozen=True)
class UninitialisedRead:
    address: int
    pc: int
    bytes: int
    times: int


@dataclass(frozen=True)
class Extent:
    """Lowest and highest address that a stack pointer was seen at."""

    lowest: int
    highest: int


@dataclass(frozen=True)
class Observed:
    """cycles: of the profile, which its blocks and its calls both add up to. dropped: how often
    there was no room for one more block or call path; their cycles are with the nearest one."""

    cycles: int
    dropped: int
    blocks: tuple[Block, ...]
    calls: tuple[Call, ...]
    memories: tuple[Touched, ...]
    uninitialised: tuple[UninitialisedRead, ...]
    main_stack: Extent | None
    process_stack: Extent | None

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        for memory in value["memories"]:
            for name in ("read", "written"):
                memory[name] = base64.b64encode(memory[name]).decode()
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Observed:
        return cls(
            cycles=value["cycles"],
            dropped=value["dropped"],
            blocks=tuple(
                Block(
                    block["start"],
                    block["bytes"],
                    block["executions"],
                    tuple(block["cycles"]),
                    tuple((address, cost) for address, cost in block["instructions"]),
                )
                for block in value["blocks"]
            ),
            calls=tuple(
                Call(call["parent"], call["function"], call["calls"], tuple(call["cycles"]))
                for call in value["calls"]
            ),
            memories=tuple(
                Touched(
                    memory["base"],
                    memory["size"],
                    base64.b64decode(memory["read"]),
                    base64.b64decode(memory["written"]),
                )
                for memory in value["memories"]
            ),
            uninitialised=tuple(UninitialisedRead(**read) for read in value["uninitialised"]),
            main_stack=Extent(**value["main_stack"]) if value["main_stack"] else None,
            process_stack=Extent(**value["process_stack"]) if value["process_stack"] else None,
        )


_Spent = ctypes.c_int64 * len(REASONS)


class _Block(ctypes.Structure):
    _fields_ = [
        ("start", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("executions", ctypes.c_uint64),
        ("cycles", _Spent),
    ]


class _Call(ctypes.Structure):
    _fields_ = [
        ("parent", ctypes.c_uint32),
        ("function", ctypes.c_uint32),
        ("calls", ctypes.c_uint64),
        ("cycles", _Spent),
        ("first_child", ctypes.c_uint32),
        ("next_sibling", ctypes.c_uint32),
    ]


class _Touched(ctypes.Structure):
    _fields_ = [
        ("base", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("read", ctypes.c_void_p),
        ("written", ctypes.c_void_p),
    ]


class _Uninitialised(ctypes.Structure):
    _fields_ = [
        ("address", ctypes.c_uint32),
        ("pc", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("times", ctypes.c_uint64),
    ]


class _Extent(ctypes.Structure):
    _fields_ = [("lowest", ctypes.c_uint32), ("highest", ctypes.c_uint32)]


class _Observed(ctypes.Structure):
    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("dropped", ctypes.c_uint64),
        ("blocks", ctypes.POINTER(_Block)),
        ("nodes", ctypes.POINTER(_Call)),
        ("memories", ctypes.POINTER(_Touched)),
        ("uninitialised", ctypes.POINTER(_Uninitialised)),
        ("block_count", ctypes.c_uint32),
        ("node_count", ctypes.c_uint32),
        ("memory_count", ctypes.c_uint32),
        ("uninitialised_count", ctypes.c_uint32),
        ("main", _Extent),
        ("process", _Extent),
    ]


class _InstructionCost(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint32), ("cycles", ctypes.c_uint32)]


_INSTRUCTIONS_A_BLOCK = 1024  # Unicorn ends a block at 512


def declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the signatures of core/observe.c."""
    machine = ctypes.c_void_p
    library.machine_observe.restype = ctypes.c_bool
    library.machine_observe.argtypes = [
        machine,
        ctypes.c_uint32,
        ctypes.POINTER(ctypes.c_uint32),
        ctypes.c_uint32,
    ]
    library.machine_observed.restype = ctypes.POINTER(_Observed)
    library.machine_observed.argtypes = [machine]
    library.machine_instruction_costs.argtypes = [
        machine,
        ctypes.c_uint32,
        ctypes.c_uint32,
        ctypes.POINTER(_InstructionCost),
        ctypes.c_uint32,
    ]


def observe(library: ctypes.CDLL, machine: int, modes: Modes, functions: Sequence[int]) -> bool:
    bits = sum(bool(getattr(modes, field.name)) << i for i, field in enumerate(fields(modes)))
    starts = (ctypes.c_uint32 * len(functions))(*functions)
    return bool(library.machine_observe(machine, bits, starts, len(functions)))


def read(library: ctypes.CDLL, machine: int) -> Observed | None:
    pointer = library.machine_observed(machine)
    if not pointer:
        return None
    seen = pointer.contents
    costs = (_InstructionCost * _INSTRUCTIONS_A_BLOCK)()

    def instructions(block: _Block) -> tuple[tuple[int, int], ...]:
        count = library.machine_instruction_costs(
            machine, block.start, block.bytes, costs, _INSTRUCTIONS_A_BLOCK
        )
        return tuple((costs[i].address, costs[i].cycles) for i in range(count))

    def extent(value: _Extent) -> Extent | None:
        return Extent(value.lowest, value.highest) if value.lowest <= value.highest else None

    blocks = (seen.blocks[i] for i in range(seen.block_count))
    calls = (seen.nodes[i] for i in range(seen.node_count))
    memories = (seen.memories[i] for i in range(seen.memory_count))
    reads = (seen.uninitialised[i] for i in range(seen.uninitialised_count))
    return Observed(
        cycles=seen.cycles,
        dropped=seen.dropped,
        blocks=tuple(
            Block(b.start, b.bytes, b.executions, tuple(b.cycles), instructions(b)) for b in blocks
        ),
        calls=tuple(Call(c.parent, c.function, c.calls, tuple(c.cycles)) for c in calls),
        memories=tuple(
            Touched(
                memory.base,
                memory.size,
                ctypes.string_at(memory.read, memory.size // 8),
                ctypes.string_at(memory.written, memory.size // 8),
            )
            for memory in memories
        ),
        uninitialised=tuple(
            UninitialisedRead(read.address, read.pc, read.bytes, read.times) for read in reads
        ),
        main_stack=extent(seen.main),
        process_stack=extent(seen.process),
    )
