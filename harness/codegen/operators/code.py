"""C of one operator while it is being written."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.codegen.tables import Array, write_words
from harness.planner import ArenaPlan
from harness.tflite import Graph, Operator, Tensor


@dataclass
class Code:
    """C of one operator: definitions at file scope, then statements of the function."""

    graph: Graph
    plan: ArenaPlan
    operator: Operator
    definitions: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    _tables: dict[tuple[bytes, str], str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"operator {self.operator.layer} ({self.operator.op})"

    def input(self, position: int) -> Tensor:
        return self.graph.tensor(self.operator.inputs[position])

    @property
    def inputs(self) -> list[Tensor]:
        """Of an operator that has no optional ones."""
        return [self.graph.tensor(index) for index in self.operator.inputs]

    @property
    def output(self) -> Tensor:
        return self.graph.tensor(self.operator.outputs[0])

    @property
    def outputs(self) -> list[Tensor]:
        return [self.graph.tensor(index) for index in self.operator.outputs]

    def name(self, what: str) -> str:
        return f"{what}_{self.operator.index}"

    def address(self, tensor: Tensor, kind: str = "int8_t") -> str:
        """A pointer expression; constants become tables."""
        if tensor.data is not None:
            name = f"constant_{self.operator.layer}_{tensor.index}"
            definition = write_words(name, tensor.data)
            if definition not in self.definitions:
                self.definitions.append(definition)
            return f"(const {kind} *){name}"
        return self._at(self.plan.offsets[tensor.index], kind)

    @staticmethod
    def _at(offset: int, kind: str) -> str:
        address = f"arena + {offset}"
        return address if kind == "int8_t" else f"({kind} *)(void *)({address})"

    def scratch(self, kind: str = "int8_t") -> str:
        at = self.plan.scratch.get(self.operator.index)
        return "NULL" if at is None else self._at(at, kind)

    def table(self, what: str, values: Array, kind: str) -> str:
        """Equal tables are written once; parts of one operator write equal definitions."""
        key = (values.tobytes(), kind)
        if key not in self._tables:
            name = self.name(what)
            if self.operator.part_of is not None:
                name = f"{what}_{self.operator.layer}_{zlib.crc32(values.tobytes()):08x}"
            self.definitions.append(write_words(name, values))
            self._tables[key] = f"(const {kind} *){name}"
        return self._tables[key]

    def struct(self, kind: str, **members: object) -> str:
        """Defines a constant struct and returns a pointer to it."""
        name = self.name("operator")
        body = "\n".join(f"    .{key} = {value}," for key, value in members.items())
        self.definitions.append(f"static const {kind} {name} = {{\n{body}\n}};\n")
        return f"&{name}"

    def call(self, function: str, *arguments: object) -> None:
        self.statements.append(f"{function}({', '.join(str(a) for a in arguments)});")


Writer = Callable[[Code], None]  # raises UnsupportedModelError where a scale cannot be expressed
