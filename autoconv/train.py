"""Training: batches through a model, a sweep, a step; with curves, checkpoints, and care for what goes wrong.

for each batch:  loss = loss(model(x), y);  gradients = sweep(loss, parameters);  optimizer.step(gradients)

These three are one call of a compiled function (compiled/), which records them once for each size of a batch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import checkpoint as files
from .arrays import wide
from .compiled import Compiled, compile
from .compiled.function import chosen_backend as compiled_backend
from .data import DataError, Source
from .data.batches import Pair, Transform
from .data.held import HeldSource
from .functional.loss import cross_entropy
from .nn import Module, Parameter
from .nn.module import evaluating
from .operands import found, generator
from .optim import Optimizer, Schedule
from .shapes import flag, whole_number
from .tape import Tape, Tensor

if TYPE_CHECKING:
    from .xla.team import Team

Loss = Callable[[Any, Any], Any]


class TrainingError(RuntimeError):
    """The loss became NaN or infinite; the text names the first line that did, ``line`` is that line.

    The model has the last weights that gave a finite loss; ``history`` is that of the epochs before.

    >>> x, y = np.full((2, 1), np.inf), np.array([0, 1])
    >>> model = nn.Sequential(nn.Linear(1, 2, rng=0))
    >>> ac.train.fit(model, (x, y), epochs=1, optimizer=optim.SGD(model.parameters()), progress=False)
    Traceback (most recent call last):
        ...
    autoconv.train.TrainingError: the loss is nan in epoch 1. ...
    """

    def __init__(self, text: str, line: Tensor | None, history: History) -> None:
        super().__init__(text)
        self.line = line
        self.history = history


@dataclass
class History:
    """One number for each epoch; accuracy is None for targets that are not labels, validation None without such data.

    >>> history = ac.train.History(
    ...     loss=[0.9, 0.4, 0.5], accuracy=[0.5, 0.9, 0.8], validation_loss=[None] * 3, lr=[0.1] * 3
    ... )
    >>> len(history), history.best_epoch
    (3, 1)
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float | None] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    validation_accuracy: list[float | None] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __len__(self) -> int:
        return len(self.loss)

    def append(self, totals: _Totals, held_out: Evaluation | None, lr: float) -> None:
        """Add an epoch."""
        self.loss.append(totals.loss)
        self.accuracy.append(totals.accuracy)
        self.validation_loss.append(None if held_out is None else held_out.loss)
        self.validation_accuracy.append(None if held_out is None else held_out.accuracy)
        self.lr.append(lr)

    def interrupt(self) -> None:
        """Mark the end by Ctrl-C, without the epoch that was being added, if any."""
        for column in (self.loss, self.accuracy, self.validation_loss, self.validation_accuracy):
            del column[len(self.lr) :]
        self.interrupted = True

    def score(self, epoch: int = -1) -> tuple[float, float]:
        """What "best" compares, larger is better: validation accuracy, then loss;
        without validation the training loss."""
        held_out = self.validation_loss[epoch]
        if held_out is None:
            return 0.0, -self.loss[epoch]
        return self.validation_accuracy[epoch] or 0.0, -held_out

    @property
    def best_epoch(self) -> int:
        """The epoch (from 0) with the best score, the first of equals; ValueError when there is none."""
        return max(range(len(self)), key=self.score)


class Evaluation(NamedTuple):
    """loss; accuracy (None without labels); the model's output for each example; confusion[true, predicted] (or None).

    >>> x, y = ac.data.digits("test")
    >>> model = ac.models.mlp((8, 8, 1), 10, np.random.default_rng(0))
    >>> result = ac.train.evaluate(model, x, y)
    >>> result.outputs.shape, result.confusion.sum(), result.predictions.shape
    ((360, 10), np.int64(360), (360,))
    """

    loss: float
    accuracy: float | None
    outputs: np.ndarray
    confusion: np.ndarray | None

    @property
    def predictions(self) -> np.ndarray:
        """The most likely class of each example."""
        return self.outputs.argmax(-1)


