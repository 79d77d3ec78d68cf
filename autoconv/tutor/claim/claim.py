"""What the user believes: an array, a number, a shape, a rule in a word, a function of tensors, or a formula."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...render.element import read_element
from ...tape import Tape, Tensor, as_array
from ..run.replay import Run, double
from .formula import Formula, FormulaError

RULES = ("sum", "mean", "same for all")
MOST_OF_ANOTHER_SHAPE = 2**22  # elements of an array that are read though the gradient has another shape
_RULES = {
    "average": "mean",
    "the sum": "sum",
    "the mean": "mean",
    "all the same": "same for all",
    "the same for all": "same for all",
}


class Names:
    """What a formula or function may speak of: the Tensors and numbers in ``names``, and the tape's lines by name.

    ``names`` come first; a name that several lines carry means none of them.
    """

    def __init__(self, tape: Tape, names: Mapping[str, Any] | None) -> None:
        if names is not None and not isinstance(names, Mapping):
            raise TypeError(f"check: names must map names to Tensors, as locals() does; found {type(names).__name__}")
        on_tape = {id(line) for line in tape}
        self.lines: dict[str, Tensor] = {}
        self.numbers: dict[str, Any] = {}
        for name, thing in (names or {}).items():
            if not isinstance(name, str):
                raise TypeError(f"check: names must map names to Tensors; found the key {name!r}")
            if isinstance(thing, Tensor) and id(thing) in on_tape:
                self.lines[name] = thing
            elif isinstance(thing, int | float | np.ndarray | np.number) and not isinstance(thing, bool):
                self.numbers[name] = thing
        own = [line for line in tape if line.name and line.name not in self.lines]
        self.lines |= {line.name: line for line in own if line.name}
        self.shared = {name for name, number in Counter(line.name for line in own).items() if number > 1}
        self.of = {id(line): name for name, line in self.lines.items()}

    def tensor(self, text: str) -> Tensor:
        """The tensor, or element of one, that a text like "w" or "w[0, 1]" names; ValueError if there is none."""
        name, key = read_element(text, self.lines, "check", slices=True)
        self.refuse_shared([name])
        return self.lines[name] if key is None else self.lines[name][key]

    def refuse_shared(self, names: list[str]) -> None:
        """ValueError if one of these names is carried by several tensors."""
        for name in names:
            if name in self.shared:
                raise ValueError(
                    f"check: several tensors are named {name!r}; say which one is meant, as in names={{{name!r}: w1}}"
                )

    def values(self, run: Run) -> dict[str, Any]:
        """The values in one run, as arrays of the caller's own."""
        numbers = {k: double(v) for k, v in self.numbers.items() if np.asarray(v).dtype.kind in "fiuO"}
        return numbers | {name: np.array(run.of(line).value) for name, line in self.lines.items()}


