"""What of a model need not be computed on the unit? Graph -> Graph with the same outputs bit for
bit: whatever can be worked out before the first inference, is.

    intervals.py   which values each channel can take
    constants.py   filters that make one value whatever the input
    channels.py    channels that no output depends on
    rewriting.py   a graph while it is being changed

Operators keep the index they have in the file; those that are gone leave a gap.
"""

from __future__ import annotations

from harness.passes.channels import remove_channels
from harness.passes.constants import settle_constants
from harness.passes.intervals import channels_of, find_intervals
from harness.tflite import Graph

_MOST_CHANNELS = 1 << 16  # of all tensors; beyond it this would take longer than it is worth
_ROUNDS = 8  # channels that are gone leave more that nobody reads; most graphs need three


def rewrite(graph: Graph) -> Graph:
    """Raises UnsupportedModelError where a scale cannot be expressed."""
    computed = (tensor for tensor in graph.tensors if tensor.data is None)
    if sum(channels_of(tensor) for tensor in computed) > _MOST_CHANNELS:
        return graph
    for _ in range(_ROUNDS):
        settled = settle_constants(graph, found := find_intervals(graph))
        smaller = remove_channels(settled, found)
        if smaller is settled:
            return settled
        graph = smaller
    return graph
