"""ac.explain: terms, totals, symbols and reasons, against hand-worked numbers and the sweep."""

from __future__ import annotations

import csv
import gc
import io
import re
import weakref
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import autoconv as ac
from autoconv.render.text import clean
from autoconv.views.element import parse_at
from autoconv.views.equations.analysis import analysed
from autoconv.views.equations.explain import explain, explain_text


def learner():
    """i 3x3, w1 2x2, o1 = i * w1, w2 2x2, o2 = o1 * w2, C = (o2 - y)^2, with single letters and flat subscripts."""
    flat = {"subscripts": "flat"}
    i = ac.tensor(np.arange(1.0, 10).reshape(3, 3), name="i", **flat)
    w1 = ac.tensor([[1.0, 2], [3, 4]], name="w1", **flat)
    w2 = ac.tensor([[1.0, -1], [2, 0.5]], name="w2", **flat)
    y = ac.tensor(3.0, name="y")
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    C = ((o2 - y) ** 2).sum()
    for tensor, name in ((o1, "o1"), (o2, "o2"), (C, "C")):
        tensor.name, tensor.subscripts = name, "flat"
    return i, w1, w2, o1, o2, C


def test_the_learners_example_is_a_sum_of_products():
    """By hand: o1 = 37 47 67 77, o2 = 37 - 47 + 134 + 38.5 = 162.5, 2 (o2 - y) = 319, d = 319 -319 638 159.5."""
    _, w1, *_, C = learner()
    made = explain(w1[0, 0], of=C)
    assert made.text.splitlines() == [
        "dC/dw1_1 = i_1 d_1 + i_2 d_2 + i_4 d_3 + i_5 d_4",
        "         = 1·319 + 2·(-319) + 4·638 + 5·159.5",
        "         = 3030.5",
        "  with d_k = dC/do1_k",
        "  d_1 = w2_1 2(o2 - y) = 1·319 = 319",
        "  d_2 = w2_2 2(o2 - y) = (-1)·319 = -319",
        "  d_3 = w2_3 2(o2 - y) = 2·319 = 638",
        "  d_4 = w2_4 2(o2 - y) = 0.5·319 = 159.5",
    ]
    assert [(t.local, t.upstream, t.product, t.output, t.position) for t in made.terms] == [
        (1, 319, 319, "o1_1", (0, 0)), (2, -319, -638, "o1_2", (0, 1)),
        (4, 638, 2552, "o1_3", (1, 0)), (5, 159.5, 797.5, "o1_4", (1, 1)),
    ]  # fmt: skip
    assert made.total == 3030.5
    assert made.terms[1].derivative == "dC/do1_2" and made.terms[1].upstream_symbol == "d_2"
    assert made.terms[0].opened.total == 319


def test_depth_says_how_many_levels_are_written():
    _, w1, *_, C = learner()
    assert "d_1 =" not in explain(w1[0, 0], of=C, depth=1).text
    assert "d_1 = w2_1 2(o2 - y)" in explain(w1[0, 0], of=C, depth=2).text
    for depth in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match="depth"):
            explain(w1[0, 0], of=C, depth=depth)


def test_other_elements_of_the_learners_example():
    i, _, w2, o1, o2, C = learner()
    assert explain(i[1, 1], of=C).text.startswith("dC/di_5 = w1_4 d_1 + w1_3 d_2 + w1_2 d_3 + w1_1 d_4\n")
    assert explain(w2[1, 0], of=C).text.splitlines()[0] == "dC/dw2_3 = o1_3 d"
    assert explain(o1[0, 1], of=C).text.splitlines()[0] == "dC/do1_2 = w2_2 d"
    assert explain(o2, of=C).text.splitlines() == ["dC/do2 = 2(o2 - y)", "       = 319"]
    assert explain(C, of=C).total == 1 and explain(C, of=C).reason is None


def layer(seed=0, channels=3, kernels=16):
    rng = np.random.default_rng(seed)
    x = ac.tensor(rng.normal(size=(5, 5, channels)), name="x")
    w = ac.tensor(rng.normal(size=(3, 3, channels, kernels)), name="w")
    b = ac.tensor(rng.normal(size=kernels), name="b")
    y = ac.conv2d(x, w, b)
    loss = (y * rng.normal(size=y.shape)).sum()
    return x, w, b, y, loss


