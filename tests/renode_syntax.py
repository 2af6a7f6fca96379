"""Would Renode take this platform file and this script? What its parser, its object creation and
its Monitor demand of what we write, no more, read from the sources of v1.16.1 (commit add012af of
renode-infrastructure): the grammar from PlatformDescription/Syntax/Grammar.cs, the indents from
PreLexer.cs, tokens of the Monitor from UserInterface/Tokenizer/Tokenizer.cs, and of each model the
parameters of its constructor. The parameter `machine` is Renode's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

GRAMMAR = r"""
start: entry (";" entry)*
entry: NAME ":" [TYPE] [registration] [attributes]
registration: "@" (point | "{" point (";" point)* "}")
point: NAME [range | NUMBER]
attributes: "{" attribute (";" attribute)* "}"
?attribute: NAME ":" value -> property
          | [NAME] "->" NAME "@" NUMBER -> interrupt
          | "init" ":" "{" tag (";" tag)* "}" -> init
value: NUMBER | STRING | BOOL | NAME
tag: "Tag" range STRING [NUMBER]
range: "<" NUMBER "," [PLUS] NUMBER ">"

PLUS: "+"
BOOL.2: "true" | "false"
NUMBER: /0x[0-9A-Fa-f]+/ | /[0-9]+/
STRING: /"[^"\\]*"/
TYPE.2: /[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+/
NAME: /[A-Za-z][A-Za-z0-9_]*/
%ignore /\s+/
"""
PARSER = Lark(GRAMMAR, parser="lalr")
KEYWORDS = {"as", "empty", "false", "init", "local", "new", "none", "prefixed", "preinit"}
KEYWORDS |= {"reset", "true", "using"}
INTEGERS = {
    "byte": range(1 << 8),
    "uint": range(1 << 32),
    "ulong": range(1 << 64),
    "int": range(1 << 31),
    "long": range(1 << 63),
}


class SyntaxRefused(Exception):
    """Renode would not take it; the message says why."""


@dataclass(frozen=True)
class Model:
    """A class of Renode. parameters: name to type, those without a default in `required`.
    properties: settable ones that we set. outputs: its GPIOs. inputs: how many it takes. size:
    what it occupies; None: what `size` says, 0: what the registration says."""

    parameters: dict[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    properties: dict[str, str] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()
    inputs: int = 0
    size: int | None = 0x400


MODELS = {
    "Memory.MappedMemory": Model(
        {"size": "long", "segmentSize": "int", "sharedMemoryFileRoot": "string"},
        frozenset({"size"}),
        size=None,
    ),
    "Memory.ArrayMemory": Model(
        {"size": "ulong", "initialValue": "byte"}, frozenset({"size"}), size=None
    ),
    "CPU.CortexM": Model(
        {
            "cpuType": "string",
            "nvic": "IRQControllers.NVIC",
            "cpuId": "uint",
            "fpuInterruptNumber": "uint",
            "numberOfMPURegions": "uint",
            "enableTrustZone": "bool",
            "numberOfSAURegions": "uint",
            "numberOfIDAURegions": "uint",
        },
        frozenset({"cpuType", "nvic"}),
        properties={"PerformanceInMips": "uint"},
        inputs=1,
        size=0,
    ),
    "IRQControllers.NVIC": Model(
        {"systickFrequency": "ulong", "priorityMask": "byte", "haltSystickOnDeepSleep": "bool"},
        outputs=frozenset({"IRQ"}),
        inputs=240,  # ARMv7-M; the chip's own number is less
        size=0x1000,
    ),
    "Miscellaneous.DWT": Model({"frequency": "uint"}, frozenset({"frequency"}), size=0x1000),
    "Miscellaneous.STM32F4_RCC": Model(
        {"rtcPeripheral": "Timers.STM32F4_RTC"},
        frozenset({"rtcPeripheral"}),
        outputs=frozenset({"Timer9Reset"}),
    ),
    "Miscellaneous.STM32_PWR": Model(),
    "Miscellaneous.NRF_CLOCK": Model(outputs=frozenset({"IRQ"}), size=0x1000),
    "Timers.STM32F4_RTC": Model(
        {"wakeupTimerFrequency": "ulong"}, outputs=frozenset({"AlarmIRQ", "WakeupIRQ"})
    ),
    "UART.STM32_UART": Model(
        {"frequency": "uint"}, outputs=frozenset({"IRQ", "DMARequest"}), size=0
    ),
    "UART.STM32F7_USART": Model(
        {"frequency": "uint", "lowPowerMode": "bool"},
        frozenset({"frequency"}),
        outputs=frozenset({"IRQ", "ReceiveDmaRequest"}),
    ),
    "UART.NRF52840_UART": Model({"easyDMA": "bool"}, outputs=frozenset({"IRQ"}), size=0x1000),
}
CPU_TYPES = {"cortex-m4", "cortex-m4f"}


@dataclass(frozen=True)
class Peripheral:
    """What an entry of a platform file makes. values: of what it sets, as Python's. spans: first
    address and the one behind the last, for each place. lines: output, receiver, number."""

    name: str
    model: str
    values: dict[str, int | bool | str]
    spans: tuple[tuple[int, int], ...]
    lines: tuple[tuple[str, str, int], ...]


def read_platform(text: str) -> dict[str, Peripheral]:
    """The peripherals by name, and "sysbus" where it is initialised: its `values` are then the
    tagged registers, by address.

    Raises:
        SyntaxRefused: Renode would not take it.
    """
    try:
        tree = PARSER.parse(with_braces(text))
    except UnexpectedInput as error:
        raise SyntaxRefused(str(error)) from None
    entries = [_entry(entry) for entry in tree.children if isinstance(entry, Tree)]
    found = {entry.name: entry for entry in entries}
    _require(len(found) == len(entries), "a name is used twice")
    for entry in entries:
        _check(entry, found)
    spans = sorted((*span, entry.name) for entry in entries for span in entry.spans)
    for (_, end, one), (start, _, other) in zip(spans, spans[1:], strict=False):
        _require(end <= start, f"{one} and {other} overlap")
    return found


def with_braces(text: str) -> str:
    """Indents as braces, as PreLexer.cs sets them: four spaces each."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("//")]
    levels = []
    for line in lines:
        spaces = len(line) - len(line.lstrip(" "))
        _require(spaces % 4 == 0 and not line[spaces].isspace(), f"indent of {line!r}")
        levels.append(spaces // 4)
    _require(levels[0] == 0, "the first line is indented")
    done = []
    for line, level, after in zip(lines, levels, [*levels[1:], 0], strict=True):
        closed = "{" * (after - level) if after > level else "}" * (level - after)
        done.append(line + closed + (";" if after <= level and len(done) + 1 < len(lines) else ""))
    return "\n".join(done)


def _entry(tree: Tree) -> Peripheral:
    name, model, registration, attributes = tree.children
    _require(str(name) not in KEYWORDS, f"{name} is a keyword")
    if model is None:
        _require(name == "sysbus" and registration is None, f"{name} has no model")
        (init,) = attributes.children
        tags = dict(_tag(tag) for tag in init.children)
        return Peripheral("sysbus", "", tags, (), ())
    _require(str(model) in MODELS, f"there is no model {model}")
    values, lines = {}, []
    for attribute in [] if attributes is None else attributes.children:
        if attribute.data == "interrupt":
            source, receiver, number = attribute.children
            _require(source is not None, f"{name} has more than one output")
            lines.append((str(source), str(receiver), int(number, 0)))
        else:
            _require(attribute.data == "property", f"{name} has an {attribute.data}")
            key, value = attribute.children
            _require(str(key) not in values, f"{name} sets {key} twice")
            values[str(key)] = value.children[0]
    _require(registration is not None, f"{name} is registered nowhere")
    size = MODELS[model].size
    if size is None:
        _require("size" in values, f"{name} needs size")
        size = int(values["size"], 0)
    spans = tuple(
        span
        for point in registration.children
        if (span := _span(str(name), str(model), point, size)) is not None
    )
    return Peripheral(str(name), str(model), values, spans, tuple(lines))


def _span(name: str, model: str, point: Tree, size: int) -> tuple[int, int] | None:
    bus, place = point.children
    _require(bus == "sysbus", f"{name} is registered at {bus}")
    if model == "CPU.CortexM":
        _require(place is None, "a core has no address")
        return None
    _require(place is not None, f"{name} has no address")
    if isinstance(place, Token):
        _require(size > 0, f"{name} does not know its size: its place must be a range")
        return int(place, 0), int(place, 0) + size
    _require(size == 0, f"{name} knows its size: its place must be an address")
    return _range(place)


def _range(tree: Tree) -> tuple[int, int]:
    first, plus, second = tree.children
    begin = int(first, 0)
    end = int(second, 0) + (begin if plus is not None else 0)
    _require(begin < end, "a range ends before it begins")
    return begin, end


def _tag(tree: Tree) -> tuple[str, int]:
    """A tag's range holds its last address."""
    span, _, value = tree.children
    begin, last = _range(span)
    _require(last - begin == 3, "a tag is not one register")
    return hex(begin), int(value, 0)


def _check(entry: Peripheral, found: dict[str, Peripheral]) -> None:
    if entry.name == "sysbus":
        return
    model = MODELS[entry.model]
    known = {**model.parameters, **model.properties}
    for key, token in entry.values.items():
        _require(key in known, f"{entry.model} has no {key}")
        entry.values[key] = _value(f"{entry.name}.{key}", token, known[key], found)
    missing = model.required - entry.values.keys()
    _require(not missing, f"{entry.model} needs {', '.join(sorted(missing))}")
    for source, receiver, number in entry.lines:
        _require(source in model.outputs, f"{entry.model} has no output {source}")
        _require(receiver in found, f"{entry.name} interrupts {receiver}, which is not there")
        inputs = MODELS[found[receiver].model].inputs
        _require(number < inputs, f"{receiver} has no input {number}")


def _value(where: str, token: Token, kind: str, found: dict[str, Peripheral]) -> int | bool | str:
    if kind in INTEGERS:
        _require(token.type == "NUMBER", f"{where} is no number")
        _require(int(token, 0) in INTEGERS[kind], f"{where} is no {kind}")
        return int(token, 0)
    if kind == "bool":
        _require(token.type == "BOOL", f"{where} is neither true nor false")
        return token == "true"
    if kind == "string":
        _require(token.type == "STRING", f"{where} is no string")
        text = str(token)[1:-1]
        _require(not where.endswith(".cpuType") or text in CPU_TYPES, f"no core {text}")
        return text
    _require(token.type == "NAME" and str(token) in found, f"{where}: there is no {token}")
    _require(found[token].model == kind, f"{where} must be a {kind}")
    return str(token)


# Monitor commands: their words, then the kinds of their arguments.
COMMANDS = {
    "logLevel": ("number",),
    "mach create": ("string",),
    "machine LoadPlatformDescription": ("path",),
    "emulation SetGlobalQuantum": ("string",),  # TimeInterval
    "sysbus LoadELF": ("path",),
    "sysbus.cpu VectorTableOffset": ("number",),
    "emulation CreateUartPtyTerminal": ("string", "string", "bool"),
    "connector Connect": ("literal", "literal"),
    "start": (),
}
TOKENS = {
    "string": r'"[^"\\]*(?:\\.[^"\\]*)*"',
    "path": r"@(?:(?!;)(?:\\ |\S))+",
    "number": r"0x[0-9A-Fa-f]+|[+-]?\d+",
    "bool": r"true|false",
    "literal": r"[\w.\-?]+",
}


def read_script(text: str) -> dict[str, list[str]]:
    """The arguments of each command, quotes, @ and escapes removed.

    Raises:
        SyntaxRefused: a line is none of the commands above.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = next((w for w in COMMANDS if re.match(rf"{re.escape(w)}( |$)", line)), None)
        _require(words is not None, f"no command: {line!r}")
        assert words is not None
        kinds = COMMANDS[words]
        pattern = re.escape(words) + "".join(rf" ({TOKENS[kind]})" for kind in kinds)
        match = re.fullmatch(pattern, line)
        _require(match is not None, f"wrong arguments: {line!r}")
        assert match is not None
        found[words] = [_bare(argument) for argument in match.groups()]
    return found


def _bare(argument: str) -> str:
    if argument.startswith("@"):
        return argument[1:].replace("\\ ", " ")
    return argument.strip('"')


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SyntaxRefused(otherwise)
