"""Checkpoints: a training run in one safetensors file, written atomically, checked whole before anything is applied.

Arrays are the file's tensors ("model.conv1.weight", "optimizer.0.exp_avg"); numbers, schedule, epoch and the states of
the random generators are JSON in its metadata.  Nothing in a file is executed, and its sizes are compared with its
length.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .files import replace_file
from .nn import Module
from .optim import Optimizer, Schedule

VERSION = "1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be written, read or applied; the text has its path and the reason.

    >>> ac.checkpoint.inspect("missing.safetensors")
    Traceback (most recent call last):
        ...
    autoconv.checkpoint.CheckpointError: missing.safetensors: cannot be read: No such file or directory
    """


class Checkpoint(NamedTuple):
    """What a file says besides the states: epochs done, the caller's own ``extra``, and the tensors' names and shapes.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> held = ac.checkpoint.inspect("run.safetensors")
    >>> held.epoch, held.extra, held.shapes["model.weight"]
    (3, None, (2, 1))
    """

    epoch: int
    extra: Any
    shapes: dict[str, tuple[int, ...]]


def save(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    *,
    epoch: int = 0,
    rng: np.random.Generator | None = None,
    extra: Any = None,
) -> None:
    """Write the state of a training run: weights and buffers, optimiser, schedule, epoch, random generators, ``extra``.

    The file is complete or not there: it is written beside ``path`` and then put in its place.  Raises CheckpointError
    if it cannot be written, TypeError for an ``extra`` that JSON does not know.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> ac.checkpoint.inspect("run.safetensors").epoch
    3
    """
    pack = file_format().numpy.save
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, value in tensors.items():
        if value.dtype == object:
            raise CheckpointError(
                f"{path}: {name} holds exact fractions (dtype object), which a file of numbers cannot"
            )
    numbers: dict[str, Any] = {"epoch": epoch, "extra": extra, "generators": _generator_states(model, rng)}
    if optimizer is not None:
        state = optimizer.state_dict()
        for i, entry in enumerate(state["state"]):
            tensors.update({f"optimizer.{i}.{k}": v for k, v in entry.items() if isinstance(v, np.ndarray)})
        steps = [entry.get("step") for entry in state["state"]]
        numbers["optimizer"] = {"name": state["name"], "settings": state["settings"], "steps": steps}
    if schedule is not None:
        numbers["schedule"] = schedule.state_dict()
    metadata = {"format": "autoconv", "version": VERSION}
    metadata.update({key: json.dumps(value, default=_plain) for key, value in numbers.items()})
    _write(Path(path), pack({k: np.array(v, order="C") for k, v in tensors.items()}, metadata))


