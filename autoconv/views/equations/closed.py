"""What a composed call computes, as its textbook formula, for one element: a softmax, a normalisation, a cross-entropy.

    batch norm       y = w (x - mean) / s + b             dL/dx = (h - mean(h) - x^ mean(h x^)) / s,   h = w dL/dy
    softmax          y = e^x / sum e^x                    dL/dx = p (d - sum(d p))
    cross-entropy    L = -log p[label]                    dL/dx = (p - t) / n

The numbers are read off the call's own lines (its exponentials, its deviations, its standard deviation), and a formula
is only given where it has the number that the sweep has; else None, and the call stays one step.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import proxy

import numpy as np

from ...primitives import TABLE
from ...render.element import element_name
from ...render.latex import FACTOR, PRODUCT, SUM, Expression, element, symbol, value
from ...render.text import number as short
from ...tape import Scope, Tensor

if TYPE_CHECKING:
    from .symbols import Symbols

CLOSE = 1e-6  # relative to the sizes of its terms, how near a closed formula must come
WRITTEN, SHORT = 4, 12  # terms that are written of a long sum, and of a short one
NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
SOFTMAX = ("softmax", "log_softmax")
LOSSES = ("cross_entropy", "bce_with_logits")


class Contribution(NamedTuple):
    """One part of a gradient by the way it takes: ``words``, its formula, its number."""

    words: str
    symbols: Expression
    value: Any


class Closed(NamedTuple):
    """A formula in symbols and numbers; the scalars it reads; ``where``: what its letters are; its contributions."""

    symbols: Expression
    numbers: Expression
    reads: tuple[int, ...] = ()
    where: list[Expression] = []  # noqa: RUF012 (never changed)
    parts: tuple[Contribution, ...] = ()


class _Lines:
    """The lines of one call: its input ``x`` (the varying one of most elements), and its result."""

    def __init__(self, symbols: Symbols, scope: Scope) -> None:
        self.symbols: Symbols = proxy(symbols)  # which keep this: nothing refers back to what owns it
        self.scope = scope
        calls = symbols.analysis.calls
        self.lines = [x for x in symbols.analysis.tape if calls.get(id(x)) is scope]
        inside = {id(x) for x in self.lines}
        outer = {id(x): x for y in self.lines for x in y.operands if id(x) not in inside and not x.constant}
        self.x: Tensor | None = max(outer.values(), key=lambda x: x.size, default=None)

    def free(self, *letters: str) -> str:
        """The first of these letters that is no tensor's name."""
        taken = {self.symbols.label(x) for x in self.symbols.tensors.values()}
        return next((letter for letter in letters if letter not in taken), letters[-1])

    def last(self, name: str) -> Tensor | None:
        return next((x for x in reversed(self.lines) if x.primitive is TABLE[name] and not x.constant), None)

    def read(self, x: Tensor, flat: int) -> Expression:
        """An element of a tensor by its flat index, as it is written."""
        return self.symbols.element(self.scalar(x, flat))

    def scalar(self, x: Tensor, flat: int) -> int:
        return self.symbols.analysis.element_of(x, tuple(int(k) for k in np.unravel_index(flat, x.shape)))

    def at(self, x: Tensor, letter: str, flat: int, latex: str = "") -> Expression:
        """A letter with the index of an element of ``x``: p[0,1]."""
        index = tuple(int(k) for k in np.unravel_index(flat, x.shape))
        subscripts = self.symbols.subscripts(x)
        below = element("x", index, x.shape, subscripts).latex.removeprefix("x")
        return Expression((latex or letter) + below, element_name(letter, index, x.shape, subscripts))


