"""What the user names on the command line: files with functions and models.  Nothing else is ever run."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, nn
from ..scalar import KINDS, Scalar
from ..tape import Tensor


class UserError(Exception):
    """Something the user can put right; shown as one line."""


def build(name: str, input_shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
    """A preset, or what file.py:make_model returns; it may take any of input_shape, classes and rng."""
    if name in models.PRESETS:
        if len(input_shape) != 3:
            raise UserError(
                f"the model {name!r} is for images (H, W, C), the data have shape {input_shape}; "
                "give your own with --model file.py:make_model"
            )
        return models.PRESETS[name](input_shape, classes, rng)
    if ":" not in name:
        raise UserError(f"there is no model {name!r}; use {', '.join(models.PRESETS)}, or file.py:make_model")
    function = load_function(name)
    offered = {"input_shape": input_shape, "classes": classes, "rng": rng}
    taken = inspect.signature(function).parameters
    model = called(name, function, **{k: v for k, v in offered.items() if k in taken})
    if not isinstance(model, nn.Module):
        raise UserError(f"{name} returned {type(model).__name__}; it must return an autoconv.nn.Module")
    return model


def load_function(reference: str) -> Callable[..., Any]:
    """The function that "file.py:function" names."""
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if not file or path.suffix != ".py":
        raise UserError(f"{reference!r} is not of the form file.py:function")
    if not path.is_file():
        raise UserError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        called(file, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        there = [
            k
            for k, v in vars(module).items()
            if (inspect.isfunction(v) and v.__module__ == module.__name__) or isinstance(v, nn.Module)
        ]
        raise UserError(f"{file} has no function {name!r}, nor a model; it has {', '.join(there) or 'none'}")
    return function


def called(name: str, function: Callable[..., Any], **kwargs: Any) -> Any:
    """What the user's code returns; whatever it raises becomes one line that says where."""
    try:
        return function(**kwargs)
    except Exception as error:
        trace, line = error.__traceback__, ""
        while trace is not None:
            if (
                trace.tb_frame.f_code.co_filename.endswith(".py")
                and "importlib" not in trace.tb_frame.f_code.co_filename
            ):
                line = f" (line {trace.tb_lineno} of {Path(trace.tb_frame.f_code.co_filename).name})"
            trace = trace.tb_next
        raise UserError(f"{name} raised {type(error).__name__}: {error}{line}") from error


def recorded(reference: str) -> tuple[Tensor | Scalar, dict[str, Any]]:
    """The Tensor that file.py:function returns, called without arguments,
    and the variables it names (if it returns both)."""
    return recorded_as(reference, called(reference, load_function(reference)))


def recorded_as(reference: str, made: Any) -> tuple[Tensor | Scalar, dict[str, Any]]:
    """What a function has returned as a Tensor (or Scalar) and the variables that it names."""
    kinds: Any = (Tensor, *KINDS)
    y, names = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
    if not isinstance(y, kinds) or not isinstance(names, dict):
        raise UserError(
            f"{reference} returned {type(made).__name__}; it must return a Tensor or Scalar, or (Tensor, locals())"
        )
    return y, names
