"""What a verdict may not say: never RIGHT for a wrong claim, never WRONG for a right one, no story where none is known.

Each test is a fact that somebody met: ties, geometries that hide a mistake, slips without end, zeros that are rounding,
another eps, few digits, hypotheses without bounds, headlines that can be misread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import by_hand_loops as by_hand
from helpers.by_hand_bugs import Question, questions

import autoconv as ac
from autoconv.tutor.verdict import Verdict

ALL_TIED = "every tied maximum gets everything"
UNSEEN = "This example cannot show"


def names(verdict: Any) -> list[str]:
    return [m.name for m in verdict.mistakes]


# ---- ties


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        ([0, 1, 0, 0], "right"), ([0, 0, 0, 1], "right"), ([0, 0.5, 0.5, 0], "right"), ([0, 0.2, 0.3, 0.5], "right"),
        ([0, 1, 1, 1], "wrong"), ([0, 0, 0, 0], "wrong"), ([0, 0.6, 0.6, 0.6], "unknown"),
        ([0, -0.5, 0.75, 0.75], "unknown"), ([0, 0.5, 0.5, 0.5], "checker at fault"),
    ],
)  # fmt: skip
def test_a_tie_convention_has_weights_of_at_least_0_that_sum_to_1(claim: Any, kind: str) -> None:
    x = ac.tensor([1.0, 2.0, 2.0, 2.0], name="x")
    verdict = ac.check(np.array(claim, float), of=ac.sum(ac.max_pool1d(x, 4)), wrt=x)
    assert verdict.kind == kind, verdict.text
    assert (ALL_TIED in names(verdict)) is (claim == [0, 1, 1, 1])


def test_everything_to_each_tied_cell_is_named_for_pools_and_for_maximum() -> None:
    x = ac.tensor(np.full((2, 2), 3.0), name="x")
    assert names(ac.check(np.ones((2, 2)), of=ac.sum(ac.max_pool2d(x, 2)), wrt=x)) == [ALL_TIED]
    a, b = ac.tensor(1.0, name="a"), ac.tensor(1.0, name="b")
    loss = ac.maximum(a, b) * 1.0
    assert names(ac.check({a: 1.0, b: 1.0}, of=loss)) == [ALL_TIED]
    assert ac.check({a: 1.0, b: 0.0}, of=loss) and ac.check({a: 0.25, b: 0.75}, of=loss)


# ---- what a geometry cannot show


@pytest.mark.parametrize(("stride", "shown"), [(2, False), (1, True)])
def test_a_pool_without_overlaps_says_what_it_cannot_show(stride: int, shown: bool) -> None:
    rng = np.random.default_rng(0)
    x = ac.tensor(rng.normal(size=(2, 4, 4, 3)), name="x")
    loss = ac.sum(ac.max_pool2d(x, 2, stride) ** 2)
    loss.backward()
    verdict = ac.check(x.grad, of=loss, wrt=x)
    assert verdict.kind == "right"
    told = [sentence for sentence in verdict.evidence if sentence.startswith(UNSEEN)]
    assert any("windows overwritten" in sentence for sentence in told) is not shown


def test_one_example_and_one_filter_are_told() -> None:
    rng = np.random.default_rng(1)
    x, w = ac.tensor(rng.normal(size=(1, 5, 5, 2)), name="x"), ac.tensor(rng.normal(size=(3, 3, 2, 1)), name="w")
    loss = ac.sum(ac.conv2d(x, w) ** 2)
    loss.backward()
    assert "not summed over batch" in ac.check(w.grad, of=loss, wrt=w).text
    assert "not summed over filters" in ac.check(x.grad, of=loss, wrt=x).text


# ---- slips


@pytest.mark.parametrize(("slips", "named"), [(1, 1), (2, 2), (3, 3), (4, 0), (30, 0)])
def test_there_are_at_most_three_slips(slips: int, named: int) -> None:
    rng = np.random.default_rng(2)
    w = ac.tensor(rng.normal(size=(20, 15)), name="w")
    loss = ac.sum(ac.tanh(rng.normal(size=(4, 20)) @ w) ** 2)
    loss.backward()
    for sign in (1, -1):
        claim = sign * np.array(w.grad)
        claim.ravel()[rng.permutation(300)[:slips]] += rng.uniform(1, 2, slips)
        verdict = ac.check(claim, of=loss, wrt=w)
        assert names(verdict).count("an arithmetic slip") == named, verdict.text
        assert verdict.kind == ("wrong" if named else "unknown")


def test_a_function_makes_no_slips_and_what_is_off_is_told_by_its_place() -> None:
    rng = np.random.default_rng(3)
    x = ac.tensor(rng.normal(size=(10, 8)), name="x")
    loss = ac.sum(ac.tanh(x) ** 3)

    def off(x: Any) -> Any:
        g = 3 * np.tanh(x) ** 2 * (1 - np.tanh(x) ** 2)
        g[0, 0] += 1
        return g

    verdict = ac.check(off, of=loss, wrt=x)
    assert not verdict and "an arithmetic slip" not in names(verdict)
    loss.backward()
    claim = np.array(x.grad)
    claim[2] = rng.normal(size=8)
    told = ac.check(claim, of=loss, wrt=x)
    assert told.kind == "unknown" and "They differ in one place alone: axis 0 at 2" in told.text


# ---- zeros


@pytest.mark.dear
def test_a_right_zero_is_right_whatever_rounding_is_left() -> None:
    rng = np.random.default_rng(4)
    x, w, b = rng.normal(size=(6, 5)), rng.normal(size=(5, 4)), ac.tensor(rng.normal(size=4), name="b")
    loss = ac.sum(ac.tanh(ac.batch_norm(x @ w + b)) * rng.normal(size=(6, 4)))
    assert ac.check(np.zeros(4), of=loss, wrt=b).kind == "right"
    assert ac.check(rng.normal(size=4) * 1e-16, of=loss, wrt=b).kind == "right"
    assert ac.check(np.ones(4), of=loss, wrt=b).kind in ("wrong", "unknown")
    z = ac.tensor(rng.normal(size=(3, 4)), name="z")
    assert ac.check(np.zeros((3, 4)), of=ac.sum(ac.softmax(z)), wrt=z).kind == "right"


def test_zeros_at_whole_numbers_are_wrong() -> None:
    x = ac.tensor(np.arange(6.0), name="x")
    verdict = ac.check(np.zeros(6), of=ac.sum(x**2), wrt=x)
    assert verdict.kind == "wrong" and names(verdict) == ["gradient cut off"]


# ---- another eps


@pytest.mark.parametrize("eps", [1e-8, 1e-3, 1e-2, 0.0123])
@pytest.mark.parametrize("which", [0, 1], ids=["dx", "dgamma"])
def test_another_eps_is_named_with_its_value(eps: float, which: int) -> None:
    rng = np.random.default_rng(5)
    x, gamma, beta, dout = (
        rng.normal(size=(6, 4)) * 0.05,
        rng.normal(size=4),
        rng.normal(size=4),
        rng.normal(size=(6, 4)),
    )
    tensors = [ac.tensor(x, name="x"), ac.tensor(gamma, name="gamma"), ac.tensor(beta, name="beta")]
    loss = ac.sum(ac.batch_norm(*tensors) * dout)
    claim = by_hand.norm_backward(dout, x, gamma, beta, 0, eps)[which]
    verdict = ac.check(claim, of=loss, wrt=tensors[which])
    assert names(verdict) == ["another eps"] and f"eps = {eps:.3g}" in verdict.summary, verdict.text
    assert verdict.text.startswith("WRONG HERE")


BESIDE = {  # a wrong gradient of a normalisation, from h = dout gamma, x-hat and 1 / std, and its name
    "mean term forgotten": lambda h, hat, inv, mean: inv * (h - hat * mean(h * hat)),
    "variance term forgotten": lambda h, hat, inv, mean: inv * (h - mean(h)),
    "deviation in the wrong power": lambda h, hat, inv, mean: h - mean(h) - hat * mean(h * hat),
    "sign": lambda h, hat, inv, mean: -inv * (h - mean(h) - hat * mean(h * hat)),
}


def beside(name: str, eps: float, scale: float, given: Any) -> Verdict:
    """The verdict on a wrong gradient of a batch norm with gamma as ``given`` makes it."""
    rng = np.random.default_rng(8)
    x, gamma, dout = scale * rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=(6, 4))
    inv = 1 / np.sqrt(x.var(0) + eps)
    claim = BESIDE[name](dout * gamma, (x - x.mean(0)) * inv, inv, lambda a: a.mean(0))
    tensor = ac.tensor(x, name="x")
    return ac.check(claim, of=ac.sum(ac.batch_norm(tensor, given(gamma)) * dout), wrt=tensor)


@pytest.mark.dear
@pytest.mark.parametrize("eps", [1e-8, 1e-2])
@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("scale", [1.0, 0.05], ids=["", "small"])
def test_a_mistake_beside_another_eps_has_its_name(name: str, eps: float, scale: float) -> None:
    verdict = beside(name, eps, scale, ac.tensor)
    assert names(verdict) == [name] and f"Compared with eps = {eps:.6g}" in verdict.evidence[0], verdict.text


@pytest.mark.parametrize("name", BESIDE)
def test_gamma_may_be_a_plain_array(name: str) -> None:
    verdict = beside(name, 1e-5, 1.0, np.array)
    assert names(verdict) == [name], verdict.text


# ---- digits


TRUE = np.random.default_rng(7).normal(size=(4, 5)) * np.array([1e-3, 1, 30, 5e4, 1e6])
ROUNDED = {  # right numbers as people hand them over
    "four decimals in single precision": (TRUE[:, :3].astype(np.float32), lambda t: np.round(t, 4)),
    "four digits in single precision": (TRUE.astype(np.float32), lambda t: rounded(t, 4).astype(np.float32)),
    "four digits of large numbers": (TRUE[:, 3:], lambda t: rounded(t, 4)),
    "three digits of large and small numbers": (TRUE, lambda t: rounded(t, 3)),
    "too small for single precision": (TRUE * 1e-60, lambda t: t.astype(np.float32)),
}


def rounded(array: Any, digits: int) -> Any:
    return np.vectorize(lambda x: float(f"{x:.{digits}g}"))(array)


@pytest.mark.parametrize("how", ROUNDED)
def test_right_numbers_are_right_in_the_digits_that_they_have(how: str) -> None:
    true, written = ROUNDED[how]
    w = ac.tensor(np.zeros_like(true), name="w")
    loss = ac.sum(w * true)
    claim = written(true)
    assert ac.check(claim, of=loss, wrt=w), how
    if np.any(claim):
        claim[1, 1] += 0.01 * np.abs(true).max()
        assert not ac.check(claim, of=loss, wrt=w), how


def test_whole_numbers_that_end_in_zeros_are_not_rounded_where_the_gradient_is_whole() -> None:
    true = np.array([1234.0, 5678.0, 9100.0, 4321.0])
    w = ac.tensor(np.zeros(4), name="w")
    assert not ac.check(np.array([1230.0, 5680.0, 9100.0, 4320.0]), of=ac.sum(w * true), wrt=w)


@pytest.mark.dear
@pytest.mark.parametrize("digits", [3, 4, 5])
def test_right_numbers_with_few_digits_are_right_as_numbers_and_as_text(digits: int) -> None:
    rng = np.random.default_rng(6)
    w = ac.tensor(rng.normal(size=(4, 3)), name="w")
    loss = ac.sum(ac.tanh(rng.normal(size=(5, 4)) @ w) ** 2 * 10.0 ** rng.integers(-4, 3, (5, 3)))
    loss.backward()
    rounded = [[float(f"{v:.{digits}g}") for v in row] for row in w.grad]
    assert ac.check(rounded, of=loss, wrt=w).kind == "right"
    text = "[" + ", ".join("[" + ", ".join(f"{v:.{digits - 1}e}" for v in row) + "]" for row in w.grad) + "]"
    assert ac.check(text, of=loss, wrt=w).kind == "right"
    wrong = np.array(rounded)
    wrong[1, 1] *= 1.5
    assert not ac.check(wrong, of=loss, wrt=w)


def test_small_numbers_are_read() -> None:
    x = ac.tensor([0.003, 0.5], name="x")
    loss = ac.sum(x**3 * np.array([3.3827, 1.0]))
    assert ac.check([9.133e-5, 0.75], of=loss, wrt=x).kind == "right"
    assert ac.check("9.133e-5", of=loss, wrt="x[0]").kind == "right"
    assert not ac.check("9.433e-5", of=loss, wrt="x[0]")


# ---- bounds on what is believed


def test_no_weight_decay_of_minus_eighty_and_no_sum_where_nothing_is_summed() -> None:
    rng = np.random.default_rng(7)
    w = ac.tensor(rng.normal(size=(4, 3)), name="w")
    loss = ac.sum(ac.tanh(rng.normal(size=(5, 4)) @ w) ** 2)
    loss.backward()
    for decay, kind in ((0.02, "right for another forward"), (-160.0, "unknown"), (50.0, "unknown")):
        assert ac.check(w.grad + decay * w.value, of=loss, wrt=w).kind == kind
    y, t = ac.tensor(rng.normal(size=5), name="y"), rng.normal(size=5)
    assert not ac.check("sum", of=ac.sum(y * t), wrt=y)


def test_a_hint_speaks_of_the_function_at_hand() -> None:
    rng = np.random.default_rng(8)
    x = ac.tensor(rng.normal(size=(3, 4)), name="x")
    loss = ac.sum(ac.exp(x) * rng.normal(size=(3, 4)))
    loss.backward()
    verdict = ac.check(np.array(x.grad) / np.exp(x.value) * x.value, of=loss, wrt=x)
    assert "input where the output belongs" in {m.name for g in [verdict.mistakes, *verdict.alternatives] for m in g}
    assert "tanh" not in verdict.text + " ".join(verdict.hints.values())


# ---- headlines


def test_headlines_say_first_what_holds_here() -> None:
    rng = np.random.default_rng(9)
    x, w = ac.tensor(rng.normal(size=(1, 6, 6, 1)), name="x"), ac.tensor(rng.normal(size=(3, 3, 1, 2)), name="w")
    loss = ac.sum(ac.conv2d(x, w) * rng.normal(size=(1, 4, 4, 2)))
    loss.backward()
    rotated = ac.check(w.grad[::-1, ::-1], of=loss, wrt=w)
    assert rotated.text.startswith("WRONG HERE") and not rotated and rotated.mistakes
    noisy = ac.check(w.grad * (1 + 1e-3 * rng.normal(size=w.shape)), of=loss, wrt=w)
    assert not noisy.text.startswith(("RIGHT", "CHECKER"))


# ---- shapes


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((2, 8, 10, 2), "crop the border"), ((2, 4, 5, 2), "the shape of the output"), ((6, 8, 2), "one example"),
        ((2, 4, 5, 3), ""), ((2, 7, 9, 2), ""), ((2, 9, 9, 9), ""),
    ],
)  # fmt: skip
def test_a_wrong_shape_gets_the_geometry_that_gives_it(shape: Any, told: str) -> None:
    rng = np.random.default_rng(10)
    x, w = ac.tensor(rng.normal(size=(2, 6, 8, 2)), name="x"), ac.tensor(rng.normal(size=(5, 6, 2, 3)), name="w")
    loss = ac.sum(ac.conv2d(x, w, padding=1) ** 2)
    verdict = ac.check(rng.normal(size=shape), of=loss, wrt=x)
    assert verdict.kind == "wrong" and names(verdict) == ["wrong shape"]
    assert told in verdict.text and ("Of the shape" in verdict.text) is bool(told)


# ---- whole layers by hand


LAYERS = ["conv", "transposed", "max pool", "avg pool", "batch", "layer", "softmax", "cross", "affine", "hidden"]


def of_layer(word: str, seed: int) -> list[Question]:
    return [q for q in questions(seed) if q.label.startswith(word)]


@pytest.mark.dear
@pytest.mark.quick(2)
@pytest.mark.parametrize("layer", LAYERS)
def test_bugs_of_hand_written_loops_are_named_and_the_right_passes_are_right(layer: str) -> None:
    missed, asked = [], of_layer(layer, 1)
    assert len(asked) >= 12
    for q in asked:
        verdict = ac.check(np.array(q.claim), of=q.loss, wrt=q.wrt)
        if not q.name:
            assert verdict.kind == "right", verdict.text
            continue
        assert not verdict, f"{q.label}: {verdict.text}"
        if names(verdict) not in [[name] for name in q.name.split("|")]:
            missed.append((q.label, verdict.kind, names(verdict)))
    assert len(missed) <= 0.1 * len(asked), missed


def as_written(gradient: np.ndarray) -> dict[str, Any]:
    """A right gradient as people hand it in."""
    four = np.reshape([float(f"{v:.4g}") for v in gradient.ravel()], gradient.shape)
    return {"full": gradient, "float32": gradient.astype(np.float32), "four digits": four, "lists": gradient.tolist()}


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("seed", [3, 4])
def test_right_gradients_are_never_refused(seed: int) -> None:
    for q in questions(seed):
        if not q.name:
            for way, claim in as_written(np.array(q.claim, dtype=float)).items():
                verdict = ac.check(claim, of=q.loss, wrt=q.wrt)
                assert verdict.kind == "right", f"{q.label} {way}: {verdict.text}"


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("layer", ["conv dw", "max pool", "batch norm dx", "softmax", "affine dw"])
def test_random_arrays_have_no_story(layer: str) -> None:
    rng = np.random.default_rng(len(layer))
    q = next(q for q in questions(2) if q.label.startswith(layer) and not q.name)
    size = np.abs(q.claim).max()
    arrays = {
        "normal": size * rng.normal(size=q.claim.shape),
        "whole": rng.integers(-9, 10, q.claim.shape).astype(float),
        "permuted": rng.permutation(q.claim.ravel()).reshape(q.claim.shape),
        "noise": q.claim + 0.3 * size * rng.normal(size=q.claim.shape),
    }
    for what, claim in arrays.items():
        verdict = ac.check(claim, of=q.loss, wrt=q.wrt)
        assert verdict.kind == "unknown" and not verdict.mistakes, f"{what}: {verdict.text}"


def test_few_small_whole_numbers_have_no_story_of_two_mistakes() -> None:
    """There are more pairs of mistakes than pairs of digits: for two numbers such as (-2, 3) one fits by accident."""
    rng = np.random.default_rng(17)
    x, w = ac.tensor(rng.normal(size=(2, 2, 5, 4))), ac.tensor(rng.normal(size=(2, 2, 3, 2)))
    gamma, beta = ac.tensor(rng.normal(size=2), name="gamma"), ac.tensor(rng.normal(size=2), name="beta")
    y = ac.relu(ac.batch_norm(ac.conv2d(x, w, layout="channels_first"), gamma, beta, layout="channels_first"))
    loss = ac.sum(y * rng.normal(size=y.shape))
    for claim in [(-2, 3), (2, -1), (3, 3), (-3, 2), (1, 2), (-1, -3), (2, 2), (-3, -3), (3, -2), (1, -2)]:
        for wrt in (gamma, beta):
            verdict = ac.check(np.array(claim, float), of=loss, wrt=wrt)
            assert verdict.kind == "unknown", f"{claim} {wrt.name}: {verdict.text}"


@pytest.mark.parametrize(("factor", "second"), [(-1.0, "sign"), (2.0, "factor 2 or 1/2 of the loss")])
def test_two_mistakes_in_more_whole_numbers_are_told(factor: float, second: str) -> None:
    rng = np.random.default_rng(18)
    x, w = ac.tensor(rng.integers(-3, 4, (1, 1, 5, 5)).astype(float)), ac.tensor(np.ones((1, 1, 3, 3)), name="w")
    up = rng.integers(-3, 4, (1, 1, 3, 3)).astype(float)
    loss = ac.sum(ac.conv2d(x, w, layout="channels_first") * up)
    right = np.array([[(x.value[0, 0, i : i + 3, j : j + 3] * up[0, 0]).sum() for j in range(3)] for i in range(3)])
    verdict = ac.check(factor * right[None, None, ::-1, ::-1], of=loss, wrt=w)
    assert names(verdict)[:2] == ["kernel gradient reversed", second], verdict.text


# ---- Scalars


def _scalar_loss(w: Any, exp: Any, log: Any) -> Any:
    raised = [exp(w * x - 0.7) for x in (0.6, -2.4, 1.4)]  # the last difference is 0 for w = 1/2
    total = raised[0] + raised[1] + raised[2]
    return -log(((raised[0] / total + raised[1] / total * 3.0) / 2.0 - raised[2] / total) ** 2)


def test_a_wrong_claim_about_scalars_ends_in_a_verdict() -> None:
    w = ac.Scalar(0.5, name="w")
    loss = _scalar_loss(w, lambda x: x.exp(), lambda x: x.log())
    right = float(ac.grad(lambda w: _scalar_loss(w, ac.exp, ac.log))(0.5))
    assert ac.check(right, of=loss, wrt=w)
    assert "sign" in names(ac.check(-right, of=loss, wrt=w))
    assert not ac.check(right * 1.37, of=loss, wrt=w)
