"""Which bits make a valid ARMv7E-M instruction that has one meaning? A table of bit patterns after
the ARMv7-M architecture reference manual (DDI 0403, A5 to A7), with what each must avoid. Knows
nothing of sequences, images or emulators.

A pattern is the encoding from its top bit down: 0 and 1 are fixed, a letter is a field, most
significant bit first wherever its bits lie. Letters:

    D L H T N    core registers that are written (T: of a load, N: a base that is written back)
    d n m a t u  core registers that are only read
    F            single-precision register that is written; g, h: read
    c            a condition; all others: immediates, free

Excluded everywhere: r13 and r15 where the manual says UNPREDICTABLE, and s31 and d15, which carry
r0 out of a case (runner.S).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Fields = dict[str, int]
Rule = Callable[[Fields], bool]

WRITTEN, READ, FP = "DLHTN", "dnmatu", "Fgh"
CORE_REGISTERS = (*range(13), 14)
LINK = 14
ATTEMPTS = 500


@dataclass(frozen=True)
class Pattern:
    """bits: without blanks, 16 or 32 of them. rule: what the fields must satisfy beyond the
    letters. in_it: whether the instruction may stand in an IT block."""

    name: str
    bits: str
    rule: Rule | None = None
    in_it: bool = True

    @functools.cached_property
    def letters(self) -> dict[str, int]:
        """Width of each field."""
        return {c: self.bits.count(c) for c in self.bits if c not in "01"}

    def draw(self, rng: Random, avoid: frozenset[int], **given: int) -> Fields | None:
        """Random fields; written registers keep off `avoid`. None where chance found none."""
        for _ in range(ATTEMPTS):
            fields = {letter: _draw(rng, letter, width) for letter, width in self.letters.items()}
            fields.update(given)
            writes = {fields[c] for c in WRITTEN if c in fields and c not in given}
            if not writes & avoid and (self.rule is None or self.rule(fields)):
                return fields
        return None

    def encode(self, fields: Fields) -> tuple[int, ...]:
        """The instruction's halfwords."""
        left = {letter: (fields[letter], width) for letter, width in self.letters.items()}
        word = 0
        for c in self.bits:
            bit = c == "1"
            if c in left:
                value, width = left[c]
                bit = bool(value >> (width - 1) & 1)
                left[c] = (value, width - 1)
            word = word << 1 | bit
        return (word,) if len(self.bits) == 16 else (word >> 16, word & 0xFFFF)


def _draw(rng: Random, letter: str, width: int) -> int:
    if letter in WRITTEN + READ:
        return rng.choice(CORE_REGISTERS) if width == 4 else rng.randrange(1 << width)
    if letter in FP:
        return rng.randrange((1 << width) - 1)
    if letter == "c":
        return rng.randrange(14)
    if width >= 5 and rng.random() < 0.3:  # the ends of a range, where mistakes live
        return rng.choice((0, 1, (1 << width) - 1, 1 << (width - 1)))
    return rng.getrandbits(width)


def _expandable(f: Fields) -> bool:
    """ThumbExpandImm (A5.3.2): a replicated byte must not be 0."""
    return f["i"] >> 10 != 0 or f["i"] >> 8 == 0 or f["i"] & 0xFF != 0


def _pattern(name: str, bits: str, rule: Rule | None = None, *, in_it: bool = True) -> Pattern:
    bits = bits.replace(" ", "")
    assert len(bits) in (16, 32), (name, len(bits))
    return Pattern(name, bits, rule, in_it)


_SHIFTED = {
    **{"and": "0000", "bic": "0001", "orr": "0010", "orn": "0011", "eor": "0100"},
    **{"add": "1000", "adc": "1010", "sbc": "1011", "sub": "1101", "rsb": "1110"},
}
_COMPARED = {"tst": "0000", "teq": "0100", "cmn": "1000", "cmp": "1101"}
_PARALLEL = {
    **{"add16": "001", "asx": "010", "sax": "110"},
    **{"sub16": "101", "add8": "000", "sub8": "100"},
}
_EXTENDED = {
    **{"xtah s": "000", "xtah u": "001", "xtab16 s": "010"},
    **{"xtab16 u": "011", "xtab s": "100", "xtab u": "101"},
}

