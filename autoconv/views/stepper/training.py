"""``ac.record_training``: weights, gradients and loss of a training run, step by step, in a bounded buffer.

It knows nothing of layers: anything with ``named_parameters`` or named Tensors is a model, anything with ``params`` and
``step`` an optimiser.  What is kept is shown in the page of the stepper, with the loss curve in place of the graph.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...files import save_as
from ...render.chart import curves
from ...render.notebook import bundle
from ...render.notebook import picture as image
from ...render.page import iframe
from ...render.text import clean, number
from ...shapes import whole_number
from ...tape import Tensor
from .axes import guessed
from .packing import Pack
from .page import LARGEST, TRAINING, Strings, with_arrays


def record_training(model: Any, optimizer: Any = None, *, every: int = 1, keep: int = 200) -> TrainingRecording:
    """A TrainingRecording of the parameters of ``model``; as a context manager it records every ``optimizer.step``
    inside it.

    model: something with ``named_parameters()``, a dict of Tensors, or Tensors with names.  every: record each such
    step. keep: the number of records that are kept, the latest.

        with ac.record_training(model, optimizer) as recording:
            train.fit(model, data, optimizer=optimizer, loss=recording.watch(cross_entropy), epochs=2)
        recording.save("training.html")

    Without an optimizer call ``recording.record(loss, gradients)`` in a loop of your own, before the step.
    Raises TypeError for a model without Tensors, ValueError for numbers below 1.

    >>> w = ac.tensor([1.0, 2.0], name="w")
    >>> recording = ac.record_training(w)
    >>> recording.record(loss=0.5, gradients=[np.ones(2)])
    >>> recording[0]
    Record(step=1, loss=0.5, weights={'w': array([1., 2.])}, gradients={'w': array([1., 1.])})
    """
    tensors = _named(model)
    if optimizer is not None and not (callable(getattr(optimizer, "step", None)) and hasattr(optimizer, "params")):
        raise TypeError(
            f"record_training: {type(optimizer).__name__} has no step and params; give an optimizer of "
            "ac.optim, or None"
        )
    every = whole_number(every, "record_training: every", 1)
    keep = whole_number(keep, "record_training: keep", 1)
    return TrainingRecording(tensors, optimizer, every, keep)


def _named(model: Any) -> dict[str, Tensor]:
    if hasattr(model, "named_parameters"):
        pairs = list(model.named_parameters())
    elif isinstance(model, Mapping):
        pairs = list(model.items())
    else:
        several = isinstance(model, Iterable) and getattr(model, "ndim", 1) > 0
        listed = [model] if isinstance(model, Tensor) else list(model) if several else []
        pairs = [
            x if isinstance(x, tuple) else (getattr(x, "name", None) or f"parameter {i}", x)
            for i, x in enumerate(listed)
        ]
    if not pairs or not all(isinstance(x, Tensor) for _, x in pairs):
        raise TypeError(
            f"record_training: found no Tensors in {type(model).__name__}; give a model, a dict of "
            "Tensors, or Tensors with names"
        )
    if len(dict(pairs)) < len(pairs):
        raise ValueError("record_training: two tensors have the same name; give a dict with a name for each")
    return {str(name): x for name, x in pairs}


@dataclass(frozen=True)
class Record:
    """One step, before its update: its number (from 1), the loss (None if unknown), weights and gradients by name."""

    step: int
    loss: float | None
    weights: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


class TrainingRecording(Sequence[Record]):
    """The latest records of a run, oldest first."""

    def __init__(self, tensors: dict[str, Tensor], optimizer: Any, every: int, keep: int) -> None:
        self.tensors, self.every, self.keep = tensors, every, keep
        self.steps = 0
        self._optimizer = optimizer
        self._loss: float | None = None
        self._records: deque[Record] = deque(maxlen=keep)

    def record(self, loss: Any = None, gradients: Any = None) -> None:
        """Keep this step: the loss, the weights as they are now, and the gradients.

        gradients: arrays in the order of the tensors, a dict by name, or None for each tensor's ``.grad``.
        Raises ValueError if their number or shapes do not fit.
        """
        given = self._gradients(gradients)
        self.steps += 1
        if (self.steps - 1) % self.every:
            return
        value = None if loss is None else float(np.asarray(getattr(loss, "value", loss)).reshape(()))
        weights = {
            name: x.value for name, x in self.tensors.items()
        }  # a step assigns new arrays; these stay as they are
        self._records.append(Record(self.steps, value, weights, {k: np.array(g) for k, g in given.items()}))

    def _gradients(self, gradients: Any) -> dict[str, Any]:
        names = list(self.tensors)
        found: dict[str, Any]
        if gradients is None:
            found = {name: x.grad for name, x in self.tensors.items()}
        elif isinstance(gradients, Mapping):
            found = dict(gradients)
        else:
            listed = list(gradients)
            if len(listed) != len(names):
                raise ValueError(
                    f"record: {len(listed)} gradients for {len(names)} tensors; give one for each, or None"
                )
            found = dict(zip(names, listed, strict=True))
        found = {name: np.asarray(getattr(g, "value", g)) for name, g in found.items() if g is not None}
        for name, g in found.items():
            if name not in self.tensors or g.shape != self.tensors[name].shape:
                what = f"shape {self.tensors[name].shape}" if name in self.tensors else "no such tensor here"
                raise ValueError(f"record: a gradient of shape {g.shape} for {name!r}: {what}")
        return found

    def watch(self, loss: Callable[..., Any]) -> Callable[..., Any]:
        """The loss function as it is, its value noted for the record of the next optimizer step."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            value = loss(*args, **kwargs)
            shown = np.asarray(getattr(value, "value", value))
            self._loss = float(shown.mean()) if shown.size else math.nan
            return value

        return watched

    def __enter__(self) -> TrainingRecording:
        optimizer = self._optimizer
        if optimizer is None:
            return self
        names = {id(x): name for name, x in self.tensors.items()}
        step = optimizer.step

        def recorded(grads: Any = None) -> None:
            given = [p.grad for p in optimizer.params] if grads is None else list(grads)
            pairs = zip(optimizer.params, given, strict=False)
            self.record(self._loss, {names[id(p)]: g for p, g in pairs if id(p) in names and g is not None})
            self._loss = None
            step(given)

        optimizer.step = recorded  # on this one object, until the block ends
        return self

    def __exit__(self, *_: Any) -> None:
        if self._optimizer is not None:
            del self._optimizer.step

    # ---- reading

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: Any) -> Any:
        return list(self._records)[i] if isinstance(i, slice) else self._records[i]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    @property
    def losses(self) -> list[float | None]:
        """The loss of each record."""
        return [record.loss for record in self]

    def __repr__(self) -> str:
        if not len(self):
            return f"<Recording of {len(self.tensors)} tensors: nothing recorded yet>"
        first, last = self[0], self[-1]
        shown = [number(x) if x is not None else "?" for x in (first.loss, last.loss)]
        return (
            f"<Recording of {len(self.tensors)} tensors: {len(self)} records, steps {first.step} .. "
            f"{last.step}, loss {shown[0]} -> {shown[1]}>"
        )

    # ---- showing

    def page(self, numbers: str = "auto") -> str:
        """The page that scrubs through the run; ValueError if nothing is recorded."""
        if not len(self):
            raise ValueError(
                "recording: nothing is recorded yet; train inside the with block, or call record(loss, gradients)"
            )
        if numbers not in ("auto", "all"):
            raise ValueError(f"save: numbers={numbers!r}; use 'auto' (large tensors are cut) or 'all'")
        pack, texts, events = Pack(), Strings(), []
        for record in self:
            grids = []
            for name, value in record.weights.items():
                grids.append(["operand", texts.add(clean(name)), pack.add(value, 0, guessed(value.shape, kernel=True))])
                if name in record.gradients:
                    label = texts.add(clean(f"gradient of {name}"))
                    grids.append(
                        ["after", label, pack.add(record.gradients[name], 0, guessed(value.shape, kernel=True))]
                    )
            loss = "" if record.loss is None else f": loss {number(record.loss)}"
            says = texts.add(f"training step {record.step}{loss}, before its update")
            events.append({"kind": "record", "line": -1, "target": -1, "says": says, "grids": grids})
        losses = [None if x is None or not math.isfinite(x) else x for x in self.losses]
        data = {"kind": "training", "position": len(self), "lines": [], "loss": losses, "steps": [r.step for r in self]}
        long = {"texts": texts.texts, "events": events}
        made = with_arrays(data, pack, long, None if numbers == "all" else LARGEST, TRAINING)
        return TRAINING(made, "Training, step by step")

    def save(self, path: str | os.PathLike[str], numbers: str = "auto") -> Path:
        """Write the page (``.html``), self-contained and offline, as ``Stepper.save`` does; returns the path."""
        write = lambda: self.page(numbers)
        return save_as(path, {".html": write, ".htm": write}, "record_training")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if not len(self):
            return bundle(repr(self))
        picture = curves({"loss": self.losses}, x_label="record", y_label="loss")
        shown = iframe(self.page()) + image(picture, repr(self))
        return bundle(repr(self), html=shown, svg=picture, caption=repr(self))
