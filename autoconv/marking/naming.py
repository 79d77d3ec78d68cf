"""Which mistake makes a gradient wrong: one name that explains every number at every geometry.

The bank's mistakes are planted in the sweep of the reference at each geometry.  A name is accepted only if a mutation
of that name gives the claimed numbers wherever they are wrong, and where they are right none of its mutations of that
kind could be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from ..tape import Tape, Tensor
from ..tutor.bank import BANK
from ..tutor.bank.mistake import CallMistake
from ..tutor.conventions.epsilon import epsilon_of, other_epsilon, with_epsilon
from ..tutor.run.replay import Run
from ..tutor.search.search import CANCELLING, REARRANGED, Mutation, Search, groups_of, pairs
from .fed import fed
from .layer import Layer
from .passes import passes
from .relations import Evidence, Named, labelled, related, searched, unwritten, whole
from .terms import inside, paths, terms
from .truth import close, tolerance_of

LAST_ONES: set[str] = set()  # no variant is known beforehand: all whose label says "last"
ASSIGNED = (
    "windows overwritten instead of overlap-added", "sum over positions replaced by the last one",
    "bias not summed over positions", "not summed over filters", "not summed over channels", "not summed over batch",
    "loop left too early",
)  # fmt: skip
ROUNDING = 1e-10  # of the terms: what is left where they cancel
MOSTLY = 0.6  # of the geometries: a mistake that explains so many is named, and that it does not explain all
SEVERAL = (
    "added up several times", "every element is the gradient as often as a loop has passes that do not belong to it",
    "Which loops run around the line that adds this up, and which of their indices stand in it?",
)  # fmt: skip
FACTORS_FIRST = ("local derivative", "upstream gradient forgotten")  # what a factor at every geometry is not called
FEW = 4  # numbers that prove nothing
SEARCHED = 3  # wrong geometries at which the whole bank is planted


ONE_SIGN = Named(
    "sign", "the sign is wrong of one of the ways on which it flows back", "Which sign has each term of your formula?"
)
Explained = dict[tuple[str, ...], float]  # {names of the mistakes: how unlikely together}


def name_of(layer: Layer, gradient: str, seen: list[Evidence], later: Later | None = None) -> Named | None:
    """The mistake behind ``gradient``, or None where nothing known explains it at all geometries.

    later: where the search for two mistakes at once is left, which takes longest, in the place of being made here.
    """
    wrong = [e for e in seen if not e.right]
    tied = [e for e in wrong if e.truth.case.kink]
    plain = [e for e in wrong if not e.truth.case.kink]
    if not plain:
        if tied and all(e.truth.case.kink == "pool" and e.truth.shares(gradient, e.claimed) == "all" for e in tied):
            return _of_bank("every tied maximum gets everything")
        return None
    if all(not e.claimed.any() for e in plain):
        return Named("zero everywhere", "all its elements are zero", "Is anything ever written into this array?")
    if all(np.abs(e.claimed).max() <= ROUNDING * e.truth.size(gradient) for e in plain):
        return _cancelled(gradient, plain)
    named = _exchanged(layer, gradient, plain) or _planted(gradient, seen, plain, later) or whole(gradient, plain)
    return named or labelled(gradient, plain)


Later = dict[str, Callable[[], Named | None]]


def _cancelled(gradient: str, plain: list[Evidence]) -> Named:
    """Zero up to rounding: something was added up of which all terms cancel."""
    names: dict[str, int] = {}
    for e in plain[:SEARCHED]:
        for name in {d.mutations[0].name for d in searched(e, gradient).cancelling(CANCELLING)}:
            names[name] = names.get(name, 0) + 1
    fitting = [name for name in CANCELLING if names.get(name) == len(plain[:SEARCHED])]
    if fitting:
        others = "".join(f" (or this: {BANK[name].says})" for name in fitting[1:])
        return _of_bank(fitting[0], f"{others}: nothing is left of it, for its terms cancel")
    return Named("zero everywhere", "all its elements are zero, up to rounding", "Which terms cancel each other here?")


def _of_bank(name: str, more: str = "") -> Named:
    m = BANK[name]
    return Named(name, m.says + more, m.nudge)


def _exchanged(layer: Layer, gradient: str, wrong: list[Evidence]) -> Named | None:
    """Another gradient of the layer in the place of this one, and this one in the place of some other."""

    def stands(what: str, where: str) -> bool:
        return all(_is(e.others.get(where), e.truth.gradient(what)) for e in wrong)

    for other in layer.outputs:
        if other == gradient or not all(_is(e.claimed, e.truth.gradient(other)) for e in wrong):
            continue
        if any(stands(gradient, where) for where in layer.outputs if where != gradient):
            words = f"this is {other}, in the place of {gradient}"
            return Named("gradients in another order", words, "In which order are the gradients returned?")
    return None


def _is(claimed: np.ndarray | None, right: np.ndarray) -> bool:
    return claimed is not None and claimed.shape == right.shape and close(claimed, right)


def factor_of(gradient: str, wrong: list[Evidence]) -> list[float] | None:
    """The factor by which the claim exceeds the gradient at each geometry, or None where it is no multiple."""
    factors = []
    for e in wrong:
        right = e.truth.gradient(gradient)
        norm = float(np.vdot(right, right))
        factor = float(np.vdot(right, e.claimed)) / norm if norm else 0.0
        if not factor or not close(e.claimed, factor * right, abs(factor) * e.truth.size(gradient)):
            return None
        factors.append(factor)
    return factors


def _constant(gradient: str, wrong: list[Evidence]) -> Named | None:
    """A sign, or the same factor at every geometry."""
    factors = factor_of(gradient, wrong)
    if not factors or np.ptp(factors) > 1e-5 * abs(factors[0]):
        return None
    if sum(e.claimed.size for e in wrong) < FEW:
        return None  # any one number is a multiple of another
    factor = factors[0]
    if abs(factor + 1) < 1e-5:
        return _of_bank("sign")
    if abs(abs(factor) - 2) < 1e-5 or abs(abs(factor) - 0.5) < 1e-5:
        words = f"every element is {factor:.6g} times the gradient, at every geometry"
        return Named("factor 2 or 1/2 of the loss", words, "Is something counted twice, or halved?")
    words = f"every element is {factor:.6g} times the gradient, at every geometry"
    return Named("a constant factor", words, "What multiplies all of it?")


def _negative(gradient: str, wrong: list[Evidence]) -> bool:
    """Whether all of the gradient has the other sign."""
    factors = factor_of(gradient, wrong)
    return factors is not None and np.allclose(factors, -1, rtol=1e-5)


def _counted(gradient: str, seen: list[Evidence]) -> Named | None:
    """A factor that changes with the geometry as a count does: of the examples, positions, channels or classes."""
    plain = [e for e in seen if not e.truth.case.kink and e.truth.gradient(gradient).any()]
    factors = factor_of(gradient, plain)
    if not factors:
        return None
    for over, under in _counts(gradient, plain):
        if np.allclose(factors, over / under, rtol=1e-5):
            name = "divided by the wrong count"
            if (under == 1).all():
                means = [e.truth.runs[gradient].divisors for e in plain]
                if not any(means):
                    return Named(*SEVERAL)
                if all(n == 1 or round(n) in found for n, found in zip(over, means, strict=True)):
                    name = "sum instead of mean"
            elif (over == 1).all():
                name = "mean instead of sum"
            return _of_bank(name)
    return _by_setting(gradient, plain)


def _by_setting(gradient: str, plain: list[Evidence]) -> Named | None:
    """A factor that is a setting, such as the p of a dropout, where that changes anything."""
    wrong = [e for e in plain if not e.right]
    factors = factor_of(gradient, wrong)
    if not factors:
        return None
    for name, value in wrong[0].truth.case.settings.items():
        if not isinstance(value, float):
            continue
        numbers = np.array([float(e.truth.case.settings[name]) for e in wrong])
        if not np.ptp(numbers):
            continue
        rest = 1 - numbers
        for words, made in (("times", numbers), ("divided by", 1 / numbers)):
            other = rest if words == "times" else 1 / rest
            for much, number in (
                (name, made), (f"the square of {name}", made**2), (f"1 - {name}", other),
                (f"{name} / (1 - {name})", made / other),
            ):  # fmt: skip
                if np.allclose(factors, number, rtol=1e-5):
                    says = f"it is the gradient {words} {much}"
                    return Named("multiplied by what does not belong here", says, f"How often does {name} stand in it?")
    return None


def _counts(gradient: str, plain: list[Evidence]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(numbers that something may be multiplied with, and divided by) at each geometry, that change with it.

    Those of the output's axes in any product and quotient; of another array's axes, and of the settings, alone.
    """
    one = np.ones(len(plain))
    shapes = [e.truth.dout.shape or e.truth.gradient(gradient).shape for e in plain]
    if len({len(shape) for shape in shapes}) != 1:  # examples, what lies between, and the last axis
        shapes = [(*shape[:1], int(np.prod(shape[1:-1])), *shape[-1:]) for shape in shapes if len(shape) > 1]
    if len(shapes) == len(plain):
        counts = {chosen: _products(shapes, chosen) for chosen in _subsets(len(shapes[0]))}
        for over, under in product(counts, counts):
            if not set(over) & set(under) and (over or under):
                yield counts[over], counts[under]
    first = plain[0].truth.case
    for name, array in first.arrays.items():
        sizes = [e.truth.case.arrays[name].shape for e in plain]
        if len({len(size) for size in sizes}) == 1:
            for chosen in list(_subsets(array.ndim))[1:]:
                number = _products(sizes, chosen)
                yield one, number
                yield number, one
    numbers: list[np.ndarray] = []
    for name, value in first.settings.items():
        if isinstance(value, int) and all(e.truth.case.settings[name] for e in plain):
            number = np.array([float(e.truth.case.settings[name]) for e in plain])
            for power in (number, number**2):
                yield one, power
                yield power, one
            numbers.append(number)
    for a, b in combinations(numbers, 2):
        yield one, a * b
        yield a * b, one