NARROW = [
    _pattern("lsls", "00000 iiiii mmm DDD", lambda f: f["i"] != 0),
    _pattern("movs reg", "00000 00000 mmm DDD", in_it=False),
    _pattern("lsrs", "00001 iiiii mmm DDD"),
    _pattern("asrs", "00010 iiiii mmm DDD"),
    _pattern("add/sub reg", "000110 o mmm nnn DDD"),
    _pattern("add/sub imm3", "000111 o iii nnn DDD"),
    _pattern("mov imm8", "00100 DDD iiiiiiii"),
    _pattern("cmp imm8", "00101 nnn iiiiiiii"),
    _pattern("add/sub imm8", "0011 o DDD iiiiiiii"),
    _pattern("data processing", "010000 oooo mmm DDD"),
    _pattern("add high", "01000100 D mmmm DDD"),
    _pattern("cmp high", "01000101 n mmmm nnn", lambda f: f["n"] > 7 or f["m"] > 7),
    _pattern("mov high", "01000110 D mmmm DDD"),
    _pattern("adr", "10100 DDD iiiiiiii"),
    _pattern("add sp", "10101 DDD iiiiiiii"),
    _pattern("extend", "10110010 oo mmm DDD"),
    _pattern("rev", "1011101000 mmm DDD"),
    _pattern("rev16", "1011101001 mmm DDD"),
    _pattern("revsh", "1011101011 mmm DDD"),
    _pattern("nop", "1011111100000000"),
    _pattern("sev", "1011111101000000"),
]

DATA = [
    *(
        _pattern(f"{name} shifted", f"1110101 {op} s nnnn 0iii DDDD iikk mmmm")
        for name, op in _SHIFTED.items()
    ),
    _pattern("mov shifted", "11101010010 s 1111 0iii DDDD ii kk mmmm"),
    _pattern("mvn shifted", "11101010011 s 1111 0iii DDDD ii kk mmmm"),
    _pattern("pkh", "111010101100 nnnn 0iii DDDD ii k0 mmmm"),
    *(
        _pattern(f"{name} shifted", f"1110101 {op} 1 nnnn 0iii 1111 ii kk mmmm")
        for name, op in _COMPARED.items()
    ),
    *(
        _pattern(f"{name} imm", f"11110 i 0 {op} s nnnn 0iii DDDD iiiiiiii", _expandable)
        for name, op in _SHIFTED.items()
    ),
    *(
        _pattern(f"{name} imm", f"11110 i 0 {op} 1 nnnn 0iii 1111 iiiiiiii", _expandable)
        for name, op in _COMPARED.items()
    ),
    _pattern("mov imm", "11110 i 00010 s 1111 0iii DDDD iiiiiiii", _expandable),
    _pattern("mvn imm", "11110 i 00011 s 1111 0iii DDDD iiiiiiii", _expandable),
    _pattern("addw", "11110 i 100000 nnnn 0iii DDDD iiiiiiii"),
    _pattern("subw", "11110 i 101010 nnnn 0iii DDDD iiiiiiii"),
    _pattern("add sp imm", "11110 i 100000 1101 0iii DDDD iiiiiiii"),
    _pattern("movw", "11110 i 100100 iiii 0iii DDDD iiiiiiii"),
    _pattern("movt", "11110 i 101100 iiii 0iii DDDD iiiiiiii"),
    _pattern(
        "ssat", "1111001100 k 0 nnnn 0iii DDDD ii 0 jjjjj", lambda f: f["k"] == 0 or f["i"] != 0
    ),
    _pattern(
        "usat", "1111001110 k 0 nnnn 0iii DDDD ii 0 jjjjj", lambda f: f["k"] == 0 or f["i"] != 0
    ),
    _pattern("ssat16", "111100110010 nnnn 0000 DDDD 0000 jjjj"),
    _pattern("usat16", "111100111010 nnnn 0000 DDDD 0000 jjjj"),
    _pattern("sbfx", "111100110100 nnnn 0iii DDDD ii 0 jjjjj", lambda f: f["i"] + f["j"] < 32),
    _pattern("ubfx", "111100111100 nnnn 0iii DDDD ii 0 jjjjj", lambda f: f["i"] + f["j"] < 32),
    _pattern("bfi", "111100110110 nnnn 0iii DDDD ii 0 jjjjj", lambda f: f["i"] <= f["j"]),
    _pattern("bfc", "111100110110 1111 0iii DDDD ii 0 jjjjj", lambda f: f["i"] <= f["j"]),
    _pattern("shift reg", "111110100 oo s nnnn 1111 DDDD 0000 mmmm"),
    *(
        _pattern(name, f"111110100 {op} nnnn 1111 DDDD 10 rr mmmm")
        for name, op in _EXTENDED.items()
    ),
    *(
        _pattern(f"{name} wide", f"111110100 {op} 1111 1111 DDDD 10 rr mmmm")
        for name, op in _EXTENDED.items()
    ),
    *(
        _pattern(f"{kind}{name}", f"111110101 {op} nnnn 1111 DDDD 0{bits} mmmm")
        for name, op in _PARALLEL.items()
        for kind, bits in {
            **{"s": "000", "q": "001", "sh": "010", "u": "100", "uq": "101", "uh": "110"}
        }.items()
    ),
    _pattern("qadd", "111110101000 nnnn 1111 DDDD 10 oo mmmm"),
    # Rm stands twice; `w` is the second.
    _pattern("rev wide", "111110101001 mmmm 1111 DDDD 10 oo wwww", lambda f: f["w"] == f["m"]),
    _pattern("clz", "111110101011 mmmm 1111 DDDD 1000 wwww", lambda f: f["w"] == f["m"]),
    _pattern("sel", "111110101010 nnnn 1111 DDDD 1000 mmmm"),
]

