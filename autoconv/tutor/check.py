"""``ac.check``: "here is the gradient I derived; am I right, and if not, where did I go wrong?" """

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Protocol, TypeVar, overload

import numpy as np

from ..arrays.threads import one_thread
from ..backward import sweep
from ..scalar import KINDS, Scalar, expand
from ..tape import Tape, Tensor, describe
from .answers import right, simple, values
from .answers.wrong import without_search, wrong
from .claim.case import Case, target
from .claim.claim import Claim, Names, finite, tolerance_of
from .claim.compare import Tolerance, equal, scale_of
from .run.replay import Recorded, Run
from .run.terms import rounding_of, term_sizes
from .search.search import SCALARS, SEARCHED
from .verdict import Verdict

Marks = TypeVar("Marks", covariant=True)


class Marking(Protocol[Marks]):
    """What marks its own answers: a worksheet, or the key of one."""

    def mark(self, answers: Any) -> Marks: ...


@overload
def check(claim: Any, /, *, of: Marking[Marks]) -> Marks: ...


@overload
def check(sheet: Marking[Marks], answers: Any, /) -> Marks: ...


@overload
def check(
    claim: Any,
    /,
    *,
    of: Tensor | Scalar,
    wrt: Any = None,
    names: Mapping[str, Any] | None = None,
    rtol: float | None = None,
) -> Verdict: ...


@overload
def check(
    y: Tensor | Scalar,
    claim: Any,
    /,
    wrt: Any = None,
    names: Mapping[str, Any] | None = None,
    rtol: float | None = None,
) -> Verdict: ...


def check(
    y: Any = None, claim: Any = None, wrt: Any = None, names: Any = None, rtol: Any = None, of: Any = None
) -> Any:
    """Compare a claimed gradient dy/dwrt with the true one, element by element, and find what went wrong; without
    ``wrt``, a claimed value of y itself.

        dy/dwrt[i, ..] = sum over every path from wrt[i, ..] to y of the product of the local derivatives along it

    The output stands first, ``check(y, claim, wrt=w)``, or by name, ``check(claim, of=y, wrt=w)``.

    claim: one of
      an array of wrt's shape, or one number (with ``wrt=w[0, 0]``);
      a shape, as in (3, 3);
      a rule in a word: "sum", "mean", "same for all";
      a function of the tensors, by their names, that returns an array;
      a formula as text, as in "(i[0,0] + i[0,1]) * 2*(o2 - y)", "full(d, rot180(w))" or
      "dw[p,q] = sum(i, j, x[2*i+p, 2*j+q] * d[i,j])" (see below);
      a dict {tensor: array} of several cotangents, checked from the loss down.
    y: the loss, one number.  wrt: a Tensor on its tape, of any shape, an element or part of one, or its name, as in
    "w[0, 0]"; None: the claim is about the value of y, of any shape, as in ``check(8.5, of=y[0, 1])``.
    names: names for tensors without one, and for plain arrays, as in names=locals().  rtol: how closely numbers must
    agree, relative, from 0 to 1 (default 1e-6, 1e-4 for float32, and the last digit of numbers written by hand).

    A formula has names, numbers, + - * / ** // %, indices and slices; elementwise functions (exp, log, tanh, sigmoid,
    relu, max, min, ...); sum, mean, max, min over an axis; softmax, matmul, transpose; conv, full, conv_transpose with
    the settings of ``ac.conv2d``, rot180, dilate(d, 2), pad(x, 1).  sum(i, j, ...) is a sum over letters: each runs
    over the axis that it is the whole index of, or as sum(0 <= i < 3, ...) says; outside an array there is 0;
    delta(i, j) is 1 where i = j.  Letters on the left, dw[p, q] = ..., are the axes of the gradient.  It is read by a
    grammar of its own, never executed as Python, and refused with numbers where it would compute too many.

    A function or a formula is tried at fresh inputs as well, and on a larger geometry.  A wrong claim is explained by
    the mistakes of ``ac.mistakes()``, planted in the sweep one and two at a time until it gives the very same numbers.

    y may be a Scalar, wrt one, and a formula speaks of Scalars by their names.

    A tape of more than 2 million elements (or 1,000 Scalars) is neither run again nor searched: there only a sign, a
    constant factor and another order of the elements are told.

    Returns a Verdict, which is true if the claim is right.  With a worksheet or its key for y, the claim is the answers
    {number: value}, and what ``sheet.mark(answers)`` returns comes back.
    Raises TypeError and ValueError for what cannot be compared: a y that is not one number, a constant, nan, an unknown
    name.

    Rules of the sweep: the vjps of the table, as in Griewank & Walther, Evaluating Derivatives (2008), chapter 3.

    >>> import autoconv as ac
    >>> w = ac.tensor([1.0, 2.0], name="w")
    >>> y = ac.sum(w**2)
    >>> print(ac.check(y, "2*w", wrt=w).summary)
    this is the gradient.
    >>> print(ac.check(y, [1.0, 2.0], wrt=w).mistakes[0].name)
    factor 2 or 1/2 of the loss
    >>> print(ac.check(5, of=y).summary)
    this is the value.
    """
    y, claim = _output_and_claim(y, claim, of)
    if not isinstance(y, Tensor) and callable(getattr(y, "mark", None)):
        return y.mark(claim)
    if not isinstance(y, (Tensor, *KINDS)):
        raise TypeError(f"check: of must be the loss, a Tensor or Scalar; found {type(y).__name__}")
    given, tape = y, Tape(y)
    y = tape.outputs[0]
    if wrt is None and not isinstance(claim, Mapping):
        return values.of_value(y, claim, names, rtol, tape)
    if y.size != 1:
        raise ValueError(f"check: of has shape {y.shape}; a gradient needs one number: reduce it, as in of=ac.sum(y)")
    if y.constant:
        raise TypeError(
            f"check: {describe(y)} depends on no floating-point tensor (whole numbers have no gradient); make one with "
            "ac.tensor(data, dtype=float)"
        )
    known = Names(tape, names)
    if isinstance(claim, Mapping):
        return simple.several_cotangents(claim, tape, known, lambda c, w: _compared(c, given, tape, known, w, rtol))
    return _compared(claim, given, tape, known, known.tensor(wrt) if isinstance(wrt, str) else wrt, rtol)


