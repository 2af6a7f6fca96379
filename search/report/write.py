"""How is a run told to people? write_report makes report.html, front.png and front.svg from the
run folder alone."""

from __future__ import annotations

from pathlib import Path

from search.report.ancestry_plot import plot_ancestors
from search.report.drawing import render_png, render_svg
from search.report.growth_plot import plot_growth
from search.report.page import render_page
from search.report.plots import plot_run
from search.report.proxy_plot import plot_sizes
from search.report.run_folder import Run

REPORT_NAME = "report.html"
PLOT_NAME = "front"


def write_report(run_dir: Path, run: Run) -> Path:
    """Write the report of `run`, as read from `run_dir`, into it anew; returns its page's path."""
    front = plot_run(run)
    others = {
        "growth": plot_growth(run),
        "sizes": plot_sizes(run),
        "ancestors": plot_ancestors(run),
    }
    pictures = {"front": render_svg(front)}
    pictures |= {name: render_svg(figure) for name, figure in others.items() if figure}
    (run_dir / f"{PLOT_NAME}.svg").write_bytes(pictures["front"])
    (run_dir / f"{PLOT_NAME}.png").write_bytes(render_png(front))
    page = run_dir / REPORT_NAME
    page.write_text(render_page(run, pictures), encoding="utf-8")
    return page
