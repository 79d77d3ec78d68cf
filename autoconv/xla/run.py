"""The executor: a program run by XLA, an optimiser's step in the same computation.

``XlaRun(program).run(arguments)`` gives the outputs as arrays of the caller's; with a ``step`` the parameters move on
the device, in one jitted function whose parameters and slots are donated.  Where the arrays lie is the ``placement``'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..program.numpy_run import NumpyRun
from ..program.program import Program, report
from ..program.record.watch import Source
from ..program.rewrite import hoist, simplify
from ..program.slope_of_result import slope_of_result
from .attributes import attribute_now, attribute_on_device, leave_attribute
from .library import jax, jnp, need, wide
from .lower import Lowered, unfit
from .optimizer_step import Prepared, XlaStep, numbers_in, updated
from .placement import HERE, Placement
from .resident import There, on_device


def plan(
    program: Program, moved: range = range(0), placement: Placement | None = None, given: int | None = None
) -> tuple[XlaRun | NumpyRun, str]:
    """The program for XLA, or for NumPy where XLA cannot run it; and what there is to say about it.

    moved: which outputs stay on the device, as new values of attributes; what comes after them is the loss, that must
    be finite for a step that asks for it.  given: how many of the arguments are the caller's; what comes after them a
    recording reads besides (draws, running means).
    """
    need("backend='xla'")
    reason = unfit(program)
    if reason:
        return NumpyRun(program), f"left to NumPy, because {reason}\n"
    return XlaRun(program, moved, placement or HERE, given), ""


class XlaRun:
    """A program as jitted functions: ``run(arguments)`` gives the outputs."""

    def __init__(
        self, program: Program, moved: range = range(0), placement: Placement = HERE, given: int | None = None
    ) -> None:
        self.program, self.moved, self.loss, self.placement = program, moved, moved.stop, placement
        self.given = given  # how many of the arguments are the caller's
        self.lowered = Lowered(simplify(hoist(slope_of_result(program))))
        self.lines = [self._argument(k) for k in self.lowered.arguments]
        self._functions: dict[Any, Callable[..., Any]] = {}
        self._plain: NumpyRun | None = None
        self._failed = ""
        self._left: dict[tuple[int, str], tuple[dict[str, Any], There]] = {}  # attributes that are on the device

    def _argument(self, k: int) -> Any:
        return next(x for x in self.lowered.program.lines if x.argument == k)

    def run(self, arguments: Sequence[np.ndarray], step: XlaStep | None = None) -> list[Any]:
        """The outputs; with ``step`` the parameters are moved as well, and the gradients, which only the step needs,
        are None."""
        if self._failed:
            return self._by_numpy(arguments)
        with wide():
            prepared = step.prepared(self.placement) if step is not None else None
            if step is None or prepared is None:
                return self._outputs(arguments)
            return self._stepped(arguments, step, prepared)

    @property
    def works(self) -> bool:
        """Whether XLA runs the program, and NumPy not in its place."""
        return not self._failed

    def describe(self) -> str:
        """What was decided, line by line."""
        if self._failed:
            return f"left to NumPy, because {self._failed}\n{self._numpy().describe()}"
        fused = sum(["convolution" in x.text for x in self.lowered.fused.values()])
        head = f"XLA (JAX {jax.__version__}) on {self.placement.described()}"
        head += f", {fused} of them convolutions" if fused else ""
        return report(self.lowered.program, head, self.lowered.notes())

    # ---- what stays on the device

    def source(self, s: Source) -> Any:
        """What a recording reads besides its arguments; an attribute's numbers where they are."""
        return attribute_on_device(s.holder, s.name, self.placement) if s.name and self.works else s.make()

    def now(self, holder: Any, name: str) -> Any:
        """An attribute, or the device's array that stands for it."""
        found = attribute_now(holder, name)
        return found.array if isinstance(found, There) else found

    def put(self, holder: Any, name: str, value: Any) -> None:
        """An attribute's new value, as ``run`` has given it."""
        if isinstance(value, np.ndarray):
            setattr(holder, name, value)
        else:
            left = leave_attribute(holder, name, value, self.placement)
            if left is not None:
                self._left[id(holder), name] = left

    def untouched(self, held: Sequence[tuple[Any, str]]) -> bool:
        """Whether the attributes are still what the last run has left for each."""
        left = self._left
        return len(left) == len(held) and all([inside.get(key[1]) is x for key, (inside, x) in left.items()])

    # ---- the outputs alone

    def _outputs(self, arguments: Sequence[np.ndarray]) -> list[Any]:
        given, tensors = self._operands(arguments, frozenset())
        function = self._made("outputs", lambda: self._jit(self._forward, (self._of_arguments(), self._of_tensors())))
        if not self._traced(function, given, tensors):
            return self._by_numpy(arguments)
        outputs, fits = self._fetched(*function(given, tensors))
        return outputs if fits else self._by_numpy(arguments)

    def _fetched(self, outputs: list[Any], fits: Any) -> tuple[list[Any], bool]:
        """The outputs, as arrays of the caller's but for those that stay; and whether they mean anything."""
        start, stop = self.moved.start, self.moved.stop
        wanted = [*outputs[:start], *outputs[stop:], *([] if fits is None else [fits])]
        arrays = self.placement.fetch(wanted)
        right = fits is None or bool(arrays.pop())
        return [*arrays[:start], *outputs[start:stop], *arrays[start:]], right

    def _forward(self, given: Sequence[Any], tensors: Sequence[Any]) -> tuple[list[Any], Any]:
        outputs, fits = self.lowered(self._all(given), tensors)
        return outputs, None if fits is True else fits

    # ---- with an optimiser's step

    def _stepped(self, arguments: Sequence[np.ndarray], step: XlaStep, prepared: Prepared) -> list[Any]:
        moved = {id(p): k for k, p in enumerate(step.params)}
        given, tensors = self._operands(arguments, frozenset(moved))
        key = (prepared.kind, prepared.on, prepared.rows, tuple(moved), step.careful, step.if_finite)

        def make() -> Callable[..., Any]:
            of = [self.placement.tensor(p) for p in step.params]
            slots = [[x] * len(prepared.names) for x in of]
            inside = self._update(step, prepared, [moved.get(id(t)) for t in self.lowered.tensors])
            ins = (of, slots, None, self._of_arguments(), self._of_tensors(frozenset(moved)))
            outs = (self._of_outputs(len(step.params)), of, slots, None)
            return self._jit(inside, ins, outs, () if step.careful else (0, 1))

        function = self._made(key, make)
        operands = (prepared.params, prepared.slots, prepared.numbers, given, tensors)
        if not self._traced(function, *operands):
            return self._by_numpy(arguments)
        outputs, params, slots, fits = function(*operands)
        step.moved(prepared, params, slots, self.placement)
        outputs, right = self._fetched(outputs, fits)
        if not right:
            step.done = False
            return self._by_numpy(arguments)
        return [*outputs, *[None] * len(step.params)]

    def _update(self, step: XlaStep, prepared: Prepared, moved: list[int | None]) -> Callable[..., Any]:
        """The whole step as one function of (parameters, slots, numbers, arguments, other Tensors)."""
        kind, if_finite, count = prepared.kind, step.if_finite, len(step.params)

        def inside(params: Any, slots: Any, numbers: Any, given: Any, others: Any) -> Any:
            rest = iter(others)
            tensors = [params[k] if k is not None else next(rest) for k in moved]
            outputs, fits = self.lowered(self._all(given), tensors)
            gradients, outputs = outputs[len(outputs) - count :], outputs[: len(outputs) - count]
            by = cache(lambda row, dtype: numbers_in(dtype, prepared.on, numbers[row]))
            each = zip(params, gradients, slots, prepared.rows, strict=True)
            made = [updated(kind, p, g, s, by(row, p.dtype)) for p, g, s, row in each]
            go = fits
            if if_finite:
                finite = jnp.all(jnp.isfinite(outputs[self.loss]))
                go = finite if fits is True else fits & finite
            new, kept = [x for x, _ in made], [x for _, x in made]
            if go is not True:
                choose = lambda a, b: jnp.where(go, a, b)
                new, kept = jax.tree.map(choose, (new, kept), (list(params), [list(s) for s in slots]))
            return outputs, new, kept, None if fits is True else fits

        return inside

    # ---- operands and functions

    def _operands(self, arguments: Sequence[np.ndarray], moved: frozenset[int]) -> tuple[list[Any], list[Any]]:
        """The arguments that are read, and the closed-over Tensors but for those that are ``moved`` (ids)."""
        place = self.placement
        shardings = self._of_arguments()
        given = [place.given(arguments[k], x) for k, x in zip(self.lowered.arguments, shardings, strict=True)]
        tensors = [on_device(t, place, place.tensor(t)) for t in self.lowered.tensors if id(t) not in moved]
        return given, tensors

    def _all(self, given: Sequence[Any]) -> list[Any]:
        """The arguments in their places, None where the program reads none."""
        count = max(self.lowered.arguments, default=-1) + 1
        arguments: list[Any] = [None] * count
        for k, x in zip(self.lowered.arguments, given, strict=True):
            arguments[k] = x
        return arguments

    def _of_arguments(self) -> list[Any]:
        place, given = self.placement, self.given
        return [
            place.argument(x) if given is None or k < given else place.source(x)
            for k, x in zip(self.lowered.arguments, self.lines, strict=True)
        ]

    def _of_tensors(self, moved: frozenset[int] = frozenset()) -> list[Any]:
        return [self.placement.tensor(t) for t in self.lowered.tensors if id(t) not in moved]

    def _of_outputs(self, without: int = 0) -> list[Any]:
        lines, outputs = self.lowered.program.lines, self.lowered.program.outputs
        return [self.placement.output(lines[y]) for y in outputs[: len(outputs) - without]]

    def _made(self, key: Any, make: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        if key not in self._functions:
            self._functions[key] = make()
        return self._functions[key]

    def _jit(self, function: Callable[..., Any], ins: Any, outs: Any = None, donated: tuple[int, ...] = ()) -> Any:
        if not self.placement.sharded:
            return jax.jit(function, donate_argnums=donated)
        outs = (self._of_outputs(), None) if outs is None else outs
        return jax.jit(function, in_shardings=ins, out_shardings=outs, donate_argnums=donated)

    def _traced(self, function: Any, *operands: Any) -> bool:
        """Whether the function could be traced, before anything is donated; what cannot is left to NumPy."""
        if getattr(self, "_last", None) is function:
            return True
        try:
            function.eval_shape(*operands)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, NotImplementedError) as error:
            if os.environ.get("AUTOCONV_STRICT") == "1":  # in tests: a fault of the column is a fault
                raise
            self._failed = f"XLA could not be given the program: {' '.join(str(error).split())[:300]}"
            return False
        self._last = function
        return True

    def _numpy(self) -> NumpyRun:
        if self._plain is None:
            self._plain = NumpyRun(self.program)
        return self._plain

    def _by_numpy(self, arguments: Sequence[np.ndarray]) -> list[Any]:
        """What NumPy says: numbers, or the error that the function raises for numbers it refuses."""
        return self._numpy().run([np.asarray(x) for x in arguments])
