"""Which tables does a report have? Each from the run's values, as a Sheet; numbers with their
units, what is not recorded as absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.measurement import Measurement
from search.evaluation import Evaluation
from search.report.ancestry import Ancestry
from search.report.published import published_beside
from search.report.run_folder import Run
from search.report.sheet import ABSENT, Sheet

_MEANING = {
    "analytic": "by arithmetic, before anything was built",
    "measured": "on the board, before training",
    "short": "after short training, where others did better",
    "full": "trained in full",
    "finalist": "trained on after the search",
}
COLUMNS = ("archid", "int8 test accuracy", "latency", "SRAM", "flash", "MACs")
VALIDATION = "int8 validation accuracy"
ENERGY = "energy"  # a column of runs whose units have meters


def report_sheets(run: Run) -> Iterator[Sheet]:
    """Those for a terminal: what is empty is left out, and of all ancestors those of the most
    exact network that has any are shown."""
    yield front_sheet(run)
    yield tiers_sheet(run)
    if run.reasons:
        yield reasons_sheet(run)
    if run.proxies:
        yield proxies_sheet(run)
    if bred := [ancestry for ancestry in run.ancestries if len(ancestry.steps) > 1]:
        errors = {evaluation.archid: run.error_of(evaluation) for evaluation in run.front}
        yield ancestry_sheet(min(bred, key=lambda ancestry: errors[ancestry.archid]))
    if run.front:
        yield comparison_sheet(run)


def front_sheet(run: Run) -> Sheet:
    """One row a member, fastest first. Where the test split was not touched yet, the accuracy is
    that on the validation split, and the column says so."""
    has_energy = any(evaluation.measured.energy is not None for evaluation in run.front)
    heads = (
        *(COLUMNS if run.is_tested else (COLUMNS[0], VALIDATION, *COLUMNS[2:])),
        *((ENERGY,) if has_energy else ()),
    )
    rows = tuple(
        (
            evaluation.archid,
            f"{1 - run.error_of(evaluation):.2%}",
            f"{evaluation.measured.latency_us.median / 1e3:.2f} ms",
            f"{evaluation.measured.sram.total_bytes / 1024:.1f} KiB",
            f"{evaluation.measured.flash.total_bytes / 1024:.1f} KiB",
            f"{evaluation.measured.macs:,}",
            *((_energy(evaluation.measured),) if has_energy else ()),
        )
        for evaluation in run.front
    )
    return Sheet(f"Pareto front of {run.config.name}", heads, rows, note=caption(run.front))


def _energy(measured: Measurement) -> str:
    energy = measured.energy
    return ABSENT if energy is None else f"{energy.uj:,.4g} +- {energy.uncertainty_uj:,.2g} uJ"


def caption(front: Sequence[Evaluation]) -> str:
    """What must stand beside the numbers."""
    if not front:
        return "no trained network inside the bounds"
    energy = front[0].measured.energy
    return front[0].measured.label + ("" if energy is None else f"; energy by {energy.label}")


def tiers_sheet(run: Run) -> Sheet:
    """A row for each tier that a candidate met, and one for the finalists."""
    total = sum(tier.seconds or 0.0 for tier in run.tiers)
    rows, partly = [], False
    for tier in run.tiers:
        partly |= 0 < tier.timed < tier.entered
        cost = (ABSENT, ABSENT, ABSENT)
        if tier.seconds is not None:
            share = f"{tier.seconds / total:.1%}" if total else ABSENT
            cost = (f"{tier.seconds:,.1f} s", f"{tier.seconds / tier.timed:.3f} s", share)
        counts = (tier.entered, tier.rejected, tier.failed, tier.passed)
        rows.append((tier.name, _MEANING.get(tier.name, ""), *(f"{n:,}" for n in counts), *cost))
    notes = ["time: wall time of the workers, each: of one candidate that entered"]
    if not total:
        notes = ["the journal does not say what each tier took"]
    elif partly:
        notes.append("the journal gives times of some candidates only")
    if (after := run.finalists_time) is not None and after.useful_share is not None:
        notes.append(
            f"finalists took {after.workers_s:,.1f} s of the workers' time after the search, "
            f"{after.useful_share:.1%} of it training and measuring"
        )
    if run.wall_time is not None:
        notes.append(run.wall_time.sentence)
    return Sheet(
        "What each tier cost and turned down",
        ("tier", "how", "entered", "rejected", "failed", "passed", "time", "each", "share"),
        tuple(rows),
        frozenset({"how"}),
        "; ".join(notes),
    )


def reasons_sheet(run: Run) -> Sheet:
    return Sheet(
        "Why candidates were turned down",
        ("tier", "why", "candidates"),
        tuple((reason.tier, reason.why, f"{reason.count:,}") for reason in run.reasons),
        frozenset({"why"}),
    )


def proxies_sheet(run: Run) -> Sheet:
    rows = tuple(
        (
            f"{proxy.name} for {proxy.quantity}",
            proxy.constant_in_words,
            f"{proxy.mape_percent:.1f} %",
            f"{proxy.worst_percent:.1f} %",
            _rank(proxy.rank_correlation),
            f"{proxy.band_count:,}",
            _rank(proxy.band_rank_correlation),
            f"{proxy.band_spread:.2f}x",
        )
        for proxy in run.proxies
    )
    heads = ("proxy", "best constant", "MAPE", "worst", "rank", "in band", "rank in band")
    return Sheet(
        "Proxies against measurements",
        (*heads, "spread in band"),
        rows,
        note="over untrained networks, whole; rank: Spearman's; band: the fullest one in which "
        "the proxy differs by at most a factor of two; spread: largest by smallest measured value "
        "there",
    )


def ancestry_sheet(ancestry: Ancestry) -> Sheet:
    """The chain of parents, the oldest first."""
    rows = []
    for step in ancestry.steps:
        trained = step.candidate.trained
        numbers = (ABSENT,) * 4
        if trained is not None:
            numbers = (
                f"{trained.val_error:.2%}",
                f"{trained.measured.latency_us.median / 1e3:.2f} ms",
                f"{trained.measured.sram.total_bytes:,}",
                f"{trained.measured.flash.total_bytes:,}",
            )
        changes = "; ".join(step.changes) or ABSENT
        rows.append((step.candidate.archid, f"{step.candidate.index}", changes, *numbers))
    return Sheet(
        f"Ancestors of {ancestry.archid}",
        ("archid", "candidate", "what changed", "val error", "latency", "SRAM, B", "flash, B"),
        tuple(rows),
        frozenset({"what changed"}),
        ancestry.describe(),
    )


def comparison_sheet(run: Run) -> Sheet:
    """Published networks, then the front. What the paper counts by arithmetic stands in columns of
    its own, beside what was measured here; each row says how it came to its latency."""
    published = [
        (
            other.source, other.dataset, f"{other.accuracy_percent:.2f} %", other.size, other.ram,
            other.macs, ABSENT, ABSENT, ABSENT, "not run",
        )
        for other in published_beside(run.dataset)
    ]  # fmt: skip
    ours = [
        (
            evaluation.archid,
            run.dataset,
            f"{100 * (1 - run.error_of(evaluation)):.2f} %",
            f"{evaluation.measured_cost.model_size_bytes:,} B",
            f"{evaluation.measured_cost.peak_memory_bytes:,} B",
            f"{measured.macs:,}",
            f"{measured.latency_us.median / 1e3:.2f} ms",
            f"{measured.sram.total_bytes:,} B",
            f"{measured.flash.total_bytes:,} B",
            f"{measured.via}, {measured.timing}",
        )
        for evaluation in run.front
        for measured in (evaluation.measured,)
    ]
    notes = ["published figures are as printed, their size and memory counted by arithmetic"]
    if run.dataset not in {row[1] for row in published}:
        notes.append(f"none of them is on {run.dataset}: only sizes compare")
    if ours:
        split = "test" if run.is_tested else "validation"
        notes.append(f"ours: int8 accuracy on the {split} split; {caption(run.front)}")
    return Sheet(
        "Beside published networks",
        (
            "network", "data set", "accuracy", "model size", "peak memory", "MACs", "latency",
            "SRAM", "flash", "via, timing",
        ),
        (*published, *ours),
        frozenset({"data set", "via, timing"}),
        "; ".join(notes),
    )  # fmt: skip


def _rank(correlation: float | None) -> str:
    return ABSENT if correlation is None else f"{correlation:.3f}"
