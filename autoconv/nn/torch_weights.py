"""Weights from and to PyTorch: ``Module.load_torch`` and ``to_torch_state_dict``.

A table says how torch holds a layer's arrays.  Besides the axes there is one thing that no shape shows: after a Flatten
of channels-last images the features come as (H, W, C), in torch as (C, H, W), and the layer that reads them needs its
rows in that order.  A Sequential shows where this happens; any other model is run on an image, and what a layer reads
is
followed back to the images it was flattened from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..operands import found
from ..shapes import listed, parse_layout, whole_numbers
from ..tape import Array, Tensor, tensor
from ..weights.matching import COUNTER, Target, WeightsReport, matched
from ..weights.source import weights_of
from .attention import MultiheadAttention
from .container import Flatten, Sequential
from .conv import _Conv
from .linear import Linear
from .module import Module, _join
from .normalisation import BatchNorm1d, LayerNorm, _BatchNorm
from .pool import GlobalAvgPool, _Pool

__all__ = ["load_torch", "to_torch_state_dict"]

Source = Mapping[str, Any] | str | os.PathLike[str]
Order = Array  # for each feature of ours the number of torch's


def load_torch(
    self: Module,
    source: Source,
    *,
    image: Any = None,
    flatten: str = "check",
    by_order: bool = False,
    strict: bool = True,
    key: str | None = None,
) -> WeightsReport:
    """Take over PyTorch's weights: kernels and matrices are transposed where this layer holds them otherwise.

    source: a state_dict (arrays or torch tensors), a torch module, or a .safetensors, .pt or .pth file, which is read
    without torch and never executed; key: which entry of a checkpoint holds the state_dict, if several do.
    image: for models that are no plain Sequential: the size of an input image, (H, W) or (C, H, W), or an input itself.
    The model is then run once, in order to see which features come from flattened images: torch flattens (C, H, W),
    channels-last models (H, W, C), and the layer that reads them gets its rows reordered.  flatten="keep" leaves every
    row where it is: this model brings its images into torch's order itself.
    by_order: names differ, and the k-th array goes to the k-th, all shapes equal.  strict=False: arrays without a
    counterpart are reported, not refused.
    Returns a report.  Raises ValueError for weights that do not fit, and for a model in which the order of flattened
    features cannot be told; the model is then unchanged.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    >>> weights = {"0.weight": np.ones((2, 1, 3, 3)), "0.bias": np.zeros(2)}
    >>> weights |= {"2.weight": np.ones((3, 8)), "2.bias": np.ones(3)}
    >>> report = model.load_torch(weights)
    >>> report.transposed["0.weight"], report.permuted
    (((2, 1, 3, 3), (3, 3, 1, 2)), ['2.weight'])
    """
    if flatten not in ("check", "keep"):
        raise ValueError(f"load_torch: flatten={flatten!r}; use 'check' or 'keep'")
    arrays, notes = weights_of(source, key)
    orders = {} if flatten == "keep" else _orders(self, image, "load_torch")
    state, report = matched(_targets(self, orders), arrays, by_order, strict, "load_torch")
    report.notes = notes
    self.load_state_dict({**self.state_dict(), **state})
    return report


def to_torch_state_dict(
    model: Module, *, image: Any = None, flatten: str = "check", numpy: bool = False
) -> dict[str, Any]:
    """The weights as ``torch_module.load_state_dict`` takes them: torch tensors, or arrays with numpy=True (without
    torch).

    Names are those of ``model.state_dict()``, arrays in torch's layout; image and flatten as for ``load_torch``.
    Raises ValueError where the order of flattened features cannot be told, ImportError for tensors without torch.

    >>> ac.to_torch_state_dict(nn.Linear(4, 3), numpy=True)["weight"].shape
    (3, 4)
    """
    if not isinstance(model, Module):
        raise TypeError(f"to_torch_state_dict: the model must be an nn.Module, found {found(model)}")
    if flatten not in ("check", "keep"):
        raise ValueError(f"to_torch_state_dict: flatten={flatten!r}; use 'check' or 'keep'")
    own = model.state_dict()
    targets = _targets(model, {} if flatten == "keep" else _orders(model, image, "to_torch_state_dict"))
    state = {name: target.given(own[name]) for name, target in targets.items()}
    for path, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            state[_join(path, COUNTER)] = np.zeros((), np.int64)
    if numpy:
        return state
    try:
        import torch  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ImportError(
            "to_torch_state_dict makes torch tensors, which need: pip install torch; numpy=True gives arrays"
        ) from None
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


setattr(Module, "load_torch", load_torch)  # noqa: B010 (the class declares it for the type checker alone)


# ---- how torch holds a layer's arrays


def _axes(module: Module, name: str, ndim: int) -> tuple[int, ...] | None:
    """The order of our axes in torch's array: (out, in) matrices, (out, in, *window) kernels; None: the same."""
    if name == "in_proj_weight" and isinstance(module, MultiheadAttention):
        return (1, 0)
    if name != "weight":
        return None
    if isinstance(module, Linear):
        return (1, 0)
    if isinstance(module, _Conv) and _channels_last(module):
        return (ndim - 1, ndim - 2, *range(ndim - 2))
    return None


