"""Scalar: works like a Python float and records what it did on a flat tape; ``backward()`` fills in ``grad``.

The values follow IEEE arithmetic as the tensors do (1 / Scalar(0) is inf, the logarithm of 0 is -inf), and the
derivatives at kinks are those of the table in ``primitives.py``.  Its functions (``x.exp()``, ``x.tanh()``,
``x.logaddexp(y)``, ..) are rows of the table, under the row's name and NumPy's, so that ``np.exp(x)`` finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..tape import Primitive
from . import rules
from .recording import NOWHERE, WIDTH, Segment, leave, meet, sweep, watching
from .rules import ABS, ADD, COMPILED, DIV, MAX, MAX_FIRST, MIN, MIN_FIRST, MUL, NEG, OPERATIONS, POWER, SUB

_new = object.__new__


class Scalar:
    """A number that remembers how it was computed.

    >>> a, b = ac.Scalar(2.0), ac.Scalar(-3.0)
    >>> c = a * b + a.exp()
    >>> c.backward()
    >>> b.grad
    2.0

    It mixes with Python's and NumPy's numbers and lives in NumPy arrays of dtype object.  Comparisons compare values,
    ``hash`` is the object's own.  A Scalar may be used by several threads, but by one at a time.
    Raises TypeError if ``value`` is not a real number.
    """

    __slots__ = ("__weakref__", "_grad", "_home", "_i", "_name", "_v")

    def __init__(self, value: Any, name: str | None = None) -> None:
        number = value if value.__class__ is float else _number(value)
        if number is None:
            raise TypeError(
                f"Scalar: {value!r} of type {type(value).__name__} is not a real number; give an int or a float, "
                "or ac.tensor an array"
            )
        self._v: float = number
        self._home: Segment = NOWHERE
        self._i = 0
        self._grad: float | None = 0.0  # None: computed, and its gradient is in its segment
        self._name = name

    # ---- value, gradient, name

    @property
    def data(self) -> float:
        """The value; an input may be given a new one, which what was computed before does not see."""
        leave()
        return self._v

    @data.setter
    def data(self, value: Any) -> None:
        leave()
        number = _number(value)
        if self._grad is None:
            raise TypeError("data: this Scalar was computed; only an input can be given a new value")
        if number is None:
            raise TypeError(f"data: {value!r} is not a real number")
        self._v, self._home = number, NOWHERE

    @property
    def grad(self) -> float:
        """What ``backward`` added up so far."""
        if self._grad is not None:
            return self._grad
        return self._home.grads[self._i] if self._i < len(self._home.grads) else 0.0

    @grad.setter
    def grad(self, value: Any) -> None:
        if self._grad is not None:
            self._grad = float(value)
        else:
            grads = self._home.grads
            grads.extend([0.0] * (self._i + 1 - len(grads)))
            grads[self._i] = float(value)

    @property
    def name(self) -> str | None:
        return self._name if self._grad is not None else self._home.names.get(self._i)

    @name.setter
    def name(self, name: str) -> None:
        if self._grad is not None:
            self._name = name
        else:
            self._home.names[self._i] = name

    @property
    def operation(self) -> str:
        """The row of the table that made it, or "input"."""
        return "input" if self._grad is not None else rules.OPERATIONS[self._home.rows[WIDTH * self._i]].name

    @property
    def _place(self) -> tuple[Segment, int] | None:
        """The segment and row of a computed Scalar, None of an input."""
        return None if self._grad is not None else (self._home, self._i)

    def backward(self) -> None:
        """Add d self / d x to ``x.grad`` of every x that this was computed from, and of itself (1).

        A second call adds again.
        """
        if self._grad is not None:
            self._grad += 1.0
        else:
            sweep(self._home, self._i)

    # ---- arithmetic: sums and products are what a net consists of, so these two do without the call of _two

    def __add__(self, other: Any) -> Scalar:
        if other.__class__ is Scalar:
            home = self._home
            row = home.count
            if home is not other._home or row >= home.limit:
                return _two(ADD, self, other, 1.0, 1.0, self._v + other._v)
            made = _new(Scalar)
            made._v = value = self._v + other._v
            home.extend((ADD, self._i, other._i, 1.0, 1.0, value))
            home.count = row + 1
            made._home, made._i, made._grad = home, row, None
            return made
        if other.__class__ is float:
            return _one(ADD, self, 1.0, self._v + other, other)
        return _with(ADD, self, other)

    def __radd__(self, other: Any) -> Scalar:
        return _with(ADD, self, other, reflected=True)

    def __sub__(self, other: Any) -> Scalar:
        return _with(SUB, self, other)

    def __rsub__(self, other: Any) -> Scalar:
        return _with(SUB, self, other, reflected=True)

    def __mul__(self, other: Any) -> Scalar:
        if other.__class__ is Scalar:
            home = self._home
            row = home.count
            if home is not other._home or row >= home.limit:
                return _two(MUL, self, other, other._v, self._v, self._v * other._v)
            made = _new(Scalar)
            made._v = value = self._v * other._v
            home.extend((MUL, self._i, other._i, other._v, self._v, value))
            home.count = row + 1
            made._home, made._i, made._grad = home, row, None
            return made
        if other.__class__ is float:
            return _one(MUL, self, other, self._v * other, other)
        return _with(MUL, self, other)

    def __rmul__(self, other: Any) -> Scalar:
        return _with(MUL, self, other, reflected=True)

    def __truediv__(self, other: Any) -> Scalar:
        return _with(DIV, self, other)

    def __rtruediv__(self, other: Any) -> Scalar:
        return _with(DIV, self, other, reflected=True)

    def __pow__(self, other: Any) -> Scalar:
        if not isinstance(other, Scalar) and (number := _number(other)) is not None:
            value, dx = rules.power_of_number(self._v, number)
            return _one(POWER, self, dx, value, number)
        return _with(POWER, self, other)

    def __rpow__(self, other: Any) -> Scalar:
        return _with(POWER, self, other, reflected=True)

    def __neg__(self) -> Scalar:
        return _apply(NEG, self)

    def __pos__(self) -> Scalar:
        return self

    def __abs__(self) -> Scalar:
        return _apply(ABS, self)

    # ---- functions

    def relu(self) -> Scalar:
        """max(0, x), with slope 0 at 0."""
        value, _, dx = rules.apply(MAX_FIRST, 0.0, self._v)
        return _one(MAX_FIRST, self, dx, value, left=True)

    if TYPE_CHECKING:  # bound to the rows of the table below; the commonest are listed here

        def exp(self) -> Scalar: ...
        def log(self) -> Scalar: ...
        def sqrt(self) -> Scalar: ...
        def tanh(self) -> Scalar: ...
        def sin(self) -> Scalar: ...
        def cos(self) -> Scalar: ...

    def sigmoid(self) -> Scalar:
        """1 / (1 + e^-x), with exponents that are never positive, so that nothing overflows."""
        if watching():  # this form holds for every input
            e = self.minimum(0.0).exp()
            return e / ((-self.maximum(0.0)).exp() + e)
        if self._v >= 0:
            return 1.0 / ((-self).exp() + 1.0)
        e = self.exp()
        return e / (e + 1.0)

    def maximum(self, other: Any, ties: str = "split") -> Scalar:
        """The larger of two; at a tie half the gradient goes to each, with ties="first" all to self."""
        return _greatest("maximum", _by_ties("maximum", ties, MAX, MAX_FIRST), self, other)

    def minimum(self, other: Any, ties: str = "split") -> Scalar:
        """The smaller of two; ties as in ``maximum``."""
        return _greatest("minimum", _by_ties("minimum", ties, MIN, MIN_FIRST), self, other)

    # ---- as a float

    __hash__ = object.__hash__

    def __float__(self) -> float:
        return self.data

    def __int__(self) -> int:
        return int(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __eq__(self, other: object) -> Any:
        return NotImplemented if (c := _number(other)) is None else self.data == c

    def __lt__(self, other: Any) -> Any:
        return NotImplemented if (c := _number(other)) is None else self.data < c

    def __le__(self, other: Any) -> Any:
        return NotImplemented if (c := _number(other)) is None else self.data <= c

    def __gt__(self, other: Any) -> Any:
        return NotImplemented if (c := _number(other)) is None else self.data > c

    def __ge__(self, other: Any) -> Any:
        return NotImplemented if (c := _number(other)) is None else self.data >= c

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Scalar(data={self._v!r}, grad={self.grad!r}{name})"

    def __reduce__(self) -> Any:
        if self._grad is None:
            raise TypeError("copy: this Scalar was computed and stands on a tape; copy float(x) instead")
        return type(self), (self._v, self._name), getattr(self, "__dict__", None)


Scalar.__module__ = "autoconv.scalar"  # where it is imported from, so that a pickle suits both floors


def _number(x: Any) -> float | None:
    """A real number or a Scalar's value as a float; None for anything else."""
    kind = x.__class__
    if kind is float:
        return x
    if isinstance(x, Scalar):
        return x._v
    return float(x) if isinstance(x, Real) else None


