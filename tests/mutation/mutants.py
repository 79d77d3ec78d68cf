"""Faults as text edits: drawn from the syntax tree of a file, or written by hand.

A fault changes one thing that a tired author may get wrong: a sign, a comparison's edge, a constant by one, a dropped
negation, a forgotten ``keepdims``, an axis off by one.  Annotations, docstrings and texts of errors are left alone.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Functions and limits that only choose between two plans that give the same numbers: another choice is slower, not
# wrong, and that is what benchmarks/ are for.  Faults are not planted in them.
CHOICES: dict[str, tuple[str, ...]] = {
    "autoconv/program/rewrite.py": ("_LARGEST_CONSTANT",),  # computed when planning, or in every run
    "autoconv/plan/rewrite/factor_sums.py": (
        "_DEEPEST",
        "_ROOM",
        "_ABOVE",
    ),  # a product more is looked into; run as it was
    "autoconv/plan/lower/batch_invariant.py": (  # computed again, or by NumPy
        "_worth_deriving",
        "_vectors",
        "_CALL",
        "_START",
        "_BLOCK",
        "_PART",
    ),
    "autoconv/plan/lower/contraction.py": ("vectors", "_WIDE"),  # which side is read in vectors; by Outer, or Dot
    "autoconv/plan/lower/known_zeros.py": (  # products with zeros are made, or left out
        "_LEAST",
        "_MOST_CLASSES",
        "_BEGINNING",
        "_IN_FLIGHT",
        "_CACHE",
        "_FAR",
        "_LOOKING",
        "_LANES",
        "_vectors",
        "_beginning",
        "_pays",
        "_gain",
    ),
    "autoconv/plan/lower/lower.py": (  # too large for a plan, so NumPy's
        "_too_large",
        "_larger",
        "kernels_of",
        "_MOST_REGISTERS",
        "_LARGEST_EXAMPLE",
        "_MOST_TERMS",
        "_ROW",
    ),
    "autoconv/plan/lower/lowering.py": (  # number by number, or spread; a kernel more; what a kernel loads
        "_FULL",
        "has",
        "loads",
    ),
    "autoconv/plan/lower/movement.py": ("in_memory",),  # the order in which cells are gone through
    "autoconv/plan/lower/rematerialise.py": (
        "_cost",
        "_cost_of_operand",
        "_moved",
        "_size",
        "_DEEPEST",
    ),  # computed again, or loaded
}

# Faults that are none: (file, the line, what is changed to what) -> why every number stays the same.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("autoconv/primitives.py", '_SLOPE = {"split": 0, "first": 1}', "1 -> 2"): "a slope beyond 1 is cut off at 1",
    ("autoconv/primitives.py", "lambda g, y, a, b: multiply_no_nan(g, where(_nothing(a, b), 0, a / where(", "1 -> 2"): (
        "what 1 is there for is not selected"
    ),
    ("autoconv/primitives.py", "return where(still, 0, x / size / where(still, 1, square)) / size", "1 -> 2"): (
        "what 1 is there for is not selected"
    ),
    ("autoconv/primitives.py", 'abs_ = _arithmetic("abs", lambda a, slope_at_zero=0: _np.abs(a),', "0 -> 1"): (
        "the value does not ask for the slope"
    ),
    ("autoconv/primitives.py", "(lambda g, y, a, axis, keepdims=False: broadcast_to(reshape(", "False -> True"): (
        "the cotangent is reshaped either way"
    ),
    ("autoconv/primitives.py", "size = where(where(less(size, _np.inf), greater(size, 0), False)", "1 -> 2"): (
        "the size of what has no direction, which is 0 with any"
    ),
    ("autoconv/functional/normalisation.py", "return 1", "1 -> 2"): "a scale that cancels",
    (
        "autoconv/functional/elementwise.py",
        "size = p.where(p.less(size, np.inf), p.maximum(size, smallest), 1)",
        "1 -> 2",
    ): "an infinity",
    (
        "autoconv/functional/attention.py",
        "return e / p.where(p.equal(total, 0), 1, total)",
        "1 -> 2",
    ): "0 by any number",
    (
        "autoconv/functional/elementwise.py",
        "result: Tensor = p.where(none, 0, p.sqrt(p.where(none, 1, square))) * size",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/reduce.py",
        "itself = x if x.dtype == object else p.where(p.less(p.abs_(x), np.inf), x, 0)",
        "0 -> 1",
    ): "an infinity less any number",
    (
        "autoconv/functional/reduce.py",
        "result: Tensor = top + p.sum_(own, axis=axes, keepdims=True) / p.where(p.equal(count, 0), 1, count)",
        "1 -> 2",
    ): "beside a NaN",
    (
        "autoconv/functional/reduce.py",
        "m = p.stop_gradient(p.where(finite, top, 0))",
        "0 -> 1",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/reduce.py",
        "total = p.log(sum(p.exp(p.where(finite, x, 0) - m), axes, keepdims=True)) + m",
        "0 -> 1",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/reduce.py",
        "return p.where(p.less(p.abs_(m), np.inf), m, 0)",
        "0 -> 1",
    ): "an infinity less any number",
    ("autoconv/functional/matrices.py", "b = expand_dims(b, -1) if vector else b", "-1 -> 1"): "a vector has one axis",
    (
        "autoconv/functional/matrices.py",
        "none = p.index(x, key=(..., slice(0, 0)))",
        "0 -> 1",
    ): "a right side that nobody reads",
    (
        "autoconv/functional/matrices.py",
        "return broadcast_to(p.cast(np.eye(x.shape[-1]), dtype=x.dtype), x.shape) + 0 * x",
        "+ -> -",
    ): "of 0",
    (
        "autoconv/functional/tensor_methods.py",
        "return array.transpose(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)",
        "and -> or",
    ): "one axis has one order",
    (
        "autoconv/functional/norms.py",
        "y = (_max if ord > 0 else _min)(sums, other, keepdims=True)",
        "> -> >=",
    ): "there is no norm 0 of a matrix",
    (
        "autoconv/functional/norms.py",
        "y = (_max if ord > 0 else _min)(sums, other, keepdims=True)",
        "True -> False",
    ): "reshaped below",
    (
        "autoconv/functional/attention.py",
        "factor = float(scale) if scale is not None else 1 / sqrt(size) if size else 1.0",
        "1.0 -> 2.0",
    ): "of no numbers",
    ("autoconv/functional/matrices.py", "n = x.shape[-1]", "1 -> 2"): "the matrix is square",
    (
        "autoconv/functional/matrices.py",
        "n, every = x.shape[-1], (slice(None),) * (x.ndim - 2)",
        "1 -> 2",
    ): "the matrix is square",
    (
        "autoconv/functional/matrices.py",
        "return broadcast_to(p.cast(np.eye(x.shape[-1]), dtype=x.dtype), x.shape) + 0 * x",
        "1 -> 2",
    ): "the matrix is square",
    ("autoconv/functional/resize.py", "if taps == 1 and m % n == 0 and scale in (None, n / m):", "/ -> *"): (
        "cells repeated, or taken"
    ),
    (
        "autoconv/functional/normalisation.py",
        "digits = np.finfo(deviation.dtype).maxexp // 4",
        "4 -> 5",
    ): "a scale that cancels",
    (
        "autoconv/functional/normalisation.py",
        "digits = np.finfo(deviation.dtype).maxexp // 4",
        "// -> /",
    ): "a scale that cancels",
    (
        "autoconv/functional/matrices.py",
        "y = prod(p.concat(*pivots, axis=x.ndim - 1), (-2, -1))",
        "x.ndim - 1 -> (x.ndim - 1) - 1",
    ): "a column multiplied up, or a row",
    (
        "autoconv/functional/matrix.py",
        "entries = p.concat(flat, arrays.zeros((1,), kernel.dtype), axis=0)",
        "0 -> (0) - 1",
    ): "there is one axis",
    (
        "autoconv/functional/matrix.py",
        "entries = p.concat(flat, arrays.zeros((1,), kernel.dtype), axis=0)",
        "1 -> 2",
    ): "a zero more, which nobody reads",
    (
        "autoconv/functional/spelling.py",
        "if kwargs and not here >= kwargs.keys():",
        "and -> or",
    ): "own keywords stay as they are",
    (
        "autoconv/functional/spelling.py",
        "if kwargs and not here >= kwargs.keys():",
        ">= -> >",
    ): "own keywords stay as they are",
    (
        "autoconv/functional/composed.py",
        "if kwargs and not here >= kwargs.keys():",
        "and -> or",
    ): "own keywords stay as they are",
    (
        "autoconv/functional/composed.py",
        "if kwargs and not here >= kwargs.keys():",
        ">= -> >",
    ): "own keywords stay as they are",
    (
        "autoconv/functional/elementwise.py",
        "large = p.greater(size, 1e8 if",
        "1e8 -> 100000001.0",
    ): "either formula is right there",
    (
        "autoconv/functional/elementwise.py",
        "large = p.greater(size, 1e8 if",
        "1e4 -> 10001.0",
    ): "either formula is right there",
    (
        "autoconv/functional/elementwise.py",
        "large = p.greater(x, 1e8 if",
        "1e8 -> 100000001.0",
    ): "either formula is right there",
    (
        "autoconv/functional/elementwise.py",
        "large = p.greater(x, 1e8 if",
        "1e4 -> 10001.0",
    ): "either formula is right there",
    (
        "autoconv/functional/elementwise.py",
        "near = p.where(large, 1, x)",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/elementwise.py",
        "size = p.where(large, 0, size)",
        "0 -> 1",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/elementwise.py",
        "far = p.log(p.where(large, p.abs_(x), 1)) + log(2)",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/elementwise.py",
        "t = p.where(large, 2, x) - 1",
        "2 -> 3",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/elementwise.py",
        "return p.where(large, p.log(p.where(large, x, 1)) + log(2)",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/elementwise.py",
        "half = p.where(far, 0, x) / 2",
        "0 -> 1",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/pool.py",
        "return primitives.where(none, 0, primitives.where(none, 1, total) ** (1 / power))",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/reduce.py",
        "return p.where(flat, 0, p.sqrt(p.where(flat, 1, v)))",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/reduce.py",
        "safe = primitives.where(none, 1, total)",
        "1 -> 2",
    ): "what it stands for is not selected",
    (
        "autoconv/functional/loss.py",
        "return p.maximum(-100.0, p.where(none, -np.inf, p.log(p.where(none, 1, y)))",
        "1 -> 2",
    ): "what it stands for is not selected",
    ("autoconv/functional/activation.py", "u = clip(x, -30.0, 30.0)", "30.0 -> 31.0"): "the share is 0 or 1 there",
    (
        "autoconv/functional/activation.py",
        "return _gated(x / 2, p.erfc(clip(x, -40.0, 40.0) / -sqrt(2)))",
        "40.0 -> 41.0",
    ): "the share is 0 or 1 there",
    (
        "autoconv/functional/conv.py",
        "pairs = slide(canvas, 1, 1, padding, 1, operation=operation).padding",
        "1 -> 2",
    ): "only its padding is read",
    (
        "autoconv/functional/conv.py",
        "move = slide(canvas, w.window, strides, 0, dilations, operation=operation)",
        "0 -> 1",
    ): "its padding is not read",
    ("autoconv/plan/lower/rematerialise.py", "if lane is None or lane.axis != axis or _cost(", "0 -> 1"): "a cost",
    ("autoconv/plan/lower/rematerialise.py", "if lane is None or lane.axis != axis or _cost(", "> -> >="): "a cost",
    ("autoconv/plan/lower/lowering.py", "found = for_one_example(line, shape, axis, self.examples) if", "== -> !="): (
        "a line whose batch axis is not known is NumPy's"
    ),
    ("autoconv/plan/lower/known_zeros.py", "needed, count = ~zero[first], np.bincount(", "* -> /"): "a cost",
    (
        "autoconv/plan/lower/labels.py",
        "return True  # nothing is made of it here",
        "True -> False",
    ): "left to NumPy, whom nobody asks for it",
    ("autoconv/plan/lower/known_zeros.py", "if not _pays(low, left,", "* -> /"): "a cost",
    ("autoconv/plan/lower/known_zeros.py", "largest = max(made,", "0 -> 1"): "any of them will do",
    ("autoconv/plan/lower/known_zeros.py", "if zero.shape[1] < 63:", "< -> <="): "rows as numbers, or as bytes",
    ("autoconv/plan/lower/known_zeros.py", "if zero.shape[1] < 63:", "63 -> 64"): "rows as numbers, or as bytes",
    ("autoconv/plan/lower/known_zeros.py", "rows = zero @ (1 << np.arange(", "1 -> 2"): "twice the numbers",
    ("autoconv/plan/lower/known_zeros.py", "few = len(groups) - _MOST_CLASSES + 1", "1 -> 2"): "a group less",
    ("autoconv/plan/lower/known_zeros.py", "while len(groups) > 1:", "> -> >="): "one has none to be joined with",
    ("autoconv/plan/lower/contraction.py", "for there in self.parts(low, j, k, table.shape[1]):", "1 -> 2"): "a cost",
    ("autoconv/plan/lower/overlap.py", "if axis is None or axes[0] <= axis < axes[0] + 2 * len(axes):", "2 -> 3"): (
        "more lines are NumPy's"
    ),
    ("autoconv/plan/lower/batch_invariant.py", "at.instructions.insert(0 if count == 1 else", "0 -> 1"): "an order",
    ("autoconv/plan/lower/batch_invariant.py", "at.instructions.insert(0 if count == 1 else", "1 -> 2"): "an order",
    ("autoconv/plan/lower/batch_invariant.py", "at.instructions.insert(0 if count == 1 else", "== -> !="): "an order",
    ("autoconv/plan/lower/channelwise.py", "return prod([sizes[c] for c in g]) > 1 and", "> -> >="): (
        "one channel: the same product by another instruction"
    ),
    ("autoconv/optim/lr_scheduler.py", "if step <= end:", "<= -> <"): "one phase ends where the next begins",
    ("autoconv/optim/schedule.py", "self._number = 0  # of the group", "0 -> 1"): "set before it is read",
    ("autoconv/optim/optimizer.py", "value = p.value.astype(dtype, copy=False)", "False -> True"): "a copy more",
    ("autoconv/optim/optimizer.py", "p.assign(self.updated(value, array.astype(dtype, copy=False)", "False -> True"): (
        "a copy more"
    ),
    ("autoconv/plan/lower/labels.py", "found = np.full((int(turn.max(initial=0)) + 1, size), -1)", "0 -> 1"): (
        "zeros more, which are left out of sums"
    ),
    ("autoconv/plan/lower/lowering.py", "self.most = 0", "0 -> 1"): "a kernel has more",
    (
        "autoconv/plan/lower/lowering.py",
        "if row is None or whole.strides[row]:",
        "or -> and",
    ): "is seen by its size too",
    ("autoconv/plan/lower/lowering.py", "if once.size * self.channel_lanes", "or -> and"): "spread more often",
    ("autoconv/plan/lower/lowering.py", "if (line.shape == shape and line.primitive.group", "and -> or"): (
        "any axis of that length may be the one of the examples"
    ),
    ("autoconv/plan/lower/batch_invariant.py", "if i in low.lanes or not line.shape:", "or -> and"): (
        "what is repeated has the same numbers by either way"
    ),
    ("autoconv/plan/lower/batch_invariant.py", "if x in low.lanes or x in low.pending or", "or -> and"): (
        "such a line has registers itself"
    ),
    (
        "autoconv/plan/lower/overlap.py",
        "most = int(rank.max(initial=0)) + 1",
        "0 -> 1",
    ): "zeros more, which are left out",
    (
        "autoconv/plan/lower/overlap.py",
        "most = int(rank.max(initial=0)) + 1",
        "1 -> 2",
    ): "zeros more, which are left out",
    ("autoconv/plan/lower/lowering.py", "inside = channels or next(", "0 -> 1"): "one number: a row of one, or none",
    ("autoconv/plan/lower/lowering.py", "step = inside | 1 if inside > 1 else 1", "> -> >="): "1 | 1 is 1",
    ("autoconv/plan/rewrite/factor_sums.py", "waits = 0", "0 -> 1"): "all lines wait one longer",
    ("autoconv/plan/rewrite/factor_sums.py", "if self.waits[x] > waits:", "> -> >="): "the same number again",
    ("autoconv/plan/rewrite/factor_sums.py", 'small = self._row("where", self._row("equal", zero', "1.0 -> 2.0"): (
        "any number within the bounds"
    ),
    ("autoconv/program/rewrite.py", "if value.size < 2 or value.dtype == object or", "< -> <="): "two, or one twice",
    ("autoconv/program/rewrite.py", "if value.size < 2 or value.dtype == object or", "2 -> 3"): "two, or one twice",
    ("autoconv/program/rewrite.py", 'return ("constant", line.shape, line.dtype.str, line.value.flat[:1]', "1 -> 2"): (
        "the same number twice"
    ),
    (
        "autoconv/plan/lower/lowering.py",
        "self.ready[i] = lane.kernel + 1",
        "1 -> 2",
    ): "later numbers, in one order",
    ("autoconv/plan/lower/lowering.py", "most = max(1, int(sum(", "1 -> 2"): "one more 0 is added up",
    ("autoconv/plan/lower/rematerialise.py", 'if registers is None or line.primitive.name == "cast":', "or -> and"): (
        "the numbers of registers are cast, and stay the same"
    ),
    ("autoconv/plan/lower/overlap.py", "if axis is None or axes[0] <= axis < axes[0] + 2 * len(axes):", "0 -> 1"): (
        "more lines are NumPy's"
    ),
}

OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}


@dataclass(frozen=True)
class Mutant:
    """In ``file`` (relative to the tree) the text from ``start`` to ``end`` becomes ``new``."""

    file: str
    start: int
    end: int
    old: str
    new: str
    line: int
    what: str

    def plant(self, tree: Path) -> str:
        """Write the fault into ``tree``; the text of the file as it was."""
        path = tree / self.file
        source = path.read_text()
        if source[self.start : self.end] != self.old:
            raise ValueError(f"{self}: the file has {source[self.start : self.end]!r} there")
        path.write_text(source[: self.start] + self.new + source[self.end :])
        return source

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.old} -> {self.new}"


def by_hand(tree: Path, file: str, old: str, new: str) -> Mutant:
    """A fault of the hand list.  ``file`` may be a pattern: the text tells where; ValueError if not once."""
    places = [(p, p.read_text()) for p in sorted(tree.glob(file))]
    places = [(p, source) for p, source in places if old in source]
    if len(places) != 1 or places[0][1].count(old) != 1:
        raise ValueError(f"{old!r} stands {sum(s.count(old) for _, s in places)} times in {file}, not once")
    path, source = places[0]
    start = source.index(old)
    line = source[:start].count("\n") + 1
    return Mutant(str(path.relative_to(tree)), start, start + len(old), old, new, line, "by hand")


def drawn(tree: Path, patterns: list[str], count: int, seed: int) -> list[Mutant]:
    """``count`` faults of the files that match, the same for the same seed and text.  ValueError if no file matches."""
    files = sorted({p for pattern in patterns for p in tree.glob(pattern)})
    if not files:
        raise ValueError(f"no file matches {patterns}")
    possible: list[Mutant] = []
    for p in files:
        lines = p.read_text().splitlines()
        possible += [m for m in of_file(p, str(p.relative_to(tree))) if not equivalent(lines[m.line - 1], m)]
    for name, line, _ in EQUIVALENT:
        if line not in (tree / name).read_text():
            raise ValueError(f"{name} has no line {line!r} (see EQUIVALENT)")
    for name, functions in CHOICES.items():
        missing = set(functions) - {named(n) for n in ast.walk(ast.parse((tree / name).read_text()))}
        if missing:
            raise ValueError(f"{name} has no {', '.join(sorted(missing))} (see CHOICES)")
    return random.Random(seed).sample(possible, min(count, len(possible)))


def equivalent(line: str, mutant: Mutant) -> bool:
    """Whether a fault, in this line of its file, is one of those that change no number."""
    change = f"{mutant.old} -> {mutant.new}"
    return any(
        mutant.file == name and line.strip().startswith(text) and change == what for name, text, what in EQUIVALENT
    )


def of_file(path: Path, name: str) -> Iterator[Mutant]:
    """Every fault that can be planted in a file."""
    source = path.read_text()
    starts = [0]
    for text in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    lines = source.splitlines(keepends=True)

    def at(line: int, column: int) -> int:
        """A place in the text; the tree counts bytes."""
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def span(node: ast.expr | ast.keyword) -> tuple[int, int]:
        return at(node.lineno, node.col_offset), at(node.end_lineno or 0, node.end_col_offset or 0)

    def mutant(start: int, end: int, new: str, what: str) -> Mutant:
        return Mutant(name, start, end, source[start:end], new, source[:start].count("\n") + 1, what)

    for node in arithmetic(ast.parse(source), CHOICES.get(name, ())):
        for operator, left, right in operators(node):
            old, new = OPERATORS[type(operator)]
            low, high = span(left)[1], span(right)[0]
            if source[low:high].count(old) == 1:
                start = low + source[low:high].index(old)
                yield mutant(start, start + len(old), new, "operator")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            start, end = span(node)
            operand = source[slice(*span(node.operand))]
            yield mutant(start, end, operand, "negation dropped")
        if isinstance(node, ast.keyword) and node.arg in ("axis", "keepdims", "ties", "at_zero", "slope_at_zero"):
            yield from of_keyword(node, span, source, mutant)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            start, end = span(node)
            changed = str(not node.value) if isinstance(node.value, bool) else repr(node.value + 1)
            yield mutant(start, end, changed, "constant")


def of_keyword(node: ast.keyword, span, source: str, mutant) -> Iterator[Mutant]:  # type: ignore[no-untyped-def]
    """``axis=i`` becomes ``axis=i - 1``; ``keepdims=True`` is forgotten."""
    start, end = span(node.value)
    if node.arg == "axis":
        yield mutant(start, end, f"({source[start:end]}) - 1", "axis off by one")
    elif node.arg == "keepdims":
        yield (
            mutant(start, end, "False", "keepdims dropped")
            if source[start:end] != "False"
            else mutant(start, end, "True", "keepdims")
        )


def operators(node: ast.AST) -> list[tuple[ast.AST, ast.expr, ast.expr]]:
    """(operator, what stands on its left, on its right), of the kinds that have a counterpart."""
    found: list[tuple[ast.AST, ast.expr, ast.expr]] = []
    if isinstance(node, ast.BinOp):
        found = [(node.op, node.left, node.right)]
    elif isinstance(node, ast.Compare):
        found = list(zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False))
    elif isinstance(node, ast.BoolOp):
        found = [(node.op, a, b) for a, b in zip(node.values, node.values[1:], strict=False)]
    return [f for f in found if type(f[0]) in OPERATORS]


def arithmetic(tree: ast.AST, choices: tuple[str, ...] = ()) -> Iterator[ast.AST]:
    """Nodes that compute: not annotations, texts, defaults of errors, nor the tests that raise them.

    Left out too is what can be changed without a fault: a row's samples and cost, how strict a zip is, a limit of the
    costs, how a dataclass compares, -2 for -1 in a reshape, and the functions and limits ``choices`` (see CHOICES).
    """
    for child in ast.iter_child_nodes(tree):
        if named(child) in choices:
            continue
        if isinstance(tree, ast.ClassDef) and child in tree.decorator_list:
            continue
        if any_size(tree, child):
            yield child
            continue
        if isinstance(child, ast.Raise | ast.JoinedStr | ast.ImportFrom | ast.Import | ast.Assert):
            continue
        if isinstance(child, ast.If) and any(isinstance(s, ast.Raise) for s in child.body):
            continue
        if sample(child) or (isinstance(child, ast.keyword) and child.arg in ("strict", "low", "cost")) or limit(child):
            continue
        if isinstance(child, ast.arg | ast.AnnAssign) or (
            isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        ):
            continue
        if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) and child is tree.returns:
            continue
        yield child
        yield from arithmetic(child, choices)


def sample(node: ast.AST) -> bool:
    """Operands that a row is tried on: made by ``_on`` or ``_indexed``, or drawn from ``rng``."""
    if isinstance(node, ast.Lambda):
        return [a.arg for a in node.args.args] == ["rng"]
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_on", "_indexed")


def named(node: ast.AST) -> str | None:
    """The name of a function, or of a limit that is set."""
    if isinstance(node, ast.FunctionDef):
        return node.name
    return node.targets[0].id if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else None


def any_size(call: ast.AST, node: ast.AST) -> bool:
    """The -1 of ``x.reshape(-1)``, or of ``ac.reshape(x, -1)``: any negative number stands for what is left."""
    function = call.func if isinstance(call, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr == "reshape" and isinstance(node, ast.UnaryOp)


def limit(node: ast.AST) -> bool:
    """A comparison with a named number: _MOST_REGISTERS or one more, the result is the same."""
    if not isinstance(node, ast.Compare):
        return False
    names = [x.id.lstrip("_") for x in [node.left, *node.comparators] if isinstance(x, ast.Name)]
    return any(name[:1].isupper() for name in names)
