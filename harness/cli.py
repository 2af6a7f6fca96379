"""What can be asked of the harness on the command line? Parses, calls, prints; decides nothing.

The search adds its own commands to `app` (search/cli.py) and starts the process.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.errors import HilnasError, UsageError
from harness.options import CompilerOptions, Optimise
from harness.outputs import require_folder, require_writable, write_text
from harness.tables import print_table

if TYPE_CHECKING:
    from harness.board import Board
    from harness.engines import Engine
    from harness.measurement import Measurement, Sram

app = typer.Typer(
    name="hilnas",
    help="Finds small neural networks for Cortex-M4 boards and measures every candidate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()
errors = Console(stderr=True)

JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=require_writable,
        help="Also write the result as JSON ('-': stdout).",
    ),
]
BoardOption = Annotated[str, typer.Option("--board", help="A board that `hilnas boards` lists.")]
ViaOption = Annotated[
    str, typer.Option("--via", help="How the board is reached: virtual, hardware, qemu or renode.")
]
UnitOption = Annotated[
    str | None,
    typer.Option("--unit", metavar="NAME", help="Via hardware: which unit of the hardware map."),
]
HardwareMapOption = Annotated[
    Path | None,
    typer.Option(
        "--hardware-map",
        metavar="FILE",
        help="Via hardware: the units on this desk. Without it, HILNAS_HARDWARE_MAP, then "
        "hardware_map.toml here or in ~/.config/hilnas.",
    ),
]
ThroughOption = Annotated[
    str, typer.Option("--through", help="How images get into flash: memory (at once) or probe.")
]
OptimiseOption = Annotated[
    Optimise, typer.Option("-O", "--optimise", help="Where they contradict: -Ospeed or -Osize.")
]
ArenaLimitOption = Annotated[
    int | None,
    typer.Option(
        "--arena-limit",
        metavar="BYTES",
        min=1,
        help="Where the arena needs more: less scratch memory, then the first stage in patches.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", help="What runs the model: aot, compiled ahead of time, or tflm, TFLite Micro."
    ),
]
TflmDirOption = Annotated[
    Path | None,
    typer.Option(
        "--tflm-dir",
        metavar="DIR",
        help="Where --engine tflm has its library: upstream's tree, or a gen/<build> in it. "
        "Without it, HILNAS_TFLM_DIR.",
    ),
]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL.tflite", help="A model quantised to int8 or 16x8.")
]


def run(command: Callable[[], object]) -> int:
    """Run `command`; returns the exit code (0, 1 failed, 2 wrong use, 130 interrupted).

    Errors become one sentence on stderr. HILNAS_DEBUG=1 adds the traceback.
    """
    try:
        command()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except HilnasError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except Exception as error:
        return _fail(
            f"a bug in hilnas: {type(error).__name__}: {error}; "
            "set HILNAS_DEBUG=1 for the traceback and report it",
            1,
        )
    return 0


def invoke() -> None:
    """Do what the process's arguments ask for: `app` without typer's own ways to end, so that
    wrong use reads like every other error and Ctrl-C is not taken for a quiet exit.

    Raises:
        UsageError: no such command, option or value.
    """
    command, arguments = typer.main.get_command(app), sys.argv[1:]
    try:
        with command.make_context("hilnas", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.TyperException as error:
        said = error.format_message().replace("Value error, ", "").rstrip(".")
        if not said:  # there were no arguments: the help has been printed
            sys.exit(2)
        known = getattr(command, "commands", {})
        words = ["hilnas", *(word for word in arguments[:1] if word in known)]
        raise UsageError(
            said[0].lower() + said[1:],
            where=" ".join(words[1:]) or None,
            hint=f"`{' '.join(words)} --help` tells what there is",
        ) from None


def _fail(sentence: str, code: int) -> int:
    if os.environ.get("HILNAS_DEBUG") == "1":
        traceback.print_exc()
    errors.print(f"[bold red]hilnas:[/] {escape(sentence)}", soft_wrap=True, highlight=False)
    return code


def write_json(path: Path | None, value: object) -> None:
    """Write `value` to `path` ("-": stdout); nothing when None."""
    if path is None:
        return
    text = json.dumps(value, indent=2) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        write_text(path, text)


def _open_engine(name: str, tflm_dir: Path | None, model: Path) -> Engine:
    """`model` is what something can be said of should the engine's library be missing."""
    from harness.engines import open_engine
    from harness.errors import ToolchainError

    if tflm_dir is not None and name != "tflm":
        raise UsageError(
            "--tflm-dir names a library that this engine does not use",
            expected="--engine tflm",
            got=f"--engine {name}",
        )
    try:
        return open_engine(name, tflm_dir=tflm_dir)
    except ToolchainError as error:
        from harness.engines.tflm.host_arena import with_estimate
        from harness.tflite import read_model

        raise with_estimate(error, read_model(model), name=str(model)) from None


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """A spinner that names the step and for how long it has been going on, on stderr: stdout may
    carry JSON."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with bar:
        task = bar.add_task("starting")
        yield lambda step: bar.reset(task, description=step)


@app.command()
def boards(
    discover: Annotated[
        bool,
        typer.Option("--discover", help="List the attached probes and draft a hardware map."),
    ] = False,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Where --discover writes its draft."),
    ] = Path("hardware_map.toml"),
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="NAME", help="End a unit's quarantine, after a good control run."
        ),
    ] = None,
    hardware_map: HardwareMapOption = None,
    json_file: JsonOption = None,
) -> None:
    """What is described, how each board can be reached, and the units on this desk."""
    from harness.board import board_names, load_board
    from harness.hardware_map import find_hardware_map, load_hardware_map
    from harness.session import vias_of
    from harness.units import list_probes, print_units, release_unit

    path = find_hardware_map(hardware_map)
    desk = None if path is None else load_hardware_map(path)
    if discover:
        list_probes(desk, out, json_file)
        return
    if release is not None:
        release_unit(desk, release)
        return
    described = [load_board(name) for name in board_names()]
    table = Table(title="Boards", caption=_explain_vias(described))
    for heading in ("board", "core", "clock", "flash", "SRAM", "console"):
        table.add_column(heading, no_wrap=True)  # 80 columns hold it; --json holds the rest
    for board in described:
        table.add_row(
            board.name,
            board.core.removeprefix("cortex-").upper(),
            f"{board.sysclk_hz / 1e6:g} MHz",
            f"{board.memory.flash.size // 1024} KiB",
            f"{board.memory.sram.size // 1024} KiB",
            board.console.uart,
        )
    if str(json_file) != "-":
        print_table(console, table)
        if desk is not None:
            print_units(desk)
    units = [] if desk is None else desk.units
    write_json(
        json_file,
        [
            {
                **asdict(board),
                "via": list(vias_of(board)),
                "units": [unit.name for unit in units if unit.board == board.name],
            }
            for board in described
        ],
    )


def _explain_vias(described: list[Board]) -> str:
    """The ways to every board; those that lead to some, with these; what is not installed."""
    from harness.errors import HilnasError
    from harness.renode import find_renode
    from harness.session import VIAS, vias_of

    reached = {via: [b.name for b in described if via in vias_of(b)] for via in VIAS}
    everywhere = [via for via, names in reached.items() if len(names) == len(described)]
    some = [f"; {via}: {', '.join(reached[via])}" for via in VIAS if via not in everywhere]
    try:
        find_renode()
        missing = ""
    except HilnasError:
        missing = "; Renode is not installed"
    return f"--via {', '.join(everywhere)}{''.join(some)}{missing}"


@app.command()
def doctor(
    units: Annotated[
        bool,
        typer.Option(
            "--units",
            help="Also flash each free unit of the hardware map and hold its clock against this "
            "host's, some seconds a unit.",
        ),
    ] = False,
    json_file: JsonOption = None,
) -> None:
    """Toolchain, packages, permissions: each with the fix."""
    from harness.doctor import examine
    from harness.unit_clocks import examine_clocks

    checks = examine()
    if units:
        with _status() as on_step:
            checks += examine_clocks(on_step=on_step)
    table = Table(title="hilnas doctor")
    for heading in ("", "what", "found", "fix"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        mark = (
            "[green]ok[/]"
            if check.ok
            else "[red]failed[/]"
            if check.required
            else "[yellow]optional[/]"
        )
        table.add_row(mark, check.name, escape(check.found), escape(check.fix))
    if str(json_file) != "-":
        print_table(console, table)
    write_json(json_file, [asdict(check) for check in checks])
    if any(check.required and not check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def measure(
    model: ModelArgument,
    board: BoardOption,
    via: ViaOption = "virtual",
    engine: EngineOption = "aot",
    tflm_dir: TflmDirOption = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measured runs after the warm-up.")] = 3,
    spread: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="PERCENT",
            help="More runs, 30 at most, until the middle half of them lies this close together.",
        ),
    ] = 0.1,
    optimise: OptimiseOption = Optimise.SPEED,
    arena_limit: ArenaLimitOption = None,
    layers: Annotated[bool, typer.Option("--layers", help="Add a profiled pass.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random input.")] = 0,
    through: ThroughOption = "memory",
    unit: UnitOption = None,
    hardware_map: HardwareMapOption = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=require_writable,
            help="Where the inference's cycles go; FILE for speedscope.",
        ),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Latency, SRAM and flash of a .tflite on a board, outputs checked bit for bit."""
    from harness.board import load_board
    from harness.measure import measure as measure_model
    from harness.profile_tables import print_profile
    from harness.profiling import profile_inference
    from harness.session import open_session
    from harness.tflite import read_model

    chosen = _open_engine(engine, tflm_dir, model)
    if profile is not None and (via, through) != ("virtual", "memory"):
        raise UsageError(
            "--profile watches a virtual board from inside, which a probe does not",
            expected="--via virtual --through memory",
            got=f"--via {via} --through {through}",
        )
    options = CompilerOptions(optimise, arena_limit)
    described = load_board(board)
    data = read_model(model)
    with ExitStack() as stack:
        with _status() as on_step:
            opened = open_session(described, via, through, unit=unit, hardware_map=hardware_map)
            session = stack.enter_context(opened)
            if session.note:
                errors.print(escape(session.note), soft_wrap=True, highlight=False)
            result = measure_model(
                data,
                session,
                name=str(model),
                engine=chosen,
                repeats=repeats,
                spread=spread / 100,
                layers=layers,
                seed=seed,
                options=options,
                on_step=on_step,
            )
        if str(json_file) != "-":
            print_measurement(result, title=model.name)
        write_json(json_file, result.to_json())
        if result.cycles.relative > spread / 100:
            errors.print(
                f"the middle half of {len(result.cycles.raw)} runs lies within "
                f"{result.cycles.relative:.2%}, not {spread:g} %",
                highlight=False,
            )
        if profile is None:
            return
        with _status() as on_step:  # what was measured is out, should this fail
            on_step("profiling")
            seen = profile_inference(
                data, session, name=model.name, seed=seed, engine=chosen, options=options
            )
        write_text(profile, json.dumps(seen.profile.speedscope))
    print_profile(seen.profile, errors)
    errors.print(
        f"stack: {seen.painted_bytes:,} bytes by its paint, {seen.pointer_bytes:,} by its pointer",
        highlight=False,
    )


