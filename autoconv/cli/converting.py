"""The command convert: an ONNX file read and written again, or its gradient."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..files import check_writable
from .named import UserError

LOSSES = ("auto", "cross_entropy", "mse", "sum")
_SHOWN = 8  # inputs and outputs that are named in print
_BATCH = 2  # of the example inputs, where a file leaves its first size open


def run(arguments: argparse.Namespace) -> None:
    """autoconv convert: a.onnx to b.onnx, in opset 18 and autoconv's operators, or with the gradient."""
    from ..interop import onnx
    from ..interop.onnx.gradient import gradient_graph
    from ..interop.onnx.writer import content, model_graph

    if Path(arguments.output).suffix.lower() != ".onnx":
        raise UserError(f"{arguments.output!r}: the file that is written must end in .onnx")
    check_writable(arguments.output)
    try:
        model = onnx.load(arguments.input).eval()
        examples, open_batch = _examples(model, _sizes(arguments.shape))
        axis = 0 if open_batch else None
        if arguments.gradient:
            loss, more = _loss(model, examples, arguments.loss)
            graph = gradient_graph(loss, {**examples, **more}, model, batch_axis=axis)
        else:
            graph = model_graph(model, examples, batch_axis=axis)
        made = content(graph, "convert")
    except ImportError as error:
        raise UserError(str(error)) from error
    from ..files import replace_file

    replace_file(arguments.output, made)
    for title, ports in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        shown = [f"{p.name} ({', '.join(map(str, p.shape))})" for p in ports[:_SHOWN]]
        rest = [f"and {len(ports) - _SHOWN} more"] if len(ports) > _SHOWN else []
        print(f"{title}: {', '.join([*shown, *rest])}")
    print(f"written to {arguments.output}")


def options(command: argparse.ArgumentParser) -> None:
    """The options of the command."""
    command.add_argument("input", help="the .onnx file that is read")
    command.add_argument("output", help="the .onnx file that is written")
    command.add_argument(
        "--gradient", action="store_true", help="write the loss and its gradient by every parameter, which are inputs"
    )
    command.add_argument(
        "--loss",
        choices=LOSSES,
        default="auto",
        help="of the first output, for --gradient: cross_entropy with whole-number labels, mse with a target, or its "
        "sum; auto: the output itself where it is one number, cross_entropy for (N, classes), else mse "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=SIZES",
        help="sizes that the file leaves open, as image=2,3,224,224; may be given again",
    )


def _sizes(given: list[str]) -> dict[str, tuple[int, ...]]:
    found = {}
    for text in given:
        name, _, sizes = text.rpartition("=")
        try:
            found[name] = tuple(int(n) for n in sizes.split(","))
        except ValueError:
            found[name] = ()
        if not name or not found[name] or min(found[name]) < 1:
            raise UserError(f"--shape {text!r} is not of the form NAME=SIZES, as image=2,3,224,224")
    return found


def _examples(model: Any, sizes: dict[str, tuple[int, ...]]) -> tuple[dict[str, np.ndarray], bool]:
    """Example inputs by name, and whether the first size of the first is open."""
    examples: dict[str, np.ndarray] = {}
    for x in model.graph.inputs:
        shape = sizes.pop(x.name, None)
        if shape is None:
            known = [_BATCH if n is None and k == 0 else n for k, n in enumerate(x.shape or ())]
            if x.shape is None or None in known:
                raise UserError(
                    f"the file leaves sizes of input {x.name!r} open; give them, as --shape {x.name}=2,3,224,224"
                )
            shape = tuple(n for n in known if n is not None)
        dtype = np.dtype(x.dtype or np.float32)
        examples[x.name] = np.full(shape, 0.5, dtype) if dtype.kind == "f" else np.zeros(shape, dtype)
    if sizes:
        raise UserError(f"--shape names {', '.join(sizes)}; the inputs are {', '.join(examples)}")
    leading = [x.shape[:1] if x.shape else () for x in model.graph.inputs]
    return examples, (None,) in leading[:1]


def _loss(model: Any, examples: dict[str, np.ndarray], kind: str) -> tuple[Callable[..., Any], dict[str, np.ndarray]]:
    """A loss of the model's first output, and the further inputs that it takes."""
    from .. import losses, no_grad
    from .. import sum as total

    count = len(examples)
    inputs = list(examples.values())
    first = lambda xs: _first(model(*xs))
    with no_grad():
        y = first(inputs)
    if kind == "auto":
        kind = "cross_entropy" if y.ndim == 2 and y.size > 1 else "mse" if y.size > 1 else "sum"
    if kind == "sum":
        return lambda *xs: total(first(xs)), {}
    if kind == "mse":
        return lambda *xs: losses.mse(first(xs[:count]), xs[count]), {"target": np.zeros(y.shape, y.dtype)}
    if y.ndim < 2:
        raise UserError(f"cross_entropy needs an output (N, classes); the file's first has shape {y.shape}")
    labels = np.zeros((y.shape[0], *y.shape[2:]), np.int64)
    return lambda *xs: losses.cross_entropy(first(xs[:count]), xs[count], axis=1), {"labels": labels}


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple | list) else result
