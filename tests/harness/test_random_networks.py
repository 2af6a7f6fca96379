"""Whole networks with branches answer what TensorFlow Lite Micro's reference kernels answer, and
touch exactly the planned arena: both variants on this machine, the DSP variant as Arm code too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, given, reject, settings

from harness.board import load_board
from harness.errors import UnsupportedModelError
from harness.measure import measure
from harness.session import open_session
from tests.host_model import check
from tests.random_networks import networks
from tests.tflite_factory import ModelFactory

NETWORKS = int(os.environ.get("HILNAS_NETWORKS", "24"))  # `make test-long` draws 500

# No shrinking by default: a failure prints its model's operators, and takes minutes to shrink.
_SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate],
}


@contextmanager
def told_which(model: ModelFactory) -> Iterator[None]:
    """Refused models are drawn anew; others that fail say what they are."""
    try:
        yield
    except UnsupportedModelError:
        reject()
    except Exception as error:
        error.add_note(f"operators: {[(o.op, o.inputs, o.outputs) for o in model.operators]}")
        raise


@settings(max_examples=NETWORKS, **_SETTINGS)
@given(networks())
def test_a_network_is_bit_exact_in_exactly_its_arena(model: ModelFactory) -> None:
    with told_which(model):
        check(model.build())


def test_a_network_is_bit_exact_as_arm_code() -> None:
    with open_session(load_board("nucleo_f412zg"), "virtual") as session:

        @settings(max_examples=8, **_SETTINGS)
        @given(networks())
        def compare(model: ModelFactory) -> None:
            with told_which(model):
                # Refuses what is not exact: outputs, arena, guard.
                measurement = measure(model.build(), session, repeats=1)
            assert measurement.output.bit_exact

        compare()
