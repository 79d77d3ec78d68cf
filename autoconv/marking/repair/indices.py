"""Edits of what stands in brackets, and of loops: indices, slices, windows, ranges, steps."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from .names import renamed
from .trees import Change, Place, Scope, Step, binary, call, called, integer, name, number


def index_order(p: Place) -> Iterator[ast.expr]:
    """Two indices of one pair of brackets, two members of a tuple exchanged (also where they are assigned)."""
    if isinstance(p.node, ast.Tuple) and len(p.node.elts) <= 7:
        for i, j in combinations(range(len(p.node.elts)), 2):
            listed = list(p.node.elts)
            listed[i], listed[j] = listed[j], listed[i]
            if ast.dump(listed[i]) != ast.dump(listed[j]):
                yield ast.Tuple(listed, p.node.ctx)


def _indexed(p: Place) -> bool:
    """Whether this is one index in brackets."""
    if p.role != "index" or isinstance(p.node, ast.Tuple) or isinstance(p.owner, ast.Slice):
        return False
    return isinstance(p.owner, (ast.Subscript, ast.Tuple))


def index(p: Place) -> Iterator[ast.expr]:
    """Another index in brackets: a loop's own variable, one further, one back, all of them."""
    if not _indexed(p):
        return
    if isinstance(p.node, ast.Slice):
        if p.node.lower is p.node.upper is p.node.step is None:
            for variable in p.scope.loops:
                yield name(variable)
        return
    if integer(p.node) is not None:
        for variable in p.scope.loops:
            yield name(variable)
    elif not isinstance(p.node, ast.Constant):
        yield binary(p.node, ast.Add, number(1))
        yield binary(p.node, ast.Sub, number(1))
        yield number(0)
    yield ast.Slice()


def worked_out(p: Place) -> Iterator[ast.expr]:
    """An index that is worked out otherwise: more or less by a name, times it, counted from the end."""
    if not _indexed(p) or isinstance(p.node, (ast.Slice, ast.Constant, ast.UnaryOp)):
        return
    for variable in p.scope.names:
        if not (isinstance(p.node, ast.Name) and p.node.id == variable):
            yield binary(p.node, ast.Add, name(variable))
            yield binary(p.node, ast.Sub, name(variable))
            yield binary(p.node, ast.Mult, name(variable))
            yield binary(p.node, ast.FloorDiv, name(variable))
            yield binary(binary(name(variable), ast.Sub, number(1)), ast.Sub, p.node)


def all_indices(p: Place) -> Iterator[ast.expr]:
    """The same slip in all indices of one pair of brackets: turned round, or not; a step of the loop forgotten."""
    if not isinstance(p.node, ast.Subscript) or not isinstance(p.node.slice, ast.Tuple):
        return
    elts = p.node.slice.elts
    changes: list[Callable[[Any], Any]] = [
        lambda e: e.right if isinstance(e, ast.BinOp) else None,
        lambda e: e.left if isinstance(e, ast.BinOp) else None,
        lambda e: binary(e.left.right, type(e.op), e.right) if _nested(e) else None,
        lambda e: binary(e.left.left, type(e.op), e.right) if _nested(e) else None,
    ]  # fmt: skip
    for other in p.scope.names:
        changes.append(_left_times(other))
    for change in changes:
        new = [change(e) for e in elts]
        if sum(n is not None for n in new) > 1:
            listed = [n if n is not None else e for n, e in zip(new, elts, strict=True)]
            yield ast.Subscript(p.node.value, ast.Tuple(listed, ast.Load()), p.node.ctx)


def widened(p: Place) -> Iterator[ast.expr]:
    """One cell where a window belongs that begins there: i as i:i + k, along both axes of an image."""
    if not isinstance(p.node, ast.Subscript) or not isinstance(p.node.slice, ast.Tuple):
        return
    elts = p.node.slice.elts
    sizes = [*p.scope.names, *[f"self.{held}" for held in p.scope.attributes.get("self", [])]]
    for at in ((len(elts) - 2, len(elts) - 1), (1, 2)):
        if len(elts) > 2 and all(isinstance(elts[i], (ast.Name, ast.BinOp)) for i in at):
            for size in sizes:
                listed = list(elts)
                for i in at:
                    listed[i] = ast.Slice(elts[i], binary(elts[i], ast.Add, name(size)))
                yield ast.Subscript(p.node.value, ast.Tuple(listed, ast.Load()), p.node.ctx)


def _left_times(other: str) -> Callable[[Any], Any]:
    """i + k with i * other in the place of i."""

    def change(e: Any) -> Any:
        if not isinstance(e, ast.BinOp) or not isinstance(e.left, ast.Name):
            return None
        return binary(binary(e.left, ast.Mult, name(other)), type(e.op), e.right)

    return change


