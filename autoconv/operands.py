"""What an operand and a setting may be, checked once at the doors through which every call goes.

An operand is a Tensor, an array of floating-point numbers, integers, booleans or exact fractions, one number, or a
nested list of these.  Everything else is refused here, with the function's and the parameter's name, before any
arithmetic; so no function needs a check of its own, and no error comes from inside.
"""

from __future__ import annotations

from numbers import Rational, Real
from typing import Any

import numpy as np

from .arrays import exact

Array = np.ndarray[Any, Any]

ARRAYS = (np.ndarray, np.generic)


class Size(int):
    """How many elements a Tensor has: a whole number, as ``x.size`` is in NumPy, that can be called as in PyTorch.

    >>> x = ac.zeros(2, 3)
    >>> x.size, x.size(), x.size(0), x.size // 2
    (6, (2, 3), 2, 3)
    """

    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> Size:
        """That of an array."""
        size = cls(array.size)
        size.shape = array.shape
        return size

    def __call__(self, dim: int | None = None) -> Any:
        """The shape, or one size of it."""
        return self.shape if dim is None else self.shape[dim]

    def __reduce__(self) -> Any:
        return int, (int(self),)


PYTHONS = (int, float, Size)  # numbers of Python's own, which never widen an array
KINDS = "fiub"  # of the dtypes with arithmetic: floating point, integers, unsigned integers, booleans
NUMBERS = "floating-point numbers, integers, booleans or fractions.Fraction"


class OutOfRangeError(IndexError, ValueError):
    """An index that an array does not have: an IndexError, as for lists, and a ValueError, as for every other setting
    that does not fit the shape."""


