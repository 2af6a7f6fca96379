"""The picture of a run's growth: hypervolume against candidates, and against wall time where the
journal has times."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search.report.drawing import FAINT, FOUND, STYLE, new_figure, write_quietly
from search.report.run_folder import Run


def plot_growth(run: Run) -> Figure:
    """A curve never falls; it is drawn on to the last candidate asked for, and each trained
    network has a mark on it."""
    growth = run.growth
    steps: list[tuple[str, Sequence[tuple[float, float]], float]] = [
        ("candidates asked for", growth.by_candidate, len(run.candidates))
    ]
    if growth.by_time:
        steps.append(("seconds of wall time", growth.by_time, growth.by_time[-1][0]))
    with matplotlib.rc_context(STYLE):
        figure = new_figure(10.6, 3.6, "", f"share of the box below {growth.box}")
        panels = figure.subplots(1, len(steps), sharey=True, squeeze=False)[0]
        for axes, (name, points, end) in zip(panels, steps, strict=True):
            _draw(axes, points, end)
            axes.set_xlabel(name)
        panels[0].set_ylabel("share of the box")
    return figure


def _draw(axes: Axes, points: Sequence[tuple[float, float]], end: float) -> None:
    axes.set_xlim(0, max(end, 1) * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    if not points:
        axes.set_ylim(0, 1)
        write_quietly(axes, "no network was trained")
        return
    x, shares = [point[0] for point in points], [point[1] for point in points]
    axes.step([0, *x, end], [0, *shares, shares[-1]], where="post", color=FOUND, linewidth=1.6)
    axes.plot(x, shares, "o", markersize=3.2, color=FAINT, zorder=3, label="a trained network")
    axes.set_ylim(0, max(1.15 * shares[-1], 0.01))
    axes.legend(loc="lower right", frameon=False, fontsize=8)
