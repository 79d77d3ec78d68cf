"""A run in a file, to be compared with another one later: plain arrays and JSON in an .npz, nothing that is
executed."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import numpy as np

from .. import npy
from ..files import replace_file
from ..operands import found
from ..primitives import TABLE
from ..tape import Scope, Tape, Tensor

VERSION = 1
MOST_LINES = 1_000_000
DEEPEST = 64  # nested tuples in a setting, scopes around a line


class RunFileError(ValueError):
    """A file that holds no run; the text has its path and the reason."""


def save_run(y: Any, path: str | os.PathLike[str]) -> None:
    """Keep the run that computed ``y`` (a Tensor, several, or a Tape) in an .npz file, for ``ac.compare``.

    The file holds every line: its row, settings, scope, source line and value.  Written whole or not at all.
    Raises TypeError for what is no run, ValueError for exact fractions, OSError if the file cannot be written.

    >>> x = ac.tensor([1.0, 2.0], name="x")
    >>> ac.save_run(ac.exp(x) * x, "run.npz")
    >>> bool(ac.compare("run.npz", ac.exp(x) * x))
    True
    """
    if isinstance(y, Tensor):
        y = (y,)
    if not isinstance(y, Tape) and not (isinstance(y, list | tuple) and y and all(isinstance(t, Tensor) for t in y)):
        raise TypeError(f"save_run: found {found(y)}; give the output of a run (a Tensor), several, or a Tape")
    tape = y if isinstance(y, Tape) else Tape(*y)
    number = {id(line): i for i, line in enumerate(tape.lines)}
    arrays: dict[str, Any] = {}
    rows = []
    for i, line in enumerate(tape.lines):
        if line.dtype == object:
            raise ValueError("save_run: the run holds exact fractions (dtype object), which a file of numbers cannot")
        arrays[f"value{i}"] = line.value
        scopes = [[scope.name, scope.kind] for scope in line.scope.path] if line.scope else []
        rows.append(
            {
                "row": line.primitive.name if line.primitive else None,
                "reads": [number[id(x)] for x in line.operands],
                "settings": {k: _coded(v, arrays) for k, v in line.params.items()},
                "scopes": scopes,
                "source": line.source,
                "name": line.name,
                "constant": bool(line.constant),
            }
        )
    text = json.dumps({"version": VERSION, "lines": rows, "outputs": [number[id(t)] for t in tape.outputs]})
    arrays["program"] = np.frombuffer(text.encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    replace_file(path, stream.getvalue())


def load_run(path: str | os.PathLike[str]) -> Tape:
    """The run of a file as a Tape; RunFileError for any other file."""
    try:
        arrays = npy.load(path)
    except npy.ArrayFileError as error:
        raise RunFileError(str(error)) from None
    try:
        if not isinstance(arrays, dict) or "program" not in arrays:
            raise ValueError("it has no program; use ac.save_run")
        held = json.loads(arrays["program"].tobytes())
        if held["version"] != VERSION:
            raise ValueError(f"it is of version {held['version']}, this program reads {VERSION}")
        lines: list[Tensor] = []
        scopes: dict[str, Scope] = {}
        if len(held["lines"]) > MOST_LINES:
            raise ValueError(f"it has more than {MOST_LINES:,} lines")
        for i, entry in enumerate(held["lines"]):
            lines.append(_line(i, entry, arrays, lines, scopes))
        return Tape(*[lines[_place(k, len(lines))] for k in held["outputs"]])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RunFileError(f"{path}: not a run that ac.save_run kept: {error}") from None


def _line(i: int, entry: Any, arrays: dict[str, Any], lines: list[Tensor], scopes: dict[str, Scope]) -> Tensor:
    primitive = None if entry["row"] is None else TABLE[entry["row"]]
    operands = tuple(lines[_place(k, i)] for k in entry["reads"])
    params = {str(k): _decoded(v, arrays) for k, v in entry["settings"].items()}
    if len(entry["scopes"]) > DEEPEST:
        raise ValueError(f"line {i} stands in more than {DEEPEST} scopes")
    around, path = None, ""
    named = [*entry["scopes"], *([[entry["source"], "source"]] if entry["source"] else [])]
    for name, kind in named:
        path += f"\n{kind}:{name}"
        around = scopes.setdefault(path, Scope(str(name), str(kind), around))
    name = entry["name"]
    value = np.array(arrays[f"value{i}"])
    return Tensor(
        value, primitive, operands, params, around, None if name is None else str(name), bool(entry["constant"])
    )


def _place(k: Any, below: int) -> int:
    if type(k) is not int or not 0 <= k < below:
        raise ValueError(f"a line reads line {k!r}, which is not before it")
    return k


def _coded(value: Any, arrays: dict[str, Any]) -> Any:
    """A setting as JSON: what JSON does not have is a dict with its kind."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_coded(x, arrays) for x in value]}
    if isinstance(value, slice):
        return {"slice": [_coded(x, arrays) for x in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"dots": 0}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, np.ndarray):
        name = f"setting{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    raise TypeError(f"save_run: a setting is {found(value)}, which cannot be stored")


def _decoded(value: Any, arrays: dict[str, Any], depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise ValueError("a setting is nested too deeply")
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind in ("tuple", "list"):
        return {"tuple": tuple, "list": list}[kind](_decoded(x, arrays, depth + 1) for x in inside)
    if kind == "slice":
        return slice(*[_decoded(x, arrays, depth + 1) for x in inside])
    if kind == "dots":
        return Ellipsis
    if kind == "dtype":
        dtype = np.dtype(str(inside))
        if dtype.kind not in "fiub":
            raise ValueError(f"a setting has dtype {dtype}")
        return dtype
    if kind == "array":
        return arrays[inside]
    raise ValueError(f"a setting is of kind {kind!r}")
