"""``save_gradient``: the gradient of a model as plain ONNX, for any runtime.

The sweep is a tape of the same rows as the model, so the file is made of the same standard operators; there is no
training domain and no gradient operator in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...backward import reached
from ...files import replace_file
from ...nn.module import Module
from ...operands import found
from ...tape import Tensor
from ...transforms import as_result
from ...tree import flatten
from .nodes import OnnxGraph
from .recording import inputs_of, recorded
from .writer import built, content


def save_gradient(
    loss: Callable[..., Any], path: str | os.PathLike[str], inputs: Any, wrt: Any, *, batch_axis: int | None = 0
) -> Path:
    """Write a scalar function and its gradient as a standard ONNX file (opset 18); returns the path.

        "loss" = loss(*inputs),   "grad.NAME" = d loss / d NAME, of NAME's shape

    inputs, batch_axis: as for ``save``; a mean over the batch stays one.  wrt: a Module (all its parameters, by their
    names in ``state_dict``), Tensors with names in a list or a dict from name to Tensor, or the number of an input (or
    several).  The file's inputs are those of ``loss`` and then the parameters of ``wrt``, whose numbers are not in the
    file; a loss that returns (loss, more) has "output_1", .. as further outputs.  What the loss does not depend on has
    zeros.  Batch norm in training uses the batch's statistics; it keeps none in a file.
    Raises what ``save`` raises, TypeError for what cannot be differentiated, ValueError for a loss that is no scalar.

    >>> model = nn.Linear(3, 2, rng=0)
    >>> loss = lambda x, y: ac.losses.cross_entropy(model(x), y)
    >>> x, y = np.zeros((4, 3), np.float32), np.zeros(4, np.int64)
    >>> ac.onnx.save_gradient(loss, "gradient.onnx", inputs=(x, y), wrt=model).name  # doctest: +SKIP
    'gradient.onnx'
    """
    graph = gradient_graph(loss, inputs, wrt, batch_axis=batch_axis)
    replace_file(path, content(graph, "onnx.save_gradient"))
    return Path(path)


def gradient_graph(loss: Callable[..., Any], inputs: Any, wrt: Any, *, batch_axis: int | None = 0) -> OnnxGraph:
    """What ``save_gradient`` writes, as plain data; needs no package.

    >>> from autoconv.interop.onnx.gradient import gradient_graph
    >>> w = ac.tensor([2.0, 3.0], name="w")
    >>> graph = gradient_graph(lambda x: ac.mean(x * w), (np.ones((4, 2)),), [w])
    >>> [x.name for x in graph.inputs], [y.name for y in graph.outputs]
    (['x', 'w'], ['loss', 'grad.w'])
    """
    names, arrays = inputs_of(loss, inputs, "onnx.save_gradient")
    asked = _asked(wrt, names)

    def traced(f: Callable[..., Any], lines: list[Tensor]) -> tuple[list[str], list[Tensor]]:
        result = f(*lines)
        leaves = flatten(result)[0]
        y = as_result(leaves[0] if leaves else result, "onnx.save_gradient")
        more = [x for x in leaves[1:] if isinstance(x, Tensor)]
        by = [lines[x] if isinstance(x, int) else x for _, x in asked]
        gradients = reached(y, by, _one(y))
        filled = [_zeros(x) if g is None else g for x, g in zip(by, gradients, strict=True)]
        results = ["loss", *[f"output_{k + 1}" for k in range(len(more))], *[f"grad.{name}" for name, _ in asked]]
        return results, [y, *more, *filled]

    recording = recorded(loss, names, arrays, batch_axis, traced, "onnx.save_gradient")
    model = wrt if isinstance(wrt, Module) else loss
    return built(model, recording, [(x, name) for name, x in asked if isinstance(x, Tensor)])


def _one(y: Tensor) -> Tensor:
    if y.size != 1:
        raise ValueError(
            f"onnx.save_gradient: the loss has shape {y.shape}, not that of a number; reduce it first, as in ac.sum"
        )
    return Tensor(np.ones(y.shape, y.dtype), constant=True)


def _zeros(x: Tensor) -> Tensor:
    return Tensor(np.zeros(x.shape, x.dtype), constant=True)


def _asked(wrt: Any, names: Sequence[str]) -> list[tuple[str, Any]]:
    """(name, Tensor or number of an input) for what is differentiated by."""
    if isinstance(wrt, Module):
        found_: list[tuple[str, Any]] = list(wrt.named_parameters())
    elif isinstance(wrt, Mapping):
        found_ = [(str(k), v) for k, v in wrt.items()]
    else:
        several = list(wrt) if isinstance(wrt, list | tuple) else [wrt]
        found_ = [(getattr(x, "name", None) or f"tensor_{k}", x) for k, x in enumerate(several)]
    made: list[tuple[str, Any]] = []
    for name, x in found_:
        if isinstance(x, int | np.integer) and not isinstance(x, bool):
            if not -len(names) <= x < len(names):
                raise ValueError(f"onnx.save_gradient: wrt={x}, but there are {len(names)} inputs")
            number = int(x) % len(names)
            made.append((names[number] if not isinstance(wrt, Mapping) else name, number))
        elif isinstance(x, Tensor):
            made.append((name, x))
        else:
            raise TypeError(f"onnx.save_gradient: wrt has {found(x)}; give a Module, Tensors, or numbers of inputs")
    if not made:
        raise ValueError("onnx.save_gradient: wrt names nothing to differentiate by")
    if len({name for name, _ in made}) < len(made):
        raise ValueError("onnx.save_gradient: two of wrt have the same name; give a dict from name to Tensor")
    return made
