"""How is a running search shown in a terminal? A line for each candidate that reached the board,
and under them a bar with the counts. Without a terminal, the lines alone."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from search.evaluation import Evaluation, Rejected
from search.progress import Arrived, Asked, Event, Finished, Progress, Started, Told


class Display:
    """A context manager; hand `on_event` to run_search."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._replayed: set[int] = set()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("starting workers", total=None, left="")

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def on_event(self, event: Event) -> None:
        match event:
            case Started():
                self._say(f"run folder: {event.run_dir}")
                for message in event.messages:
                    self._say(message)
                if event.replayed:
                    self._say(f"going on after {event.replayed} recorded candidates")
            case Asked(replayed=True):
                self._replayed.add(event.index)
            case Arrived() if event.index not in self._replayed:
                self._show_outcome(event)
            case Told(replayed=True):
                self._replayed.discard(event.index)
            case Finished():
                self._say(f"stopped: {_STOPPED[event.stopped]}")
            case _:
                pass
        self._show_counts(event.progress)

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{escape(text)}[/]", highlight=False, soft_wrap=True)

    def _show_outcome(self, event: Arrived) -> None:
        outcome = event.outcome
        if isinstance(outcome, Rejected) and outcome.tier == "analytic":
            return
        text = describe(event.index, outcome)
        self._console.print(text, highlight=False, soft_wrap=True)

    def _show_counts(self, progress: Progress) -> None:
        best = progress.best_val_error
        self._bar.update(
            self._task,
            total=progress.rounds,
            completed=progress.rounds_done,
            description=(
                f"{progress.candidates} candidates, {progress.on_board} measured, "
                f"{progress.analytic + progress.measured + progress.failed} rejected, "
                f"{progress.trained} trained, best error "
                f"{f'{best:.1%}' if best is not None else '-'}"
            ),
            left=f"left {_minutes(progress.left_s)}",
        )


_STOPPED = {
    "rounds": "all rounds are done",
    "minutes": "the time budget is used up",
    "interrupted": "interrupted",
    "exhausted": "no new candidate keeps the bounds",
}


def describe(index: int, outcome: Evaluation | Rejected) -> str:
    """One line of rich markup on what came of a candidate."""
    head = f"{index:5d}  {outcome.archid[:10]}"
    if isinstance(outcome, Evaluation):
        measured = outcome.measured
        return (
            f"{head}  [green]trained[/]   error {outcome.val_error:6.1%}  "
            f"{measured.latency_us.median / 1000:8.2f} ms  "
            f"SRAM {measured.sram.total_bytes / 1024:6.1f} KiB  "
            f"flash {measured.flash.total_bytes / 1024:6.1f} KiB"
        )
    colour = "red" if outcome.tier == "failed" else "yellow"
    word = "failed" if outcome.tier == "failed" else "rejected"
    return f"{head}  [{colour}]{word:8}[/]  {escape(outcome.reason)}"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "-:--"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