def _subsets(n: int) -> Iterator[tuple[int, ...]]:
    for count in range(n + 1):
        yield from combinations(range(n), count)


def _products(shapes: list[tuple[int, ...]], chosen: tuple[int, ...]) -> np.ndarray:
    return np.array([float(np.prod([shape[a] for a in chosen])) for shape in shapes])


def _planted(gradient: str, seen: list[Evidence], wrong: list[Evidence], later: Later | None) -> Named | None:
    """The bank, planted at the geometries where the claim is wrong; then a constant factor; then two at once.

    A name that explains the claim at most geometries, but not at all, comes after what explains it at all of them.
    """
    telling = sorted(wrong, key=lambda e: -e.claimed.size)[:SEARCHED]
    telling = [e for e in telling if 3 * e.claimed.size >= telling[0].claimed.size]
    searches, found, all_of_it = _searches(telling, gradient)
    names = {k: sum(f[k] for f in found if k in f) for k in dict.fromkeys(k for f in found for k in f)}
    rest = [e for e in seen if not e.truth.case.kink and all(e is not t for t in telling)]
    partly: list[tuple[float, Named]] = []
    constant = _constant(gradient, wrong) or _counted(gradient, seen)
    summed = terms(gradient, seen)
    for (name, *_), _ in sorted(names.items(), key=lambda pair: pair[1]):
        there = [e for e, f in zip(telling, found, strict=True) if (name,) in f]
        if len(there) < len(telling) and (len(telling) < SEARCHED or len(there) < SEARCHED - 1):
            continue
        if constant and name.startswith(FACTORS_FIRST):
            continue  # a division made twice is a factor first, and a square only then
        if summed and not isinstance(BANK.get(name), CallMistake):
            continue  # inside a normalisation its terms are what a reader thinks of, not its lines
        variants = explaining(name, searches, there)
        held = [holds(name, variants, e, gradient) for e in rest]
        if len(there) == len(telling) and all(held):
            return _told(name, variants) if name != "sign" or _negative(gradient, wrong) else ONE_SIGN
        if share := _mostly([*there, *[e for e, h in zip(rest, held, strict=True) if h]], wrong, seen):
            partly.append((share, _told(name, variants, share)))
    if constant or summed or (named := related(gradient, seen)):
        return constant or summed or named
    if named := _another_eps(gradient, wrong) or _assigned(gradient, wrong) or fed(gradient, seen):
        return named
    if named := paths(gradient, seen) or _left(gradient, wrong) or inside(gradient, seen):
        return named
    if partly:
        return max(partly, key=lambda pair: pair[0])[1]
    if named := passes(gradient, seen) or unwritten(gradient, wrong):
        return named

    def two() -> Named | None:
        held = searches if all_of_it else _searches(telling, gradient, whole=True)[0]
        return _together(gradient, seen, telling, held)

    if later is None:
        return two()
    later[gradient] = two
    return None


