"""A search as a program of its own, for tests that press Ctrl-C: `python -m
tests.search.interrupted_run FOLDER`. Says "started" when workers are being started."""

import sys
from pathlib import Path

from search.progress import Asked, Event
from search.run import run_search
from tests.search import fake_evaluation
from tests.search.test_run import CONFIG


def announce(event: Event) -> None:
    if isinstance(event, Asked) and event.index == 3:
        print("started", flush=True)


if __name__ == "__main__":
    result = run_search(
        CONFIG,
        Path(sys.argv[1]),
        fake_evaluation.sleep,
        input_shape=(28, 28, 1),
        classes=10,
        on_event=announce,
    )
    print(result.stopped, flush=True)
