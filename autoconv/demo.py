"""The demo: a small convolutional network learns handwritten digits, and a folder of pictures shows what it did.

Everything it writes comes from the run: a page in which the trained network reads what is drawn in it, and goes on
learning; the checkpoint, the training curve, the graph of the model, the kernels of the first layer, digits it gets
wrong, and a report that shows them all offline.
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
from .render.text import counted
from .tape import Tape, constant, tensor
from .train import Evaluation, History, evaluate, fit
from .views.graph.graph import graph
from .views.live.live import Live, live

EPOCHS, BATCH_SIZE, SEED, LEARNING_RATE = 15, 32, 0, 3e-3


def run(folder: str | Path = "autoconv-demo", progress: bool = True) -> float:
    """Train on 1,437 digits, test on the other 360, write ``folder``; returns the accuracy on the 360."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "index.html")  # before the training
    train, test = data.digits("train", SEED), data.digits("test", SEED)
    rng = np.random.default_rng(SEED)
    model = models.cnn(train.x.shape[1:], 10, rng)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
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
    shown = live_page(model, optimizer, train, test)
    report = report_html(model, pictures, accuracy, seconds, history)
    replace_file(folder / "index.html", shown.page_with(report, "How it was trained").encode())

    print(f"\n{model!r}\n")
    print(f"Accuracy on the {len(test.x)} digits it never saw: {accuracy:.1%}, after {seconds:.1f} s of training.\n")
    print(confusion_text(result.confusion if result.confusion is not None else np.zeros((10, 10), int)))
    print(f"\nWritten to {folder}/: index.html (open it in a browser and draw a digit; it shows all the rest),")
    print(f"model.safetensors, {', '.join(f'{name}.svg' for name in pictures)}.\n")
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
            side=60,
        ),
        "mistakes": chart.images(
            [test.x[i, :, :, 0] for i in shown],
            [f"{test.y[i]} read as {result.predictions[i]}" for i in shown],
            title="Digits it got wrong" if len(wrong) else "It got none wrong; some of the digits",
        ),
        "graph": graph(loss, zoom="calls", names={"label": label, "loss": loss}).svg,
    }


def live_page(model: Module, optimizer: optim.Optimizer, train: data.Dataset, test: data.Dataset) -> Live:
    """The page in which the model reads a digit that is drawn, and learns on with the optimiser from the start."""
    image, label = tensor(test.x[:1], name="image"), constant(test.y[:1])
    scores = model(image)
    loss = cross_entropy(scores, label)
    return live(
        loss,
        names={"label": label, "scores": scores, "loss": loss},
        title="Draw a digit",
        draw=image,
        logits=scores,
        classes=train.classes,
        optimizer=type(optimizer)(model.parameters(), lr=LEARNING_RATE),
        data={image: train.x, label: train.y},
        examples={image: test.x, label: test.y},
        batch_size=BATCH_SIZE,
    )


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


def report_html(model: Module, pictures: dict[str, str], accuracy: float, seconds: float, history: History) -> str:
    """How it was trained, with all pictures: HTML for the page."""
    sections = {
        "training-loss": "The loss after each epoch. The optimiser (Adam, its step following a cosine to zero) "
        "lowers the training loss; the held-out digits show whether that carries over.",
        "training-accuracy": "The share of digits read correctly.",
        "confusion": "Rows are what a digit is, columns what the network read. "
        "Everything off the diagonal is a mistake.",
        "mistakes": "What it got wrong: some of these are hard for people too.",
        "kernels": "What the first convolution looks for, 3x3 pixels each; "
        "blue is positive, orange negative, as everywhere here.",
        "graph": "The calls that turn one image into its loss, with values and gradients. "
        "Each opens into lines of the tape: autoconv.graph(loss, zoom='lines').",
    }
    lines = len(Tape(model(np.zeros((1, 8, 8, 1), np.float32))))
    title = {name: escape(name.replace("-", " ").capitalize()) for name in sections}
    body = "\n".join(
        f'<section class="{name}"><h3>{title[name]}</h3><p>{escape(text)}</p>{pictures[name]}</section>'
        for name, text in sections.items()
    )
    return f"""
<h2>A convolutional network that reads digits</h2>
<p>{accuracy:.1%} of 360 handwritten digits it never saw, after {counted(len(history), "epoch")} and
{seconds:.1f} seconds of training. The forward pass of one image is {lines} recorded
lines; every gradient follows from them by the chain rule.</p>
<pre>{escape(repr(model))}</pre>
<div class="pictures">{body}</div>
"""
