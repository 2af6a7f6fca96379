"""The picture of sizes as proxies: what arithmetic counts against what was measured."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.report.drawing import FOUND, INK, STYLE, new_figure, scale_by_ratio
from search.report.plots import write_errors
from search.report.proxy import Proxy
from search.report.run_folder import Run


def plot_sizes(run: Run) -> Figure | None:
    """A panel for each proxy of a size, in KiB; None where none was judged. The line is the proxy
    with its best constant."""
    sizes = [proxy for proxy in run.proxies if proxy.unit == "bytes"]
    if not sizes:
        return None
    with matplotlib.rc_context(STYLE):
        figure = new_figure(10.6, 4.2, "", sizes[0].label)
        panels = figure.subplots(1, len(sizes), squeeze=False)[0]
        for axes, proxy in zip(panels, sizes, strict=True):
            _draw(axes, proxy)
    return figure


def _draw(axes: Axes, proxy: Proxy) -> None:
    counted = (proxy.predicted - proxy.constant) / 1024
    axes.set_title(f"{proxy.name} for {proxy.quantity}", loc="left", size=10)
    axes.set_xlabel(f"{proxy.name} by arithmetic, KiB")
    axes.set_ylabel(f"{proxy.quantity} measured, KiB")
    axes.scatter(
        counted, proxy.measured / 1024, s=30, facecolors=FOUND, edgecolors="white", zorder=3
    )
    along = np.geomspace(counted.min(), counted.max())
    axes.plot(
        along,
        along + proxy.constant / 1024,
        color=INK,
        linewidth=1.2,
        label=f"best constant: {proxy.constant_in_words}",
        zorder=2,
    )
    scale_by_ratio(axes, "x")
    scale_by_ratio(axes, "y")
    write_errors(axes, proxy)
    axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)