MULTIPLY = [
    _pattern("mla", "111110110000 nnnn aaaa DDDD 0000 mmmm"),
    _pattern("mls", "111110110000 nnnn aaaa DDDD 0001 mmmm"),
    _pattern("mul", "111110110000 nnnn 1111 DDDD 0000 mmmm"),
    _pattern("smlaxy", "111110110001 nnnn aaaa DDDD 00xy mmmm"),
    _pattern("smulxy", "111110110001 nnnn 1111 DDDD 00xy mmmm"),
    _pattern("smlad", "111110110010 nnnn aaaa DDDD 000x mmmm"),
    _pattern("smuad", "111110110010 nnnn 1111 DDDD 000x mmmm"),
    _pattern("smlaw", "111110110011 nnnn aaaa DDDD 000y mmmm"),
    _pattern("smulw", "111110110011 nnnn 1111 DDDD 000y mmmm"),
    _pattern("smlsd", "111110110100 nnnn aaaa DDDD 000x mmmm"),
    _pattern("smusd", "111110110100 nnnn 1111 DDDD 000x mmmm"),
    _pattern("smmla", "111110110101 nnnn aaaa DDDD 000r mmmm"),
    _pattern("smmul", "111110110101 nnnn 1111 DDDD 000r mmmm"),
    _pattern("smmls", "111110110110 nnnn aaaa DDDD 000r mmmm"),
    _pattern("usada8", "111110110111 nnnn aaaa DDDD 0000 mmmm"),
    _pattern("usad8", "111110110111 nnnn 1111 DDDD 0000 mmmm"),
    _pattern("sdiv", "111110111001 nnnn 1111 DDDD 1111 mmmm"),
    _pattern("udiv", "111110111011 nnnn 1111 DDDD 1111 mmmm"),
    *(
        _pattern(name, f"111110111 {op} nnnn LLLL HHHH {low} mmmm", lambda f: f["L"] != f["H"])
        for name, op, low in (
            *(("smull", "000", "0000"), ("umull", "010", "0000"), ("smlal", "100", "0000")),
            *(("smlalxy", "100", "10xy"), ("smlald", "100", "110x"), ("smlsld", "101", "110x")),
            *(("umlal", "110", "0000"), ("umaal", "110", "0110")),
        )
    ),
]

