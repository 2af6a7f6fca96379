"""The error tree: one sentence, an exit code, and safe passage between processes."""

import copyreg
import inspect

import pytest

from harness import errors
from harness.errors import DoesNotFitError, FirmwareFaultError, HilnasError, UsageError

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, HilnasError)
]


def test_a_message_names_where_what_expected_got_and_the_next_step():
    error = HilnasError("is odd", where="file.toml", expected="2", got=3, hint="make it even")
    assert str(error) == "file.toml: is odd (expected 2, got 3); make it even"


def test_absent_parts_leave_no_trace():
    assert str(HilnasError("is odd")) == "is odd"
    assert str(HilnasError("is odd", got=3)) == "is odd (got 3)"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_wrong_use_exits_with_2_and_failure_with_1(kind):
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_docstring_draws_the_whole_tree_with_its_exit_codes(kind):
    assert any(
        kind.__name__ in line and f"  {kind.exit_code}" in line
        for line in errors.__doc__.splitlines()
    )


@pytest.mark.parametrize(
    "error",
    [
        UsageError("no", where="here", hint="go"),
        DoesNotFitError("too big", region="sram", missing_bytes=12, where="model"),
        FirmwareFaultError("BusFault", kind="bus", registers={"pc": 0x08000100}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_trip_between_worker_processes(error):
    rebuild, arguments = error.__reduce__()
    copy = rebuild(*arguments)
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert rebuild is not copyreg.__newobj__
