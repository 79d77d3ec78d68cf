"""A program as plain data: inputs, and steps of (operation, operands, params); printed it is a few lines of Python.

What is printed is what runs: ``function`` compiles ``source``, so a reproducer cannot differ from its case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import autoconv as ac

OPERATORS = {"+", "-", "*", "/", "**", "@", "<", "<=", ">", ">=", "==", "!="}
TAKES_A_LIST = {"ac.concat", "ac.stack", "ac.column_stack", "ac.dstack", "ac.hstack", "ac.vstack"}


@dataclass(frozen=True)
class Step:
    """``result = operation(*operands, **params)``.  "[]" in params indexes the operand or the result."""

    result: str
    operation: str
    operands: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        settings = ", ".join(self.operands)
        if self.operation in OPERATORS:
            return f"{self.operands[0]} {self.operation} {self.operands[1]}"
        if self.operation == "[]":
            return f"{self.operands[0]}[{index_text(self.params['[]'])}]"
        if self.operation in TAKES_A_LIST:
            settings = f"[{settings}]"
        if "equation" in self.params:
            settings = f"{self.params['equation']!r}, {settings}"
        named = [f"{k}={literal(v)}" for k, v in self.params.items() if k not in ("[]", "equation")]
        text = f"{self.operation}({', '.join([settings, *named])})"
        return text if "[]" not in self.params else f"{text}[{index_text(self.params['[]'])}]"


@dataclass(frozen=True)
class Program:
    """``outputs[0]`` is a scalar; its gradient is asked for at the floating-point inputs named in ``wrt``."""

    inputs: Mapping[str, np.ndarray]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    wrt: tuple[str, ...]

    def source(self) -> str:
        """The function in Python."""
        lines = [f"    {s.result} = {s.text()}" for s in self.steps]
        return "\n".join([f"def f({', '.join(self.inputs)}):", *lines, f"    return {', '.join(self.outputs)}"])

    def function(self) -> Callable[..., Any]:
        """The function that ``source`` defines."""
        names: dict[str, Any] = {"ac": ac, "np": np}
        exec(self.source(), names)  # the text was made here, of names and literals
        return names["f"]

    @property
    def places(self) -> tuple[int, ...]:
        """The numbers of the arguments named in ``wrt``."""
        return tuple(list(self.inputs).index(name) for name in self.wrt)

    def reproducer(self) -> str:
        """Everything needed to see it: imports, inputs, function, and both executions."""
        arrays = [f"{name} = {array_text(x)}" for name, x in self.inputs.items()]
        call = f"{', '.join(self.inputs)}, wrt={self.places}"
        head = ["import numpy as np", "import autoconv as ac", "from numpy import inf, nan", *arrays]
        tail = [
            "p = ac.compile(f)",
            f"p.value_and_grad({call})",
            f"print(p.value_and_grad({call}))",
            "first = lambda *a: f(*a)[0]" if len(self.outputs) > 1 else "first = f",
            f"print(f({', '.join(self.inputs)}), ac.grad(first, argnums={self.places})({', '.join(self.inputs)}))",
        ]
        return "\n".join([*head, self.source(), *tail])


def literal(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return array_text(x)
    return f"np.{x.name}" if isinstance(x, np.dtype) else repr(x)


def index_text(key: Any) -> str:
    """An index as it is written between the brackets."""
    if isinstance(key, tuple):
        return ", ".join(map(index_text, key)) + ("," if len(key) == 1 else "")
    if isinstance(key, slice):
        parts = ["" if p is None else str(p) for p in (key.start, key.stop, key.step)]
        return ":".join(parts[: 2 if key.step is None else 3])
    return "..." if key is Ellipsis else literal(key)


def array_text(x: np.ndarray) -> str:
    if x.size == 0:
        return f"np.zeros({x.shape}, np.{x.dtype.name})"
    if x.size > 8 and (x == x.flat[0]).all():
        return f"np.full({x.shape}, {x.flat[0]!s}, np.{x.dtype.name})"
    return f"np.array({x.tolist()!r}, np.{x.dtype.name})"
