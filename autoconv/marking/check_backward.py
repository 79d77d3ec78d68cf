"""``ac.check_backward``: "here is my backward function; is it right, at every geometry, and if not, what did I do?" """

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .asking import ask, differences, upstream
from .autograd_function import as_functions, is_function
from .budget import Budget, Shared
from .described import described
from .judge import judge, outputs_of
from .layer import Layer
from .repair import SECONDS, Offer, Sought, mended
from .verdict import BackwardVerdict

LIMIT = 30.0  # seconds for all geometries


def standing(layer: Layer, backward: Any, forward: Any) -> dict[str, Any]:
    """{"backward", "forward"}: the functions as given; of a course of classes the one class, for both."""
    owners = [getattr(f, "__self__", None) for f in (backward, forward) if f is not None]
    if layer.call.classes and owners[0] is not None and all(o is owners[0] for o in owners):
        backward, forward = type(owners[0]), None  # the methods of an object: other geometries need others like it
    alone = isinstance(backward, type) if layer.call.classes else layer.call.ahead is not None
    return {"backward": backward, "forward": backward if forward is None and alone else forward}


def check_backward(
    backward: Callable[..., Any],
    forward: Callable[..., Any] | None = None,
    like: Any = None,
    inputs: Any = None,
    call: Any = None,
    time_limit: float = LIMIT,
    repair: float = SECONDS,
) -> BackwardVerdict:
    """Judge a backward function, with its forward, as a course defines them; and name what is wrong.

        dx[i] = sum over outputs j of dout[j] * d out[j] / d x[i], and so for every input

    backward, forward: the functions, in the course's signature: forward(x, w, b, ..) -> (out, cache),
    backward(dout, cache) -> (dx, dw, db), or a dict of these; NumPy or torch.  The backward alone is enough where the
    course fixes the cache; the one function of a loss, the class of a course that has classes, or a
    ``torch.autograd.Function`` (with ``like``), stands first.
    like: what they should compute: a name of ``ac.courses()`` ("cs231n.conv"); a function of autoconv (ac.conv2d) or
    any of Tensors (lambda x, w, b: ..); None: the gradient is compared with differences of ``forward``.
    inputs: arrays, in their order or by name; several such, or a generator of them.  None: geometries are chosen here,
    with overlap and without, stride and padding, not square, several of everything, ties.
    call: for another signature: {"forward": "x, w, b", "backward": "dout, cache"}; a "backward" may
    ask for any input by name, "dout", "out" and "cache".
    time_limit: seconds for all geometries together; an alarm stops a loop that takes longer (in the main thread of
    Linux and macOS; elsewhere time is looked at between geometries).
    repair: seconds for which the source of a wrong function, forward or backward, is searched for one change that makes
    it right; 0: none.
    The functions are run again for that, with one place of their code changed, where their source can be read.

    The forward is compared first.  Where it is another known function (a rotated kernel, a bias counted twice, another
    eps), that is said, and the gradients are compared with *its* gradient.
    Returns a BackwardVerdict: true or false; ``v["dx"]`` has .right, .mistake, .geometry, .text.
    Raises ValueError for a name that is no course's, TypeError for what is no function.
    Source of the right gradient: the sweep of the reference, a composition of primitives.

    >>> import numpy as np
    >>> v = ac.check_backward(lambda dout, cache: dout * (cache >= 1), like="cs231n.relu")
    >>> bool(v), v["dx"].right
    (False, False)
    >>> bool(ac.check_backward(lambda dout, cache: dout * (cache > 0), like="cs231n.relu"))
    True
    """
    if not callable(backward):
        raise TypeError(f"check_backward: the backward is a function; found {type(backward).__name__}")
    if forward is not None and not callable(forward):
        raise TypeError(f"check_backward: forward is a function; found {type(forward).__name__}")
    if not time_limit > 0:
        raise ValueError(f"check_backward: time_limit={time_limit} must be above 0 seconds")
    if is_function(backward):
        layer = as_functions(described(backward, backward if isinstance(like, str) else None, like, inputs, call))
        forward = backward
    else:
        layer = described(backward, forward, like, inputs, call)
    layer = layer.edition(getattr(forward, "__doc__", None))
    functions = standing(layer, backward, forward)
    cases = layer.tries()
    shapes = outputs_of(layer, cases)
    answers = ask(layer, cases, functions, time_limit, shapes)

    sharing = Shared(time_limit)

    def own(index: int) -> Any:
        out = answers[index].out
        with sharing.spent() as left:
            if out is None or left <= 0:
                return None
            return differences(layer, cases[index], functions, upstream(index, out.shape), left)

    budget = Budget(repair)

    def mend(sought: Sought) -> list[Offer]:
        return mended(layer, cases, functions, shapes, sought, budget.left)

    return judge(layer, cases, answers, own, mend)
