"""``ac.live``: a page in which the calculation itself runs, forward and sweep, whenever something in it is changed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...backward import check_cotangent
from ...files import save_as
from ...render.notebook import bundle, details
from ...render.page import iframe
from ...render.text import clean, number
from ...tape import Tape, Tensor, describe
from ..graph.graph import graph
from ..lines import variables
from .page import data, html
from .recorded import Recorded, check_inputs, record
from .training import Rows, check_rows, drawn, training

if TYPE_CHECKING:
    from ...optim import Optimizer


def live(
    y: Any,
    inputs: Any = None,
    names: Mapping[str, Any] | None = None,
    *,
    title: str | None = None,
    draw: Tensor | None = None,
    logits: Tensor | None = None,
    classes: Sequence[str] | None = None,
    optimizer: Optimizer | None = None,
    data: Mapping[Tensor, Any] | None = None,
    examples: Mapping[Tensor, Any] | None = None,
    batch_size: int = 32,
) -> Live:
    """The calculation of ``y``, a number, and the sweep back from it, as a page that computes them.

    In the page a weight, a pixel, a target or a number of a formula is dragged or typed, and values, gradients, the
    equation of what is selected and the loss follow at once.  It is one file, works offline, and needs no Python.

    inputs: Tensors that can be changed, besides the parameters (None: every input and named constant, and the numbers
    of your own formulas); a dict gives them names.  names: variables that name Tensors, as in
    ``ac.live(loss, names=locals())``.  title: of the page.

    draw: an image (N = 1, one channel) that is drawn with the mouse.  logits: a line whose softmax is shown as bars,
    ``classes`` names them.  optimizer: an SGD, Adam, AdamW, RMSprop or Adagrad of parameters of ``y``, whose steps the
    page takes on ``data``, a dict from inputs to arrays of examples (the first axis counts them), ``batch_size`` at a
    time in their order, over and over.  ``examples``: such a dict to look at.

    Raises TypeError for what has no gradient, ValueError for a y that is no number, and for a calculation too large
    for a page.

    >>> w = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w")
    >>> loss = ac.sum(ac.conv2d(np.ones((3, 3)), w))
    >>> page = ac.live(loss, names={"loss": loss})
    >>> page
    <Live page of loss = 10: w can be changed>
    >>> page.save("net.html")  # doctest: +SKIP
    """
    if not isinstance(y, Tensor):
        raise TypeError(
            f"live: expected a Tensor, found {type(y).__name__}; give what was computed, as in ac.live(loss)"
        )
    check_cotangent(y, None)
    if y.constant:
        raise TypeError(
            f"live: {describe(y)} depends on no floating-point tensor; make one with ac.tensor(data), plain arrays "
            "are constants"
        )
    known = variables(names, "live")
    if isinstance(inputs, Mapping):
        known = {**known, **variables(inputs, "live")}
    tape = Tape(y)
    given = check_inputs(inputs, tape)
    recorded = record(y, known, given)
    rows = {what: check_rows(of, recorded, what) for what, of in (("data", data), ("examples", examples)) if of}
    return Live(
        recorded,
        title or "Live: " + clean(recorded.nodes[-1].name),
        draw=drawn(recorded, draw),
        logits=_logits(recorded, logits),
        classes=[clean(str(c)) for c in classes] if classes is not None else None,
        train=training(recorded, optimizer, rows.get("data"), batch_size),
        examples=rows.get("examples") or rows.get("data"),
    )


def _logits(recorded: Recorded, logits: Tensor | None) -> int | None:
    if logits is None:
        return None
    node = recorded.node(logits)
    if node is None:
        raise ValueError(
            f"live: logits must be a line that the page shows, the result of a layer or call; {describe(logits)} is "
            "none: name it, as in names={'scores': scores}"
        )
    return node


class Live:
    """A live page: ``save`` writes it, and it shows itself in a notebook."""

    def __init__(self, recorded: Recorded, title: str, *, examples: Rows | None = None, **about: Any) -> None:
        self.recorded, self.title = recorded, title
        self._about, self._examples = about, examples
        self.data  # noqa: B018 (a calculation that is too large for a page is refused here)

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the page is made of."""
        return data(self.recorded, self.title, examples=self._examples, **self._about)

    @cached_property
    def page(self) -> str:
        """The page as HTML, self-contained and offline."""
        return html(self.data)

    def page_with(self, report: str, words: str) -> str:
        """The page with a report (HTML of the caller's own making, with pictures) behind a button with these words."""
        return html({**self.data, "report": clean(words)}, report)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page (``.html``); returns the path.  ValueError for another ending."""
        write = lambda: self.page
        return save_as(path, {".html": write, ".htm": write}, "live")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        shown = iframe(self.page, title=self.title)
        still = self.still
        return bundle(repr(self), html=shown + (details(still, repr(self)) if still else ""), svg=still)

    @property
    def still(self) -> str:
        """The calls of the calculation as a picture, for places that run no script; "" where they are too many."""
        nodes = self.recorded.nodes
        try:
            return graph(nodes[-1].line, "calls", {x.name: x.line for x in nodes if x.name.isidentifier()}).svg
        except ValueError:
            return ""

    def __repr__(self) -> str:
        y = self.recorded.nodes[-1]
        free = [node.name for node in self.recorded.nodes if node.input >= 0]
        rest = f" and {len(free) - 6} more" if len(free) > 6 else ""
        return f"<Live page of {y.name} = {number(y.line.item())}: {', '.join(free[:6])}{rest} can be changed>"