@np.errstate(
    over="ignore", invalid="ignore", divide="ignore"
)  # a loss that is not finite is reported, once, by its line
def fit(
    model: Module,
    train: Any,
    *,
    validation: Any = None,
    epochs: int,
    batch_size: int = 64,
    optimizer: Optimizer,
    loss: Loss = cross_entropy,
    schedule: Schedule | None = None,
    rng: np.random.Generator | int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool | str | os.PathLike[str] = False,
    progress: bool = True,
    extra: Mapping[str, Any] | None = None,
    transform: Transform | None = None,
    watch: Callable[[float | None], None] | None = None,
    accumulate: int = 1,
    backend: str | None = None,
    devices: Any = None,
    shard: Mapping[str, int] | None = None,
) -> History:
    """Train ``model`` up to epoch number ``epochs``; returns loss and accuracy of each.

    train, validation: a pair (x, y) of arrays (an ``np.memmap`` may be larger than memory), a dataset of PyTorch's or
    Hugging Face's kind, an iterable of batches (x, y) such as a list or a DataLoader, or a function that gives one:
    whatever ``data.Source`` takes.  transform: (x, y) -> (x, y) on each training batch, called in a thread while the
    batch before it is in use.  watch: called after each step with its loss, and at the end with None, as the
    ``follow`` of ``ac.widget``.  rng: the generator (or seed) of the shuffling.  checkpoint: a file written after each
    epoch, with ``extra`` (JSON) beside the history.  resume: True to go on from that file, or another file to go on
    from.  Ctrl-C ends the training with the best weights so far in the model and ``interrupted`` in the history.
    accumulate: so many batches make one step, by the mean gradient of all their examples; batch norm sees one batch.

    backend: what runs a step, as in ``ac.compile``.  With "xla", devices: how many share each batch, or a pair (for the
    batch, for parameters); shard: which parameters are shared, as in {"fc1.weight": 0} (pattern of names -> axis).  The
    numbers are those of one device but for rounding: losses and batch norm see the whole batch, dropout draws for it.
    A batch that the devices cannot share evenly is shared by fewer.  In a process that has joined others
    (``autoconv.xla.hosts.join``) all devices of all hosts take part; each host reads its own rows of each batch, host 0
    writes the checkpoint.

    Raises TrainingError for a loss that is not finite, and for data that raise something (the model then has its best
    weights so far); CheckpointError for a file that cannot be used; ValueError for data that do not fit, and for
    devices that are not there; ``autoconv.xla.hosts.HostLost`` within 15 seconds after another host is gone.

    >>> x, y = ac.data.digits("test")
    >>> model = ac.models.mlp((8, 8, 1), 10, np.random.default_rng(0))
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> history = ac.train.fit(model, (x, y), epochs=2, optimizer=optimizer, rng=0, progress=False)
    >>> len(history), history.loss[1] < history.loss[0]
    (2, True)
    """
    whole_number(epochs, "fit: epochs", 0)
    whole_number(batch_size, "fit: batch_size", 1)
    whole_number(accumulate, "fit: accumulate", 1)
    _parts("fit", model, loss)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit: optimizer must be an optimiser such as optim.Adam(model.parameters()), found "
                        f"{found(optimizer)}")  # fmt: skip
    if schedule is not None and not isinstance(schedule, Schedule):
        raise TypeError(f"fit: schedule must be a schedule of optim, or None, found {found(schedule)}")
    flag(progress, "fit: progress")
    if watch is not None and not callable(watch):
        raise TypeError(f"fit: watch must be a function of a step's loss, or None, found {found(watch)}")
    dtype = _dtype(model)
    team = _team(backend, devices, shard, model)
    alone = team is None or not team.several
    drawn = generator(team.seed() if team is not None and rng is None else rng, "fit: rng")
    given = _source("fit: train", train, batch_size, transform, dtype, team)
    held_out = None if validation is None else _source("fit: validation", validation, batch_size, None, dtype, team)
    source = checkpoint if resume is True else resume
    if resume is True and checkpoint is None:
        raise ValueError(
            "fit: resume=True needs checkpoint=, the file to go on from; or give the file itself as resume="
        )
    if checkpoint is not None and (
        team is None or team.writes
    ):  # whatever a save would refuse is better known now than after the first epoch
        files.check(checkpoint, model, optimizer, schedule, rng=drawn, extra=_extra(extra, History()))
    history = History()
    if source:
        history = _resumed(source, model, optimizer, schedule, drawn)
    training, testing = [_compiled(model, loss, backend, team) for _ in range(2)]  # BatchNorm and Dropout differ
    weights = _Weights(model, team)
    step = _Step(training, optimizer, accumulate)
    if team is not None:
        team.advise(checkpoint)
        team.agree(_beginning(model, optimizer, drawn, batch_size, accumulate, epochs, given.count))
        progress = progress and team.writes
    best, best_score = weights.now(), history.score() if len(history) else None
    good = best
    try:
        with nullcontext() if team is None else team.watched(TrainingError):
            for epoch in range(len(history), epochs):
                model.train()
                totals = _Totals(team)
                with _bar(given.count, epoch, epochs, progress) as bar, closing(_told(given, drawn)) as epoch_batches:
                    for bx, by in epoch_batches:
                        if team is not None:
                            team.check()
                        before = weights.moving()
                        (value, out), failed = step.take(bx, by)
                        if team is not None:
                            team.check_program(training)
                        if failed is not None:
                            error = _not_finite(failed, float(value), epoch, history, alone)
                            weights.put(good)
                            raise error
                        good = before[0], weights.moving()[1]  # the parameters that gave this loss, the means after it
                        totals.add(float(value), out, by)
                        if watch is not None:
                            watch(float(value))
                        bar.update(len(bx))
                    step.finish()
                    measured = None if held_out is None else _evaluated(testing, model, _told(held_out), team)
                    totals.settle()
                    history.append(totals, measured, optimizer.lr)
                    bar.set_postfix_str(_summary(history))
                if schedule is not None:
                    schedule.step()
                if best_score is None or history.score() > best_score:
                    best, best_score = weights.now(), history.score()
                if checkpoint is not None:
                    if team is not None:  # what is on devices of several hosts all of them bring back together
                        weights.now(), optimizer.state_dict()
                    if team is None or team.writes:
                        saved = _extra(extra, history)
                        files.save(checkpoint, model, optimizer, schedule, epoch=epoch + 1, rng=drawn, extra=saved)
    except KeyboardInterrupt:
        weights.put(good if best_score is None else best)
        history.interrupt()
    except _DataError as failed:
        if failed.number == 1 and not len(history):  # these are no data
            weights.put(good)
            raise DataError(f"{failed.source.what}: {failed.says}") from failed.__cause__
        weights.put(good if best_score is None else best)
        text = (
            f"{failed.source.what}: {failed.says} in batch {failed.number} of epoch {len(history) + 1}; "
            "the model has its best weights so far"
        )
        raise TrainingError(text, None, history) from failed.__cause__
    finally:
        if watch is not None:
            watch(None)
    return history