class _Norm(_Lines):
    """A normalisation read off its lines: hat and s of each element, weights and bias, and the groups of one mean."""

    @cached_property
    def fits(self) -> bool:
        div, root = self.last("div"), self.last("sqrt")
        if self.x is None or div is None or root is None or div.size != self.x.size:
            return False
        spread = div.operands[1]
        if spread is not root and not (spread.primitive is TABLE["broadcast_to"] and spread.operands[0] is root):
            return False
        self.hat, self.s = div.value.ravel(), np.broadcast_to(root.value, div.shape).ravel()
        self.group = np.broadcast_to(np.arange(root.size).reshape(root.shape), div.shape).ravel()
        sums = np.bincount(self.group, self.x.value.ravel())
        counts = np.bincount(self.group)
        self.mean, self.count = (sums / counts)[self.group], counts[self.group]
        self.weight = self.bias = None
        self.w, self.b = np.ones(div.size), np.zeros(div.size)
        for line in self.lines:
            above = [_unmoved(x) for x in line.operands]
            if line.primitive is TABLE["mul"] and above[0] is div:
                self.weight, self.w = above[1], np.broadcast_to(line.operands[1].value, div.shape).ravel()
            if line.primitive is TABLE["add"] and line.serial > div.serial:
                self.bias, self.b = above[1], np.broadcast_to(line.operands[1].value, div.shape).ravel()
        off = np.abs((self.x.value.ravel() - self.mean) / self.s - self.hat)
        return bool(off.max(initial=0.0) <= CLOSE * max(1.0, float(np.abs(self.hat).max(initial=0.0))))

    @cached_property
    def std(self) -> str:
        return self.free("s", "std", "sd")

    def moments(self, flat: int) -> Expression:
        mean, s, count = short(self.mean[flat]), short(self.s[flat]), self.count[flat]
        words = f"mean = {mean}, {self.std} = √(var + eps) = {s} over {count:,} elements"
        latex = (
            rf"\text{{mean}} = {_value(self.mean[flat]).latex}, {symbol(self.std).latex} = "
            rf"\sqrt{{\text{{var}} + \epsilon}} = {_value(self.s[flat]).latex} \text{{ over {count:,} elements}}"
        )
        return Expression(latex, words)

    def forward(self, flat: int) -> Closed | None:
        if self.x is None or not self.fits:
            return None
        x, mean, s = self.read(self.x, flat), _value(self.mean[flat]), _value(self.s[flat])
        number = _value(self.x.value.ravel()[flat])
        symbols, numbers = Expression(rf"{x.latex} - \text{{mean}}", f"{x.text} - mean", SUM), _minus(number, mean)
        if self.weight is not None:
            symbols = times(self._parameter(self.weight, self.w, flat), symbols)
            numbers = _product(_value(self.w[flat]), numbers)
        symbols, numbers = _over(symbols, symbol(self.std)), _over(numbers, s)
        if self.bias is not None:
            symbols = _plus(symbols, self._parameter(self.bias, self.b, flat))
            numbers = _plus(numbers, _value(self.b[flat]))
        return Closed(symbols, numbers, (self.scalar(self.x, flat),), [self.moments(flat)])

    def _parameter(self, parameter: Tensor, values: Any, flat: int) -> Expression:
        """An element of the weights or the bias, where its number tells which it is; else the whole by name."""
        at = np.flatnonzero(parameter.value.ravel() == values[flat])
        return self.read(parameter, int(at[0])) if len(at) == 1 else symbol(self.symbols.label(parameter))

    def _hats(self) -> tuple[Expression, list[Expression]]:
        """The symbol of the standardised input, and what it is."""
        of_x = self.symbols.label(self.x) if self.x is not None else "x"
        x = symbol(of_x).latex.strip()
        latex = rf"\hat{{{x}}}"
        over = symbol(self.std).latex
        what = Expression(rf"{latex} = ({x} - \text{{mean}}) / {over}", f"hat({of_x}) = ({of_x} - mean) / {self.std}")
        return Expression(latex, f"hat({of_x})"), [what]

    def _of_weight(self, start: int, total: float, cotangent: Any, d: Expression, y: Tensor) -> Closed | None:
        """dL/dw = sum over the elements that it scales of d hat."""
        assert self.weight is not None and self.x is not None
        index = np.arange(self.weight.size).reshape(self.weight.shape)
        places = self._spread(index)
        members = np.flatnonzero(places == self.symbols.analysis.index_in(self.weight, start))
        g = np.array([float(cotangent(self.scalar(y, int(j)))) for j in members])
        products = g * self.hat[members]
        if not abs(float(products.sum()) - total) <= CLOSE * max(float(np.abs(products).sum()), 1e-300):
            return None
        hats, where = self._hats()
        written = (
            np.argsort(-np.abs(products), kind="stable")[:WRITTEN] if len(members) > SHORT else range(len(members))
        )
        symbols, numbers = Expression("", ""), Expression("", "")
        for k in written:
            flat = int(members[k])
            term = times(self.at(self.x, hats.text, flat, hats.latex), self.at(y, d.text, flat, d.latex))
            number = _product(_value(self.hat[flat]), _value(g[k]))
            symbols = _plus(symbols, term) if symbols.text else term
            numbers = _plus(numbers, number) if numbers.text else number
        if len(members) > SHORT:
            symbols, numbers = (Expression(rf"{x.latex} + \cdots", f"{x.text} + ...", SUM) for x in (symbols, numbers))
        return Closed(symbols, numbers, (), where)

    def _spread(self, index: Any) -> Any:
        """Numbers of the weights' elements, moved and spread over the input as the weights were."""
        line = next(x for x in self.lines if x.primitive is TABLE["mul"] and _unmoved(x.operands[1]) is self.weight)
        chain, above = list[Tensor](), line.operands[1]
        while above is not self.weight:
            chain.append(above)
            above = above.operands[0]
        for move in reversed(chain):
            if move.primitive is not TABLE["cast"]:
                index = move.primitive.forward(index, **move.params)  # type: ignore[union-attr]
        return np.broadcast_to(index, line.shape).ravel()

    def gradient(self, start: int, total: float, cotangent: Any, d: Expression, y: Tensor) -> Closed | None:
        if self.x is None or not self.fits:
            return None
        if self.weight is not None and self.symbols.analysis.index_in(self.weight, start) is not None:
            return self._of_weight(start, total, cotangent, d, y)
        if (flat := self.symbols.analysis.index_in(self.x, start)) is None:
            return None
        members = np.flatnonzero(self.group == self.group[flat])
        g = np.array([float(cotangent(self.scalar(y, int(j)))) for j in members])
        h, hat, s = self.w[members] * g, self.hat[members], float(self.s[flat])
        own = float(h[members == flat][0])
        mean, crossed, mine = float(h.mean()), float((h * hat).mean()), float(self.hat[flat])
        parts = (own / s, -mean / s, -mine * crossed / s)
        if not abs(sum(parts) - total) <= CLOSE * max(sum(map(abs, parts)), 1e-300):
            return None
        of_h = self.free("h", "e", "a", "dh")
        letter = symbol(of_h) if self.weight is not None else d
        hats, where = self._hats()
        here = self.at(y, letter.text, flat, letter.latex)
        hat_here = self.at(self.x, hats.text, flat, hats.latex)
        mean_h = Expression(rf"\text{{mean}}({letter.latex})", f"mean({letter.text})")
        mean_hh = Expression(rf"\text{{mean}}({letter.latex} {hats.latex})", f"mean({letter.text} {hats.text})")
        over = symbol(self.std)
        third = times(hat_here, mean_hh)
        numbers = _minus(_minus(_value(own), _value(mean)), _product(_value(mine), _value(crossed)))
        if self.weight is not None:
            w = symbol(self.symbols.label(self.weight))
            where.insert(0, Expression(rf"{letter.latex} = {w.latex} \, {d.latex}", f"{of_h} = {w.text} {d.text}"))
        ways = (
            Contribution("by its own output", _over(here, over), parts[0]),
            Contribution("by the mean", _negative(_over(mean_h, over)), parts[1]),
            Contribution("by the variance", _negative(_over(third, over)), parts[2]),
        )
        symbols = _over(_minus(_minus(here, mean_h), third), over)
        return Closed(symbols, _over(numbers, _value(s)), (), [*where, self.moments(flat)], ways)


