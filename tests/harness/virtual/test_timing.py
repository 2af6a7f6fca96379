"""What the class table charges: hand-computed sequences, between two reads of CYCCNT."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import compile_firmware, run_firmware

# name: (assembly, cycles). r4 points at SRAM, the other low registers and r12 are free, s0 to s5
# hold 1.0. A sequence starts at a word boundary, behind two 16-bit NOPs.
SEQUENCES: dict[str, tuple[str, int]] = {
    "nothing": ("", 0),
    "alu": ("adds r0, r1, r2; eors r0, r1; movw r0, #1000; uxtb r1, r0", 4),
    "alu, wide": ("add.w r0, r1, r2, lsl #3; bfi r0, r1, #2, #3; clz r0, r1; ssat r0, #8, r1", 4),
    "simd": ("sxtb16 r0, r1; smlad r0, r1, r2, r3; smuad r0, r1, r2; qadd16 r0, r1, r2", 4),
    "multiply": ("muls r0, r1; mla r0, r1, r2, r3; smmul r0, r1, r2", 3),
    "long multiply": ("smull r0, r1, r2, r3; umlal r0, r1, r2, r3; smlald r0, r1, r2, r3", 3),
    "divide, quotient of one bit": ("movs r0, #3; udiv r0, r0, r2", 1 + 3),
    "divide, quotient 0": ("movs r0, #2; udiv r0, r0, r2", 1 + 2),
    "divide, longest quotient": ("movs r0, #1; lsls r1, r0, #31; udiv r0, r1, r0", 2 + 12),
    "divide, signed": ("movs r0, #0; subs r0, #9; sdiv r0, r0, r2", 2 + 3),
    "one load": ("ldr r0, [r4]", 2),
    "three loads in a row": ("ldr r0, [r4]; ldrb r1, [r4, #4]; ldrsh.w r2, [r4, #8]", 4),
    "loads apart": ("ldr r0, [r4]; adds r1, #1; ldr r2, [r4, #4]", 5),
    "load whose address was just loaded": ("str r4, [r4]; ldr r0, [r4]; ldr r1, [r0]", 5),
    "load behind a base write-back": ("mov r6, r4; nop; ldr r0, [r6], #4; ldr r1, [r6]", 6),
    "load, then store": ("ldr r0, [r4]; str r1, [r4, #4]", 3),
    "store, immediate offset": ("str r0, [r4]; strb r0, [r4, #4]", 2),
    "store, register offset": ("movs r6, #0; nop; str r0, [r4, r6]", 4),
    "store, base write-back": ("mov r6, r4; nop; str r0, [r6], #4; strb r0, [r6, #1]!", 6),
    "store, then load": ("str r0, [r4]; ldr r1, [r4]", 3),
    "literal": ("ldr r0, =0x12345678", 2),
    "pair": ("ldrd r0, r1, [r4]; strd r0, r1, [r4, #8]", 6),
    "multiple": ("ldmia r4, {r0, r1, r2}; stmia.w r4, {r0, r1}", 7),
    "push and pop": ("push {r0-r3}; pop {r0-r3}", 10),
    "branch": ("b 1f; nop; 1: nop", 3),
    "conditional, taken": ("cmp r0, r0; beq 1f; nop; .balign 4; 1: nop", 4),
    "conditional, not taken": ("cmp r0, r0; bne 1f; 1: nop", 3),
    "compare and branch": ("movs r6, #0; cbnz r6, 1f; 1: cbz r6, 2f; nop; 2: nop", 5),
    "branch to an unaligned wide target": ("b 1f; nop; .balign 4; nop; 1: add.w r0, r1, r2", 4),
    "call and return": ("bl 1f; b 2f; .balign 4; 1: bx lr; .balign 4; 2: nop", 8),
    "indirect jump": ("adr r0, 1f; adds r0, #1; mov pc, r0; .balign 4; 1: nop", 6),
    "jump by load": (
        "adr r0, 1f; adds r0, #1; str r0, [r4]; ldr.w pc, [r4]; .balign 4; 1: nop",
        8,
    ),
    "return by pop": (
        "adr r0, 1f; adds r0, #1; push {r0}; pop {pc}; .balign 4; 1: nop",
        9,
    ),
    "table branch": ("movs r0, #0; nop; tbb [pc, r0]; .byte 1, 0; 1: nop", 7),
    "it, folded": ("cmp r0, r0; ite eq; moveq r1, #1; movne r1, #2", 3),
    "it, not folded": ("cmp.w r0, r0; it eq; moveq r1, #1", 3),
    "return in an it block, not taken": ("cmp r0, r0; it ne; bxne lr; nop", 3),
    "nop": ("nop; nop.w", 2),
    "barriers": ("dsb; dmb", 2),
    "status": ("mrs r0, primask; cpsie i", 2),
    "exclusive": ("ldrex r0, [r4]; strex r1, r0, [r4]; clrex", 5),
    "fp": ("vadd.f32 s0, s1, s2; vmul.f32 s3, s4, s5; vneg.f32 s6, s7", 3),
    "fp result used at once": ("vadd.f32 s0, s1, s2; vadd.f32 s3, s0, s4", 3),
    "fp loads used at once": (
        "vldr s0, [r4]; vadd.f32 s1, s0, s2; vldmia r4, {s3, s4}; vadd.f32 s5, s3, s4",
        7,
    ),
    "fp multiply and add": ("vmla.f32 s0, s1, s2; vfma.f32 s3, s4, s5", 6),
    "fp divide, the second waits": ("vdiv.f32 s0, s1, s2; vsqrt.f32 s3, s4; vmov r0, s3", 29),
    "fp divide, integer work goes on": ("vdiv.f32 s0, s1, s2; adds r0, #1; adds r0, #1", 3),
    "fp convert": ("vcvt.s32.f32 s0, s1; vcmp.f32 s2, s3; vmov.f32 s4, #1.0", 3),
    "fp moves": ("vmov r0, s0; vmov s1, r0; vmov r0, r1, s2, s3", 4),
    "fp loads": ("vldr s0, [r4]; vldr d1, [r4]; vstr s0, [r4]; vstr d1, [r4]", 10),
    "fp multiple": ("vldmia r4, {s0-s3}; vpush {s0, s1}; vpop {s0, s1}", 11),
    "address from the ALU just before": ("adds r5, r4, #4; ldr r0, [r5]", 1 + 3),
    "address from the ALU, one between": ("adds r5, r4, #4; nop; ldr r0, [r5]", 1 + 1 + 2),
    "product stored, then a load": ("muls r0, r2; str r0, [r4]; ldr r1, [r4, #4]", 2 + 2 + 2),
    "product stored, a load later": ("muls r0, r2; str r0, [r4]; nop; ldr r1, [r4]", 3 + 2),
    "sum stored, then a load": ("adds r0, r2; str r0, [r4]; ldr r1, [r4, #4]", 2 + 2),
    "wide at even halfwords": (
        "add.w r0, r1, r2; add.w r0, r1, r2; add.w r0, r1, r2; add.w r0, r1, r2",
        4,
    ),
    "not taken, wide behind it": ("cmp r0, r0; bne 1f; add.w r0, r1, r2; 1: add.w r0, r1, r2", 4),
    "wide at odd halfwords": (
        "nop; add.w r0, r1, r2; add.w r0, r1, r2; add.w r0, r1, r2; add.w r0, r1, r2;"
        " add.w r0, r1, r2; nop",
        9,
    ),
}

# The reading pair costs the first LDR (2) and the NOPs that part it from the sequence.
FRAME_CYCLES = 4


def measured(assembly: str, index: int) -> str:
    lines = "\\n".join(part.strip() for part in assembly.split(";"))
    return f"""
