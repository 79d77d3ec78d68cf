"""What the user believes: an array, a number, a shape, a rule in a word, a function of tensors, or a formula."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...operands import real
from ...render.element import INDEXED, read_element
from ...scalar import KINDS, called
from ...tape import Tape, Tensor, as_array
from ...views.lines import recorded_arrays
from ..run.replay import Run, double
from .compare import Tolerance
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
        self.given = names
        self.lines: dict[str, Tensor] = {}
        self.numbers: dict[str, Any] = {}
        for name, thing in (names or {}).items():
            if not isinstance(name, str):
                raise TypeError(f"check: names must map names to Tensors; found the key {name!r}")
            if isinstance(thing, Tensor) and id(thing) in on_tape:
                self.lines[name] = thing
            elif isinstance(thing, int | float | np.ndarray | np.number) and not isinstance(thing, bool):
                self.numbers[name] = thing
        if tape.of_scalars:
            for name, line in called(names or {}, tape.lines_of):
                self.lines.setdefault(name, line)
        recorded = recorded_arrays(names or {}, tape)
        for name, number in Counter(name for name, _ in recorded).items():
            if number == 1 and name not in self.lines:  # one that was recorded twice stays the plain numbers that it is
                self.lines[name] = next(line for other, line in recorded if other == name)
        own = [line for line in tape if line.name and line.name not in self.lines]
        self.lines |= {line.name: line for line in own if line.name}
        self.arrays = arrays_of(self.lines) if tape.of_scalars else {}
        self.shared = {name for name, number in Counter(line.name for line in own).items() if number > 1}
        self.of: dict[int, str] = {}
        for name, line in [*self.lines.items(), *recorded]:
            self.of.setdefault(id(line), name)

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

    def values(self, value: Callable[[Tensor], Any]) -> dict[str, Any]:
        """The values in one run, as arrays of the caller's own; ``value``: that of a line there."""
        numbers = {k: double(v) for k, v in self.numbers.items() if np.asarray(v).dtype.kind in "fiuO"}
        lines = {name: np.array(value(line)) for name, line in self.lines.items()}
        arrays = {
            name: np.array([value(line) for line in parts.ravel()]).reshape(parts.shape)
            for name, parts in self.arrays.items()
        }
        return numbers | arrays | lines

    def lines_of(self, name: str) -> list[Tensor]:
        """The lines that a name speaks of: one, those of a list of Scalars, none for a number."""
        return [self.lines[name]] if name in self.lines else list(self.arrays.get(name, np.zeros(0)).ravel())


