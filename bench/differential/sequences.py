"""What is a random test case? A sequence of steps that cannot fault and always ends, and the
registers and memory it starts from. Knows nothing of emulators.

Left out, with the reason:

- UNPREDICTABLE encodings and operands (encodings.py, accesses.py): an emulator may do anything.
- LDM, STM, LDRD, STRD, VLDR, VLDM, LDREX at unaligned addresses: they fault; test_faults.py.
- r13 with its low bits set: UNPREDICTABLE (A5.1.3); Unicorn keeps them, QEMU clears them.
- SVC, BKPT, UDF, accesses to nothing: exceptions are the core's own code, and bare Unicorn has
  none; test_exceptions.py and test_faults.py.
- WFI, WFE, YIELD: end a run of bare Unicorn; test_peripherals.py.
- MSR CONTROL and MSP: what is reachable afterwards differs by design; test_exceptions.py.
- BASEPRI's low nibble: RAZ/WI on a part with four priority bits, stored by QEMU.
- ISB inside an IT block: Unicorn 2.1.3 forgets the rest of the block's conditions behind it. No
  compiler writes one.
- VCVT from fixed point while FPSCR rounds otherwise than to nearest: Unicorn 2.1.3 obeys FPSCR,
  the architecture does not. It is drawn with the rounding mode set to nearest.
- FP exponents and NaNs are not left out, nor are FZ, DN, AHP and the rounding modes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from bench.differential.accesses import ACCESSES, EXCLUSIVE, LITERALS, SP, Access
from bench.differential.encodings import (
    CORE_REGISTERS,
    DATA,
    FLOAT,
    FROM_FIXED,
    MULTIPLY,
    NARROW,
    STATUS,
    Pattern,
)

SCRATCH_BYTES = 768
MARGIN = 160  # the longest transfer
MAX_SKIP = 4
MOST_KEPT = 6  # registers that an IT block's accesses rely on, before it takes no more of them
RMODE = 3 << 22  # of FPSCR
NOP, CLREX = 0xBF00, (0xF3BF, 0x8F2F)

Halfwords = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """Instructions that stand together, such as an access and what points its base."""

    halfwords: Halfwords

    def size(self) -> int:
        return 2 * len(self.halfwords)


@dataclass(frozen=True)
class Branch:
    """Goes `skip` steps ahead of its own end, after the instructions in `before`."""

    kind: str
    skip: int
    register: int = 0
    condition: int = 0
    before: Halfwords = ()

    def size(self) -> int:
        return 2 * len(self.before) + _BRANCH_BYTES[self.kind]


@dataclass(frozen=True)
class Loop:
    """`body`, `count` times; nothing in the body writes `register`."""

    register: int
    count: int
    body: tuple[Step | Branch, ...]

    def size(self) -> int:
        return 12 + sum(step.size() for step in self.body)


Node = Step | Branch | Loop
_BRANCH_BYTES = {
    **{"b": 2, "bcc": 2, "cbz": 4, "cbnz": 4, "b.w": 4, "bcc.w": 4, "bl": 4},
    **{"bx": 6, "blx": 6, "mov pc": 6, "tbb": 10, "tbh": 12, "pop": 8},
}
_REACH = {"bcc": 250, "cbz": 126, "cbnz": 126, "tbb": 500}  # bytes; the others reach any step


@dataclass(frozen=True)
class Case:
    """nodes, and what they start from: r0-r12 and lr, APSR, FPSCR, s0-s31, the scratch bytes."""

    seed: int
    nodes: tuple[Node, ...]
    registers: tuple[int, ...]
    apsr: int
    fpscr: int
    singles: tuple[int, ...]
    scratch: bytes = field(repr=False)


def draw_case(seed: int, scratch_at: int, steps: int = 24) -> Case:
    """The case of `seed`, its memory at `scratch_at`."""
    rng = Random(seed)
    generator = _Generator(rng, scratch_at)
    return Case(
        seed,
        tuple(generator.node() for _ in range(rng.randint(steps // 2, steps))),
        tuple(_word(rng) for _ in range(14)),
        rng.getrandbits(5) << 27 | rng.getrandbits(4) << 16,
        _fpscr(rng),
        tuple(_single(rng) for _ in range(32)),
        rng.randbytes(SCRATCH_BYTES),
    )


def encode(nodes: tuple[Node, ...], at: int) -> Halfwords:
    """The instructions of `nodes` at address `at`; they fall through at their end."""
    sizes = [node.size() for node in nodes]
    out: list[int] = []
    for index, node in enumerate(nodes):
        if isinstance(node, Step):
            out += node.halfwords
        elif isinstance(node, Loop):
            body = encode(node.body, at + 4)
            out += (0xF04F, node.register << 8 | node.count, *body)
            # SUBS.W register, register, #1 ; BNE.W back
            out += (0xF1B0 | node.register, node.register << 8 | 1)
            back = -(2 * len(body) + 8)
            out += _conditional_wide(1, back)
        else:
            here = at + 2 * len(node.before)
            skip = node.skip
            while sum(sizes[index : index + 1 + skip]) > _REACH.get(node.kind, 4000) and skip:
                skip -= 1
            target = at + sum(sizes[index : index + 1 + skip])
            out += node.before + _branch(node, here, target)
        at += sizes[index]
    return tuple(out)


def _branch(branch: Branch, here: int, target: int) -> Halfwords:
    r, ahead = branch.register, target - here - 4
    if branch.kind == "b":
        return (0xE000 | ahead >> 1 & 0x7FF,)
    if branch.kind == "bcc":
        return (0xD000 | branch.condition << 8 | ahead >> 1 & 0xFF,)
    if branch.kind in ("cbz", "cbnz"):
        i = ahead >> 1
        high = 0xB900 if branch.kind == "cbnz" else 0xB100
        return (high | (i >> 5) << 9 | (i & 31) << 3 | r & 7, NOP)  # reaches ahead of the NOP
    if branch.kind == "bcc.w":
        return _conditional_wide(branch.condition, ahead)
    if branch.kind in ("b.w", "bl"):
        low = 0xB800 if branch.kind == "b.w" else 0xF800
        return (0xF000 | ahead >> 12 & 0x3FF, low | ahead >> 1 & 0x7FF)
    if branch.kind in ("tbb", "tbh"):
        # A forward table at pc: entry 0, chosen by a register that is set to 0 or 1.
        table = here + 8
        entry = target - table >> 1
        half = branch.kind == "tbh"
        entries = (entry, entry) if half else (entry | entry << 8,)
        return (0xF04F, r << 8 | branch.condition & 1, 0xE8DF, 0xF000 | half << 4 | r, *entries)
    # ADR.W register, target | 1, then a jump to it.
    offset = target - ((here + 4) & ~3) | 1
    adr = (0xF20F | (offset >> 11 & 1) << 10, (offset >> 8 & 7) << 12 | r << 8 | offset & 0xFF)
    return (
        adr
        + {
            "bx": (0x4700 | r << 3,),
            "blx": (0x4780 | r << 3,),
            "mov pc": (0x4687 | r << 3,),
            "pop": (0xB400 | 1 << (r & 7), 0xBD00),
        }[branch.kind]
    )


def _conditional_wide(condition: int, ahead: int) -> Halfwords:
    s, offset = int(ahead < 0), ahead >> 1
    j1, j2 = offset >> 17 & 1, offset >> 18 & 1
    high = 0xF000 | s << 10 | condition << 6 | offset >> 11 & 0x3F
    return (high, 0x8000 | j1 << 13 | j2 << 11 | offset & 0x7FF)


def _word(rng: Random) -> int:
    """Small, large, and the values where flags and saturation change."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice((0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFF8000, 0x80007FFF))
    if kind == 1:
        return rng.getrandbits(8)
    if kind == 2:
        return 0xFFFFFFFF - rng.getrandbits(8)
    return rng.getrandbits(32)


