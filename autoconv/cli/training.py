"""The commands that train and measure: demo, train, evaluate, info."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import platform
import shutil
from typing import Any

import numpy as np

from .. import __version__, checkpoint, data, models, optim
from ..files import check_writable
from ..plan import extension
from ..primitives import TABLE
from ..scalar import floors
from ..train import evaluate, fit
from . import modelled
from .named import UserError, build

OPTIMIZERS = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}


def demo(arguments: argparse.Namespace) -> None:
    from ..demo import run

    run(arguments.folder, progress=not arguments.quiet)


def train(arguments: argparse.Namespace) -> None:
    if arguments.epochs < 1:
        raise UserError(f"--epochs must be at least 1, found {arguments.epochs}")
    if arguments.checkpoint:
        check_writable(arguments.checkpoint)
    train, test = data.load(arguments.data, "train", arguments.seed), data.load(arguments.data, "test", arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    input_shape, classes = train.x.shape[1:], max(len(train.classes), len(test.classes))
    model = build(arguments.model, input_shape, classes, rng)
    optimizer = OPTIMIZERS[arguments.optimizer](model.parameters(), **_settings(arguments))
    schedule: optim.Schedule | None = None
    if arguments.schedule == "step":
        schedule = optim.StepLR(optimizer, arguments.step_size)
    elif arguments.schedule == "cosine":
        schedule = optim.CosineLR(optimizer, arguments.epochs)
    if arguments.resume and not arguments.checkpoint:
        raise UserError("--resume needs --checkpoint FILE, the file to go on from")
    print(f"{model!r}\n{len(train.x):,} images for training, {len(test.x):,} held out")
    extra = {"model": arguments.model, "input_shape": [int(n) for n in input_shape], "classes": classes}
    history = fit(
        model, train, validation=test, epochs=arguments.epochs, batch_size=arguments.batch_size, optimizer=optimizer,
        schedule=schedule, rng=rng,
        checkpoint=arguments.checkpoint, resume=arguments.resume, progress=not arguments.quiet, extra=extra,
    )  # fmt: skip
    if not len(history):
        raise UserError(f"no epoch was trained: {arguments.checkpoint} has had --epochs {arguments.epochs} already")
    last = history.best_epoch if history.interrupted else -1
    print(
        f"loss {history.loss[last]:.4f}, held out: loss {history.validation_loss[last]:.4f}, "
        f"accuracy {history.validation_accuracy[last]:.1%}"
    )
    if arguments.checkpoint:
        print(f"checkpoint: {arguments.checkpoint}")
    if history.interrupted:
        raise KeyboardInterrupt


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The optimiser's options that were given; UserError for one it does not have."""
    given = {
        "lr": arguments.lr,
        "momentum": arguments.momentum,
        "nesterov": arguments.nesterov or None,
        "weight_decay": arguments.weight_decay,
    }
    known = inspect.signature(OPTIMIZERS[arguments.optimizer]).parameters
    chosen = {k: v for k, v in given.items() if v is not None}
    for name in chosen:
        if name not in known:
            there = ", ".join(k for k in known if k != "params")
            raise UserError(f"--{name.replace('_', '-')} is not a setting of {arguments.optimizer}; it has {there}")
    return {"lr": 0.01, **chosen} if arguments.optimizer == "sgd" else chosen


def run_evaluate(arguments: argparse.Namespace) -> None:
    found = checkpoint.inspect(arguments.checkpoint)
    test = data.load(arguments.data, "test", arguments.seed)
    extra = found.extra if isinstance(found.extra, dict) else {}  # checkpoint.save takes any
    named = extra.get("model") if isinstance(extra.get("model"), str) else None
    name = arguments.model or named
    if name not in models.PRESETS and not arguments.model:
        raise UserError(
            f"{arguments.checkpoint}: was trained with the model {named!r}; name it with "
            "--model file.py:make_model (code is never run because a checkpoint names it)"
        )
    classes = extra.get("classes")
    model = build(
        str(name),
        test.x.shape[1:],
        classes if isinstance(classes, int) and 0 < classes <= 1_000_000 else len(test.classes),
        np.random.default_rng(0),
    )
    checkpoint.load(arguments.checkpoint, model)
    result = evaluate(model, test.x, test.y)
    print(
        f"{len(test.x):,} held-out images: loss {result.loss:.4f}"
        + ("" if result.accuracy is None else f", accuracy {result.accuracy:.1%}")
    )
    if result.confusion is not None and len(result.confusion) <= 20:
        from ..demo import confusion_text

        print(confusion_text(result.confusion))


def info(arguments: argparse.Namespace) -> None:
    if arguments.model:
        print(modelled.described(arguments.model))
        return
    groups: dict[str, int] = {}
    for row in TABLE.values():
        groups[row.group] = groups.get(row.group, 0) + 1
    rows = {
        "autoconv": __version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "primitives": f"{len(TABLE)} rows: " + ", ".join(f"{n} {group}" for group, n in groups.items()),
        "ac.tensor": "NumPy, line by line",
        "ac.compile": extension.backend(),
        "ac.Scalar": floors.described(),
        "dot program": shutil.which("dot")
        or "not found: graphs are laid out by autoconv itself; .png and .pdf need it",
        "Pillow": "found"
        if importlib.util.find_spec("PIL")
        else 'not found: folders of images need it (pip install "autoconv[images]")',
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
