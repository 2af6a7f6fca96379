"""How do the pictures of a report look? Style, axes, and the files they become. Knows no run."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

INK = "#1f2933"
QUIET = "#52606d"
FAINT = "#9aa5b1"
FRONT = "#d6336c"
FOUND = "#2b8a9e"
REJECTED = "#7b8794"
_BOUND = "#868e96"
_FAR = 4.0  # times beyond what is drawn
STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "hilnas",  # equal runs give equal files
    "svg.fonttype": "path",
}


def new_figure(width: float, height: float, title: str, label: str) -> Figure:
    """An empty figure, inches; to be filled under STYLE. title ("" for none), label: what it is,
    and what must stand beside its numbers, printed inside, because figures travel without their
    page. Both may hold what a user wrote: they are no mathematics."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        head = figure.suptitle(title, x=0.01, ha="left", weight="bold", size=12)
        head.set_parse_math(False)
    foot = figure.supxlabel(label, x=0.01, ha="left", size=7.5, color=QUIET)
    foot.set_parse_math(False)
    return figure


def render_png(figure: Figure) -> bytes:
    with matplotlib.rc_context(STYLE), io.BytesIO() as file:
        figure.savefig(file, format="png", metadata={"Software": None})
        return file.getvalue()


def render_svg(figure: Figure) -> bytes:
    with matplotlib.rc_context(STYLE), io.BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()


def draw_bound(axes: Axes, position: float, name: str, *, across: bool = False) -> None:
    """A dashed line with its name: upright at an x position, or `across` at a y position. Where it
    lies far from what is drawn already, the legend says so, and the picture keeps its scale."""
    axis = axes.yaxis if across else axes.xaxis
    low, high = axis.get_data_interval()
    if np.isfinite([low, high]).all() and not low / _FAR <= position <= high * _FAR:
        axes.plot([], [], " ", label=f"{name} at {position:,g}, outside")
        return
    draw = axes.axhline if across else axes.axvline
    draw(position, color=_BOUND, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        name,
        (0.99, position) if across else (position, 0.35),
        xycoords=("axes fraction", "data") if across else ("data", "axes fraction"),
        xytext=(0, 3) if across else (-3, 0),
        textcoords="offset points",
        rotation=0 if across else 90,
        ha="right",
        va="bottom" if across else "center",
        color="#5c636a",
        size=8,
        annotation_clip=True,
    ).set_in_layout(False)


def write_quietly(axes: Axes, text: str) -> None:
    """In the middle of a picture that has nothing else to show."""
    axes.annotate(text, (0.5, 0.5), xycoords="axes fraction", ha="center", color=QUIET)


def scale_by_ratio(axes: Axes, which: str) -> None:
    """Networks of one space differ a hundredfold: equal steps are equal factors."""
    if which == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