def _nested(e: ast.expr) -> bool:
    return isinstance(e, ast.BinOp) and isinstance(e.left, ast.BinOp)


def stepped(p: Place) -> Iterator[ast.expr]:
    """A variable of a loop that is not multiplied by the step (or another number)."""
    if isinstance(p.node, ast.Name) and isinstance(p.node.ctx, ast.Load) and p.node.id in p.scope.loops:
        for other in p.scope.names:
            if other not in p.scope.loops:
                yield binary(p.node, ast.Mult, name(other))


def both_stepped(s: Step) -> Iterator[Change]:
    """The same in a whole line."""
    if not isinstance(s.node, (ast.Assign, ast.AugAssign)):
        return
    used = [n.id for n in ast.walk(s.node) if isinstance(n, ast.Name) and n.id in s.scope.loops]
    if len(used) < 2:
        return
    for other in s.scope.names:
        if other not in s.scope.loops:
            for chosen in (tuple(dict.fromkeys(used)), *combinations(dict.fromkeys(used), 2)):
                yield s.put(_Times(set(chosen), other).visit(copy.deepcopy(s.node)))


class _Times(ast.NodeTransformer):
    def __init__(self, names: set[str], other: str) -> None:
        self.names, self.other = names, other

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.names and isinstance(node.ctx, ast.Load):
            made = ast.BinOp(node, ast.Mult(), ast.Name(self.other, ast.Load()))
            return ast.copy_location(ast.fix_missing_locations(ast.copy_location(made, node)), node)
        return node


def taps_stepped(s: Step) -> Iterator[Change]:
    """Slices i:i + n for one tap of a window, without the step: i:i + step * n:step."""
    if isinstance(s.node, (ast.Assign, ast.AugAssign)):
        taps = [n for n in ast.walk(s.node) if isinstance(n, ast.Slice) and _tap(n, s.scope.loops)]
        for other in s.scope.names if taps else ():
            if other not in s.scope.loops:
                yield s.put(_Taps(s.scope.loops, other).visit(copy.deepcopy(s.node)))


def _tap(node: ast.Slice, loops: list[str]) -> bool:
    """Whether a slice is i:i + n with a loop's i."""
    low, high = node.lower, node.upper
    if node.step is not None or not isinstance(low, ast.Name) or low.id not in loops:
        return False
    added = isinstance(high, ast.BinOp) and isinstance(high.op, ast.Add)
    return added and ast.dump(high.left) == ast.dump(low)  # type: ignore[union-attr]


class _Taps(ast.NodeTransformer):
    def __init__(self, loops: list[str], other: str) -> None:
        self.loops, self.other = loops, other

    def visit_Slice(self, node: ast.Slice) -> ast.Slice:
        if _tap(node, self.loops):
            assert isinstance(node.upper, ast.BinOp)
            node.upper = binary(node.upper.left, ast.Add, binary(name(self.other), ast.Mult, node.upper.right))
            node.step = name(self.other)
            ast.fix_missing_locations(node)
        return node


def brackets(p: Place) -> Iterator[ast.expr]:
    """An index too many or too few."""
    if isinstance(p.node, ast.Subscript):
        inner = p.node.slice
        if isinstance(p.node.ctx, ast.Load):
            yield p.node.value
        if isinstance(inner, ast.Tuple):
            if isinstance(inner.elts[-1], ast.Slice):  # what is done to rows, to columns too
                yield ast.Subscript(p.node.value, ast.Tuple([*inner.elts, inner.elts[-1]], ast.Load()), p.node.ctx)
            for i in range(len(inner.elts)):
                rest = inner.elts[:i] + inner.elts[i + 1 :]
                yield ast.Subscript(
                    p.node.value, rest[0] if len(rest) == 1 else ast.Tuple(rest, ast.Load()), p.node.ctx
                )
        for variable in p.scope.loops:
            held = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
            for i in range(len(held) + 1):
                more: list[ast.expr] = [*held[:i], name(variable), *held[i:]]
                yield ast.Subscript(p.node.value, ast.Tuple(more, ast.Load()), p.node.ctx)
    elif isinstance(p.node, ast.Name) and p.role == "value" and p.node.id in p.scope.names:
        for variable in p.scope.loops:
            if variable != p.node.id:
                yield ast.Subscript(p.node, name(variable), ast.Load())
        if not isinstance(p.owner, (ast.Subscript, ast.Attribute)):
            for text in LIFTED:
                made: Any = ast.parse(f"x{text}", mode="eval").body
                yield ast.Subscript(p.node, made.slice, ast.Load())


LIFTED = ("[:, None]", "[None, :, None, None]", "[:, None, None]", "[:, :, None, None]")  # a vector along an axis


