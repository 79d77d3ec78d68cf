"""The bank of mistakes: each is planted in convolutional nets and in MLPs, and found by its name;
the right gradient never is."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers.nets_for_tutor import NETS

from autoconv.tape import Tape
from autoconv.tutor.bank import BANK
from autoconv.tutor.breaking import mistakes
from autoconv.tutor.check import check
from autoconv.tutor.run.replay import Run
from autoconv.tutor.search.describe import FACTOR, FACTOR_TWO, SECOND_BACKWARD, SLIP
from autoconv.tutor.search.search import REARRANGED

# mistake: the nets in which it is planted, convolutional ones | MLPs
PLANTED: dict[str, str] = {
    "local derivative forgotten": "relu, sigmoid | mlp tanh, mlp relu",
    "local derivative squared": "groups, true convolution | mlp sigmoid, mlp words",
    "upstream gradient forgotten": "channels first, winners | mlp sequence, mlp arithmetic",
    "a forward value where the upstream gradient belongs": "residual, text | mlp tanh, mlp deep",
    "sign": "relu, normalised | mlp relu, mlp sigmoid",
    "activation mask missing": "true convolution, winners | mlp sequence, mlp relu",
    "activation mask inverted": "residual, text | mlp relu, mlp deep",
    "relu applied to the gradient": "relu, true convolution | mlp sequence, mlp deep",
    "operands swapped": "sigmoid, groups | mlp tanh, mlp words",
    "one side of a difference forgotten": "winners, residual | mlp sigmoid, mlp arithmetic",
    "derivative taken at the output": "channels first, normalised | mlp tanh, mlp words",
    "input where the output belongs": "sigmoid, groups | mlp relu, mlp sigmoid",
    "square in the derivative forgotten": "groups, channels first | mlp words, mlp sequence",
    "power rule: exponent not brought down": "channels first, text | mlp tanh, mlp arithmetic",
    "power rule: exponent not lowered": "residual, text | mlp relu, mlp sigmoid",
    "quotient rule: denominator not squared": "sigmoid, normalised | mlp words, mlp deep",
    "reciprocal forgotten": "relu, true convolution | mlp sequence, mlp arithmetic",
    "only one of several paths": "winners, normalised | mlp tanh, mlp deep",
    "one path forgotten": "residual, text | mlp words, mlp sequence",
    "a node's gradient pushed on before it was complete": "relu, sigmoid | mlp relu, mlp sigmoid",
    "local derivative forgotten in a call": "groups, true convolution | mlp arithmetic, mlp deep",
    "local derivative squared in a call": "sigmoid, normalised | mlp words, mlp arithmetic",
    "only the diagonal of a Jacobian": "relu, winners | mlp sigmoid, mlp words",
    "statistics held constant": "sigmoid, groups | mlp sequence, mlp arithmetic",
    "derivative of a call taken at its output": "text, residual | mlp arithmetic, mlp deep",
    "half of the sigmoid's derivative": "sigmoid, residual | mlp sigmoid, mlp words",
    "derivative of the output multiplied in again": "relu, true convolution | mlp words, mlp sequence",
    "target forgotten": "groups, true convolution | mlp words, mlp sequence",
    "gradient of a maximum spread evenly": "winners, text | mlp sequence",
    "gradient of a maximum to every competitor": "winners, text | mlp sequence",
    "windows overwritten instead of overlap-added": "channels first, normalised |",
    "overlaps averaged": "relu, normalised |",
    "overlapping windows treated as tiles": "sigmoid, groups |",
    "stride not dilated": "relu, true convolution |",
    "dilated by stride": "channels first, winners |",
    "dilation forgotten": "channels first |",
    "padding not cropped": "residual, text |",
    "padding shifted by one": "sigmoid, groups |",
    "flattened in another order": "true convolution, residual | mlp sequence",
    "reversal forgotten": "true convolution | mlp sequence",
    "gradient put at the wrong index": "relu, text | mlp words, mlp arithmetic",
    "repeated index overwritten instead of added": "text, normalised | mlp words",
    "pooling gradient spread evenly": "groups, normalised |",
    "pooling gradient copied to every cell": "sigmoid, residual |",
    "pooling gradient to the wrong cell": "channels first, residual |",
    "sum over positions replaced by the last one": "relu, winners | mlp sequence",
    "not summed over batch": "sigmoid, winners | mlp relu, mlp deep",
    "bias not summed over positions": "groups, true convolution | mlp tanh, mlp relu",
    "broadcast not summed": "winners, residual | mlp sigmoid, mlp arithmetic",
    "not summed over filters": "channels first, text | mlp tanh, mlp deep",
    "not summed over channels": "relu, normalised | mlp relu, mlp sigmoid",
    "product of sums": "sigmoid, groups | mlp arithmetic, mlp deep",
    "mean instead of sum": "true convolution, channels first | mlp tanh, mlp relu",
    "kernel not rotated": "winners, residual |",
    "kernel gradient reversed": "text, normalised |",
    "gradient rotated on its way to the kernel": "relu, groups |",
    "true convolution mistaken for cross-correlation": "relu, sigmoid |",
    "kernel transposed": "groups, true convolution |",
    "matrix not transposed": "relu, residual | mlp sigmoid, mlp arithmetic",
    "activation instead of its mask": "relu, text | mlp relu, mlp deep",
    "derivative taken at the gradient": "groups, winners | mlp tanh, mlp words",
    "sum instead of mean": "sigmoid, norms | mlp words, mlp deep",
    "summed without the weights": "channels first, text | mlp tanh, mlp deep",
    "added instead of multiplied": "relu, winners | mlp sigmoid, mlp arithmetic",
    "summed over an index that stays": "groups, residual | mlp tanh, mlp words",
    "the neighbour's gradient": "channels first, normalised | mlp relu, mlp deep",
    "an earlier value instead of the factor": "relu, residual | mlp sequence, mlp arithmetic",
    "loop left too early": "channels first, true convolution | mlp words, mlp sigmoid",
    "a pass of a loop left out": "channels first, groups | mlp tanh, mlp deep",
    "position of the window forgotten": "relu, normalised |",
    "mean term forgotten": "norms | mlp sequence",
    "variance term forgotten": "norms | mlp sequence",
    "sign of a term of the normalisation": "norms | mlp sequence",
    "an index left at its first value": "channels first, true convolution |",
    "a term of the normalisation with a wrong factor": "norms | mlp sequence",
    "a factor missing in a term of the normalisation": "norms | mlp sequence",
    "gamma behind the means": "norms | mlp sequence",
    "an index that runs backward": "relu, text | mlp words",
    "sums where means belong": "norms | mlp sequence",
    "deviation in the wrong power": "norms | mlp sequence",
    "unbiased variance": "norms | mlp sequence",
    "x where x-hat belongs": "norms | mlp sequence",
    "normalised over the wrong axis": "norms | mlp sequence",
    "softmax over the wrong axis": "residual, relu | mlp tanh, mlp arithmetic",
    "softmax not normalised": "winners, sigmoid | mlp words, mlp arithmetic",
    "a factor of the softmax's Jacobian forgotten": "winners, residual | mlp relu, mlp arithmetic",
    "sign of a term of the softmax's Jacobian": "winners, residual | mlp relu, mlp arithmetic",
    "sign in the derivative": "groups, channels first | mlp words, mlp sequence",
    "the sigmoid's derivative p (1 - p) for the softmax's": "relu, groups | mlp words",
    "one subtracted from every class": "sigmoid, true convolution | mlp words",
    "target in the wrong place or size": "sigmoid, true convolution | mlp words",
    "only some of the classes": "sigmoid, true convolution | mlp words",
    "derivative of a call taken at the gradient": "sigmoid, residual | mlp sigmoid, mlp words",
    "every tied maximum gets everything": "relu, normalised |",
    "the pooled value instead of its mask": "groups, normalised |",
    "both pooling branches run": "sigmoid, normalised |",
    "divided by the wrong count": "channels first, norms | mlp arithmetic",
    "only the last of several outputs": "steps | mlp steps",
    "a later value instead of the factor": "steps, residual | mlp steps, mlp words",
    "gradient of a maximum to the wrong element": "winners, text | mlp sequence",
    "stride applied to the gradient again": "relu, groups |",
    "rows and columns exchanged": "channels first, residual |",
    "another function of a factor": "relu, text | mlp sequence, mlp deep",
    "the derivative of another function": "groups, norms | mlp tanh, mlp arithmetic",
    "a vector along the wrong axis": "sigmoid, norms | mlp sequence, mlp arithmetic",
    "a kept array read at its first index": "norms | mlp sequence",
    "padded on one side alone": "channels first, text |",
    "multiplied by its own value": "relu, residual | mlp words, mlp deep",
    "groups mixed": "groups |",
    "power rule: exponent lowered by another number": "text, residual | mlp tanh, mlp relu",
}
# These need something that an MLP does not have.
ONLY_IN_IMAGES = {
    "windows overwritten instead of overlap-added": "windows that overlap",
    "overlaps averaged": "windows that overlap",
    "overlapping windows treated as tiles": "windows that overlap",
    "stride not dilated": "windows that move",
    "dilated by stride": "windows that move",
    "an index left at its first value": "filters or channels",
    "dilation forgotten": "windows with gaps",
    "padding not cropped": "a border",
    "padding shifted by one": "a border",
    "padded on one side alone": "a kernel that moves over the image",
    "groups mixed": "a convolution with groups",
    "pooling gradient spread evenly": "a pooling layer",
    "pooling gradient copied to every cell": "a pooling layer",
    "pooling gradient to the wrong cell": "a pooling layer",
    "kernel not rotated": "a kernel that moves over the image",
    "kernel gradient reversed": "a kernel that moves over the image",
    "gradient rotated on its way to the kernel": "a kernel that moves over the image",
    "kernel transposed": "a kernel with rows and columns",
    "true convolution mistaken for cross-correlation": "a kernel that moves over the image",
    "every tied maximum gets everything": "windows with several largest cells",
    "the pooled value instead of its mask": "a pooling layer",
    "both pooling branches run": "a pooling layer",
    "stride applied to the gradient again": "windows that move",
    "position of the window forgotten": "windows that move",
    "rows and columns exchanged": "windows in two dimensions",
}


def shows(true: np.ndarray, wrong: np.ndarray) -> bool:
    """Whether the mistake changes this gradient, and leaves something of it."""
    scale = np.abs(true).max()
    changed = np.isfinite(wrong).all() and not np.allclose(true, wrong, rtol=1e-4, atol=1e-6 * scale)
    return bool(changed and np.abs(wrong).max() > 1e-6 * scale)


def wrong_gradients(run: Run, name: str) -> list[Callable[[], np.ndarray]]:
    """What mistake ``name`` makes of the gradient: at every single place, at all of a line, of a kind,
    and everywhere."""
    with np.errstate(all="ignore"):
        places = list(BANK[name].injections(run))
    once = [lambda p=p: run.gradient + run.partial(p.x, p.delta) for p in places]
    groups = (
        {(p.variant, p.kind, None) for p in places}
        | {(p.variant, "", p.line) for p in places}
        | {(p.variant, "", None) for p in places}
    )

    def together(variant: str, kind: str, line: Any) -> np.ndarray:
        meant = {
            id(p.line)
            for p in places
            if p.variant == variant and (p.kind == kind if kind else line is None or p.line is line)
        }
        return run.with_rules(BANK[name].everywhere(run, variant, lambda x: id(x) in meant))

    several = sorted(groups, key=lambda g: (g[0], g[1], -1 if g[2] is None else run.position(g[2])))
    return [*once, *[lambda g=g: together(*g) for g in several]]


def planted(name: str, net: str) -> tuple[Any, Any, Run, np.ndarray]:
    """(loss, tensor, run, wrong gradient): a planting of ``name`` that shows, at a random seed, tensor,
    place and way."""
    rng = np.random.default_rng(zlib.crc32(f"{name} in {net}".encode()))
    for _ in range(5):
        loss, tensors = NETS[net](int(rng.integers(1000)))
        for key in rng.permutation(list(tensors)):
            run = Run(Tape(loss), tensors[key])
            candidates = wrong_gradients(run, name)
            for i in rng.permutation(len(candidates)):
                with np.errstate(all="ignore"):
                    wrong = candidates[i]()
                if shows(run.gradient, wrong):
                    return loss, tensors[key], run, wrong
    raise AssertionError(f"{name!r} shows nowhere in {net!r}")


def assert_named(verdict: Any, name: str, run: Run, claim: np.ndarray) -> None:
    """The mistake is named; or it is among several that fit, and the one named first gives the very same numbers."""
    first = {m.name for m in verdict.mistakes}
    if name in first:
        return
    assert name in {m.name for group in verdict.alternatives for m in group}, verdict.text
    if verdict.kind == "right for another forward":  # another flattening, a mean for a sum: right there, a mistake here
        return
    assert verdict.kind == "wrong", verdict.text
    assert f"{1 + len(verdict.alternatives)} explanations fit" in verdict.text
    (other,) = first
    assert any(np.allclose(claim, same, rtol=1e-5, atol=1e-9) for same in explained(run, other, claim))


def explained(run: Run, name: str, claim: np.ndarray) -> Iterator[np.ndarray]:
    """Gradients with the mistake ``name``; of a factor the one that the claim has at its largest element."""
    at = np.unravel_index(np.abs(run.gradient).argmax(), run.gradient.shape)
    factor = claim[at] / run.gradient[at]
    if name == "sign":
        yield -run.gradient
    counted = ("mean instead of sum", "sum instead of mean", "divided by the wrong count")
    if name in (FACTOR, SECOND_BACKWARD, *counted) or (name == FACTOR_TWO and np.isclose(abs(factor), [2, 0.5]).any()):
        yield factor * run.gradient
    if name in BANK:
        with np.errstate(all="ignore"):
            yield from (make() for make in wrong_gradients(run, name))


@pytest.mark.dear
@pytest.mark.quick(2)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found_by_its_name(name: str) -> None:
    for net in [net.strip() for net in PLANTED[name].replace("|", ",").split(",") if net.strip()]:
        loss, tensor, run, claim = planted(name, net)
        assert_named(check(claim, of=loss, wrt=tensor), name, run, claim)


def test_every_mistake_is_planted_in_both_kinds_of_nets_unless_an_mlp_cannot_have_it() -> None:
    assert set(PLANTED) == set(mistakes())
    in_images, in_mlps = ({name for name, nets in PLANTED.items() if nets.split("|")[side].strip()} for side in (0, 1))
    assert in_images == set(PLANTED)
    assert set(PLANTED) - in_mlps == set(ONLY_IN_IMAGES)
    assert len(in_mlps) >= 40
    assert all(
        net.strip().startswith("mlp")
        for nets in PLANTED.values()
        for net in nets.split("|")[1].split(",")
        if net.strip()
    )


@pytest.mark.quick(0)
@pytest.mark.parametrize("net", ["relu", "text", "mlp words"])
def test_mistakes_with_the_finished_gradient_are_named(net: str) -> None:
    rng = np.random.default_rng(len(net))
    loss, tensors = NETS[net](3)
    loss.backward()
    key = rng.choice([key for key, t in tensors.items() if t.size > 8])
    true = tensors[key].grad
    slipped = true.copy()
    slipped.ravel()[int(np.abs(true).argmax())] *= 1.3
    cases = {"sign": -true, FACTOR_TWO: true / 2, SECOND_BACKWARD: true + true, FACTOR: 7 * true, SLIP: slipped}
    for name, claim in cases.items():
        verdict = check(claim, of=loss, wrt=tensors[key])
        assert name in {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}, verdict.text


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize(("net", "key"), [("relu", "w"), ("text", "w"), ("mlp words", "g"), ("mlp tanh", "v")])
def test_right_numbers_in_other_places_are_named(net: str, key: str) -> None:
    loss, tensors = NETS[net](4)
    loss.backward()
    true = tensors[key].grad
    swapped = true.swapaxes(0, 1)
    for claim in (swapped.reshape(true.shape), true[::-1], true.reshape(true.shape[::-1]).T):
        if shows(true, claim):
            verdict = check(claim, of=loss, wrt=tensors[key])
            assert REARRANGED in {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}


def unrelated(rng: np.random.Generator, true: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays that no mistake leads to."""
    scale = np.abs(true).max()
    return {
        "normal": rng.normal(size=true.shape) * scale,
        "whole numbers": rng.integers(-9, 10, true.shape).astype(float),
        "sparse": rng.normal(size=true.shape) * (rng.random(true.shape) < 0.3) + 0.01 * scale,
        "constant": np.full(true.shape, scale * rng.uniform(0.3, 2)),
        "permuted": rng.permutation(true.ravel()).reshape(true.shape),
        "noise": true + 0.3 * scale * rng.normal(size=true.shape),
    }


