"""``ac.explain``: where the gradient of one number comes from, as an equation with the run's own numbers.

``terms`` has the sum of one level; ``equation`` writes it (text, LaTeX, MathML, Markdown, CSV, a notebook's HTML) down to
the depth that the reader asked for; ``reasons`` says why a gradient is zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...render.element import resolve
from ...render.latex import element
from ...render.roles import variables
from ...scalar import FlatTape
from ...tape import Tape, Tensor, describe
from . import equation
from .ground import Ground, ground
from .reasons import reason
from .terms import Context, Sum, Term


def explain(
    thing: Any, of: Tensor | FlatTape, depth: int | None = None, names: Mapping[str, Any] | None = None
) -> Explanation:
    """Where the gradient of ``thing`` in ``of`` comes from: the sum of its terms, in symbols and in numbers.

        d of / d x = sum over the elements T that read x of (d of / d T) (d T / d x)

    thing: an element, as ``w[0, 0]`` of a weight, pixel, bias or intermediate result, or a 0-d tensor, or a pair
    (tensor, index).  of: a tensor with one element (or its ``ac.expand``).  depth: levels that are written out; 1 keeps
    the cotangents as symbols, None goes on to ``of``.  names: variables that name tensors without a name, as locals().

    Raises TypeError for what is no tensor or cannot be differentiated, ValueError for more than one element or a depth
    below 1, RuntimeError if an input was given a new value since.
    """
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(f"explain: depth={depth!r}; use a whole number of levels from 1, or None for all")
    known = ground(of, "explain")
    named = variables(names or {})
    context = Context(known, named)
    scalar = find(thing, known)
    if scalar is None:
        line = thing[0] if isinstance(thing, tuple) else thing
        label = line.name or named.get(id(line)) or "x"
        return Explanation(context, None, depth, element(label, (), ()))
    return Explanation(context, context.sum(scalar, plain=True), depth, context.symbols.element(scalar))


def find(thing: Any, known: Ground, operation: str = "explain") -> int | None:
    """The scalar that a reader means by ``thing``; None for a tensor that the output was not computed from."""
    line = thing[0] if isinstance(thing, tuple) and thing else thing
    if not isinstance(line, Tensor):
        raise TypeError(
            f"{operation}: expected an element of a Tensor, as w[0, 0], found {type(line).__name__}; index the tensor that was recorded"
        )
    root = line
    on_tape = {id(x) for x in known.tape}
    while id(root) not in on_tape and root.operands:
        root = root.operands[0]
    if id(root) not in on_tape:
        if root.constant and root.dtype.kind not in "fO":
            raise TypeError(
                f"{operation}: {describe(root)} has dtype {root.dtype}; only floating-point tensors have gradients"
            )
        return None
    tensor, places = resolve(thing, known.tape)
    if tensor.constant:
        raise TypeError(
            f"{operation}: {describe(tensor)} is a constant and has no gradient; make it a tensor with ac.tensor before computing"
        )
    if places.size != 1:
        raise ValueError(
            f"{operation}: {describe(tensor)}: {places.size} elements are meant, one is needed; index it, as in w{[0] * tensor.ndim}"
        )
    return int(known.flat.scalars(tensor).ravel()[places[0]])


class Explanation:
    """The equation of one gradient.  ``terms`` and ``total`` are numbers; a notebook shows the equation, levels to open.

    ``terms``: each with upstream cotangent, local derivative, product and output position; ``total``: the gradient;
    ``reason``: why it is zero, or None; ``text``, ``latex``, ``mathml``, ``markdown``, ``csv``, ``html``: the equation.
    """

    def __init__(self, context: Context, sum_: Sum | None, depth: int | None, at: Any) -> None:
        self._context, self._sum, self.depth, self._at = context, sum_, depth, at

    @property
    def terms(self) -> tuple[Term, ...]:
        return self._sum.terms if self._sum else ()

    @property
    def total(self) -> Any:
        """The gradient d of / d thing."""
        return self._sum.total if self._sum else 0.0

    @property
    def name(self) -> str:
        """What is explained, as "w[0,0]"."""
        return self._at.text

    @property
    def pattern(self) -> str | None:
        """The sum with its index ranges, as "Σ(i=0..2, j=0..2) d[i,j] x[i+1,j]", if the terms follow one."""
        found = self._sum.pattern if self._sum else None
        return found.text if found else None

    @cached_property
    def reason(self) -> str | None:
        """Why the gradient is zero, or None if it is not."""
        if self._sum is None:
            return f"no path: {self._context.of.text} was not computed from it"
        return reason(self._sum)

    @cached_property
    def text(self) -> str:
        return equation.text(self)

    @cached_property
    def latex(self) -> str:
        return equation.latex(self)

    @cached_property
    def mathml(self) -> str:
        return equation.mathml_of(self)

    @cached_property
    def markdown(self) -> str:
        return equation.markdown(self)

    @cached_property
    def csv(self) -> str:
        return equation.csv_of(self)

    @cached_property
    def html(self) -> str:
        from .equationpage import page

        return page(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/html": self.html,
            "text/latex": f"$\\displaystyle {self.latex}$",
            "text/markdown": self.markdown,
            "text/plain": self.text,
        }

    def __repr__(self) -> str:
        return self.text


def explain_text(of: Tensor, at: str, names: Mapping[str, Any] | None = None, depth: int | None = None) -> str:
    """The explanation of the element written ``at``, as "w1[0,0]", of the tape of ``of``: what the command line prints."""
    return explain(parse_at(at, Tape(of), names), of=of, depth=depth, names=names).text


_AT = re.compile(r"\s*(?P<name>%\d+|[^\[\]]+?)\s*(?:\[(?P<index>[^\[\]]*)\])?\s*")


def parse_at(at: str, tape: Tape, names: Mapping[str, Any] | None = None) -> tuple[Tensor, tuple[int, ...]]:
    """The tensor and index that a text as "w1[0,0]", "conv1.weight[0, 0, 0, 3]", "%7[1]" or "loss" means; nothing is run.

    Names are those of the tensors on the tape, then ``names`` (variables), then line numbers of repr(tape).  Raises
    ValueError with the names there are, or the shape that the index must fit.
    """
    match = _AT.fullmatch(at)
    if match is None:
        raise ValueError(f"at: cannot read {at!r}; write a name and whole numbers in brackets, as in w1[0,0]")
    name, index = match["name"], match["index"]
    known: dict[str, Tensor] = {f"%{i}": line for i, line in enumerate(tape)}
    known |= {k: x for k, x in (names or {}).items() if isinstance(x, Tensor)}
    known |= {x.name: x for x in reversed(tape) if x.name}
    if name not in known:
        some = ", ".join(k for k in known if not k.startswith("%")) or f"%0 .. %{len(tape) - 1}"
        raise ValueError(f"at: no tensor is called {name!r}; there are {some}")
    x = known[name]
    parts = [p.strip() for p in index.split(",")] if index and index.strip() else []
    if not all(re.fullmatch(r"-?\d{1,9}", p) for p in parts):
        raise ValueError(f"at: the index of {at!r} must be whole numbers, as in {name}{[0] * x.ndim}")
    place = tuple(int(p) for p in parts)
    if x.size == 1 and not place:
        place = (0,) * x.ndim
    if len(place) != x.ndim or not all(-n <= k < n for k, n in zip(place, x.shape, strict=True)):
        raise ValueError(
            f"at: {name} has shape {x.shape}; {at!r} is not one element of it: give {x.ndim} numbers inside it"
        )
    return x, tuple(int(k) for k in np.mod(place, x.shape)) if place else ()
