"""ac.check, break_it and certificate: verdicts on claims that people make, with wrong gradients written out by hand."""

from __future__ import annotations

import doctest
import sys
from typing import Any

import numpy as np
import pytest
from helpers.nets_for_tutor import with_conventions
from helpers.verdicts import names_of

import autoconv as ac
from autoconv.exercises.key import Key
from autoconv.functional.axes import AXIS_ROLES
from autoconv.tape import Tape
from autoconv.tutor.breaking import break_it
from autoconv.tutor.certificate import certificate
from autoconv.tutor.check import check
from autoconv.tutor.verdict import Verdict

# ---- the question: a 3x3 image, two 2x2 kernels, one squared error


@pytest.fixture
def question() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    i, w1, w2 = [ac.tensor(rng.normal(size=s), name=n) for n, s in (("i", (3, 3)), ("w1", (2, 2)), ("w2", (2, 2)))]
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    y = 0.5
    return {"i": i, "w1": w1, "w2": w2, "o1": o1, "o2": o2, "y": y, "C": ac.sum((o2 - y) ** 2)}


def test_the_first_claim_of_the_question_is_right(question: dict[str, Any]) -> None:
    verdict = check("o1[0,0] * 2*(o2[0,0] - y)", of=question["C"], wrt=question["w2"][0, 0], names=question)
    assert verdict.kind == "right" and verdict and verdict.status == 0


def test_the_second_claim_is_a_product_of_sums(question: dict[str, Any]) -> None:
    error = "2*(o2[0,0] - y)"
    claim = (
        f"(i[0,0] + i[0,1] + i[1,0] + i[1,1]) * (w2[0,0]*{error} + w2[0,1]*{error} + w2[1,0]*{error} + w2[1,1]*{error})"
    )
    verdict = check(claim, of=question["C"], wrt=question["w1"][0, 0], names=question)
    assert verdict.kind == "wrong" and not verdict and verdict.status == 1
    assert [m.name for m in verdict.mistakes] == ["product of sums"]
    assert verdict.counter_example.element == "w1[0, 0]"
    assert set(verdict.hints) == {"nudge", "locate", "show"} and all(verdict.hints.values())


def test_the_right_formula_for_the_first_kernel(question: dict[str, Any]) -> None:
    assert check("conv(i, w2 * 2*(o2 - y))", of=question["C"], wrt=question["w1"], names=question).kind == "right"
    verdict = check("conv(i, rot180(w2) * 2*(o2 - y))", of=question["C"], wrt=question["w1"], names=question)
    assert verdict.kind == "wrong" and "kernel not rotated" in names_of(verdict)


# ---- one convolution backward in plain loops, with switches for the classic mistakes


