"""The command line: ``autoconv demo | train | evaluate | graph | info``.

Errors are one clear line and exit status 2.  Code is only ever run from files that the user names on the command line,
never because a checkpoint names them.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, checkpoint, data, models, nn, optim
from .primitives import TABLE
from .tape import Tensor
from .train import TrainingError, evaluate, fit
from .views.graph import graph

OPTIMIZERS = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}


class UserError(Exception):
    """Something the user can put right; shown as one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 2 for an error the user can mend, 130 after Ctrl-C)."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except (UserError, ValueError, TypeError, OSError, TrainingError, RuntimeError) as error:
        print(f"autoconv {arguments.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"autoconv {arguments.command}: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="autoconv",
        description="Convolutional networks as recorded scalar arithmetic: train them, look inside them.",
        epilog="examples:\n  autoconv demo\n  autoconv train --data digits --epochs 10 --checkpoint digits.safetensors\n"
        "  autoconv evaluate digits.safetensors --data digits\n  autoconv graph net.py:loss --output loss.svg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"autoconv {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    def command(
        name: str, run: Callable[[argparse.Namespace], int | None], summary: str, *examples: str
    ) -> argparse.ArgumentParser:
        epilog = "examples:\n" + "\n".join(f"  autoconv {name} {example}".rstrip() for example in examples)
        made = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    demo = command(
        "demo", _demo, "train a small network on real handwritten digits and show what it did", "", "--folder /tmp/demo"
    )
    demo.add_argument("--folder", default="autoconv-demo", help="where to write (default: %(default)s)")
    demo.add_argument("--quiet", action="store_true", help="no progress bar")

    train = command(
        "train", _train, "train a model and keep checkpoints",
        "--data digits --epochs 10 --checkpoint digits.safetensors",
        "--data digits --epochs 20 --checkpoint digits.safetensors --resume",
        "--data mnist/ --model lenet --optimizer sgd --lr 0.05 --momentum 0.9 --schedule cosine",
        "--data images/ --model net.py:make_model",
    )  # fmt: skip
    _data_options(train)
    train.add_argument(
        "--model", default="cnn", help=f"{', '.join(models.PRESETS)}, or file.py:make_model (default: %(default)s)"
    )
    train.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="default: %(default)s")
    train.add_argument("--lr", type=float, help="learning rate (default: the optimiser's; sgd 0.01)")
    train.add_argument("--momentum", type=float, help="for sgd and rmsprop")
    train.add_argument("--nesterov", action="store_true", help="for sgd with momentum")
    train.add_argument("--weight-decay", type=float, help="default: the optimiser's")
    train.add_argument(
        "--schedule",
        choices=["none", "step", "cosine"],
        default="none",
        help="of the learning rate, over the epochs (default: %(default)s)",
    )
    train.add_argument(
        "--step-size", type=int, default=10, help="epochs between steps of the step schedule (default: %(default)s)"
    )
    train.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    train.add_argument("--batch-size", type=int, default=64, help="default: %(default)s")
    train.add_argument("--checkpoint", metavar="FILE", help="write here after every epoch")
    train.add_argument("--resume", action="store_true", help="go on from --checkpoint, bit for bit as if never stopped")
    train.add_argument("--quiet", action="store_true", help="no progress bar")

    test = command(
        "evaluate",
        _evaluate,
        "loss, accuracy and confusion table of a checkpoint on held-out data",
        "digits.safetensors --data digits",
        "net.safetensors --data images/ --model net.py:make_model",
    )
    test.add_argument("checkpoint", help="a file written by autoconv train or demo")
    _data_options(test)
    test.add_argument("--model", help="file.py:make_model, or another preset than the checkpoint names")

    draw = command(
        "graph",
        _graph,
        "draw the tensor that a function returns",
        "net.py:loss",
        "net.py:loss --zoom calls --output loss.svg",
        "net.py:loss --output loss.dot",
    )
    draw.add_argument(
        "function",
        help="file.py:function, called without arguments; it returns a Tensor, or (Tensor, locals()) to name the lines",
    )
    draw.add_argument("--zoom", default="lines", help="calls or lines (default: %(default)s)")
    draw.add_argument(
        "--output", metavar="FILE", help=".svg, .dot, .png or .pdf (default: the function's name with .svg)"
    )

    command("info", _info, "versions and what is available here", "")
    return top


def _data_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        default="digits",
        help="digits, a .npz with x and y, a folder with IDX files, or one with a folder of images per class (default: %(default)s)",
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of the split, the initial weights and the shuffling (default: %(default)s)"
    )


