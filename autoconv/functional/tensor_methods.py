"""Methods of Tensor that look at how they were called, because NumPy and PyTorch use one name for two things.

NumPy's meaning is what a name has where NumPy's arrays have that method.  Where the call can only be PyTorch's it is
answered as PyTorch does, or refused with what to write instead.  ``methods`` holds the table of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import as_dtype, found, generator, is_processor, real
from ..shapes import flag, whole_numbers
from ..tape import Array, Tensor, describe
from . import array, pick, sorting
from .composed import plain

# ---- shapes


def transpose(x: Any, *axes: Any, **named: Any) -> Tensor:
    """NumPy's: ``t.transpose()``, ``t.transpose(1, 0)``, ``t.transpose((1, 0))`` give the order of all axes.

    PyTorch's ``t.transpose(0, 2)`` exchanges two axes: ``t.swapaxes(0, 2)``.  With two numbers and another number of
    axes it is refused; ``dim0=`` and ``dim1=`` are PyTorch's.

    >>> ac.zeros(2, 3).transpose(dim0=0, dim1=1).shape
    (3, 2)
    """
    if len(axes) == 2 and x.ndim != 2 and not named:
        raise ValueError(
            f"transpose: {axes} for {x.ndim} axes: NumPy's transpose lists every axis; to exchange two, as PyTorch's "
            f"does, write swapaxes{axes}"
        )
    if named:
        return array.transpose(x, *axes, **named)
    return array.transpose(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)


def repeat(x: Any, repeats: Any, *axis: Any, **named: Any) -> Tensor:
    """NumPy's: each slice along ``axis`` so many times in place (PyTorch's repeat_interleave).

    PyTorch's ``t.repeat(2, 1, 1)`` is ``t.tile((2, 1, 1))``; with more than two numbers it is refused.

    >>> ac.tensor([1.0, 2.0]).repeat(2).value
    array([1., 1., 2., 2.])
    """
    if len(axis) > 1 or (axis and isinstance(axis[0], int) and axis[0] >= x.ndim):
        raise ValueError(
            f"repeat: {(repeats, *axis)} for shape {x.shape}: NumPy's repeat takes (repeats, axis); for whole copies "
            f"side by side, as PyTorch's repeat makes them, write tile({(repeats, *axis)})"
        )
    return array.repeat(x, repeats, *axis, **named)


def view(x: Any, *shape: Any) -> Tensor:
    """PyTorch's: ``reshape``.  Raises TypeError for NumPy's, a dtype: the bytes of a recorded value are not read anew.

    >>> ac.zeros(2, 3).view(-1).shape
    (6,)
    """
    if len(shape) == 1 and not isinstance(shape[0], int | np.integer | tuple | list):
        raise TypeError(f"view: {found(shape[0])} is no shape; to convert the numbers, write t.astype(dtype)")
    return array.reshape(x, shape[0] if len(shape) == 1 else shape)


def permute(x: Any, *axes: Any) -> Tensor:
    """The axes in another order: ``t.permute(1, 0)`` or ``t.permute((1, 0))``, ``ac.permute_dims``.

    >>> ac.zeros(2, 3, 4).permute(2, 0, 1).shape
    (4, 2, 3)
    """
    return array.transpose(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


def tile(x: Any, *repetitions: Any) -> Tensor:
    """Whole copies side by side: ``t.tile(2, 1)`` or ``t.tile((2, 1))``, ``ac.tile``; PyTorch's ``repeat``.

    >>> ac.tensor([1.0, 2.0]).tile(2).value
    array([1., 2., 1., 2.])
    """
    return array.tile(x, repetitions[0] if len(repetitions) == 1 else repetitions)


def flip(x: Any, *axis: Any, **named: Any) -> Tensor:
    """In reverse order along the axes: ``t.flip(0, 1)`` or ``t.flip((0, 1))``, ``ac.flip``.

    >>> ac.tensor([1.0, 2.0]).flip(0).value
    array([2., 1.])
    """
    if not axis:
        return array.flip(x, **named)
    return array.flip(x, axis[0] if len(axis) == 1 else axis, **named)


def squeeze(x: Any, *axis: Any, **named: Any) -> Tensor:
    """Without the axes of size 1, or without those named: ``ac.squeeze``.

    >>> ac.zeros(1, 3, 1).squeeze(-1).shape
    (1, 3)
    """
    return array.squeeze(x, *axis, **named)


def t(x: Any) -> Tensor:
    """A matrix transposed; a vector or a number as it is.  Raises ValueError for more axes.

    >>> ac.zeros(2, 3).t().shape
    (3, 2)
    """
    if x.ndim > 2:
        raise ValueError(f"t: shape {x.shape} has more than two axes; write swapaxes, or mT for the last two")
    return array.transpose(x) if x.ndim == 2 else x


def view_as(x: Any, other: Any) -> Tensor:
    """``reshape`` to the shape of another array.

    >>> ac.zeros(2, 3).view_as(ac.zeros(3, 2)).shape
    (3, 2)
    """
    return array.reshape(x, plain(other, "view_as: other").shape)


def expand(x: Any, *shape: Any) -> Tensor:
    """Repeated along axes of size 1 and new leading ones, as ``broadcast_to``; -1 leaves a size as it is.

    >>> ac.tensor([[1.0], [2.0]]).expand(-1, 3).value
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    sizes = whole_numbers(shape[0] if len(shape) == 1 else shape, "expand: shape", -1)
    if len(sizes) < x.ndim or -1 in sizes[: len(sizes) - x.ndim]:
        raise ValueError(
            f"expand: shape {sizes} for an input of shape {x.shape}; name each of its axes, -1 for its own"
        )
    own = (0,) * (len(sizes) - x.ndim) + x.shape
    wanted = tuple(n if size == -1 else size for size, n in zip(sizes, own, strict=True))
    fits = all(m in (1, n) for n, m in zip(wanted[len(wanted) - x.ndim :], x.shape, strict=True))
    if not fits:
        raise ValueError(f"expand: shape {x.shape} cannot be repeated up to {wanted}; each size must be equal or 1")
    return p.broadcast_to(x, shape=wanted)


