"""The tape: a Tensor is a value that remembers its line, and a Tape is the lines in recording order.

A line is plain data: primitive, operands, params, serial number, scope.  There are no closures and nothing here
recurses, so a chain of any length can be recorded, walked, printed and freed.  Results hold their operands; memory is
freed with them.
"""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, copy_context
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

import numpy as np

from .arrays import exact as exact
from .asking import HeldValue, changes_in_place
from .hooks import Recorded, Watcher, watcher
from .operands import ARRAYS, KINDS, PYTHONS, OutOfRangeError, Size, found, numbers
from .operands import as_array as as_array
from .shapes import flag, shown

if TYPE_CHECKING:
    pass

Array = np.ndarray[Any, Any]
R = TypeVar("R")

_next_serial = itertools.count(1).__next__


class Scope:
    """A stretch of recording with a name: a layer, a composed operation, or the backward lines that serve one forward
    line.

    ``kind`` is "layer", "call" or "backward"; ``of`` the forward line that a "backward" scope serves.  A scope of kind
    "source" only says where the user's program, which was imported, makes its lines: its name is that place, and
    ``path`` leaves it out.  ``records`` is False inside ``no_grad``: results are then plain values without a line.

    >>> x = ac.tensor(1.0)
    >>> with ac.scope("outer"), ac.scope("inner"):
    ...     y = x + 1
    >>> y.scope
    <call outer > inner>
    """

    __slots__ = ("kind", "name", "of", "parent", "records", "serial")

    def __init__(
        self, name: str, kind: str, parent: Scope | None = None, of: Tensor | None = None, records: bool = True
    ) -> None:
        self.name = name
        self.kind = kind
        self.parent = parent
        self.of = of
        self.records = records
        self.serial = _next_serial()

    def __repr__(self) -> str:
        return f"<{self.kind} {' > '.join(scope.name for scope in self.path)}>"

    @property
    def path(self) -> tuple[Scope, ...]:
        """This scope and those around it, outermost first, but for those of kind "source"."""
        chain: list[Scope] = []
        scope: Scope | None = self
        while scope is not None:
            if scope.kind != "source":
                chain.append(scope)
            scope = scope.parent
        return tuple(reversed(chain))


_scope: ContextVar[Scope | None] = ContextVar("autoconv_scope", default=None)


@contextmanager
def scope(name: str, kind: str = "call", of: Tensor | None = None, records: bool = True) -> Iterator[Scope]:
    """Record the lines of a ``with`` block inside a new Scope (each thread has its own).

    >>> x = ac.tensor(1.0)
    >>> with ac.scope("my layer", kind="layer"):
    ...     y = x + 1
    >>> y.scope
    <layer my layer>
    """
    entered = enter(name, kind, of, records)
    try:
        yield entered
    finally:
        leave(entered)


