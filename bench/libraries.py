"""Which TFLite Micro libraries are there to measure with? HILNAS_TFLM_DIR names upstream's tree,
of which every build counts, or one build."""

from __future__ import annotations

import os
from pathlib import Path

from harness.engines.tflm.library import ARCHIVE, VARIABLE, Library, find_library

NO_LIBRARY = f"no TFLite Micro library: {VARIABLE} names none"


def libraries() -> list[Library]:
    """All of them, in the order of their folders' names; none where the variable is not set.

    Raises:
        ToolchainError: what the variable names holds none that can be used.
    """
    if not os.environ.get(VARIABLE):
        return []
    folder = Path(os.environ[VARIABLE])
    builds = sorted(file.parent.parent for file in folder.glob(f"gen/*/{ARCHIVE}"))
    return [find_library(build) for build in builds or [folder]]
