"""Module: what holds parameters, and a scope around what it computes.

A Module is a plain object: parameters, buffers and other modules are its attributes (or stand in a list or tuple that
is one).  Calling it runs ``forward`` inside a scope of its name, so that graphs show the layer around its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..arrays import wide
from ..operands import as_dtype, found, is_processor, numbers
from ..shapes import flag, shown, whole_number
from ..tape import Array, Tensor, as_array, constant, describe, no_grad, scope

if TYPE_CHECKING:
    from ..weights.matching import WeightsReport

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A Tensor that a Module holds and an optimiser changes: a copy of ``data``, in float32 unless ``dtype`` says
    otherwise.

    ``name`` is shown in graphs; a Module that takes the parameter up names it by its path, as in "conv1.weight".
    requires_grad=False makes one that is not trained.
    Raises TypeError for a dtype that cannot be differentiated.

    >>> nn.Parameter([[1.0, 2.0]], name="weight")
    tensor([[1., 2.]], name='weight', dtype=float32)
    """

    __slots__ = ("fans",)

    def __init__(
        self,
        data: Any,
        name: str | None = None,
        dtype: Any = np.float32,
        requires_grad: bool = True,
        fans: tuple[int, int] | None = None,
    ) -> None:
        value = as_array(data.value if isinstance(data, Tensor) else data, dtype, "Parameter")
        if value.dtype.kind not in "fO":
            raise TypeError(f"Parameter: dtype {value.dtype} cannot be differentiated; use a floating-point dtype")
        super().__init__(value, name=name, constant=not flag(requires_grad, "Parameter: requires_grad"))
        self.fans = fans  # (fan_in, fan_out) of a layer's weight, which its shape alone does not say; for nn.init

    def _leaf_copy(self) -> Tensor:
        return Parameter(self.value, self.name, self.dtype, not self.constant, self.fans)

    def __reduce__(self) -> Any:
        return Parameter, (self.value, self.name, self.dtype, not self.constant, self.fans)