__attribute__((naked, noinline)) static uint32_t sequence_{index}(uint32_t *sram) {{
    __asm volatile(
        "push {{r4-r11, lr}}\\n mov r4, r0\\n vmov.f32 s0, #1.0\\n vmov.f32 s1, s0\\n"
        "vmov.f32 s2, s0\\n vmov.f32 s3, s0\\n vmov.f32 s4, s0\\n vmov.f32 s5, s0\\n"
        "ldr r11, =0xE0001004\\n movs r2, #3\\n .balign 4\\n"
        "ldr.w r10, [r11]\\n nop\\n nop\\n"
        "{lines}\\n"
        "ldr.w r11, [r11]\\n sub r0, r11, r10\\n pop {{r4-r11, pc}}\\n .ltorg\\n");
}}"""


@pytest.fixture(scope="module")
def deltas(virtual_board: VirtualBoard, firmware_folder: Path) -> dict[str, int]:
    functions = "".join(
        measured(assembly, i) for i, (assembly, _) in enumerate(SEQUENCES.values())
    )
    calls = "".join(f"    report(sequence_{i}(area));\n" for i in range(len(SEQUENCES)))
    source = f"{functions}\nstatic uint32_t area[64];\nvoid main(void) {{\n{calls}}}\n"
    elf = compile_firmware(source, firmware_folder)
    return dict(zip(SEQUENCES, run_firmware(virtual_board, elf, len(SEQUENCES)), strict=True))


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence_costs_what_the_table_says(deltas: dict[str, int], name: str) -> None:
    _, cycles = SEQUENCES[name]
    assert deltas[name] - FRAME_CYCLES == cycles


def test_an_exception_costs_twelve_cycles_to_enter_and_ten_to_leave(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    source = """
__attribute__((naked, aligned(4))) void svc(void) {
    __asm volatile("ldr r5, [r7]\\n bx lr\\n");
}
__attribute__((naked, noinline)) static uint32_t read(uint32_t *enter) {
    __asm volatile("push {r0, r4-r7, lr}\\n ldr r7, =0xE0001004\\n .balign 4\\n"
                   "ldr r4, [r7]\\n svc #0\\n ldr r6, [r7]\\n"
                   "pop {r0}\\n subs r4, r5, r4\\n str r4, [r0]\\n subs r0, r6, r5\\n"
                   "pop {r4-r7, pc}\\n .ltorg\\n");
}
void main(void) {
    uint32_t enter, leave = read(&enter);
    report(enter);
    report(leave);
}"""
    elf = compile_firmware(source, firmware_folder)
    load, svc, branch = 2, 1, 1  # what refills the pipeline is in the twelve and the ten
    assert run_firmware(virtual_board, elf, 2) == [load + svc + 12, load + branch + 10]


UNALIGNED = {
    ("ldrh r0, [r5]", 1): 1,
    ("strh r0, [r5, #2]", 1): 1,
    ("ldr r0, [r5]", 2): 1,
    ("ldr r0, [r5]", 1): 2,
    ("str r0, [r5, #4]", 3): 2,
    ("ldrb r0, [r5]", 3): 0,
    ("ldr r0, [r5, r6]", 2): 1,
    ("ldr r0, [r5], #4; ldr r0, [r5, #-4]!", 2): 2,
    ("mov r7, r5; nop; ldr r0, [r7, #8]", 1): 2,
    ("adds r7, r5, #3; nop; ldrh r0, [r7]", 0): 1,
    ("add.w r7, r5, r6, lsl #1; nop; ldr r0, [r7]", 1): 2,
}


def test_unaligned_data_costs_one_or_two_cycles_more(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    """An access is charged where its block starts, so the block is one of its own."""
    functions = ""
    for k, (assembly, _) in enumerate(UNALIGNED):
        lines = "\\n".join(part.strip() for part in assembly.split(";"))
        functions += f"""
__attribute__((naked, noinline)) static uint32_t access_{k}(const char *at) {{
    __asm volatile("push {{r4-r7, lr}}\\n mov r5, r0\\n movs r6, #4\\n ldr r4, =0xE0001004\\n"
                   "ldr r3, [r4]\\n b 1f\\n .balign 4\\n 1: {lines}\\n b 1f\\n .balign 4\\n"
                   "1: ldr r0, [r4]\\n subs r0, r3\\n pop {{r4-r7, pc}}\\n .ltorg\\n");
}}"""
    calls = "".join(
        f"report(access_{k}(area + {offset}) - access_{k}(area + {base}));\n"
        for k, ((assembly, offset), base) in enumerate(
            zip(UNALIGNED, (1 if "#3" in text else 0 for text, _ in UNALIGNED), strict=True)
        )
    )
    source = (
        f"static char area[64] __attribute__((aligned(8)));{functions}void main(void) {{{calls}}}"
    )
    elf = compile_firmware(source, firmware_folder)
    assert run_firmware(virtual_board, elf, len(UNALIGNED)) == list(UNALIGNED.values())