def as_array(data: Any, dtype: Any = None, what: str = "tensor") -> Array:
    """``data`` as a new C-ordered array in native byte order; whole numbers in object arrays become exact fractions.

    Raises TypeError for what has no arithmetic here: text, None, complex numbers, dates, ragged lists; OverflowError
    for a whole number beyond the range of ``dtype``.
    """
    if dtype is not None:
        dtype = as_dtype(dtype, what)
    if not isinstance(data, ARRAYS) or data.dtype.kind not in KINDS:
        checked = numbers(data, what, exactly=dtype == object)
        data = checked if checked.dtype == object else data
    try:
        array = np.array(data, dtype=dtype, order="C")
    except (ValueError, TypeError) as error:
        raise TypeError(f"{what}: {found(data)} does not become an array of dtype {dtype}: {error}") from None
    except OverflowError as error:
        raise OverflowError(f"{what}: {error}; use a dtype that holds it") from None
    if array.dtype.kind == "O":
        return exact(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def numbers(x: Any, what: str, exactly: bool = False) -> Array:
    """``x`` as an array of numbers, its own memory where it is one already; TypeError for anything else.

    Object arrays come back with an exact Fraction for every number; ``exactly`` makes one of every list.
    """
    if isinstance(x, ARRAYS) and x.dtype.kind in KINDS:
        return np.asarray(x)
    if type(x) in (int, Size) and not exactly and not -(2**63) <= x < 2**64:
        raise OverflowError(f"{what}: {_whole(x)} is beyond the range of int64; fractions.Fraction holds any number")
    dtype = object if exactly else None
    try:
        array = np.asarray(x, dtype)
    except Exception as error:  # whatever the elements' own conversion raises
        raise TypeError(f"{what}: this is not a regular array of numbers: {error}; use {NUMBERS}") from None
    if array.dtype.kind == "O":
        return _fractions(array, x, what)
    if array.dtype.kind not in KINDS:
        raise TypeError(f"{what}: {found(x)} (dtype {array.dtype}) is not supported; use {NUMBERS}")
    return array


def _fractions(array: Array, x: Any, what: str) -> Array:
    """An object array with an exact Fraction for every number; TypeError if anything in it is no number."""
    for element in array.ravel().tolist():
        if type(element).__module__.startswith("autoconv.scalar"):
            if array.ndim:
                continue  # an array of Scalars goes through the same functions, element by element
            raise TypeError(
                f"{what}: a Scalar has its functions as methods, as in x.exp() or np.exp(x), and records them on a "
                "tape of its own; for arrays make a Tensor, with ac.tensor"
            )
        if not isinstance(element, Rational | float | np.floating | np.bool_):
            raise TypeError(f"{what}: {found(x)} holds {found(element)}, which is no number; use {NUMBERS}")
    try:
        return exact(array)
    except (ValueError, OverflowError) as error:
        raise TypeError(f"{what}: {error}; an exact fraction is finite") from None


def as_dtype(dtype: Any, what: str) -> Any:
    """``dtype`` as NumPy's; TypeError for one that does not exist or has no arithmetic here."""
    try:
        known = np.dtype(dtype)
    except Exception:
        known = None
    if known is None or dtype is None or known.kind not in KINDS + "O":
        raise TypeError(f"{what}: dtype {_short(dtype)} is not supported; use {NUMBERS}, as in float or np.float32")
    return known


def number_as(x: Any, dtype: Any, name: str) -> Array:
    """A Python number in ``dtype`` (it never widens an array); OverflowError for a whole number beyond its range."""
    try:
        if type(x) in (int, Size) and dtype.kind in "iu":
            return np.array(x, dtype)
        value = np.asarray(x)
        return exact(value) if dtype == object else value.astype(dtype)
    except (OverflowError, ValueError):
        pass
    raise OverflowError(f"{name}: {_whole(x)} is beyond the range of {dtype}; cast first, as in x.astype(float)")


def real(value: Any, what: str, *, low: float | None = None, above: float | None = None) -> float:
    """A setting that is one real number, as it was given; TypeError for anything else, ValueError below ``low`` or not
    above ``above``."""
    if type(value) is not float and not _is_real(value):
        raise TypeError(f"{what} must be a number, found {found(value)}")
    try:
        small = (low is not None and not value >= low) or (above is not None and not value > above)
        float(value)
    except OverflowError:
        raise ValueError(f"{what} must be within the range of floating point, found {_whole(value)}") from None
    if small:
        raise ValueError(f"{what} must be {'at least' if above is None else 'above'} {low if above is None else above},"
                         f" found {value}")  # fmt: skip
    return value


def _is_real(value: Any) -> bool:
    if isinstance(value, ARRAYS):
        return value.ndim == 0 and value.dtype.kind in KINDS
    return isinstance(value, Real)


def is_processor(asked: Any, name: str) -> bool:
    """Whether this names the processor, the only device; ValueError for another device."""
    device = str(asked).split(":")[0]
    if device in ("cuda", "mps", "xpu", "gpu", "meta"):
        raise ValueError(f"{name}: {str(asked)!r}: autoconv computes on the processor; leave it out, or write 'cpu'")
    return device == "cpu"


_seeded: np.random.Generator | None = None  # by ``manual_seed``: drawn from where no generator and no seed is given


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator that everything draws from that is given none: initial weights, dropout, ``ac.randn``.

    Returns it.  Without a call of this function each of them is seeded by the system.  Raises TypeError for what is no
    seed.

    >>> made = ac.manual_seed(0)
    >>> first = ac.rand(2)
    >>> made = ac.manual_seed(0)
    >>> bool(ac.all(ac.rand(2) == first))
    True
    """
    global _seeded
    _seeded = generator(seed, "manual_seed: seed") if seed is not None else None
    return generator(_seeded, "manual_seed: seed")


def generator(rng: Any, what: str) -> np.random.Generator:
    """A generator as it is; of a seed (a whole number, several, or None) a new one.  TypeError for anything else."""
    if rng is None and _seeded is not None:
        return _seeded
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        return np.random.default_rng(rng)
    except Exception:
        pass
    raise TypeError(f"{what} must be a generator of random numbers, a seed or None, found {found(rng)}")


def found(x: Any) -> str:
    """A value as an error message shows it: type, shape and dtype of an array, else the value itself where it is
    short."""
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape} and dtype {_short(x.dtype)}"
    if hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, np.generic | type):
        return f"a {type(x).__name__} of shape {x.shape} and dtype {_short(x.dtype)}"
    if x is None or isinstance(x, str | bytes | bool | float | complex):
        return _short(x)
    if isinstance(x, int):
        return _whole(x)
    return f"{_short(x)} of type {type(x).__name__}"


def _short(x: Any) -> str:
    try:
        text = " ".join(repr(x).split())
    except Exception:
        return f"a {type(x).__name__}"
    return text if len(text) <= 60 else f"{text[:40]} ..."


def _whole(x: Any) -> str:
    """A whole number, written out where that is short."""
    if isinstance(x, int) and abs(x) >= 10**30:
        return f"a whole number of about {int(x.bit_length() * 0.30103) + 1} digits"
    return _short(x)