class Module:
    """The base of layers and models: write ``__init__`` with attributes and ``forward``.

    >>> class Net(nn.Module):
    ...     def __init__(self, rng=None):
    ...         rng = np.random.default_rng(rng)
    ...         self.conv1 = nn.Conv2d(1, 8, 3, rng=rng)
    ...         self.out = nn.Linear(8, 10, rng=rng)
    ...     def forward(self, x):
    ...         return self.out(ac.global_avg_pool(ac.relu(self.conv1(x))))
    >>> Net(0)(np.zeros((2, 9, 9, 1), np.float32)).shape
    (2, 10)
    """

    training: bool = True
    input_dtype: Any = None  # in which ``fit`` gives it examples, as int64 for tokens; None: the parameters' dtype
    _name: str = ""
    _buffers: tuple[str, ...] = ()
    _output_shape: tuple[int, ...] | None = None

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The output for ``inputs``; each Module defines its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define forward(self, x)")

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """``forward`` in a scope of this module's name; plain arrays become constants of the tape."""
        lifted = [constant(x, type(self).__name__) if isinstance(x, np.ndarray | np.generic) else x for x in inputs]
        with scope(self._scope_name(), kind="layer"):
            y = self.forward(*lifted, **kwargs)
        vars(self)["_output_shape"] = getattr(y, "shape", None)
        return y

    def _scope_name(self) -> str:
        kind = type(self).__name__
        return f"{self._name}: {kind}" if self._name.isdigit() else self._name or kind

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep ``value``; a parameter takes over the numbers of an array, and is never dropped for something else.

        Raises ValueError for an array of another shape, TypeError for what holds no parameter in place of one or of a
        module with some, and for a computed Tensor, whose gradient would be lost.
        """
        old = vars(self).get(name)
        if old is not None and old is not value and _trained(name, old) and not any(_held(name, value)):
            _take_over(f"{type(self).__name__}.{name}", old, value)
            return
        object.__setattr__(self, name, value)
        for path, held in _held(name, value):
            if isinstance(held, Parameter):
                held.name = path
            else:
                vars(held)["_name"] = path
                for inner, parameter in held.named_parameters(path):
                    parameter.name = inner

    def register_buffer(self, name: str, value: Array) -> None:
        """Keep an array that belongs to the state but is not trained, as running_mean; forward replaces it by
        assignment."""
        self._buffers = (*self._buffers, name)
        setattr(self, name, value)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Hold a parameter under a name: the same as assigning it to the attribute."""
        setattr(self, name, parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold a module under a name: the same as assigning it to the attribute."""
        setattr(self, name, module)

    # ---- what it holds

    def children(self) -> Iterator[Module]:
        """The modules held directly, each once."""
        return iter({id(m): m for _, m in self.named_children()}.values())

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path, "" for this one.  AttributeError if there is none."""
        for path, module in self.named_modules():
            if path == target:
                return module
        raise AttributeError(f"{type(self).__name__} has no module {target!r}; there are {_several(self)}")

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path.  AttributeError if there is none."""
        for path, parameter in self._all_parameters():
            if path == target:
                return parameter
        raise AttributeError(f"{type(self).__name__} has no parameter {target!r}")

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(attribute, module) for each module held directly, in the order of assignment."""
        for name, value in vars(self).items():
            for path, held in _held(name, value):
                if isinstance(held, Module):
                    yield path, held

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted path, module) for this module (path ``prefix``) and all below it; a shared module at each of its
        places."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(_join(prefix, name))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return iter({id(m): m for _, m in self.named_modules()}.values())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """(dotted path, parameter), each parameter once, under the first of its paths."""
        seen: set[int] = set()
        for path, parameter in self._all_parameters(prefix):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield path, parameter

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter once, in the order of ``named_parameters``."""
        return (parameter for _, parameter in self.named_parameters())

    def buffers(self) -> Iterator[Array]:
        """Each array of the state that is not trained."""
        return (buffer for _, buffer in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """(dotted path, array) of the state that is not trained."""
        for path, module in self.named_modules():
            for name in module._buffers:
                yield _join(path, name), getattr(module, name)

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """(dotted path, generator) of the modules that draw random numbers, as Dropout; checkpoints keep their
        state."""
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator):
                    yield _join(path, name), value

    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.size for parameter in self.parameters())

    def _all_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        for path, module in self.named_modules(prefix):
            yield from ((_join(path, name), parameter) for name, parameter in module._own_parameters())

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            for path, held in _held(name, value):
                if isinstance(held, Parameter):
                    yield path, held

    # ---- state

    def state_dict(self) -> dict[str, Array]:
        """Dotted path -> a copy of the array, for every parameter and buffer."""
        parameters = {name: parameter.value for name, parameter in self._all_parameters()}
        return {name: np.array(value, order="C") for name, value in (parameters | dict(self.named_buffers())).items()}

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """ValueError that lists the keys of ``state`` that are missing, unexpected or of another shape, if there are
        any."""
        own = {name: p.value for name, p in self._all_parameters()} | dict(self.named_buffers())
        problems = [f"missing {name} of shape {value.shape}" for name, value in own.items() if name not in state]
        problems += [f"unexpected {name} of shape {np.shape(state[name])}" for name in state if name not in own]
        for name, value in own.items():
            if name in state and np.shape(state[name]) != value.shape:
                problems.append(f"{name} has shape {np.shape(state[name])}, the model needs {value.shape}")
            elif name in state and np.asarray(state[name]).dtype.kind not in "fiubO":
                problems.append(f"{name} has dtype {np.asarray(state[name]).dtype}, which is not a number")
        if problems:
            raise ValueError(
                f"load_state_dict: the state does not fit this {type(self).__name__}: {'; '.join(problems)}. Build the "
                "model with the settings it was saved with"
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over every parameter and buffer of ``state`` (cast to the model's dtypes).

        Raises ValueError that names the missing, unexpected and mis-shaped keys; the model is then unchanged.
        """
        self.check_state_dict(state)
        for name, parameter in self._all_parameters():
            parameter.assign(state[name])
        for path, module in self.named_modules():
            for name in module._buffers:
                setattr(module, name, np.array(state[_join(path, name)], dtype=getattr(module, name).dtype))

    if TYPE_CHECKING:  # bound by torch_weights.py, which knows the layers

        def load_torch(
            self,
            source: Any,
            *,
            image: Any = None,
            flatten: str = "check",
            by_order: bool = False,
            strict: bool = True,
            key: str | None = None,
        ) -> WeightsReport: ...

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below it to training (Dropout drops, BatchNorm uses the batch), or back."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch to evaluation: the same as ``train(False)``."""
        return self.train(False)

    def predict(self, x: Any, batch_size: int = 256) -> Array:
        """The output for each example of x, a plain array, in evaluation mode and without recording.

        x: (N, ...), read ``batch_size`` examples at a time, so it may be larger than memory.  The modules' modes are
        afterwards what they were.  Raises ValueError for no examples.

        >>> nn.Sequential(nn.Flatten(), nn.ReLU()).predict(np.array([[-1.0, 2.0]]))
        array([[0., 2.]])
        """
        size = whole_number(batch_size, "predict: batch_size", 1)
        x = x.value if isinstance(x, Tensor) else x if isinstance(x, np.ndarray) else numbers(x, "predict: x")
        if not x.ndim or not len(x):
            raise ValueError(f"predict: x of shape {x.shape} needs an axis of examples, and at least one")
        first = next(self.parameters(), None)
        dtype = self.input_dtype or (x.dtype if first is None or x.dtype.kind != "f" else first.dtype)
        with evaluating(self), no_grad():
            parts = [self(x[i : i + size].astype(dtype, copy=False)) for i in range(0, len(x), size)]
        return np.concatenate([np.asarray(getattr(part, "value", part)) for part in parts])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients: ``.grad`` of every parameter becomes None, or 0 where there is one (set_to_none=False).

        An optimiser leaves alone what has no gradient, and moves what has one of 0 by its momentum and decay.
        """
        keep = not flag(set_to_none, "zero_grad: set_to_none")
        for parameter in self.parameters():
            parameter.grad = np.zeros_like(parameter.grad) if keep and parameter.grad is not None else None

    # ---- all of it at once

    def apply(self: M, f: Callable[[Module], Any]) -> M:
        """``f(module)`` for every module below this one, then for this one, as PyTorch does; returns this module."""
        for child in self.children():
            child.apply(f)
        f(self)
        return self

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Whether the parameters are trained: without it they are constants, which get no gradient.

        An optimiser is given those that are trained: ``[p for p in model.parameters() if p.requires_grad]``.
        """
        frozen = not flag(requires_grad, "requires_grad_: requires_grad")
        for parameter in self.parameters():
            parameter.constant = frozen
        return self

    def to(self: M, *wanted: Any, **named: Any) -> M:
        """Parameters and buffers of floating point in another dtype, ``model.to(np.float64)``; "cpu" changes nothing.

        An optimiser made before keeps its slots in the old dtype: make it afterwards.  Raises ValueError for another
        device, TypeError for a dtype that is not of floating point.
        """
        asked = [*wanted, *[named.pop(k) for k in ("device", "dtype") if k in named]]
        named.pop("non_blocking", None)
        if named:
            raise TypeError(f"to() got an unexpected keyword argument {next(iter(named))!r}")
        for x in asked:
            if x is None or (isinstance(x, str) and is_processor(x, "to")):
                continue
            dtype = x.dtype if isinstance(x, Tensor) else as_dtype(x, "to:")
            if dtype.kind != "f":
                raise TypeError(f"to: dtype {shown(dtype)} cannot be differentiated; use a floating-point dtype")
            self._cast(dtype)
        return self

    def _cast(self, dtype: Any) -> None:
        for parameter in self.parameters():
            parameter._value = parameter.value.astype(dtype)
            parameter._value.flags.writeable = False
            parameter.grad = None if parameter.grad is None else np.asarray(parameter.grad).astype(dtype)
            parameter.assign(parameter._value)  # it is younger than every line that read it in the old dtype
        for module in self.modules():
            for name in module._buffers:
                value = getattr(module, name)
                if value.dtype.kind == "f":
                    setattr(module, name, value.astype(wide(dtype)))

    def float(self: M) -> M:
        """``to(np.float32)``."""
        return self.to(np.float32)

    def double(self: M) -> M:
        """``to(np.float64)``."""
        return self.to(np.float64)

    def half(self: M) -> M:
        """``to(np.float16)``."""
        return self.to(np.float16)

    def cpu(self: M) -> M:
        """This module: everything is computed on the processor."""
        return self

    def cuda(self: M, device: Any = None) -> M:
        """Raises ValueError: there is no other device than the processor."""
        return self.to("cuda")

    # ---- what a reader sees

    def extra_repr(self) -> str:
        """The settings shown between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        """A tree: each layer with its settings, its parameters, and its output's shape when it has been called."""
        rows = list(_rows(self, "", "", ""))
        left, middle = (max(len(row[i]) for row in rows) for i in (0, 1))
        lines = [f"{a:<{left}}  {b:>{middle}}  {c}".rstrip() for a, b, c in rows]
        buffers = sum(value.size for _, value in self.named_buffers())
        kept = f", {buffers:,} numbers in buffers" if buffers else ""
        return "\n".join([*lines, f"total: {self.num_parameters():,} parameters{kept}"])


class Layer(Module):
    """A Module that makes one Tensor of one input: the base of all layers, and of a model that a type checker shall
    know.

    >>> class Double(nn.Layer):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Double()(np.ones(2)).value
    array([2., 2.])
    """

    def forward(self, x: Any) -> Tensor:
        """The output for ``x``; each layer defines its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define forward(self, x)")

    if TYPE_CHECKING:

        def __call__(self, x: Any) -> Tensor: ...


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards the modes of its modules, one by one, are what they were."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _several(module: Module) -> str:
    """The paths of the modules below one, for an error message."""
    paths = [repr(path) for path, _ in module.named_modules() if path][:12]
    return ", ".join(paths) or "none"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _held(name: str, value: Any) -> Iterator[tuple[str, Parameter | Module]]:
    """The parameters and modules in an attribute: itself, or those in a list or tuple under their numbers."""
    if isinstance(value, Parameter | Module):
        yield name, value
    elif isinstance(value, list | tuple):
        yield from ((f"{name}.{i}", x) for i, x in enumerate(value) if isinstance(x, Parameter | Module))


def _trained(name: str, value: Any) -> bool:
    """Whether an attribute holds parameters, itself or in its modules."""
    return any(isinstance(x, Parameter) or next(x.parameters(), None) is not None for _, x in _held(name, value))


def _take_over(what: str, old: Any, value: Any) -> None:
    """Give the parameter ``old`` the numbers of ``value``; TypeError where that cannot be meant."""
    if isinstance(value, Tensor) and value.primitive is not None and not value.constant:
        raise TypeError(
            f"{what} is a parameter, and {describe(value)} is a computed line, whose gradient it would not have; for a "
            "step of training write 'with ac.no_grad():' around it, or give the numbers: t.value"
        )
    if not isinstance(old, Parameter) or value is None or isinstance(value, str | bytes | dict) or callable(value):
        kind = "a parameter" if isinstance(old, Parameter) else f"a {type(old).__name__} with parameters"
        raise TypeError(
            f"{what} is {kind}, which {found(value)} would drop; assign an array of its shape, a Parameter or a "
            f"Module, or take it away first with del"
        )
    array = value.value if isinstance(value, Tensor) else numbers(value, what)
    if array.shape != old.shape:
        raise ValueError(
            f"{what} is a parameter of shape {old.shape}, found {found(array)}; assign an array of that shape, or an "
            "nn.Parameter to put another in its place"
        )
    old.assign(array)


def _rows(module: Module, label: str, first: str, rest: str) -> Iterator[tuple[str, str, str]]:
    """(tree with settings, parameters of its own, output shape) for a module and all below it."""
    own = sum(parameter.size for _, parameter in module._own_parameters())
    shape = "" if module._output_shape is None else f"-> {module._output_shape}"
    yield f"{first}{label}{type(module).__name__}({module.extra_repr()})", f"{own:,}" if own else "", shape
    children = list(module.named_children())
    for i, (name, child) in enumerate(children):
        last = i == len(children) - 1
        yield from _rows(child, f"{name}: ", rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
