"""The picture of what each part of the search is worth: the hypervolume of our search by the
minute, beside that of each other arm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.board import ROOT
from search.report.drawing import FOUND, FRONT, STYLE, new_figure, render_png

PICTURE = ROOT / "docs" / "images" / "hypervolume.png"
_COLUMNS = 3


def write_picture(record: Mapping[str, Any], path: Path = PICTURE) -> None:
    """record: as bench.hypervolume.run returns it."""
    path.write_bytes(render_png(draw(record)))


def draw(record: Mapping[str, Any]) -> Figure:
    """A panel for each arm but ours: the curve of each seed, thin, and their median."""
    arms = dict(record["arms"])
    ours = arms.pop("ours")
    box = ", ".join(f"{name} {value:g}" for name, value in record["reference"].items())
    foot = (
        f"share of the box below {box} that {record['minutes']:g} minutes on one processor "
        f"dominate;\na thin line for each seed, a thick one for their median; "
        f"{ours['searches'][0]['label'].split(', -O')[0]}"
    )
    with matplotlib.rc_context(STYLE):
        rows = -(-len(arms) // _COLUMNS)
        figure = new_figure(10.6, 0.4 + 2.5 * rows, "", foot)
        panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(arms) :]:
            axes.set_visible(False)
        for axes, (name, arm) in zip(panels.flat, arms.items(), strict=False):
            _draw_arm(axes, arm, FRONT, name.replace("_", " "))
            _draw_arm(axes, ours, FOUND, "ours")
            axes.legend(loc="upper left", frameon=False, fontsize=8)
        for axes in panels[-1]:
            axes.set_xlabel("minutes")
        for axes in panels[:, 0]:
            axes.set_ylabel("share of the box")
    return figure


def _draw_arm(axes: Axes, arm: Mapping[str, Any], colour: str, name: str) -> None:
    curves = [[0.0, *search["share_by_minute"]] for search in arm["searches"]]
    minutes = range(len(curves[0]))
    for curve in curves:
        axes.plot(minutes, curve, color=colour, linewidth=0.7, alpha=0.5)
    middle = [median(shares) for shares in zip(*curves, strict=True)]
    axes.plot(minutes, middle, color=colour, linewidth=2.0, label=name)
