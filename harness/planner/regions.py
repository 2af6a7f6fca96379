"""Which bytes must exist at which time, and which of them may lie over each other? Regions and
their lifetimes for one order of execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.kernels import Kernel, continued
from harness.tflite import Graph, Operator

WORD = 4  # bytes; regions begin at multiples of it


@dataclass(frozen=True)
class Region:
    """`size` bytes that nothing else may touch from step `first` to step `last` of the execution,
    both included. What lies there: `tensors`, each of which continues the one before, or the
    scratch memory of the operator with the index `scratch`."""

    size: int
    first: int
    last: int
    tensors: tuple[int, ...] = ()
    scratch: int | None = None

    @property
    def words(self) -> int:
        return words(self.size)


@dataclass(frozen=True)
class Sharing:
    """How an operator's output may lie over an input that nothing reads afterwards: it may begin
    where the input begins (`equal`), and below that if it ends at most `reach` bytes behind the
    input's first byte (so reach = output size allows an equal beginning, too)."""

    equal: bool
    reach: int

    def words(self, source: Region, output: Region) -> int:
        """The most words that both can have in common."""
        most = min(source.words, output.words)
        return most if self.equal else min(most, words(self.reach))


@dataclass(frozen=True)
class Lifetimes:
    """shared: (region of an input, region of the output) -> how they may overlap. Regions of a
    pair meet at one step only."""

    regions: tuple[Region, ...]
    shared: dict[tuple[int, int], Sharing]
    steps: int

    def meetings(self) -> list[set[int]]:
        """For each region, the others that exist at the same time."""
        met: list[set[int]] = [set() for _ in self.regions]
        alive: dict[int, int] = {}  # region: its last step, for those that began
        for i in sorted(range(len(self.regions)), key=lambda i: self.regions[i].first):
            first = self.regions[i].first
            for j in [j for j, last in alive.items() if last < first]:
                del alive[j]
            met[i].update(alive)
            for j in alive:
                met[j].add(i)
            alive[i] = self.regions[i].last
        return met

    def lower_bound(self) -> int:
        """Bytes that every placement of these lifetimes needs: the most at one step."""
        return max(self.needed(), default=0)

    def needed(self) -> list[int]:
        """Bytes at each step, from step -1 on, when inputs are written, to the end. The last word
        need not be whole."""
        # What begins and ends at each step, by the bytes that the last word leaves.
        changes = [[0] * (self.steps + 3) for _ in range(WORD)]
        counts = [[0] * (self.steps + 3) for _ in range(WORD)]
        for region in self.regions:
            rest = region.words * WORD - region.size
            for at, sign in ((region.first + 1, 1), (region.last + 2, -1)):
                changes[rest][at] += sign * region.words
                counts[rest][at] += sign
        held = [list(accumulate(steps))[:-1] for steps in changes]
        alive = [list(accumulate(steps))[:-1] for steps in counts]
        needed = [sum(parts) for parts in zip(*held, strict=True)]
        slack = [
            max((rest for rest, there in enumerate(each) if there), default=0)
            for each in zip(*alive, strict=True)
        ]
        saved: dict[int, int] = {}
        for (source, output), sharing in self.shared.items():
            common = sharing.words(self.regions[source], self.regions[output])
            saved[output] = saved.get(output, 0) + common
        for output, common in saved.items():
            region = self.regions[output]
            needed[region.first + 1] -= min(common, region.words)
        return [WORD * count - rest for count, rest in zip(needed, slack, strict=True)]


class Storage:
    """Which tensors of a graph are one piece of memory: a tensor and all that continue it.
    `sizes` in bytes, `given` those that are there from the start (inputs and state), `kept` those
    that live to the end (outputs and state); numbered in the order in which they appear."""

    def __init__(self, graph: Graph) -> None:
        self.tensors: list[list[int]] = []
        self.of: dict[int, int] = {}
        for index in (*graph.inputs, *graph.states):
            self._add(index)
        self.given = tuple(range(len(self.tensors)))
        for operator in graph.operators:
            for index in operator.outputs:
                if (before := continued(graph, operator)) is not None:
                    piece = self.of[before]
                    self.tensors[piece].append(index)
                    self.of[index] = piece
                else:
                    self._add(index)
        self.sizes = [graph.tensor(members[0]).bytes for members in self.tensors]
        self.kept = {self.of[index] for index in (*graph.outputs, *graph.states)}

    def _add(self, index: int) -> None:
        self.of[index] = len(self.tensors)
        self.tensors.append([index])

    def read(self, operator: Operator) -> list[int]:
        """The pieces that `operator` reads, each once, constants left out."""
        return list(dict.fromkeys(self.of[i] for i in operator.inputs if i in self.of))

    def written(self, operator: Operator) -> list[int]:
        """The pieces that begin with `operator`."""
        pieces = (self.of[index] for index in operator.outputs)
        return [piece for piece in pieces if self.tensors[piece][0] in operator.outputs]


def sharings(storage: Storage, operator: Operator, kernel: Kernel) -> dict[int, Sharing]:
    """Piece that `operator` reads -> how its output may lie over it. A piece that is read twice
    allows what both reads allow."""
    found: dict[int, Sharing] = {}
    if len(operator.outputs) != 1 or not storage.written(operator):
        return found
    size = storage.sizes[storage.of[operator.outputs[0]]]
    reaches = dict(kernel.overlaps)
    for position, index in enumerate(operator.inputs):
        if index not in storage.of:
            continue
        piece = storage.of[index]
        before = found.get(piece, Sharing(True, size))
        reach = min(reaches.get(position, 0), before.reach)
        found[piece] = Sharing(position in kernel.inplace and before.equal, reach)
    return {piece: sharing for piece, sharing in found.items() if sharing.equal or sharing.reach}


def lifetimes(graph: Graph, kernels: Sequence[Kernel], order: Sequence[int]) -> Lifetimes:
    """The regions of `graph` with its operators executed as `order` says, positions in
    graph.operators; `kernels` are in the graph's order."""
    storage = Storage(graph)
    count = len(storage.tensors)
    first, last = [-1] * count, [-1] * count
    for time, position in enumerate(order):
        operator = graph.operators[position]
        for piece in storage.written(operator):
            first[piece] = last[piece] = time
        for piece in storage.read(operator):
            last[piece] = time
    for piece in storage.kept:
        last[piece] = len(order)
    regions = [
        Region(storage.sizes[i], first[i], last[i], tensors=tuple(storage.tensors[i]))
        for i in range(count)
    ]
    shared: dict[tuple[int, int], Sharing] = {}
    for time, position in enumerate(order):
        operator, kernel = graph.operators[position], kernels[position]
        for piece, sharing in sharings(storage, operator, kernel).items():
            if last[piece] == time:
                shared[piece, storage.of[operator.outputs[0]]] = sharing
        if kernel.scratch_bytes:
            regions.append(Region(kernel.scratch_bytes, time, time, scratch=operator.index))
    return Lifetimes(tuple(regions), shared, len(order))


def words(size: int) -> int:
    return -(-size // WORD)
