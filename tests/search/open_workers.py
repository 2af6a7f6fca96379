"""Workers as the command line opens them: for one run folder and configuration."""

from __future__ import annotations

from pathlib import Path

from search.config import SearchConfig
from search.workers import Evaluate, Evaluators, OpenEvaluators, Prepare, Workers


def open_workers(
    config: SearchConfig,
    run_dir: Path,
    evaluate: Evaluate,
    *,
    prepare: Prepare | None = None,
    opener: OpenEvaluators = Workers,
) -> Evaluators:
    return opener(
        config.search.workers,
        evaluate,
        run_dir,
        config,
        deadline_s=config.search.candidate_deadline_s,
        prepare=prepare,
    )