class _Softmax(_Lines):
    """A softmax inside a call: the probabilities p, and the groups in which they sum to 1."""

    @cached_property
    def fits(self) -> bool:
        exp, total = self.last("exp"), self.last("sum")
        sums = [x for x in self.lines if x.primitive is TABLE["sum"] and x.operands[0] is exp]
        if self.x is None or exp is None or not sums or total is None or exp.shape != self.x.shape:
            return False
        self.total = sums[0]
        self.p = (exp.value / self.total.value).ravel()
        numbers = np.arange(self.total.size).reshape(self.total.shape)
        self.group = np.broadcast_to(numbers, exp.shape).ravel()
        return True

    def forward(self, flat: int) -> Closed | None:
        if self.x is None or not self.fits:
            return None
        members = np.flatnonzero(self.group == self.group[flat]).tolist()
        exps = [_exp(self.read(self.x, j)) for j in members[:WRITTEN]]
        more = " + ..." if len(members) > WRITTEN else ""
        bottom = Expression(
            " + ".join(e.latex for e in exps) + (r" + \cdots" if more else ""),
            " + ".join(e.text for e in exps) + more,
            SUM,
        )
        shifted = self.x.value.ravel()
        top = float(np.exp(shifted[flat]))
        whole = float(np.exp(shifted[members]).sum())
        if self.scope.name == "softmax":
            symbols, numbers = _over(_exp(self.read(self.x, flat)), bottom), _over(_value(top), _value(whole))
        else:
            log = Expression(rf"\log({bottom.latex})", f"log({bottom.text})", FACTOR)
            symbols = _minus(self.read(self.x, flat), log)
            numbers = _minus(_value(shifted[flat]), _value(float(np.log(whole))))
        reads = tuple(self.scalar(self.x, j) for j in members[:WRITTEN])
        return Closed(symbols, numbers, reads) if np.isfinite(whole) else None

    def loss(self, i: int) -> Closed | None:
        """A cross-entropy of whole-number labels: -(log p + log p + ..), by n for a mean."""
        take = self.last("take")
        if self.x is None or not self.fits or take is None or take.operands[0].size != self.x.size:
            return None
        places, logs = take.operands[1].value.ravel(), take.value.ravel()
        moved = _unmoved(take.operands[0])
        if moved.primitive is TABLE["permute_dims"] or not logs.size:
            return None
        total, loss = float(-logs.sum()), float(self.symbols.analysis.graph.number(i))
        n = next((n for n in (1, len(logs)) if abs(total / n - loss) <= CLOSE * max(abs(loss), 1e-300)), 0)
        if not n:
            return None
        letter = self.free("p", "q", "prob")
        name, of_x = symbol(letter), symbol(self.symbols.label(self.x))
        terms = [self.at(self.x, letter, int(k), name.latex.strip()) for k in places[:WRITTEN]]
        symbols, numbers = _log(terms[0]), _value(logs[0])
        for term, log in zip(terms[1:], logs[1:], strict=False):
            symbols, numbers = _plus(symbols, _log(term)), _plus(numbers, _value(log))
        if len(logs) > WRITTEN:
            symbols, numbers = (Expression(rf"{x.latex} + \cdots", f"{x.text} + ...", SUM) for x in (symbols, numbers))
        if n > 1:
            symbols, numbers = _over(symbols, _value(n)), _over(numbers, _value(n))
        where = [Expression(rf"{name.latex} = \text{{softmax}}({of_x.latex})", f"{letter} = softmax({of_x.text})")]
        reads = tuple(self.scalar(self.x, int(k)) for k in places[:WRITTEN])
        return Closed(_negative(symbols), _negative(numbers), reads, where)

    def gradient(self, start: int, total: float, cotangent: Any, d: Expression, y: Tensor) -> Closed | None:
        if self.x is None or not self.fits or (flat := self.symbols.analysis.index_in(self.x, start)) is None:
            return None
        letter = self.free("p", "q", "prob")
        p, name = float(self.p[flat]), symbol(letter)
        at_p = self.at(self.x, letter, flat, name.latex.strip())
        if self.scope.name in SOFTMAX:
            members = np.flatnonzero(self.group == self.group[flat])
            g = np.array([float(cotangent(self.scalar(y, int(j)))) for j in members])
            own = float(g[members == flat][0])
            here = self.at(y, d.text, flat, d.latex)
            if self.scope.name == "softmax":
                name = symbol(self.symbols.label(y)) if y.name or id(y) in self.symbols.names else name
                at_p = self.at(y, name.text, flat, name.latex.strip())
                crossed = float((g * self.p[members]).sum())
                summed = Expression(rf"\sum({d.latex} \, {name.latex})", f"sum({d.text} {name.text})")
                parts = (p * own, -p * crossed)
                symbols = times(at_p, _minus(here, summed))
                numbers = _product(_value(p), _minus(_value(own), _value(crossed)))
                ways = (times(at_p, here), _negative(times(at_p, summed)))
            else:
                crossed = float(g.sum())
                summed = Expression(rf"\sum({d.latex})", f"sum({d.text})")
                parts = (own, -p * crossed)
                symbols = _minus(here, times(at_p, summed))
                numbers = _minus(_value(own), _product(_value(p), _value(crossed)))
                ways = (here, _negative(times(at_p, summed)))
            words = ("by its own output", "by the sum of the exponentials")
        else:
            log = next((x for x in self.lines if x.primitive is TABLE["log"] and x.operands[0] is self.total), None)
            c = float(cotangent(self.scalar(log, int(self.group[flat])))) if log is not None else 0.0
            if not c:
                return None
            label = -(total - c * p) / c
            label = round(label) if abs(label - round(label)) < CLOSE else label
            parts = (c * p, -c * label)
            n = round(1 / c)
            divided = n > 0 and abs(c * n - 1) < CLOSE
            factor = (lambda x: x if n == 1 else _over(x, _value(n))) if divided else (lambda x: times(x, _value(c)))
            symbols = factor(_minus(at_p, _value(label)) if label else at_p)
            numbers = factor(_minus(_value(p), _value(label)) if label else _value(p))
            ways = (factor(at_p), _negative(factor(_value(label))))
            words = ("by the log of the sum of exponentials", "by the label")
        if not abs(sum(parts) - total) <= CLOSE * max(sum(map(abs, parts)), 1e-300):
            return None
        of_x = self.symbols.label(self.x)
        where = [Expression(rf"{name.latex} = \text{{softmax}}({symbol(of_x).latex})", f"{letter} = softmax({of_x})")]
        told = tuple(Contribution(*x) for x in zip(words, ways, parts, strict=True) if x[2])
        return Closed(symbols, numbers, (), where if name.text == letter else [], told)


