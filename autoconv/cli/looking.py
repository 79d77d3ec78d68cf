"""The commands that look inside what a function of the user computes: graph, step, live, explain, check."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from .. import npy
from ..files import check_writable, replace_file
from ..scalar import Scalar
from ..tape import Tensor
from ..views.graph.graph import graph
from .modelled import is_model, read, run, title
from .named import UserError, called, recorded_as


def looked_at(arguments: argparse.Namespace, one_number: bool = True) -> tuple[Tensor | Scalar, dict[str, Any], bool]:
    """(the Tensor that a function or a model makes, what its lines are called, whether it is a model).

    one_number: of a model the sum of its output, for what is about a gradient.
    """
    reference = arguments.function
    thing = read(reference)
    if not is_model(thing):
        thing = called(reference, thing)
    if is_model(thing):
        return *run(reference, thing, arguments, one_number), True
    return *recorded_as(reference, thing), False


def draw(arguments: argparse.Namespace) -> None:
    """autoconv graph: the tensor that a function returns, as a picture in a file."""
    output = arguments.output or f"{title(arguments.function)}.svg"
    check_writable(output)
    y, names, model = looked_at(arguments, one_number=arguments.backward)
    focus = [_element(y, at, names) for at in arguments.focus or []]
    drawing = graph(
        y,
        zoom=arguments.zoom or ("model" if model and not arguments.focus else None),
        names=names,
        focus=focus or None,
        direction=arguments.direction,
        backward=arguments.backward,
        fold=arguments.fold,
    )
    drawing.save(output)
    print(f"{drawing!r}\nwritten to {output}")


def walk(arguments: argparse.Namespace) -> None:
    """autoconv step: forward and backward, one event at a time, in the terminal or as a page in a file."""
    from ..views.stepper.stepper import step
    from ..views.stepper.terminal import run

    if arguments.output:
        check_writable(arguments.output)
    y, names, _ = looked_at(arguments)
    stepper = step(y, names=names)
    if arguments.output:
        print(f"written to {stepper.save(arguments.output)}")
    else:
        run(stepper)


def live(arguments: argparse.Namespace) -> None:
    """autoconv live: a page in which the calculation of a function or model runs, and follows what is changed."""
    from ..views.live.live import live as page

    output = arguments.output or f"{title(arguments.function)}.html"
    check_writable(output)
    y, names, _ = looked_at(arguments)
    made = page(y, names=names, title=title(arguments.function))
    print(f"{made!r}\nwritten to {made.save(output)}")


LARGEST_CLAIM = 2**28  # bytes
FORMATS = ("text", "latex", "mathml", "markdown", "csv")


def explain(arguments: argparse.Namespace) -> None:
    """autoconv explain: where the gradient of one element comes from."""
    from ..views.equations.explain import explain as explanation

    if arguments.output:
        check_writable(arguments.output)
    y, names, _ = looked_at(arguments)
    made = explanation(_element(y, arguments.at, names), of=y, depth=arguments.depth, names=names)
    text = getattr(made, arguments.format)
    if arguments.output:
        replace_file(arguments.output, (text + "\n").encode())
        print(f"written to {arguments.output}")
    else:
        print(text)


def check(arguments: argparse.Namespace) -> int:
    """autoconv check: whether a gradient derived by hand is right; exit status 0 for right, 1 for anything else.

    "Right only here" counts as 1: the numbers agree, but what was handed in is not the gradient of this program.
    """
    from ..tutor.check import check as judge

    y, names, _ = looked_at(arguments)
    claim = arguments.formula if arguments.claim is None else _claimed(arguments.claim)
    verdict = judge(claim, of=y, wrt=arguments.wrt, names=names)
    print(verdict.wrapped(shutil.get_terminal_size().columns))
    return verdict.status


def _claimed(file: str) -> Any:
    """The array in a .npy file, or the arrays by name in a .npz file; nothing in it is ever run."""
    try:
        return npy.load(file, LARGEST_CLAIM)
    except npy.ArrayFileError as error:
        raise UserError(f"{error}; write your gradient with numpy.save({file!r}, gradient)") from None


def _element(y: Tensor | Scalar, at: str, names: dict[str, Any]) -> Any:
    """The element of y's tape that a text as "w1[0,0]" means."""
    from ..views.element import element_at

    return element_at(at, y, names)