@pytest.mark.parametrize(("name", "index", "count", "pattern"), [
    ("w", (1, 2, 0, 7), 9, "Σ(i=0..2, j=0..2) d[i,j,7] x[i+1,j+2,0]"),
    ("x", (0, 0, 1), 16, "Σ(i=0..15) d[0,0,i] w[0,0,1,i]"),
    ("x", (2, 2, 2), 144, "Σ(i=0..2, j=0..2, k=0..15) d[i,j,k] w[2-i,2-j,2,k]"),
    ("b", (7,), 9, "Σ(i=0..2, j=0..2) d[i,j,7]"),
])  # fmt: skip
def test_the_layer_of_sixteen_kernels(name, index, count, pattern):
    x, w, b, y, loss = layer()
    y.name = "y"
    thing = {"x": x, "w": w, "b": b}[name]
    made = explain(thing[index], of=loss)
    (gradient,) = ac.sweep(loss, [thing])
    assert len(made.terms) == count and made.pattern == pattern
    assert made.total == pytest.approx(gradient[index], rel=1e-12)
    assert sum(t.product for t in made.terms) == pytest.approx(gradient[index], rel=1e-12)
    first = made.text.splitlines()[0]
    assert (pattern in first and f"({count} terms)" in first) == (count > 12)


NETS = {
    "pooled": lambda x, w: ac.max_pool2d(ac.relu(ac.conv2d(x, w, padding=1)), 2).sum(),
    "strided": lambda x, w: (ac.conv2d(x, w, stride=2, padding="same") ** 2).sum(),
    "dilated": lambda x, w: ac.tanh(ac.conv2d(x, w, dilation=2)).sum(),
    "flipped": lambda x, w: ac.sigmoid(ac.conv2d(x, w, flip=True)).mean(),
    "averaged": lambda x, w: ac.avg_pool2d(ac.conv2d(x, w), 2, stride=1).sum(),
    "transposed": lambda x, w: (ac.conv_transpose2d(x, w, stride=2) ** 2).sum(),
    "classified": lambda x, w: ac.losses.cross_entropy(ac.flatten(ac.conv2d(x, w)).reshape((1, -1)), np.array([3])),
    "softmaxed": lambda x, w: ac.softmax(ac.conv2d(x, w).reshape((-1,)))[2],
    "twice": lambda x, w: (ac.conv2d(x, w) * ac.conv2d(x, w) + ac.gelu(ac.conv2d(x, w))).sum(),
    "matrix": lambda x, w: ((ac.conv_matrix(w, (5, 5)) @ x.reshape((25,))) ** 2).sum(),
}


