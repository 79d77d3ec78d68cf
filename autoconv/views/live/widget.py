"""``ac.widget``: a live page that talks with Python, in every notebook that shows widgets.

What makes it one is the package anywidget, which JupyterLab, Notebook, VS Code, Colab and marimo know; it is imported
when a widget is asked for.  Without it there is the page alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...render.page import iframe
from ...tape import Tensor
from .column import STATIC
from .conversation import Conversation
from .live import Live, live

if TYPE_CHECKING:
    import os

    from ...optim import Optimizer

HEIGHT = 760  # of the page in a cell, in pixels


def widget(
    y: Tensor,
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
    height: int = HEIGHT,
) -> Any:
    """The live page of ``y`` in a notebook, with its state in Python too; the arguments are those of ``ac.live``.

    What is changed in the page is changed in Python, and the other way round:

    - ``w.value(name)``, ``w.grad(name)``: arrays, with the numbers that are in the page now
    - ``w.set(name, index, value)``, ``w.reset()``: change an input, in the page too
    - ``w.picked``: the element that was clicked, {"name", "index", "value", "grad"}; ``w.pick(name, index)`` picks one
    - ``w.observe(f, "picked")`` or ``"state"``: f is called when it changes
    - ``train.fit(..., watch=w.follow)``: curve and kernels move while the model trains

    height: of the page, in pixels.  Where anywidget is not installed (``pip install autoconv[widget]``) the page is
    shown alone, with a warning; the methods work, but nothing comes from the page.  Raises what ``ac.live`` raises.

    >>> w = ac.tensor([1.0, 2.0], name="w")
    >>> page = ac.widget(ac.sum(w * w), names={"w": w})  # doctest: +SKIP
    >>> page.set("w", 0, 3.0)  # doctest: +SKIP
    >>> page.grad("w")  # doctest: +SKIP
    array([6., 4.])
    """
    shown = live(
        y, inputs, names, title=title, draw=draw, logits=logits, classes=classes, optimizer=optimizer, data=data,
        examples=examples, batch_size=batch_size,
    )  # fmt: skip
    if isinstance(height, bool) or not isinstance(height, int) or height < 100:
        raise ValueError(f"widget: height={height!r}; use a whole number of pixels from 100")
    try:
        made = _class()
    except ImportError:
        warnings.warn(
            "widget: anywidget is not installed, so the page is shown alone and tells Python nothing: "
            "pip install autoconv[widget]",
            RuntimeWarning,
            stacklevel=2,
        )
        return Alone(shown)
    return made(shown, height)


class Alone(Conversation):
    """A live page that nobody hears, with the methods of one that is."""

    picked: dict[str, Any]

    def __init__(self, live: Live) -> None:
        self._begin(live)
        self.picked = {}

    def _tell_pick(self, picked: dict[str, Any]) -> None:
        self.picked = picked

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page (``.html``); returns the path."""
        return self.live.save(path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.live._repr_mimebundle_()

    def __repr__(self) -> str:
        return repr(self.live)


@cache
def _class() -> Any:
    """The class of widgets; ImportError without anywidget."""
    import anywidget  # type: ignore[import-not-found,unused-ignore]
    import traitlets  # type: ignore[import-not-found,unused-ignore]

    class Widget(Conversation, anywidget.AnyWidget):  # type: ignore[misc,unused-ignore]
        """A live page whose state is in Python too; see ``ac.widget``."""

        _esm = (STATIC / "widget.js").read_text(encoding="utf-8")
        frame = traitlets.Unicode().tag(sync=True)
        state = traitlets.Dict().tag(sync=True)
        picked = traitlets.Dict().tag(sync=True)
        losses: Any = traitlets.List().tag(sync=True)

        def __init__(self, live: Live, height: int) -> None:
            self._begin(live)
            self._telling = False
            super().__init__(frame=iframe(live.page, height, live.title))
            self.observe(self._hear, "state")

        def _hear(self, change: Any) -> None:
            if not self._telling:
                self.heard(change["new"])

        def _tell(self, state: dict[str, Any]) -> None:
            self._telling = True
            try:
                self.state = state
            finally:
                self._telling = False

        def _tell_pick(self, picked: dict[str, Any]) -> None:
            self.picked = picked

        def _tell_losses(self, losses: list[float | None]) -> None:
            self.losses = losses

        def save(self, path: str | os.PathLike[str]) -> Path:
            """Write the page (``.html``) as it was made; returns the path."""
            return self.live.save(path)

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            """The widget; below it, for places that show none, the picture and the words of the page."""
            made = super()._repr_mimebundle_(**kwargs)
            if made is None:
                return None
            data, more = made if isinstance(made, tuple) else (made, {})
            return {**self.live._repr_mimebundle_(), **data, "text/plain": repr(self.live)}, more

        def __repr__(self) -> str:
            return repr(self.live)

    return Widget