def _single(rng: Random) -> int:
    sign, kind = rng.getrandbits(1) << 31, rng.randrange(8)
    if kind == 0:
        return sign | rng.choice((0, 0x7F800000, 0x7FC00000, 0x7F800001, 0x00800000, 0x7F7FFFFF))
    if kind == 1:
        return sign | rng.getrandbits(23)  # zero and denormals
    if kind == 2:
        return sign | 0x7F800000 | rng.getrandbits(23)  # infinity and NaNs
    if kind == 3:
        return rng.getrandbits(32)
    return sign | rng.randint(110, 145) << 23 | rng.getrandbits(23)


def _fpscr(rng: Random) -> int:
    """Flags, AHP, DN, FZ, RMode, cumulative exceptions; one half as after reset."""
    modes = 0 if rng.random() < 0.5 else rng.getrandbits(5) << 22
    return rng.getrandbits(4) << 28 | modes | rng.getrandbits(5) | rng.getrandbits(1) << 7


class _Generator:
    def __init__(self, rng: Random, scratch_at: int) -> None:
        self._rng = rng
        self._scratch_at = scratch_at
        self._kept: frozenset[int] = frozenset()

    def node(self) -> Node:
        if self._rng.random() < 0.06:
            return self._loop()
        return self._step()

    def _step(self) -> Step | Branch:
        kinds = {
            **{self._plain: 40, self._access: 26, self._conditional: 14, self._branch: 8},
            **{self._literal: 3, self._exclusive: 2, self._mode: 3},
        }
        make = self._rng.choices(list(kinds), list(kinds.values()))[0]
        return make()

    def _loop(self) -> Loop:
        register = self._rng.choice([r for r in CORE_REGISTERS if r != 14])
        self._kept = frozenset({register})
        body = tuple(self._step() for _ in range(self._rng.randint(1, 5)))
        self._kept = frozenset()
        return Loop(register, self._rng.randint(1, 12), body)

    def _pattern(self, *, in_it: bool = False) -> Halfwords:
        rng = self._rng
        while True:
            table = rng.choices((NARROW, DATA, MULTIPLY, FLOAT, STATUS), (30, 34, 14, 22, 4))[0]
            pattern: Pattern = rng.choice(table)
            fields = pattern.draw(rng, self._kept)
            if fields is not None and (pattern.in_it or not in_it):
                return pattern.encode(fields)

    def _plain(self) -> Step:
        return Step(self._pattern())

    def _literal(self) -> Step:
        while True:
            pattern = self._rng.choice(LITERALS)
            fields = pattern.draw(self._rng, self._kept)
            if fields is not None:
                return Step(pattern.encode(fields))

    def _access(self) -> Step:
        before, after, _ = self._pointed(self._kept)
        return Step(before + after)

    def _pointed(self, kept: frozenset[int]) -> tuple[Halfwords, Halfwords, set[int]]:
        """What points the base of a random access, the access, and the registers that both
        together rely on or change."""
        rng = self._rng
        while True:
            access: Access = rng.choice(ACCESSES)
            fields = access.draw(rng, kept)
            if fields is None:
                continue
            base, index = access.base(fields), fields.get("m")
            if base in kept or (access.index_shift is not None and index in kept):
                continue
            span, offset = access.bytes(fields), access.offset(fields)
            target = self._target(span, access.aligned or access.sp)
            setup: Halfwords = ()
            if access.index_shift is not None and index is not None:
                value = rng.randrange(64)
                setup += _set(index, value)
                offset += value << access.index_shift(fields)
            if access.sp:
                carrier = rng.choice([r for r in range(13) if r not in kept])
                setup += _set(carrier, target - offset) + (0x4685 | carrier << 3,)
                touched = {carrier, SP}
            else:
                setup += _set(base, target - offset)
                touched = {base}
            touched |= access.written(fields) | ({index} if index is not None else set())
            return setup, access.pattern.encode(fields), touched

    def _target(self, span: int, aligned: bool) -> int:
        at = self._scratch_at + self._rng.randrange(MARGIN, SCRATCH_BYTES - MARGIN - span)
        return at & ~3 if aligned else at

    def _conditional(self) -> Step:
        """An IT block of one to four; accesses in it have their bases set before it."""
        rng = self._rng
        condition, length = rng.randrange(14), rng.randint(1, 4)
        setup: Halfwords = ()
        inside: list[Halfwords] = []
        outer, kept = self._kept, set(self._kept)
        plans = [rng.random() < 0.35 for _ in range(length)]
        accesses: list[Halfwords | None] = []
        for memory in plans:
            if memory and len(kept) < MOST_KEPT:
                before, after, touched = self._pointed(frozenset(kept))
                setup, kept = setup + before, kept | touched
                accesses.append(after)
            else:
                accesses.append(None)
        self._kept = frozenset(kept)
        for access in accesses:
            inside.append(access if access is not None else self._pattern(in_it=True))
        self._kept = outer
        block = tuple(halfword for instruction in inside for halfword in instruction)
        return Step(setup + (_it(condition, length, rng),) + block)

    def _exclusive(self) -> Step:
        rng = self._rng
        load, store = rng.choice(EXCLUSIVE)
        while True:
            fields = load.draw(rng, self._kept)
            if fields is None:
                continue
            same = {k: v for k, v in fields.items() if k != "T"}
            status = store.draw(rng, self._kept, **same)
            if status is None:
                continue
            base = fields["n"]
            distinct = status["D"] not in (base, status["t"]) and fields["T"] != base
            if base not in self._kept and distinct:
                break
        target = self._target(4, load.aligned)
        between = CLREX if rng.random() < 0.3 else ()
        setup = _set(base, target - load.offset(fields))
        return Step(setup + load.pattern.encode(fields) + between + store.encode(status))

    def _mode(self) -> Step:
        """FPSCR and BASEPRI, with values that they hold."""
        rng = self._rng
        register = rng.choice([r for r in range(13) if r not in self._kept])
        write = (0xEEE1, register << 12 | 0xA10)  # VMSR
        fixed = FROM_FIXED.draw(rng, self._kept)
        if fixed is not None and rng.random() < 0.3:
            nearest = _fpscr(rng) & ~RMODE
            return Step(_set(register, nearest) + write + FROM_FIXED.encode(fixed))
        if rng.random() < 0.7:
            return Step(_set(register, _fpscr(rng)) + write)
        level, which = rng.randrange(16) << 4, rng.choice((0x11, 0x12))
        return Step(_set(register, level) + (0xF380 | register, 0x8800 | which))

    def _branch(self) -> Branch:
        rng = self._rng
        free = [r for r in range(13) if r not in self._kept]
        kind = rng.choice(sorted(_BRANCH_BYTES))
        low = [r for r in free if r < 8]
        register = rng.choice(low if kind in ("pop", "cbz", "cbnz") else free)
        before: Halfwords = ()
        if kind == "pop":
            carrier = rng.choice(free)
            before = _set(carrier, self._target(64, True)) + (0x4685 | carrier << 3,)
        elif kind in ("b", "b.w") and rng.random() < 0.5:
            before = (_it(rng.randrange(14), 1, rng),)  # the last, and only one, of an IT block
        return Branch(kind, rng.randint(0, MAX_SKIP), register, rng.randrange(14), before)


