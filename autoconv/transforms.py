"""Derivatives of functions, made of the sweep: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp; and vmap.

Each calls the function on fresh lines of the tape and sweeps back from its output.  For plain arrays the results are
plain arrays; for Tensors, and inside another derivative, they are recorded and can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, Literal, NamedTuple, ParamSpec, overload

import numpy as np

from . import arrays, operands
from .backward import check_cotangent, own, sweep
from .hooks import differentiating
from .operands import found
from .primitives import TABLE, concat, contract, identity, reshape
from .shapes import flag, normalize_axis, whole_number, whole_numbers
from .tape import Tensor, describe, tensor
from .tree import flatten

P = ParamSpec("P")

_inside: ContextVar[bool] = ContextVar("autoconv_inside_transform", default=False)


def fresh(x: Any) -> Tensor:
    """A line of its own for an argument, so that nested derivatives do not confuse each other."""
    if isinstance(x, Tensor) and not x.constant:
        return identity(x)
    line = tensor(x)
    if line.constant:
        raise TypeError(
            f"gradient: an argument of dtype {line.dtype} cannot be differentiated; use floating point, "
            "as in 2.0 or ac.tensor(data, dtype=float)"
        )
    return line


def as_result(y: Any, what: str) -> Tensor:
    """What a function returned as a Tensor to sweep from; floating-point numbers that depend on nothing are constants.

    Raises TypeError for anything else: text, tuples, whole numbers, None.
    """
    if isinstance(y, Tensor):
        return y
    if isinstance(y, float | Fraction | np.ndarray | np.generic):
        value = np.array(y)
        if value.dtype.kind in "fO":
            return Tensor(value, constant=True)
    if y is None:
        remedy = "does its return statement stand there?"
    elif isinstance(y, tuple | list | dict):
        remedy = "return the one that is to be differentiated (has_aux=True allows a pair: value, anything)"
    else:
        remedy = "only floating-point results can be differentiated"
    shown = repr(y) if len(repr(y)) <= 60 else f"{repr(y)[:57]}..."
    raise TypeError(f"{what}: the function returned {shown} ({type(y).__name__}), not a Tensor; {remedy}")


class Recording(NamedTuple):
    """One call of a function on fresh lines: its output, the lines, and whether the sweep has to be recorded.

    It has to be when an argument is a Tensor, or inside another derivative, whose function may still read it.
    """

    y: Tensor
    lines: list[Tensor]
    unflatten: Callable[[Sequence[Any]], Any]
    recorded: bool
    aux: Any = None

    def pull(self, cotangent: Any = None) -> Any:
        """The cotangents of the arguments, in their structure."""
        cotangent = check_cotangent(self.y, cotangent)
        if self.recorded and not isinstance(cotangent, Tensor):
            cotangent = Tensor(np.array(cotangent), constant=True)
        return self.unflatten([own(g) for g in sweep(self.y, self.lines, cotangent)])

    @property
    def value(self) -> Any:
        return self.y if self.recorded else own(self.y.value)[()]


def run(
    f: Callable[..., Any], args: tuple[Any, ...], argnums: int | Sequence[int], has_aux: bool = False, **kwargs: Any
) -> Recording:
    """Call ``f`` with fresh lines in the places ``argnums``."""
    if not callable(f):
        raise TypeError(f"gradient: the function must be callable, found {found(f)}")
    numbers = whole_numbers(argnums, "gradient: argnums")
    several = isinstance(argnums, Sequence) or getattr(argnums, "ndim", 0) > 0
    if len({i % max(len(args), 1) for i in numbers}) < len(numbers):
        raise ValueError(f"gradient: argnums={argnums} must name each argument once")
    if any(not -len(args) <= i < len(args) for i in numbers):
        raise ValueError(
            f"gradient: argnums={argnums} but the function was called with {len(args)} positional arguments"
        )
    leaves, unflatten = flatten(tuple(args[i] for i in numbers) if several else args[numbers[0]])
    outer = _inside.get()
    token = _inside.set(True)
    start = differentiating.get()
    try:
        lines = [fresh(x) for x in leaves]
        if not start and lines:
            differentiating.set(lines[0].serial)
        placed = unflatten(lines)
        chosen = dict(zip((i % len(args) for i in numbers), placed if several else (placed,), strict=True))
        out = f(*[chosen.get(i, x) for i, x in enumerate(args)], **kwargs)
    finally:
        _inside.reset(token)
        differentiating.set(start)
    if flag(has_aux, "gradient: has_aux") and not (isinstance(out, tuple | list) and len(out) == 2):
        raise TypeError(f"gradient: with has_aux the function must return (value, anything), found {found(out)}")
    y, aux = out if has_aux else (out, None)
    y = as_result(y, "gradient")
    return Recording(y, lines, unflatten, outer or any(isinstance(x, Tensor) for x in leaves), aux)


@overload
def value_and_grad(
    f: Callable[P, Any], argnums: int = 0, has_aux: Literal[False] = False
) -> Callable[P, tuple[Tensor, Tensor]]: ...
@overload
def value_and_grad(
    f: Callable[P, Any], argnums: Sequence[int], has_aux: Literal[False] = False
) -> Callable[P, tuple[Tensor, tuple[Tensor, ...]]]: ...
@overload
def value_and_grad(
    f: Callable[P, Any], argnums: int | Sequence[int] = 0, *, has_aux: Literal[True]
) -> Callable[P, tuple[tuple[Tensor, Any], Any]]: ...
def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns (f(x), df/dx) for a scalar f; arguments may be nested lists, tuples and dicts of arrays.

    argnums: which argument is differentiated, or several.  With ``has_aux`` f returns (value, anything) and so does the
    first of the pair.  For plain arrays the results are plain arrays; for Tensors, and inside another derivative, they
    are recorded and can be differentiated again.  What f does not depend on gets zeros.
    Raises TypeError, when called, for arguments that are not floating point and for an f that returns anything but a
    Tensor or a floating-point number, ValueError for one that is not a scalar.

    >>> ac.value_and_grad(lambda x: x * x)(3.0)
    (np.float64(9.0), array(6.))
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        recording = run(f, args, argnums, has_aux, **kwargs)
        gradient = recording.pull()
        return ((recording.value, recording.aux) if has_aux else recording.value), gradient

    return call


@overload
def grad(f: Callable[P, Any], argnums: int = 0, has_aux: Literal[False] = False) -> Callable[P, Tensor]: ...
@overload
def grad(
    f: Callable[P, Any], argnums: Sequence[int], has_aux: Literal[False] = False
) -> Callable[P, tuple[Tensor, ...]]: ...
@overload
def grad(
    f: Callable[P, Any], argnums: int | Sequence[int] = 0, *, has_aux: Literal[True]
) -> Callable[P, tuple[Any, Any]]: ...
def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns df/dx of a scalar f, in the structure of x = argument number ``argnums`` (or several).

    With ``has_aux`` f returns (value, anything), and the result is (df/dx, anything).  What f does not depend on gets
    zeros.  Raises TypeError, when called, for arguments that are not floating point and for an f that returns anything
    but a Tensor or a floating-point number, ValueError for one that is not a scalar.

    >>> ac.grad(lambda x: x * x)(3.0)
    array(6.)
    >>> ac.grad(ac.grad(ac.sin))(0.5).round(4)  # -sin
    np.float64(-0.4794)
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        recording = run(f, args, argnums, has_aux, **kwargs)
        return (recording.pull(), recording.aux) if has_aux else recording.pull()

    return call


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Tensor, Callable[[Any], tuple[Tensor, ...]]]:
    """(f(*args), pullback): pullback(y_bar) gives x_bar[j..] = sum_i y_bar[i..] dy[i..]/dx[j..] for each argument, in a
    tuple.

    Raises TypeError for arguments that are not floating point; the pullback ValueError for a y_bar of another shape.

    >>> y, pullback = ac.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    recording = run(f, args, tuple(range(len(args))))
    return recording.value, recording.pull


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Tensor, Tensor]:
    """(f(primals), dy/dx . tangents): the directional derivative of f.

    vjp is linear in its cotangent, so its own vjp is the jvp (Townsend, "A new trick for calculating Jacobian vector
    products", 2017): no rule is needed for it.  Several arguments are tuples.
    Raises TypeError for primals that are not floating point, ValueError for tangents of another shape.

    >>> ac.jvp(lambda x: x * x, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """
    primals, tangents = [x if isinstance(x, tuple) else (x,) for x in (primals, tangents)]
    recording = run(f, primals, tuple(range(len(primals))))
    leaves, directions = recording.lines, flatten(tangents)[0]
    if len(leaves) != len(directions):
        raise ValueError(f"jvp: {len(directions)} tangents for {len(leaves)} arguments; give one for each")
    directions = [v if isinstance(v, Tensor) else operands.numbers(v, "jvp: tangent") for v in directions]
    for x, v in zip(leaves, directions, strict=True):
        if np.shape(v) != x.shape:
            raise ValueError(f"jvp: a tangent of shape {np.shape(v)} for {describe(x)}; they must have the same shape")
    dummy = tensor(arrays.zeros(recording.y.shape, recording.y.dtype))
    cotangents = [
        v if isinstance(v, Tensor) or not recording.recorded else tensor(v, dtype=x.dtype)
        for x, v in zip(leaves, directions, strict=True)
    ]
    parts = [sweep(g, [dummy], v)[0] for g, v in zip(sweep(recording.y, leaves, dummy), cotangents, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return recording.value, own(total)


def jacobian(f: Callable[P, Any], argnums: int = 0) -> Callable[P, Tensor]:
    """A function that returns J[i.., j..] = dy[i..] / dx[j..], of shape (*y.shape, *x.shape): one sweep for each
    element of y.

    x is the argument number ``argnums``.  Raises TypeError, when called, for an argument that is not floating point.

    >>> ac.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    def call(*args: Any, **kwargs: Any) -> Tensor:
        recording = run(f, args, whole_number(argnums, "jacobian: argnums"), **kwargs)
        if len(recording.lines) != 1:
            raise ValueError(f"jacobian: the argument holds {len(recording.lines)} arrays; it must be one")
        basis = np.eye(recording.y.size, dtype=recording.y.dtype).reshape(recording.y.size, *recording.y.shape)
        x = recording.lines[0]
        rows = [reshape(recording.pull(unit), shape=(1, x.size)) for unit in basis]
        joined = concat(*rows, axis=0) if rows else arrays.zeros((0, x.size), x.dtype)
        return reshape(joined, shape=(*recording.y.shape, *x.shape))

    return call


def jacrev(f: Callable[P, Any], argnums: int = 0) -> Callable[P, Tensor]:
    """``jacobian`` under the name that says how: row by row, one sweep back for each element of y.

    >>> ac.jacrev(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return jacobian(f, argnums)


def jacfwd(f: Callable[P, Any], argnums: int = 0) -> Callable[P, Tensor]:
    """``jacobian`` column by column: one directional derivative (``jvp``) for each element of x.

    The numbers are those of ``jacrev``; it takes fewer steps where y has more elements than x.

    >>> ac.jacfwd(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    def call(*args: Any, **kwargs: Any) -> Tensor:
        if not callable(f):
            raise TypeError(f"jacfwd: the function must be callable, found {found(f)}")
        number = whole_number(argnums, "jacfwd: argnums")
        if not -len(args) <= number < len(args):
            raise ValueError(
                f"jacfwd: argnums={argnums} but the function was called with {len(args)} positional arguments"
            )
        x = args[number] if isinstance(args[number], Tensor) else operands.numbers(args[number], "jacfwd: argument")
        rest = list(args)

        def along(value: Any) -> Any:
            rest[number] = value
            return f(*rest, **kwargs)

        shape, dtype = x.shape, x.dtype
        basis = np.eye(int(x.size), dtype=dtype).reshape(int(x.size), *shape)
        columns = [jvp(along, x, unit)[1] for unit in basis]
        if not columns:
            return jacobian(f, argnums)(*args, **kwargs)
        rows = concat(*[reshape(g, shape=(1, int(g.size))) for g in columns], axis=0)
        turned = TABLE["permute_dims"](rows, axes=(1, 0))
        return reshape(turned, shape=(*columns[0].shape, *shape))

    return call


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: int = 0) -> Callable[..., Any]:
    """A function that calls f for each slice of its arguments, and stacks the results.

    in_axes: along which axis the arguments are taken apart, one for all or a tuple with one for each; None: the
    argument is the same for every call.  out_axes: along which axis the results stand.  f is called as many times as
    there are slices, and each call is recorded: right for every f, with nothing gained in speed.  Raises ValueError for
    sizes that differ, or if nothing is mapped.

    >>> ac.vmap(ac.dot)(np.ones((3, 2)), np.ones((3, 2)))
    array([2., 2., 2.])
    >>> ac.vmap(ac.grad(lambda w, x: ac.sum(w * x)), in_axes=(None, 0))(np.ones(2), np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """
    if not callable(f):
        raise TypeError(f"vmap: the function must be callable, found {found(f)}")
    place = whole_number(out_axes, "vmap: out_axes")

    def call(*args: Any, **kwargs: Any) -> Any:
        axes = list(in_axes) if isinstance(in_axes, tuple | list) else [in_axes] * len(args)
        if len(axes) != len(args):
            raise ValueError(f"vmap: in_axes={in_axes} for {len(args)} arguments; give one for each")
        given = [x if isinstance(x, Tensor) or a is None else operands.numbers(x, "vmap: argument")
                 for x, a in zip(args, axes, strict=True)]  # fmt: skip
        mapped = {i: normalize_axis(a, given[i].ndim, "vmap") for i, a in enumerate(axes) if a is not None}
        sizes = {given[i].shape[a] for i, a in mapped.items()}
        if len(sizes) != 1 or sizes == {0}:
            raise ValueError(f"vmap: the mapped arguments have sizes {sorted(sizes)}; they must be equal, and above 0")

        def part(i: int, k: int) -> Any:
            return TABLE["index"](given[i], key=(*(slice(None),) * mapped[i], k)) if i in mapped else given[i]

        results = [f(*[part(i, k) for i in range(len(given))], **kwargs) for k in range(sizes.pop())]
        leaves, unflatten = zip(*[flatten(y) for y in results], strict=True)
        return unflatten[0]([_stacked(ys, place) for ys in zip(*leaves, strict=True)])

    return call


def _stacked(parts: Sequence[Any], place: int) -> Any:
    """Results along a new axis."""
    known = [y if isinstance(y, Tensor) else operands.numbers(y, "vmap: result") for y in parts]
    ndim = known[0].ndim + 1
    axis = normalize_axis(place, ndim, "vmap")
    if len({y.shape for y in known}) > 1:
        raise ValueError(f"vmap: the results have shapes {sorted({y.shape for y in known})}; they must be equal")
    shape = known[0].shape
    return concat(*[reshape(y, shape=(*shape[:axis], 1, *shape[axis:])) for y in known], axis=axis)


def hessian(f: Callable[P, Any], argnums: int = 0) -> Callable[P, Tensor]:
    """A function that returns H[i.., j..] = d2f / dx[i..] dx[j..] of a scalar f, of shape (*x.shape, *x.shape).

    x is the argument number ``argnums``.  Raises TypeError, when called, for an argument that is not floating point.

    >>> ac.hessian(lambda x: x[0] * x[0] * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Tensor:
    """The Hessian of scalar f at x times v, of x's shape, without the Hessian: d/dx (df/dx . v).

    y[i..] = sum_j d2f / dx[i..] dx[j..] v[j..].  Raises ValueError for a v of another shape.

    >>> ac.hvp(lambda x: x[0] * x[0] * x[1], np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([4., 2.])
    """
    x, v = [z if isinstance(z, Tensor) else operands.numbers(z, f"hvp: {k}") for k, z in (("x", x), ("v", v))]
    if np.shape(v) != np.shape(x):
        raise ValueError(f"hvp: v has shape {np.shape(v)}, x has shape {np.shape(x)}; they must be equal")
    letters = "abcdefghijklmnopqrstuvwxyz"[: np.ndim(x)]
    return grad(lambda z: contract(grad(f)(z), v, spec=f"{letters},{letters}->"))(x)