def load(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> Checkpoint:
    """Take over what ``save`` wrote, into the objects given (what the file has besides is left alone).

    Raises CheckpointError with path and reason for a file that is missing, truncated, foreign or made by another model,
    optimiser or schedule; model, optimiser, schedule and generators are then unchanged.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> other = nn.Linear(2, 1, rng=1)
    >>> ac.checkpoint.load("run.safetensors", other).epoch
    3
    >>> bool((other.weight.value == model.weight.value).all())
    True
    """
    tensors, numbers = _read(path)
    try:
        apply = [_prepared_model(model, tensors), _prepared_generators(model, rng, numbers)]
        if optimizer is not None:
            apply.append(_prepared(optimizer, _optimizer_state(tensors, numbers)))
        if schedule is not None:
            apply.append(_prepared(schedule, _entry(numbers, "schedule", dict)))
        found = _contents(tensors, numbers)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    for step in apply:
        step()
    return found


def inspect(path: str | os.PathLike[str]) -> Checkpoint:
    """What a checkpoint holds, without a model to load it into.  Raises CheckpointError as ``load`` does.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> ac.checkpoint.inspect("run.safetensors").epoch
    3
    """
    tensors, numbers = _read(path)
    try:
        return _contents(tensors, numbers)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


# ---- from a file's contents to changes that cannot fail


def _contents(tensors: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> Checkpoint:
    shapes = {name: value.shape for name, value in tensors.items()}
    return Checkpoint(_entry(numbers, "epoch", int), numbers.get("extra"), shapes)


def _prepared(owner: Optimizer | Schedule, state: Mapping[str, Any]) -> Callable[[], None]:
    owner.check_state_dict(state)
    return lambda: owner.load_state_dict(state)


def _prepared_model(model: Module, tensors: Mapping[str, np.ndarray]) -> Callable[[], None]:
    state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.check_state_dict(state)
    return lambda: model.load_state_dict(state)


def _optimizer_state(tensors: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The optimiser's state_dict, put together again from tensors and numbers."""
    stored = _entry(numbers, "optimizer", dict)
    steps = stored.get("steps")
    if not isinstance(steps, list):
        raise ValueError("the optimiser's steps are not a list")
    state: list[dict[str, Any]] = [{} if step is None else {"step": step} for step in steps]
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        number, _, slot = rest.partition(".")
        if kind == "optimizer":
            if not number.isdecimal() or int(number) >= len(state):
                raise ValueError(f"{name} belongs to no parameter of the optimiser")
            state[int(number)][slot] = value
    return {"name": stored.get("name"), "settings": stored.get("settings"), "state": state}


def _generators(model: Module, rng: np.random.Generator | None) -> dict[str, np.random.Generator]:
    named = {f"model.{name}": generator for name, generator in model.named_generators()}
    return named if rng is None else {**named, "rng": rng}


def _generator_states(model: Module, rng: np.random.Generator | None) -> dict[str, Any]:
    return {name: generator.bit_generator.state for name, generator in _generators(model, rng).items()}


def _prepared_generators(
    model: Module, rng: np.random.Generator | None, numbers: Mapping[str, Any]
) -> Callable[[], None]:
    """Each state is tried on a new generator of the same kind first."""
    states = _entry(numbers, "generators", dict)
    named = _generators(model, rng)
    for name, generator in named.items():
        if name not in states:
            raise ValueError(f"there is no generator state for {name}; found {', '.join(states) or 'none'}")
        kind = type(generator.bit_generator)
        try:
            kind().state = states[name]
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise ValueError(f"the generator state for {name} is not one of {kind.__name__}: {error}") from None

    def apply() -> None:
        for name, generator in named.items():
            generator.bit_generator.state = states[name]

    return apply


def _entry(numbers: Mapping[str, Any], key: str, kind: type) -> Any:
    value = numbers.get(key)
    if not isinstance(value, kind):
        raise ValueError(
            f"the file holds no {key}" if value is None else f"its {key} is {value!r}, not a {kind.__name__}"
        )
    return value


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays (in the states of some generators) for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(
        f"checkpoint: {value!r} of type {type(value).__name__} cannot be stored; use numbers, text, lists and dicts"
    )


# ---- the file


def file_format() -> Any:
    """The package safetensors, which reads and writes the files; CheckpointError where it is not installed."""
    try:
        import safetensors.numpy
    except ImportError:
        raise CheckpointError("a checkpoint is a safetensors file, which needs: pip install safetensors") from None
    return safetensors


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors, numbers) of a checkpoint file; CheckpointError for anything else."""
    safetensors = file_format()
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8 or data[8:9] != b"{":
        raise CheckpointError(
            f"{path}: not a checkpoint, or truncated: {len(data):,} bytes without a complete safetensors header"
        )
    try:
        tensors = safetensors.numpy.load(data)
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or truncated: {error}") from None
    if metadata.get("format") != "autoconv":
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of autoconv")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: written in version {metadata.get('version')} of the format, this program reads {VERSION}"
        )
    try:
        numbers = {k: json.loads(v) for k, v in metadata.items() if k not in ("format", "version")}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata cannot be read: {error}") from None
    return tensors, numbers


def _write(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