@pytest.mark.parametrize("net", NETS)
def test_terms_and_total_are_the_gradient_of_the_sweep(net):
    rng = np.random.default_rng(5)
    x, w = ac.tensor(rng.normal(size=(5, 5)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="w")
    loss = NETS[net](x, w)
    gradients = ac.sweep(loss, [x, w])
    for thing, gradient in zip((x, w), gradients, strict=True):
        for index in np.ndindex(*thing.shape):
            made = explain(thing[index], of=loss)
            assert made.total == pytest.approx(gradient[index], rel=1e-9, abs=1e-12)
            assert sum(t.product for t in made.terms) == pytest.approx(gradient[index], rel=1e-9, abs=1e-12)
    for text in (made.text, made.latex, made.markdown, made.html, made.csv):
        assert text
    ElementTree.fromstring(made.mathml)


def test_every_level_adds_up_to_the_cotangent_above_it():
    rng = np.random.default_rng(1)
    x, w = ac.tensor(rng.normal(size=(6, 6)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="w")
    loss = ac.losses.mse(ac.max_pool2d(ac.relu(ac.conv2d(x, w)), 2), rng.normal(size=(2, 2)))
    waiting, levels = [(explain(w[0, 0], of=loss).terms, explain(w[0, 0], of=loss).total)], 0
    while waiting:
        terms, total = waiting.pop()
        assert sum(t.product for t in terms) == pytest.approx(total, abs=1e-14)
        waiting += [(t.opened.terms, t.upstream) for t in terms if t.opened]
        levels += 1
    assert levels > 10


def test_exact_fractions_stay_exact():
    x = ac.tensor(np.array([[1, 2], [3, 4]], dtype=object) / 3, name="x")
    loss = (x * x).sum() / 7
    made = explain(x[1, 0], of=loss)
    assert made.total == Fraction(2, 7) and isinstance(made.total, Fraction)
    assert sum(t.product for t in made.terms) == Fraction(2, 7)
    assert "2/7" in made.text and r"\frac{2}{7}" in made.latex


SLOPES = [
    (lambda x: ac.relu(x).sum(), "relu'(x[1])"),
    (lambda x: ac.sigmoid(x).sum(), "sigmoid'(x[1])"),
    (lambda x: ac.exp(x).sum(), "e^x[1]"),
    (lambda x: ac.tanh(x).sum(), "1 - (tanh x[1])^2"),
    (lambda x: (x**3).sum(), "3 x[1]^2"),
    (lambda x: (5 * x).sum(), "5"),
    (lambda x: (1 - x).sum(), "-1"),
    (lambda x: ac.log(x).sum(), "1 / x[1]"),
    (lambda x: ac.maximum(x, 1.0).sum(), "∂max(x[1], 1)/∂x[1]"),
    (lambda x: ac.losses.half_squared_error(x, np.zeros(3)), "-(0 - x[1])"),
]


@pytest.mark.parametrize(("net", "symbol"), SLOPES, ids=[s for _, s in SLOPES])
def test_local_derivatives_are_the_rows_own_rules(net, symbol):
    x = ac.tensor([0.5, 2.0, 3.0], name="x")
    (term,) = explain(x[1], of=net(x)).terms
    assert term.local_symbol == symbol


def zeros():
    x = ac.tensor(np.arange(1.0, 17).reshape(4, 4), name="x")
    one, w = ac.tensor(np.ones((1, 1)), name="one"), ac.tensor(np.ones((3, 3)), name="w")
    v = ac.tensor([-1.0, 30.0, 800.0, 2.0], name="v")
    r = ac.relu(x)
    return {
        "stride": (x[0, 1], ac.conv2d(x, np.ones((1, 1)), stride=2).sum(), "never read: the stride skips it"),
        "index": (x[0, 1], x[2:].sum(), "never read: no index"),
        "padding": (w[0, 0], ac.conv2d(one, w, padding=1).sum(), "meets only padding"),
        "max": (x[0, 0], ac.max_pool2d(x, 2).sum(), "lost every max"),
        "max of a relu": (r[0, 0], ac.max_pool2d(r, 2).sum(), "lost every max: another element won in max_pool2d"),
        "relu": (v[0], ac.relu(v).sum(), "inactive relu"),
        "maximum": (v[0], ac.maximum(v, 0).sum(), "inactive maximum"),
        "tanh": (v[1], ac.tanh(v).sum(), "saturated"),
        "sigmoid": (v[2], ac.sigmoid(v).sum(), "saturated"),
        "cancel": (v[3], (3 * v).sum() - (3 * v).sum(), "terms that cancel"),
        "cancel in one line": (v[3], (v - v).sum(), "terms that cancel"),
        "by itself": (v[3], (v / v).sum(), "terms that cancel"),
        "by itself further on": (v[3], (ac.exp(v[3]) / ac.exp(v[3])) * 2, "terms that cancel"),
        "stopped": (v[3], (ac.stop_gradient(v) * v[:1]).sum(), "no path: cut by stop_gradient"),
        "elsewhere": (v[3], x.sum(), "no path: L was not computed from it"),
        "zero": (v[3], (v * 0.0).sum(), "multiplied by 0"),
        "black image": (w[1, 1], ac.conv2d(0 * x, w).sum(), "multiplied by 0 in conv2d"),
        "deep relu": (x[0, 0], ac.relu(-ac.conv2d(x, np.ones((2, 2)))).sum(), "inactive relu"),
        "where": (v[0], ac.where(v.value > 0, v, 0.0).sum(), "not chosen by where"),
    }


@pytest.mark.parametrize("case", zeros())
def test_a_zero_gradient_has_its_reason(case):
    thing, loss, reason = zeros()[case]
    made = explain(thing, of=loss)
    assert made.total == 0
    assert made.reason is not None and made.reason.startswith(reason), made.reason
    assert reason in made.text and "ero" in made.html
    assert explain_again(made) is None


def explain_again(made):
    """A gradient that is not zero has no reason."""
    x = ac.tensor([1.0, 2.0])
    return explain(x[0], of=(x * x).sum()).reason


def test_names_come_from_the_tensor_then_from_variables_then_from_the_tape():
    w, x = ac.tensor([1.0, 2.0]), ac.tensor([3.0, 4.0])
    loss = ac.sum(w * x)
    names = {"w": w, "x": x, "loss": loss}
    assert explain(w[0], of=loss, names=names).text.startswith("dloss/dw[0] = x[0] d[0]")
    assert explain(w[0], of=loss).text.startswith("dL/d%0[0] = %1[0] d[0]")
    w.name = "weight"
    assert explain(w[0], of=loss, names=names).name == "weight[0]"


def test_numbers_that_are_not_finite_are_shown():
    x = ac.tensor([0.0, 1.0], name="x")
    made = explain(x[0], of=ac.sqrt(x).sum())
    assert made.total == np.inf and "inf" in made.text and r"\infty" in made.latex and "∞" in made.mathml
    with np.errstate(all="ignore"):
        product = ac.sum(x * np.inf)
    made = explain(product, of=product * product)
    assert np.isnan(made.total) and "nan" in made.text and "nan" in made.html


HOSTILE = ["</script><b>", "a_b^{c}", "\\end{aligned}", "x|y*z`", "$x$", 'quote"&', "naïve π", "new\nline"]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_names_are_inert(label):
    x = ac.tensor([[1.0, 2.0]], name=label)
    with ac.scope(label, kind="layer"):
        y = x * x
    made = explain(x[0, 1], of=(y * 2).sum())
    tags = Tags()
    tags.feed(made.html)
    assert not tags.tags & {"script", "b", "img"}
    ElementTree.fromstring(made.mathml)
    assert made.latex.count(r"\begin{aligned}") == made.latex.count(r"\end{aligned}") == 1
    assert "</script>" not in made.latex and "</script>" not in made.markdown
    assert made.latex.replace(r"\{", "").count("{") == made.latex.replace(r"\}", "").count("}")
    rows = list(csv.reader(io.StringIO(made.csv)))
    assert clean(label) in made.text and len(rows) == 2 and all(len(row) == 6 for row in rows)


def test_csv_has_every_term_with_all_digits():
    x, *_, loss = layer(seed=2)
    made = explain(x[2, 2, 0], of=loss)
    rows = list(csv.DictReader(io.StringIO(made.csv)))
    assert [float(row["product"]) for row in rows] == [t.product for t in made.terms]
    assert made.markdown.count("\n|") == 52 and "94 more terms" in made.markdown


def test_a_notebook_gets_five_forms_and_levels_to_open():
    _, w1, *_, C = learner()
    made = explain(w1[0, 0], of=C)
    bundle = made._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/latex", "text/markdown", "text/plain"}
    assert bundle["text/plain"] == repr(made) == made.text
    assert bundle["text/html"].count("<details>") >= 4 and "http://www.w3.org/1998/Math/MathML" in bundle["text/html"]
    assert "src=" not in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert "<details>" not in explain(w1[0, 0], of=C, depth=1).html


def test_an_expanded_tape_and_pairs_are_taken_too():
    _, w1, *_, C = learner()
    flat = ac.expand(C)
    assert explain(w1[0, 0], of=flat).total == explain((w1, (0, 0)), of=C).total == 3030.5


def test_an_element_of_a_layers_output_can_be_explained():
    x, w, _, y, _ = layer(seed=3)
    made = explain(w[0, 0, 0, 5], of=y[1, 2, 5])
    assert made.total == x.value[1, 2, 0] and len(made.terms) == 1


def test_what_was_assigned_since_is_refused_and_then_seen():
    w = ac.tensor([2.0], name="w")
    loss = (w * w).sum()
    first = explain(w[0], of=loss)
    w.assign([5.0])
    with pytest.raises(RuntimeError, match="new value"):
        explain(w[0], of=loss)
    assert first.total == 4 and explain(w[0], of=(w * w).sum()).total == 10


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda w, y: explain(w, of=y.sum()), ValueError, "4 elements are meant"),
    (lambda w, y: explain(w[0, 0], of=y), ValueError, "has 4 elements; give one number"),
    (lambda w, y: explain(3.0, of=y.sum()), TypeError, "expected an element of a Tensor"),
    (lambda w, y: explain(w[0, 0], of=3.0), TypeError, "give the loss"),
    (lambda w, y: explain((y.operands[1], (0, 0)), of=y.sum()), TypeError, "is a constant"),
    (lambda w, y: explain(ac.tensor([1, 2])[0], of=y.sum()), TypeError, "only floating-point"),
])  # fmt: skip
def test_errors_say_what_to_do(call, error, words):
    w = ac.tensor(np.ones((2, 2)), name="w")
    with pytest.raises(error, match=words):
        call(w, w * np.full((2, 2), 3.0))


