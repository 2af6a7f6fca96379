"""In which order do operators need the least memory at once? The order whose largest step is
least, over sets of executed operators (arXiv 1910.05110), up to a cap; a beam search before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.kernels import Kernel
from harness.planner.regions import Storage, sharings, words
from harness.tflite import Graph

_TRIALS = 10_000  # steps tried by each of both searches
_LONGEST_RUN = 8  # operators that the exact search executes as one
_WIDEST_BEAM = 4


@dataclass(frozen=True)
class Order:
    """positions: in graph.operators, as executed. exact: no order needs fewer words at its
    largest step."""

    positions: tuple[int, ...]
    exact: bool


def least_peak_order(graph: Graph, kernels: Sequence[Kernel]) -> Order:
    """The graph's own order where none is better; `kernels` are in that order."""
    search = _Search(graph, kernels)
    own = tuple(range(len(graph.operators)))
    own_peak = search.peak(own)
    if own_peak == search.floor:
        return Order(own, exact=True)
    beam = search.beam()
    beam_peak = search.peak(beam)
    return search.exact(*((beam, beam_peak) if beam_peak < own_peak else (own, own_peak)))


@dataclass(frozen=True)
class _Step:
    """What executing one operator means; sets of operators are bits, memory counts in words.

    after: operators whose results it reads. reads: (words, operators that read them, words that
    the output may have in common with them). grows: what it allocates, `idle` of it for results
    that nothing reads; scratch: what it needs besides. most: all that can be in common. spoils:
    what its operands can have in common with results of any operator.
    """

    after: int
    reads: tuple[tuple[int, int, int], ...]
    grows: int
    idle: int
    scratch: int
    most: int
    spoils: int


# Words held behind it, the set of operators executed then, that of those ready then, positions.
_Run = tuple[int, int, int, tuple[int, ...]]


