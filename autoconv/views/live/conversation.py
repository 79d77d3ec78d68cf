"""A live page and Python that know the same numbers: what is said between them, and what Python does with it.

The one thing that both hold is the state: which numbers of which inputs are not those the page was made with.  It is
JSON: {name: [[flat index, value], ...]}, {name: {"all": [values]}}, or {name: {"f4" or "f8": base64 of all}}.  What
comes from a page is believed only as far as it names inputs and numbers for them.
"""

from __future__ import annotations

import math
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...operands import numbers as as_numbers
from ...program.numpy_run import NumpyRun
from .live import Live
from .recorded import Node

FEW = 64  # numbers that are written out; of more, the bytes
PAUSE = 0.2  # seconds between two pictures of a training, at least
SHARE = 10  # a picture that took t seconds to send is followed by SHARE t without one
LOSSES = 2000  # of the latest steps, that the curve shows


class Conversation:
    """The calculation of a live page, with its inputs as they are in the page now.

    ``set`` changes an input, in the page too; ``value`` and ``grad`` are computed here, of every name that the page
    shows; ``pick`` selects an element, ``picked`` is what is selected; ``follow`` shows a training.
    """

    def _begin(self, live: Live) -> None:
        self.live = live
        self._first = [np.array(x.value) for x in live.recorded.arguments]
        self._inputs = [x.copy() for x in self._first]
        self._results: list[np.ndarray] | None = None
        self._losses: list[float | None] = []
        self._next = 0.0

    # ---- what is to be told to the page; with a page that listens these go there

    def _tell(self, state: dict[str, Any]) -> None:
        """The inputs are now these."""

    def _tell_pick(self, picked: dict[str, Any]) -> None:
        """This element is selected."""

    def _tell_losses(self, losses: list[float | None]) -> None:
        """These are the losses of the latest steps."""

    # ---- names and numbers

    @property
    def names(self) -> list[str]:
        """What the page shows, in order; the output last."""
        return [node.name for node in self.live.recorded.nodes]

    def value(self, name: str) -> np.ndarray:
        """The value of an input or result with the numbers that are in the page now, computed here.

        Raises KeyError for a name that the page does not show.
        """
        node = self._node(name)
        return self._inputs[node.input].copy() if node.input >= 0 else self._computed(node.value, node)

    def grad(self, name: str) -> np.ndarray:
        """d output / d name with the numbers that are in the page now, of the shape of its value.

        Raises KeyError for an unknown name, ValueError for what has no gradient.
        """
        node = self._node(name)
        if node.grad < 0:
            raise ValueError(f"grad: {name} has no gradient: the output does not depend on it, or it is no float")
        return self._computed(node.grad, node)

    def set(self, name: str, index: Any, value: Any) -> None:
        """Change an input, here and in the page.

        index: of one element, as a tuple or flat; None for all of them, ``value`` then has the input's shape.  Raises
        KeyError for an unknown name, ValueError for a result, a wrong shape, and numbers that are not finite.
        """
        node = self._node(name)
        if node.input < 0:
            free = [n.name for n in self.live.recorded.nodes if n.input >= 0]
            raise ValueError(f"set: {name} is computed; what can be changed is {', '.join(free)}")
        old = self._inputs[node.input]
        given = np.asarray(as_numbers(value, f"set: the value of {name}"))
        if not np.isfinite(given.astype(float)).all():
            raise ValueError(f"set: {name} takes finite numbers, found {value!r}")
        if index is None:
            if given.shape != old.shape:
                raise ValueError(f"set: {name} has shape {old.shape}, found numbers of shape {given.shape}")
            self._inputs[node.input] = given.astype(old.dtype)
        elif given.size != 1:
            raise ValueError(f"set: one element of {name} takes one number, found shape {given.shape}")
        else:
            self._inputs[node.input] = new = old.copy()
            new.flat[self._flat(node, index)] = given.item()
        self._results = None
        self._tell(self.changes())

    def reset(self) -> None:
        """All inputs as they were when the page was made."""
        self._inputs = [x.copy() for x in self._first]
        self._results = None
        self._tell({})

    def pick(self, name: str, index: Any = 0) -> dict[str, Any]:
        """Select an element in the page; returns it: {"name", "index", "value", "grad"} (None: no gradient)."""
        picked = self._described(self._node(name), self._flat(self._node(name), index))
        self._tell_pick(picked)
        return picked

    # ---- a training

    def follow(self, loss: Any = None) -> None:
        """The step of a training is done: show its loss, and the parameters as they are now, in the page.

        For ``train.fit(..., watch=page.follow)``, or called in a loop of your own.  Several steps make one picture, so
        that training is slowed by a tenth at most; ``follow()`` without a loss shows the last one.
        """
        if loss is not None:
            number = float(np.asarray(getattr(loss, "value", loss)).reshape(()))
            self._losses.append(number if math.isfinite(number) else None)
            del self._losses[:-LOSSES]
        start = time.monotonic()
        if loss is not None and start < self._next:
            return
        for node in self.live.recorded.nodes:
            if node.input >= 0 and node.role == "parameter":
                self._inputs[node.input] = np.array(node.line.value)
        self._results = None
        self._tell(self.changes())
        self._tell_losses(list(self._losses))
        end = time.monotonic()
        self._next = end + max(PAUSE, SHARE * (end - start))

    # ---- what is said

    def changes(self) -> dict[str, Any]:
        """The state: of each input what is not as it was at first."""
        state: dict[str, Any] = {}
        for node in self.live.recorded.nodes:
            if node.input < 0:
                continue
            now, first = self._inputs[node.input], self._first[node.input]
            apart = np.flatnonzero(now.ravel() != first.ravel())
            if not apart.size:
                continue
            if apart.size <= FEW and not self._uniform(node):
                state[node.name] = [[int(i), now.flat[i].item() * 1] for i in apart]
            elif now.size <= FEW:
                state[node.name] = {"all": now.astype(float).ravel().tolist()}
            else:
                kind = "f4" if now.dtype == np.float32 else "f8"
                state[node.name] = {kind: b64encode(now.astype(f"<{kind}").tobytes()).decode()}
        return state

    def heard(self, state: Any) -> None:
        """Take over the state of a page; ValueError for what is none, and then nothing is changed."""
        if not isinstance(state, Mapping):
            raise ValueError("the page's state is no object")
        inputs = [x.copy() for x in self._first]
        known = {node.name: node for node in self.live.recorded.nodes if node.input >= 0}
        for name, changed in state.items():
            if name not in known:
                raise ValueError(f"the page has no input {str(name)[:40]!r}")
            self._take(inputs[known[name].input], changed, known[name])
        self._inputs, self._results = inputs, None

    def _take(self, x: np.ndarray, changed: Any, node: Node) -> None:
        """Change ``x`` in place as the page says."""
        wrong = ValueError(f"{node.name} has {x.size} numbers, and the page's state for it does not fit")
        try:
            if isinstance(changed, Mapping):
                ((kind, given),) = changed.items()
                if kind not in ("all", "f4", "f8"):
                    raise wrong
                all_ = (
                    np.array(given, float)
                    if kind == "all"
                    else np.frombuffer(b64decode(given, validate=True), f"<{kind}")
                )
                if all_.shape not in ((x.size,), (1,)) or not np.isfinite(all_).all():
                    raise wrong
                x[...] = np.broadcast_to(all_, (x.size,)).reshape(x.shape)
                return
            for i, v in changed:
                good = isinstance(i, int) and 0 <= i < x.size and isinstance(v, int | float) and math.isfinite(v)
                if not good:
                    raise wrong
                if self._uniform(node):
                    x[...] = v
                else:
                    x.flat[i] = v
        except (TypeError, ValueError) as error:
            raise wrong from error

    # ---- within

    def _node(self, name: str) -> Node:
        nodes = self.live.recorded.nodes
        if name == "loss" and not any(node.name == "loss" for node in nodes):
            return nodes[-1]
        found = next((node for node in nodes if node.name == name), None)
        if found is None:
            raise KeyError(f"there is no {name!r}; the names are {', '.join(self.names)}")
        return found

    def _uniform(self, node: Node) -> bool:
        """Whether the page has one number for all elements of an input."""
        count: int = self.live.data["inputs"][node.input]["count"]
        return count == 1 != node.line.size

    def _flat(self, node: Node, index: Any) -> int:
        shape = node.line.shape
        try:
            if isinstance(index, int | np.integer) and not isinstance(index, bool):
                if not 0 <= index < max(1, node.line.size):
                    raise ValueError
                return int(index)
            return int(np.ravel_multi_index(tuple(index), shape)) if shape else 0
        except (ValueError, TypeError):
            raise ValueError(f"{node.name} has no element {index!r}; its shape is {shape}") from None

    @cached_property
    def _run(self) -> NumpyRun:
        return NumpyRun(self.live.recorded.program)

    def _computed(self, line: int, node: Node) -> np.ndarray:
        if self._results is None:
            with np.errstate(all="ignore"):
                self._results = self._run.run(self._inputs)
        place = self.live.recorded.program.outputs.index(line)
        return self._results[place].reshape(node.line.shape).copy()

    def _described(self, node: Node, flat: int) -> dict[str, Any]:
        index = [int(i) for i in np.unravel_index(flat, node.line.shape)] if node.line.shape else []
        picked = {"name": node.name, "index": index, "value": self.value(node.name).flat[flat].item(), "grad": None}
        if node.grad >= 0:
            picked["grad"] = self.grad(node.name).flat[flat].item()
        return picked