def test_parse_at_reads_names_and_numbers_only():
    _, w1, *_, C = learner()
    tape = ac.Tape(C)
    place = {id(line): k for k, line in enumerate(tape)}[id(w1)]
    for text, index in (("w1[0,1]", (0, 1)), (" w1 [ 1 , -1 ] ", (1, 1)), (f"%{place}[0,0]", (0, 0))):
        found, at = parse_at(text, tape)
        assert found is w1 and at == index
    assert parse_at("C", tape) == (C, ())
    assert parse_at("o2", tape)[1] == (0, 0)
    v = ac.tensor([1.0])
    assert parse_at("v[0]", ac.Tape(v * 2), {"v": v})[0] is v
    assert explain_text(C, "w1[0,0]") == explain(w1[0, 0], of=C).text


@pytest.mark.parametrize(("at", "words"), [
    ("w9[0,0]", "no tensor is called 'w9'; there are"),
    ("w1[0]", r"shape \(2, 2\)"),
    ("w1[2,0]", r"shape \(2, 2\)"),
    ("w1", r"shape \(2, 2\)"),
    ("w1[a,b]", "whole numbers"),
    ("w1[__import__('os')]", "whole numbers"),
    ("w1[0,0", "cannot read"),
    ("w1[0,0]]", "cannot read"),
    ("", "cannot read"),
    ("%99[0]", "no tensor is called"),
    ("w1[0,99999999999999999999]", "whole numbers"),
])  # fmt: skip
def test_parse_at_refuses_with_the_remedy(at, words):
    *_, C = learner()
    with pytest.raises(ValueError, match=words):
        parse_at(at, ac.Tape(C))