def evaluate(model: Module, x: Any, y: Any = None, batch_size: int = 256, loss: Loss = cross_entropy) -> Evaluation:
    """Loss, accuracy, outputs and confusion of ``model`` on (x, y), in evaluation mode.

    x, y: arrays; or x alone, anything that ``fit`` trains on.  The modules' modes are afterwards what they were.

    >>> x, y = ac.data.digits("test")
    >>> model = ac.models.mlp((8, 8, 1), 10, np.random.default_rng(0))
    >>> result = ac.train.evaluate(model, x, y)
    >>> 0 < result.accuracy < 1, result.confusion.shape
    (True, (10, 10))
    """
    whole_number(batch_size, "evaluate: batch_size", 1)
    _parts("evaluate", model, loss)
    source = Source("evaluate", x if y is None else (x, y), batch_size, None, _dtype(model))
    return _evaluated(_compiled(model, loss), model, source.epoch())


# ---- the parts of an epoch


def _parts(what: str, model: Any, loss: Any) -> None:
    """Refuse what is no model, and what is no loss."""
    if not isinstance(model, Module):
        raise TypeError(f"{what}: model must be a Module, such as nn.Sequential(...), found {found(model)}")
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(f"{what}: loss must be a function of (output, y), such as ac.losses.mse, found {found(loss)}")


def _team(backend: str | None, devices: Any, shard: Mapping[str, int] | None, model: Module) -> Team | None:
    """The devices and hosts of a training on XLA, None for any other; ValueError for devices of another backend."""
    name = compiled_backend(backend)
    if name != "xla":
        if devices is not None or shard is not None:
            raise ValueError(f"fit: devices and shard are for backend='xla', found backend={name!r}")
        return None
    from .xla.team import Team

    return Team(devices, shard, model.parameters())


def _source(
    what: str, data: Any, batch_size: int, transform: Transform | None, dtype: Any, team: Team | None
) -> Source:
    if team is None or not team.several:
        return Source(what, data, batch_size, transform, dtype)
    return HeldSource(what, data, batch_size, transform, dtype, held=team.held)


def _beginning(model: Module, optimizer: Optimizer, rng: np.random.Generator, *settings: int | None) -> Iterator[Any]:
    """What must be the same on all hosts."""
    yield settings
    for p in model.parameters():
        yield p.value
    yield from model.buffers()
    for drawing in [rng, *[g for _, g in model.named_generators()]]:
        yield drawing.bit_generator.state
    state = optimizer.state_dict()
    yield state["name"], state["settings"]
    for slots in state["state"]:
        yield from slots.values()