class _Sigmoid(_Lines):
    """The binary cross-entropy of logits: dL/dz = (sigmoid(z) - t) / n."""

    def forward(self, flat: int) -> Closed | None:
        return None

    def gradient(self, start: int, total: float, cotangent: Any, d: Expression, y: Tensor) -> Closed | None:
        if self.x is None or (flat := self.symbols.analysis.index_in(self.x, start)) is None:
            return None
        z = float(self.x.value.ravel()[flat])
        sigmoid = float(1 / (1 + np.exp(-z)))
        targets = {id(t): t for line in self.lines for t in line.operands if t.constant and t.shape == self.x.shape}
        up = float(cotangent(self.scalar(y, flat if y.size == self.x.size else 0)))
        for t, n in ((t, n) for t in targets.values() for n in ((self.x.size, 1) if y.size == 1 else (1,))):
            label, c = float(t.value.ravel()[flat]), up / n
            if t.primitive is not None or abs(c * (sigmoid - label) - total) > CLOSE * max(abs(c), 1e-300):
                continue
            inner = self.read(self.x, flat)
            name = Expression(rf"\sigma({inner.latex})", f"sigmoid({inner.text})")
            by = partial(_scaled, n=n, up=up)
            told = zip(
                ("by the sigmoid", "by the target"), (by(name), _negative(by(_value(label)))),
                (c * sigmoid, -c * label), strict=True,
            )  # fmt: skip
            symbols, numbers = by(_minus(name, _value(label))), by(_minus(_value(sigmoid), _value(label)))
            return Closed(symbols, numbers, (), [], tuple(Contribution(*x) for x in told if x[2]))
        return None