def by_hand(x: Any, w: Any, d: Any, stride: int, mistake: str = "") -> tuple[Any, Any]:
    """(w_bar, x_bar) for a plain cross-correlation, written as people write it."""
    wg, xg = np.zeros_like(w), np.zeros_like(x)
    k = w.shape[0]
    kernel = w[::-1, ::-1] if mistake == "kernel not rotated" else w.T if mistake == "kernel transposed" else w
    s = {"stride not dilated": 1, "dilated by stride": stride + 1}.get(mistake, stride)
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            patch = x[i * s : i * s + k, j * s : j * s + k]
            patch = np.pad(patch, [(0, k - patch.shape[0]), (0, k - patch.shape[1])])
            if mistake == "sum over positions replaced by the last one":
                wg = patch * d[i, j]
            else:
                wg += patch * d[i, j]
            cells = xg[i * s : i * s + k, j * s : j * s + k]
            add = (kernel * d[i, j])[: cells.shape[0], : cells.shape[1]]
            if mistake == "windows overwritten instead of overlap-added":
                cells[...] = add
            else:
                cells += add
    return wg[::-1, ::-1] if mistake == "kernel gradient reversed" else wg, xg


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("mistake", "which", "stride"),
    [
        ("kernel not rotated", 1, 1), ("kernel transposed", 1, 1), ("kernel gradient reversed", 0, 1),
        ("windows overwritten instead of overlap-added", 1, 1), ("windows overwritten instead of overlap-added", 1, 2),
        ("sum over positions replaced by the last one", 0, 1), ("stride not dilated", 0, 2),
        ("stride not dilated", 1, 2),
        ("dilated by stride", 1, 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_mistakes_in_hand_written_loops(mistake: str, which: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = ac.tensor(rng.normal(size=(7, 9)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="w")
    o = ac.conv2d(x, w, stride=stride)
    loss = ac.sum(ac.tanh(o) ** 2)
    d = 2 * np.tanh(o.value) * (1 - np.tanh(o.value) ** 2)
    wrt = (w, x)[which]
    assert check(by_hand(x.value, w.value, d, stride)[which], of=loss, wrt=wrt).kind == "right"
    verdict = check(by_hand(x.value, w.value, d, stride, mistake)[which], of=loss, wrt=wrt)
    assert mistake in names_of(verdict), verdict.text


# ---- kinds of claims


@pytest.fixture
def net() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x, w, b = [
        ac.tensor(rng.normal(size=s), name=n) for n, s in (("x", (2, 5, 6, 1)), ("w", (3, 3, 1, 2)), ("b", (2,)))
    ]
    o = ac.conv2d(x, w, b)
    loss = ac.sum(ac.tanh(o) ** 2)
    loss.backward()
    return {"x": x, "w": w, "b": b, "o": o, "loss": loss}


def test_shapes_and_rules(net: dict[str, Any]) -> None:
    loss, w, b = net["loss"], net["w"], net["b"]
    assert check((3, 3, 1, 2), of=loss, wrt=w).kind == "right"
    assert check((3, 3), of=loss, wrt=w).kind == "wrong"
    assert check("sum", of=loss, wrt=b).kind == "right"
    assert check("mean", of=loss, wrt=b).kind == "wrong"
    assert check("same for all", of=loss, wrt=w).kind == "wrong"
    total = ac.sum(ac.tensor([1.0, 2.0], name="t"))
    assert check("same for all", of=total, wrt=ac.Tape(total).inputs[0]).kind == "right"
    unsummed = net["o"].grad
    assert "broadcast not summed" in names_of(check(unsummed, of=loss, wrt=b))
    assert check(w.grad[:, :, 0], of=loss, wrt=w).kind == "right"
    assert "right numbers in the wrong places" in names_of(check(w.grad.transpose(3, 2, 0, 1), of=loss, wrt=w))


def test_an_element_and_a_part(net: dict[str, Any]) -> None:
    w, loss = net["w"], net["loss"]
    assert check(float(w.grad[0, 1, 0, 1]), of=loss, wrt=w[0, 1, 0, 1]).kind == "right"
    assert check(w.grad[:, 1], of=loss, wrt=w[:, 1]).kind == "right"
    assert names_of(check(-float(w.grad[0, 1, 0, 1]), of=loss, wrt=w[0, 1, 0, 1])) >= {"sign"}
    assert check(float(w.grad[0, 1, 0, 1]), of=loss, wrt="w[0, 1, 0, 1]").kind == "right"
    assert check(w.grad, of=loss, wrt="w").kind == "right"
    for text in ("q", "w[9, 9, 9, 9]", "w[a]"):
        with pytest.raises(ValueError, match="check"):
            check(1.0, of=loss, wrt=text)


@pytest.mark.dear
def test_a_function_with_loops(net: dict[str, Any]) -> None:
    def kernel_gradient(x: Any, o: Any, w: Any, examples: int) -> Any:
        made = np.zeros_like(w)
        d = 2 * np.tanh(o) * (1 - np.tanh(o) ** 2)
        for n in range(examples):
            for i in range(d.shape[1]):
                for j in range(d.shape[2]):
                    made[:, :, 0] += x[n, i : i + 3, j : j + 3, :] * d[n, i, j]
        return made

    assert check(lambda x, o, w: kernel_gradient(x, o, w, 2), of=net["loss"], wrt=net["w"], names=net).kind == "right"
    verdict = check(lambda x, o, w: kernel_gradient(x, o, w, 1), of=net["loss"], wrt=net["w"], names=net)
    assert verdict.kind == "wrong" and "not summed over batch" in names_of(verdict)


def test_several_mistakes_are_all_told(net: dict[str, Any]) -> None:
    claim = -2 * net["w"].grad
    claim[1, 2, 0, 1] += 0.7
    told = [m.name for m in check(claim, of=net["loss"], wrt=net["w"]).mistakes]
    assert told == ["sign", "factor 2 or 1/2 of the loss", "an arithmetic slip"]


@pytest.mark.dear
def test_a_noisy_factor_is_estimated_and_a_varying_one_is_not_mistaken(net: dict[str, Any]) -> None:
    g, rng = net["w"].grad, np.random.default_rng(0)
    verdict = check(39 * g * (1 + 0.01 * rng.normal(size=g.shape)), of=net["loss"], wrt=net["w"])
    assert [m.name for m in verdict.mistakes] == ["a constant factor"] and "about 39" in verdict.text
    twice = break_it(net["loss"], "local derivative squared", at=net["loss"].operands[0].operands[0]).broken["w"]
    assert names_of(check(twice, of=net["loss"], wrt=net["w"])) == {"local derivative squared"}


def test_cotangents_of_several_lines_name_the_first_wrong_one(net: dict[str, Any]) -> None:
    claims = {net["o"]: net["o"].grad, net["b"]: net["b"].grad / 40, net["w"]: net["w"].grad}
    verdict = check(claims, of=net["loss"], names=net)
    assert verdict.kind == "wrong" and "departs at b" in verdict.summary and "o above it is right" in verdict.text
    assert check({"w": net["w"].grad, "b": net["b"].grad}, of=net["loss"]).kind == "right"


# ---- right, but


def test_right_by_accident_is_right_only_here() -> None:
    x = ac.tensor(np.random.default_rng(0).normal(size=(4, 5)), name="x")
    w = ac.tensor([[1.0, 2.0], [2.0, 1.0]], name="w")
    o = ac.conv2d(x, w)
    loss = ac.sum(o * o)
    verdict = check("full(2*o, w)", of=loss, wrt=x, names={"o": o})
    assert verdict.kind == "right only here" and "kernel not rotated" in names_of(verdict)
    assert not np.allclose(verdict.telling_input["w"], verdict.telling_input["w"][::-1, ::-1])
    assert check("full(2*o, rot180(w))", of=loss, wrt=x, names={"o": o}).kind == "right"


@pytest.mark.parametrize(("add", "kind"), [(True, "right"), (False, "right only here")])
def test_a_geometry_without_overlap_is_replaced_by_one_that_can_tell(add: bool, kind: str) -> None:
    rng = np.random.default_rng(0)
    x, w = ac.tensor(rng.normal(size=(4, 4)), name="x"), ac.tensor(rng.normal(size=(2, 2)), name="w")
    o = ac.conv2d(x, w, stride=2)

    def claim(x: Any, w: Any, o: Any) -> Any:
        made = np.zeros_like(x)
        steps = [(n - 2) // (m - 1) for n, m in zip(x.shape, o.shape, strict=True)]
        for i, j in np.ndindex(*o.shape):
            cells = made[i * steps[0] : i * steps[0] + 2, j * steps[1] : j * steps[1] + 2]
            cells[...] = cells * add + 2 * o[i, j] * w
        return made

    verdict = check(claim, of=ac.sum(o * o), wrt=x, names={"o": o})
    assert verdict.kind == kind
    assert ("windows overwritten instead of overlap-added" in names_of(verdict)) is not add


def test_the_gradient_of_another_forward_is_recognised() -> None:
    loss, w = with_conventions()
    here = ac.tensor(w, name="w")
    of = loss(here)
    flipped = check(ac.grad(lambda w: loss(w, flip=True))(w), of=of, wrt=here)
    assert flipped.kind == "right for another forward" and "true convolution" in flipped.summary and not flipped
    other_order = check(ac.grad(lambda w: loss(w, order=(0, 3, 1, 2)))(w), of=of, wrt=here)
    assert other_order.kind == "right for another forward" and "flattening" in other_order.summary


@pytest.mark.parametrize("claim", [[[3, 0], [0, 0]], [[0, 0], [0, 3]], [[1, 1], [0, 1]]])
def test_a_tie_is_a_convention(claim: Any) -> None:
    x = ac.tensor([[1.0, 1.0], [0.0, 1.0]], name="x")
    assert check(np.array(claim, float), of=ac.sum(3 * ac.max_pool2d(x, 2)), wrt=x).kind == "right"


def difference(loss: Any, w: Any, step: float, dtype: Any) -> Any:
    made = np.zeros(w.shape)
    for i in np.ndindex(w.shape):
        moved = [w.astype(float).copy(), w.astype(float).copy()]
        moved[0][i] += step
        moved[1][i] -= step
        made[i] = (float(loss(moved[0].astype(dtype))) - float(loss(moved[1].astype(dtype)))) / (2 * step)
    return made


@pytest.mark.parametrize(
    ("step", "dtype"), [(0.5, float), (1e-2, float), (1e-12, float), (1e-4, np.float32), (1e-3, np.float32)]
)
def test_finite_differences_are_not_held_against_anyone(step: float, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 6, 6, 1)), rng.normal(size=(3, 3, 1, 2))

    def loss(w: Any) -> Any:
        taped = w if isinstance(w, ac.Tensor) else ac.tensor(w)
        return ac.sum(ac.max_pool2d(ac.tanh(ac.conv2d(ac.tensor(x, dtype=taped.dtype), taped)), 2) ** 2)

    here = ac.tensor(w, name="w")
    verdict = check(difference(loss, w, step, dtype), of=loss(here), wrt=here)
    assert verdict.kind == "checker at fault" and not verdict.mistakes


def test_zeros_are_wrong_and_that_whole_numbers_cut_a_step_off_is_said() -> None:
    w = ac.tensor([[1.0, 2.0], [3.0, 4.0]], name="w")
    whole = check(np.zeros((2, 2)), of=ac.sum(w * w), wrt=w)
    assert whole.kind == "wrong" and "whole numbers cuts a small step off" in whole.text
    v = ac.tensor([0.5, 1.5], name="v")
    other = check(np.zeros(2), of=ac.sum(v * v), wrt=v)
    assert other.kind == "wrong" and "whole numbers cuts" not in other.text


# ---- errors, views, the open switches


def test_errors_say_what_to_do(net: dict[str, Any]) -> None:
    loss, w = net["loss"], net["w"]
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (1.0, {"of": loss, "wrt": w}, ValueError, "one number was claimed"),
        (w.grad, {"of": 3.0, "wrt": w}, TypeError, "of must be the loss"),
        (w.grad, {"of": net["o"], "wrt": w}, ValueError, "reduce it"),
        (w.grad, {"of": loss}, TypeError, "with respect to what"),
        ("zz + 1", {"of": loss, "wrt": w}, ValueError, "no tensor named 'zz'"),
        (lambda q: q, {"of": loss, "wrt": w}, ValueError, "asks for 'q'"),
        (w.grad * np.nan, {"of": loss, "wrt": w}, ValueError, "nan"),
        (w.grad, {"of": loss, "wrt": ac.tensor([1.0])}, ValueError, "check: wrt"),
        (w.grad, {"of": loss, "wrt": w, "rtol": 2}, ValueError, "rtol=2"),
        ({"no": w.grad}, {"of": loss}, ValueError, "not a tensor of this tape"),
    ]
    for claim, settings, kind, text in cases:
        with pytest.raises(kind, match=text):
            check(claim, **settings)


def test_a_verdict_shows_itself(net: dict[str, Any]) -> None:
    verdict = check(net["w"].grad[::-1, ::-1], of=net["loss"], wrt=net["w"])
    shown = verdict._repr_mimebundle_()
    assert shown["text/plain"] == verdict.text == repr(verdict)
    assert "<details>" in shown["text/html"] and "rotating it by 180 degrees" in shown["text/html"]
    assert verdict.latex and isinstance(verdict.latex, str)
    assert "18 of 18 elements" in verdict.text


def test_break_it_shows_the_first_line_that_differs(net: dict[str, Any]) -> None:
    broken = break_it(net["loss"], "kernel not rotated", names=net)
    assert broken.first.line.primitive.name == "windows"
    assert np.allclose(broken.true["w"], net["w"].grad) and np.allclose(broken.broken["w"], net["w"].grad)
    assert not np.allclose(broken.broken["x"], broken.true["x"]) and "> " in broken.text
    for mistake, at, text in (
        ("no such", None, "none called"),
        ("kernel not rotated", net["b"], "cannot be made there"),
    ):
        with pytest.raises(ValueError, match=text):
            break_it(net["loss"], mistake, at=at)


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("groups", [1, 2])
def test_certificates_agree_three_ways(layout: str, groups: int) -> None:
    rng = np.random.default_rng(2)
    last = layout == "channels_last"
    x = ac.tensor(rng.normal(size=(2, 6, 7, 2) if last else (2, 2, 6, 7)), name="x")
    w = ac.tensor(rng.normal(size=(3, 2, 2 // groups, 4) if last else (4, 2 // groups, 3, 2)), name="w")
    b = ac.tensor(rng.normal(size=4), name="b")
    o = ac.conv2d(x, w, b, stride=2, padding=1, dilation=(1, 2), groups=groups, layout=layout, flip=True)
    m = ac.avg_pool2d(ac.tanh(o), 2, stride=1, layout=layout)
    loss = ac.sum(m * m)
    for tensor in (x, w, b):
        made = certificate(loss, tensor)
        assert made and made.closed is not None and np.allclose(made.closed, made.gradient, rtol=1e-10)
        assert 1e-8 < made.step < 1e-2 and len(made.curve) == 12
    assert certificate(ac.sum(ac.max_pool2d(o, 2, stride=1, layout=layout) ** 2), o).closed is not None


# ---- the doors


def test_the_output_comes_first_or_by_name() -> None:
    w = ac.tensor([1.0, 2.0], name="w")
    y = ac.sum(w**2)
    by_place, by_name = ac.check(y, "2*w", wrt=w), ac.check("2*w", of=y, wrt=w)
    assert by_place.kind == "right" and by_place.text == by_name.text == ac.check(claim="2*w", of=y, wrt=w).text
    assert ac.check(y, ac.tensor([2.0, 4.0]), wrt=w) and ac.check(y, {w: [2.0, 4.0]})
    with pytest.warns(DeprecationWarning, match="the output comes first"):
        assert ac.check([2.0, 4.0], y, w).kind == "right"
    with pytest.raises(TypeError, match="the claim alone stands first"):
        ac.check(y, "2*w", of=y, wrt=w)
    for alone in (y, "2*w"):
        with pytest.raises(TypeError, match="give the output and the claim"):
            ac.check(alone, wrt=w)


def test_a_variant_was_called_a_way() -> None:
    w = ac.tensor([1.0, 2.0], name="w")
    y = ac.sum(w * w)
    broken = ac.break_it(y, "only one of several paths", variant="only the first")
    with pytest.warns(DeprecationWarning, match="variant="):
        before = ac.break_it(y, "only one of several paths", way="only the first")
    assert broken.text == before.text and broken.variant == "only the first" in broken.variants


@pytest.mark.parametrize("convolution", [ac.conv1d, ac.conv2d, ac.conv3d, ac.conv_transpose2d])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_every_letter_of_a_convolution_has_its_role(convolution: Any, groups: int, layout: str) -> None:
    """The tutor reads a convolution by the letters that it is written in; here by the sizes of its axes,
    all different."""
    dims, last = int(convolution.__name__[-2]), layout == "channels_last"
    space, window, made = (9, 10, 11)[:dims], (2, 3, 4)[:dims], 12
    inside = 14 if "transpose" not in convolution.__name__ else made
    x = ac.tensor(np.ones((13, *space, inside) if last else (13, inside, *space)))
    outside = made if inside == 14 else 14
    inner, outer = (inside // groups, outside) if inside == 14 else (outside // groups, inside)
    kernel = ac.tensor(np.ones((*window, inner, outer) if last else (outer, inner, *window)))
    (line,) = [line for line in Tape(convolution(x, kernel, groups=groups, layout=layout)) if line.params.get("spec")]
    reads, weighs = line.params["spec"].split("->")[0].split(",")
    size = dict(zip(reads + weighs, line.operands[0].shape + line.operands[1].shape, strict=True))
    roles = {letter: AXIS_ROLES[letter] for letter in size}
    assert [n for c, n in size.items() if roles[c] == "batch"] == [13]
    assert sorted(n for c, n in size.items() if roles[c] == "window") == list(window)
    assert [n for c, n in size.items() if roles[c] == "groups"] == ([groups] if groups > 1 else [])
    assert len([c for c in size if roles[c] == "positions"]) == dims
    assert [c for c in size if roles[c] == "channels"] == ["c"] and [c for c in size if roles[c] == "filters"] == ["o"]


DOORS = [ac.check, ac.certificate, ac.break_it, ac.mistakes, ac.exercise, ac.exercise_key, Verdict, Key]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_the_examples_of_the_doors_are_true(door: Any) -> None:
    place = vars(sys.modules[door.__module__])
    (examples,) = doctest.DocTestFinder(recurse=False).find(door, door.__name__, globs=dict(place))
    assert examples.examples and not doctest.DocTestRunner().run(examples).failed
