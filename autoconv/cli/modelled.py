"""Models on the command line: model.onnx, and file.py:module of autoconv or PyTorch; what they are run on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import functional, nn, npy
from ..tape import Array, Tensor, tensor
from .named import UserError, called, load_function

LARGEST_INPUT = 2**30  # bytes
SUFFIX = ".onnx"


def options(command: argparse.ArgumentParser) -> None:
    """What a model needs that a function without arguments does not."""
    command.add_argument(
        "--input", metavar="FILE", help="for a model: its input as a .npy file, or its inputs by name in a .npz"
    )
    command.add_argument(
        "--shape",
        action="append",
        metavar="SIZES",
        help='for a model without --input: random numbers of this shape, as "1,3,32,32"; again for each further input',
    )


def is_file(reference: str) -> bool:
    """Whether what the user names is an ONNX file."""
    return reference.lower().endswith(SUFFIX)


def title(reference: str) -> str:
    """The name for what is written: of the function, or of the file."""
    return Path(reference).stem if is_file(reference) else reference.rpartition(":")[2]


def read(reference: str) -> Any:
    """An ONNX file as a Module; of file.py:name what stands there: a function, or a module of autoconv or PyTorch."""
    if not is_file(reference):
        return load_function(reference)
    from ..interop import onnx

    try:
        return onnx.load(reference)
    except ImportError as error:
        raise UserError(str(error)) from None


def is_model(thing: Any) -> bool:
    """Whether it is a Module of autoconv, or of PyTorch."""
    return isinstance(thing, nn.Module) or _is_torch(thing)


def _is_torch(thing: Any) -> bool:
    torch = sys.modules.get("torch")  # who has made a module of PyTorch has imported it
    return torch is not None and isinstance(thing, torch.nn.Module)


def run(reference: str, model: Any, arguments: argparse.Namespace, one_number: bool) -> tuple[Tensor, dict[str, Any]]:
    """A model's output on what the user gives, or on random numbers; and the names of inputs and parameters.

    one_number: the sum of the output, for what is about a gradient.
    """
    inputs = _inputs(model, arguments, reference)
    if _is_torch(model):
        from ..interop.torch_export import from_torch

        model = called(reference, lambda: from_torch(model, *inputs.values()))
    y = called(reference, lambda: model(*inputs.values()))
    while isinstance(y, tuple | list) and y:
        y = y[0]
    if not isinstance(y, Tensor):
        raise UserError(f"{reference} makes {type(y).__name__} from this input; it must make a Tensor")
    if one_number and y.size != 1:
        y = functional.sum(y)
    return y, {**dict(model.named_parameters()), **inputs}


def _inputs(model: Any, arguments: argparse.Namespace, reference: str) -> dict[str, Any]:
    """Name -> input, in their order; floating-point ones as Tensors that a gradient can be asked of."""
    known = getattr(getattr(model, "graph", None), "inputs", ())
    names = [x.name for x in known]
    if arguments.input:
        given = _given(arguments.input, names)
    else:
        shapes = [_sizes(text) for text in arguments.shape or []]
        if not shapes and not known:
            raise UserError(f"{reference} is a model: say what to run it on, with --shape 1,3,32,32 or --input x.npy")
        if known and len(shapes) > len(known):
            raise UserError(f"{reference} takes {len(known)} inputs ({', '.join(names)}); found {len(shapes)} shapes")
        rng = np.random.default_rng(0)
        given = {}
        for k in range(max(len(known), len(shapes))):
            name = names[k] if known else f"x{k}" if len(shapes) > 1 else "x"
            shape = shapes[k] if k < len(shapes) else _usual(known[k])
            dtype = np.dtype((known[k].dtype if known else "") or np.float32)
            given[name] = (rng.standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)).astype(dtype)
    return {k: tensor(x, name=k) if x.dtype.kind == "f" else x for k, x in given.items()}


def _given(file: str, names: list[str]) -> dict[str, Array]:
    try:
        found = npy.load(file, LARGEST_INPUT)
    except npy.ArrayFileError as error:
        raise UserError(f"{error}; write the input with numpy.save({file!r}, x)") from None
    if not isinstance(found, Mapping):
        return {names[0] if names else "x": found}
    if names and set(names) != set(found):
        raise UserError(f"{file} holds {', '.join(found)}; the model takes {', '.join(names)}")
    return {name: found[name] for name in names or found}


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.replace("x", ",").split(",") if part.strip())
    except ValueError:
        sizes = (-1,)
    if min(sizes, default=0) < 0 or np.prod(sizes, dtype=float) > LARGEST_INPUT / 8:
        raise UserError(f"--shape {text!r} is not a shape; write it as 1,3,32,32")
    return sizes


def _usual(known: Any) -> tuple[int, ...]:
    """The shape of an input whose batch alone is open."""
    if known.shape is None or None in known.shape[1:]:
        sizes = "any" if known.shape is None else ", ".join("any" if n is None else str(n) for n in known.shape)
        raise UserError(f"input {known.name} has the shape ({sizes}); say which one with --shape, as in 1,3,32,32")
    return tuple(1 if n is None else n for n in known.shape)


def described(reference: str) -> str:
    """A model as a text: its modules and parameters, its inputs and outputs; it is not run."""
    model = read(reference)
    if not is_model(model):
        model = called(reference, model)
    if not is_model(model):
        raise UserError(f"{reference} is no model, nor makes one")
    lines = [repr(model)]
    graph = getattr(model, "graph", None)
    for known in getattr(graph, "inputs", ()):
        sizes = "any shape" if known.shape is None else ", ".join("any" if n is None else str(n) for n in known.shape)
        lines.append(f"input   {known.name}: ({sizes}) {known.dtype}".rstrip())
    lines += [f"output  {name}" for name in getattr(model, "output_names", ())]
    return "\n".join(lines)