def _targets(model: Module, orders: Mapping[int, Order]) -> dict[str, Target]:
    """Every parameter and buffer in torch's order: module by module, parameters first."""
    targets = {}
    for path, module in model.named_modules():
        named = [(name, parameter.value) for name, parameter in module._own_parameters()]
        named += [(name, getattr(module, name)) for name in module._buffers]
        for name, value in named:
            order = orders.get(id(module))
            made = isinstance(module, Linear) and name == "bias"  # one for each feature made, not read
            if order is None or made or not value.ndim or value.shape[0] != len(order):
                order = None
            targets[_join(path, name)] = Target(value.shape, value.dtype, _axes(module, name, value.ndim), order)
    return targets


# ---- the order of flattened features, read off a Sequential


def _orders(model: Module, image: Any, what: str) -> dict[int, Order]:
    """For the layers that read flattened channels-last images: the order of their features, by id of the layer."""
    if image is not None:
        return _followed(model, image, what)
    if not any(_spatial(module) and _channels_last(module) for module in model.modules()):
        return {}
    orders: dict[int, Order] = {}
    try:
        _walk(model, _NOTHING, orders)
    except _UnclearError:
        suspect = _suspect(model)
        if suspect is not None:
            raise ValueError(
                f"{what}: {suspect} may read flattened images. This model flattens (H, W, C), torch (C, H, W): the "
                f"rows "
                "would be in another order, and this model's code does not show which. Give the size of an input "
                "image, "
                "image=(H, W) or (C, H, W), or an input, and the model is run once to see; or flatten='keep', if its "
                "forward brings the images into torch's order"
            ) from None
        return {}
    return orders


class _UnclearError(Exception):
    """A module whose effect on the order of features cannot be read off."""


_NOTHING, _IMAGES, _FEATURES = ("none", 0), "images", "features"
# layers that leave each feature where it is; by name, so that a new one is unclear until it is listed
_IN_PLACE = {
    "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Softplus",
    "Softsign", "Hardswish", "Hardsigmoid", "Hardtanh", "LogSigmoid", "Softmax", "LogSoftmax", "Identity", "Dropout",
    "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm",
    "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    *[f"{kind}{d}d" for kind in ("MaxPool", "AvgPool", "LPPool", "AdaptiveAvgPool", "AdaptiveMaxPool") for d in (1, 2,
    3)],
}  # fmt: skip


def _spatial(module: Module) -> bool:
    return isinstance(module, _Conv | _Pool)


def _channels_last(module: Any) -> bool:
    layout = module.layout if hasattr(module, "layout") else module.settings["layout"]
    return parse_layout(layout, module.dims, type(module).__name__).channels_last


def _walk(module: Module, state: tuple[str, int], orders: dict[int, Order]) -> tuple[str, int]:
    """What comes out of ``module``: ("images", channels) channels last, ("features", channels they were flattened
    from),
    or nothing that matters.  Raises _UnclearError for a module that is not known."""
    kind, channels = state
    if isinstance(module, Sequential) and type(module).forward is Sequential.forward:
        for child in module:
            state = _walk(child, state, orders)
        return state
    if isinstance(module, _Conv):
        return (_IMAGES, module.out_channels) if _channels_last(module) else _NOTHING
    if isinstance(module, GlobalAvgPool):
        return _NOTHING
    if isinstance(module, Flatten):
        if kind == _IMAGES and module.start_axis != 1:
            raise _UnclearError
        return (_FEATURES, channels) if kind == _IMAGES else state
    if isinstance(module, Linear):
        if kind == _FEATURES:
            _give(orders, module, module.in_features, channels)
        return _NOTHING if kind == _FEATURES else state
    if type(module).__name__ in _IN_PLACE and type(module).__module__.startswith(__package__):
        own = [parameter for _, parameter in module._own_parameters()]
        if kind == _FEATURES and own and own[0].size > 1:
            _give(orders, module, own[0].size if own[0].ndim == 1 else 0, channels)
        return state
    if kind != _NOTHING[0] or _suspect(module):
        raise _UnclearError
    return state


def _give(orders: dict[int, Order], module: Module, features: int, channels: int) -> None:
    if not features or features % channels:
        raise _UnclearError
    if features > channels > 1:
        orders[id(module)] = np.arange(features).reshape(channels, -1).T.ravel()


def _suspect(model: Module) -> str | None:
    """A layer that, by its number of features, may read flattened images."""
    counts: set[int] = set()
    for module in model.modules():
        if isinstance(module, _Conv):
            counts.add(module.out_channels)
        if isinstance(module, Linear):
            counts.add(module.out_features)
    last = 0
    for path, module in model.named_modules():
        if isinstance(module, _Conv):
            last = module.out_channels
        elif isinstance(module, BatchNorm1d) and last not in (0, module.num_features):
            return f"{path or 'the layer'}, a BatchNorm1d({module.num_features}),"
        elif isinstance(module, _BatchNorm):
            last = last and module.num_features
        elif isinstance(module, Linear):
            if module.in_features != last if last else module.in_features not in counts:
                return f"{path or 'the layer'}, a Linear({module.in_features}, {module.out_features}),"
            last = 0
    return None