def _by_ties(name: str, ties: str, split: int, first: int) -> int:
    if ties not in ("split", "first"):
        raise ValueError(f"{name}: ties={ties!r}; use 'split' or 'first'")
    return split if ties == "split" else first


def _greatest(name: str, code: int, x: Scalar, other: Any) -> Scalar:
    result = _with(code, x, other)
    return _refused(name, other) if result is NotImplemented else result


def _refused(name: str, other: Any) -> Any:
    raise TypeError(f"{name}: {other!r} of type {type(other).__name__} is not a real number or a Scalar")


def _two(code: int, x: Scalar, y: Scalar, dx: float, dy: float, value: float) -> Scalar:
    """Record an operation on two Scalars."""
    home = x._home
    row = home.count
    if home is y._home and row < home.limit:
        home.extend((code, x._i, y._i, dx, dy, value))
    else:
        home, (a, b) = meet(x, y)
        row = home.count
        home.extend((code, a, b, dx, dy, value))
    home.count = row + 1
    made = _new(Scalar)
    made._v, made._home, made._i, made._grad = value, home, row, None
    return made


def _one(code: int, x: Scalar, dx: float, value: float, number: float = 0.0, left: bool = False) -> Scalar:
    """Record an operation on one Scalar; ``number`` is the other operand of a binary one, on the ``left`` or the
    right."""
    home, i = x._home, x._i
    row = home.count
    if row >= home.limit:
        home, (i,) = meet(x)
        row = home.count
    home.extend((code, 0, i, number, dx, value) if left else (code, i, 0, dx, number, value))
    home.count = row + 1
    made = _new(Scalar)
    made._v, made._home, made._i, made._grad = value, home, row, None
    return made


