"""Evaluators in threads of this process: for evaluations that wait more than they compute."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from search.evaluation import Outcome
from search.workers import Failure, Task


class Threads:
    """See search.workers.Evaluators. What `evaluate` raises ends the run."""

    def __init__(self, count: int, evaluate: Callable[[Task], Outcome]) -> None:
        self._executor, self._evaluate = ThreadPoolExecutor(count), evaluate
        self._pending: dict[Future[Outcome], int] = {}

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *exc: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def submit(self, task: Task) -> None:
        self._pending[self._executor.submit(self._evaluate, task)] = task.index

    def collect(self, timeout_s: float) -> list[tuple[int, Outcome | Failure]]:
        done, _ = wait(self._pending, timeout_s, FIRST_COMPLETED)
        return [(self._pending.pop(future), future.result()) for future in done]
