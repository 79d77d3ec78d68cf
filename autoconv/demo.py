"""The demo: a small convolutional network learns handwritten digits, and a folder of pictures shows what it did.

Everything it writes comes from the run: the checkpoint, the training curve, the graph of the model, the kernels of the
first layer, digits it gets wrong, and a page that shows them all offline.
"""

from __future__ import annotations

import shutil
import sys
import time
from html import escape
from pathlib import Path

import numpy as np

from . import data, models, optim
from .checkpoint import save
from .files import check_writable, replace_file
from .functional.loss import cross_entropy
from .nn import Module
from .render import chart
from .render.page import html_page
from .tape import Tape, constant, tensor
from .train import Evaluation, History, evaluate, fit
from .views.graph.graph import graph

EPOCHS, BATCH_SIZE, SEED = 15, 32, 0
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { max-width: 100%; height: auto; }
section { margin: 2.5rem 0; overflow-x: auto; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8886; border-radius: 6px; font-size: 13px;
  line-height: 1.35; }
"""


def run(folder: str | Path = "autoconv-demo", progress: bool = True) -> float:
    """Train on 1,437 digits, test on the other 360, write ``folder``; returns the accuracy on the 360."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "index.html")  # before the training
    train, test = data.digits("train", SEED), data.digits("test", SEED)
    rng = np.random.default_rng(SEED)
    model = models.cnn(train.x.shape[1:], 10, rng)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    schedule = optim.CosineLR(optimizer, EPOCHS)
    print(f"Training on {len(train.x):,} handwritten digits of 8x8 pixels, {EPOCHS} epochs:\n")
    start = time.perf_counter()
    history = fit(
        model,
        train,
        validation=test,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        optimizer=optimizer,
        schedule=schedule,
        rng=rng,
        progress=progress,
    )
    seconds = time.perf_counter() - start
    result = evaluate(model, *test)
    accuracy = result.accuracy or 0.0

    save(
        folder / "model.safetensors",
        model,
        optimizer,
        schedule,
        epoch=len(history),
        rng=rng,
        extra={"model": "cnn", "input_shape": [8, 8, 1], "classes": 10},
    )
    pictures = draw(model, history, test, result)
    for name, svg in pictures.items():
        replace_file(folder / f"{name}.svg", svg.encode())
    replace_file(folder / "index.html", page(model, pictures, accuracy, seconds, history).encode())

    print(f"\n{model!r}\n")
    print(f"Accuracy on the {len(test.x)} digits it never saw: {accuracy:.1%}, after {seconds:.0f} s of training.\n")
    print(confusion_text(result.confusion if result.confusion is not None else np.zeros((10, 10), int)))
    print(f"\nWritten to {folder}/: index.html (open it in a browser; it shows all the rest), model.safetensors,")
    print(f"{', '.join(f'{name}.svg' for name in pictures)}.\n")
    autoconv = command()
    print("Try next:")
    print(f"  {autoconv} evaluate {folder / 'model.safetensors'} --data digits")
    print(f"  {autoconv} train --data digits --model mlp --epochs 20")
    print(f"  {autoconv} train --help")
    return accuracy


def draw(model: Module, history: History, test: data.Dataset, result: Evaluation) -> dict[str, str]:
    """The pictures, name -> SVG."""
    wrong = np.flatnonzero(result.predictions != test.y)[:16]
    shown = [int(i) for i in wrong] or list(range(8))
    kernels = next(model.parameters()).value
    image, label = tensor(test.x[:1], name="image"), constant(test.y[:1])
    loss = cross_entropy(model(image), label)
    loss.backward()
    return {
        "training-loss": chart.curves(
            {"training": history.loss, "held out": history.validation_loss},
            title="Loss",
            y_label="cross-entropy",
        ),
        "training-accuracy": chart.curves(
            {
                "training": history.accuracy,
                "held out": history.validation_accuracy,
            },
            title="Accuracy",
            y_label="share of digits read correctly",
        ),
        "confusion": chart.confusion(result.confusion, title="Which digit was read as which"),
        "kernels": chart.images(
            [kernels[:, :, 0, o] for o in range(kernels.shape[-1])],
            title="The 16 kernels of the first layer",
            signed=True,
            side=48,
        ),
        "mistakes": chart.images(
            [test.x[i, :, :, 0] for i in shown],
            [f"{test.y[i]} read as {result.predictions[i]}" for i in shown],
            title="Digits it got wrong" if len(wrong) else "It got none wrong; some of the digits",
        ),
        "graph": graph(loss, zoom="calls", names={"label": label, "loss": loss}).svg,
    }


def command() -> str:
    """How to call autoconv from here: by its name where the shell finds it,
    else by the path of this environment's program."""
    program = Path(sys.executable).with_name("autoconv")
    if shutil.which("autoconv") or not program.exists():
        return "autoconv"
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


def confusion_text(table: np.ndarray) -> str:
    """The confusion table for a terminal: rows true digits, columns what was read."""
    head = "true \\ read " + "".join(f"{j:>5}" for j in range(len(table)))
    rows = [f"{i:>11} " + "".join(f"{n or '.':>5}" for n in row) for i, row in enumerate(table)]
    return "\n".join([head, *rows])


def page(model: Module, pictures: dict[str, str], accuracy: float, seconds: float, history: History) -> str:
    """One HTML file that holds everything: no script, no network."""
    sections = {
        "training-loss": "The loss after each epoch. The optimiser (Adam, its step following a cosine to zero) "
        "lowers the training loss; the held-out digits show whether that carries over.",
        "training-accuracy": "The share of digits read correctly.",
        "confusion": "Rows are what a digit is, columns what the network read. "
        "Everything off the diagonal is a mistake.",
        "mistakes": "What it got wrong: some of these are hard for people too.",
        "kernels": "What the first convolution looks for, 3x3 pixels each; "
        "mid grey is zero, light positive, dark negative.",
        "graph": "The calls that turn one image into its loss, with values and gradients. "
        "Each opens into lines of the tape: autoconv.graph(loss, zoom='lines').",
    }
    lines = len(Tape(model(np.zeros((1, 8, 8, 1), np.float32))))
    title = {name: escape(name.replace("-", " ").capitalize()) for name in sections}
    body = "\n".join(
        f"<section><h2>{title[name]}</h2><p>{escape(text)}</p>{pictures[name]}</section>"
        for name, text in sections.items()
    )
    return html_page(
        "autoconv demo",
        f"""
<h1>A convolutional network that reads digits</h1>
<p>{accuracy:.1%} of 360 handwritten digits it never saw, after {len(history)} epochs and
{seconds:.0f} seconds of training. The forward pass of one image is {lines} recorded
lines; every gradient follows from them by the chain rule.</p>
<pre>{escape(repr(model))}</pre>
{body}
""",
        css=STYLE,
    )
