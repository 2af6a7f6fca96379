"""The picture of where the front comes from: its networks and their ancestors, in the order in
which they were asked for."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from search.report.drawing import FAINT, FOUND, FRONT, STYLE, new_figure
from search.report.run_folder import Run


def plot_ancestors(run: Run) -> Figure | None:
    """None where no member of the front has a parent in the journal. Grey: every trained network;
    lines lead from parent to child."""
    chains = [[step.candidate for step in ancestry.steps] for ancestry in run.ancestries]
    if not any(len(chain) > 1 for chain in chains):
        return None
    members = {chain[-1].archid for chain in chains}
    place = {c.archid: (c.index, c.trained.val_error) for c in run.candidates if c.trained}
    bred = {
        (a.archid, b.archid) for chain in chains for a, b in zip(chain, chain[1:], strict=False)
    }
    ancestors = {archid for pair in bred for archid in pair} - members
    with matplotlib.rc_context(STYLE):
        figure = new_figure(10.6, 3.8, "", "lines lead from parent to child")
        axes = figure.subplots()
        axes.set_xlabel("candidate")
        axes.set_ylabel("int8 validation error")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        axes.plot(*zip(*place.values(), strict=True), ".", color=FAINT, markersize=4)
        for parent, child in sorted(bred):
            if parent in place and child in place:
                axes.annotate(
                    "",
                    place[child],
                    place[parent],
                    arrowprops={"arrowstyle": "-|>", "color": FOUND, "linewidth": 0.9},
                )
        for group, color, name in (
            (ancestors, FOUND, "ancestors"),
            (members, FRONT, "Pareto front"),
        ):
            drawn = sorted(place[archid] for archid in group if archid in place)
            if drawn:
                axes.plot(*zip(*drawn, strict=True), "o", color=color, markersize=5, label=name)
        axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)
    return figure