def _searches(
    telling: list[Evidence], gradient: str, whole: bool = False
) -> tuple[dict[int, Search], list[Explained], bool]:
    """(the search at each geometry by id, what it found, whether each looked for the whole bank).

    What explains all of them explains the first, so that the others are searched for that alone, if that is enough.
    """
    searches = {id(e): searched(e, gradient) for e in telling}
    first, *rest = (searches[id(e)] for e in telling)
    found = [singly(first)]
    only = None if whole else {name for (name,) in found[0]} or None
    found += [singly(search, only) for search in rest]
    if only and rest and not set.intersection(*[set(f) for f in found]):
        return _searches(telling, gradient, whole=True)
    return searches, found, only is None or not rest


def _mostly(fitting: list[Evidence], wrong: list[Evidence], seen: list[Evidence]) -> float:
    """The share of the wrong geometries that a mistake explains, if it is most of them; else 0.

    A rest may remain: an index beyond the edge is cut off by a slice, so that a mistake shows otherwise at an edge.
    """
    right = [e for e in seen if e.right and not e.truth.case.kink]
    explained = sum(any(e is f for f in fitting) for e in wrong)
    agrees = sum(any(e is f for f in fitting) for e in right)
    enough = explained >= MOSTLY * len(wrong) and explained > 1 and agrees >= MOSTLY * len(right)
    return explained / len(wrong) if enough else 0.0