class Claim:
    """A claim read: ``kind`` is "array", "number", "shape", "rule", "function" or "formula".

    ``evaluate`` gives its values in a run, ``replayable`` says whether it has values at other inputs.
    """

    def __init__(self, claim: Any, names: Names, shape: tuple[int, ...], one: bool) -> None:
        self.given, self.names, self.shape = claim, names, shape
        self.array: np.ndarray | None = None
        self.formula: Formula | None = None
        self.function: Callable[..., Any] | None = None
        self.arguments: list[str] = []
        self.rule = ""
        if isinstance(claim, str):
            word = " ".join(claim.lower().split()).rstrip(".! ")
            self.rule = _RULES.get(word, word if word in RULES else "")
            self.kind = "rule" if self.rule else "formula"
            self.formula = None if self.rule else self._parse(claim)
            if self.formula is not None and (numbers := self.formula.whole_numbers) and (len(numbers),) != shape:
                self.kind, self.formula, claim = "shape", None, numbers
        elif callable(claim) and not isinstance(claim, Tensor) and not hasattr(claim, "__array__"):
            self.kind, self.function = "function", claim
            self.arguments = self._arguments(claim)
        elif isinstance(claim, tuple) and all(isinstance(n, int | np.integer) and n is not True for n in claim):
            self.kind = "shape"
        else:
            self.kind = "array"
            given = getattr(claim, "shape", shape)  # of an array or Tensor, before its numbers are looked at
            if given != shape and np.prod(given, dtype=float) > MOST_OF_ANOTHER_SHAPE:
                raise ValueError(
                    f"check: the claim has shape {given}, the gradient {shape}; claim an array of that shape"
                )
            self.array = self._read(claim)
            if self.array.ndim == 0:
                self.kind = "number"
                if not one:
                    raise ValueError(
                        f"check: one number was claimed for a gradient of shape {shape}; say for which element, as in "
                        "wrt=w[0, 0], or claim an array of that shape"
                    )
        self.given = self.rule or claim
        names.refuse_shared(self.reads if self.replayable else [])
        self.dtype = getattr(getattr(claim, "dtype", None), "name", "float64")

    @property
    def replayable(self) -> bool:
        """Whether the claim has values at other inputs; a formula or function that reads no tensor is just numbers."""
        return bool(self.arguments) if self.function is not None else bool(self.formula and self.formula.names)

    @property
    def reads(self) -> list[str]:
        """The names that a function or formula speaks of."""
        return self.arguments if self.formula is None else self.formula.names

    def _parse(self, text: str) -> Formula:
        try:
            return Formula(text)
        except FormulaError as error:
            if all(word.isalpha() for word in text.split()):
                raise FormulaError(f"{error}; the rules in a word are {', '.join(map(repr, RULES))}") from None
            raise

    @staticmethod
    def _read(claim: Any) -> np.ndarray:
        if claim is None or isinstance(claim, set | frozenset | type):
            raise TypeError(f"check: {claim!r} is no claim; give an array, a number, a shape, a function or a formula")
        if np.ma.isMaskedArray(claim) and np.ma.getmaskarray(claim).any():
            raise ValueError("check: the claim is a masked array with masked elements; give a number for each")
        try:
            array = double(as_array(claim.value if isinstance(claim, Tensor) else claim)).astype(float)
        except (TypeError, ValueError) as error:
            text = str(error).partition(": ")[2] or str(error)
            raise type(error)(f"check: the claim cannot be read as an array of numbers: {text}") from None
        return finite(array, "the claim")

    def _arguments(self, function: Callable[..., Any]) -> list[str]:
        known = [*self.names.lines, *self.names.numbers]
        wanted: list[str] = []
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise TypeError(
                f"check: the arguments of {function!r} have no names to see; write lambda w: ... around it"
            ) from None
        for p in parameters:
            if p.kind is p.VAR_KEYWORD:
                return list(dict.fromkeys([*wanted, *(n for n in known if n not in self.names.shared)]))
            if p.kind is p.VAR_POSITIONAL or (p.name not in known and p.default is not p.empty):
                continue
            if p.name not in known:
                raise ValueError(
                    f"check: the function asks for {p.name!r}, and no tensor has that name; known are "
                    f"{', '.join(known) or 'none'}: give tensors names, as in ac.tensor(data, name='w'), "
                    "or names=locals()"
                )
            wanted.append(p.name)
        return wanted

    def evaluate(self, run: Run) -> np.ndarray:
        """The claimed values in this run; ValueError if the function fails or what comes out is not numbers."""
        if self.array is not None:
            return self.array
        values = self.names.values(run)
        if self.formula is not None:
            return np.asarray(self.formula(values), dtype=float)
        assert self.function is not None
        parameters = inspect.signature(self.function).parameters
        unnamed = [
            n for n in self.arguments if n in parameters and parameters[n].kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        try:
            with np.errstate(all="ignore"):
                made = self.function(
                    *[values[n] for n in unnamed], **{n: values[n] for n in self.arguments if n not in unnamed}
                )
        except Exception as error:
            raise ValueError(f"check: the function raised {type(error).__name__}: {error}") from error
        if made is None:
            raise ValueError("check: the function returned None; it must return its array (is there a return?)")
        try:
            return np.asarray(made.value if isinstance(made, Tensor) else made, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"check: the function must return an array of numbers, found {type(made).__name__}: {error}"
            ) from None


def enclosed(function: Callable[..., Any], depth: int = 3) -> list[str]:
    """The names of arrays and Tensors that a function, or one it calls, uses without taking them as arguments."""
    try:
        seen = inspect.getclosurevars(function)
    except TypeError:
        return []
    found: list[str] = []
    for name, value in {**seen.globals, **seen.nonlocals}.items():
        if isinstance(value, Tensor | np.ndarray):
            found.append(name)
        elif depth and inspect.isfunction(value):
            found += enclosed(value, depth - 1)
    return list(dict.fromkeys(found))


def finite(array: np.ndarray, what: str) -> np.ndarray:
    """``array``, or ValueError with the first element that is infinite or nan."""
    if np.isfinite(array).all():
        return array
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    where = f" at element {list(at)}" if at else ""
    raise ValueError(
        f"check: {what} has infinite numbers or nan ({array[at]}{where}); nothing can be compared with those"
    )


def rounding(array: np.ndarray, truth: np.ndarray) -> float:
    """Half a unit of the last decimal that a hand-written claim gives (0 if it is given in full).

    A claim with few digits counts as rounded where the gradient, rounded alike, is just that.
    """
    texts = [repr(float(x)) for x in array.ravel()[:200]]
    if any("e" in t for t in texts):
        return 0.0
    decimals = max((len(t.partition(".")[2]) if not t.endswith(".0") else 0 for t in texts), default=0)
    unit, largest = 0.5 * 10.0**-decimals, float(np.abs(array).max())
    if decimals > 6 or not largest or unit > 0.1 * largest:
        return 0.0
    same = (
        array.shape == truth.shape
        and np.array_equal(array, np.round(truth, decimals))
        and not np.allclose(array, truth, rtol=1e-9)
    )
    return unit * 1.01 if (decimals and unit <= 0.01 * largest) or (same and array.size > 1) else 0.0
