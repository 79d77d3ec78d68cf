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
from ..compiled.function import chosen_backend
from ..files import check_writable
from ..plan import extension
from ..primitives import TABLE
from ..render.text import clean
from ..scalar import floors
from ..train import evaluate, fit
from ..xla import library
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
    writes = _joined(arguments)
    if arguments.checkpoint and writes:
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
    if writes:
        print(f"{model!r}\n{len(train.x):,} images for training, {len(test.x):,} held out")
    names = list(train.classes if len(train.classes) >= len(test.classes) else test.classes)
    extra = {"model": arguments.model, "input_shape": [int(n) for n in input_shape], "classes": classes, "names": names}
    history = fit(
        model, train, validation=test, epochs=arguments.epochs, batch_size=arguments.batch_size, optimizer=optimizer,
        schedule=schedule, rng=rng,
        checkpoint=arguments.checkpoint, resume=arguments.resume, progress=not arguments.quiet, extra=extra,
        accumulate=arguments.accumulate, backend=arguments.backend, devices=_devices(arguments.devices),
        shard=_shard(arguments.shard),
    )  # fmt: skip
    if not len(history):
        raise UserError(f"no epoch was trained: {arguments.checkpoint} has had --epochs {arguments.epochs} already")
    last = history.best_epoch if history.interrupted else -1
    print(
        f"loss {history.loss[last]:.4f}, held out: loss {history.validation_loss[last]:.4f}, "
        f"accuracy {history.validation_accuracy[last]:.1%}"
    )
    if arguments.checkpoint and writes:
        print(f"checkpoint: {arguments.checkpoint}")
    if history.interrupted:
        raise KeyboardInterrupt


def _joined(arguments: argparse.Namespace) -> bool:
    """Join the other hosts, if there are any; whether this process writes checkpoints and says how it goes."""
    given = [arguments.hosts, arguments.host, arguments.coordinator]
    if given == [None, None, None]:
        return True
    if chosen_backend(arguments.backend) != "xla":
        raise UserError("--hosts, --host and --coordinator are for --backend xla")
    if arguments.hosts not in (None, "auto") and not arguments.hosts.isdigit():
        raise UserError(f"--hosts must be a number or auto, found {arguments.hosts}")
    from ..xla import hosts

    count = None if arguments.hosts in (None, "auto") else int(arguments.hosts)
    hosts.join(arguments.coordinator, count, arguments.host)
    pulse = hosts.joined()
    return pulse is None or pulse.host == 0


def _devices(text: str | None) -> int | tuple[int, ...] | None:
    """--devices as fit takes it."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) > 2 or not all(part.isdigit() and int(part) for part in parts):
        raise UserError(f"--devices must be a number, or two as in 4,2 (for the batch, for parameters), found {text}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _shard(texts: list[str] | None) -> dict[str, int] | None:
    """--shard as fit takes it."""
    if not texts:
        return None
    pairs = [text.rpartition("=") for text in texts]
    for (pattern, _, axis), text in zip(pairs, texts, strict=True):
        if not pattern or not axis.removeprefix("-").isdigit():
            raise UserError(f'--shard must be a pattern and an axis, as in "fc1.weight=0", found {text}')
    return {pattern: int(axis) for pattern, _, axis in pairs}


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


def _trained(arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The model's name and what else a checkpoint says of it; UserError for a name that would have to be run."""
    found = checkpoint.inspect(arguments.checkpoint)
    extra = found.extra if isinstance(found.extra, dict) else {}  # checkpoint.save takes any
    named = extra.get("model") if isinstance(extra.get("model"), str) else None
    if named not in models.PRESETS and not arguments.model:
        raise UserError(
            f"{arguments.checkpoint}: was trained with the model {named!r}; name it with "
            "--model file.py:make_model (code is never run because a checkpoint names it)"
        )
    return arguments.model or str(named), extra


def _classes(extra: dict[str, Any]) -> int | None:
    """How many classes a checkpoint says there are; None for nothing that can be one."""
    classes = extra.get("classes")
    return classes if isinstance(classes, int) and 0 < classes <= 1_000_000 else None


def run_evaluate(arguments: argparse.Namespace) -> None:
    name, extra = _trained(arguments)
    test = data.load(arguments.data, "test", arguments.seed)
    model = build(name, test.x.shape[1:], _classes(extra) or len(test.classes), np.random.default_rng(0))
    checkpoint.load(arguments.checkpoint, model)
    result = evaluate(model, test.x, test.y)
    print(
        f"{len(test.x):,} held-out images: loss {result.loss:.4f}"
        + ("" if result.accuracy is None else f", accuracy {result.accuracy:.1%}")
    )
    if result.confusion is not None and len(result.confusion) <= 20:
        from ..demo import confusion_text

        print(confusion_text(result.confusion))


def predict(arguments: argparse.Namespace) -> None:
    """autoconv predict: what a trained model sees in pictures."""
    name, extra = _trained(arguments)
    shape, classes, names = extra.get("input_shape"), _classes(extra), extra.get("names")
    right = isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) and 0 < n <= 2**14 for n in shape)
    if not right or classes is None:
        raise UserError(f"{arguments.checkpoint}: does not say the size of its images and its classes; train it with "
                        "`autoconv train`")  # fmt: skip
    assert isinstance(shape, list)
    labels = names if isinstance(names, list) and len(names) == classes else [str(k) for k in range(classes)]
    model = build(name, tuple(shape), classes, np.random.default_rng(0))
    checkpoint.load(arguments.checkpoint, model)
    for path in arguments.pictures:
        x = data.load_image(path, (shape[0], shape[1]), shape[2])
        logits = model.predict(x[None])[0].astype(float)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = np.argsort(-shares, kind="stable")[: arguments.top]
        told = ", ".join(f"{clean(str(labels[k]))} {shares[k]:.1%}" for k in best)
        print(f"{path}: {told}")


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
        "on XLA": library.described(),
        "ac.Scalar": floors.described(),
        "dot program": shutil.which("dot")
        or "not found: graphs are laid out by autoconv itself; .png and .pdf need it",
        "Pillow": "found"
        if importlib.util.find_spec("PIL")
        else 'not found: folders of images need it (pip install "autoconv[images]")',
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
