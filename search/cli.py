"""What can be asked of the search on the command line? Adds its commands to the harness's.
Parses, calls, prints; decides nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer
from rich.markup import escape

import harness.flash  # noqa: F401, adds `hilnas flash`
import harness.pool_cli  # noqa: F401, adds `hilnas pool`
import harness.run_cli  # noqa: F401, adds `hilnas run`
from harness.cli import (
    HardwareMapOption,
    JsonOption,
    app,
    console,
    errors,
    invoke,
    run,
    write_json,
)
from harness.errors import JournalError, UsageError
from harness.outputs import require_folder
from harness.tables import print_table

if TYPE_CHECKING:
    from harness.measurement import Measurement
    from harness.pool import Pool
    from search.config import SearchConfig
    from search.data.dataset import Dataset
    from search.evaluation import Outcome
    from search.ray_boards import RayBoards
    from search.report.run_folder import Run
    from search.run import RunResult
    from search.workers import Evaluators, OpenEvaluators

INTERRUPTED = 130

RESULTS = Path("results")


@app.command()
def search(
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG.toml")],
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN_DIR", help="Go on with this interrupted run."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="RUN_DIR", help="Run folder; without it results/<name>-<time>."
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Evaluate on the Ray cluster at host:port; via hardware, measure on the boards "
            "that `hilnas pool serve` offers there. local starts a cluster here.",
        ),
    ] = None,
    hardware_map: HardwareMapOption = None,
    json_file: JsonOption = None,
) -> None:
    """Search networks for a data set, every candidate measured before it is trained."""
    from harness.hardware_map import VARIABLE
    from search.config import load_config
    from search.run import JOURNAL_NAME
    from search.space import open_space
    from search.workplace import check_device, check_units

    if resume is not None and out is not None:
        raise UsageError("--resume and --out exclude each other", hint="give one of them")
    config = load_config(config_file)
    check_device(config.device)
    if hardware_map is not None:  # workers look it up for themselves
        os.environ[VARIABLE] = str(hardware_map.resolve())
    if ray in (None, "local"):
        check_units(config)
    open_space(config.space)
    run_dir = require_folder(
        resume or out or RESULTS / f"{config.name}-{datetime.now():%Y%m%d-%H%M%S}"
    )
    number = uuid4().hex[:12]  # by which units know what they did for this command
    try:
        dataset = _load(config)
        with _evaluators(config, dataset, run_dir, ray, number) as (workers, units):
            interrupted = _run(
                config, dataset, run_dir, workers, resuming=resume is not None
            ).interrupted
            if not interrupted:
                _settle(config, run_dir, units)
                _train_finalists(config, run_dir, workers)
                _settle(config, run_dir, units)
        if not interrupted:
            with _writing_to(run_dir):
                found = _ship(config, dataset, run_dir)
            _report(run_dir, found, json_file)
    except KeyboardInterrupt:
        if not (run_dir / JOURNAL_NAME).exists():
            raise
        interrupted = True
    if interrupted:
        errors.print(
            f"[yellow]interrupted; to go on:[/] {escape(sys.argv[0])} search "
            f"{escape(str(config_file))} "
            f"--resume {escape(str(run_dir))}"
            + (f" --ray {escape(ray)}" if ray else "")
            + (f" --hardware-map {escape(str(hardware_map))}" if hardware_map else ""),
            soft_wrap=True,
            highlight=False,
        )
        raise typer.Exit(INTERRUPTED)


@app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", callback=require_folder)],
    json_file: JsonOption = None,
) -> None:
    """Table, plot and page of a run, made anew from its folder alone."""
    from search.report.run_folder import read_run

    _report(run_dir, read_run(run_dir), json_file)


def _load(config: SearchConfig) -> Dataset:
    from search.augmentation import check_flip
    from search.data.load import load_dataset

    with errors.status("loading data"):
        dataset = load_dataset(config.data, seed=config.search.seed)
    check_flip(config.training, dataset)
    if dataset.notice:
        errors.print(f"[bold yellow]note:[/] {escape(dataset.notice)}", soft_wrap=True)
    return dataset


@contextlib.contextmanager
def _evaluators(
    config: SearchConfig, dataset: Dataset, run_dir: Path, ray_address: str | None, number: str
) -> Iterator[tuple[Evaluators, Pool | RayBoards | None]]:
    """For candidates, and then for finalists: starting takes a worker seconds. And the units that
    measure, where boards are not virtual."""
    from search.workers import Deferred, Workers
    from search.workplace import open_pool

    with contextlib.ExitStack() as stack:
        opener: OpenEvaluators = Workers
        units: Pool | RayBoards | None = None
        is_asking = False
        if ray_address is not None:
            opener, units = _join_cluster(config, ray_address, number, stack)
            is_asking = units is not None
        elif config.device.via == "hardware":
            units = open_pool(config, number)
        workers = stack.enter_context(
            opener(
                config.search.workers,
                Deferred("search.evaluate", "evaluate"),
                run_dir,
                config,
                deadline_s=config.search.candidate_deadline_s,
                prepare=partial(
                    Deferred("search.evaluate", "prepare"),
                    dataset_sha256=dataset.sha256,
                    run=number,
                    is_asking=is_asking,
                ),
            )
        )
        yield workers, units


def _join_cluster(
    config: SearchConfig, address: str, number: str, stack: contextlib.ExitStack
) -> tuple[OpenEvaluators, RayBoards | None]:
    """Leaving the stack leaves the cluster."""
    from harness.ray_node import check_ray

    check_ray("--ray")
    from search.ray_boards import RayBoards
    from search.ray_workers import cluster

    with errors.status("joining the Ray cluster"):
        opener = stack.enter_context(cluster(address, config.device))
    if config.device.via != "hardware":
        return opener, None
    boards = RayBoards(config, number)
    return partial(opener, boards=boards), boards


def _run(
    config: SearchConfig,
    dataset: Dataset,
    run_dir: Path,
    workers: Evaluators,
    *,
    resuming: bool,
) -> RunResult:
    from search.display import Display
    from search.run import JOURNAL_NAME, run_search
    from search.workplace import engine_of

    engine = engine_of(config.device)
    if config.distillation.teacher and (resuming or not (run_dir / JOURNAL_NAME).exists()):
        from search.distill import open_teacher  # torch

        with errors.status("asking the teacher"):
            open_teacher(config.distillation, dataset, run_dir)
    with Display(errors) as display:
        return run_search(
            config,
            run_dir,
            workers,
            input_shape=dataset.input_shape,
            classes=dataset.classes,
            dataset_sha256=dataset.sha256,
            engine_version="" if engine.name == "aot" else engine.version,
            resume=resuming,
            on_event=display.on_event,
        )


def _settle(config: SearchConfig, run_dir: Path, units: Pool | RayBoards | None) -> None:
    """Nothing that is shipped was measured by a unit that has failed its control run since."""
    from harness.pool import Pool
    from search.finalists import read_finalists
    from search.journal import Journal, read_journal
    from search.remeasured import settle
    from search.run import JOURNAL_NAME
    from search.workplace import measuring

    if units is None:
        return

    def outcomes() -> Iterator[Outcome]:
        yield from (entry.outcome for entry in read_journal(run_dir / JOURNAL_NAME).entries)
        yield from read_finalists(run_dir, config.finalists.epochs).values()

    measure: Callable[..., Measurement] = units.measure
    if isinstance(units, Pool):
        measure = partial(units.measure, measure_on=measuring(config.device))
    with Journal(run_dir / JOURNAL_NAME), errors.status("checking units") as status:
        settle(
            run_dir,
            units,
            measure,
            outcomes,
            control_every=config.device.control_every,
            on_step=status.update,
        )


def _train_finalists(config: SearchConfig, run_dir: Path, workers: Evaluators) -> None:
    """Train the front on, where the configuration asks for it."""
    from search.display import describe
    from search.finalists import train_finalists
    from search.journal import Journal
    from search.report.run_folder import find_front, read_run
    from search.run import JOURNAL_NAME

    if not config.finalists.epochs:
        return
    with Journal(run_dir / JOURNAL_NAME), errors.status("training the front on") as status:

        def show(done: int, count: int, outcome: Outcome) -> None:
            status.update(f"training the front on: {done} of {count}")
            errors.print(describe(done, outcome), highlight=False, soft_wrap=True)

        train_finalists(
            config,
            run_dir,
            find_front(config, read_run(run_dir).outcomes),
            workers,
            on_finalist=show,
        )


def _ship(config: SearchConfig, dataset: Dataset, run_dir: Path) -> Run:
    """Build what the front needs and test it, once; returns the run with both."""
    from search.journal import Journal
    from search.report.artefacts import ship_front
    from search.run import JOURNAL_NAME

    with Journal(run_dir / JOURNAL_NAME), errors.status("the front") as status:
        return ship_front(run_dir, dataset, workers=config.search.workers, on_step=status.update)


def _report(run_dir: Path, found: Run, json_file: Path | None) -> None:
    from search.report.run_folder import FRONT_DIR
    from search.report.sheet import terminal_table
    from search.report.summary import summary
    from search.report.tables import report_sheets
    from search.report.write import write_report

    with errors.status("drawing"), _writing_to(run_dir):
        page = write_report(run_dir, found)
    if str(json_file) != "-":
        for sheet in report_sheets(found):
            print_table(console, terminal_table(sheet))
            console.print()
        for sentence in (found.growth.describe(), *(p.describe() for p in found.proxies[:1])):
            console.print(escape(sentence), highlight=False)
        console.print(f"report: {escape(str(page))}", highlight=False, soft_wrap=True)
        if found.tested:
            console.print(
                f"models, firmware and C code: {escape(str(run_dir / FRONT_DIR))}",
                highlight=False,
                soft_wrap=True,
            )
    write_json(json_file, summary(run_dir, found))


@contextlib.contextmanager
def _writing_to(run_dir: Path) -> Iterator[None]:
    """A full disk does not say which file it was."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"cannot be written: {error.strerror or error}",
            where=error.filename or run_dir,
            hint="make room, then resume the run",
        ) from None


def main() -> None:
    """The `hilnas` command."""
    sys.exit(run(invoke))
