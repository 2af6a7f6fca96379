"""One self-contained HTML page of a run: nothing is fetched from elsewhere, and whatever came from
a file is escaped."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from harness.measurement import Measurement
from search.evaluation import FAILED, TRAINED, Evaluation, Outcome
from search.report.run_folder import Run
from search.report.tables import COLUMNS, caption, front_row

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; margin: 2rem auto; max-width: 1080px;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p.label, p.sub { color: #52606d; margin-top: .2rem; }
p.notice { background: #fff3bf; padding: .6rem .8rem; border-radius: 4px; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #e4e7eb; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; border-bottom-color: #9aa5b1; }
td.text { text-align: left; }
code { font-size: .9em; }
ul.facts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; padding: 0; list-style: none; }
ul.facts b { display: block; font-size: 1.4rem; line-height: 1.2; }
.scroll { overflow-x: auto; }
"""


def render_page(run: Run, svg: bytes) -> str:
    """The page as text; `svg` is the run's picture."""
    tested = bool(run.front) and all(e.archid in run.tested for e in run.front)
    heads = COLUMNS if tested else (COLUMNS[0], "int8 validation accuracy", *COLUMNS[2:])
    rows = [front_row(run, e, tested=tested) for e in run.front]
    # As an image the drawing is inert, whatever it holds.
    picture = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    parts = [
        f"<h1>{escape(run.config.name)}</h1>",
        f'<p class="sub">{escape(_describe_data(run))}</p>',
        f'<p class="notice">{escape(run.notice)}</p>' if run.notice else "",
        _facts(run),
        f'<img alt="Error against latency, and MACs against latency" src="{picture}">',
        "<h2>Pareto front</h2>",
        _table(heads, rows),
        f'<p class="label">{escape(caption(run.front))}</p>',
        "<h2>How far MACs would have misjudged</h2>",
        f"<p>{escape(_proxy_text(run))}</p>",
        "<h2>What each tier turned down, and what it took</h2>",
        _table(("tier", "turned down", "wall time"), _tiers(run.outcomes)),
        f'<p class="label">{escape(run.wall.sentence)}</p>' if run.wall.sentence else "",
        "<details><summary>All candidates</summary>"
        f'<div class="scroll">{_table(_CANDIDATE_HEADS, _candidates(run.outcomes))}</div>'
        "</details>",
        "<h2>How it was made</h2>",
        _table(("setting", "value"), _settings(run)),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(run.config.name)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _describe_data(run: Run) -> str:
    if not run.test_images:
        return f"{run.dataset}; the test split was not touched yet"
    return f"{run.dataset}; accuracy on {run.test_images:,} test images, used once"


def _facts(run: Run) -> str:
    trained = [o for o in run.outcomes if isinstance(o, Evaluation)]
    on_board = sum(isinstance(o, Evaluation) or o.untrained is not None for o in run.outcomes)
    facts = [
        (f"{len(run.outcomes):,}", "candidates"),
        (f"{on_board:,}", "measured on the board"),
        (f"{len(trained):,}", "trained"),
        (f"{len(run.front):,}", "on the front"),
    ]
    items = "".join(f"<li><b>{escape(n)}</b>{escape(what)}</li>" for n, what in facts)
    return f'<ul class="facts">{items}</ul>'


def _proxy_text(run: Run) -> str:
    if run.proxy is None:
        return "Too few networks were measured to say."
    return run.proxy.sentences


def _tiers(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str]]:
    """What each tier turned down, and the wall time of all workers that it took."""
    rejected = Counter(o.tier for o in outcomes if not isinstance(o, Evaluation))
    spent: Counter[str] = Counter()
    for outcome in outcomes:
        spent.update({tier: round(seconds * 1000) for tier, seconds in outcome.spent.items()})
    return [
        (meaning, f"{rejected[tier]:,}", f"{spent[tier] / 1000:,.1f} s")
        for tier, meaning in _TIERS.items()
        if rejected[tier] or spent[tier]
    ]


_TIERS = {
    "analytic": "by arithmetic, before anything was built",
    "measured": "on the board, before training",
    "short": "after short training, where others did better",
    TRAINED: "trained in full and measured again: not turned down",
    FAILED: "failed",
}


_CANDIDATE_HEADS = ("archid", "outcome", "val error", "latency, ms", "SRAM, B", "flash, B", "MACs")


def _candidates(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, ...]]:
    measurement: Measurement | None
    for outcome in outcomes:
        if isinstance(outcome, Evaluation):
            measurement, what = outcome.measured, "trained"
            error = f"{outcome.val_error:.4f}"
        elif outcome.tier == "analytic":
            continue  # thousands, and all that is known of them is in the count above
        else:
            measurement, what, error = outcome.untrained, outcome.reason, ""
        if measurement is None:
            numbers: tuple[str, ...] = ("", "", "")
        else:
            numbers = (
                f"{measurement.latency_us.median / 1e3:.3f}",
                f"{measurement.sram.total_bytes:,}",
                f"{measurement.flash.total_bytes:,}",
            )
        yield outcome.archid, what, error, *numbers, f"{outcome.cost.macs:,}"


def _settings(run: Run) -> Iterable[tuple[str, str]]:
    yield from _flatten(asdict(run.config))
    yield from ((f"version of {name}", text) for name, text in run.versions.items())
    yield from ((f"host {name}", str(value)) for name, value in run.host.items())


def _flatten(table: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value not in (None, ""):
            yield f"{prefix}{key}", str(value)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = [
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    ]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(lines) + "\n</table>"
