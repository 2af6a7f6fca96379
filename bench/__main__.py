"""`python -m bench [NAME ...]`: run the named benchmarks (default: all) and keep their JSON in
results/benchmarks/, with what they ran on. `--programs` and `--seed` belong to `differential`,
`--inputs` and `--seed` to `fuzz`, `--seconds` and `--seed` to `wire_fuzz`, `--seed` to
`tflm_arena`, `--arms` to `hypervolume`."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks"
NAMES = (
    "start",
    "engine",
    "engines",
    "emulation",
    "measurement",
    "pool",
    "timing",
    "differential",
    "fuzz",
    "wire_fuzz",
    "tflm_arena",
    "demo",
    "fashion",
    "hypervolume",
    "suite",
)

_OPTIONS = {
    "differential": ("programs", "seed"),
    "fuzz": ("inputs", "seed"),
    "wire_fuzz": ("seconds", "seed"),
    "tflm_arena": ("seed",),
    "hypervolume": ("arms",),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--programs", type=int, help="random sequences to compare")
    parser.add_argument("--inputs", type=int, help="hostile files to read")
    parser.add_argument("--seconds", type=int, help="to fuzz each side of the wire")
    parser.add_argument("--seed", type=int, help="of the first sequence or batch")
    parser.add_argument("--arms", help="searches to compare, separated by commas")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        print(
            f"bench: unknown benchmark {unknown[0]!r}; one of {', '.join(NAMES)}", file=sys.stderr
        )
        return 2
    names = ("programs", "inputs", "seconds", "seed", "arms")
    options = {k: v for k in names if (v := getattr(given, k)) is not None}
    failed = False
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in given.names or NAMES:
        print(f"bench: {name}", file=sys.stderr)
        run = importlib.import_module(f"bench.{name}").run
        own = {k: v for k, v in options.items() if k in _OPTIONS.get(name, ())}
        result = run(**own)
        if "not_run" in result:
            print(f"bench: {name} is not run: {result['not_run']}", file=sys.stderr)
            continue
        failed |= bool(result.get("failed"))
        record = {
            "benchmark": name,
            "command": " ".join(
                ["python -m bench", name, *(f"--{k} {v}" for k, v in own.items())]
            ),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": {"cpu": _cpu(), "python": platform.python_version()},
            **result,
        }
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(json.dumps(result, indent=2))
    return 1 if failed else 0


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