# ---- a model run, and what its layers read followed back to images


def _followed(model: Module, image: Any, what: str) -> dict[int, Order]:
    spatial = [module for module in model.modules() if _spatial(module)]
    last = [_channels_last(module) for module in spatial]
    if last and not any(last):
        return {}
    if not all(last):
        raise ValueError(
            f"{what}: the model has layers of both layouts; bring images to one before they are flattened, and use "
            "flatten='keep' if that is torch's"
        )
    orders: dict[int, Order] = {}
    for module, x in _inputs(model, _example(spatial, image, what), what):
        if x.ndim != 2:
            continue
        order = _order(x)
        if id(module) in orders and not np.array_equal(orders[id(module)], order):
            raise ValueError(f"{what}: a layer that is called twice reads features in two orders")
        orders[id(module)] = order
    return {key: order for key, order in orders.items() if (order != np.arange(order.size)).any()}


def _example(spatial: list[Any], image: Any, what: str) -> Any:
    """An input of ones with the size that was given, or the input that was given."""
    if isinstance(image, Tensor) or (isinstance(image, np.ndarray) and image.ndim > 1):
        return image.value if isinstance(image, Tensor) else image
    sizes = whole_numbers(listed(image), f"{what}: image", 1)
    dims = spatial[0].dims if spatial else len(sizes) - 1
    channels = getattr(spatial[0], "in_channels", 1) if spatial else 1
    if len(sizes) == dims + 1:
        channels, *sizes = sizes  # type: ignore[assignment]
    elif len(sizes) != dims:
        raise ValueError(f"{what}: image={image!r}; give {dims} sizes of an input image, or these after its channels")
    return np.ones((2, *sizes, channels), np.float32)


def _inputs(model: Module, x: Any, what: str) -> list[tuple[Module, Tensor]]:
    """(layer, what it read) for every layer that reads features, in evaluation; nothing of the model changes."""
    read: list[tuple[Module, Tensor]] = []
    modes = [(module, vars(module).get("training"), module._output_shape) for module in model.modules()]
    with _listening(model, read):
        try:
            model.eval()
            model(tensor(x))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{what}: the model cannot be run on an input of shape {np.shape(x)}: {error}") from None
        finally:
            for module, mode, shape in modes:
                vars(module)["_output_shape"] = shape
                vars(module)["training"] = mode
                if mode is None:
                    del vars(module)["training"]
    return read


@contextmanager
def _listening(model: Module, read: list[tuple[Module, Tensor]]) -> Iterator[None]:
    layers = [module for module in model.modules() if isinstance(module, Linear | _BatchNorm | LayerNorm)]

    def listen(layer: Module) -> None:
        forward = layer.forward

        def listening(x: Any) -> Any:
            if isinstance(x, Tensor):
                read.append((layer, x))
            return forward(x)

        vars(layer)["forward"] = listening

    try:
        for layer in layers:
            listen(layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _order(x: Tensor) -> Order:
    """For features (N, F): which of torch's each is.  They are followed back, through moves and element by element, to
    images (N, *spatial, C); features that come from none are in torch's order."""
    chain: list[Tensor] = []
    line = x
    while True:
        whole = [o for o in line.operands if not o.constant and o.size == line.size]
        whole.sort(key=_spread)
        if not whole or line.primitive is None or not (line.primitive.rearranges or line.primitive.elementwise):
            break
        chain.append(line)
        line = whole[0]
    if line.ndim == 2 and line.primitive is not None and line.primitive.name == "concat":
        before, parts = 0, []
        for part in line.operands:
            parts.append(_order(part) + before)
            before += part.shape[-1]
        return np.concatenate(parts) if before == line.shape[1] == x.shape[1] else np.arange(x.shape[1])
    n, channels, spatial = line.shape[0] if line.ndim else 1, line.shape[-1] if line.ndim else 1, line.shape[1:-1]
    if line.ndim < 3:
        return np.arange(x.shape[1])
    ids = np.moveaxis(np.arange(int(np.prod(line.shape[1:]))).reshape(channels, *spatial), 0, -1)
    ids = np.broadcast_to(ids, line.shape)
    for step in reversed(chain):
        if step.primitive is not None and step.primitive.rearranges and step.primitive.name != "cast":
            ids = step.primitive.forward(ids, **step.params)
    whole_images = ids.shape == (n, channels * int(np.prod(spatial)))
    return np.array(ids[0]) if whole_images else np.arange(x.shape[1])


def _spread(line: Tensor) -> bool:
    """Whether a line only repeats another, as the factor of a channel."""
    return line.primitive is not None and line.primitive.name == "broadcast_to"
