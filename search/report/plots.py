"""The picture of a run: the front, and MACs against what was measured."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from harness.measurement import Measurement
from search.evaluation import Cost, Evaluation
from search.front import measurements_of
from search.report.drawing import (
    FAINT,
    FOUND,
    FRONT,
    INK,
    QUIET,
    REJECTED,
    STYLE,
    draw_bound,
    new_figure,
    scale_by_ratio,
    write_quietly,
)
from search.report.proxy import Proxy
from search.report.run_folder import Run
from search.report.tables import caption

_KIB_SIZES = (16, 32, 64, 128, 256)


def plot_run(run: Run) -> Figure:
    """Left: every trained network, error against latency, the front joined. Right: every measured
    network, untrained, MACs against latency, with the best constant."""
    name, data = run.config.name, run.dataset
    with matplotlib.rc_context(STYLE):
        title = name if name == data else f"{name}: {data}"
        figure = new_figure(12.6, 5.6, title, label_of(run))
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _draw_front(figure, left, run)
        _draw_macs(right, run)
    return figure


def label_of(run: Run) -> str:
    """What must stand beside the numbers of a run's pictures."""
    found = measurements_of(run.outcomes)
    return found[0].label if found else caption(run.front)


def _draw_front(figure: Figure, axes: Axes, run: Run) -> None:
    trained = [o for o in run.outcomes if isinstance(o, Evaluation)]
    trained += [e for e in run.front if e not in trained]  # finalists, as they ended
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
        margin = 0.08 * max(top - float(errors.min()), 0.05)
        axes.set_ylim(max(float(errors.min()) - 2 * margin, 0.0), top + 2 * margin)
        _say_what_is_hidden(axes, errors, top + 2 * margin)
    else:
        axes.set_ylim(0, 1)
        write_quietly(axes, "no network was trained")
    _outline_front(axes, run)
    _draw_rejected(axes, run)
    bounds = run.config.bounds
    if bounds.latency_us is not None:
        draw_bound(axes, bounds.latency_us / 1e3, "latency bound")
    if bounds.val_error is not None and trained:
        draw_bound(axes, bounds.val_error, "error bound", across=True)
    scale_by_ratio(axes, "x")
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
        edgecolors=FRONT,
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
    axes.step(*zip(*steps, strict=True), where="post", color=FRONT, linewidth=1.3, zorder=2)


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
            color=REJECTED,
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
            color=QUIET,
            size=8,
        )


def _add_size_legend(axes: Axes, trained: list[Evaluation]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if trained:
        largest = max(e.measured.sram.total_bytes for e in trained) / 1024
        shown = [kib for kib in _KIB_SIZES if kib <= 1.5 * largest][-3:] or [_KIB_SIZES[0]]
        for kib in shown:
            handles.append(axes.scatter([], [], s=_area(kib * 1024), color=FAINT, alpha=0.7))
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
    axes.set_title("MACs as a proxy: all measured networks, untrained", loc="left", size=10)
    axes.set_xlabel("MACs, millions")
    axes.set_ylabel("latency, ms")
    trained: list[tuple[Cost, Measurement]] = []
    others: list[tuple[Cost, Measurement]] = []
    for outcome in run.outcomes:
        if outcome.untrained_cost is not None and outcome.untrained is not None:
            group = trained if isinstance(outcome, Evaluation) else others
            group.append((outcome.untrained_cost, outcome.untrained))
    groups: tuple[tuple[list[tuple[Cost, Measurement]], str, Any], ...] = (
        (trained, "trained later", {"facecolors": FOUND, "edgecolors": "white"}),
        (others, "turned down", {"facecolors": "none", "edgecolors": REJECTED}),
    )
    for group, name, style in groups:
        if group:
            axes.scatter(
                [cost.macs / 1e6 for cost, _ in group],
                [_latency_ms(measurement) for _, measurement in group],
                s=34,
                linewidths=1,
                zorder=3,
                label=name,
                **style,
            )
    if run.proxies:
        _, measurement = (trained or others)[0]
        _draw_constant(axes, run.proxies[0], measurement.sysclk_hz)
    if run.config.bounds.latency_us is not None:
        draw_bound(axes, run.config.bounds.latency_us / 1e3, "latency bound", across=True)
    scale_by_ratio(axes, "x")
    scale_by_ratio(axes, "y")
    if trained or others:
        axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)


def _draw_constant(axes: Axes, proxy: Proxy, sysclk_hz: int) -> None:
    ends = [proxy.predicted.min(), proxy.predicted.max()]
    axes.plot(
        [cycles / proxy.constant / 1e6 for cycles in ends],
        [1e3 * cycles / sysclk_hz for cycles in ends],
        color=INK,
        linewidth=1.2,
        label=f"best constant: {proxy.constant_in_words}",
        zorder=2,
    )
    write_errors(axes, proxy)


def write_errors(axes: Axes, proxy: Proxy) -> None:
    """The proxy's errors and ranks, in the lower right corner."""
    rank, inside = (
        "undefined" if value is None else format(value, ".2f")
        for value in (proxy.rank_correlation, proxy.band_rank_correlation)
    )
    axes.annotate(
        f"MAPE {proxy.mape_percent:.0f} %, worst {proxy.worst_percent:.0f} %\n"
        f"rank correlation {rank}, within a factor of two {inside}",
        (0.98, 0.03),
        xycoords="axes fraction",
        ha="right",
        va="bottom",
        size=8.5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 3},
    )


def _latency_ms(measurement: Measurement) -> float:
    return measurement.latency_us.median / 1e3


def _area(sram_bytes: int) -> float:
    """Marker area in points squared, proportional to SRAM: 64 KiB is 14 points wide."""
    return 3.0 * sram_bytes / 1024 + 12
