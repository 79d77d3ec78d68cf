"""Where a value comes from: one number as the sum of products (the maximum, the function) that it is, in symbols and
numbers.

    y[0,0] = x[0,0] w[0,0] + x[0,1] w[0,1] + ... = 1·2 + 3·(-1) + ... = 8.5

What is read on the way is written below, down to the depth that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ...primitives import TABLE
from ...render.broken import aligned
from ...render.latex import FACTOR, OPEN, PRODUCT, SUM, Expression, symbol, value, written
from ...render.mathml import mathml
from ...render.notebook import bundle
from ...scalar import KINDS, FlatTape
from ...scalar.blocks import CONSTANT
from ...scalar.blocks import SUM as ADDED
from ...tape import Tape, Tensor, describe
from ..lines import call, variables
from .analysis import analysed
from .closed import closed_value, times
from .equation import PAGE_FOLDED, STATEMENTS, STYLE, WHOLE, added, largest, result, result_latex, weight
from .explanation import saved
from .symbols import Symbols

PARTS = 400  # scalars of one formula beyond which it is named by its function
LONG = 600  # characters of a formula beyond which it is named by its function
# written out, step by step
OPEN_CALLS = ("conv", "linear", "matmul", "einsum", "avg_pool", "max_pool", "mse", "half_squared_error", "l1", "mean")
ADD, SUB, NEG, MUL = (TABLE[name] for name in ("add", "sub", "neg", "mul"))


class Part(NamedTuple):
    """One term of a value: ``symbols``, ``numbers``, what it adds (``product``), and the scalars that it reads."""

    symbols: Expression
    numbers: Expression
    product: Any
    reads: tuple[int, ...]


class ValueStatement(NamedTuple):
    """``left`` = the sum of ``terms`` (``left_out`` more) = ``total``; ``where``: what else the formula speaks of."""

    scalar: int
    left: Expression
    terms: list[Part]
    left_out: int
    total: Any
    zeros: int
    where: list[Expression]

    def formulas(self) -> list[Expression]:
        symbols = added([t.symbols for t in self.terms], self.left_out)
        numbers = added([t.numbers for t in self.terms], self.left_out)
        if symbols.text == numbers.text:
            return []
        alone = numbers.text == value(self.total).text  # it would only repeat the result with fewer digits
        return [x for x in (symbols, None if alone else numbers) if x is not None and x.text != result(self.total)]


class ValueExplanation:
    """The equation of one value.

    ``terms`` and ``value`` are numbers; ``text``, ``latex``, ``mathml``, ``markdown`` and ``html`` the equation, as of
    ``ac.explain`` of a gradient; ``name``: what is explained, as "y[0,0]".
    """

    def __init__(self, symbols: Symbols, scalar: int, depth: int | None) -> None:
        self.symbols, self.scalar, self.depth = symbols, scalar, depth

    @property
    def name(self) -> str:
        return self.symbols.element(self.scalar).text

    @cached_property
    def value(self) -> Any:
        return self.symbols.analysis.graph.number(self.scalar)

    @cached_property
    def terms(self) -> tuple[Part, ...]:
        """All terms of the value, in the order of the calculation."""
        return tuple(_Writer(self.symbols).terms(self.scalar)[0])

    @cached_property
    def statements(self) -> list[ValueStatement]:
        """The value first, then an example of each tensor that was computed on the way, level by level."""
        found: list[ValueStatement] = []
        level, met, depth = [self.scalar], {self.scalar}, 1
        while level and (self.depth is None or depth <= self.depth):
            following: list[int] = []
            examples: set[int] = set()
            for i in level:
                if len(found) == STATEMENTS:
                    return found
                made = _statement(self.symbols, i)
                found.append(made)
                for read in [i for term in largest(made.terms) for i in term.reads]:
                    tensor = id(self.symbols.place(read)[0])
                    computed = self.symbols.block(read).operation.arity or self.symbols.block(read).operation is ADDED
                    if computed and read not in met and (depth == 1 or tensor not in examples):
                        met.add(read)
                        examples.add(tensor)
                        following.append(read)
            level, depth = following, depth + 1
        return found

    @cached_property
    def text(self) -> str:
        lines: list[str] = []
        for k, s in enumerate(self.statements):
            count = f"   ({len(s.terms) + s.left_out + s.zeros:,} terms)" if s.left_out else ""
            parts = [*[x.text for x in s.formulas()], result(s.total)]
            if k:
                lines.append(f"  {s.left.text} = {' = '.join(parts)}{count}")
            else:
                lines += [f"{s.left.text} = {parts[0]}{count}", *[f"{' ' * len(s.left.text)} = {p}" for p in parts[1:]]]
            if s.zeros and not k:
                lines.append(f"  {s.zeros:,} more terms are 0" if s.zeros > 1 else "  1 more term is 0")
            lines += [f"  with {x.text}" for x in s.where if f"  with {x.text}" not in lines]
        return "\n".join(lines)

    @cached_property
    def latex(self) -> str:
        rows: list[str] = []
        for k, s in enumerate(self.statements):
            parts = [*[x.latex for x in s.formulas()], result_latex(s.total)]
            rows += aligned(s.left.latex, parts, apart=k == 0)
            rows += ["&" + x.latex for x in s.where]
        return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"

    @cached_property
    def mathml(self) -> str:
        return mathml(self.latex, display=True)

    @cached_property
    def markdown(self) -> str:
        return f"$$\n{self.latex}\n$$\n"

    @cached_property
    def html(self) -> str:
        return f'{STYLE}<div class="ac-eq"><div class="ac-top" tabindex="0">{self.mathml}</div></div>'

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the equation to a file: ``.html``, ``.md``, ``.tex`` or ``.txt``; ValueError for another ending."""
        return saved(self, f"The value of {self.name}", path, lambda: self.html + _all_terms(self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, html=self.html, latex=self.latex, markdown=self.markdown)

    def __repr__(self) -> str:
        return self.text


def explain_value(thing: Any, names: Mapping[str, Any] | None = None, depth: int | None = None) -> ValueExplanation:
    """Where the value of one element comes from: ``thing`` as ``y[0, 0]``, a 0-d tensor, a pair (tensor, index), or a
    Scalar.

    Raises TypeError for what is no tensor, ValueError for more than one element.
    """
    variables(names, "explain")  # refuses what is no mapping
    if isinstance(thing, KINDS):
        return _of_scalar(thing, names, depth)
    given = thing[0] if isinstance(thing, tuple) and thing else thing
    if not isinstance(given, Tensor | FlatTape):
        raise TypeError(f"explain: expected an element of a Tensor, as y[0, 0], found {type(given).__name__}")
    if isinstance(thing, Tensor) and thing.size != 1:
        element = f"y{[0] * thing.ndim}"
        raise ValueError(f"explain: {describe(thing)} has {thing.size} elements; index one of them, as in {element}")
    y = thing[0][thing[1]] if isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[0], Tensor) else thing
    known = analysed(y, "explain")
    return ValueExplanation(Symbols(known, variables(names, "explain", known.tape)), known.output, depth)