def closed_value(symbols: Symbols, i: int, scope: Scope) -> Closed | None:
    """The textbook formula of element ``i``, a result of the call ``scope``; None for a call without one."""
    found = _known(symbols, scope)
    if scope.name == "cross_entropy" and isinstance(found, _Softmax):
        return found.loss(i)
    x, index = symbols.place(i)
    if found is None or scope.name not in (*NORMS, *SOFTMAX) or found.x is None or found.x.size != x.size:
        return None
    return found.forward(int(np.ravel_multi_index(index, x.shape)) if index else 0)


def closed_gradient(whole: Any) -> Closed | None:
    """The textbook formula of a gradient all of whose terms (a ``Sum``) go by one call; None for any other."""
    context = whole.context
    symbols, known = context.symbols, context.analysis
    if not len(whole.ends) or symbols.subscripts(symbols.place(int(whole.ends[0]))[0]) == "flat":
        return None
    scopes = {id(known.calls.get(id(symbols.block(i).line))): symbols.block(i).line for i in whole.ends[:50].tolist()}
    scope = known.calls.get(id(next(iter(scopes.values()))))
    if len(scopes) != 1 or scope is None or known.of.dtype == object:
        return None
    found = _known(symbols, scope)
    if found is None or len(whole.targets) != 1:
        return None
    y = whole.targets[0]
    if scope.name in (*NORMS, *SOFTMAX) and (found.x is None or y.size != found.x.size):
        return None
    return found.gradient(whole.scalar, float(whole.total), known.cotangent_of, whole.cotangent_of(y), y)


