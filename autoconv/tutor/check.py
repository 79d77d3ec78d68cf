"""``ac.check``: "here is the gradient I derived; am I right, and if not, where did I go wrong?" """

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from ..exercises.key import Key
from ..exercises.marking import Marks, mark
from ..tape import Tape, Tensor, describe
from . import answers
from .claim import Claim, Names, finite, rounding
from .fit import Tolerance, equal, scale_of
from .replay import Study
from .verdict import Verdict


@overload
def check(claim: Any, of: Key) -> Marks: ...


@overload
def check(
    claim: Any, of: Tensor, wrt: Any = None, names: Mapping[str, Any] | None = None, rtol: float | None = None
) -> Verdict: ...


def check(claim: Any, of: Any, wrt: Any = None, names: Any = None, rtol: float | None = None) -> Verdict | Marks:
    """Compare a claimed gradient d of / d wrt with the true one, element by element, and find what went wrong.

    claim: an array of wrt's shape; one number (with ``wrt=w[0, 0]``); a shape, as in (3, 3); a rule in a word ("sum", "mean",
    "same for all"); a function of the tensors, by their names, that returns an array; a formula as text, as in
    "(i[0,0] + i[0,1]) * 2*(o2 - y)", with names, indices, + - * / **, abs exp log tanh max min sum sigmoid, conv, rot180,
    full; or a dict {tensor: array} of several cotangents, checked from the loss down.
    of: the loss, one number.  wrt: a Tensor on its tape, or an element or part of one, or its name, as in "w[0, 0]".  names: names for tensors without
    one, as in names=locals().  rtol: how closely numbers must agree (default 1e-6, 1e-4 for float32, and the last digit
    of numbers written by hand).
    Returns a Verdict, which is true if the claim is right.  Raises TypeError and ValueError for what cannot be compared.
    With of=exercise or its key, the claim is the answers {number: value} of a worksheet, and the Marks of them come back.
    """
    if isinstance(of, Key):
        return mark(claim, of)
    if not isinstance(of, Tensor):
        raise TypeError(f"check: of must be the loss, a Tensor; found {type(of).__name__}")
    if of.size != 1:
        raise ValueError(f"check: of has shape {of.shape}; a gradient needs one number: reduce it, as in of=ac.sum(y)")
    if of.constant:
        raise TypeError(
            f"check: {describe(of)} depends on no floating-point tensor (whole numbers have no gradient); make one with "
            "ac.tensor(data, dtype=float)"
        )
    tape = Tape(of)
    known = Names(tape, names)
    if isinstance(claim, Mapping):
        return answers.several(claim, tape, known, lambda c, w: check(c, of, w, names, rtol))
    if wrt is None:
        raise TypeError("check: with respect to what? Give wrt=w, a Tensor, or wrt=w[0, 0], one element")
    line, places, shape = target(known.tensor(wrt) if isinstance(wrt, str) else wrt, tape)
    read = Claim(claim, known, shape, places.size == 1)
    study = Study(tape, line)
    if not study.finite:
        raise ValueError("check: the loss or its gradient is infinite or nan at these inputs; choose others")
    case = answers.Case(tape, line, places, shape, known, read, study)
    if read.kind == "shape":
        return answers.shape(case)
    if read.kind == "rule":
        return answers.rule(case)
    first = finite(read.evaluate(study), f"the {read.kind}")
    tolerance = _tolerance(read, first, line, rtol, study.gradient.ravel()[places].reshape(shape))
    if first.shape != shape and not (first.size == places.size == 1):
        return answers.other_shape(case, first, tolerance)
    case.claimed = first.reshape(shape)
    tolerance = tolerance._replace(zero=1e-10 * scale_of(case.truth))
    if not np.any(case.truth):  # what is left of a gradient that is zero is rounding
        tolerance = tolerance._replace(absolute=max(tolerance.absolute, 1e-12))
    right_here = equal(case.flat, case.truth, tolerance)
    if read.replayable:
        return answers.everywhere(case, tolerance, right_here)
    return answers.right(case, tolerance) if right_here else answers.wrong(case, tolerance)


def target(wrt: Any, tape: Tape) -> tuple[Tensor, np.ndarray, tuple[int, ...]]:
    """The line asked about, the flat indices of the elements meant, and their shape."""
    on_tape = {id(line) for line in tape}
    if isinstance(wrt, Tensor) and id(wrt) in on_tape:
        line, places, shape = wrt, np.arange(wrt.size), wrt.shape
    else:
        from ..views.element import resolve

        try:
            line, places = resolve(wrt, tape)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("focus:", "check: wrt:", 1)) from None
        shape = wrt.shape if isinstance(wrt, Tensor) else (() if places.size == 1 else places.shape)
    if line.constant:
        raise TypeError(f"check: {describe(line)} is a constant; it has no gradient")
    return line, places, shape


def _tolerance(read: Claim, first: np.ndarray, line: Tensor, rtol: float | None, truth: np.ndarray) -> Tolerance:
    if rtol is not None:
        if not 0 <= rtol < 1:
            raise ValueError(f"check: rtol={rtol} must be at least 0 and below 1")
        return Tolerance(rtol)
    narrow = {"float16": 5e-3, "float32": 1e-4}
    relative = max(narrow.get(read.dtype, 1e-6), narrow.get(line.dtype.name, 1e-6))
    return Tolerance(relative, 0.0 if read.replayable or not first.size else rounding(first, truth))
