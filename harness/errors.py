"""Everything that can go wrong, and the exit code it ends the command with.

    HilnasError                     1
    ├── UsageError                  2   the command was given something it cannot use
    │   ├── ConfigError             2   a TOML file: syntax, unknown key, wrong type or value
    │   ├── UnknownBoardError       2   no such board, or not reachable that way
    │   └── DatasetError            2   a data set that is not there or is not what it says
    ├── ModelError                  1   a .tflite that is refused
    │   ├── MalformedModelError     1   truncated, hostile offsets, contradictions
    │   └── UnsupportedModelError   1   well-formed, but not for this engine
    ├── ImageError                  1   a firmware file that no board can run
    ├── BuildError                  1
    │   ├── ToolchainError          1   a compiler, build tool or emulator is missing or broken
    │   ├── CompileError            1   the compiler refused generated or firmware sources
    │   └── DoesNotFitError         1   flash or SRAM overflowed; carries region and missing_bytes
    ├── BoardError                  1   the board (or the process that plays it) failed
    │   ├── UnitInUseError          1   another command has the unit
    │   ├── UnitGoneError           1   its probe or its port is not there
    │   ├── QuarantinedError        1   it is not to be trusted until it is released
    │   └── NoUnitError             1   none of the pool can be had
    ├── ProbeError                  1   the debug probe, or the chip's flash behind it
    ├── MeterError                  1   the energy meter, or the line to it
    ├── LinkError                   1   the serial line
    │   ├── NoReplyError            1   nothing, or only half a frame, before the deadline
    │   ├── FrameError              1   bytes that are no frame
    │   └── RequestRefusedError     1   the unit answered with an error code
    ├── WrongImageError             1   the unit runs other firmware than was flashed
    ├── FirmwareFaultError          1   HardFault, BusFault, ...; carries the registers
    ├── MeasurementRefusedError     1   outputs not bit-exact, arena not as planned
    ├── NotComparableError          1   two measurements that must not meet
    └── JournalError                1   a run folder, or a unit's ledger, that cannot be continued

Messages are one sentence: what, where, expected and got, then the next step.
"""

from __future__ import annotations

import copy
from typing import Self


class HilnasError(Exception):
    """A failure a user can act on. Subclasses choose the exit code.

    Args:
        what: the failure itself, without a full stop.
        where: file, address, operator, unit or port concerned.
        expected: what would have been right.
        got: what was found instead.
        hint: the next step for the user.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.expected, self.got, self.hint = (
            what,
            where,
            expected,
            got,
            hint,
        )
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only state survives the trip between worker processes.
        return (_rebuild, (type(self), self.args[0], dict(self.__dict__)))

    def on(self, host: str) -> Self:
        """The same, whose sentence says on which machine it arose."""
        located = copy.copy(self)
        located.args = (f"on {host}: {self}",)
        return located

    def _sentence(self) -> str:
        text = f"{self.where}: {self.what}" if self.where is not None else self.what
        facts = []
        if self.expected is not None:
            facts.append(f"expected {self.expected}")
        if self.got is not None:
            facts.append(f"got {self.got}")
        if facts:
            text += f" ({', '.join(facts)})"
        if self.hint is not None:
            text += f"; {self.hint}"
        return text


def _rebuild(cls: type[HilnasError], message: str, state: dict[str, object]) -> HilnasError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class UsageError(HilnasError):
    exit_code = 2


class ConfigError(UsageError):
    """A TOML file: syntax, unknown key, wrong type or value."""


class UnknownBoardError(UsageError):
    """No such board, or not reachable that way."""


class DatasetError(UsageError):
    """A data set that is not there or is not what it says."""


class ModelError(HilnasError):
    """A .tflite that is refused."""


class MalformedModelError(ModelError):
    """Truncated, hostile offsets, contradictions."""


class UnsupportedModelError(ModelError):
    """Well-formed, but not for this engine."""


class ImageError(HilnasError):
    """A firmware file that no board can run."""


class BuildError(HilnasError):
    """No image came out."""


class ToolchainError(BuildError):
    """A compiler, build tool or emulator is missing or broken."""


class CompileError(BuildError):
    """The compiler refused generated or firmware sources."""


class DoesNotFitError(BuildError):
    """The image overflows a memory region of the board by `missing_bytes`."""

    def __init__(self, what: str, *, region: str, missing_bytes: int, **details: object) -> None:
        super().__init__(what, **details)  # type: ignore[arg-type]
        self.region = region
        self.missing_bytes = missing_bytes


class BoardError(HilnasError):
    """The board, or the process that plays it, failed."""


class UnitInUseError(BoardError):
    """Another command has the unit."""


class UnitGoneError(BoardError):
    """Its probe or its port is not there."""


class QuarantinedError(BoardError):
    """The unit is not to be trusted until it is released."""


class NoUnitError(BoardError):
    """None of the pool can be had: nobody's candidate is to blame."""


class ProbeError(HilnasError):
    """The debug probe, or the chip's flash behind it."""


class MeterError(HilnasError):
    """The energy meter, or the line to it."""


class LinkError(HilnasError):
    """The serial line."""


class NoReplyError(LinkError):
    """Nothing, or only half a frame, before the deadline."""


class FrameError(LinkError):
    """Bytes that are no frame."""


class RequestRefusedError(LinkError):
    """The unit answered with an error code."""


class WrongImageError(HilnasError):
    """The unit runs other firmware than was flashed."""


class FirmwareFaultError(HilnasError):
    """The firmware reported a fault. `registers` maps pc, lr, cfsr, ... to their values."""

    def __init__(
        self, what: str, *, kind: str, registers: dict[str, int], **details: object
    ) -> None:
        super().__init__(what, **details)  # type: ignore[arg-type]
        self.kind = kind
        self.registers = registers


class MeasurementRefusedError(HilnasError):
    """Outputs not bit-exact, or the arena not as planned."""


class NotComparableError(HilnasError):
    """Two measurements that must not meet."""


class JournalError(HilnasError):
    """A run folder, or a unit's ledger, that cannot be continued."""