@pytest.mark.quick(0)
@pytest.mark.parametrize("net", NETS)
def test_the_right_gradient_is_never_diagnosed_and_random_arrays_are_unknown(net: str) -> None:
    rng = np.random.default_rng(zlib.crc32(net.encode()))
    loss, tensors = NETS[net](int(rng.integers(1000)))
    loss.backward()
    for key in rng.permutation(list(tensors))[:3]:
        right = check(tensors[key].grad, of=loss, wrt=tensors[key])
        assert right.kind == "right" and not right.mistakes
    key = rng.choice([key for key, t in tensors.items() if t.size > 8])
    arrays = unrelated(rng, tensors[key].grad)
    kind = str(rng.choice(list(arrays)))
    verdict = check(arrays[kind], of=loss, wrt=tensors[key])
    assert verdict.kind == "unknown" and not verdict.mistakes, f"{kind}: {verdict.text}"


PAIRS = [
    ("relu", "w", "pooling gradient spread evenly", "kernel transposed"),
    ("relu", "w", "activation mask missing", "kernel gradient reversed"),
    ("mlp words", "e", "half of the sigmoid's derivative", "matrix not transposed"),
    ("mlp tanh", "w", "only the diagonal of a Jacobian", "product of sums"),
]


@pytest.mark.quick(0)
@pytest.mark.parametrize(("net", "key", "above", "below"), PAIRS)
def test_two_mistakes_at_two_places_are_both_told(net: str, key: str, above: str, below: str) -> None:
    from autoconv.backward import steps

    loss, tensors = NETS[net](5)
    run = Run(Tape(loss), tensors[key])
    first = next(iter(BANK[above].injections(run)))
    whole = lambda p: p.variant != "kernel" and not p.variant.startswith(("along", "by"))  # not one dimension alone
    second = [p for p in BANK[below].injections(run) if whole(p)][-1]
    wrong = BANK[below].variants(run.site(second.line, second.k))[second.variant]  # type: ignore[attr-defined]
    rules = first.rules()

    def both(line: Any, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        made = rules(line, g, wanted, recorded)
        return [wrong(g) if line is second.line and k == second.k else m for k, m in zip(wanted, made, strict=True)]

    walked = steps(run.loss, [run.wrt], np.ones(()), rules=both)
    (claim,) = [s.cotangent for s in walked if s.line is run.wrt]
    verdict = check(claim, of=loss, wrt=tensors[key])
    assert {m.name for m in verdict.mistakes} == {above, below}, verdict.text
