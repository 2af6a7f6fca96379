"""How large will TFLite Micro's arena be on the target, as far as this machine can tell without a
library for it?

The head is the same on both: tensors and scratch buffers have the sizes that they have anywhere
(head.py), only CMSIS-NN's scratch buffers are the target's own (scratch.py). The tail is not: the
interpreter on this machine has pointers of 8 bytes, so its structures are replayed with the
target's (tail.py). What the replay must get right about upstream's planner is checked for each
model: the interpreter on this machine records its own head.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.engines.tflm.head import Head, aligned
from harness.engines.tflm.scratch import Kernels
from harness.engines.tflm.tail import tail_of
from harness.errors import HilnasError, ToolchainError
from harness.oracle import REFERENCE, recorded_allocations
from harness.tflite import read_graph

# The largest differences from what libraries of commit 90b983c said on a virtual board, and on how
# many networks (python -m bench tflm_arena).
LARGEST_ERROR_BYTES = 16
NETWORKS = 163
CERTAINTY = (
    f"estimated on this machine, error at most {LARGEST_ERROR_BYTES} bytes on {NETWORKS} networks"
)


@dataclass(frozen=True)
class Estimate:
    """used_bytes: what arena_used_bytes() will say. needed_bytes: the smallest arena, a multiple
    of 16, in which it can be allocated; more than used_bytes where temporary memory does not fit
    into what tensors take later."""

    kernels: Kernels
    head_bytes: int
    tail_bytes: int
    needed_bytes: int

    @property
    def used_bytes(self) -> int:
        return self.head_bytes + self.tail_bytes

    @property
    def sentence(self) -> str:
        return (
            f"with {self.kernels.value} kernels its arena takes about {self.needed_bytes:,} "
            f"bytes, {self.used_bytes:,} of them once it is allocated ({CERTAINTY})"
        )


@dataclass(frozen=True)
class Record:
    """What the interpreter allocated on this machine, of 64 bits, with reference kernels."""

    head_bytes: int
    tail_bytes: int


def estimate(model: bytes, *, name: str, kernels: Kernels = Kernels.CMSIS_NN) -> Estimate:
    """The arena of `model` in a 32-bit Arm library with these `kernels`.

    Raises:
        ModelError: not a valid model, or one that TFLite Micro cannot run.
        HilnasError: the interpreter on this machine cannot set it up, or places tensors otherwise
            than is assumed here.
    """
    graph = read_graph(model, where=name)
    head = Head(graph, kernels)
    tail = tail_of(graph, head, kernels)
    reference = Head(graph, Kernels.REFERENCE)
    expected, found = reference.planned_bytes(reference.own_order), record(model).head_bytes
    if found != expected:
        raise HilnasError(
            "the arena cannot be estimated: upstream plans it otherwise than is known here",
            where=name,
            expected=f"{expected} bytes of tensors in {REFERENCE}",
            got=found,
            hint="measure it with a library: --engine tflm",
        )
    placed = head.planned_bytes(head.own_order)
    needed = aligned(max(placed + tail.bytes, tail.allocation_bytes))
    return Estimate(kernels, placed, tail.bytes, needed)


def with_estimate(error: ToolchainError, model: bytes, *, name: str) -> ToolchainError:
    """`error`, that there is no library, with what can be said of `model` without one, if
    anything."""
    try:
        said = estimate(model, name=name).sentence
    except HilnasError:
        return error
    hint = f"{error.hint}; without one: {said}"
    return ToolchainError(
        error.what, where=error.where, expected=error.expected, got=error.got, hint=hint
    )


def record(model: bytes) -> Record:
    """Let the interpreter on this machine allocate `model`.

    Raises:
        HilnasError: it cannot, or says what is not understood.
    """
    text = recorded_allocations(model)
    found = {
        part: int(number)
        for part, number in re.findall(r"Arena allocation (head|tail) (\d+) bytes", text)
    }
    if len(found) != 2:
        raise HilnasError(
            "the reference interpreter does not say what it allocated",
            where=REFERENCE,
            expected="'Arena allocation head ... bytes'",
            got=repr(text[:80]),
            hint="`make setup` installs the version that is known here",
        )
    return Record(found["head"], found["tail"])
