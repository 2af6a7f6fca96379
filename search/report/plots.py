"""The picture of a run: the front, and MACs against what was measured. The label of the
measurements is printed inside the figure, because figures travel without their page."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.measurement import Measurement
from search.evaluation import Evaluation
from search.front import measurements_of
from search.report.proxy import MacsProxy
from search.report.run_folder import Run
from search.report.tables import caption

_INK = "#1f2933"
_FAINT = "#9aa5b1"
_FRONT = "#d6336c"
_BOUND = "#868e96"
_STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "font.size": 9.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.7,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "hilnas",  # equal runs give equal files
    "svg.fonttype": "path",
}
_KIB_SIZES = (16, 32, 64, 128, 256)


def plot_run(run: Run) -> Figure:
    """Left: every trained network, error against latency, the front joined. Right: every measured
    network, MACs against latency, with the best constant."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(12.6, 5.6), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _draw_front(figure, left, run)
        _draw_macs(right, run)
        name, data = run.config.name, run.dataset
        title = figure.suptitle(
            name if name == data else f"{name}: {data}", x=0.01, ha="left", weight="bold", size=12
        )
        title.set_parse_math(False)
        label = figure.supxlabel(_label(run), x=0.01, ha="left", size=7.5, color="#52606d")
        label.set_parse_math(False)
    return figure


def render_png(figure: Figure) -> bytes:
    with matplotlib.rc_context(_STYLE), io.BytesIO() as file:
        figure.savefig(file, format="png", metadata={"Software": None})
        return file.getvalue()


def render_svg(figure: Figure) -> bytes:
    with matplotlib.rc_context(_STYLE), io.BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()


def _draw_front(figure: Figure, axes: Axes, run: Run) -> None:
    trained = [o for o in run.outcomes if isinstance(o, Evaluation)]
    axes.set_title("trained networks", loc="left", size=10)
    axes.set_xlabel("latency, ms")
    axes.set_ylabel("int8 validation error")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    if trained:
        errors = np.array([e.val_error for e in trained])
        points = axes.scatter(
            [_latency_ms(e.measured) for e in trained],
            errors,
            s=[_area(e.measured.sram.total_bytes) for e in trained],
            c=[e.measured.flash.total_bytes / 1024 for e in trained],
            cmap="viridis_r",
            alpha=0.85,
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
        )
        bar = figure.colorbar(points, ax=axes, pad=0.015, aspect=32)
        bar.set_label("flash, KiB")
        bar.outline.set_visible(False)
        # One hopeless network must not squeeze all others into a line.
        top = min(float(errors.max()), 2 * float(np.median(errors)))
        margin = 0.08 * max(top - float(errors.min()), 0.005)
        axes.set_ylim(max(float(errors.min()) - 2 * margin, 0.0), top + 2 * margin)
        _say_what_is_hidden(axes, errors, top + 2 * margin)
    _outline_front(axes, run)
    _draw_rejected(axes, run)
    bounds = run.config.bounds
    if bounds.latency_us is not None:
        _draw_bound(axes, bounds.latency_us / 1e3, "latency bound")
    if bounds.val_error is not None and trained:
        _draw_bound(axes, bounds.val_error, "error bound", across=True)
    _scale_by_ratio(axes, "x")
    _add_size_legend(axes, trained)


def _outline_front(axes: Axes, run: Run) -> None:
    if not run.front:
        return
    latency = [_latency_ms(e.measured) for e in run.front]
    axes.scatter(
        latency,
        [e.val_error for e in run.front],
        s=[_area(e.measured.sram.total_bytes) for e in run.front],
        facecolors="none",
        edgecolors=_FRONT,
        linewidths=1.8,
        zorder=4,
        label="Pareto front (error, latency, SRAM, flash)",
    )
    # The line joins those that no faster network beats in error; the others are on the front for
    # their SRAM or flash.
    steps, best = [], np.inf
    for evaluation in run.front:
        if evaluation.val_error < best:
            best = evaluation.val_error
            steps.append((_latency_ms(evaluation.measured), best))
    axes.step(*zip(*steps, strict=True), where="post", color=_FRONT, linewidth=1.3, zorder=2)


