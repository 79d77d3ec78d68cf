"""Checkpoints: a training run in one safetensors file, written atomically, checked whole before anything is applied.

Arrays are the file's tensors ("model.conv1.weight", "optimizer.0.exp_avg"); numbers, schedule, epoch and the states of
the random generators are JSON in its metadata.  Nothing in a file is executed, and its sizes are compared with its
length.

"checksum" in the metadata is the SHA-256 of the whole file with 64 zeros in its own place, so a single wrong bit
anywhere is noticed.  Files of version 1 have none; they still load, with a CheckpointWarning.  What ``save`` is about
to write is first loaded as ``load`` would, so whatever cannot be loaded is refused while the old file is still there.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from .files import LARGEST, check_writable, open_regular, replace_file
from .nn import Module
from .optim import Optimizer, Schedule
from .shapes import whole_number
from .weights import safetensors_file
from .weights.safetensors_file import beginning, header_of

VERSION = "2"
WITHOUT_CHECKSUM = "1"
DEEPEST = 100  # lists and dicts inside each other in ``extra``
DTYPES = {name: dtype.lstrip("<") for name, dtype in safetensors_file.DTYPES.items() if name != "BF16"}
_FIELD = b'"checksum":"'  # cannot stand inside a JSON string, where quotes are escaped
_UNSIGNED = b"0" * 64


class CheckpointError(ValueError):
    """A checkpoint that cannot be written, read or applied; the text has its path and the reason.

    >>> ac.checkpoint.inspect("missing.safetensors")
    Traceback (most recent call last):
        ...
    autoconv.checkpoint.CheckpointError: missing.safetensors: cannot be read: No such file or directory
    """


class CheckpointWarning(UserWarning):
    """A checkpoint that is taken over though something about it should be known: no checksum, or values not finite.

    >>> model = nn.Linear(1, 1, rng=0)
    >>> model.bias.assign([np.nan])
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     ac.checkpoint.save("run.safetensors", model)
    >>> said[0].category.__name__
    'CheckpointWarning'
    """


class Checkpoint(NamedTuple):
    """A file besides its states: epochs done, the caller's own ``extra``, and the tensors' names and shapes.

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
    """Write weights and buffers, optimiser, schedule, epoch, ``rng``, generators (Dropout's too) and ``extra`` (JSON).

    The file is complete or not there: it is written beside ``path`` and then put in its place.  epoch: a whole number
    from 0. extra: numbers, text, lists, and dicts with text as keys (a tuple comes back as a list).  Values that are
    not finite are stored, with a CheckpointWarning that names them.  Raises CheckpointError if the file cannot be
    written or could not be loaded again, TypeError for an ``epoch`` or ``extra`` of another type; an old file then
    stays as it was.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> ac.checkpoint.inspect("run.safetensors").epoch
    3
    """
    content = _packed(path, model, optimizer, schedule, epoch, rng, extra)
    try:
        replace_file(path, content)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None


