"""Loads and stores: their encodings, and where each wants its base register to point so that it
hits a given address. Continues encodings.py; knows nothing of sequences or images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.differential.encodings import LINK, Fields, Pattern, Rule, _pattern

SP = 13


@dataclass(frozen=True)
class Access:
    """offset: from the base to the lowest byte touched; bytes: how many from there. The base is
    field `n` or `N`, or SP. index_shift: LSL of field `m`, where there is one."""

    pattern: Pattern
    offset: Callable[[Fields], int]
    bytes: Callable[[Fields], int]
    aligned: bool = False
    index_shift: Callable[[Fields], int] | None = None
    sp: bool = False

    def draw(self, rng: Random, avoid: frozenset[int]) -> Fields | None:
        """Fields whose loaded and written-back registers keep off `avoid`; None: none found."""
        fields = self.pattern.draw(rng, avoid)
        return fields if fields is not None and not _loaded(fields) & avoid else None

    def base(self, fields: Fields) -> int:
        return SP if self.sp else fields["N"] if "N" in fields else fields["n"]

    def written(self, fields: Fields) -> set[int]:
        """Core registers that change: loaded, written back, or a store's status."""
        written = {fields[c] for c in "DLHTN" if c in fields}
        return written | _loaded(fields)


def _loaded(fields: Fields) -> set[int]:
    """R: the register list of a load, and X: its bit for lr."""
    registers = {i for i in range(13) if fields.get("R", 0) >> i & 1}
    return registers | ({LINK} if fields.get("X") else set())


def _access(
    name: str,
    bits: str,
    size: int | Callable[[Fields], int],
    offset: Callable[[Fields], int] = lambda f: 0,
    rule: Rule | None = None,
    *,
    aligned: bool = False,
    shift: Callable[[Fields], int] | None = None,
    sp: bool = False,
) -> Access:
    span = size if callable(size) else lambda f: size
    return Access(_pattern(name, bits, rule), offset, span, aligned, shift, sp)


def _plus(scale: int) -> Callable[[Fields], int]:
    return lambda f: f["i"] * scale


def _signed(f: Fields) -> int:
    """An 8-bit offset, `v` its sign bit (1: added)."""
    return f["i"] if f["v"] else -f["i"]


def _four_signed(f: Fields) -> int:
    return 4 * _signed(f)


def _no_shift(f: Fields) -> int:
    return 0


def _own_index(f: Fields) -> bool:
    return f["n"] != f["m"]


def _listed(f: Fields) -> int:
    return 4 * (bin(f.get("R", 0) | f.get("r", 0)).count("1") + f.get("X", 0) + f.get("x", 0))


def _below(f: Fields) -> int:
    return -_listed(f)


def _nothing(f: Fields) -> int:
    return 0


def _kept_base(f: Fields) -> bool:
    """A base that is stored keeps one meaning only where it is not written back (A7.7.156)."""
    listed = f.get("R", 0) | f.get("r", 0) | (f.get("X", 0) | f.get("x", 0)) << LINK
    base = f["N"] if "N" in f else f["n"]
    return _listed(f) >= 8 and ("N" not in f or not listed >> base & 1)


_NAMES = {"00": ("b", 1), "01": ("h", 2), "10": ("", 4)}


