"""What the user believes: an array, one number, a shape, a rule in a word, a function of the tensors, or a formula as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..tape import Tape, Tensor, as_array
from .formula import Formula
from .replay import Study, double

RULES = ("sum", "mean", "same for all")


class Names:
    """What a formula or function may speak of: the tape's named lines, and the numbers in ``names``."""

    def __init__(self, tape: Tape, names: Mapping[str, Any] | None) -> None:
        if names is not None and not isinstance(names, Mapping):
            raise TypeError(f"check: names must map names to Tensors, as locals() does; found {type(names).__name__}")
        on_tape = {id(line) for line in tape}
        self.lines: dict[str, Tensor] = {}
        self.numbers: dict[str, Any] = {}
        for name, thing in (names or {}).items():
            if isinstance(thing, Tensor) and id(thing) in on_tape:
                self.lines[name] = thing
            elif isinstance(thing, int | float | np.ndarray | np.number) and not isinstance(thing, bool):
                self.numbers[name] = thing
        self.lines |= {line.name: line for line in tape if line.name}
        self.of = {id(line): name for name, line in self.lines.items()}

    def tensor(self, text: str) -> Tensor:
        """The tensor, or element of one, that a text like "w" or "w[0, 1]" names; ValueError if there is none."""
        name, bracket, rest = text.strip().partition("[")
        line = self.lines.get(name.strip())
        if line is None:
            raise ValueError(f"check: no tensor is named {name!r}; the names are {', '.join(self.lines) or 'none'}")
        if not bracket:
            return line
        try:
            return line[tuple(int(n) for n in rest.rstrip("] ").split(","))]
        except (ValueError, IndexError, TypeError):
            raise ValueError(
                f"check: {text!r} is no element of {name}, which has shape {line.shape}; write {name}[0, 0]"
            ) from None

    def values(self, study: Study) -> dict[str, Any]:
        """The values in one run, as arrays of the caller's own."""
        numbers = {k: double(v) for k, v in self.numbers.items() if np.asarray(v).dtype.kind in "fiuO"}
        return numbers | {name: np.array(study.of(line).value) for name, line in self.lines.items()}


class Claim:
    """A claim read: ``kind`` is "array", "number", "shape", "rule", "function" or "formula".

    ``evaluate`` gives its values in a run, ``replayable`` says whether it has values at other inputs.
    """

    def __init__(self, claim: Any, names: Names, shape: tuple[int, ...], one: bool) -> None:
        self.given, self.names, self.shape = claim, names, shape
        self.array: np.ndarray | None = None
        self.formula: Formula | None = None
        self.function: Callable[..., Any] | None = None
        if isinstance(claim, str):
            self.kind = "rule" if claim.strip().lower() in RULES else "formula"
            self.formula = None if self.kind == "rule" else Formula(claim)
        elif callable(claim) and not isinstance(claim, Tensor):
            self.kind, self.function = "function", claim
            self.arguments = self._arguments(claim)
        elif isinstance(claim, tuple) and all(type(n) is int for n in claim):
            self.kind = "shape"
        else:
            self.kind = "array"
            self.array = self._read(claim)
            if self.array.ndim == 0:
                self.kind = "number"
                if not one:
                    raise ValueError(
                        f"check: one number was claimed for a gradient of shape {shape}; say for which element, as in "
                        "wrt=w[0, 0], or claim an array of that shape"
                    )
        self.dtype = getattr(getattr(claim, "dtype", None), "name", "float64")

    @property
    def replayable(self) -> bool:
        return self.kind in ("function", "formula")

    @staticmethod
    def _read(claim: Any) -> np.ndarray:
        array = double(as_array(claim.value if isinstance(claim, Tensor) else claim)).astype(float)
        if not np.isfinite(array).all():
            raise ValueError("check: the claim has infinite numbers or nan; nothing can be compared with those")
        return array

    def _arguments(self, function: Callable[..., Any]) -> list[str]:
        known = [*self.names.lines, *self.names.numbers]
        wanted = []
        for p in inspect.signature(function).parameters.values():
            if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or (p.name not in known and p.default is not p.empty):
                continue
            if p.name not in known:
                raise ValueError(
                    f"check: the function asks for {p.name!r}, and no tensor has that name; known are {', '.join(known) or 'none'}: "
                    "give tensors names, as in ac.tensor(data, name='w'), or names=locals()"
                )
            wanted.append(p.name)
        return wanted

    def evaluate(self, study: Study) -> np.ndarray:
        """The claimed values in this run; ValueError if the function fails or what comes out is not numbers."""
        if self.array is not None:
            return self.array
        values = self.names.values(study)
        if self.formula is not None:
            return np.asarray(self.formula(values), dtype=float)
        assert self.function is not None
        try:
            with np.errstate(all="ignore"):
                made = self.function(**{name: values[name] for name in self.arguments})
        except Exception as error:
            raise ValueError(f"check: the function raised {type(error).__name__}: {error}") from error
        return np.asarray(made.value if isinstance(made, Tensor) else made, dtype=float)


def rounding(array: np.ndarray) -> float:
    """Half a unit of the last decimal that a hand-written claim gives (0 if it is given in full, or in whole numbers)."""
    texts = [repr(float(x)) for x in array.ravel()[:200]]
    if any("e" in t for t in texts):
        return 0.0
    decimals = max((len(t.partition(".")[2]) if not t.endswith(".0") else 0 for t in texts), default=0)
    unit = 0.5 * 10.0**-decimals
    return unit * 1.01 if 0 < decimals <= 6 and unit <= 0.01 * np.abs(array).max() else 0.0
