"""Tests in a Ray cluster run in a process of their own. Ray's native threads may end or break the
process that was part of a cluster, once the cluster is gone and without a word; other tests must
not go with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import coverage
import pytest

from harness.board import ROOT

_DEADLINE_S = 1200.0  # a minute or two on an idle machine


def run_apart(file: str, tmp_path: Path) -> None:
    """The tests of `file`, below the project's root, pass. What counts is their report: if the
    process ends before it is written, all is run once more."""
    pytest.importorskip("ray", reason="Ray is an extra: pip install 'hilnas[ray]'")
    report = tmp_path / "report.xml"
    for _ in range(2):
        done = _run(file, report)
        if report.exists():
            break
    assert report.exists(), f"ended with {done.returncode} and no report\n{done.stdout}"
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    is_good = suite.attrib["failures"] == suite.attrib["errors"] == "0"
    assert int(suite.attrib["tests"]) and is_good, done.stdout


def _run(file: str, report: Path) -> subprocess.CompletedProcess[str]:
    is_counted = coverage.Coverage.current() is not None  # who runs this one gathers the files
    counted = ("coverage", "run", "--parallel-mode", "-m") if is_counted else ()
    return subprocess.run(
        [
            *(sys.executable, "-m", *counted, "pytest", "-v", file),
            *("-p", "no:cacheprovider", f"--junitxml={report}"),
            f"--basetemp={report.parent / 'files'}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        timeout=_DEADLINE_S,
    )