class _Search:
    """floor: words that every order needs."""

    def __init__(self, graph: Graph, kernels: Sequence[Kernel]) -> None:
        storage = Storage(graph)
        count = len(graph.operators)
        sizes = [words(size) for size in storage.sizes]
        writer = {
            index: position
            for position, operator in enumerate(graph.operators)
            for index in operator.outputs
        }
        readers = [0] * len(sizes)
        for position, operator in enumerate(graph.operators):
            for piece in storage.read(operator):
                readers[piece] |= 1 << position
        for piece in storage.kept:
            readers[piece] |= 1 << count  # is never executed
        self._pieces = [
            (size, 1 << writer[tensors[0]] if tensors[0] in writer else 0, who)
            for size, tensors, who in zip(sizes, storage.tensors, readers, strict=True)
        ]
        self._steps: list[_Step] = []
        commons = []
        for position, operator in enumerate(graph.operators):
            written = storage.written(operator)
            commons.append(
                {
                    piece: min(sizes[piece], sizes[written[0]] if how.equal else words(how.reach))
                    for piece, how in sharings(storage, operator, kernels[position]).items()
                }
            )
        most_common: dict[int, int] = {}  # of a piece with the results of all operators
        for each in commons:
            for piece, shared in each.items():
                most_common[piece] = max(shared, most_common.get(piece, 0))
        for position, operator in enumerate(graph.operators):
            written, common = storage.written(operator), commons[position]
            self._steps.append(
                _Step(
                    after=sum({1 << writer[i] for i in operator.inputs if i in writer}),
                    reads=tuple(
                        (sizes[piece], readers[piece], common.get(piece, 0))
                        for piece in storage.read(operator)
                    ),
                    grows=sum(sizes[piece] for piece in written),
                    idle=sum(sizes[piece] for piece in written if not readers[piece]),
                    scratch=words(kernels[position].scratch_bytes),
                    most=sizes[written[0]] if written else 0,
                    spoils=sum(most_common.get(piece, 0) for piece in storage.read(operator)),
                )
            )
        self._followers: list[list[int]] = [[] for _ in range(count)]
        self._first = 0
        for position, step in enumerate(self._steps):
            if not step.after:
                self._first |= 1 << position
        for position, operator in enumerate(graph.operators):
            for earlier in {writer[index] for index in operator.inputs if index in writer}:
                self._followers[earlier].append(position)
        self._end = (1 << count) - 1
        self._held = sum(sizes[piece] for piece in storage.given if readers[piece])
        self.floor = max(
            sum(sizes[piece] for piece in storage.given),
            *(
                sum(size for size, _, _ in step.reads)
                + step.grows
                + step.scratch
                - min(step.most, sum(c for _, r, c in step.reads if not r >> count))
                for step in self._steps
            ),
        )

    def _held_by(self, done: int) -> int:
        """Words held behind the operators of `done`."""
        return sum(
            size
            for size, writer, readers in self._pieces
            if not writer & ~done and readers & ~done
        )

    def _execute(self, done: int, held: int, position: int) -> tuple[int, int]:
        """(words at that step, words held behind it)"""
        step = self._steps[position]
        left = ~(done | 1 << position)
        freed, common = step.idle, 0
        for size, readers, shared in step.reads:
            if not readers & left:
                freed += size
                common += shared
        grown = held + step.grows
        return grown + step.scratch - min(step.most, common), grown - freed

    def _moves(
        self, done: int, ready: int, held: int, peak: int
    ) -> Iterator[tuple[int, int, int]]:
        """(position, words at that step, words held behind it) of the operators worth executing
        next. One that needs no more than the peak so far and leaves no more than there was is the
        only one: whatever is executed instead, executing it first costs nothing, because what it
        frees is free at all later steps, and what it allocates is needed in any case."""
        found = []
        while ready:
            position = (ready & -ready).bit_length() - 1
            ready &= ready - 1
            needed, left = self._execute(done, held, position)
            if needed <= peak and left <= held:
                yield position, needed, left
                return
            found.append((position, needed, left))
        yield from found

    def _ready_after(self, done: int, ready: int, position: int) -> int:
        """The operators that may follow, `position` being the last of `done`."""
        ready &= ~(1 << position)
        for follower in self._followers[position]:
            if not self._steps[follower].after & ~done:
                ready |= 1 << follower
        return ready

    def peak(self, order: Sequence[int]) -> int:
        done, held, peak = 0, self._held, self.floor
        for position in order:
            needed, held = self._execute(done, held, position)
            peak = max(peak, needed)
            done |= 1 << position
        return peak

    def exact(self, best: tuple[int, ...], peak: int) -> Order:
        """The best order; or, at the cap, the best that was found, at least as good as `best`,
        whose largest step is `peak`."""
        trials = 0
        while peak > self.floor:
            found, more = self._undercut(peak - 1, _TRIALS - trials)
            trials += more
            if found is None:
                return Order(best, exact=trials < _TRIALS)
            best, peak = found, self.peak(found)
        return Order(best, exact=True)

    def _undercut(self, limit: int, cap: int) -> tuple[tuple[int, ...] | None, int]:
        """(an order whose steps all need `limit` words at most, trials). None where there is none,
        or none was found within `cap` trials. Depth first; a set reached once is not looked at
        again, because only the set matters for what can follow."""
        trials = 0
        last, end = self._last(limit)
        reached: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}  # from, by
        states = [(0, self._first, self._held)]
        while states:
            done, ready, held = states.pop()
            if done == end:
                return (*self._trace(reached, end), *last), trials
            found = []
            for run in self._runs(done, ready, held, limit, end):
                trials += len(run[3])
                if run[1] not in reached:
                    reached[run[1]] = (done, run[3])
                    found.append(run)
            if trials >= cap:
                return None, cap
            # The one that leaves least is on top.
            for left, following, after, _ in sorted(found, reverse=True):
                states.append((following, after, left))
        return None, trials

    def _runs(self, done: int, ready: int, held: int, limit: int, end: int) -> list[_Run]:
        """What may come next. A run of operators that leaves no more than there was is the only
        one: what a set of operators adds to the memory held is never more behind a larger set
        than behind a smaller one, because the larger one has read more (the memory held is
        submodular). So whatever is executed instead, executing this first costs nothing."""
        single: list[_Run] = []
        for position, needed, left in self._moves(done, ready & end, held, limit):
            if needed > limit:
                continue
            executed = done | 1 << position
            after = self._ready_after(executed, ready, position)
            run: _Run = (left, executed, after, (position,))
            if left <= held:
                return [run]
            single.append(run)
        for start in single:
            run = start
            while len(run[3]) < _LONGEST_RUN:
                left, executed, after, positions = run
                fresh = after & ~ready & end
                if not fresh:
                    break
                steps = [
                    (left, position)
                    for position, needed, left in self._moves(executed, fresh, left, limit)
                    if needed <= limit
                ]
                if not steps:
                    break
                left, position = min(steps)
                executed |= 1 << position
                after = self._ready_after(executed, after, position)
                run = (left, executed, after, (*positions, position))
                if left <= held:
                    return [run]
        return single

    def _last(self, limit: int) -> tuple[tuple[int, ...], int]:
        """(operators that may as well come last, the set of all others). Those that nothing waits
        for and that leave at least as much more than there was as their operands could have in
        common with other results: executed earlier, they would be in the way, by the same
        argument."""
        last: list[int] = []
        end = self._end
        found = True
        while found:
            found = False
            for position in reversed(range(len(self._steps))):
                before = end & ~(1 << position)
                if before == end or any(end >> later & 1 for later in self._followers[position]):
                    continue
                held = self._held_by(before)
                needed, left = self._execute(before, held, position)
                if needed <= limit and left - held >= self._steps[position].spoils:
                    last.append(position)
                    end, found = before, True
        return tuple(reversed(last)), end

    def _trace(
        self, reached: dict[int, tuple[int, tuple[int, ...]]], done: int
    ) -> tuple[int, ...]:
        order: list[int] = []
        while done:
            done, positions = reached[done]
            order += reversed(positions)
        return tuple(reversed(order))

    def beam(self) -> tuple[int, ...]:
        """A good order: of the sets of each size, those with the smallest step so far, then those
        that hold least, go on. Behind its cap one goes on, by the graph's own order."""
        none: tuple[int, ...] = ()
        states = [(self.floor, self._held, 0, self._first, none)]
        width, trials = _WIDEST_BEAM, 0
        for _ in self._steps:
            found: dict[int, tuple[int, int, int, int, tuple[int, ...]]] = {}
            for peak, held, done, ready, order in states[:width]:
                open_to = ready if trials <= _TRIALS else ready & -ready
                for position, needed, left in self._moves(done, open_to, held, peak):
                    trials += 1
                    following, most = done | 1 << position, max(peak, needed)
                    if following not in found or most < found[following][0]:
                        after = self._ready_after(following, ready, position)
                        found[following] = (most, left, following, after, (*order, position))
            if trials > _TRIALS:
                width = 1
            states = sorted(found.values())
        return states[0][4]