def closed_slope(whole: Any, end: int, local: float) -> Expression | None:
    """d end / d scalar where the step to ``end`` is a cross-entropy, or a loss like it; None for any other."""
    context = whole.context
    symbols, known = context.symbols, context.analysis
    scope = known.calls.get(id(symbols.block(end).line))
    if scope is None or scope.name not in LOSSES or known.of.dtype == object:
        return None
    found, upstream = _known(symbols, scope), float(known.cotangent_of(end))
    y = symbols.place(end)[0]
    if found is None or not upstream or not np.isfinite(upstream):
        return None
    below = lambda i: known.cotangent_of(i) / upstream
    made = found.gradient(whole.scalar, float(local), below, Expression("1", "1"), y)
    return made.symbols if made is not None else None


def _known(symbols: Symbols, scope: Scope) -> _Norm | _Softmax | _Sigmoid | None:
    kept = symbols.closed
    if scope.serial not in kept:
        kinds: dict[str, Any] = dict.fromkeys(NORMS, _Norm) | dict.fromkeys((*SOFTMAX, "cross_entropy"), _Softmax)
        kind = (kinds | {"bce_with_logits": _Sigmoid}).get(scope.name)
        kept[scope.serial] = kind(symbols, scope) if kind else None
    found: _Norm | _Softmax | _Sigmoid | None = kept[scope.serial]
    return found


def _unmoved(x: Tensor) -> Tensor:
    """What a tensor was before it was reshaped and spread."""
    while x.primitive in (TABLE["reshape"], TABLE["broadcast_to"], TABLE["cast"]):
        x = x.operands[0]
    return x


# ---- small formulas


def _value(x: Any) -> Expression:
    """A number, without the sign of a zero."""
    return value(x + 0.0)


def _exp(x: Expression) -> Expression:
    return Expression(rf"e^{{{x.latex}}}", f"exp({x.text})", FACTOR)


def _scaled(x: Expression, n: int, up: float) -> Expression:
    """x / n times what arrives from above, ones left out."""
    x = _over(x, _value(n)) if n > 1 else x
    return x if abs(up - 1) < CLOSE else times(x, _value(up))


def _log(x: Expression) -> Expression:
    return Expression(rf"\log {x.latex}", f"log {x.text}", PRODUCT)


def _over(a: Expression, b: Expression) -> Expression:
    above, below = a.within(PRODUCT), b.within(FACTOR)
    return Expression(rf"\frac{{{a.latex}}}{{{b.latex}}}", f"{above.text} / {below.text}", PRODUCT)


def times(a: Expression, b: Expression) -> Expression:
    left, right = a.within(PRODUCT), b.within(FACTOR)
    return Expression(rf"{left.latex} \, {right.latex}", f"{left.text} {right.text}", PRODUCT)


def _product(a: Expression, b: Expression) -> Expression:
    left, right = a.within(FACTOR), b.within(FACTOR)
    return Expression(rf"{left.latex} \cdot {right.latex}", f"{left.text}·{right.text}", PRODUCT)


def _minus(a: Expression, b: Expression) -> Expression:
    right = b.within(PRODUCT)
    return Expression(f"{a.latex} - {right.latex}", f"{a.text} - {right.text}", SUM)


def _plus(a: Expression, b: Expression) -> Expression:
    right = b.within(PRODUCT)
    return Expression(f"{a.latex} + {right.latex}", f"{a.text} + {right.text}", SUM)


def _negative(a: Expression) -> Expression:
    inner = a.within(PRODUCT)
    return Expression(f"-{inner.latex}", f"-{inner.text}", SUM)