def expand_as(x: Any, other: Any) -> Tensor:
    """``broadcast_to`` the shape of another array.

    >>> ac.zeros(1, 3).expand_as(ac.zeros(2, 3)).shape
    (2, 3)
    """
    return array.broadcast_to(x, plain(other, "expand_as: other").shape)


# ---- parts


def sort(x: Any, *settings: Any, **named: Any) -> Any:
    """PyTorch's, with ``dim=``: (values, indices).  NumPy's sorts in place, which a Tensor cannot: ``ac.sort(t)``.

    >>> ac.tensor([2.0, 1.0]).sort(dim=0).indices.value
    array([1, 0])
    """
    if not named.keys() & {"dim", "stable"}:
        raise TypeError(
            "sort: NumPy's method sorts in place, and a Tensor keeps its value; write ac.sort(t), or t.sort(dim=-1) "
            "for PyTorch's pair (values, indices)"
        )
    return sorting.sort(x, *settings, **named)


def split(x: Any, split_size: Any, axis: int = 0, **named: Any) -> list[Any]:
    """PyTorch's, since NumPy's arrays have no such method: parts of ``split_size`` elements, or of the sizes listed.

    ``ac.split(t, 2)`` is NumPy's: two parts.

    >>> [part.size for part in ac.arange(5).split(2)]
    [2, 2, 1]
    """
    given = {"dim": axis, **named}
    return array.split(x, split_size=split_size, **given)  # type: ignore[call-arg]


def index_select(x: Any, axis: int, indices: Any) -> Tensor:
    """``take`` in PyTorch's order of arguments.

    >>> ac.tensor([[1.0, 2.0]]).index_select(1, [1]).value
    array([[2.]])
    """
    return array.take(x, indices, axis)


def scatter(x: Any, axis: int, indices: Any, values: Any) -> Tensor:
    """``ac.put_along_axis`` in PyTorch's order of arguments: a new Tensor with ``values`` at ``indices``.

    >>> ac.zeros(3).scatter(0, [1], 5.0).value
    array([0., 5., 0.])
    """
    return pick.put_along_axis(x, indices, values, axis)


def scatter_add(x: Any, axis: int, indices: Any, values: Any) -> Tensor:
    """``ac.put_along_axis`` with mode="add" in PyTorch's order of arguments.

    >>> ac.ones(3).scatter_add(0, [1, 1], ac.tensor([5.0, 5.0])).value
    array([ 1., 11.,  1.])
    """
    return pick.put_along_axis(x, indices, values, axis, "add")


def where(x: Any, condition: Any, other: Any) -> Tensor:
    """The elements of this Tensor where ``condition`` is True, else those of ``other``.

    It is ``ac.where(condition, t, other)``.

    >>> ac.tensor([1.0, 2.0]).where([True, False], 0.0).value
    array([1., 0.])
    """
    return p.where(condition, x, other)


def unbind(x: Any, axis: int = 0) -> list[Tensor]:
    """The slices along ``axis``: ``ac.unbind``.

    >>> [part.item() for part in ac.tensor([1.0, 2.0]).unbind()]
    [1.0, 2.0]
    """
    return pick.unbind(x, axis)


# ---- dtype and device


