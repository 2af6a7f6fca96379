"""What does a program want to know of a run? The report's values as JSON: what is not recorded is
null, never zero."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.report.ancestry import Ancestry
from search.report.growth import Growth
from search.report.proxy import Proxy
from search.report.published import published_beside
from search.report.run_folder import Run
from search.wall_time import WallTime


def summary(run_dir: Path, run: Run) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "run_dir": str(run_dir),
        "candidates": len(run.candidates),
        "front": [
            {
                "archid": evaluation.archid,
                "val_error": evaluation.val_error,
                "test_error": (
                    run.tested[evaluation.archid].test_error
                    if evaluation.archid in run.tested
                    else None
                ),
                "cost": asdict(evaluation.measured_cost),
                "measured": evaluation.measured.to_json(),
            }
            for evaluation in run.front
        ],
        "hypervolume": _growth(run.growth),
        "tiers": [{**asdict(tier), "passed": tier.passed} for tier in run.tiers],
        "rejections": [asdict(reason) for reason in run.reasons],
        "wall_time": _wall_time(run.wall_time),
        "finalists_time": _wall_time(run.finalists_time),
        "proxies": [_proxy(proxy) for proxy in run.proxies],
        "macs_as_proxy": run.proxies[0].describe() if run.proxies else None,
        "ancestors": {ancestry.archid: _steps(ancestry) for ancestry in run.ancestries},
        "published": [asdict(other) for other in published_beside(run.dataset)],
    }


def _wall_time(wall_time: WallTime | None) -> dict[str, Any] | None:
    if wall_time is None:
        return None
    return {
        "useful_share": wall_time.useful_share,
        "overhead_s": wall_time.overhead_s,
        "activities_s": wall_time.activities,
        "tiers_s": wall_time.tiers,
    }


def _growth(growth: Growth) -> dict[str, Any]:
    return {
        "reference": growth.reference,
        "share": growth.share,
        "by_candidate": growth.by_candidate,
        "by_seconds": growth.by_time or None,
    }


def _proxy(proxy: Proxy) -> dict[str, Any]:
    return {
        "proxy": proxy.name,
        "quantity": proxy.quantity,
        "unit": proxy.unit,
        "fit": proxy.fit,
        "constant": proxy.constant,
        "networks": proxy.n,
        "mape_percent": proxy.mape_percent,
        "worst_percent": proxy.worst_percent,
        "rank_correlation": proxy.rank_correlation,
        "band_networks": proxy.band_count,
        "band_rank_correlation": proxy.band_rank_correlation,
        "band_spread": proxy.band_spread,
        "label": proxy.label,
    }


def _steps(ancestry: Ancestry) -> list[dict[str, Any]]:
    return [
        {
            "archid": step.candidate.archid,
            "index": step.candidate.index,
            "parent": step.candidate.outcome.parent,
            "changes": list(step.changes),
        }
        for step in ancestry.steps
    ]
