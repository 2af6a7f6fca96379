"""`hilnas pool`: parses, calls, prints; decides nothing. Adds its commands to the harness's."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from harness.cli import HardwareMapOption, app, console, errors
from harness.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.serving import Examined

pool = typer.Typer(
    help="The units of this desk, for searches on other machines.", no_args_is_help=True
)
app.add_typer(pool, name="pool")


@pool.callback()
def _pool() -> None:
    """A group, although it has one command."""


@pool.command()
def serve(
    address: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="Of the Ray cluster to join.")
    ],
    cpus: Annotated[
        int | None,
        typer.Option(
            "--cpus", min=0, help="CPUs for training, too; without it all. 0: boards only."
        ),
    ] = None,
    hardware_map: HardwareMapOption = None,
) -> None:
    """Offer the units of this desk to a Ray cluster, until Ctrl-C."""
    from harness.hardware_map import VARIABLE, load_hardware_map
    from harness.ray_node import check_cluster, check_ray, join
    from harness.serving import count_fit, examine

    signal.signal(signal.SIGTERM, _interrupt)
    check_ray("pool serve")
    check_cluster(address, address)
    desk = load_hardware_map(hardware_map)
    with errors.status("control runs") as status:
        found = examine(desk, on_step=status.update)
    _print(found)
    fit = count_fit(found)
    environment = {VARIABLE: str(desk.path.resolve())}
    with errors.status(f"joining {escape(address)}") as status:
        resources = {f"board:{board}": count for board, count in fit.items()}
        joined = join(address, resources, cpus=cpus, environment=environment)
        with joined as node:
            status.stop()
            served = ", ".join(f"{count} {board}" for board, count in fit.items())
            offered = "all CPUs" if cpus is None else f"{cpus} CPUs"
            errors.print(
                f"serving {served} and {offered} to {escape(address)}; Ctrl-C ends it",
                highlight=False,
                soft_wrap=True,
            )
            try:
                node.wait()
            except KeyboardInterrupt:
                status.start()
                status.update("leaving the cluster")
    errors.print("left the cluster", highlight=False)


def _print(found: Sequence[Examined]) -> None:
    table = Table(title="Units")
    for heading in ("unit", "board", "control run"):
        table.add_column(heading, overflow="fold")
    for each in found:
        said = escape(each.why)
        if each.control is not None:
            drift = each.control.drift_ppm
            said = f"{each.control.cycles:,.0f} cycles, " + (
                "its first" if drift is None else f"drift {drift:+,.1f} ppm"
            )
        table.add_row(each.unit.name, each.unit.board, said)
    print_table(console, table)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
