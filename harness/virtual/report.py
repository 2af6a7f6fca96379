"""What is a run on the virtual board held to, and what became of it? Plain values and their JSON;
knows nothing of the core and of names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# The order of EndKind: not by itself, virtual time is over, the text came, an access was refused,
# and the firmware can only wait for input that will not come.
ENDS = ("", "deadline", "text", "refused", "idle")

EXCEPTIONS = {
    2: "NMI",
    3: "HardFault",
    4: "MemManage",
    5: "BusFault",
    6: "UsageFault",
    11: "SVCall",
    12: "DebugMonitor",
    14: "PendSV",
    15: "SysTick",
}

# DDI 0403, B3.2.15 and B3.2.16.
_CFSR = {
    0: "IACCVIOL",
    1: "DACCVIOL",
    3: "MUNSTKERR",
    4: "MSTKERR",
    5: "MLSPERR",
    7: "MMARVALID",
    8: "IBUSERR",
    9: "PRECISERR",
    10: "IMPRECISERR",
    11: "UNSTKERR",
    12: "STKERR",
    13: "LSPERR",
    15: "BFARVALID",
    16: "UNDEFINSTR",
    17: "INVSTATE",
    18: "INVPC",
    19: "NOCP",
    24: "UNALIGNED",
    25: "DIVBYZERO",
}
_HFSR = {1: "VECTTBL", 30: "FORCED", 31: "DEBUGEVT"}

CFSR_MMARVALID, CFSR_BFARVALID, CFSR_UNDEFINSTR = 1 << 7, 1 << 15, 1 << 16

_MEANINGS = {
    "IACCVIOL": "an instruction fetch from a region that holds no code",
    "IBUSERR": "an instruction fetch from where no memory is",
    "PRECISERR": "an access to where nothing is",
    "UNSTKERR": "a stack that is no memory, when leaving an exception",
    "STKERR": "a stack that is no memory, when entering an exception",
    "UNDEFINSTR": "an instruction that the core does not have",
    "INVSTATE": "a jump to an address without the Thumb bit",
    "INVPC": "a return from no exception",
    "NOCP": "a floating-point instruction while the FPU is off",
    "UNALIGNED": "an unaligned access",
    "DIVBYZERO": "a division by zero",
}


@dataclass(frozen=True)
class Limits:
    """What ends a run. seconds: of virtual time from now on, None for no end. text: bytes that the
    console must send, empty for none. pace: an idle core waits for the host's clock."""

    seconds: float | None = None
    text: bytes = b""
    refuse_unmodelled: bool = False
    pace: bool = False

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "text": self.text.hex()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Limits:
        return cls(**{**value, "text": bytes.fromhex(value["text"])})


@dataclass(frozen=True)
class Fault:
    """A fault as it was raised, before any handler ran; cfsr holds its own bits only."""

    number: int
    pc: int
    lr: int
    sp: int
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int
    cycles: int

    @property
    def name(self) -> str:
        return exception_name(self.number)

    @property
    def meaning(self) -> str:
        """The first bit in words, "a BKPT without a debugger" for a fault without bits."""
        for name in _names(self.cfsr, _CFSR):
            if name in _MEANINGS:
                return _MEANINGS[name]
        return "a breakpoint instruction without a debugger"

    @property
    def address(self) -> int | None:
        """The data address that was refused, where the core knows it."""
        if self.cfsr & CFSR_BFARVALID:
            return self.bfar
        return self.mmfar if self.cfsr & CFSR_MMARVALID else None


@dataclass(frozen=True)
class Notice:
    """The first access to a block of addresses that no device model stands for."""

    address: int
    pc: int


@dataclass(frozen=True)
class Uart:
    """One of the chip's. on: transmitter or receiver are. sent_bytes: to whomever."""

    name: str
    on: bool
    sent_bytes: int


@dataclass(frozen=True)
class Report:
    """ended: one of ENDS. seconds: virtual time since the board was started. registers: r0 to r12,
    sp, lr, pc, xpsr, msp, psp, control, cfsr, hfsr. fault: the last one of `faults`."""

    ended: str
    seconds: float
    core_hz: int
    registers: dict[str, int]
    faults: int
    fault: Fault | None
    notices: tuple[Notice, ...]
    uarts: tuple[Uart, ...]

    @property
    def exception(self) -> int:
        """The number of the exception that is being handled, 0 for none."""
        return self.registers["xpsr"] & 0x1FF

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Report:
        fault = value["fault"]
        return cls(
            **{
                **value,
                "fault": Fault(**fault) if fault else None,
                "notices": tuple(Notice(**notice) for notice in value["notices"]),
                "uarts": tuple(Uart(**uart) for uart in value["uarts"]),
            }
        )


def exception_name(number: int) -> str:
    return EXCEPTIONS.get(number) or f"interrupt {number - 16}"


def cfsr_bits(value: int) -> str:
    """`0x00008200 (PRECISERR, BFARVALID)`."""
    return _decoded(value, _CFSR)


def hfsr_bits(value: int) -> str:
    return _decoded(value, _HFSR)


def _names(value: int, bits: dict[int, str]) -> list[str]:
    return [name for bit, name in bits.items() if value >> bit & 1]


def _decoded(value: int, bits: dict[int, str]) -> str:
    names = ", ".join(_names(value, bits))
    return f"0x{value:08x} ({names})" if names else f"0x{value:08x}"