def test_an_expansion_is_kept_only_as_long_as_an_explanation_uses_it():
    x = ac.tensor([1.0, 2.0], name="x")
    loss = (x * x).sum()
    first = explain(x[0], of=loss)
    assert analysed(loss, "explain") is first.context.analysis
    kept = weakref.ref(first.context.analysis)
    del first
    gc.collect()
    assert kept() is None


@pytest.mark.dear
def test_a_long_chain_is_explained_without_recursion():
    x = ac.tensor(1.0, name="x")
    y = x
    for _ in range(5000):
        y = y * 1.0001
    made = explain(x, of=y)
    assert made.total == pytest.approx(1.0001**5000) and made.text and made.html


def test_a_maximum_opens_into_its_definition():
    x = ac.tensor([-1.0, 2.0], name="x")
    term = explain(x[1], of=ac.relu(x).sum()).terms[0]
    assert [d.text for d in term.definitions] == [
        "max(0, x[1]) = (0 + x[1] + |0 - x[1]|) / 2; d/dx[1] = 0.5·(-1)·(-1) + 0.5 = 1"
    ]
    assert "by definition" in explain(x[1], of=ac.relu(x).sum()).html
    tied = ac.tensor([3.0, 3.0], name="x")
    term = explain(tied[0], of=ac.maximum(tied, 3.0).sum()).terms[0]
    assert term.local == 0.5 and term.definitions[0].text.endswith("= 0.5")
    assert explain(x[1], of=ac.exp(x).sum()).terms[0].definitions == ()
    for definition in term.definitions:
        ElementTree.fromstring(explain(tied[0], of=tied.sum()).mathml)
        assert definition.latex.count("{") == definition.latex.count("}")


def test_a_long_sum_shows_its_largest_terms_and_why_others_are_zero():
    x = ac.tensor([1.0, 2.0], name="x")
    weights = np.array([0.5, -8.0, 1.0, 2.0, 7.0, -3.0, 0.25, 6.0, 1.0, 1.0, 1.0, -5.0, 4.0, 1.5, 0.0, -2.0])
    loss = ac.sum(x[0] * weights)
    made = explain(x[0], of=loss, names={"v": weights})
    assert made.text.splitlines()[:3] == [
        "dL/dx[0] = Σ(i=0..15) d[i] v[i]   (16 terms)",
        "         = v[1] d[1] + v[4] d[4] + v[7] d[7] + v[11] d[11] + ...",
        "         = (-8)·1 + 7·1 + 6·1 + (-5)·1 + ...",
    ]
    assert "  1 of 16 terms is 0: multiplied by 0 in mul" in made.text.splitlines()
    assert [t.product for t in made.terms] == weights.tolist() and "1 of 16 terms is 0" in made.html
    assert r"d_{1} + " in made.latex.replace(r"\delta", "d") and r"\cdots" in made.latex


