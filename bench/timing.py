"""How far is the modelled cycle count from silicon? Programs whose cycles others have published,
on the virtual board.

HILNAS_TIMING_CORPUS names a folder with manifest.json and the programs, which are not part of this
project: a list of objects with `name`, `group`, `role` ("fitted" or "held out"), `elf`, `board`,
`expected_cycles`, `expected_min`, `expected_max`, `index`, `divide`, `exactness`
("asm-identical", "asm-dominated", "same-source"), `silicon`, `source`, `compiler_of_silicon`,
`compiler_here`. A program leaves what it counted at its symbol `corpus_result` (magic 0xC0DE600D,
count, then 64-bit cycle counts) and sleeps. Without the folder this benchmark says so."""

from __future__ import annotations

import json
import os
import pty
import struct
import threading
import time
import tty
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

from elftools.elf.elffile import ELFFile

from harness.board import BOARDS_DIR, load_board
from harness.chip import load_chip
from harness.virtual import TIMING_MODEL
from harness.virtual.core import Core
from harness.virtual.loader import memories_of, read_program

FOLDER = "HILNAS_TIMING_CORPUS"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "timing.png"
MAGIC = 0xC0DE600D
DEADLINE_S = 120.0
# A published mean whose runs differ more than this (rejection sampling) says nothing of one run.
STEADY = 0.01
LARGEST = 100_000_000  # cycles of one entry; larger ones take too long here
AIM_MEAN, AIM_WORST = 1.5, 4.0


def run() -> dict[str, Any]:
    folder = os.environ.get(FOLDER)
    if not folder:
        return {"absent": f"set {FOLDER} to a folder of programs with published cycles"}
    entries = json.loads((Path(folder) / "manifest.json").read_text())
    steady = [e for e in entries if _is_steady(e)]
    counted: dict[tuple[str, str], list[int]] = {}
    rows = []
    for entry in steady:
        key = entry["elf"], entry["board"]
        if key not in counted:
            counted[key] = cycles_of(Path(folder) / entry["elf"], entry["board"])
        if max(entry["index"]) >= len(counted[key]):
            rows.append({"name": entry["name"], "failed": "the program did not get that far"})
            continue
        modelled = mean(counted[key][i] for i in entry["index"]) / entry.get("divide", 1)
        expected = entry["expected_cycles"]
        kept = ("name", "group", "role", "exactness", "silicon", "source", "compiler_of_silicon")
        rows.append(
            {k: entry[k] for k in kept}
            | {"compiler": entry["compiler_here"], "expected_cycles": expected}
            | {"modelled_cycles": round(modelled, 1)}
            | {"error_percent": round(100 * (modelled / expected - 1), 2)}
        )
    whole = [row for row in rows if "failed" not in row]
    draw(whole)
    return {
        "timing": f"modelled ({TIMING_MODEL})",
        "aim": {"mean_absolute_error_percent": AIM_MEAN, "worst_percent": AIM_WORST},
        "left_out": {"runs differ": len(entries) - len(steady)},
        "groups": summarise(whole),
        "programs": rows,
    }


def _is_steady(entry: dict[str, Any]) -> bool:
    expected = entry["expected_cycles"]
    spread = entry.get("expected_max", expected) - entry.get("expected_min", expected)
    return expected <= LARGEST and spread <= STEADY * expected


def cycles_of(elf: Path, board_name: str) -> list[int]:
    """The counts that the program at `elf` leaves behind on a virtual `board_name`."""
    board = load_board(board_name)
    chip = load_chip(board.chip, BOARDS_DIR)
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    core = Core(board, chip, master, wake)
    for address, data in read_program(elf, memories_of(chip)).segments:
        core.write(address, data)
    thread = threading.Thread(target=core.run, daemon=True)
    thread.start()
    until = time.monotonic() + DEADLINE_S
    while core.state not in ("asleep", "locked up") and time.monotonic() < until:
        time.sleep(0.002)
    core.stop()
    os.eventfd_write(wake, 1)
    thread.join(DEADLINE_S)
    if thread.is_alive():
        raise TimeoutError(f"{elf}: the virtual board does not stop within {DEADLINE_S:g} s")
    with elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        address = symbols.get_symbol_by_name("corpus_result")[0]["st_value"]
    magic, count = struct.unpack("<II", core.read(address, 8))
    counts = list(struct.unpack("<16Q", core.read(address + 8, 128)))[: min(count, 16)]
    core.close()
    for descriptor in (master, slave, wake):
        os.close(descriptor)
    return counts if magic == MAGIC else []


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Errors in percent by group, role and how alike the code is."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["role"], row["group"], row["exactness"]].append(row)
    return [
        {
            "role": role,
            "group": group,
            "exactness": exactness,
            "programs": len(members),
            "mean_error_percent": round(mean(errors), 2),
            "mean_absolute_error_percent": round(mean(map(abs, errors)), 2),
            "worst_percent": max(errors, key=abs),
            "worst": max(members, key=lambda row: abs(row["error_percent"]))["name"],
        }
        for (role, group, exactness), members in sorted(groups.items())
        if (errors := [row["error_percent"] for row in members])
    ]


def draw(rows: list[dict[str, Any]]) -> None:
    """One dot a program, error against cycles, a colour a group; hollow: held out."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    axes.axhspan(-AIM_WORST, AIM_WORST, color="0.93", label=f"aim: within {AIM_WORST:g} %")
    axes.axhline(0, color="0.5", linewidth=0.8)
    for number, group in enumerate(sorted({row["group"] for row in rows})):
        for role in ("fitted", "held out"):
            some = [row for row in rows if (row["group"], row["role"]) == (group, role)]
            if not some:
                continue
            axes.scatter(
                [row["expected_cycles"] for row in some],
                [row["error_percent"] for row in some],
                s=26,
                edgecolors=f"C{number}",
                facecolors=f"C{number}" if role == "fitted" else "none",
                label=f"{group}, {role} ({len(some)})",
            )
    axes.set_xscale("log")
    axes.set_xlabel("cycles on silicon")
    axes.set_ylabel(f"error of {TIMING_MODEL}, %")
    axes.legend(fontsize="small", ncols=2)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    plt.close(figure)