class _Asked(NamedTuple):
    """The whole gradient of one line (see ``conventions.epsilon``)."""

    tape: Tape
    line: Tensor

    def chosen(self, run: Run) -> np.ndarray:
        return np.asarray(run.gradient, dtype=float).ravel()


def _another_eps(gradient: str, wrong: list[Evidence]) -> Named | None:
    """The gradient of the same normalisation with another eps, at all geometries the same one."""

    def with_eps(e: Evidence, eps: float) -> np.ndarray:
        truth = e.truth
        run = truth.runs[gradient]
        return with_epsilon(_Asked(run.tape, truth.leaves[truth.layer.outputs[gradient]]), run, eps, recorded).gradient

    off = lambda e: float(np.abs(e.claimed - e.truth.gradient(gradient)).max() / e.truth.size(gradient))
    e = max(wrong, key=off)
    run = e.truth.runs[gradient]
    found = epsilon_of(run)
    if found is None:
        return None
    recorded = float(f"{found:.3g}")
    asked = _Asked(run.tape, e.truth.leaves[e.truth.layer.outputs[gradient]])
    eps = other_epsilon(asked, [run], [e.claimed.astype(float).ravel()], tolerance_of(e.claimed))
    if eps is None or not all(close(o.claimed, with_eps(o, eps), o.truth.size(gradient)) for o in wrong):
        return None
    words = f"it is the gradient for eps = {eps:g}, where the forward has {recorded:g}"
    return Named("another eps", words, "Do forward and backward add the same eps?")


def _assigned(gradient: str, wrong: list[Evidence]) -> Named | None:
    """An assignment in nested loops: what is kept is the last pass of whichever loops there are more than one of.

    Where windows overlap it is seen in the cells, with several filters in the filters, and so on: one mistake, which
    has
    another of the names ``ASSIGNED`` at each geometry.
    """
    seen: list[set[str]] = []
    for e in wrong:
        fitting = {name for name in ASSIGNED if holds(name, LAST_ONES, e._replace(right=False), gradient, "last")}
        if not fitting:
            return None
        seen.append(fitting)
    name = next(name for name in ASSIGNED if any(name in fitting for fitting in seen))
    return _of_bank(name, ": = where += belongs, so that the last one written stays")


