"""How is a running search shown in a terminal? A line for each candidate that reached the board,
and under them the counts and a bar, all within 80 columns. Without a terminal, the lines alone."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from search.evaluation import Evaluation, Rejected
from search.progress import Arrived, Asked, Event, Finished, Noticed, Progress, Started, Told


class Display:
    """A context manager; hand `on_event` to run_search."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._replayed: set[int] = set()
        self._bar = _CountedBar(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, left="")

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
            case Noticed():
                self._console.print(f"[yellow]{escape(event.message)}[/]", highlight=False)
            case Finished():
                self._say(f"stopped: {_STOPPED[event.stopped]}")
                if event.wall is not None and event.wall.sentence:
                    self._say(event.wall.sentence)
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
        self._bar.counts = _count(progress)
        self._bar.update(
            self._task,
            total=progress.rounds,
            completed=progress.rounds_done,
            left=f"left {_minutes(progress.left_s)}",
        )


class _CountedBar(Bar):
    """A bar below a line of its own: beside the bar, counts would leave it no room."""

    counts = "starting workers"

    def get_renderables(self) -> Iterable[RenderableType]:
        yield Text(self.counts)
        yield from super().get_renderables()


def _count(progress: Progress) -> str:
    best = progress.best_val_error
    return (
        f"{progress.candidates} candidates, {progress.on_board} measured, "
        f"{progress.rejected} rejected, "
        f"{progress.trained} trained, best error {'-' if best is None else format(best, '.1%')}"
    )


_STOPPED = {
    "rounds": "all rounds are done",
    "minutes": "the time budget is used up",
    "interrupted": "interrupted",
    "exhausted": "no new candidate keeps the bounds",
}


def describe(index: int, outcome: Evaluation | Rejected) -> str:
    """One line of rich markup on what came of a candidate; that of a trained one fits into 80
    columns."""
    head = f"{index:4d}  {outcome.archid[:8]}"
    if isinstance(outcome, Evaluation):
        measured = outcome.measured
        return (
            f"{head}  [green]trained [/] error {outcome.val_error:5.1%} "
            f"{measured.latency_us.median / 1000:8.2f} ms "
            f"SRAM {measured.sram.total_bytes / 1024:5.1f} KiB "
            f"flash {measured.flash.total_bytes / 1024:5.1f} KiB"
        )
    colour = "red" if outcome.tier == "failed" else "yellow"
    word = "failed" if outcome.tier == "failed" else "rejected"
    return f"{head}  [{colour}]{word:8}[/]  {escape(outcome.reason)}"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "-:--"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
