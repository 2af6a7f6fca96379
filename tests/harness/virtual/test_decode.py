"""The decoder against an independent one: Capstone names the same addresses and registers."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from dataclasses import dataclass

import capstone
import pytest
from capstone import arm

import harness.virtual.core as core_module

# As InstructionClass in decode.h.
CLASSES = [
    *("alu", "mul", "div", "load", "store", "load_dual", "store_dual", "load_multiple"),
    *("store_multiple", "load_exclusive", "store_exclusive", "clear_exclusive", "branch"),
    *("branch_conditional", "branch_indirect", "table_branch", "it", "hint", "wait_interrupt"),
    *("wait_event", "status", "barrier", "supervisor", "breakpoint", "undefined", "fp_simple"),
    *("fp_mac", "fp_div", "fp_move_core", "fp_move_core_pair", "fp_load", "fp_store"),
    *("fp_load_multiple", "fp_store_multiple"),
]
NO_REGISTER = 0xFF


class Instruction(ctypes.Structure):
    """decode.h, field by field."""

    _fields_ = [
        *((name, ctypes.c_uint8) for name in ("kind", "bytes", "base", "index", "index_shift")),
        *((name, ctypes.c_uint8) for name in ("access_bytes", "elements", "target", "it_length")),
        ("offset", ctypes.c_int32),
        *((name, ctypes.c_uint16) for name in ("reads", "writes")),
        *((name, ctypes.c_uint32) for name in ("fp_reads", "fp_writes")),
        *((name, ctypes.c_bool) for name in ("writes_back", "writes_pc", "is_fp")),
    ]


@dataclass(frozen=True)
class Case:
    halfwords: tuple[int, int]
    reference: capstone.CsInsn

    def __str__(self) -> str:
        return f"{self.reference.bytes.hex()} {self.reference.mnemonic} {self.reference.op_str}"


REGISTERS = {
    **{getattr(arm, f"ARM_REG_R{i}"): i for i in range(13)},
    **{arm.ARM_REG_SP: 13, arm.ARM_REG_LR: 14, arm.ARM_REG_PC: 15},
}
SINGLES = {getattr(arm, f"ARM_REG_S{i}"): i for i in range(32)}


def cases() -> Iterator[Case]:
    reader = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    reader.detail = True
    rng = random.Random(2026)
    words = [(first, 0) for first in rng.sample(range(0xE800), 8000)]
    words += [(first, rng.getrandbits(16)) for first in range(0xE800, 0x10000, 2)]
    # Encodings that are a small part of the space.
    for _ in range(1500):
        bits = rng.getrandbits(16)
        words += [
            (rng.choice((0xEC00, 0xED00, 0xEE00)) | rng.getrandbits(8), 0xA00 | bits & 0xF0FF),
            (0xFB00 | rng.getrandbits(8), 0xF000 | bits & 0x0FFF),
        ]
    words += [(0xE8D0 | rng.randrange(13), 0xF000 | rng.randrange(13)) for _ in range(20)]
    words += [(0xF3BF, 0x8F2F), (0xF3EF, 0x8010), (0xF380, 0x8810), (0xF3AF, 0x8003)]
    words += [(0xBF10, 0), (0xBF20, 0), (0xBF30, 0)]
    for first, second in words:
        code = first.to_bytes(2, "little") + second.to_bytes(2, "little")
        found = next(reader.disasm(code, 0x1000, 1), None)
        if found is not None and found.size == (4 if first >= 0xE800 else 2):
            yield Case((first, second), found)


@pytest.fixture(scope="module")
def decoded() -> list[tuple[Case, Instruction]]:
    library = core_module.open_library()
    library.decode.restype = Instruction
    library.decode.argtypes = [ctypes.c_uint16, ctypes.c_uint16]
    return [(case, library.decode(*case.halfwords)) for case in cases()]


def is_unpredictable(case: Case) -> bool:
    """PC or SP where the architecture allows none: the two decoders may differ."""
    operands = case.reference.operands
    wide = case.reference.size == 4
    registers = [o.reg for o in operands if o.type == arm.ARM_OP_REG]
    registers += [o.mem.index for o in operands if o.type == arm.ARM_OP_MEM]
    return wide and (arm.ARM_REG_PC in registers or arm.ARM_REG_SP in registers)


def is_m4(case: Case) -> bool:
    """Capstone also knows instructions of later architectures, of NEON and of coprocessors."""
    first, second = case.halfwords
    name = case.reference.mnemonic
    later = ("vsel", "vmaxnm", "vminnm", "vrint", "vcvta", "vcvtn", "vcvtp", "vcvtm", "vins")
    v8 = ("lda", "stl", "sg", "tt", "bxns", "blxns", "hlt", "sevl", "setend", "fldm", "fstm")
    foreign = (".f64", ".f16", ".16", "crc32", "vmovx", "vcvtb", "vcvtt")
    neon = first >> 8 in (0xEF, 0xFC, 0xFD, 0xFE, 0xFF) or first & 0xFF10 == 0xF900
    coprocessor = first >> 8 in (0xEC, 0xED, 0xEE) and second & 0xE00 != 0xA00
    if case.reference.size == 2:
        return not name.startswith(v8)
    return not (
        name.startswith(later + v8) or any(part in name for part in foreign) or neon or coprocessor
    )


def test_the_layout_is_that_of_the_c_structure() -> None:
    assert ctypes.sizeof(Instruction) == 32


def test_memory_accesses_have_the_address_that_capstone_sees(
    decoded: list[tuple[Case, Instruction]],
) -> None:
    checked = 0
    for case, ours in decoded:
        memory = [o for o in case.reference.operands if o.type == arm.ARM_OP_MEM]
        if not memory or is_unpredictable(case) or not is_m4(case):
            continue
        if case.reference.mnemonic.startswith(("pld", "pli", "adr")):
            continue
        operand = memory[0].mem
        base = REGISTERS[operand.base]
        index = REGISTERS.get(operand.index, NO_REGISTER)
        offset = operand.disp if not case.reference.post_index else 0
        assert (ours.base, ours.index) == (base, index), str(case)
        if index == NO_REGISTER:
            assert ours.offset == offset, str(case)
        assert ours.writes_back == case.reference.writeback, str(case)
        checked += 1
    assert checked > 2000


def test_multiple_accesses_move_the_registers_that_capstone_lists(
    decoded: list[tuple[Case, Instruction]],
) -> None:
    checked = 0
    for case, ours in decoded:
        name = case.reference.mnemonic
        if not name.startswith(("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop")):
            continue
        if not is_m4(case):
            continue
        listed = case.reference.operands[1:]
        if name.startswith(("push", "pop", "vpush", "vpop")):
            listed = case.reference.operands
        if name.startswith("v"):
            if not 0 < ours.elements <= 32 or (case.halfwords[1] >> 12) * 2 + ours.elements > 31:
                continue  # more registers than there are
            twice = case.halfwords[1] & 0x100
            assert ours.elements == len(listed) * (2 if twice else 1), str(case)
        else:
            mask = sum(1 << REGISTERS[o.reg] for o in listed)
            assert ours.elements == len(listed), str(case)
            assert mask & ~(ours.writes if "pop" in name or "ld" in name else ours.reads) == 0
        checked += 1
    assert checked > 500


def test_core_registers_written_are_those_that_capstone_names(
    decoded: list[tuple[Case, Instruction]],
) -> None:
    checked = 0
    for case, ours in decoded:
        if is_unpredictable(case) or not is_m4(case):
            continue
        if case.reference.group(arm.ARM_GRP_JUMP) or case.reference.group(arm.ARM_GRP_CALL):
            continue
        if CLASSES[ours.kind] in ("supervisor", "undefined"):
            continue  # Capstone lets SVC write lr
        if CLASSES[ours.kind].endswith("_multiple"):
            continue  # Capstone forgets bases written back
        _, written = case.reference.regs_access()
        expected = sum(1 << REGISTERS[r] for r in set(written) if r in REGISTERS) & 0x7FFF
        assert ours.writes & 0x7FFF == expected, str(case)
        checked += 1
    assert checked > 6000


def test_single_precision_operands_are_those_that_capstone_names(
    decoded: list[tuple[Case, Instruction]],
) -> None:
    checked = 0
    for case, ours in decoded:
        registers = [o for o in case.reference.operands if o.type == arm.ARM_OP_REG]
        singles = [SINGLES[o.reg] for o in registers if o.reg in SINGLES]
        if not singles or not is_m4(case) or len(singles) > 3:
            continue
        if CLASSES[ours.kind] not in ("fp_simple", "fp_mac", "fp_div"):
            continue
        assert (ours.fp_reads | ours.fp_writes) == sum({1 << s for s in singles}), str(case)
        if case.reference.mnemonic[:4] not in ("vcmp",):
            assert ours.fp_writes == 1 << singles[0], str(case)
        checked += 1
    assert checked > 150


MNEMONICS = {
    "mul": "mul mla mls smul smla smuad smusd smlad smlsd smlald smlsld smlal smull umull umlal"
    " umaal smmul smmla smmls usad",
    "div": "sdiv udiv",
    "load_dual": "ldrd",
    "store_dual": "strd",
    "table_branch": "tbb tbh",
    "it": "it",
    "wait_interrupt": "wfi",
    "wait_event": "wfe yield",
    "status": "mrs msr cps",
    "supervisor": "svc",
    "breakpoint": "bkpt",
    "fp_mac": "vmla vmls vnmla vnmls vfma vfms vfnma vfnms",
    "fp_div": "vdiv vsqrt",
    "clear_exclusive": "clrex",
}


@pytest.mark.parametrize("kind", MNEMONICS)
def test_mnemonics_fall_into_their_class(
    decoded: list[tuple[Case, Instruction]], kind: str
) -> None:
    names = tuple(MNEMONICS[kind].split())
    checked = 0
    for case, ours in decoded:
        matches = case.reference.mnemonic.startswith(names)
        if not is_m4(case) or case.reference.mnemonic in ("muls", "mul") and kind != "mul":
            continue
        if matches:
            assert CLASSES[ours.kind] == kind, str(case)
            checked += 1
        elif not is_unpredictable(case):
            assert CLASSES[ours.kind] != kind, str(case)
    assert checked > 0