def _narrow() -> list[Access]:
    by_index = [
        *(("str", "000", 4), ("strh", "001", 2), ("strb", "010", 1), ("ldrsb", "011", 1)),
        *(("ldr", "100", 4), ("ldrh", "101", 2), ("ldrb", "110", 1), ("ldrsh", "111", 2)),
    ]
    by_offset = [
        *(("str", "01100", 4), ("ldr", "01101", 4), ("strb", "01110", 1)),
        *(("ldrb", "01111", 1), ("strh", "10000", 2), ("ldrh", "10001", 2)),
    ]
    return [
        *(
            _access(
                f"{name} reg",
                f"0101 {op} mmm nnn {'TTT' if name.startswith('l') else 'ttt'}",
                size,
                rule=_own_index,
                shift=_no_shift,
            )
            for name, op, size in by_index
        ),
        *(
            _access(
                f"{name} imm",
                f"{op} iiiii nnn {'TTT' if name.startswith('l') else 'ttt'}",
                size,
                _plus(size),
            )
            for name, op, size in by_offset
        ),
        _access("str sp", "10010 ttt iiiiiiii", 4, _plus(4), lambda f: f["i"] < 64, sp=True),
        _access("ldr sp", "10011 TTT iiiiiiii", 4, _plus(4), lambda f: f["i"] < 64, sp=True),
        _access(
            *("stm", "11000 NNN rrrrrrrr", _listed),
            rule=lambda f: f["r"] != 0 and not f["r"] >> f["N"] & 1,
            aligned=True,
        ),
        # With the base in the list it is loaded, not written back: another letter, same bits.
        _access(
            *("ldm", "11001 NNN RRRRRRRR", _listed),
            rule=lambda f: f["R"] != 0,
            aligned=True,
        ),
        _access(
            *("push", "1011010 x rrrrrrrr", _listed, _below),
            rule=lambda f: _listed(f) > 0,
            aligned=True,
            sp=True,
        ),
        _access(
            *("pop", "10111100 RRRRRRRR", _listed),
            rule=lambda f: f["R"] != 0,
            aligned=True,
            sp=True,
        ),
    ]


def _single(name: str, store: str, size: int, *, load: bool) -> list[Access]:
    """All wide addressing modes of one load or store; `store` is the top half's first 12 bits,
    its place for `offset is 12 bits` a question mark."""
    t = "TTTT" if load else "tttt"
    other = "T" if load else "t"
    return [
        _access(
            f"{name} imm12", f"{store.replace('?', '1')} nnnn {t} iiiiiiiiiiii", size, _plus(1)
        ),
        _access(
            f"{name} -imm8",
            f"{store.replace('?', '0')} nnnn {t} 1100 iiiiiiii",
            size,
            lambda f: -f["i"],
        ),
        _access(
            f"{name} unprivileged",
            f"{store.replace('?', '0')} nnnn {t} 1110 iiiiiiii",
            size,
            _plus(1),
        ),
        _access(
            f"{name} pre",
            f"{store.replace('?', '0')} NNNN {t} 11v1 iiiiiiii",
            size,
            _signed,
            lambda f: f["N"] != f[other],
        ),
        _access(
            f"{name} post",
            f"{store.replace('?', '0')} NNNN {t} 10v1 iiiiiiii",
            size,
            rule=lambda f: f["N"] != f[other],
        ),
        _access(
            f"{name} reg",
            f"{store.replace('?', '0')} nnnn {t} 000000 kk mmmm",
            size,
            rule=_own_index,
            shift=lambda f: f["k"],
        ),
    ]


def _dual() -> list[Access]:
    def apart(f: Fields) -> bool:
        base = f["N"] if "N" in f else f["n"]
        pair = [f[c] for c in "TLtu" if c in f]
        return pair[0] != pair[1] and ("N" not in f or base not in pair)

    modes = {"offset": ("1v1", "0", "nnnn"), "pre": ("1v1", "1", "NNNN")}
    modes["post"] = ("0v1", "1", "NNNN")
    return [
        _access(
            f"{name} {mode}",
            f"1110100 {pu} {w} {load} {base} {pair} iiiiiiii",
            8,
            (lambda f: 0) if mode == "post" else _four_signed,
            apart,
            aligned=True,
        )
        for name, load, pair in (("ldrd", "1", "TTTT LLLL"), ("strd", "0", "tttt uuuu"))
        for mode, (pu, w, base) in modes.items()
    ]


def _multiple() -> list[Access]:
    lists = {"stm": ("0", "0x0 rrrrrrrrrrrrr"), "ldm": ("1", "0X0 RRRRRRRRRRRRR")}
    return [
        _access(
            f"{name}{order} wide{'!' if write_back else ''}",
            f"1110100 {up} 0 {write_back} {load} {'NNNN' if write_back else 'nnnn'} {listed}",
            _listed,
            offset,
            _kept_base,
            aligned=True,
        )
        for name, (load, listed) in lists.items()
        for order, up, offset in (("ia", "01", _nothing), ("db", "10", _below))
        for write_back in (0, 1)
    ]


