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
from matplotlib.ticker import FuncFormatter

from harness.measurement import Measurement
from search.evaluation import Evaluation
from search.report.proxy import measured
from search.report.run_folder import Run
from search.report.tables import caption

_INK = "#1f2933"
_FAINT = "#9aa5b1"
_FRONT = "#d9480f"
_BOUND = "#c92a2a"
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
        figure.suptitle(
            f"{run.config.name}: {run.dataset}", x=0.01, ha="left", weight="bold", size=12
        ).set_parse_math(False)
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
        top = min(float(errors.max()), 3 * float(np.median(errors)))
        margin = 0.08 * max(top - float(errors.min()), 0.005)
        axes.set_ylim(max(float(errors.min()) - 2 * margin, 0.0), top + 2 * margin)
        _say_what_is_hidden(axes, errors, top + 2 * margin)
    _outline_front(axes, run)
    _draw_rejected(axes, run)
    bounds = run.config.bounds
    if bounds.latency_us is not None:
        _draw_bound(axes, bounds.latency_us / 1e3, "latency bound")
    if bounds.val_error is not None and trained:
        axes.axhline(bounds.val_error, color=_BOUND, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(left=0)
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
            f"{hidden} above",
            (0.99, 0.99),
            xycoords="axes fraction",
            ha="right",
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
    found = measured(run.outcomes)
    if run.proxy is not None and found:
        reach = max(m.macs for m in found)
        clock = found[0].sysclk_hz
        axes.plot(
            [0, reach / 1e6],
            [0, 1e3 * run.proxy.cycles_per_mac * reach / clock],
            color=_INK,
            linewidth=1.2,
            label=f"best constant: {run.proxy.cycles_per_mac:.2f} cycles per MAC",
            zorder=2,
        )
        axes.annotate(
            f"MAPE {run.proxy.mape:.0%}, worst {run.proxy.worst:.0%}\n"
            f"rank correlation {run.proxy.rank_correlation:.2f}",
            (0.98, 0.03),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            size=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 3},
        )
    if run.config.bounds.latency_us is not None:
        bound = run.config.bounds.latency_us / 1e3
        axes.axhline(bound, color=_BOUND, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    if found:
        axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)


def _draw_bound(axes: Axes, position: float, name: str) -> None:
    axes.axvline(position, color=_BOUND, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        name,
        (position, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(-3, 0),
        textcoords="offset points",
        rotation=90,
        ha="right",
        va="center",
        color=_BOUND,
        size=8,
    )


def _latency_ms(measurement: Measurement) -> float:
    return measurement.latency_us.median / 1e3


def _area(sram_bytes: int) -> float:
    """Marker area in points squared, proportional to SRAM: 64 KiB is 14 points wide."""
    return 3.0 * sram_bytes / 1024 + 12


def _label(run: Run) -> str:
    found = measured(run.outcomes)
    return found[0].label if found else caption(run.front)