def _set(register: int, value: int) -> Halfwords:
    """MOVW and MOVT."""
    out: Halfwords = ()
    for opcode, half in ((0xF240, value & 0xFFFF), (0xF2C0, value >> 16 & 0xFFFF)):
        high = opcode | (half >> 11 & 1) << 10 | half >> 12
        out += (high, (half >> 8 & 7) << 12 | register << 8 | half & 0xFF)
    return out


def _it(condition: int, length: int, rng: Random) -> int:
    """IT with random Then and Else for the second and later instructions."""
    mask = 1 << (4 - length)
    for place in range(length - 1):
        mask |= rng.getrandbits(1) << (3 - place)
    return 0xBF00 | condition << 4 | mask


def smaller(case: Case) -> list[Case]:
    """Cases with less in them, the boldest cuts first."""
    nodes = case.nodes
    cuts: list[tuple[Node, ...]] = []
    width = len(nodes) // 2
    while width:
        cuts += [nodes[:i] + nodes[i + width :] for i in range(0, len(nodes), width)]
        width //= 2
    for i, node in enumerate(nodes):
        if isinstance(node, Loop):
            cuts.append((*nodes[:i], *node.body, *nodes[i + 1 :]))
            for count in {1, 2, node.count // 2} - {0, node.count}:
                cuts.append((*nodes[:i], replace(node, count=count), *nodes[i + 1 :]))
            for k in range(len(node.body)):
                body = node.body[:k] + node.body[k + 1 :]
                cuts.append((*nodes[:i], replace(node, body=body), *nodes[i + 1 :]))
        elif isinstance(node, Branch) and node.skip:
            cuts.append((*nodes[:i], replace(node, skip=0), *nodes[i + 1 :]))
    return [replace(case, nodes=cut) for cut in cuts]
