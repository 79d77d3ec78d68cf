"""What a rewrite says of itself: whether it is exact, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper

from ..program import Program


@dataclass(eq=False)
class Rewrite:
    """A pass from program to program.  ``exact``: every number that is left keeps its bits; ``why`` it is, or is not.

    Exact passes may be shared by all exits; one that is not belongs to the exit that wants it.
    """

    run: Callable[[Program], Program]
    exact: bool
    why: str

    def __call__(self, program: Program) -> Program:
        return self.run(program)


def rewrite(exact: bool, why: str) -> Callable[[Callable[[Program], Program]], Rewrite]:
    """Declare a function from program to program.

    >>> @rewrite(exact=True, why="nobody reads what is left out")
    ... def drop(program): ...
    """

    def declared(function: Callable[[Program], Program]) -> Rewrite:
        pass_ = Rewrite(function, exact, why)
        update_wrapper(pass_, function)
        return pass_

    return declared