def sliced(p: Place) -> Iterator[ast.expr]:
    """A slice with another bound or step; a bound that is one further or nearer."""
    if called(p.node) == "slice" and isinstance(p.node, ast.Call):
        for i in range(len(p.node.args)):
            yield ast.Call(p.node.func, [*p.node.args[:i], ast.Constant(None), *p.node.args[i + 1 :]], [])
        return
    if not isinstance(p.node, ast.Slice):
        if p.role == "bound" and isinstance(p.owner, ast.Slice):
            yield binary(p.node, ast.Add, number(1))
            yield binary(p.node, ast.Sub, number(1))
        return
    low, high, step = p.node.lower, p.node.upper, p.node.step
    for given in ((None, high, step), (low, None, step), (low, high, None)):
        if given != (low, high, step):
            yield ast.Slice(*given)
    if low is not None and high is not None and not _window(p.node):
        for by in (-1, 1):
            yield ast.Slice(_moved(low, by), _moved(high, by), step)
    if step is None:
        yield ast.Slice(low, high, number(-1))
        for other in p.scope.names:
            yield ast.Slice(low, high, name(other))
        yield ast.Slice(low, high, number(2))
    if low is None:
        yield ast.Slice(number(1), high, step)
        for other in p.scope.names:
            yield ast.Slice(name(other), high, step)
    if high is None:
        yield ast.Slice(low, number(-1), step)


def _moved(bound: ast.expr, by: int) -> ast.expr:
    """A bound that is one further or nearer."""
    if isinstance(bound, ast.BinOp) and isinstance(bound.op, (ast.Add, ast.Sub)) and integer(bound.right) is not None:
        signed = (integer(bound.right) or 0) * (1 if isinstance(bound.op, ast.Add) else -1) + by
        bound, by = bound.left, signed
    if not by:
        return bound
    return binary(bound, ast.Add if by > 0 else ast.Sub, number(abs(by)))


def offset(p: Place) -> Iterator[ast.expr]:
    """A bound of a slice that is a name more, less or times it."""
    if p.role == "bound" and isinstance(p.owner, ast.Slice) and not isinstance(p.node, ast.Slice):
        for other in p.scope.names:
            yield binary(p.node, ast.Add, name(other))
            yield binary(p.node, ast.Sub, name(other))
            yield binary(p.node, ast.Mult, name(other))


def windows(p: Place) -> Iterator[ast.expr]:
    """A window a : a + k (or several in one pair of brackets) that begins elsewhere: both its bounds are other ones."""
    if not isinstance(p.node, ast.Subscript):
        return
    listed = list(p.node.slice.elts) if isinstance(p.node.slice, ast.Tuple) else [p.node.slice]
    opened = [
        i for i, at in enumerate(listed) if isinstance(at, ast.Slice) and at.lower is None and at.upper is not None
    ]
    for chosen in [*[[i] for i in opened], *([opened] if len(opened) > 1 else [])]:
        for other in p.scope.names:  # the image inside of its padding
            new: list[Any] = list(listed)
            for i in chosen:
                new[i] = ast.Slice(name(other), binary(name(other), ast.Add, new[i].upper), new[i].step)
            inner = ast.Tuple(new, ast.Load()) if isinstance(p.node.slice, ast.Tuple) else new[0]
            yield ast.Subscript(p.node.value, inner, p.node.ctx)
    yield from _counted(p.node, listed, p.scope.loops)
    found = [i for i, at in enumerate(listed) if _window(at)]
    groups = [*[[i] for i in found], *([found] if len(found) > 1 else [])]
    for chosen in groups:
        first: Any = listed[chosen[0]]
        for change in _elsewhere(first.lower, p.scope, len(chosen) > 1):
            new = list(listed)
            for i in chosen:
                at: Any = listed[i]
                low = change(at.lower)
                if low is None:
                    break
                new[i] = ast.Slice(low, binary(low, type(at.upper.op), at.upper.right), at.step)
            else:
                inner = ast.Tuple(new, ast.Load()) if isinstance(p.node.slice, ast.Tuple) else new[0]
                yield ast.Subscript(p.node.value, inner, p.node.ctx)


