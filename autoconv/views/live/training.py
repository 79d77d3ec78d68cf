"""What a page needs to take an optimiser's steps: the optimiser as data, the examples, and where they go.

A tape that was recorded for n examples is run batch_size / n times for a step, and its gradients are averaged: for a
loss that is a mean over examples this is the gradient of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...operands import numbers as as_numbers
from ...tape import Tensor, describe
from .encode import Numbers
from .recorded import Recorded

if TYPE_CHECKING:
    from ...optim import Optimizer

KINDS = ("sgd", "adam", "rmsprop", "adagrad")  # of an update; static/optimisers.js has them


@dataclass
class Rows:
    """Examples for inputs: node -> array, whose first axis counts ``count`` of them."""

    arrays: dict[int, np.ndarray]
    count: int

    def feeds(self, recorded: Recorded, numbers: Numbers) -> list[dict[str, int]]:
        """Which node takes which array of the page, and how many of its numbers make one example."""
        return [
            {"node": node, "array": numbers.add(x), "row": int(np.prod(x.shape[1:]))} for node, x in self.arrays.items()
        ]


def check_rows(given: Any, recorded: Recorded, what: str) -> Rows:
    """``given`` ({input: array of examples}) with its Tensors found among the nodes and its shapes checked."""
    if not isinstance(given, Mapping) or not all(isinstance(x, Tensor) for x in given):
        raise TypeError(
            f"live: {what} must map inputs to arrays of examples, found {type(given).__name__}; as in "
            f"{what}={{image: x, label: y}}"
        )
    arrays: dict[int, np.ndarray] = {}
    for line, array in given.items():
        node = recorded.node(line)
        if node is None or recorded.nodes[node].input < 0:
            raise ValueError(f"live: {what} has rows for {describe(line)}, which is not among the page's inputs")
        x = np.asarray(as_numbers(array, f"live: {what}"))
        if not line.ndim or x.shape[1:] != line.shape[1:] or not len(x):
            raise ValueError(
                f"live: {what} for {describe(line)} has shape {x.shape}; the rows must be like those of its shape "
                f"{line.shape}"
            )
        arrays[node] = x.astype(line.dtype)
    counts = {len(x) for x in arrays.values()}
    if len(counts) != 1:
        raise ValueError(f"live: {what} has {' and '.join(map(str, sorted(counts)))} rows; give as many of each")
    return Rows(arrays, counts.pop())


def training(
    recorded: Recorded, optimizer: Optimizer | None, rows: Rows | None, batch_size: int
) -> Callable[[Numbers], dict[str, Any]] | None:
    """What writes the training of a page as data; None without an optimiser."""
    if optimizer is None:
        return None
    if rows is None:
        raise ValueError("live: an optimizer takes its steps on data; give data={image: x, label: y}")
    described = optimizer.described(1)
    if described is None or described.kind not in KINDS:
        raise ValueError(
            f"live: a page does not know the update of {type(optimizer).__name__}; it knows SGD, Adam, AdamW, RMSprop "
            "and Adagrad"
        )
    params = [recorded.node(p) for p in optimizer.params]
    for p, node in zip(optimizer.params, params, strict=True):
        if node is None or recorded.nodes[node].input < 0:
            raise ValueError(f"live: the optimizer moves {describe(p)}, on which the output does not depend")
    each = {len(recorded.nodes[node].line.value) for node in rows.arrays}
    if len(each) != 1 or batch_size < 1 or batch_size % min(each):
        raise ValueError(
            f"live: batch_size={batch_size} must be a multiple of the {' and '.join(map(str, sorted(each)))} examples "
            "that the output was recorded with"
        )
    settings = {**optimizer.state_dict()["settings"], "decoupled": bool(getattr(optimizer, "decoupled", False))}
    kind, (size,) = described.kind, each
    return lambda numbers: {
        "kind": kind,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()},
        "params": params,
        "feeds": rows.feeds(recorded, numbers),
        "count": rows.count,
        "batch": batch_size,
        "each": size,
    }


def drawn(recorded: Recorded, image: Tensor | None) -> dict[str, Any] | None:
    """Where the page draws: the image's node, its height and width, and the numbers of blank paper and full ink."""
    if image is None:
        return None
    node = recorded.node(image)
    if node is None or recorded.nodes[node].input < 0:
        raise ValueError(f"live: draw must be an input of the page, {describe(image)} is none")
    sizes = [n for n in image.shape if n != 1]
    if len(sizes) != 2:
        raise ValueError(f"live: draw must be one image of one channel, found shape {image.shape}")
    top = float(max(1.0, np.max(image.value)))
    return {"node": node, "height": sizes[0], "width": sizes[1], "paper": 0.0, "ink": top}