def to(x: Any, *wanted: Any, **named: Any) -> Tensor:
    """In another dtype: ``t.to(np.float32)``, ``t.to(other)``; "cpu" changes nothing, there is no other device.

    >>> ac.zeros(2).to("cpu", np.float32).dtype
    dtype('float32')
    """
    for k in named.keys() - {"device", "dtype", "non_blocking", "copy"}:
        raise TypeError(f"to() got an unexpected keyword argument {k!r}")
    for asked in (*wanted, *[named[k] for k in ("device", "dtype") if named.get(k) is not None]):
        if isinstance(asked, Tensor):
            x = array.astype(x, asked.dtype)
        elif not is_processor(asked, "to"):
            x = array.astype(x, as_dtype(asked, "to:"))
    return x  # type: ignore[no-any-return]


def _cast(dtype: Any, name: str) -> Callable[[Any], Tensor]:
    def cast(x: Any) -> Tensor:
        return array.astype(x, dtype)

    cast.__name__, cast.__doc__ = name, f"In dtype {np.dtype(dtype)}: ``astype``."
    return cast


CASTS = {
    name: _cast(dtype, name)
    for name, dtype in {
        "float": np.float32, "double": np.float64, "half": np.float16, "long": np.int64, "int": np.int32,
        "short": np.int16, "bool": np.bool_,
    }.items()
}  # fmt: skip


def cpu(x: Any) -> Tensor:
    """This Tensor: every one is on the processor.

    >>> ac.zeros(2).cpu().device
    'cpu'
    """
    return x  # type: ignore[no-any-return]


def cuda(x: Any, *settings: Any) -> Tensor:
    """Raises ValueError: there is no other device than the processor.

    >>> ac.zeros(2).cuda()
    Traceback (most recent call last):
        ...
    ValueError: cuda: 'cuda': autoconv computes on the processor; leave it out, or write 'cpu'
    """
    is_processor("cuda", "cuda")
    return x  # type: ignore[no-any-return]


def clone(x: Any) -> Tensor:
    """A line of its own with the same value, through which the gradient flows.

    >>> x = ac.tensor(2.0)
    >>> x.clone().backward()
    >>> x.grad
    array(1.)
    """
    return p.identity(x)


# ---- in place, on inputs and parameters


class Data(Tensor):
    """What ``t.data`` is: the value as a constant; what is done to it in place is done to ``t``."""

    __slots__ = ("owner",)

    def __init__(self, owner: Tensor) -> None:
        super().__init__(owner.value, constant=True)
        self.owner = owner


def _changed(name: str, x: Any, value: Any) -> Any:
    """x with a new value: ``assign``, for what is no result of a calculation."""
    owner = x.owner if isinstance(x, Data) else x
    if owner.primitive is not None:
        raise TypeError(
            f"{name}: {describe(owner)} was computed by {owner.primitive.name} and stands on a tape; only inputs and "
            "parameters are changed in place: write the function without the underscore"
        )
    owner.assign(value)
    if owner is not x:
        x._value = owner._value
    return x