class _Step:
    """Steps of training, each by ``accumulate`` batches."""

    def __init__(self, program: Compiled, optimizer: Optimizer, accumulate: int) -> None:
        self._program, self._optimizer, self._accumulate = program, optimizer, accumulate
        self._batches, self._examples = 0, 0
        self._sums: list[Any] = []

    def take(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Tensor | None]:
        """((the loss, the output), the line of a loss that is not finite); the last batch of a step makes it."""
        if self._accumulate == 1:
            return self._program.step_if_finite(self._optimizer, x, y)
        result, gradients, failed = self._program.gradients_if_finite(self._optimizer.params, x, y)
        if failed is None:
            shares = [None if g is None else g.astype(wide(g.dtype), copy=False) * len(x) for g in gradients]
            self._sums = [_both(a, b) for a, b in zip(self._sums or [None] * len(shares), shares, strict=True)]
            self._batches, self._examples = self._batches + 1, self._examples + len(x)
            if self._batches == self._accumulate:
                self.finish()
        return result, failed

    def finish(self) -> None:
        """The step of the batches that are left over at the end of an epoch."""
        if self._batches:
            self._optimizer.step([None if g is None else g / self._examples for g in self._sums])
        self._batches, self._examples, self._sums = 0, 0, []


def _both(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _compiled(model: Module, loss: Loss, backend: str | None = None, team: Team | None = None) -> Compiled:
    """(x, y) -> (the loss, the model's output)."""

    def both(x: Any, y: Any) -> tuple[Any, Any]:
        out = model(x)
        return loss(out, y), out

    return compile(both, backend) if team is None else Compiled(both, "xla", team.placement)


class _DataError(Exception):
    """The data raised something: where, and in words what."""

    def __init__(self, source: Source, number: int, says: str) -> None:
        super().__init__(says)
        self.source, self.number, self.says = source, number, says


def _told(
    source: Source, rng: np.random.Generator | None = None
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """The batches of an epoch; whatever the data raise becomes _DataError."""
    number = 0
    epoch = source.epoch(rng)
    while True:
        try:
            batch = next(epoch, None)
        except Exception as error:
            says = (
                str(error).removeprefix(f"{source.what}: ")
                if isinstance(error, DataError)
                else (f"the data raised {type(error).__name__}: {error}")
            )
            raise _DataError(source, number + 1, says) from error
        if batch is None:
            return
        number += 1
        yield batch


def _evaluated(program: Compiled, model: Module, examples: Iterator[Pair], team: Team | None = None) -> Evaluation:
    totals, outputs, labels = _Totals(team), [], []
    with evaluating(model):
        for bx, by in examples:
            value, out = program(bx, by)
            totals.add(float(value), out, by)
            outputs.append(out)
            labels.append(by)
    totals.settle()
    joined = np.concatenate(outputs)
    confusion = None
    if totals.labelled and (team is None or not team.several):
        confusion = _confusion(joined, np.concatenate(labels))
    return Evaluation(totals.loss, totals.accuracy, joined, confusion)


class _Totals:
    """Sums over batches, weighted by their sizes; of several hosts each counts what is right in its own rows."""

    def __init__(self, team: Team | None = None) -> None:
        self.examples, self.sum, self.right, self.labelled = 0, 0.0, 0.0, True
        self._team = team

    def add(self, loss: float, out: np.ndarray, y: np.ndarray) -> None:
        self.examples += len(y)
        self.sum += loss * len(y)
        self.labelled = self.labelled and _is_labels(out, y)
        if self.labelled:
            rows = slice(None) if self._team is None else self._team.counted(len(y))
            self.right += np.count_nonzero(out[rows].argmax(-1) == y[rows]) / max(1, y[0].size)

    def settle(self) -> None:
        """No more batches come: what all hosts have counted."""
        if self._team is not None:
            self.right = self._team.total(self.right)

    @property
    def loss(self) -> float:
        return self.sum / self.examples

    @property
    def accuracy(self) -> float | None:
        return self.right / self.examples if self.labelled else None


class _Weights:
    """The model's arrays without copies: an assigned parameter or buffer is a new array,
    the old one stays as it was."""

    def __init__(self, model: Module, team: Team | None = None) -> None:
        self.parameters: list[Parameter] = list(model.parameters())
        self.buffers = [(module, name) for module in model.modules() for name in module._buffers]
        self._team = team

    def now(self) -> tuple[Any, list[Any]]:
        return [p.value for p in self.parameters], [getattr(module, name) for module, name in self.buffers]

    def moving(self) -> tuple[Any, list[Any]]:
        """``now``, between two steps: what is on a device stays there."""
        if self._team is None:
            return self.now()
        return self._team.snapshot(self.parameters), self._team.attributes(self.buffers)

    def put(self, state: tuple[Any, list[Any]]) -> None:
        if isinstance(state[0], list):
            for p, value in zip(self.parameters, state[0], strict=True):
                p.assign(value)
        else:
            state[0].put(self.parameters)
        if self._team is not None:
            self._team.put_attributes(self.buffers, state[1])
            return
        for (module, name), value in zip(self.buffers, state[1], strict=True):
            setattr(module, name, value)


def _dtype(model: Module) -> Any:
    """What numbers in x become: what the model takes, or else the parameters' dtype, so that nothing is computed in
    another; None if there is neither."""
    first = next(model.parameters(), None)
    return model.input_dtype or (None if first is None else first.dtype)


def _is_labels(out: np.ndarray, y: np.ndarray) -> bool:
    return y.dtype.kind in "iu" and out.shape[:-1] == y.shape


def _confusion(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    classes = outputs.shape[-1]
    pairs = y.ravel() * classes + outputs.argmax(-1).ravel()
    return np.bincount(pairs.astype(np.intp, copy=False), minlength=classes * classes).reshape(classes, classes)


def _extra(extra: Mapping[str, Any] | None, history: History) -> dict[str, Any]:
    """What a checkpoint of fit has besides the states."""
    return {**(extra or {}), "history": asdict(history)}


def _resumed(
    source: Any, model: Module, optimizer: Optimizer, schedule: Schedule | None, rng: np.random.Generator
) -> History:
    """The history in a checkpoint whose states are now in model, optimiser, schedule and generator."""
    extra = files.inspect(source).extra
    stored = extra.get("history") if isinstance(extra, dict) else None
    names = [f.name for f in fields(History)]
    lists = [stored[name] for name in names[:-1]] if isinstance(stored, dict) and set(stored) == set(names) else []
    if not lists or not all(isinstance(x, list) and len(x) == len(lists[0]) for x in lists):
        raise files.CheckpointError(f"{source}: holds no history of fit; load it with checkpoint.load")
    files.load(source, model, optimizer, schedule, rng=rng)
    return History(*lists)


def _not_finite(loss: Tensor, value: float, epoch: int, history: History, alone: bool = True) -> TrainingError:
    """The error for a loss that is NaN or infinite: the first line that is not finite, and from which the loss has it.

    An infinity that ends in a comparison, as in a softmax, does not reach the loss and is no fault.  Of several hosts
    none has all the numbers of a batch.
    """
    if not alone:
        text = f"the loss is {value} in epoch {epoch + 1}. The model has its last good weights; try a smaller learning"
        return TrainingError(f"{text} rate, or look at the data", None, history)
    tape, reaches = Tape(loss), {id(loss)}
    number, line = len(tape) - 1, loss
    for i in reversed(range(len(tape))):
        if id(tape[i]) in reaches:
            number, line = i, tape[i]
            reaches.update(id(x) for x in line.operands if x.dtype.kind == "f" and not np.isfinite(x.value).all())
    bad = np.count_nonzero(~np.isfinite(line.value))
    if line.primitive is None:
        what = f"parameter {line.name}" if isinstance(line, Parameter) else "an input or constant"
    else:
        path = " > ".join(s.name for s in line.scope.path) if line.scope else "outside any layer"
        what = f"{line.primitive.name} ({path})"
    text = (
        f"the loss is {loss.item()} in epoch {epoch + 1}. "
        f"The first line that is not finite is %{number}: {what}, shape {line.shape}, "
        f"with {bad:,} of {line.size:,} values NaN or infinite. The model has its last good weights; "
        "try a smaller learning rate, or look at the data"
    )
    return TrainingError(text, line, history)


def _summary(history: History) -> str:
    shown = {"loss": history.loss[-1], "acc": history.accuracy[-1]}
    shown |= {"val loss": history.validation_loss[-1], "val acc": history.validation_accuracy[-1]}
    return ", ".join(f"{name} {value:.4f}" for name, value in shown.items() if value is not None)


class _Quiet:
    """What a progress bar is told, where none is wanted."""

    def update(self, n: int) -> None:
        pass

    def set_postfix_str(self, text: str) -> None:
        pass


class _Plain(_Quiet):
    """A line for each epoch, where tqdm is not installed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def set_postfix_str(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr)


@contextmanager
def _bar(total: int | None, epoch: int, epochs: int, progress: bool) -> Iterator[Any]:
    """A progress bar over the examples of one epoch."""
    if not progress:
        yield _Quiet()
        return
    name = f"epoch {epoch + 1}/{epochs}"
    try:
        from tqdm import tqdm
    except ImportError:
        yield _Plain(name)
        return
    with tqdm(total=total, desc=name, unit="img") as bar:
        yield bar
