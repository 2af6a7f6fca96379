"""A search as a program of its own, for tests that press Ctrl-C: `python -m
tests.search.interrupted_run FOLDER [RAY_ADDRESS]`. Says "started" when workers are being
started."""

import os
import sys
from pathlib import Path

from search.progress import Asked, Event
from search.run import run_search
from search.workers import Evaluate, OpenEvaluators, Workers
from tests.search import cluster_evaluation, fake_evaluation
from tests.search.open_workers import open_workers
from tests.search.test_run import CONFIG


def announce(event: Event) -> None:
    if isinstance(event, Asked) and event.index == 3:
        print("started", flush=True)


def run(evaluate: Evaluate, opener: OpenEvaluators = Workers) -> None:
    run_dir = Path(sys.argv[1])
    with open_workers(CONFIG, run_dir, evaluate, opener=opener) as workers:
        result = run_search(
            CONFIG, run_dir, workers, input_shape=(28, 28, 1), classes=10, on_event=announce
        )
    print(result.stopped, flush=True)


if __name__ == "__main__":
    evaluate = cluster_evaluation if cluster_evaluation.ASLEEP in os.environ else fake_evaluation
    if len(sys.argv) > 2:
        from search.ray_workers import cluster

        with cluster(sys.argv[2], CONFIG.device) as opener:
            run(evaluate.sleep, opener)
    else:
        run(evaluate.sleep)