def _of_scalar(y: Any, names: Mapping[str, Any] | None, depth: int | None) -> ValueExplanation:
    """The value of a Scalar, whose tape has a line of one number for each Scalar that it was computed from."""
    tape = Tape(y)
    known = analysed(tape.outputs[0], "explain")
    return ValueExplanation(Symbols(known, variables(names, "explain", tape)), known.output, depth)


def _statement(symbols: Symbols, i: int) -> ValueStatement:
    """The formula of a scalar, with its terms chosen as those of a gradient are."""
    terms, where = _Writer(symbols).terms(i)
    telling = [t for t in terms if t.product != 0] or terms
    shown = terms if len(terms) <= WHOLE and len(terms) - len(telling) < 3 else telling
    chosen = largest(shown) if len(shown) > WHOLE else shown
    zeros = len(terms) - len(shown)
    left = symbols.element(i)
    return ValueStatement(i, left, chosen, len(shown) - len(chosen), symbols.analysis.graph.number(i), zeros, where)


class _TooLongError(Exception):
    """A formula of more than PARTS scalars."""


class _Writer:
    """Writes one scalar in terms of what a reader knows: named tensors, inputs, and results of other calls."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.graph = symbols.analysis.graph
        self.reads: list[int] = []
        self.parts = 0

    def terms(self, i: int) -> tuple[list[Part], list[Expression]]:
        """The terms of a scalar, and what else is to be said of the symbols in them."""
        block = self.symbols.block(i)
        scope = self.symbols.analysis.calls.get(id(block.line))
        if not block.operation.arity and block.operation is not ADDED:  # an input, or a constant
            return [Part(self._number(i), self._number(i), self.graph.number(i), ())], []
        if scope is not None and not scope.name.startswith(OPEN_CALLS):
            known = closed_value(self.symbols, i, scope)
            if known is not None:
                return [Part(known.symbols, known.numbers, self.graph.number(i), known.reads)], known.where
            return [self._named(i, scope)], []
        try:
            parts = [self._part(sign, s, s == i) for sign, s in self._added(i)]
            if len(parts) == 1 and len(parts[0].symbols.text) > LONG:
                raise _TooLongError
            return parts, []
        except _TooLongError:
            return [self._named(i, scope) if scope else self._step(i)], []

    def _number(self, i: int) -> Expression:
        number = self.graph.number(i)
        if self.symbols.is_written(i):
            return written(number)
        return value(number + 0.0 if isinstance(number, float) else number)  # a zero has no sign to a reader

    def _added(self, i: int) -> list[tuple[int, int]]:
        """(sign, scalar) of the terms that a scalar is the sum of; itself if it is no sum."""
        found: list[tuple[int, int]] = []
        waiting = [(1, i)]
        while waiting:
            sign, s = waiting.pop()
            block = self.symbols.block(s)
            row = block.operation.primitive
            if s != i and (self.symbols.stops[s] or not (block.operation.arity or block.operation is ADDED)):
                found.append((sign, s))
            elif block.operation is ADDED or (row is ADD and block.opened is None):
                waiting += [(sign, o) for o in reversed(self.graph.read(s)) if o]
            elif row is SUB and block.opened is None:
                a, b = self.graph.read(s)
                waiting += [(-sign, b)] * bool(b) + [(sign, a)] * bool(a)
            elif row is NEG and block.opened is None:
                waiting.append((-sign, self.graph.read(s)[0]))
            else:
                found.append((sign, s))
            if len(found) + len(waiting) > 100 * PARTS:
                raise _TooLongError
        return found

    def _part(self, sign: int, s: int, top: bool) -> Part:
        self.reads, self.parts = [], 0
        symbols, numbers = self._written(s, top)
        if sign < 0:
            symbols, numbers = (
                Expression(f"-{x.within(PRODUCT).latex}", f"-{x.within(PRODUCT).text}", SUM) for x in (symbols, numbers)
            )
        return Part(symbols, numbers, sign * self.graph.number(s), tuple(dict.fromkeys(self.reads)))

    def _written(self, i: int, top: bool) -> tuple[Expression, Expression]:
        """A scalar in symbols and in numbers; by its formula if it is ``top``, or a step inside a formula."""
        self.parts += 1
        if self.parts > PARTS:
            raise _TooLongError
        block = self.symbols.block(i)
        number = self._number(i)
        inside = top or not self.symbols.stops[i]
        if not inside or not (block.operation.arity or block.operation is ADDED):
            if i and block.operation is not CONSTANT:
                self.reads.append(i)
            return self.symbols.expression(i), number
        if block.opened is not None:
            return self._extreme(i, block)
        if block.operation is ADDED or block.operation.primitive in (ADD, SUB, NEG):
            signed = self._added(i)
            both = [self._written(s, s == i) for _, s in signed] if (1, i) not in signed else []
            if both:
                columns = [[_signed(sign, x[k]) for (sign, _), x in zip(signed, both, strict=True)] for k in (0, 1)]
                return added(columns[0], 0), added(columns[1], 0)
        operands = [self._written(o, False) for o in self.graph.read(i)]
        return _applied(block.operation.primitive, [a for a, _ in operands], [x for _, x in operands])

    def _extreme(self, i: int, block: Any) -> tuple[Expression, Expression]:
        """A maximum, or a tournament of them, as one: max(a, b, c, d)."""
        name = block.opened.primitive.name
        leaves: list[int] = []
        waiting = [i]
        while waiting:
            s = waiting.pop()
            about = self.symbols.block(s)
            if s != i and (about.opened is None or about.opened.primitive.name != name or self.symbols.stops[s]):
                leaves.append(s)
                continue
            place = s - about.first
            opened: Any = about.opened
            waiting += [int(names[place]) for names in reversed(opened.operands)]
            if len(leaves) > PARTS:
                raise _TooLongError
        both = [self._written(s, False) for s in leaves]
        if name not in ("maximum", "minimum"):
            row = block.opened.primitive
            return call(row, [a for a, _ in both]), call(row, [x for _, x in both])
        word = name[:3]
        listed = lambda k: Expression(
            rf"\{word}\left({', '.join(x[k].latex for x in both)}\right)",
            f"{word}({', '.join(x[k].text for x in both)})",
            FACTOR,
        )
        return listed(0), listed(1)

    def _step(self, i: int) -> Part:
        """A scalar by the last step of its formula, where all of it would be too long: %5998[0] 1.0001."""
        block = self.symbols.block(i)
        row: Any = block.operation.primitive
        reads = list(self.graph.read(i))
        if block.opened is not None:
            row, reads = block.opened.primitive, [int(o[i - block.first]) for o in block.opened.operands]
        if row is None or len(reads) > WHOLE:  # a sum of many
            return self._named(i, None)
        given = [self.symbols.expression(o, 0) for o in reads]
        numbers = [self._number(o) for o in reads]
        both = _applied(row, given, numbers)
        return Part(*both, self.graph.number(i), tuple(o for o in reads if o and not self.symbols.is_written(o)))

    def _named(self, i: int, scope: Any) -> Part:
        """A scalar as a function of what its call reads: softplus(z[0,1])."""
        line, tape = self.symbols.block(i).line, self.symbols.analysis.tape
        inside = {id(x) for x in tape if self.symbols.analysis.calls.get(id(x)) is scope} if scope else {id(line)}
        outer = {
            id(x): x
            for y in tape
            if id(y) in inside
            for x in y.operands
            if id(x) not in inside and (not x.constant or (x.primitive is None and id(x) in self.symbols.tensors))
        }
        index = self.symbols.place(i)[1]
        name = symbol(scope.name if scope else line.primitive.name if line.primitive else "f")
        given, reads = [], []
        for x in outer.values():
            same = x.shape == self.symbols.place(i)[0].shape
            known = self.symbols.analysis.element_of(x, index) if same else 0
            given.append(self.symbols.element(known) if known else symbol(self.symbols.label(x)))
            reads += [known] if known else []
        inner = Expression(", ".join(x.latex for x in given), ", ".join(x.text for x in given), OPEN)
        called = lambda x: Expression(rf"{name.latex}\left({x.latex}\right)", f"{name.text}({x.text})", FACTOR)
        symbols, number = called(inner), self._number(i)
        if len(reads) == len(given) == 1:
            number = called(self._number(reads[0]))
        return Part(symbols, number, self.graph.number(i), tuple(reads))


def _applied(row: Any, given: list[Expression], numbers: list[Expression]) -> tuple[Expression, Expression]:
    """A row of the table in symbols and in numbers; a product has a sign between numbers and none between symbols."""
    if row is not MUL:
        return call(row, given), call(row, numbers)
    x, y = (n.within(PRODUCT) for n in numbers)
    return times(*given), Expression(rf"{x.latex} \cdot {y.latex}", f"{x.text}·{y.text}", PRODUCT)


def _signed(sign: int, x: Expression) -> Expression:
    if sign > 0:
        return x
    inner = x.within(PRODUCT)
    return Expression(f"-{inner.latex}", f"-{inner.text}", SUM)


def _all_terms(explanation: ValueExplanation) -> str:
    """For a page: all terms of a sum of which only the largest are written, to be opened; "" for a short one."""
    first = explanation.statements[0]
    if not first.left_out:
        return ""
    terms = sorted(explanation.terms, key=weight, reverse=True)
    told = [term for term in terms if term.product != 0][:PAGE_FOLDED]
    show = lambda x: mathml(x.latex, annotated=False)
    rows = "".join(
        f'<div class="ac-row"><span>{show(t.symbols)}</span><span>{show(t.numbers)}</span><span></span>'
        f"<span>{result(t.product)}</span></div>"
        for t in told
    )
    rest = len(terms) - len(told)
    beyond = f'<div class="ac-more">{rest:,} more, among them {first.zeros:,} that are 0</div>' if rest else ""
    words = f"the {len(told):,} largest of {len(terms):,}" if rest else f"all {len(told):,}"
    summary = f'<summary class="ac-more"><span class="ac-where">{words} terms</span></summary>'
    return f'<div class="ac-eq"><details>{summary}{rows}{beyond}</details></div>'