@app.command()
def build(
    model: ModelArgument,
    board: BoardOption,
    out: Annotated[
        Path, typer.Option("--out", callback=require_folder, help="Folder for the results.")
    ],
    engine: EngineOption = "aot",
    tflm_dir: TflmDirOption = None,
    optimise: OptimiseOption = Optimise.SPEED,
    arena_limit: ArenaLimitOption = None,
    reorder: Annotated[
        bool,
        typer.Option(
            "--reorder",
            help="First put the operators into the order that takes TFLite Micro the least memory "
            "(MODEL.reordered.tflite); that is what is built.",
        ),
    ] = False,
    json_file: JsonOption = None,
) -> None:
    """Firmware ELF, map and deploy/: a plain C library of the model."""
    from harness.board import load_board
    from harness.reordered_build import ship_reordered
    from harness.tflite import read_model

    chosen = _open_engine(engine, tflm_dir, model)
    described = load_board(board)
    data = read_model(model)
    out.mkdir(parents=True, exist_ok=True)
    reordered: dict[str, int | str] = {}
    with _status() as on_step:
        options = CompilerOptions(optimise, arena_limit)
        if reorder:
            file = out / f"{model.stem}.reordered.tflite"
            built, reordered = ship_reordered(
                data, file, chosen, described, name=str(model), options=options, on_step=on_step
            )
        else:
            built = chosen.ship(
                data, described, out, name=str(model), options=options, on_step=on_step
            )
    image = built.image
    facts: dict[str, Any] = {
        "board": described.name,
        "engine": engine,
        "engine_version": chosen.version,
        "compiler": image.compiler,
        "flags": image.flags,
        "elf": str(image.elf),
        "map": str(image.map),
        "deploy": str(out / "deploy"),
        "model_sha256": built.graph.sha256,
        "image_sha256": image.sha256,
        "arena_bytes": built.arena_bytes,
        "arena_lower_bound_bytes": built.arena_lower_bound_bytes,
        "arena_plan": built.arena_plan,
        "arena_parts": None if built.arena_parts is None else asdict(built.arena_parts),
        "static_bytes": image.static_bytes,
        "flash_bytes": image.flash_bytes,
        "weights_bytes": image.weights_bytes,
        "runtime_overhead_bytes": image.runtime_overhead_bytes,
        **reordered,
    }
    if str(json_file) != "-":
        table = Table(title=f"{model.name} for {described.name}", show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for name, value in {**facts, "arena_parts": built.arena_parts}.items():
            if value is not None:
                table.add_row(name, f"{value:,}" if isinstance(value, int) else escape(str(value)))
        print_table(console, table)
    write_json(json_file, facts)


def print_measurement(result: Measurement, *, title: str) -> None:
    """The numbers under their label."""
    cycles, latency = result.cycles, result.latency_us
    table = Table(title=escape(title), caption=escape(result.label), show_header=False)
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold", min_width=20)
    counted = _counted(result)
    if counted == "instruction":  # which is no time
        table.add_row("instructions", f"{cycles.median:,.0f}", f"{len(cycles.raw)} runs")
        table.add_row("spread", f"{cycles.min:,.0f} .. {cycles.max:,.0f}", "")
    else:
        table.add_row("latency", f"{latency.median / 1000:.3f} ms", f"{cycles.median:,.0f} cycles")
        table.add_row(
            "spread",
            f"{latency.min / 1000:.3f} .. {latency.max / 1000:.3f} ms",
            f"{len(cycles.raw)} runs",
        )
    per = _per_count(result.macs, cycles.median, unit=f" MAC/{counted}")
    table.add_row("MACs", f"{result.macs:,}", per)
    if (energy := result.energy) is not None:
        table.add_row(
            "energy",
            f"{energy.uj:,.4g} uJ",
            escape(f"+- {energy.uncertainty_uj:,.2g} uJ; {energy.label}"),
        )
    table.add_row(
        "SRAM",
        f"{result.sram.total_bytes:,} B",
        f"arena {result.sram.arena_bytes:,} + stack {result.sram.stack_bytes:,} "
        f"+ static {result.sram.static_bytes:,}",
    )
    if result.sram.arena_plan:
        table.add_row(
            "arena",
            f"{result.sram.arena_bytes:,} B",
            _explain_arena(result.sram),
        )
    table.add_row(
        "flash",
        f"{result.flash.total_bytes:,} B",
        f"weights {result.flash.weights_bytes:,} + code {result.flash.code_bytes:,}",
    )
    table.add_row("output", "bit-exact", escape(result.output.reference))
    if str(result.conditions or ""):
        table.add_row("conditions", str(result.conditions), "die and supply, by the chip")
    print_table(console, table)
    if result.layers:
        _print_layers(result)


def _counted(result: Measurement) -> str:
    """What one of `result.cycles` is."""
    return "instruction" if result.timing == "instructions" else "cycle"


def _explain_arena(sram: Sram) -> str:
    parts, facts = sram.arena_parts, []
    if sram.arena_lower_bound_bytes is not None:
        facts.append(f"bound {sram.arena_lower_bound_bytes:,}")
    if parts is not None:
        facts.append(str(parts))
    return "; ".join([*facts, sram.arena_plan])


def _print_layers(result: Measurement) -> None:
    table = Table(
        title="Layers (profiled pass)",
        caption=escape(result.label),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("operator", overflow="fold")
    counted = _counted(result)
    for heading in (f"{counted}s", "%", "MACs", f"MAC/{counted}", "bytes moved"):
        table.add_column(heading, justify="right", no_wrap=True)
    total = sum(layer.cycles for layer in result.layers)
    for layer in result.layers:
        table.add_row(
            str(layer.index),
            layer.op,
            f"{layer.cycles:,}",
            f"{100 * layer.cycles / total:.1f}" if total else "",
            f"{layer.macs:,}",
            _per_count(layer.macs, layer.cycles, unit=""),
            f"{layer.moved_bytes:,}",
        )
    table.add_section()
    table.add_row("", "sum", f"{total:,}", "", f"{sum(x.macs for x in result.layers):,}", "", "")
    print_table(console, table)


def _per_count(macs: int, count: float, unit: str) -> str:
    return f"{macs / count:.3f}{unit}" if macs and count else ""