def _counted(node: ast.Subscript, listed: list[Any], loops: list[str]) -> Iterator[ast.expr]:
    """Slices of numbers: a:b in a loop as i:i + b - a, and a:-b one further or nearer."""

    def remade(new: list[Any]) -> ast.expr:
        return ast.Subscript(
            node.value, ast.Tuple(new, ast.Load()) if isinstance(node.slice, ast.Tuple) else new[0], node.ctx
        )

    bounds: dict[int, tuple[int, int]] = {}
    for i, at in enumerate(listed):
        if isinstance(at, ast.Slice) and at.step is None and (at.upper or at.lower) is not None:
            low, high = (0 if end is None else integer(end) for end in (at.lower, at.upper))
            if low is not None and high is not None:
                bounds[i] = low, high
    for i, (low, high) in bounds.items():
        for variable in loops if high > low >= 0 else []:
            ends = binary(name(variable), ast.Add, number(high - low))
            yield remade([*listed[:i], ast.Slice(name(variable), ends), *listed[i + 1 :]])
    cut = [i for i, (low, high) in bounds.items() if low >= 0 >= high]
    for chosen in [*[[i] for i in cut], *([cut] if len(cut) > 1 else [])]:
        for by in (1, -1):
            moved = {i: (bounds[i][0] + by, bounds[i][1] + by) for i in chosen}
            if all(low >= 0 >= high for low, high in moved.values()):
                new = list(listed)
                for i, (low, high) in moved.items():
                    new[i] = ast.Slice(number(low) if low else None, number(high) if high else None)
                yield remade(new)


def _window(at: ast.expr) -> bool:
    if not isinstance(at, ast.Slice) or at.lower is None or not isinstance(at.upper, ast.BinOp):
        return False
    return isinstance(at.upper.op, (ast.Add, ast.Sub)) and ast.dump(at.lower) == ast.dump(at.upper.left)


def _elsewhere(low: ast.expr, scope: Scope, several: bool) -> Iterator[Callable[[Any], ast.expr | None]]:
    yield lambda at: at.left if isinstance(at, ast.BinOp) else None
    for other in scope.names:
        yield lambda at, n=other: binary(at, ast.Mult, name(n))  # type: ignore[misc]
    for sign_, value in ((ast.Add, 1), (ast.Sub, 1)):
        yield lambda at, s=sign_, v=value: binary(at, s, number(v))  # type: ignore[misc]
    for other in scope.names:
        yield lambda at, n=other: binary(at, ast.Sub, name(n))  # type: ignore[misc]
        yield lambda at, n=other: binary(at, ast.Add, name(n))  # type: ignore[misc]
    for inside in sorted({n.id for n in ast.walk(low) if isinstance(n, ast.Name)}):
        for other in scope.names:
            if other != inside:
                yield lambda at, a=inside, b=other: renamed(at, a, b)  # type: ignore[misc]


RANGES = ("range", "xrange", "arange")


def backwards(p: Place) -> Iterator[ast.expr]:
    """A loop that runs the other way."""
    if p.role != "bound" or not isinstance(p.owner, (ast.For, ast.comprehension)):
        return
    if called(p.node) == "reversed" and isinstance(p.node, ast.Call) and p.node.args:
        yield p.node.args[0]
    elif isinstance(p.node, ast.Subscript) and isinstance(p.node.slice, ast.Slice):
        yield p.node.value
    else:
        inner = p.node if called(p.node) == "range" else call("list", p.node)
        yield call("reversed", inner)


def ranged(p: Place) -> Iterator[ast.expr]:
    """A loop that begins, ends or steps elsewhere."""
    if not (isinstance(p.node, ast.Call) and isinstance(p.node.func, ast.Name)) or called(p.node) not in RANGES:
        return
    args = p.node.args
    remake = lambda *new: ast.Call(p.node.func, list(new), [])
    if not 1 <= len(args) <= 3:
        return
    start, stop, step = (args[0] if len(args) > 1 else number(0)), args[min(1, len(args) - 1)], args[2:]
    for end in (binary(stop, ast.Add, number(1)), binary(stop, ast.Sub, number(1))):
        yield remake(start, end, *step) if len(args) > 1 else remake(end)
    if isinstance(stop, ast.BinOp) and integer(stop.right) is not None:
        yield remake(start, stop.left, *step) if len(args) > 1 else remake(stop.left)
    if len(args) > 1:
        yield remake(stop)
        yield remake(number(0), stop, *step)
    else:
        yield remake(number(1), stop)
    if step:
        yield remake(start, stop)
    else:
        for other in p.scope.names:
            yield remake(start, stop, name(other))


def padded(p: Place) -> Iterator[ast.expr]:
    """A pad that was not cut off again: [..., p:-p, p:-p] or the same without a last axis."""
    if p.role == "value" and p.whole and isinstance(p.node, (ast.Name, ast.Call)):
        for one in p.scope.names:
            for text in ("[:, :, {0}:-{0}, {0}:-{0}]", "[:, {0}:-{0}, {0}:-{0}, :]", "[{0}:-{0}, {0}:-{0}]"):
                made: Any = ast.parse("x" + text.format(one), mode="eval").body
                yield ast.Subscript(p.node, made.slice, ast.Load())
