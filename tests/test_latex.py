"""Formulas in LaTeX and text, and their MathML: parentheses, names, numbers, for every row of the table."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest

import autoconv as ac
from autoconv.render.broken import aligned, width
from autoconv.render.element import element_name
from autoconv.render.latex import PRODUCT, SUM, Expression, element, matrix, number, symbol
from autoconv.render.mathml import mathml
from autoconv.views.lines import call, line_latex

A, B = Expression("a", "a"), Expression("b", "b")
PLUS, MINUS = Expression("a + b", "a + b", SUM), Expression("-b", "-b", SUM)


@pytest.mark.parametrize(("row", "operands", "latex", "text"), [
    ("add", (PLUS, A), "a + b + a", "a + b + a"),
    ("sub", (PLUS, PLUS), r"a + b - \left(a + b\right)", "a + b - (a + b)"),
    ("sub", (A, MINUS), r"a - \left(-b\right)", "a - (-b)"),
    ("mul", (PLUS, A), r"\left(a + b\right) \cdot a", "(a + b) · a"),
    ("div", (PLUS, PLUS), r"\frac{a + b}{a + b}", "(a + b) / (a + b)"),
    ("neg", (PLUS,), r"-\left(a + b\right)", "-(a + b)"),
    ("power", (MINUS, PLUS), r"\left(-b\right)^{a + b}", "(-b)^(a + b)"),
    ("exp", (PLUS,), "e^{a + b}", "e^(a + b)"),
    ("log", (PLUS,), r"\ln \left(a + b\right)", "ln (a + b)"),
    ("log", (A,), r"\ln a", "ln a"),
    ("sqrt", (PLUS,), r"\sqrt{a + b}", "√(a + b)"),
    ("abs", (PLUS,), r"\left|a + b\right|", "|a + b|"),
    ("maximum", (PLUS, MINUS), r"\max(a + b, -b)", "max(a + b, -b)"),
    ("greater", (PLUS, A), "[a + b > a]", "[a + b > a]"),
    ("contract", (PLUS, PLUS), r"\textstyle\sum \left(a + b\right) \, \left(a + b\right)", "Σ (a + b) (a + b)"),
    ("concat", (A, B), r"\operatorname{concat} \left(a, b\right)", "concat (a, b)"),
])  # fmt: skip
def test_parentheses_by_precedence(row, operands, latex, text):
    made = call(ac.TABLE[row], operands)
    assert (made.latex, made.text) == (latex, text)


@pytest.mark.parametrize("row", ac.TABLE)
def test_every_row_has_a_formula_that_becomes_mathml(row):
    operands, params = ac.TABLE[row].example(np.random.default_rng(0))
    for given in ([A, B, A][: len(operands)], [PLUS] * len(operands)):
        made = call(ac.TABLE[row], given, params)
        assert made.latex.count("{") == made.latex.count("}")
        assert given[0].text in made.text
        tree = ElementTree.fromstring(mathml(made.latex))
        assert tree.tag.endswith("math") and "".join(tree.itertext())


def test_a_product_of_products_needs_no_parentheses():
    product = call(ac.TABLE["mul"], [A, B])
    assert product.binds == PRODUCT and call(ac.TABLE["mul"], [product, A]).latex == r"a \cdot b \cdot a"
    fraction = call(ac.TABLE["div"], [A, B])
    assert call(ac.TABLE["power"], [fraction, A]).latex == r"\left(\frac{a}{b}\right)^{a}"


def test_a_line_in_names_and_in_numbers():
    w, x = ac.tensor(2.0, name="w"), ac.tensor(-3.0)
    y = w - x
    assert line_latex(y, {id(x): "x"}) == "w - x"
    assert line_latex(y, {id(x): "x"}, numbers=True) == r"2 - \left(-3\right)"
    assert line_latex(y, {}) == r"w - \square "
    half = w / 2
    assert line_latex(half, {}) == r"\frac{w}{2}"
    v = ac.tensor([[1.0, 0.5]], name="v")
    assert line_latex(ac.exp(v), {}, numbers=True) == r"e^{\begin{bmatrix} 1 & 0.5 \end{bmatrix}}"
    assert r"\text{(axis=(0, 1))}" in line_latex(v.sum(), {})
    assert line_latex(v[0, 1], {}) == r"v_{\text{[0, 1]}}"
    assert line_latex(w, {}) == "w" and line_latex(w, {}, numbers=True) == "2"


@pytest.mark.parametrize(("value", "latex"), [
    (0.25, "0.25"), (1e-7, r"1 \cdot 10^{-7}"), (123456.0, r"1.235 \cdot 10^{5}"), (np.inf, r"\infty "),
    (-np.inf, r"-\infty "), (np.nan, r"\text{nan}"), (Fraction(-1, 3), r"-\frac{1}{3}"), (7, "7"),
    (True, r"\text{true}"),
])  # fmt: skip
def test_numbers(value, latex):
    assert number(value) == latex
    ElementTree.fromstring(mathml(latex))


@pytest.mark.parametrize(("name", "latex", "shown"), [
    ("w", "w", "w"), ("w1", r"\mathrm{w1}", "w1"), ("delta", r"\delta ", "δ"), ("a_b", r"\mathrm{a\_b}", "a_b"),
    ("</script><b>", r"\mathrm{{<}/script{>}{<}b{>}}", "</script><b>"),
    ("a\\b{c}", r"\mathrm{a\backslash b\{c\}}", "a\\b{c}"),
    ("50%", r"\mathrm{50\%}", "50%"), ("π", "π", "π"), ("x y", r"\mathrm{x\ y}", "x y"), ("$x^2$&#~", None, "$x∧2$&#∼"),
])  # fmt: skip
def test_names_are_escaped(name, latex, shown):
    made = symbol(name).latex
    assert latex in (None, made)
    tree = ElementTree.fromstring(mathml(made))
    assert [node.text for node in tree.iter() if node.tag.endswith("}mi")] == [shown]


def test_elements_of_tensors():
    assert element("w", (0, 1), (2, 2)).latex == "w_{0,1}"
    assert element("w", (0, 1), (2, 2), "flat").latex == "w_{2}"
    assert element("w1", (1, 0), (2, 2), "flat").text == "w1_3"
    assert element("w", (), ()).latex == element("w", (0, 0), (1, 1), "flat").latex == "w"
    assert element_name("w", (0, 1), (2, 2)) == "w[0,1]" and element_name("w", (1, 1), (2, 2), "flat") == "w_4"
    assert element_name("w", (0,), (1,)) == "w[0]" and element_name("w", (), ()) == "w"


def test_matrices():
    assert matrix(np.array([[1.0, -2.5], [0, 3]])) == r"\begin{bmatrix} 1 & -2.5 \\ 0 & 3 \end{bmatrix}"
    tree = ElementTree.fromstring(mathml(matrix(np.eye(2))))
    assert len([n for n in tree.iter() if n.tag.endswith("}mtd")]) == 4


@pytest.mark.parametrize(("latex", "tags"), [
    (r"\frac{a}{b}", ["mfrac"]), ("a^{2}_{1}", ["msubsup"]), (r"\sum_{i=0}^{2} x_{i}", ["munderover", "msub"]),
    (r"\textstyle\sum_{i} x", ["msub"]), (r"\sqrt{x}", ["msqrt"]), (r"\left(a\right)", ["mo"]), ("f'", ["mo"]),
    (r"\unknown{x}", ["mtext"]), ("a^", ["msup"]), ("{", []), (r"\frac{a}", ["mfrac"]), (r"\left(", []), ("}", []),
])  # fmt: skip
def test_any_text_gives_well_formed_mathml(latex, tags):
    tree = ElementTree.fromstring(mathml(latex))
    found = {node.tag.split("}")[1] for node in tree.iter()}
    assert found.issuperset(tags)


def test_mathml_refuses_what_is_too_deep():
    with pytest.raises(ValueError, match="nests more than"):
        mathml("{" * 500)


# most characters: the rows of y = side = side ..; a sum goes on below from a term on, which is never cut
LINES = [
    (99, ["a + b", "3"], ["y &= a + b = 3"]),
    (7, ["a + b + c", "3"], ["y &= a + b", r"&\quad + c", "&= 3"]),
    (7, ["a - b"], ["y &= a - b"]),
    (4, ["a - b - c"], ["y &= a", r"&\quad - b", r"&\quad - c"]),
    (4, ["-a + b"], ["y &= -a", r"&\quad + b"]),
    (9, [r"\left(a + b + c\right) d + e"], [r"y &= \left(a + b + c\right) d", r"&\quad + e"]),
    (9, [r"w_{i + 1} \cdot (-2) + e + f"], [r"y &= w_{i + 1} \cdot (-2)", r"&\quad + e + f"]),
    (7, [r"\frac{a + b + c}{d} + e"], [r"y &= \frac{a + b + c}{d}", r"&\quad + e"]),
    (4, ["1 \\cdot 10^{-3}"], ["y &= 1 \\cdot 10^{-3}"]),
]


@pytest.mark.parametrize(("most", "sides", "rows"), LINES)
def test_a_long_equation_goes_on_below(most, sides, rows):
    assert aligned("y", sides, most) == rows


@pytest.mark.parametrize(("wider", "than"), [
    ("a + b", "ab"), (r"\mathrm{long}", "a"), ("w_{10}", "w_{1}"),
    (r"\left(a\right)", "a"), (r"\frac{abc}{d}", r"\frac{ab}{d}"), (r"a \quad b", "ab"), (r"\sqrt{a}", "a"),
])  # fmt: skip
def test_what_is_wider(wider, than):
    assert width(wider) > width(than)


def test_words_keep_their_spaces():
    """A browser drops white space at the ends of <mtext>."""
    assert "0.7</mn><mspace" in mathml(r"0.7\text{ over 4}") and "</mtext><mspace" in mathml(r"\text{of }x")
    assert "mspace" not in mathml(r"\text{of x}")
