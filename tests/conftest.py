"""How do all tests run? Properties without wall-time limits; the same examples each time in CI.
Those marked `tflm` use the library that HILNAS_TFLM_DIR names, and are skipped without."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from harness.engines.tflm.library import Library

settings.register_profile(
    "hilnas",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("hilnas")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ledgers of units that tests make up are no part of the user's."""
    monkeypatch.setenv("HILNAS_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def tflm_library() -> "Library":
    """The user's TFLite Micro library."""
    from harness.engines.tflm.library import VARIABLE, find_library

    if not os.environ.get(VARIABLE):
        pytest.skip(f"no TFLite Micro library: {VARIABLE} is not set")
    return find_library(None)