def _apply(code: int, x: Scalar) -> Scalar:
    value, dx = rules.apply(code, x._v)
    return _one(code, x, dx, value)


def _with(code: int, x: Scalar, other: Any, reflected: bool = False) -> Any:
    """A binary operation with a Scalar or a number; ``reflected``: the other is the left operand."""
    if isinstance(other, Scalar):
        if reflected:
            x, other = other, x
        value, dx, dy = rules.apply(code, x._v, other._v)
        return _two(code, x, other, dx, dy, value)
    number = _number(other)
    if number is None:
        return NotImplemented
    if reflected:
        value, _, dx = rules.apply(code, number, x._v)
    else:
        value, dx, _ = rules.apply(code, x._v, number)
    return _one(code, x, dx, value, number, reflected)


def methods(codes: Sequence[int], record: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Methods for the rows with these codes, by the row's name and by that of NumPy's function.

    ``record(code, x)`` and ``record(code, x, y)`` compute and write down.
    """
    found: dict[str, Callable[..., Any]] = {}
    for code in codes:
        row = OPERATIONS[code].primitive
        assert row is not None
        method = _method(code, row, record)
        found |= dict.fromkeys((row.name, row.ufunc.__name__ if row.ufunc else row.name), method)
    return found


def _method(code: int, row: Primitive, record: Callable[..., Any]) -> Callable[..., Any]:
    def unary(self: Scalar) -> Any:
        return record(code, self)

    def binary(self: Scalar, other: Any) -> Any:
        result = record(code, self, other)
        return _refused(row.name, other) if result is NotImplemented else result

    method = unary if row.arity == 1 else binary
    method.__name__, method.__qualname__ = row.name, f"Scalar.{row.name}"
    method.__doc__ = f"The row {row.name} of the table."
    return method


for _name, _bound in methods(
    [code for code, o in enumerate(OPERATIONS) if code >= COMPILED or (o.primitive and o.primitive.function)],
    lambda code, *xs: _apply(code, *xs) if len(xs) == 1 else _with(code, *xs),
).items():
    setattr(Scalar, _name, _bound)
