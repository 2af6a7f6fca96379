"""Small libraries that many tests look at and none changes."""

from __future__ import annotations

import pytest

from harness.engines.tflm.library import Library, find_library
from tests.harness.engines.tflm.trees import library_bytes, make_tree


@pytest.fixture(scope="module")
def cmsis_nn(tmp_path_factory) -> Library:
    return find_library(make_tree(tmp_path_factory.mktemp("cmsis_nn")))


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Library:
    data = library_bytes(cmsis_nn=False)
    return find_library(make_tree(tmp_path_factory.mktemp("reference"), data))
