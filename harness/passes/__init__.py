"""What of a model need not be computed on the unit? Graph -> Graph with the same outputs bit for
bit: whatever can be worked out before the first inference, is.

    unread.py      operators whose results nobody reads
    paddings.py    PADs that convolutions can do
    clamps.py      activation functions that what is before them can do
    intervals.py   which values each channel can take
    constants.py   filters that make one value whatever the input
    links.py       channels that belong together
    channels.py    channels that no output depends on
    removal.py     a graph without them
    aliases.py     operators that change no byte
    single.py      convolutions of one channel as the kind that is faster
    patches.py     the first stage patch by patch, where memory is short
    rewriting.py   a graph while it is being changed

Operators keep the index they have in the file; those that are gone leave a gap.
"""

from __future__ import annotations

from harness.options import Optimise
from harness.passes.aliases import find_aliases
from harness.passes.clamps import merge_clamps
from harness.passes.constants import settle_constants
from harness.passes.intervals import channels_of, find_intervals
from harness.passes.paddings import merge_paddings
from harness.passes.removal import remove_channels
from harness.passes.single import as_convolutions, as_depthwise
from harness.passes.unread import drop_unread
from harness.tflite import Graph

_MOST_CHANNELS = 1 << 16  # of all tensors; beyond it this would take longer than it is worth
_ROUNDS = 8  # channels that are gone leave more that nobody reads; most graphs need three


def rewrite(graph: Graph, *, optimise: Optimise = Optimise.SPEED) -> Graph:
    """Raises UnsupportedModelError where a scale cannot be expressed."""
    graph = as_convolutions(merge_clamps(merge_paddings(drop_unread(graph))))
    computed = (tensor for tensor in graph.tensors if tensor.data is None)
    if sum(channels_of(tensor) for tensor in computed) <= _MOST_CHANNELS:
        graph = _fold_constants(graph)
    return as_depthwise(graph) if optimise is Optimise.SPEED else graph


def _fold_constants(graph: Graph) -> Graph:
    found = find_intervals(graph)
    for _ in range(_ROUNDS):
        settled = settle_constants(graph, found)
        graph = remove_channels(settled, found)
        if graph is settled:
            break
        found = find_intervals(graph)
    return find_aliases(graph, found)