def check(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    *,
    epoch: int = 0,
    rng: np.random.Generator | None = None,
    extra: Any = None,
) -> None:
    """Raise what ``save`` would raise now, and write nothing: to be asked before a training of hours.

    >>> ac.checkpoint.check("no/such/folder/run.safetensors", nn.Linear(2, 1, rng=0))
    Traceback (most recent call last):
        ...
    autoconv.checkpoint.CheckpointError: no/such/folder/run.safetensors: cannot be written: No such file or directory
    """
    try:
        check_writable(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
    _packed(path, model, optimizer, schedule, epoch, rng, extra)


def load(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> Checkpoint:
    """Take over what ``save`` wrote, into the objects given (what the file has besides is left alone).

    Raises CheckpointError with path and reason for a file that is missing, damaged, foreign or made by another model
    (or one of another dtype), optimiser or schedule; model, optimiser, schedule and generators are then unchanged.  A
    file without a checksum and values that are not finite are taken over with a CheckpointWarning.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> other = nn.Linear(2, 1, rng=1)
    >>> ac.checkpoint.load("run.safetensors", other).epoch
    3
    >>> bool((other.weight.value == model.weight.value).all())
    True
    """
    tensors, numbers = _unpacked(path, _read(path))
    changes = _prepared(path, tensors, numbers, model, optimizer, schedule, rng)
    if numbers["version"] == WITHOUT_CHECKSUM:
        warnings.warn(
            f"{path}: was written before checkpoints had a checksum, damage in its numbers would not be noticed; "
            "save it again",
            CheckpointWarning,
            stacklevel=2,
        )
    _warn_of_infinities(path, tensors, optimizer is not None, 3)
    for change in changes:
        change()
    return _contents(tensors, numbers)


def inspect(path: str | os.PathLike[str]) -> Checkpoint:
    """What a checkpoint holds, without a model to load it into.  Raises CheckpointError as ``load`` does.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.checkpoint.save("run.safetensors", model, epoch=3)
    >>> ac.checkpoint.inspect("run.safetensors").epoch
    3
    """
    tensors, numbers = _unpacked(path, _read(path))
    try:
        return _contents(tensors, numbers)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


# ---- from a file's contents to changes that cannot fail


def _contents(tensors: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> Checkpoint:
    shapes = {name: value.shape for name, value in tensors.items()}
    return Checkpoint(_entry(numbers, "epoch", int), numbers.get("extra"), shapes)


def _prepared(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    numbers: Mapping[str, Any],
    model: Module,
    optimizer: Optimizer | None,
    schedule: Schedule | None,
    rng: np.random.Generator | None,
) -> list[Callable[[], None]]:
    """The changes that ``load`` makes, every one checked; CheckpointError if one of them cannot be made."""
    try:
        changes = [_prepared_model(model, tensors), _prepared_generators(model, rng, numbers)]
        if optimizer is not None:
            changes.append(_prepared_optimizer(optimizer, _optimizer_state(tensors, numbers)))
        if schedule is not None:
            state = _entry(numbers, "schedule", dict)
            schedule.check_state_dict(state)
            changes.append(lambda: schedule.load_state_dict(state))
        _contents(tensors, numbers)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    return changes


def _prepared_model(model: Module, tensors: Mapping[str, np.ndarray]) -> Callable[[], None]:
    state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.check_state_dict(state)
    buffers = dict(model.named_buffers())  # running statistics of float16 layers were once float16
    other = [
        f"{name} has dtype {state[name].dtype}, the model's has {own.dtype}"
        for name, own in model.state_dict().items()
        if state[name].dtype != own.dtype.newbyteorder("=")
        and not (name in buffers and state[name].dtype == np.float16 and own.dtype == np.float32)
    ]
    if other:
        raise ValueError(
            f"{'; '.join(other)}. Build the model with the dtype it was saved with; to cast on purpose, read the "
            "arrays with safetensors.numpy.load_file and give them to model.load_state_dict"
        )
    return lambda: model.load_state_dict(state)


def _prepared_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> Callable[[], None]:
    """Slots may be stored in a narrower float type than they are kept in, which loses nothing, but in no other."""
    optimizer.check_state_dict(state)
    for i, (p, entry) in enumerate(zip(optimizer.params, state["state"], strict=True)):
        own = optimizer.slots(p) if entry else {}
        for name, slot in own.items():
            found = entry[name].dtype
            if isinstance(slot, np.ndarray) and not (found.kind == "f" and np.can_cast(found, slot.dtype, "safe")):
                raise ValueError(f"optimizer.{i}.{name} has dtype {found}, the optimiser keeps it in {slot.dtype}")
    return lambda: optimizer.load_state_dict(state)


def _warn_of_infinities(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], optimizer: bool, stacklevel: int
) -> None:
    """One CheckpointWarning that names the arrays with values that are not finite."""
    bad = {
        name: np.count_nonzero(~np.isfinite(value))
        for name, value in tensors.items()
        if value.dtype.kind == "f" and (optimizer or name.startswith("model."))
    }
    named = [f"{name} ({count:,} of {tensors[name].size:,})" for name, count in bad.items() if count]
    if named:
        warnings.warn(
            f"{path}: values that are NaN or infinite: {', '.join(named)}", CheckpointWarning, stacklevel=stacklevel
        )


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


def _check_extra(value: Any, depth: int = 0) -> None:
    """TypeError or ValueError for what JSON would change or not read again."""
    if depth > DEEPEST:
        raise ValueError(f"checkpoint: extra has more than {DEEPEST} lists and dicts inside each other")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"checkpoint: the key {key!r} in extra cannot be stored; the keys must be text")
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_extra(inner, depth + 1)


# ---- the file


def _safetensors() -> Any:
    """The package safetensors, which reads and writes the files; CheckpointError where it is not installed."""
    try:
        import safetensors.numpy
    except ImportError:
        raise CheckpointError("a checkpoint is a safetensors file, which needs: pip install safetensors") from None
    return safetensors


def _packed(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None,
    schedule: Schedule | None,
    epoch: int,
    rng: np.random.Generator | None,
    extra: Any,
) -> bytes:
    """The bytes of a checkpoint that ``load`` takes; CheckpointError (or TypeError) if there are none."""
    safetensors = _safetensors()
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    numbers: dict[str, Any] = {
        "epoch": whole_number(epoch, "checkpoint: epoch", 0),
        "extra": extra,
        "generators": _generator_states(model, rng),
    }
    if optimizer is not None:
        state = optimizer.state_dict()
        for i, entry in enumerate(state["state"]):
            tensors.update({f"optimizer.{i}.{k}": v for k, v in entry.items() if isinstance(v, np.ndarray)})
        steps = [entry.get("step") for entry in state["state"]]
        numbers["optimizer"] = {"name": state["name"], "settings": state["settings"], "steps": steps}
    if schedule is not None:
        numbers["schedule"] = schedule.state_dict()
    for name, value in tensors.items():
        if value.dtype == object:
            raise CheckpointError(
                f"{path}: {name} holds exact fractions (dtype object), which a file of numbers cannot"
            )
        if value.dtype.str[1:] not in DTYPES.values():
            raise CheckpointError(f"{path}: {name} has dtype {value.dtype}, which a safetensors file cannot hold")
    metadata = {"format": "autoconv", "version": VERSION, "checksum": _UNSIGNED.decode()}
    try:
        _check_extra(extra)
        metadata.update({key: json.dumps(value, default=_plain) for key, value in numbers.items()})
        native = {k: np.array(v, v.dtype.newbyteorder("="), order="C") for k, v in tensors.items()}
        content = _signed(safetensors.numpy.save(native, metadata))
    except (ValueError, RecursionError, OverflowError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be saved: {error}") from None
    try:
        _check_sizes(path, content, len(content))
        again = _unpacked(path, content)
        _prepared(path, *again, model, optimizer, schedule, rng)
    except CheckpointError as error:
        raise CheckpointError(f"{error} (not saved, because it could not be loaded again)") from None
    _warn_of_infinities(path, again[0], True, 4)
    return content


def _read(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file whose header promises as many as there are; CheckpointError for anything else."""
    _safetensors()  # what is missing is told before a file is looked for
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            _check_sizes(path, beginning(file), size)
            file.seek(0)
            return file.read(size)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None


def _check_sizes(path: str | os.PathLike[str], begin: bytes, size: int) -> None:
    """CheckpointError unless the header that a file of ``size`` bytes begins with is complete and fits the size."""
    try:
        length, header = header_of(begin, size)
    except ValueError as error:
        raise CheckpointError(f"{path}: not a checkpoint, or truncated: {error}") from None
    try:
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        dtypes = {str(entry["dtype"]) for entry in tensors.values()}
        need = 8 + length + max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or truncated: its header cannot be read: {error}") from None
    if need != size:
        raise CheckpointError(
            f"{path}: not a checkpoint, or truncated: its header promises {need:,} bytes, there are {size:,}"
        )
    if not dtypes <= set(DTYPES):
        raise CheckpointError(f"{path}: holds {', '.join(sorted(dtypes - set(DTYPES)))}, which NumPy has no dtype for")
    if size > LARGEST:
        raise CheckpointError(f"{path}: {size:,} bytes; a checkpoint has at most {LARGEST:,}")


def _unpacked(path: str | os.PathLike[str], content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors, numbers and version) of a checkpoint's bytes; CheckpointError for anything else."""
    safetensors = _safetensors()
    try:
        tensors = safetensors.numpy.load(content)
        metadata = header_of(content, len(content))[1].get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or truncated: {error}") from None
    if metadata.get("format") != "autoconv":
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of autoconv")
    version = metadata.get("version")
    if version not in (VERSION, WITHOUT_CHECKSUM):
        raise CheckpointError(f"{path}: written in version {version} of the format, this program reads {VERSION}")
    if (version == VERSION or "checksum" in metadata) and not _is_signed(content, metadata.get("checksum", "")):
        raise CheckpointError(
            f"{path}: is damaged, or was changed by another program: its checksum is not that of its contents"
        )
    try:
        numbers = {k: json.loads(v) for k, v in metadata.items() if k not in ("format", "version", "checksum")}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata cannot be read: {error}") from None
    return tensors, {**numbers, "version": version}


def _signed(content: bytes) -> bytes:
    """The same bytes with their SHA-256 in the place of the zeros."""
    at = content.index(_FIELD + _UNSIGNED) + len(_FIELD)
    return content[:at] + sha256(content).hexdigest().encode() + content[at + len(_UNSIGNED) :]


def _is_signed(content: bytes, checksum: str) -> bool:
    at = content.find(_FIELD + checksum.encode()) + len(_FIELD)
    if len(checksum) != len(_UNSIGNED) or at < len(_FIELD):
        return False
    digest = sha256(content[:at] + _UNSIGNED)
    digest.update(memoryview(content)[at + len(_UNSIGNED) :])
    return digest.hexdigest() == checksum