def _vector_bytes(f: Fields) -> int:
    return 4 * f["j"]


def _float() -> list[Access]:
    def singles(f: Fields) -> bool:
        """The first register's number is its four bits, then the one above them."""
        return f["j"] > 0 and (f["F"] & 15) * 2 + (f["F"] >> 4) + f["j"] <= 31

    def doubles(f: Fields) -> bool:
        return 0 < f["j"] <= 32 and f["j"] % 2 == 0 and f["F"] + f["j"] // 2 <= 15

    return [
        _access(
            f"{'vldr' if load else 'vstr'} {size}",
            f"11101101 v{'F' if size == 4 else '0'}0{load} nnnn FFFF 101{size // 8} iiiiiiii",
            size,
            _four_signed,
            aligned=True,
        )
        for load in (0, 1)
        for size in (4, 8)
    ] + [
        _access(
            f"{'vldm' if load else 'vstm'}{'db' if down else 'ia'} {'d' if double else 's'}",
            f"1110110 {'10' if down else '01'} {'0' if double else 'F'} {write_back} {load}"
            f" {'NNNN' if write_back else 'nnnn'} FFFF 101{double} jjjjjjjj",
            _vector_bytes,
            (lambda f: -4 * f["j"]) if down else _nothing,
            doubles if double else singles,
            aligned=True,
        )
        for load in (0, 1)
        for double in (0, 1)
        for down, write_back in ((0, 0), (0, 1), (1, 1))
    ]


ACCESSES = [
    *_narrow(),
    *(
        access
        for bits, (name, size) in _NAMES.items()
        for access in _single(f"str{name}", f"11111000 ? {bits} 0", size, load=False)
    ),
    *(
        access
        for bits, (name, size) in _NAMES.items()
        for sign in ("0", "1")
        if (bits, sign) != ("10", "1")
        for access in _single(
            f"ldr{'s' if sign == '1' else ''}{name}", f"1111100{sign} ? {bits} 1", size, load=True
        )
    ),
    *_dual(),
    *_multiple(),
    *_float(),
]

# A pair on one address; between them nothing may touch memory, because what that does to the
# monitor is IMPLEMENTATION DEFINED (A3.4.1). The store's status is field D.
EXCLUSIVE = [
    (
        _access("ldrex", "111010000101 nnnn TTTT 1111 iiiiiiii", 4, _plus(4), aligned=True),
        _pattern("strex", "111010000100 nnnn tttt DDDD iiiiiiii"),
    ),
    (
        _access("ldrexb", "111010001101 nnnn TTTT 1111 0100 1111", 1),
        _pattern("strexb", "111010001100 nnnn tttt 1111 0100 DDDD"),
    ),
    (
        _access("ldrexh", "111010001101 nnnn TTTT 1111 0101 1111", 2, aligned=True),
        _pattern("strexh", "111010001100 nnnn tttt 1111 0101 DDDD"),
    ),
]
LITERALS = [
    _pattern("ldr literal narrow", "01001 TTT iiiiiiii"),
    *(
        _pattern(f"ldr{name} literal", f"1111100{sign} v {bits} 1 1111 TTTT iiiiiiiiiiii")
        for name, sign, bits in (
            *(("", "0", "10"), ("b", "0", "00"), ("h", "0", "01")),
            *(("sb", "1", "00"), ("sh", "1", "01")),
        )
    ),
    _pattern(
        "ldrd literal",
        "1110100 1v1 0 1 1111 TTTT LLLL iiiiiiii",
        lambda f: f["T"] != f["L"],
    ),
    _pattern("vldr literal", "11101101 vF01 1111 FFFF 1010 iiiiiiii"),
    _pattern("pld literal", "11111000 v001 1111 1111 iiiiiiiiiiii"),
]
