"""Courses of classes: for each geometry an object is made, its parameters are set, its forward and backward are called.

A course says how its objects are made and where they keep what they were given and what they computed; the arrays are
handed over as the class's own module has them: as torch tensors, as objects of its ``Tensor``, or as NumPy arrays.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..layer import Call, plain

Values = dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """How a course's objects are used.

    construct(values) -> {argument of the constructor: what it is given}, from the arrays and settings of a geometry;
    an argument that is 0 is left out where the constructor has none of that name.
    data: the inputs that forward takes.  parameters: {attribute: input}: what is set beforehand.
    kept: {gradient: attribute}: what backward leaves in the object; it returns the gradients of ``data``.
    forward, backward: the methods.  takes: what backward takes, among "dout", "inputs", "outputs" and "node" (an object
    whose ``inputs`` are those of forward).  optional: arguments that not every year's class has.
    spelled: {attribute: what it was called in other years}.
    """

    construct: Callable[[Values], Values]
    data: tuple[str, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    forward: str = "forward"
    backward: str = "backward"
    takes: tuple[str, ...] = ("dout",)
    optional: tuple[str, ...] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)

    def ahead(self, functions: Mapping[str, Any], values: Values) -> tuple[Any, Any]:
        """(output, what backward needs) of a new object."""
        made = self._constructed(functions["forward"], self.construct(values))
        parameters = {self._called(made, a): name for a, name in self.parameters.items()}
        kind = _tensors_of(made, [getattr(_holder(made, a), a, None) for a in parameters])
        for attribute, name in parameters.items():
            _set(made, attribute, values[name], kind)
        inputs = [kind(values[name]) for name in self.data]
        recorded = kind is not _plain and self.forward != "forward"
        out = made(*inputs) if recorded else getattr(made, self.forward)(*inputs)
        narrow = bool(inputs) and getattr(plain(inputs[0]), "dtype", None) == np.float32
        run = SimpleNamespace(object=made, inputs=inputs, out=out, kind=kind, narrow=narrow)
        run.node = out if recorded else SimpleNamespace(inputs=inputs, op=made, out=out)
        return _narrowed(out) if narrow else out, run

    def back(self, functions: Mapping[str, Any], values: Values) -> Any:
        """The gradients: those that backward returns, and by name those that it leaves in the object."""
        run = values["cache"]
        given = {"dout": run.kind(values["dout"]), "inputs": run.inputs[0], "outputs": run.out, "node": run.node}
        method = self._method(run)
        if getattr(method, "__name__", "") == DERIVATIVE or (
            self.takes == ("dout",) and not self.kept and _takes_nothing(method)
        ):
            made = method() * given["dout"]  # as in years in which whoever calls it multiplies
        else:
            made = method(*[given[name] for name in self.takes])
        if isinstance(made, tuple) and len(made) == 3 and all(isinstance(m, list) for m in made[1:]):
            made = (made[0], *made[2])  # the gradient, the variables, their gradients
        if not self.kept:
            return _narrowed(made) if run.narrow else made
        left = {g: self._left(run.object, a) for g, a in self.kept.items()}
        returned = [made] if len(self.data) == 1 else list(made)
        return dict(zip(self.data, returned, strict=True)) | left

    def _called(self, made: Any, attribute: str) -> str:
        """The attribute as this object calls it."""
        other = self.spelled.get(attribute, attribute)
        return attribute if hasattr(_holder(made, attribute), attribute) or not hasattr(made, other) else other

    def _left(self, made: Any, attribute: str) -> Any:
        """A gradient that backward has left in the object."""
        attribute = self._called(made, attribute)
        return getattr(_holder(made, attribute), attribute, None)

    def _constructed(self, kind: Callable[..., Any], arguments: Values) -> Any:
        """An object made with these arguments: by name, in their order where the constructor calls them otherwise."""
        try:
            taken = inspect.signature(kind).parameters
        except (TypeError, ValueError):
            return kind(**arguments)
        arguments = arguments | {name: _zeros for name in taken if name.endswith("init_fn")}  # replaced afterwards
        free = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        given = {k: v for k, v in arguments.items() if k in taken or free or v != 0}
        if missing := [k for k in self.optional if k in given and k not in taken and not free]:
            raise TypeError(f"{kind.__name__} takes no {missing[0]}")
        if free or given.keys() <= taken.keys():
            return kind(**given)
        return kind(*given.values())

    def _method(self, run: Any) -> Callable[..., Any]:
        """The object's backward; else that of the function which its output remembers, as tapes of Tensors do."""
        if hasattr(run.object, self.backward):
            method: Callable[..., Any] = getattr(run.object, self.backward)
            return method
        if hasattr(run.object, DERIVATIVE) and not self.kept:
            derivative: Callable[..., Any] = getattr(run.object, DERIVATIVE)
            return derivative
        remembered = getattr(run.out, "_grad_fn", None)
        for name in ("backward", "apply"):
            if hasattr(remembered, name):
                return getattr(remembered, name)
        raise AttributeError(f"{type(run.object).__name__} has no method {self.backward}")


