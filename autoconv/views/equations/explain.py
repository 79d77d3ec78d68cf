"""``ac.explain``: where the gradient of one number comes from, as an equation with the run's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from ...render.latex import element
from ...scalar import FlatTape, Scalar
from ...tape import Tensor
from ..element import asked, element_at
from ..lines import variable_of, variables
from .explanation import Explanation
from .of_scalars import OfScalars, analysed_output
from .terms import Context
from .value import ValueExplanation, explain_value


@overload
def explain(
    of: Tensor | Scalar | FlatTape, thing: Any, /, depth: int | None = None, names: Mapping[str, Any] | None = None
) -> Explanation: ...
@overload
def explain(
    thing: Any, /, *, of: Tensor | Scalar | FlatTape, depth: int | None = None, names: Mapping[str, Any] | None = None
) -> Explanation: ...
@overload
def explain(
    *, thing: Any, of: Tensor | Scalar | FlatTape, depth: int | None = None, names: Mapping[str, Any] | None = None
) -> Explanation: ...
@overload
def explain(
    value: Tensor | Scalar, /, *, depth: int | None = None, names: Mapping[str, Any] | None = None
) -> ValueExplanation: ...
def explain(
    y: Any = None,
    thing: Any = None,
    depth: int | None = None,
    names: Mapping[str, Any] | None = None,
    *,
    of: Tensor | Scalar | FlatTape | None = None,
) -> Explanation | ValueExplanation:
    """Where the gradient of ``thing`` in the output ``y`` comes from: the sum of its terms, in symbols and in numbers;
    of one tensor or Scalar alone, where its value comes from.

        d y / d x = sum over the elements T that read x of (d y / d T) (d T / d x)

    Called as ``explain(y, w[0, 0])``, or as ``explain(w[0, 0], of=y)``; ``explain(y[0, 0])`` explains a value.

    y: a tensor with one element, such as a loss (or its ``ac.expand``).  thing: an element, as ``w[0, 0]`` of a weight,
    pixel, bias or intermediate result, or a 0-d tensor, or a pair (tensor, index).  Of a Scalar y, a Scalar.
    depth: levels that are written out; 1 keeps the cotangents as symbols, None goes on to ``y``.  names: variables that
    name tensors without a name, as locals(); Scalars may also be in lists (``w[0,1]``), dictionaries and objects
    (``model.w[0,1]``).

    Raises TypeError for what is no tensor or cannot be differentiated, ValueError for more than one element or a depth
    below 1, RuntimeError if an input was given a new value since.

    >>> x, w = ac.tensor([1.0, 2.0], name="x"), ac.tensor([3.0, 4.0], name="w")
    >>> y = (w * x).sum()
    >>> ac.explain(y, w[1])
    dL/dw[1] = x[1] d[1]
             = 2·1
             = 2
      with d[...] = dL/d%2[...]
      where %2 is the result of mul
      d[1] = 1
    >>> ac.explain(ac.conv1d(x, w)[0])
    L = x[0] w[0] + x[1] w[1]
      = 1·3 + 2·4
      = 11
    >>> a, b = ac.Scalar(2.0, name="a"), ac.Scalar(5.0, name="b")
    >>> ac.explain(a * b + 1)
    L = a b + 1
      = 2·5 + 1
      = 11
    """
    check_depth(depth)
    if of is None and (y is None) != (thing is None):
        return explain_value(thing if y is None else y, names, depth)
    variables(names, "explain")  # refuses what is no mapping
    thing, output = asked("explain", y, thing, of)
    known = analysed_output(output, "explain")
    named = variables(names, "explain", known.tape)
    context = Context(known, named)
    scalar = known.scalar_of(thing, "explain")
    if scalar is None:
        line = thing[0] if isinstance(thing, tuple) else thing
        label = line.name or variable_of(line, names) or "x"
        return Explanation(context, None, depth, element(label, (), ()))
    return Explanation(context, context.sum(scalar, plain=True), depth, context.symbols.element(scalar))


def check_depth(depth: Any) -> None:
    """ValueError for a depth that is no number of levels."""
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(f"explain: depth={depth!r}; use a whole number of levels from 1, or None for all")


def explain_line(
    of: Scalar, place: int, names: Mapping[str, Any] | None = None, depth: int | None = None
) -> Explanation:
    """The explanation of line number ``place`` of ``Tape(of)``, of which nothing but its place is known."""
    known = analysed_output(of, "explain")
    assert isinstance(known, OfScalars)
    context = Context(known, variables(names, "explain", known.tape))
    scalar = known.scalar_at(place)
    return Explanation(context, context.sum(scalar, plain=True), depth, context.symbols.element(scalar))


def explain_text(of: Tensor | Scalar, at: str, names: Mapping[str, Any] | None = None, depth: int | None = None) -> str:
    """The explanation of the element written ``at``, as "w1[0,0]", in ``of``: what the command line prints."""
    return explain(element_at(at, of, names), of=of, depth=depth, names=names).text
