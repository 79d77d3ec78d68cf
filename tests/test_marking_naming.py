"""Bugs in functions: every one found, and named by its name first, as a rate over many that were written by hand.

Their numbers are what is named here (``repair=0``); what their source says is ``test_marking_repair``'s.
"""

import itertools

import numpy as np
import pytest
from helpers.students import from_loops, held_out, right, vectorised

import autoconv as ac

LOOPS, WRITTEN, OTHERS = (list(module.students()) for module in (from_loops, vectorised, held_out))
STEP = 3  # one in so many is tried: each takes a quarter of a second


def marked(student):
    """The judgement of the gradient in which the bug is; nothing else of these functions is wrong."""
    forward = None if str(student.like).endswith("loss") else student.forward
    verdict = ac.check_backward(student.backward, forward, like=student.like, repair=0)
    assert not verdict
    return verdict[student.gradient]


def rate(students):
    """The share that is named by its right name; one that is called right fails the test."""
    named = []
    for student in students:
        part = marked(student)
        assert not part.right, student.label
        if student.names:
            named.append((part.mistake in student.names.split("|"), student.label, part.mistake))
    return sum(ok for ok, *_ in named) / len(named), [row[1:] for row in named if not row[0]]


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("part", range(4))
def test_bugs_in_loops_are_found_and_named(part):
    share, others = rate(LOOPS[part :: 4 * STEP])
    assert share >= 0.95, others


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("part", range(2))
def test_bugs_of_people_who_write_without_loops_are_found_and_named(part):
    share, others = rate(WRITTEN[part :: 2 * STEP])
    assert share >= 0.95, others


@pytest.mark.quick(0)
def test_bugs_that_the_bank_was_not_made_for_are_found_and_mostly_named():
    share, others = rate(OTHERS[::2])
    assert share >= 0.85, others


def test_there_are_at_least_12_bugs_for_each_kind_of_layer():
    kinds = {"conv": 12, "transposed": 12, "max pool": 12, "avg pool": 12, "batchnorm": 12, "layernorm": 12,
             "spatial": 12, "softmax": 12, "cross entropy": 12, "affine": 12}  # fmt: skip
    for kind, least in kinds.items():
        assert len({s.label for s in LOOPS if kind in s.label}) >= least, kind


# ---- never a story


def _random(seed):
    """A function of the right shapes that has nothing to do with the layer."""

    def backward(dout, cache):
        x, w, b, _ = cache
        rng = np.random.default_rng(seed)
        mix = [np.cos(7 * x + dout.sum()), np.tanh(w * rng.normal(size=w.shape)), np.sin(b) + dout.mean()]
        return tuple(m + rng.normal(size=m.shape) for m in mix)

    return backward


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("seed", range(4))
def test_a_random_function_has_no_story(seed):
    v = ac.check_backward(_random(seed), right.conv_forward_einsum, like="cs231n.conv")
    assert all(v[g].mistake is None and not v[g].right for g in ("dx", "dw", "db")), v.text


TRIPLES = [  # three changes of a right gradient of an input, one after the other
    (lambda g, x, d: g[..., ::-1, :], lambda g, x, d: g * np.abs(x) ** 0.5, lambda g, x, d: g + 0.3),
    (lambda g, x, d: np.roll(g, 1, 2), lambda g, x, d: np.tanh(g), lambda g, x, d: 0.7 * g - x**2),
    (lambda g, x, d: g * (x > 0.2), lambda g, x, d: g + np.roll(x, 1, 3), lambda g, x, d: -g[:, :, :, ::-1]),
    (lambda g, x, d: np.sort(g, axis=3), lambda g, x, d: g * 1.01, lambda g, x, d: g + d.mean() * x),
]  # fmt: skip


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("changes", TRIPLES)
def test_three_mistakes_at_once_have_no_story(changes):
    def backward(dout, cache):
        dx, dw, db = right.conv_backward_einsum(dout, cache)
        for change in changes:
            dx = change(dx, cache[0], dout)
        return dx, dw, db

    v = ac.check_backward(backward, right.conv_forward_einsum, like="cs231n.conv", repair=0)
    assert v["dx"].mistake is None and not v["dx"].right, v.text
    assert v["dw"].right and v["db"].right


class Several(frozenset):
    """Bugs planted together: equal to each of them."""

    __hash__ = frozenset.__hash__

    def __eq__(self, other):
        return other in self


SEVERAL = [b for b, (g, _) in vectorised.CONV.items() if g == "dx" and "alone" not in b and "whole" not in b]


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("chosen", list(itertools.combinations(SEVERAL, 3))[3::15])
def test_three_mistakes_of_the_bank_are_no_other_one(chosen):
    """Nothing that is none of the three is told; two of them may hide the third, so that one or two are named."""
    student = vectorised.conv_backward(Several(chosen))
    v = ac.check_backward(student, right.conv_forward_einsum, like="cs231n.conv", repair=0)
    own = {name for bug in chosen for name in vectorised.CONV[bug][1].split("|")}
    assert not v["dx"].right
    assert v["dx"].mistake is None or set(v["dx"].mistake.split(" and ")) <= own, (chosen, v["dx"].text)


@pytest.mark.dear
def test_an_axis_told_by_its_size_is_found_where_all_sizes_are_alike():
    """dgamma is summed over other axes only where the width equals the number of channels."""

    def forward(x, gamma, beta, bn_param):
        eps = bn_param.get("eps", 1e-5)
        std = np.sqrt(x.var((0, 2, 3), keepdims=True) + eps)
        hat = (x - x.mean((0, 2, 3), keepdims=True)) / std
        return hat * gamma.reshape(1, -1, 1, 1) + beta.reshape(1, -1, 1, 1), (hat, gamma, std)

    def backward(dout, cache):
        hat, gamma, std = cache
        last = dout.shape[-1] == gamma.size
        d, axes = dout * gamma.reshape(1, -1, 1, 1), (0, 2, 3)
        dx = (d - d.mean(axes, keepdims=True) - hat * (d * hat).mean(axes, keepdims=True)) / std
        return dx, (dout * hat).sum((0, 1, 2) if last else axes), dout.sum(axes)

    v = ac.check_backward(backward, forward, like="cs231n.spatial_batchnorm")
    assert v["dx"].right and v["dbeta"].right and not v["dgamma"].right
    assert v["dgamma"].mistake == "a vector along the wrong axis", v.text