def _compared(claim: Any, given: Any, tape: Tape, known: Names, wrt: Any, rtol: float | None) -> Verdict:
    """The verdict about one claim; ``given`` is the output as it was given, ``tape`` its tape."""
    line, places, shape = target(wrt, tape)
    read = Claim(claim, known, shape, places.size == 1)
    large = sum(x.size for x in tape) > SEARCHED or (len(tape) > SCALARS and not any(x.ndim for x in tape))
    with nullcontext() if large else one_thread():
        run = Recorded(tape, line, _swept(given, tape, line)) if large else Run(tape, line)
        if not run.finite:
            raise ValueError("check: the loss or its gradient is infinite or nan at these inputs; choose others")
        return _judged(Case(tape, line, places, shape, known, read, run, output=given), large, rtol)


def _judged(case: Case, large: bool, rtol: float | None) -> Verdict:
    """The verdict about a claim whose loss has been run again, or is too ``large`` for that."""
    line, places, shape, read, run = case.line, case.places, case.shape, case.read, case.run
    if read.kind == "shape":
        return simple.shape(case)
    if read.kind == "rule":
        return simple.rule(case)
    first = finite(read.evaluate(run), f"the {read.kind}")
    tolerance = tolerance_of(read, first, line.dtype, rtol, case.gradient)
    if first.shape != shape and not (first.size == places.size == 1):
        return simple.other_shape(case, first, tolerance)
    case.claimed = first.reshape(shape)
    tolerance = tolerance._replace(zero=1e-10 * scale_of(case.truth))
    if not np.any(case.truth):  # what is left of a gradient that is zero is rounding
        tolerance = tolerance._replace(absolute=np.maximum(tolerance.absolute, 1e-12))
    right_here = equal(case.flat, case.truth, tolerance)
    if not right_here and not large:
        narrowest = next((d for d in ("float16", "float32") if d in (read.dtype, line.dtype.name)), "float64")
        right_here, tolerance = _within_rounding(case, run, tolerance, narrowest)
    if large:
        return right.right(case, tolerance) if right_here else without_search(case, tolerance)
    if read.replayable:
        return right.everywhere(case, tolerance, right_here)
    return right.right(case, tolerance) if right_here else wrong(case, tolerance)


def _swept(y: Any, tape: Tape, line: Tensor) -> np.ndarray | None:
    """The gradient of a line of a Scalar's tape, from its flat form: a line each would be slow. None of a Tensor y."""
    if not isinstance(y, KINDS):
        return None
    place = next(i for i, x in enumerate(tape) if x is line)
    return np.asarray(expand(y).sweep()[place + 1])


def _within_rounding(case: Case, run: Run, tolerance: Tolerance, precision: str) -> tuple[bool, Tolerance]:
    """Whether the claim is off by rounding alone, as measured by the size of the gradient's terms; and a tolerance.

    A gradient that is nothing but rounding is zero: then the numbers left of it are taken away.  Where a slope is a
    small difference of large numbers (1 - tanh(x)**2), the tape's own sweep shows how much of it is left.
    """
    terms = term_sizes(run).ravel()[case.places]
    nothing = np.abs(case.truth) <= rounding_of(run).ravel()[case.places]
    if np.all(nothing & (np.abs(case.flat) <= tolerance.relative * terms)):
        return True, tolerance._replace(absolute=tolerance.relative * terms)  # both are zero, next to their terms
    rounding = rounding_of(run, precision).ravel()[case.places]
    if case.line.dtype.name != "float64":  # what the tape itself makes of it in its own precision is no mistake
        own = np.asarray(sweep(case.tape.outputs[0], [case.line])[0], dtype=float)
        rounding = np.maximum(rounding, 2 * np.abs(own.ravel()[case.places] - case.truth))
    if np.all(nothing) and np.any(case.truth):
        run.gradient = np.zeros(run.gradient.shape)
        tolerance = tolerance._replace(absolute=np.maximum(tolerance.absolute, rounding), zero=0.0)
    within = tolerance._replace(absolute=np.maximum(tolerance.absolute, rounding))
    right = equal(case.flat, case.truth, within)
    return right, within if right else tolerance


def _output_and_claim(y: Any, claim: Any, of: Any) -> tuple[Any, Any]:
    """(output, claim) of either form of the call."""
    if of is not None:
        if y is not None and claim is not None:
            raise TypeError("check: of= names the output, so the claim alone stands first: check(claim, of=y, wrt=w)")
        return of, y if claim is None else claim
    if y is not None and claim is None:
        raise TypeError(
            "check: give the output and the claim, as in check(y, claim, wrt=w) or check(claim, of=y, wrt=w)"
        )
    if _is_output(claim) and not _is_output(y):
        text = "check(claim, y): the output comes first now, as in check(y, claim, wrt=w); or name it, as in of=y"
        warnings.warn(text, DeprecationWarning, stacklevel=3)
        return claim, y
    return y, claim


def _is_output(x: Any) -> bool:
    """Whether x can be what a gradient is of, or a worksheet."""
    if isinstance(x, Tensor):
        return x.size == 1 and not x.constant
    if isinstance(x, KINDS):
        return True
    return callable(getattr(x, "mark", None))