@pytest.mark.parametrize(("dead", "said"), [
    (0, None), (1, None), (2, None), (3, "3 of 6 terms are 0: inactive relu: its operand lies on the flat side"),
    (5, "5 of 6 terms are 0: inactive relu: its operand lies on the flat side"),
])  # fmt: skip
def test_a_few_zeros_stand_among_the_terms_and_more_are_folded(dead, said):
    x = ac.tensor(1.0, name="x")
    signs = np.array([-1.0] * dead + [1.0 + k for k in range(6 - dead)])
    lines = explain(x, of=ac.relu(x * signs).sum()).text.splitlines()
    folded = [line.strip() for line in lines if line.startswith("  ") and " terms " in line]
    assert lines[0].count(" + ") == (5 if said is None else 5 - dead)
    assert folded == ([said] if said else [])


def test_a_padded_image_of_plain_numbers_is_read_like_a_tensor():
    rng = np.random.default_rng(4)
    image, w = rng.normal(size=(1, 6, 7, 2)), ac.tensor(rng.normal(size=(3, 3, 2, 1)), name="w")
    texts = []
    for x in (image, ac.tensor(image, name="image")):
        y = ac.conv2d(x, w, padding=1, stride=2)
        y.name = "y"
        texts.append(explain(w[0, 1, 1, 0], of=ac.sum(y), names={"image": image}).pattern)
    assert texts == ["Σ(i=1..2, j=0..3) d[0,i,j,0] image[0,2i-1,2j,1]"] * 2


def test_a_page_of_its_own_opens_what_a_notebook_leaves_out(tmp_path):
    """A kernel element of a 20 x 20 image: 324 terms, none of them 0; in a notebook 70 rows, in the page all."""
    rng = np.random.default_rng(0)
    x, k = ac.tensor(rng.normal(size=(20, 20)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="k")
    y = ac.conv2d(x, k)
    loss = ac.sum(y * y)
    made = ac.explain(k[1, 1], of=loss, names={"y": y})
    rows = lambda html: html.count('class="ac-row"')
    page = made.save(tmp_path / "explain.html").read_text(encoding="utf-8")
    smallest = min(made.terms, key=lambda term: abs(term.product)).output
    assert len(made.terms) == 324 and f">{smallest}<" in page and f">{smallest}<" not in made.html
    assert rows(made.html) < 130 and rows(page) >= 324 and "in .terms and .csv" not in page
    value = ac.explain(loss, names={"y": y}).save(tmp_path / "value.html").read_text(encoding="utf-8")
    assert "all 324 terms" in value and rows(value) == 324
    assert "<details" not in ac.explain(y[0, 0]).save(tmp_path / "short.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda x: x * 1.0001, "x[0] 1.0001"),
        (lambda x: x * 0.044715, "x[0] 0.044715"),
        (lambda x: x + 12345.678, "x[0] + 12345.678"),
        (lambda x: x * (2 / 3), "x[0] 0.6667"),
        (lambda x: x / 1.00000001, "x[0] / 1.00000001"),
        (lambda x: x * -1.00005, "-1.00005"),
    ],
)
def test_a_constant_is_written_as_the_program_has_it(made: Any, words: str) -> None:
    x = ac.tensor([3.0, 4.0], name="x", requires_grad=True)
    text = ac.explain(made(x)[0]).text
    assert words in text.splitlines()[0], text


def test_a_slope_that_is_almost_one_is_not_left_out() -> None:
    x = ac.tensor([3.0, 4.0], name="x", requires_grad=True)
    y = (x * 1.0001 * 1.0001).sum()
    assert ac.explain(y, x[0]).text.startswith("dL/dx[0] = 1.0002 d[0]")


@pytest.mark.dear
@pytest.mark.parametrize(
    ("step", "last"),
    [
        (lambda y, x: y * 1.0001, r"L = %\d+\[0\] 1\.0001"),
        (lambda y, x: ac.sin(y) + x, r"L = %\d+\[0\] \+ x\[0\]"),
        (lambda y, x: ac.maximum(y - 0.1, x), r"L = max\(%\d+\[0\], x\[0\]\)"),
        (lambda y, x: ac.exp(-y), r"L = e\^.*%\d+\[0\]|L = exp\(.*%\d+\[0\]"),
    ],
)
def test_a_formula_too_long_to_write_is_told_by_its_last_step(step: Any, last: str) -> None:
    x = ac.tensor([0.5, 2.0], name="x", requires_grad=True)
    y = x
    for _ in range(1000):
        y = step(y, x)
    text = ac.explain(y[0]).text
    assert re.match(last, text), text[:200]
    assert "()" not in text and len(text) < 5000