# ---- the commands


def _demo(arguments: argparse.Namespace) -> None:
    from .demo import run

    run(arguments.folder, progress=not arguments.quiet)


def _train(arguments: argparse.Namespace) -> None:
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
        model, train, validation=test, epochs=arguments.epochs, batch_size=arguments.batch_size, optimizer=optimizer, schedule=schedule, rng=rng,
        checkpoint=arguments.checkpoint, resume=arguments.resume, progress=not arguments.quiet, extra=extra,
    )  # fmt: skip
    if not len(history):
        raise UserError(f"no epoch was trained (--epochs {arguments.epochs})")
    last = history.best_epoch if history.interrupted else -1
    print(
        f"loss {history.loss[last]:.4f}, held out: loss {history.validation_loss[last]:.4f}, accuracy {history.validation_accuracy[last]:.1%}"
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
            raise UserError(
                f"--{name.replace('_', '-')} is not a setting of {arguments.optimizer}; it has {', '.join(k for k in known if k != 'params')}"
            )
    return {"lr": 0.01, **chosen} if arguments.optimizer == "sgd" else chosen


def _evaluate(arguments: argparse.Namespace) -> None:
    found = checkpoint.inspect(arguments.checkpoint)
    test = data.load(arguments.data, "test", arguments.seed)
    named = found.extra.get("model")
    name = arguments.model or named
    if name not in models.PRESETS and not arguments.model:
        raise UserError(
            f"{arguments.checkpoint}: was trained with the model {named!r}; name it with --model file.py:make_model (code is never run because a checkpoint names it)"
        )
    classes = found.extra.get("classes")
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
        from .demo import confusion_text

        print(confusion_text(result.confusion))


def _graph(arguments: argparse.Namespace) -> None:
    function = load_function(arguments.function)
    made = _called(arguments.function, function)
    y, names = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(y, Tensor):
        raise UserError(
            f"{arguments.function} returned {type(y).__name__}; it must return a Tensor, or (Tensor, locals())"
        )
    drawing = graph(y, zoom=arguments.zoom, names=names)
    output = arguments.output or f"{arguments.function.rpartition(':')[2]}.svg"
    drawing.save(output)
    print(f"{drawing!r}\nwritten to {output}")


def _info(arguments: argparse.Namespace) -> None:
    groups: dict[str, int] = {}
    for row in TABLE.values():
        groups[row.group] = groups.get(row.group, 0) + 1
    rows = {
        "autoconv": __version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "primitives": f"{len(TABLE)} rows: " + ", ".join(f"{n} {group}" for group, n in groups.items()),
        "floor": "NumPy, line by line",
        "dot program": shutil.which("dot")
        or "not found: graphs are laid out by autoconv itself; .png and .pdf need it",
        "Pillow": "found"
        if importlib.util.find_spec("PIL")
        else 'not found: folders of images need it (pip install "autoconv[images]")',
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))


# ---- models and functions that the user names


def build(name: str, input_shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
    """A preset, or what file.py:make_model returns; it may take any of input_shape, classes and rng."""
    if name in models.PRESETS:
        if len(input_shape) != 3:
            raise UserError(
                f"the model {name!r} is for images (H, W, C), the data have shape {input_shape}; give your own with --model file.py:make_model"
            )
        return models.PRESETS[name](input_shape, classes, rng)
    if ":" not in name:
        raise UserError(f"there is no model {name!r}; use {', '.join(models.PRESETS)}, or file.py:make_model")
    function = load_function(name)
    offered = {"input_shape": input_shape, "classes": classes, "rng": rng}
    taken = inspect.signature(function).parameters
    model = _called(name, function, **{k: v for k, v in offered.items() if k in taken})
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
        _called(file, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        there = [k for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise UserError(f"{file} has no function {name!r}; it has {', '.join(there) or 'none'}")
    return function


def _called(name: str, function: Callable[..., Any], **kwargs: Any) -> Any:
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