def arrays_of(lines: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The lists of Scalars that have names, w[0] to w[3] or w[0,0] to w[2,3], by the name of the list, as arrays of
    lines."""
    parts: dict[str, dict[tuple[int, ...], Tensor]] = {}
    for name, line in lines.items():
        if found := INDEXED.fullmatch(name):
            parts.setdefault(found[1], {})[tuple(map(int, found[2].split(",")))] = line
    arrays = {}
    for name, at in parts.items():
        shape = tuple(max(column) + 1 for column in zip(*at, strict=False))
        if len({len(index) for index in at}) == 1 and np.prod(shape) == len(at) and name not in lines:
            arrays[name] = np.empty(shape, object)
            for index, line in at.items():
                arrays[name][index] = line
    return arrays


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
            known = claim.value if isinstance(claim, Tensor) else claim.data if isinstance(claim, KINDS) else claim
            array = double(as_array(known)).astype(float)
        except (TypeError, ValueError) as error:
            text = str(error).partition(": ")[2] or str(error)
            raise type(error)(f"check: the claim cannot be read as an array of numbers: {text}") from None
        return finite(array, "the claim")

    def _arguments(self, function: Callable[..., Any]) -> list[str]:
        known = [*self.names.lines, *self.names.arrays, *self.names.numbers]
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
        return self.at(lambda line: run.of(line).value)

    def at(self, value: Callable[[Tensor], Any]) -> np.ndarray:
        """The claimed values where the lines have these values."""
        if self.array is not None:
            return self.array
        values = self.names.values(value)
        if self.formula is not None:
            return np.asarray(self.formula(values, self.shape), dtype=float)
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


def rounding(
    array: np.ndarray, truth: np.ndarray, written: str = "", relative: float = 0.0, dtype: str = "float64"
) -> Any:
    """How far each number may be off because a hand-written claim has few digits (0.0 if it is given in full).

    Either all have as many decimals, or as many digits that count; half a unit of the last one, or a whole one where
    all were cut off.  Digits are read from the text ``written`` if there is one.  A claim with very few digits counts
    as rounded where the gradient, rounded alike, is just that; so do whole numbers that end in zeros, where those of
    the gradient do not.  relative: how closely the unrounded numbers agree.  dtype: of the claim, whose digits these
    are: 0.1 in single precision has one.
    """
    largest = float(np.abs(array).max())
    if not largest or not np.isfinite(largest):
        return 0.0
    narrow = np.dtype(dtype if dtype in ("float16", "float32") else "float64")
    texts = _NUMBERS.findall(written) or [str(x) for x in array.ravel()[:_READ].astype(narrow)]
    parts = [_digits(text, bool(written)) for text in texts]
    decimals, digits, shown = (max(p[i] for p in parts) for i in range(3))
    size = np.abs(array.ravel())
    of_digits = lambda n: 10.0 ** (np.floor(np.log10(np.where(size > 0, size, largest))) - n + 1)
    ending = shown < digits and not (truth == np.round(truth)).all()
    exact = array.shape == truth.shape and array.size > 1 and not np.allclose(array, truth, rtol=1e-9)
    for units, crude in (
        (np.full(array.size, 10.0**-decimals), decimals > 6 or 10.0**-decimals > 0.02 * largest or not decimals),
        (of_digits(digits), digits < 3 or digits > 7),
        *([(of_digits(shown), True)] if ending else []),
    ):
        if (crude and not exact) or float(units.max()) > 0.2 * largest:
            continue
        if array.shape != truth.shape:
            return 0.0 if crude else 0.505 * units
        off = np.abs(array - truth).ravel()
        if (off <= 0.505 * units + relative * np.maximum(np.abs(truth).ravel(), 0.1 * np.abs(truth).max())).all():
            return 0.505 * units if not crude or _rounds(array, truth, units, narrow) else 0.0
        cut = np.abs(array).ravel() <= np.abs(truth).ravel() * (1 + 1e-12)
        if not crude and array.size > 3 and (cut & (off <= 1.001 * units)).all():
            return 1.001 * units
    if 0 < decimals <= 6 and 10.0**-decimals <= 0.02 * largest:
        return np.full(array.size, 0.505 * 10.0**-decimals)
    return 0.0


def tolerance_of(
    read: Claim, first: np.ndarray, dtype: np.dtype[Any], rtol: float | None, truth: np.ndarray
) -> Tolerance:
    """How closely a claim must agree: ``rtol``, or what its digits and the dtypes allow."""
    if rtol is not None:
        real(rtol, "check: rtol")
        if not 0 <= rtol < 1:
            raise ValueError(f"check: rtol={rtol} must be at least 0 and below 1")
        return Tolerance(rtol)
    narrow = {"float16": 5e-3, "float32": 1e-4}
    relative = max(narrow.get(read.dtype, 1e-6), narrow.get(dtype.name, 1e-6))
    written = "" if read.formula is None else read.formula.text
    if read.replayable or not first.size:
        return Tolerance(relative)
    least = float(np.finfo(read.dtype).smallest_subnormal) if read.dtype in narrow else 0.0  # what is below it is 0
    return Tolerance(relative, np.maximum(rounding(first, truth, written, relative, read.dtype), least))


_NUMBERS = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_READ = 4000  # numbers of a claim whose digits are looked at


def _digits(text: str, written: bool) -> tuple[int, int, int]:
    """(decimals, digits that count, those without the zeros in which a whole number ends) of a number as it is
    written, or as Python writes it."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, after = mantissa.partition(".")
    after = after if written or after != "0" else ""
    power = int(exponent or 0)
    counting = (whole + after).lstrip("-0")
    return max(len(after) - power, 0), len(counting), len(counting if after else counting.rstrip("0"))


def _rounds(array: np.ndarray, truth: np.ndarray, units: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Whether a claim with very few digits is the gradient rounded to them, element by element."""
    off = np.abs(np.round(truth.ravel() / units) * units - array.ravel())
    return bool((off <= 1e-9 * np.abs(units) + 2 * np.finfo(dtype).eps * np.abs(array.ravel())).all())