def _draw_rejected(axes: Axes, run: Run) -> None:
    rejected = [
        o.untrained
        for o in run.outcomes
        if not isinstance(o, Evaluation) and o.tier == "measured" and o.untrained is not None
    ]
    if rejected:
        axes.plot(
            [_latency_ms(m) for m in rejected],
            [0.012] * len(rejected),
            "|",
            color="#7b8794",
            markersize=8,
            transform=axes.get_xaxis_transform(),
            label=f"{len(rejected)} rejected on the board, untrained",
            zorder=3,
        )


def _say_what_is_hidden(axes: Axes, errors: np.ndarray, top: float) -> None:
    hidden = int((errors > top).sum())
    if hidden:
        axes.annotate(
            f"{hidden} above the picture",
            (0.01, 0.99),
            xycoords="axes fraction",
            ha="left",
            va="top",
            color="#52606d",
            size=8,
        )


def _add_size_legend(axes: Axes, trained: list[Evaluation]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if trained:
        largest = max(e.measured.sram.total_bytes for e in trained) / 1024
        shown = [kib for kib in _KIB_SIZES if kib <= 1.5 * largest][-3:] or [_KIB_SIZES[0]]
        for kib in shown:
            handles.append(axes.scatter([], [], s=_area(kib * 1024), color=_FAINT, alpha=0.7))
            labels.append(f"{kib} KiB SRAM")
    if handles:
        axes.legend(
            handles,
            labels,
            loc="upper right",
            frameon=True,
            framealpha=0.9,
            edgecolor="none",
            fontsize=8,
            borderpad=0.8,
            labelspacing=0.9,
        )


def _draw_macs(axes: Axes, run: Run) -> None:
    axes.set_title("MACs as a proxy: all measured networks", loc="left", size=10)
    axes.set_xlabel("MACs, millions")
    axes.set_ylabel("latency, ms")
    trained = [o.measured for o in run.outcomes if isinstance(o, Evaluation)]
    others = [o.untrained for o in run.outcomes if not isinstance(o, Evaluation) and o.untrained]
    groups: tuple[tuple[list[Measurement], str, Any], ...] = (
        (trained, "trained", {"facecolors": "#2b8a9e", "edgecolors": "white"}),
        (others, "rejected on the board", {"facecolors": "none", "edgecolors": "#7b8794"}),
    )
    for group, name, style in groups:
        if group:
            axes.scatter(
                [m.macs / 1e6 for m in group],
                [_latency_ms(m) for m in group],
                s=34,
                linewidths=1,
                zorder=3,
                label=name,
                **style,
            )
    found = measurements_of(run.outcomes)
    if run.proxy is not None and found:
        ends = [min(m.macs for m in found if m.macs), max(m.macs for m in found)]
        ms_per_mac = 1e3 * run.proxy.error.cycles_per_mac / found[0].sysclk_hz
        axes.plot(
            [macs / 1e6 for macs in ends],
            [macs * ms_per_mac for macs in ends],
            color=_INK,
            linewidth=1.2,
            label=f"best constant: {run.proxy.error.cycles_per_mac:.2f} cycles per MAC",
            zorder=2,
        )
        axes.annotate(
            _describe_proxy(run.proxy),
            (0.98, 0.03),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            size=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 3},
        )
    if run.config.bounds.latency_us is not None:
        _draw_bound(axes, run.config.bounds.latency_us / 1e3, "latency bound", across=True)
    _scale_by_ratio(axes, "x")
    _scale_by_ratio(axes, "y")
    if found:
        axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)


def _describe_proxy(proxy: MacsProxy) -> str:
    rank = proxy.error.rank_correlation
    return (
        f"MAPE {proxy.error.mape_percent:.0f} %, worst {proxy.error.worst_percent:.0f} %\n"
        f"rank correlation {'undefined' if rank is None else format(rank, '.2f')}"
    )


def _draw_bound(axes: Axes, position: float, name: str, *, across: bool = False) -> None:
    """A dashed line with its name: upright at an x position, or `across` at a y position."""
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
    ).set_in_layout(False)  # a bound far outside the picture must not squeeze it


def _scale_by_ratio(axes: Axes, which: str) -> None:
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


def _latency_ms(measurement: Measurement) -> float:
    return measurement.latency_us.median / 1e3


def _area(sram_bytes: int) -> float:
    """Marker area in points squared, proportional to SRAM: 64 KiB is 14 points wide."""
    return 3.0 * sram_bytes / 1024 + 12


def _label(run: Run) -> str:
    found = measurements_of(run.outcomes)
    return found[0].label if found else caption(run.front)
