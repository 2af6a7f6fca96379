"""In which order of its operators does a .tflite need the least memory where nothing rewrites it?
TFLite Micro executes a file's operators as they stand; the planner's order, written into the file,
is what the project can do for it.

The order is found on the graph as the file has it, with TFLite Micro's memory: results and scratch
buffers in units of 16 bytes, nothing in place. What counts is not the largest step, which the
search minimises, but what TFLite Micro's greedy planner makes of the order; so an order is taken
only where that is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.engines.tflm.head import Head
from harness.engines.tflm.scratch import Kernels
from harness.errors import MeasurementRefusedError
from harness.measure import random_inputs
from harness.oracle import REFERENCE, reference_sequence
from harness.planner.order import least_peak_order
from harness.tflite import read_graph, reordered

_COMPARED = 2  # consecutive inferences, so that state is compared, too


@dataclass(frozen=True)
class Tensors:
    """What tensors and scratch buffers of one order take. peak_bytes: at its largest step.
    head_bytes: as TFLite Micro's planner places them."""

    peak_bytes: int
    head_bytes: int


@dataclass(frozen=True)
class Reordered:
    """model: the file, of the size that it had. order: for each place, the place that its operator
    has in the file given. exact: no order has a smaller largest step."""

    model: bytes
    order: tuple[int, ...]
    exact: bool
    before: Tensors
    after: Tensors

    @property
    def changed(self) -> bool:
        return self.order != tuple(range(len(self.order)))

    @property
    def summary(self) -> str:
        """What was done, in a few words."""
        if self.changed:
            return f"another order, {'exact' if self.exact else 'by search'}"
        return f"the order that it had is the best{'' if self.exact else ' that was found'}"


def reorder(model: bytes, *, name: str, kernels: Kernels = Kernels.CMSIS_NN) -> Reordered:
    """`model` in the best order found for a library with these `kernels`; as it is, where none is
    better. Reordering the result again changes nothing.

    Raises:
        ModelError: no valid model, or one with control flow or several subgraphs, or one that
            cannot be put into another order.
    """
    given = Head(read_graph(model, where=name), kernels)
    order, head = given.own_order, given
    result = reordered(model, order, where=name)  # the same, unless it must not be changed
    before = after = _tensors(given, order)
    while True:  # an inexact search may find more from where it ended
        found = least_peak_order(head.buffers, head.kernels)
        tensors = _tensors(head, found.positions)
        if tensors.head_bytes >= after.head_bytes:
            break
        order, after = tuple(order[place] for place in found.positions), tensors
        result = reordered(model, order, where=name)
        head = Head(read_graph(result, where=name), kernels)
        if found.exact:
            break
    exact = found.exact and tensors.peak_bytes == after.peak_bytes
    return Reordered(result, order, exact, before, after)


def _tensors(head: Head, order: tuple[int, ...]) -> Tensors:
    return Tensors(head.peak_bytes(order), head.planned_bytes(order))


def check_reordered(model: bytes, other: bytes, *, name: str, seed: int = 0) -> None:
    """Let the reference interpreter run both on the same random inputs.

    Raises:
        MeasurementRefusedError: their outputs differ.
        HilnasError: the interpreter cannot run one of them.
    """
    graph = read_graph(model, where=name)
    sequence = [random_inputs(graph, seed + i) for i in range(_COMPARED)]
    given, found = (reference_sequence(each, sequence) for each in (model, other))
    for index, (outputs, others) in enumerate(zip(given, found, strict=True)):
        if not all(np.array_equal(a, b) for a, b in zip(outputs, others, strict=True)):
            raise MeasurementRefusedError(
                f"the reordered model answers differently in inference {index}",
                where=name,
                expected=f"what {REFERENCE} answers for the model given",
                hint="an operator has an effect that its tensors do not show; do not use it",
            )