DEEP = 3  # objects within objects in which an attribute is looked for
DERIVATIVE = "derivative"  # the method of an activation in years in which it had no backward


def _takes_nothing(method: Callable[..., Any]) -> bool:
    """Whether a method has no parameter at all."""
    try:
        return not inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False


def _zeros(*shape: Any) -> np.ndarray:
    """The numbers that a layer begins with, where it asks for a function that makes them."""
    return np.zeros(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)


def called(protocol: Protocol, says: str, outputs: Mapping[str, str], arguments: tuple[str, ...]) -> Call:
    """The call of a layer that is a class, or a pair of functions forward(*arguments), backward(dout, cache).

    says: the class and its methods in words.  outputs: {gradient: input}.
    """

    def back(functions: Mapping[str, Any], values: Values) -> Any:
        made = protocol.back(functions, values)
        kept = [g for g in outputs if g in protocol.kept]
        return made | {g: _lifted(made[g], values[outputs[g]]) for g in kept} if isinstance(made, dict) else made

    return Call(
        forward=arguments, gradients=tuple(outputs), cached=arguments, ahead=protocol.ahead, back=back, classes=True,
        says=says,
    )  # fmt: skip


def _lifted(gradient: Any, parameter: np.ndarray) -> Any:
    """A gradient left in an object without the leading axes of length 1 that its parameter has, with them: a step
    ``W -= rate * dW`` is the same."""
    missing = parameter.ndim - gradient.ndim if isinstance(gradient, np.ndarray) else 0
    if missing > 0 and gradient.ndim and parameter.shape == (1,) * missing + gradient.shape:
        return gradient.reshape(parameter.shape)
    return gradient


def _holder(made: Any, attribute: str) -> Any:
    """The object that has the attribute: this one, or the first of those that it is made of, and so on."""
    level = [made]
    for _ in range(DEEP):
        if (found := next((part for part in level if hasattr(part, attribute)), None)) is not None:
            return found
        level = [inner for part in level for inner in getattr(part, "__dict__", {}).values()]
    return made


def _set(made: Any, attribute: str, value: np.ndarray, kind: Callable[..., Any]) -> None:
    holder = _holder(made, attribute)
    old: Any = getattr(holder, attribute, None)
    if kind is _plain:
        setattr(holder, attribute, value)
    elif hasattr(old, "data"):
        old.data = kind(value).data
        if hasattr(old, "requires_grad"):
            old.requires_grad = True
    else:
        setattr(holder, attribute, kind(value))


def _plain(value: Any) -> Any:
    return value


def _narrowed(made: Any) -> Any:
    """Results of inputs that were rounded to float32 have its digits, whatever their dtype says."""
    if isinstance(made, (tuple, list)):
        return tuple([_narrowed(m) for m in made])
    array = plain(made)
    return array.astype(np.float32) if isinstance(array, np.ndarray) and array.dtype == np.float64 else made


def _tensors_of(made: Any, parameters: list[Any]) -> Callable[..., Any]:
    """What arrays are handed over as: torch tensors, Tensors of the class's own module, or NumPy arrays.

    Its parameters tell; a class without any, whose objects are called as functions of Tensors, has its module's.
    """
    own = sys.modules.get(type(made).__module__)
    torch: Any = sys.modules.get("torch")
    if torch is not None and (any(map(torch.is_tensor, parameters)) or (not parameters and hasattr(own, "torch"))):
        return lambda value: torch.from_numpy(np.array(value))
    wrapper: Any = getattr(own, "Tensor", None)
    held = isinstance(wrapper, type) and any(isinstance(p, wrapper) for p in parameters)
    if not held and not (isinstance(wrapper, type) and not parameters and callable(made)):
        return _plain

    def wrapped(value: np.ndarray) -> Any:
        try:
            return wrapper(value, requires_grad=True)
        except TypeError:
            return wrapper(value)

    return wrapped