_READABLE = (0, 1, 2, 3, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20)

STATUS = [
    _pattern("mrs", "1111001111101111 1000 DDDD ssssssss", lambda f: f["s"] in _READABLE),
    _pattern("msr flags", "111100111000 nnnn 1000 kk00 000000ss", lambda f: f["k"] != 0),
    _pattern("msr psp", "111100111000 nnnn 1000 1000 00001001"),
    _pattern("msr primask", "111100111000 nnnn 1000 1000 00010000"),
    _pattern("msr faultmask", "111100111000 nnnn 1000 1000 00010011"),
    _pattern("cps", "10110110011 o 00 kk", lambda f: f["k"] != 0, in_it=False),
    _pattern("dsb", "1111001110111111 1000111101001111"),
    _pattern("dmb", "1111001110111111 1000111101011111"),
    _pattern("isb", "1111001110111111 1000111101101111", in_it=False),
    _pattern("clrex", "1111001110111111 1000111100101111"),
]


def _fraction(f: Fields) -> bool:
    """Fraction bits: 16 or 32 (x) less the immediate, whose lowest bit stands first."""
    return f["x"] == 1 or f["i"] * 2 + f["k"] <= 16


_THREE = {
    **{"vmla/vmls": ("0F00", "x"), "vnmla/vnmls": ("0F01", "x"), "vmul/vnmul": ("0F10", "x")},
    **{"vadd/vsub": ("0F11", "x"), "vdiv": ("1F00", "0")},
    **{"vfnma/vfnms": ("1F01", "x"), "vfma/vfms": ("1F10", "x")},
}
_TWO = {
    **{"vmov/vabs": "0000", "vneg/vsqrt": "0001", "vcvt from half": "0010"},
    **{"vcvt to half": "0011", "vcmp": "0100", "vcvt from int": "1000"},
    **{"vcvt to unsigned": "1100", "vcvt to signed": "1101"},
}

FLOAT = [
    *(
        _pattern(name, f"11101110 {op} gggg FFFF 1010 g {x} h0 hhhh")
        for name, (op, x) in _THREE.items()
    ),
    *(_pattern(name, f"11101110 1F11 {op} FFFF 1010 o1h0 hhhh") for name, op in _TWO.items()),
    _pattern("vcmp zero", "11101110 1F11 0101 FFFF 1010 o100 0000"),
    _pattern("vcvt to fixed", "11101110 1F11 111z FFFF 1010 x1k0 iiii", _fraction),
    _pattern("vmov imm", "11101110 1F11 iiii FFFF 1010 0000 jjjj"),
    _pattern("vmrs", "111011101111 0001 DDDD 1010 0001 0000"),
    _pattern("vmrs flags", "111011101111 0001 1111 1010 0001 0000"),
    _pattern("vmov to single", "111011100000 FFFF tttt 1010 F001 0000"),
    _pattern("vmov from single", "111011100001 gggg DDDD 1010 g001 0000"),
    _pattern("vmov to double", "11101110 00x0 FFFF tttt 1011 0001 0000"),
    _pattern("vmov from double", "11101110 00x1 gggg DDDD 1011 0001 0000"),
    # Sm and the next: neither may be s31.
    _pattern("vmov two to", "111011000100 uuuu tttt 1010 00h1 hhhh", lambda f: f["h"] & 15 < 15),
    _pattern(
        "vmov two from",
        "111011000101 LLLL HHHH 1010 00h1 hhhh",
        lambda f: f["h"] & 15 < 15 and f["L"] != f["H"],
    ),
    _pattern("vmov pair to", "111011000100 uuuu tttt 1011 0001 FFFF"),
    _pattern(
        "vmov pair from", "111011000101 LLLL HHHH 1011 0001 gggg", lambda f: f["L"] != f["H"]
    ),
]

# Rounds to nearest whatever FPSCR says (A7.7.229); sequences.py says why it stands apart.
FROM_FIXED = _pattern("vcvt from fixed", "11101110 1F11 101z FFFF 1010 x1k0 iiii", _fraction)