def _in_place(name: str, f: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def change(x: Any, *operands: Any, **settings: Any) -> Any:
        given = [y.value if isinstance(y, Tensor) else y for y in operands]
        return _changed(name, x, f(x.value, *given, **settings))

    change.__name__, change.__qualname__, change.__doc__ = name, f"Tensor.{name}", doc
    return change


def _scaled(f: Callable[..., Any]) -> Callable[..., Any]:
    """add and sub with PyTorch's ``alpha``, a factor of the other operand."""
    return lambda x, other, alpha=1: f(x, other if alpha == 1 else np.multiply(other, alpha))


def _copied(x: Array, other: Any) -> Array:
    return np.broadcast_to(np.asarray(other), x.shape)


def _normal(x: Array, mean: float = 0.0, std: float = 1.0, generator_: Any = None) -> Any:
    source = generator(generator_, "normal_: generator")
    return source.normal(real(mean, "normal_: mean"), real(std, "normal_: std", low=0), x.shape)


def _uniform(x: Array, low: float = 0.0, high: float = 1.0, generator_: Any = None) -> Any:
    source = generator(generator_, "uniform_: generator")
    return source.uniform(real(low, "uniform_: low"), real(high, "uniform_: high"), x.shape)


# name, the new value, in words
_CHANGES: list[tuple[str, Callable[..., Any], str]] = [
    ("add_", _scaled(p.add), "``other`` added (times ``alpha``)"),
    ("sub_", _scaled(p.sub), "``other`` taken away (times ``alpha``)"),
    ("mul_", p.mul, "Times ``other``"),
    ("div_", p.div, "Divided by ``other``"),
    ("clamp_", array.clip, "Held between two bounds"),
    ("copy_", _copied, "The values of ``other``"),
    ("fill_", lambda x, value: np.full(x.shape, real(value, "fill_: value")), "``value`` everywhere"),
    ("zero_", lambda x: np.zeros(x.shape), "0 everywhere"),
    ("normal_", _normal, "Normal random numbers (mean, std)"),
    ("uniform_", _uniform, "Uniform random numbers between two bounds"),
]
IN_PLACE = {
    name: _in_place(name, f, f"{words}, in place; raises TypeError for a computed Tensor.")
    for name, f, words in _CHANGES
}


def requires_grad_(x: Any, requires_grad: bool = True) -> Any:
    """Whether a gradient is computed for this input or parameter; itself.

    >>> w = ac.tensor(1.0).requires_grad_(False)
    >>> w.requires_grad
    False
    """
    x.requires_grad = requires_grad
    return x


def zero_grad(x: Any) -> None:
    """Forget the gradient: ``grad`` becomes None.

    >>> ac.tensor(1.0).zero_grad()
    """
    x.grad = None


def iterate(x: Tensor) -> Iterator[Any]:
    return (array.getitem(x, i) for i in range(len(x)))


def numel(x: Any) -> int:
    """The number of elements.

    >>> ac.zeros(2, 3).numel()
    6
    """
    return int(x.size)


def dim(x: Any) -> int:
    """The number of axes: ``ndim``.

    >>> ac.zeros(2, 3).dim()
    2
    """
    return int(x.ndim)


def tolist(x: Any) -> Any:
    """The value as nested lists of Python's numbers.

    >>> ac.tensor([[1.0, 2.0]]).tolist()
    [[1.0, 2.0]]
    """
    return x.value.tolist()


def refuse_put(x: Any, *settings: Any, **named: Any) -> None:
    """np.put_along_axis writes into its first argument, which a Tensor cannot take."""
    raise TypeError(
        "np.put_along_axis writes in place, and a Tensor keeps its value; ac.put_along_axis gives a new one"
    )


# ---- properties


class GradFn:
    """Whose rule pulls the gradient of a computed Tensor back: the row, and the same of its operands.

    >>> y = ac.exp(ac.tensor(1.0) * 2)
    >>> y.grad_fn, y.grad_fn.next_functions[0][0]
    (<backward of exp>, <backward of mul>)
    """

    def __init__(self, line: Tensor) -> None:
        self.line = line

    def name(self) -> str:
        """The row's name; of an input "AccumulateGrad", as in PyTorch."""
        return self.line.primitive.name if self.line.primitive else "AccumulateGrad"

    @property
    def next_functions(self) -> tuple[tuple[GradFn | None, int], ...]:
        """(of an operand, 0) for each operand; None for a constant."""
        return tuple((None if x.constant else GradFn(x), 0) for x in self.line.operands)

    def __repr__(self) -> str:
        return f"<backward of {self.name()}>" if self.line.primitive else "<AccumulateGrad>"


def _grad_fn(x: Tensor) -> GradFn | None:
    """None for an input or a constant; otherwise the row that made this Tensor, whose rule pulls the gradient back."""
    return None if x.primitive is None or x.constant else GradFn(x)


def _data(x: Tensor) -> Data:
    """The value as a constant; ``t.data = array`` gives an input a new value (``assign``)."""
    return Data(x)


def _set_data(x: Tensor, value: Any) -> None:
    x.assign(value)


def _requires_grad(x: Tensor) -> bool:
    """Whether a gradient is computed for this Tensor; may be set for inputs and parameters of floating point."""
    return not x.constant


def _set_requires_grad(x: Tensor, wanted: Any) -> None:
    on = flag(wanted, "requires_grad")
    if x.primitive is not None:
        raise TypeError(
            f"requires_grad: {describe(x)} was computed by {x.primitive.name}; it is set for inputs and parameters, "
            "and t.detach() cuts the gradient of a computed Tensor"
        )
    if on and x.dtype.kind not in "fO":
        raise TypeError(f"requires_grad: {describe(x)} has dtype {x.dtype}; only floating point can be differentiated")
    x.constant = not on


def _set_label(x: Tensor, label: str) -> None:
    x.name = label


data = property(_data, _set_data)
requires_grad = property(_requires_grad, _set_requires_grad)
grad_fn = property(_grad_fn)
is_leaf = property(lambda x: x.primitive is None, doc="Whether this is an input, a parameter or a constant.")
# micrograd's names, so that its draw_dot draws a tape
previous = property(
    lambda x: {operand for operand in x.operands if not operand.constant},
    doc="The operands but for constants, which have no gradient to be drawn, as micrograd's ``_prev``.",
)
operation = property(
    lambda x: x.primitive.name if x.primitive else "", doc="The row's name, as micrograd's ``_op``; of an input ''."
)
label = property(lambda x: x.name or "", _set_label, doc="The name, under micrograd's name for it.")
