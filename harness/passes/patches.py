"""Can the first stage of a network be computed patch by patch? Graph -> Graph with the same
outputs bit for bit, where only the stage's input and output ever exist as a whole (MCUNetV2,
arXiv 2110.15352).

Each patch of the output is computed from the window of the input that it depends on, by the same
operators on smaller tensors. Neighbours' windows overlap, so what lies there is computed again.
Only at the input's true borders is anything padded. Branches and sums are allowed within a stage:
a tensor's window holds what all its readers need, and readers that need less get a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.passes.rewriting import Rewriting
from harness.tflite import Conv2D, DepthwiseConv2D, Graph, Operator, Pool2D, Tensor, Window

_WINDOWED = {"AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"}
_ELEMENTWISE = {
    "ABS", "ADD", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MUL", "QUANTIZE", "RELU", "RELU6",
    "SUB", "TANH",
}  # fmt: skip

Span = tuple[int, int]  # the first row or column, and the one behind the last
Box = tuple[Span, Span]  # rows, columns
Patch = tuple[dict[int, Span], dict[int, Span]]  # of every tensor that it depends on


@dataclass(frozen=True)
class Stage:
    """The first `count` operators of a graph; nothing behind them reads anything of theirs but
    `output`."""

    count: int
    output: int


def stages(graph: Graph) -> Iterator[Stage]:
    """The stages that can be split, the shortest first."""
    last = {i: at for at, operator in enumerate(graph.operators) for i in operator.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.operators))
    alive: set[int] = set()  # written and read by what follows
    for position, operator in enumerate(graph.operators):
        if not _can_be_split(graph, operator):
            return
        alive.difference_update(i for i in operator.inputs if last[i] == position)
        alive.update(i for i in operator.outputs if last.get(i, -1) > position)
        if alive == set(operator.outputs):
            yield Stage(position + 1, operator.outputs[0])


def _can_be_split(graph: Graph, operator: Operator) -> bool:
    output = graph.tensor(operator.outputs[0])
    computed = [graph.tensor(i) for i in _computed(graph, operator)]
    if len(output.shape) != 4 or output.shape[0] != 1 or not computed:
        return False
    if operator.op in _WINDOWED:
        return len(computed) == 1
    return (
        operator.op in _ELEMENTWISE
        and len(computed) == len(operator.inputs)
        and all(tensor.shape == output.shape for tensor in computed)
    )


def _computed(graph: Graph, operator: Operator) -> list[int]:
    return [i for i in operator.inputs if i >= 0 and graph.tensor(i).data is None]


def slices(graph: Graph, stage: Stage, axis: int, count: int) -> list[dict[int, Span]] | None:
    """The stage's output in `count` slices along `axis` (0: rows, 1: columns), as even as they can
    be: for each, the part of every tensor of the stage that it depends on. None where one depends
    on padding alone."""
    size = graph.tensor(stage.output).shape[1 + axis]
    edges = [size * i // count for i in range(count + 1)]
    found = []
    for first, behind in zip(edges, edges[1:], strict=False):
        if (needed := _depends_on(graph, stage, axis, (first, behind))) is None:
            return None
        found.append(needed)
    return found


def _depends_on(graph: Graph, stage: Stage, axis: int, part: Span) -> dict[int, Span] | None:
    needed = {stage.output: part}
    for operator in reversed(graph.operators[: stage.count]):
        if (span := needed.get(operator.outputs[0])) is None:
            continue  # nothing of the output depends on it
        for index in _computed(graph, operator):
            read = _read(graph, operator, axis, span)
            if read[0] >= read[1]:
                return None
            before = needed.get(index, read)
            needed[index] = (min(before[0], read[0]), max(before[1], read[1]))
    return needed


def _read(graph: Graph, operator: Operator, axis: int, span: Span) -> Span:
    """What `operator` reads of its inputs for `span` of its output."""
    first, behind = _reach(graph, operator, axis, span)
    return max(first, 0), min(behind, graph.tensor(operator.inputs[0]).shape[1 + axis])


def _reach(graph: Graph, operator: Operator, axis: int, span: Span) -> Span:
    """The same with padding: the windows of `span`."""
    options = operator.options
    if not isinstance(options, Conv2D | DepthwiseConv2D | Pool2D):
        return span
    if isinstance(options, Pool2D):
        size = options.window[axis]
    else:
        weights = graph.tensor(operator.inputs[1])  # [filters or 1][height][width][channels]
        size = (weights.shape[1 + axis] - 1) * options.dilation[axis] + 1
    stride, pad = options.stride[axis], options.pads[axis]
    return span[0] * stride - pad, (span[1] - 1) * stride - pad + size


def split(graph: Graph, stage: Stage, patches: Sequence[Patch]) -> Graph:
    """`graph` with its stage computed once for each of `patches`. What computes a part of an
    operator says so (Operator.part_of)."""
    return _Splitting(graph, stage).run(patches)


class _Splitting:
    def __init__(self, graph: Graph, stage: Stage) -> None:
        self._graph, self._stage = graph, stage
        self._rewriting = Rewriting(graph)
        self._operators: list[Operator] = []
        self._index = 1 + max(o.index for o in (*graph.operators, *graph.folded))
        self._whole: int | None = None  # the output with the patches that are done

    def run(self, patches: Sequence[Patch]) -> Graph:
        for number, patch in enumerate(patches):
            self._compute(*patch, last=number == len(patches) - 1)
        return self._rewriting.finish(
            (*self._operators, *self._graph.operators[self._stage.count :])
        )

    def _compute(self, rows: dict[int, Span], columns: dict[int, Span], *, last: bool) -> None:
        graph, stage = self._graph, self._stage
        written = {i for o in graph.operators[: stage.count] for i in o.outputs}
        # What there is of a tensor: the box and the index of the tensor that holds it.
        there: dict[int, tuple[Box, int]] = {}
        cut: dict[tuple[int, Box], int] = {}
        for operator in graph.operators[: stage.count]:
            if operator.outputs[0] not in rows:
                continue
            box = (rows[operator.outputs[0]], columns[operator.outputs[0]])
            wanted = _both(_read, graph, operator, box)
            inputs = list(operator.inputs)
            for position, index in enumerate(inputs):
                if index not in _computed(graph, operator):
                    continue
                if index not in written:
                    there[index] = (_everything(graph.tensor(index)), index)
                if (index, wanted) not in cut:
                    cut[index, wanted] = self._cut(operator, *there[index], wanted)
                inputs[position] = cut[index, wanted]
            options = operator.options
            if isinstance(options, Conv2D | DepthwiseConv2D | Pool2D):
                reach = _both(_reach, graph, operator, box)
                pads = (wanted[0][0] - reach[0][0], wanted[1][0] - reach[1][0])
                options = replace(options, pads=pads)
            output = self._tensor(operator.outputs[0], box)
            part = replace(operator, inputs=tuple(inputs), outputs=(output,), options=options)
            self._add(part, operator)
            there[operator.outputs[0]] = (box, output)
        self._paste(*there[stage.output], last=last)

    def _cut(self, reader: Operator, have: Box, index: int, wanted: Box) -> int:
        """The index of a tensor that holds `wanted` of the one that holds `have`."""
        if have == wanted:
            return index
        output = self._tensor(index, wanted)
        window = Window(wanted[0][0] - have[0][0], wanted[1][0] - have[1][0])
        self._add(Operator(-1, "PATCH_IN", (index,), (output,), window), reader)
        return output

    def _paste(self, box: Box, patch: int, *, last: bool) -> None:
        """Every patch goes into the same memory: the whole before is an operand, too."""
        whole = self._graph.tensor(self._stage.output)
        output = whole.index if last else self._tensor(whole.index, _everything(whole))
        inputs = (patch,) if self._whole is None else (patch, self._whole)
        window = Window(box[0][0], box[1][0])
        writer = self._graph.operators[self._stage.count - 1]
        self._add(Operator(-1, "PATCH_OUT", inputs, (output,), window), writer)
        self._whole = output

    def _tensor(self, index: int, box: Box) -> int:
        return self._rewriting.part(index, (1, box[0][1] - box[0][0], box[1][1] - box[1][0]))

    def _add(self, operator: Operator, origin: Operator) -> None:
        self._operators.append(replace(operator, index=self._index, part_of=origin.index))
        self._index += 1


def _both(
    along: Callable[[Graph, Operator, int, Span], Span], graph: Graph, operator: Operator, box: Box
) -> Box:
    return along(graph, operator, 0, box[0]), along(graph, operator, 1, box[1])


def _everything(tensor: Tensor) -> Box:
    return (0, tensor.shape[1]), (0, tensor.shape[2])
