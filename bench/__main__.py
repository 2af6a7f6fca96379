"""`python -m bench [NAME ...]`: run the named benchmarks (default: all) and keep their JSON in
results/benchmarks/, with what they ran on."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks"
NAMES = ("start", "emulation", "measurement", "demo", "suite")


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(
            f"bench: unknown benchmark {unknown[0]!r}; one of {', '.join(NAMES)}", file=sys.stderr
        )
        return 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        print(f"bench: {name}", file=sys.stderr)
        result = importlib.import_module(f"bench.{name}").run()
        record = {
            "benchmark": name,
            "command": f"python -m bench {name}",
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": {"cpu": _cpu(), "python": platform.python_version()},
            **result,
        }
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(json.dumps(result, indent=2))
    return 0


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
