"""Do all executors agree? Batches of random cases against the first executor, and what differs
shrunk to the least that still does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import capstone

from bench.differential.executors import Executor
from bench.differential.image import CODE, MAX_CASES, build_image, differences, scratch_of
from bench.differential.sequences import Case, draw_case, encode, smaller

SHRINK_RUNS = 300


@dataclass(frozen=True)
class Difference:
    """A case after which `executors` do not hold what `reference` does; `what` and the shrunk case
    are the first executor's."""

    seed: int
    reference: str
    executors: tuple[str, ...]
    what: tuple[str, ...]
    shrunk: Case

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}: {self.reference} against {'; '.join(self.executors)}",
                *(f"    {line}" for line in self.what[:8]),
                *(f"  {line}" for line in disassembly(self.shrunk)),
            ]
        )


def compare(
    seeds: range, reference: tuple[str, Executor], others: dict[str, Executor]
) -> Iterator[Difference]:
    """One difference a case, all cases of `seeds` run in batches.

    Raises:
        RuntimeError: the reference did not come to an end, or a case faults in it.
    """
    for first in range(seeds.start, seeds.stop, MAX_CASES):
        batch = range(first, min(first + MAX_CASES, seeds.stop))
        cases = [draw_case(seed, scratch_of(i)) for i, seed in enumerate(batch)]
        yield from _compare_batch(cases, reference, others)


def _compare_batch(
    cases: list[Case], reference: tuple[str, Executor], others: dict[str, Executor]
) -> Iterator[Difference]:
    image = build_image(cases)
    expected = reference[1](image)
    if expected.failure or expected.fault:
        raise RuntimeError(
            f"seeds from {cases[0].seed}: {reference[0]} ended with {expected.failure},"
            f" fault {expected.fault}"
        )
    outcomes = {name: execute(image) for name, execute in others.items()}
    over: set[str] = set()
    for index, case in enumerate(cases):
        found = {
            name: what
            for name, got in outcomes.items()
            if name not in over and (what := differences(expected.slot(index), got.slot(index)))
        }
        # Behind a case that ended the run, no other ran.
        over |= {name for name in found if outcomes[name].failure or outcomes[name].fault}
        if found:
            first = next(iter(found))
            shrunk, what = _shrink(case, index, reference[1], others[first])
            what = what or found[first]
            yield Difference(case.seed, reference[0], tuple(found), tuple(what), shrunk)


def _shrink(
    case: Case, index: int, reference: Executor, executor: Executor
) -> tuple[Case, list[str]]:
    """The case alone, in the slot its addresses are for, cut while it still differs, and how."""
    empty = Case(0, (), (0,) * 14, 0, 0, (0,) * 32, bytes(len(case.scratch)))

    def differs(candidate: Case) -> list[str]:
        image = build_image([empty] * index + [candidate])
        expected, got = reference(image), executor(image)
        if expected.failure or expected.fault:
            return []
        return differences(expected.slot(index), got.slot(index))

    runs, best, what = 0, case, differs(case)
    progress = bool(what)
    while progress and runs < SHRINK_RUNS:
        progress = False
        for candidate in smaller(best):
            runs += 1
            if found := differs(candidate):
                best, what, progress = candidate, found, True
                break
    return best, what


def disassembly(case: Case) -> list[str]:
    """The case's code, as Capstone reads it, behind the registers it starts from."""
    reader = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    code = b"".join(word.to_bytes(2, "little") for word in encode(case.nodes, CODE))
    names = [*(f"r{i}" for i in range(13)), "lr"]
    start = ", ".join(f"{n}=0x{v:x}" for n, v in zip(names, case.registers, strict=True))
    singles = ", ".join(f"s{i}=0x{v:x}" for i, v in enumerate(case.singles))
    lines = [start, f"apsr=0x{case.apsr:08x}, fpscr=0x{case.fpscr:08x}, {singles}"]
    at = 0
    while at < len(code):
        found = next(reader.disasm(code[at:], CODE + at, 1), None)
        size = found.size if found else 2
        text = f"{found.mnemonic} {found.op_str}" if found else ".hword"
        lines.append(f"{CODE + at:08x}: {code[at : at + size].hex():8s} {text}")
        at += size
    return lines