def within(name: str, f: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
    """``f(*args, **kwargs)`` recorded inside a new Scope, which ends with the call whatever ends that: an alarm too,
    or Ctrl-C, which can stop Python at the first instruction of a ``with`` block's exit."""
    return copy_context().run(_entered, name, f, args, kwargs)


def _entered(name: str, f: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    enter(name, "call")
    return f(*args, **kwargs)


def enter(name: str, kind: str, of: Tensor | None = None, records: bool = True) -> Scope:
    """Record inside a new Scope until ``leave``: ``scope`` without its ``with``, for a sweep that enters many."""
    outer = _scope.get()
    entered = Scope(name, kind, outer, of, records and (outer is None or outer.records))
    _scope.set(entered)
    return entered


def leave(entered: Scope) -> None:
    """Record again around a Scope, and around what was entered inside of it and not left.

    A Scope that we are not in, because one around it was left, is left already: a generator's ``with`` may end late.
    """
    at = _scope.get()
    while at is not None and at is not entered:
        at = at.parent
    if at is not None:
        _scope.set(entered.parent)


def no_grad() -> AbstractContextManager[Scope]:
    """``with ac.no_grad():`` computes without recording: results are constants that hold no operands.

    >>> w = ac.tensor([1.0, 2.0])
    >>> with ac.no_grad():
    ...     y = w * 2
    >>> y.constant, y.operands
    (True, ())
    """
    return scope("no_grad", records=False)


def recording() -> bool:
    """Whether lines are recorded: False inside ``no_grad``."""
    around = _scope.get()
    return around is None or around.records


def outside(f: Callable[[], Any], watching: Watcher | None = None) -> Any:
    """``f()`` outside of any scope and recording that may surround the caller; ``watching`` is told what happens."""

    def run() -> Any:
        _scope.set(None)
        watcher.set(watching)
        return f()

    return copy_context().run(run)


class Primitive:
    """A row of the table.  ``vjps[k](g, y, *operands, **params)`` pulls y's cotangent g back to operand k.

    ``vjps`` has one rule for each operand (None: not differentiable in it); a row with any number of operands has one
    rule for all, which returns their cotangents in a list.  A row with a ``definition`` has no rule: its gradient,
    drawing and scalar expansion are those of its definition, while ``forward`` computes the exact value (``at`` moves
    the operands to where the definition is differentiated without rounding).  ``linear`` lists the operands in which
    the row is linear.  ``align``, where there is one, first brings the operands to one shape and dtype, by recorded
    lines.  ``example(rng)`` gives operands and params to test on.

    What else can be asked of a row follows from its group and its ``traits``, words of ``TRAITS`` with spaces between
    them: so a new row is known to the executors, the tutor and the views as soon as it stands in the table.  ``ufunc``
    is NumPy's function that computes the same, for whatever params.  ``cost`` is what recomputing an element costs,
    where loading one costs 1; None: it is not recomputed, since nothing promises that it is rounded alike elsewhere.

    >>> ac.TABLE["mul"]
    <primitive mul>
    >>> ac.mul(2.0, 3.0), ac.mul.linear
    (np.float64(6.0), (0, 1))
    """

    TRAITS: ClassVar[Mapping[str, str]] = {
        "affine": "its slopes are the same everywhere",
        "irrational": "of a fraction it gives no fraction: not defined for exact ones, rounded as the library does",
        "masks": "it lets the cotangent through where an operand (or a sign) was chosen",
        "selects": "a slope of 0 passes 0 on, whatever the cotangent is: its rule chooses, asked with that cotangent",
        "adds": "elements that meet in one cell are added",
        "copies": "its result never lies in the operand's memory",
        "rearranges": "its result has each element of the operand once",
    }

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        vjps: tuple[Callable[..., Any] | None, ...] | Callable[..., list[Any]],
        latex: str,
        group: str,
        example: Callable[..., tuple[list[Any], dict[str, Any]]],
        *,
        linear: tuple[int, ...] = (),
        definition: Callable[..., Any] | None = None,
        at: Callable[..., Any] | None = None,
        align: Callable[..., tuple[Any, ...]] | None = None,
        traits: str = "",
        ufunc: np.ufunc | None = None,
        cost: float | None = None,
    ) -> None:
        given = set(traits.split())
        if not given <= self.TRAITS.keys():
            raise ValueError(f"{name}: traits={traits!r}; the words are {', '.join(self.TRAITS)}")
        self.name = name
        self.forward = forward
        self.vjps = vjps
        self.latex = latex
        self.group = group
        self.example = example
        self.linear = linear
        self.definition = definition
        self.at = at
        self.align = align
        self.differentiable = definition is not None or not isinstance(vjps, tuple) or any(vjps)
        self.arity = None if callable(vjps) else len(vjps) or count_operands(definition)
        self.affine, self.irrational, self.masks = (word in given for word in ("affine", "irrational", "masks"))
        self.selects = "selects" in given
        self.adds, self.rearranges = "adds" in given, "rearranges" in given
        self.elementwise = group == "arithmetic"
        self.moves = group == "wiring" and not self.adds and isinstance(vjps, tuple)
        self.view = group == "wiring" and not self.adds and "copies" not in given
        self.bends = self.elementwise and self.differentiable and not self.affine
        self.function = self.irrational and self.arity == 1
        self.ties = at is not None
        self.ufunc = ufunc or (forward if isinstance(forward, np.ufunc) else None)
        self.cost = 0.2 if cost is None and self.elementwise and not self.irrational else cost

    arity: int | None  # number of operands; None: any
    elementwise: bool  # one scalar operation for each element
    affine: bool  # its slopes are the same everywhere
    bends: bool  # differentiable and elementwise, with slopes that depend on the operands
    irrational: bool  # of a fraction it gives no fraction
    function: bool  # irrational and of one operand, as exp
    masks: bool  # it lets the cotangent through where an operand was chosen
    selects: bool  # a slope of 0 passes 0 on, whatever the cotangent is
    ties: bool  # differentiated by the order of its two operands, which may be equal
    moves: bool  # a movement operation: an element of the result is one of the operand, or 0
    rearranges: bool  # the result has each element of the operand once
    adds: bool  # elements that meet in one cell are added
    view: bool  # the result may be a view of the (first) operand

    def __call__(self, *operands: Any, **params: Any) -> Tensor:
        """Compute, and record a line if any operand is a Tensor; on plain arrays the result is a plain array."""
        if len(operands) != self.arity and self.arity is not None:
            raise TypeError(f"{self.name}: {self.arity} operands are needed, found {len(operands)}")
        if self.align is not None:
            operands = self.align(self.name, operands)
        return record(self, operands, params)

    @property
    def __name__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def count_operands(definition: Callable[..., Any] | None) -> int:
    """How many operands a row's definition takes: its arguments, but for params, which have a default."""
    if definition is None:
        return 0
    code: Any = definition.__code__
    return int(code.co_argcount) - len(definition.__defaults__ or ())


def record(primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
    """Run ``primitive`` and, if an operand is a Tensor, return the new line; shapes and dtypes already agree."""
    taped = [isinstance(x, Tensor) for x in operands]
    if not any(taped):
        for x in operands:
            if not (isinstance(x, ARRAYS) and x.dtype.kind in KINDS):
                operands = tuple([x if type(x) in PYTHONS else numbers(x, primitive.name) for x in operands])
                break
        try:
            plain: Tensor = primitive.forward(*operands, **params)  # an array: see the package's first rule
        except REFUSALS as error:
            _refuse(primitive, operands, params, error)
        return plain
    lines = operands
    if not all(taped):
        lines = tuple([x if isinstance(x, Tensor) else constant(x, primitive.name) for x in operands])
    around = _scope.get()
    watching = watcher.get()
    if watching is not None and (late := watching.later(primitive, lines, params, around)) is not None:
        line: Tensor = late
        return line
    try:
        value = np.asarray(primitive.forward(*[x._value for x in lines], **params))
    except REFUSALS as error:
        _refuse(primitive, lines, params, error)
    if around is not None and not around.records:
        return Tensor(value, constant=True)
    still = not primitive.differentiable or value.dtype.kind not in "fO" or all([x.constant for x in lines])
    return Tensor(value, primitive, lines, params, around, constant=still)


REFUSALS = (TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError)


def _refuse(primitive: Primitive, operands: tuple[Any, ...], params: Mapping[str, Any], error: Exception) -> NoReturn:
    """Say what a row's arithmetic refuses with the row's name, its operands and its settings."""
    if type(error).__module__.startswith("autoconv"):
        raise error
    name = primitive.name
    around = _scope.get()
    within = f"{around.name}: " if around is not None and around.kind == "call" and around.records else ""
    if isinstance(error, TypeError) and any([getattr(x, "dtype", None) == object for x in operands]):
        raise TypeError(
            f"{within}{name}: not defined for exact fractions (dtype object); use floating-point numbers"
        ) from error
    settings = ", ".join(f"{k}={setting(v)}" for k, v in params.items())
    asked = f"{within}{name} of {' and '.join(map(found, operands))}{f' with {settings}' if settings else ''}"
    kind: type[Exception] = TypeError
    if isinstance(error, IndexError):
        kind = OutOfRangeError
    elif isinstance(error, OverflowError):
        raise OverflowError(f"{asked} is not defined: a whole number is beyond the range of its dtype") from error
    elif isinstance(error, ValueError | ZeroDivisionError):
        kind = ValueError
    raise kind(f"{asked} is not defined: {error}") from error


if TYPE_CHECKING:
    from .declared import Declared

    class _Base(Declared, Recorded): ...
else:
    _Base = Recorded


class Tensor(_Base):
    """A value (ndarray, read-only) that remembers its line; without a primitive it is an input, parameter or constant.

    Make one with ``ac.tensor``.  ``value`` is the array; ``grad`` is None until ``backward()`` of something computed
    from it, then an array of the same shape.  ``constant`` lines have no gradient: plain arrays and numbers that met a
    Tensor, integers, what ``stop_gradient`` cut, and all that depends only on those.

    >>> x = ac.tensor([1.0, 2.0], name="x")
    >>> y = x * 3
    >>> y
    tensor([3., 6.], line=mul)
    >>> y.operands[0] is x, y.primitive
    (True, <primitive mul>)
    """

    __slots__ = (
        "__weakref__",
        "constant",
        "grad",
        "name",
        "operands",
        "params",
        "primitive",
        "scope",
        "serial",
        "subscripts",
    )
    __array_priority__ = 1000.0
    __hash__ = object.__hash__

    def __init__(
        self,
        value: np.ndarray,
        primitive: Primitive | None = None,
        operands: tuple[Tensor, ...] = (),
        params: Mapping[str, Any] | None = None,
        scope: Scope | None = None,
        name: str | None = None,
        constant: bool = False,
    ) -> None:
        try:
            value.flags.writeable = False
        except (AttributeError, ValueError):
            raise TypeError(
                f"Tensor: the value must be an array, found {found(value)}; use ac.tensor, which makes one of lists "
                "and numbers"
            ) from None
        self._value: np.ndarray = value
        self.primitive = primitive
        self.operands = operands
        self.params: Mapping[str, Any] = params or {}
        self.scope = scope
        self.name = name
        self.constant = constant
        self.grad: np.ndarray | None = None
        self.subscripts: str | None = None  # as ``tensor`` was told; views work it out for what is computed
        self.serial = _next_serial()

    @property
    def value(self) -> np.ndarray:
        watching = watcher.get()
        if watching is not None:
            watching.read(self)
        if self.primitive is None and not self.constant and changes_in_place(sys._getframe(1)):
            return self._value.view(HeldValue)
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def size(self) -> Size:
        return Size.of(self._value)

    @property
    def dtype(self) -> np.dtype:
        return self._value.dtype

    @property
    def device(self) -> str:
        """Where the numbers are: in the memory of the "cpu"."""
        return "cpu"

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """The Tensor itself, which is in the memory of the "cpu"; ValueError for another device, or a stream of one."""
        if device != "cpu" or stream is not None:
            raise ValueError(
                f"to_device: {found(device)}; a Tensor is in the memory of the 'cpu', which has no streams"
            )
        return self

    @property
    def mT(self) -> Tensor:  # noqa: N802 (the array API's name)
        """The last two axes exchanged: a batch of matrices, each transposed."""
        if self.ndim < 2:
            raise ValueError(f"mT: shape {self.shape} has fewer than two axes")
        return self.swapaxes(-1, -2)

    @property
    def source(self) -> str:
        """Where the user's program makes this line, as in "net.py, line 12: x = self.conv(x)"; "" if nobody has said.

        A backward line has the source of the forward line that it serves.
        """
        around = self.scope
        while around is not None:
            if around.kind == "source":
                return around.name
            around = around.of.scope if around.kind == "backward" and around.of is not None else around.parent
        return ""

    def numpy(self) -> np.ndarray:
        """A copy of the value that may be written to."""
        return self.value.copy()

    def item(self) -> Any:
        """The one element as a Python number; ValueError if there are more."""
        if self.size != 1:
            raise ValueError(f"item: shape {self.shape} has {self.size} elements; index one of them first, as in t[0]")
        return self.value.item()

    def assign(self, value: Any) -> None:
        """Give an input or parameter a new value of the same shape, a copy in its dtype; ``t.value = ...`` does so too.

        It becomes younger than every line that read it, so a sweep over such a line is refused: the numbers it was
        recorded with are gone.  Raises TypeError for a computed line, ValueError for another shape.
        """
        if self.primitive is not None:
            raise TypeError(
                f"assign: {describe(self)} was computed by {self.primitive.name}; only inputs and parameters can be "
                "given a new value"
            )
        new = as_array(value, self.dtype, "assign")
        if new.shape != self.shape:
            raise ValueError(
                f"assign: {describe(self)} cannot take a value of shape {new.shape}; the shapes must be equal"
            )
        new.flags.writeable = False
        watching = watcher.get()
        if watching is not None:
            watching.assigned(self)
        self._value, self.serial = new, _next_serial()

    def __repr__(self) -> str:
        extra = [f"name={self.name!r}"] if self.name else []
        if self.dtype not in (np.float64, np.bool_, np.int64):
            extra.append(f"dtype={self.dtype}")
        if self.primitive is not None:
            extra.append(f"line={self.primitive.name}")
        body = np.array2string(self.value, separator=", ", prefix="tensor(", threshold=1000)
        return f"tensor({', '.join([body, *extra])})"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len: a 0-dimensional Tensor has no length; float(t) reads it")
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.item())

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(f"index: {found(self)} is no whole number; only a Tensor of shape () of integers is one")
        return int(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def to_numpy(self) -> np.ndarray:
        """The same as ``numpy``, under pandas' name: what matplotlib asks for before it draws."""
        return self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """The same with arrays of its own, its gradient among them, as PyTorch copies a parameter."""
        leaf = self._leaf_copy()
        leaf.grad = copy.deepcopy(self.grad, memo)
        return leaf

    def __copy__(self) -> Tensor:
        """Of an input or parameter one with a value of its own; a computed line, which never changes, is its own
        copy."""
        return self._leaf_copy() if self.primitive is None else self

    def __reduce__(self) -> Any:
        leaf = self._leaf_copy()
        return _rebuild, (type(self), leaf.value, leaf.name, leaf.constant, leaf.subscripts)

    def _leaf_copy(self) -> Tensor:
        if self.primitive is not None and not self.constant:
            raise TypeError(
                f"copy: {describe(self)} was computed by {self.primitive.name} and stands on a tape; copy its t.value "
                "instead"
            )
        return _rebuild(type(self), self.value, self.name, self.constant, self.subscripts)


def _rebuild(kind: type[Tensor], value: np.ndarray, name: str | None, constant: bool, subscripts: str | None) -> Tensor:
    made = kind(value.copy(), name=name, constant=constant)
    made.subscripts = subscripts
    return made


def describe(x: Tensor) -> str:
    """A Tensor in an error message: its name or line, and its shape."""
    what = repr(x.name) if x.name else "an input" if x.primitive is None else f"a result of {x.primitive.name}"
    return f"{what} of shape {x.shape}"


def tensor(
    data: Any, dtype: Any = None, name: str | None = None, subscripts: str = "matrix", *, requires_grad: bool = True
) -> Tensor:
    """A Tensor that owns a copy of ``data`` (array, nested lists, number or Tensor), of any shape.

    Floating-point data and exact fractions (dtype object) can be differentiated; integers and booleans cannot.
    subscripts: how equations write its elements: "matrix" as w_{0,1}, "flat" counted from 1, as w_2; what is computed
    from flat tensors alone is flat.
    requires_grad=False makes a constant, which has no gradient.
    Raises TypeError for text, complex numbers and ragged lists, ValueError for other subscripts.

    >>> ac.tensor([[1.0, 2.0]], name="w")
    tensor([[1., 2.]], name='w')
    """
    if not isinstance(subscripts, str) or subscripts not in ("matrix", "flat"):
        raise ValueError(f"tensor: subscripts={shown(subscripts)}; use 'matrix' (w[0,1]) or 'flat' (w_2)")
    array = as_array(data.value if isinstance(data, Tensor) else data, dtype)
    still = not flag(requires_grad, "tensor: requires_grad") or array.dtype.kind not in "fO"
    made = Tensor(array, name=name, constant=still)
    made.subscripts = subscripts
    return made


def constant(data: Any, what: str = "tensor") -> Tensor:
    """A plain array or number as a line of the tape without a gradient; it owns a copy.  ``what``: whose operand it is,
    for the error message."""
    return Tensor(as_array(data, what=what), constant=True)


# What is recorded elsewhere and can be asked for its tape all the same: its kinds, and what makes its line (with all
# that it was computed from, and a function that finds the lines of others of its kind).
Lines = Callable[[Any], list[Tensor]]
elsewhere: list[tuple[tuple[type, ...], Callable[[Any], tuple[Tensor, Lines]]]] = []


class Tape:
    """The lines that ``outputs`` depend on, inputs and constants included, in recording order.

    Of an ``ac.Scalar`` each scalar is a line without axes, with the value it was recorded with.
    Raises RuntimeError if an input was given a new value (``assign``, an optimiser's step) after a line had read it.

    >>> x = ac.tensor([1.0, 2.0], name="x")
    >>> y = ac.exp(x) * x
    >>> ac.Tape(y)
    Tape of 3 lines
    %0    (2,)               input   # x
    %1    (2,)               exp(%0)
    %2    (2,)               mul(%1, %0)
    """

    def __init__(self, *outputs: Any) -> None:
        self.elsewhere: list[Lines] = []
        self.outputs: tuple[Tensor, ...] = tuple([self._line(y) for y in outputs])
        outputs = self.outputs
        lines, waiting = {id(y): y for y in outputs}, list(outputs)
        while waiting:
            line = waiting.pop()
            for x in line.operands:
                if x.serial > line.serial:
                    raise RuntimeError(
                        f"{describe(x)} was given a new value after a line had read it; its old value is gone: compute "
                        "the output again, then ask"
                    )
                if id(x) not in lines:
                    lines[id(x)] = x
                    waiting.append(x)
        self.lines: list[Tensor] = sorted(lines.values(), key=lambda line: line.serial)

    def _line(self, y: Any) -> Tensor:
        if isinstance(y, Tensor):
            return y
        for kinds, linked in elsewhere:
            if isinstance(y, kinds):
                line, lines_of = linked(y)
                self.elsewhere.append(lines_of)
                return line
        raise TypeError(f"Tape: an output must be a Tensor, found {found(y)}; what was it computed from?")

    @property
    def of_scalars(self) -> bool:
        """Whether it is the tape of something recorded elsewhere, an ``ac.Scalar``."""
        return bool(self.elsewhere)

    def lines_of(self, x: Any) -> list[Tensor]:
        """The lines of ``x``, a Scalar: one, none if it is not on this tape, several if it was given new values."""
        return [line for lines_of in self.elsewhere for line in lines_of(x)]

    @property
    def inputs(self) -> list[Tensor]:
        """The lines without a primitive whose gradient may be asked for: inputs and parameters."""
        return [line for line in self.lines if line.primitive is None and not line.constant]

    def run(self, inputs: Mapping[Tensor, Any]) -> tuple[Any, ...]:
        """The outputs for other ``inputs`` of the same shapes: the program is valid for every one of them.

        Arrays give arrays; Tensors are recorded again.
        """
        values: dict[int, Any] = {}
        for line in self.lines:
            if line in inputs:
                values[id(line)] = inputs[line]
            elif line.primitive is None:
                values[id(line)] = line.value
            else:
                values[id(line)] = line.primitive(*[values[id(x)] for x in line.operands], **line.params)
        return tuple(values[id(y)] for y in self.outputs)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.lines)

    def __reversed__(self) -> Iterator[Tensor]:
        return reversed(self.lines)

    def __getitem__(self, i: int) -> Tensor:
        return self.lines[i]

    def __repr__(self) -> str:
        number = {id(line): i for i, line in enumerate(self.lines)}
        placed = [("", 0), *[(line.source, id(line)) for line in self.lines if line.scope is not None]]
        said = {number: there for (before, _), (there, number) in pairwise(placed) if there != before}

        def row(line: Tensor) -> str:
            i = number[id(line)]
            if line.primitive is None:
                plain = line.constant and line.size and not any(line.value.strides)
                source = f"constant {line.value.flat[0]}" if plain else "constant" if line.constant else "input"
            else:
                params = [f"{k}={setting(v)}" for k, v in line.params.items()]
                source = f"{line.primitive.name}({', '.join([f'%{number[id(x)]}' for x in line.operands] + params)})"
            notes = "".join([f"   # {note}" for note in (line.name, said.get(id(line))) if note])
            return f"%{i:<4} {line.shape!s:18} {source}{notes}"

        shown = [row(line) for line in self.lines] if len(self) <= 60 else [
            *map(row, self.lines[:30]), f"... {len(self) - 60:,} more lines ...",
            *map(row, self.lines[-30:])]  # fmt: skip
        return "\n".join([f"Tape of {len(self):,} lines", *shown])


def setting(value: Any) -> str:
    """A param as a reader writes it: slices with colons, tuples in brackets."""
    if isinstance(value, slice):
        parts = [value.start, value.stop] + [value.step] * (value.step not in (None, 1))
        return ":".join("" if x is None else str(x) for x in parts)
    if isinstance(value, tuple) and any(isinstance(x, slice) for x in value):
        return f"[{', '.join(map(setting, value))}]"
    return "..." if value is Ellipsis else str(value)