def _left(gradient: str, wrong: list[Evidence]) -> Named | None:
    """A return inside of nested loops: only the first pass of whichever loops there are more than one of."""
    for e in wrong:
        if not any(holds(name, LAST_ONES, e._replace(right=False), gradient, "first") for name in ASSIGNED[1:]):
            return None
    return _of_bank("loop left too early")


def singly(search: Search, only: set[str] | None = None) -> Explained:
    """The single mistakes (of ``only`` those) that give the claim exactly, or up to its sign."""
    found: Explained = {}
    for d in search.plain() + search.singles(only):
        if not d.match.slips and not d.match.noise and abs(d.match.factor - 1) < 1e-9 and len(d.mutations) == 1:
            key = (d.mutations[0].name,)
            found[key] = min(found.get(key, np.inf), d.cost)
            search.__dict__.setdefault("variants", {}).setdefault(key[0], set()).add(d.mutations[0].variant)
    return found


def explaining(name: str, searches: dict[int, Search], telling: list[Evidence]) -> set[str]:
    """The variants of a mistake that fit at every geometry searched; all that fit somewhere, if none does."""
    each = [searches[id(e)].__dict__.get("variants", {}).get(name, set()) for e in telling]
    return set.intersection(*each) or set.union(*each)


def holds(name: str, variants: set[str], e: Evidence, gradient: str, word: str = "") -> bool:
    """Whether a mistake says what was claimed at one more geometry: right where it cannot be seen, wrong as it says.

    word: what the label of a variant must contain.
    """
    search = searched(e, gradient)
    if name not in BANK:
        return e.right or (name,) in singly(search)
    made = list(search.injections(0, BANK[name]))
    every = {m.variant for m, _ in made if word in m.variant}
    size = e.truth.size(gradient)
    for chosen in (variants & every, set() if e.right else every):
        sites = [m for m, _ in made if m.variant in chosen]
        groups = [m for m, _ in groups_of([(m, i, 0) for m, i in made if m.variant in chosen])]
        for mutation in [*sites, *groups]:
            g = _gradient(search, mutation)
            if g is not None and close(e.claimed, g.reshape(e.claimed.shape), size):
                return True
    return e.right and not variants & every


def _gradient(search: Search, mutation: Mutation) -> np.ndarray | None:
    try:
        return search.gradient(mutation, 0)
    except (ValueError, IndexError):
        return None


def _told(name: str, variants: set[str], share: float = 1.0) -> Named:
    """share: of the wrong geometries that it explains."""
    if share < 1:
        named = _told(name, variants)
        return named._replace(says=f"{named.says}. It explains {100 * share:.0f} % of the geometries, not the others")
    if name == REARRANGED:
        words = f"its numbers are those of the gradient after {min(variants, default='exchanging axes')}"
        return Named(name, words, "Your numbers are all there. Are they in the right places?")
    variant = min(variants, default="") if len(variants) == 1 else ""
    return _of_bank(name, f" ({variant})" if variant else "")


def _together(
    gradient: str, seen: list[Evidence], telling: list[Evidence], searches: dict[int, Search]
) -> Named | None:
    """Two mistakes at once, the same two at every geometry where the claim is wrong."""
    names: dict[tuple[str, ...], float] | None = None
    for e in telling[:3]:
        if e.claimed.size < 2:
            continue
        both = [d for d in pairs(searches[id(e)]) if abs(d.match.factor - 1) < 1e-9]
        found = {tuple(sorted({m.name for m in d.mutations})): d.cost for d in both}
        found = {k: v for k, v in found.items() if len(k) == 2}
        names = found if names is None else {k: v for k, v in names.items() if k in found}
        if not names:
            return None
    if not names or len(telling) < 2:
        return None
    first, second = min(names, key=lambda key: names[key])
    a, b = BANK[first], BANK[second]
    return Named(f"{first} and {second}", f"{a.says}; and {b.says}", a.nudge)


def describe(array: np.ndarray, right: np.ndarray) -> tuple[tuple[int, ...], float, float]:
    """(index, claimed, right) of the element that differs most."""
    with np.errstate(all="ignore"):
        off = np.nan_to_num(np.abs(array.astype(float) - right), nan=np.inf)
    at = np.unravel_index(int(off.argmax()), right.shape) if right.size else ()
    return tuple(int(i) for i in at), float(array[at]), float(right[at])
