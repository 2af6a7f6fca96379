"""How is a run told to people? write_report makes report.html, front.png and front.svg from the
run folder alone."""

from __future__ import annotations

from pathlib import Path

from search.report.page import render_page
from search.report.plots import plot_run, render_png, render_svg
from search.report.run_folder import Run

REPORT_NAME = "report.html"
PLOT_NAME = "front"


def write_report(run_dir: Path, run: Run) -> Path:
    """Write the report of `run`, as read from `run_dir`, into it anew; returns its page's path."""
    figure = plot_run(run)
    svg = render_svg(figure)
    (run_dir / f"{PLOT_NAME}.svg").write_bytes(svg)
    (run_dir / f"{PLOT_NAME}.png").write_bytes(render_png(figure))
    page = run_dir / REPORT_NAME
    page.write_text(render_page(run, svg))
    return page
