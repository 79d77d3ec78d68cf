"""A function recorded for a file: its program for every batch, and the names of what it reads.

The function is recorded on three batches of the example inputs (repeated rows), watched as ``ac.compile`` watches it:
one that looks at numbers or draws random ones has no file that gives its results.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...nn.module import Module
from ...operands import found
from ...program.program import Program, from_tape
from ...program.record.guards import Guards
from ...program.record.watch import Recorded, record
from ...tape import Tensor, tensor
from ..imported import Imported
from .nodes import Port
from .sizes import FIXED, Merged, Size, merged

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)
DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "bool")  # fmt: skip


@dataclass
class Recording:
    """The merged program; what its rows stand for, and what the file calls it.

    ``ports``: the inputs; ``inputs``: number of an input -> its row (of those that are read); ``tensors``: row ->
    Tensor closed over; ``kept``: row -> (layer, attribute) of running statistics; ``batch``: (number of an input, axis)
    whose size is the batch; ``results``: the names of the outputs; ``observed``: whether layers keep something of a
    run.
    """

    program: Merged
    ports: list[Port]
    inputs: dict[int, int]
    tensors: dict[int, Tensor]
    kept: dict[int, tuple[Any, str]]
    batch: tuple[int, int] | None
    results: list[str]
    observed: bool


def inputs_of(f: Callable[..., Any], inputs: Any, operation: str) -> tuple[list[str], list[np.ndarray]]:
    """The names and arrays of the example inputs: those of a mapping, or of the function's parameters.

    Raises TypeError for what is no array, no number, or of another dtype than ONNX has.
    """
    if isinstance(inputs, Mapping):
        names, values = [str(k) for k in inputs], list(inputs.values())
    else:
        values = list(inputs) if isinstance(inputs, tuple | list) else [inputs]
        names = _parameters(f, len(values))
    arrays = []
    for name, x in zip(names, values, strict=True):
        array = np.asarray(x.value if isinstance(x, Tensor) else x)
        if array.dtype.name not in DTYPES:
            raise TypeError(
                f"{operation}: input {name!r} is {found(x)}; give example arrays, as in inputs=(x, y), of a dtype that "
                f"ONNX has: {', '.join(DTYPES)}"
            )
        arrays.append(array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")))
    return names, arrays


def _parameters(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the first ``count`` positional parameters; of a model from another library, those of its inputs."""
    if isinstance(f, Imported) and len(f.graph.inputs) == count:
        return [x.name for x in f.graph.inputs]
    try:
        called = f.forward if isinstance(f, Module) else f
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in inspect.signature(called).parameters.values() if p.kind in kinds]
    except (TypeError, ValueError):
        names = []
    names = [*names[:count], *[f"input_{k}" for k in range(len(names), count)]]
    return [name if names.index(name) == k else f"{name}_{k}" for k, name in enumerate(names)]


Traced = Callable[[Callable[..., Any], list[Tensor]], tuple[list[str], list[Tensor]]]


def recorded(
    f: Callable[..., Any],
    names: list[str],
    arrays: list[np.ndarray],
    batch_axis: int | None,
    traced: Traced,
    operation: str,
) -> Recording:
    """``f`` recorded; ``traced(f, lines)`` calls it and gives the names of the outputs and their lines.

    Raises ValueError for a function that cannot be replayed or that depends on the size of the batch in another way
    than by whole multiples.
    """
    if not callable(f):
        raise TypeError(f"{operation}: {found(f)} is neither a function nor a Module")
    if batch_axis is not None and (isinstance(batch_axis, bool) or not isinstance(batch_axis, int) or batch_axis < 0):
        raise TypeError(f"{operation}: batch_axis={batch_axis!r} must be the number of an axis, or None")
    along = [x.shape[batch_axis] if batch_axis is not None and x.ndim > batch_axis else None for x in arrays]
    size = next((n for n in along if n is not None), None)
    if size == 0:
        raise ValueError(f"{operation}: the example inputs have a batch of 0; give one example at least")
    dynamic = [n is not None and n == size for n in along]
    batches: list[int] = []
    if size is not None:
        taken = {
            n for x, d in zip(arrays, dynamic, strict=True) for a, n in enumerate(x.shape) if not d or a != batch_axis
        }
        batches = [n for n in _PRIMES if n not in taken][:3]
    if len(batches) < 3:
        dynamic, batches = [False] * len(arrays), []
    programs: list[Program] = []
    seen: list[tuple[list[str], Recorded]] = []
    for batch in batches or [0]:
        given = [_repeated(x, batch, batch_axis) if d else x for x, d in zip(arrays, dynamic, strict=True)]
        results, outputs, recording, lines = _once(f, given, traced, operation, batch if batches else None)
        arguments = [*lines, *[s.line for s in recording.sources]]
        programs.append(from_tape(outputs, arguments, recording.start))
        seen.append((results, recording))
    program = merged(programs, batches, operation)
    results, recording = seen[0]
    places: dict[int, int] = {}
    tensors: dict[int, Tensor] = {}
    kept: dict[int, tuple[Any, str]] = {}
    for i, row in enumerate(program.rows):
        if row.line.tensor is not None:
            tensors[i] = row.line.tensor
        elif row.line.argument is not None and row.line.argument < len(arrays):
            places[row.line.argument] = i
        elif row.line.argument is not None:
            source = recording.sources[row.line.argument - len(arrays)]
            kept[i] = source.holder, source.name
    ports = [
        Port(name, x.dtype, tuple(Size(0, 1) if d and a == batch_axis else n for a, n in enumerate(x.shape)))
        for name, x, d in zip(names, arrays, dynamic, strict=True)
    ]
    axis = (dynamic.index(True), batch_axis) if True in dynamic and batch_axis is not None else None
    return Recording(program, ports, places, tensors, kept, axis, results, bool(recording.observers))


def _repeated(x: np.ndarray, batch: int, axis: int | None) -> np.ndarray:
    assert axis is not None
    return np.take(x, np.arange(batch) % x.shape[axis], axis=axis)


def _once(
    f: Callable[..., Any], arrays: list[np.ndarray], traced: Traced, operation: str, batch: int | None
) -> tuple[list[str], list[Tensor], Recorded, list[Tensor]]:
    """One recording: names and lines of the outputs, what was seen, and the lines of the inputs."""
    lines = [tensor(x) for x in arrays]
    before = Guards(f)
    try:
        recording = record(lambda: traced(f, lines), lines, before.generators)
    except (ValueError, IndexError) as error:
        if batch is None:
            raise
        raise ValueError(f"{error} (while {operation} recorded a batch of {batch}; {FIXED})") from error
    if any(not s.name for s in recording.sources) or (recording.reason or "").startswith("it draws"):
        raise ValueError(
            f"{operation}: the function draws random numbers, and a file would hold one draw for ever; call "
            "model.eval() first, so that dropout lets everything through"
        )
    reason = recording.reason or before.unfit()
    if reason:
        raise ValueError(f"{operation}: what the function does cannot be written down once for all inputs: {reason}")
    results, outputs = recording.result
    return results, outputs, recording, lines


def name_of_kept(model: Any, holder: Any, name: str) -> str:
    """The path of a layer's attribute in a model's ``state_dict``, or the attribute's name."""
    if isinstance(model, Module):
        for path, module in model.named_modules():
            if module is holder:
                return f"{path}.{name}" if path else name
    return name
