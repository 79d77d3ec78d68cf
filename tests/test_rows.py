"""A row of the table is all that a primitive needs: every arithmetic row in every exit, and a row that nobody has seen
before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import autoconv as ac
from autoconv.compiled import compile
from autoconv.primitives import TABLE
from autoconv.render.mathml import mathml
from autoconv.scalar import Scalar, expand
from autoconv.scalar.rules import OPERATIONS
from autoconv.views.lines import line_latex

ARITHMETIC = [row for row in TABLE.values() if row.elementwise]
SMOOTH = [row for row in ARITHMETIC if row.differentiable]
ON_SCALARS = [o.primitive for o in OPERATIONS if o.primitive and not o.params]
each = pytest.mark.parametrize("row", ARITHMETIC, ids=lambda row: row.name)


def example(row, shape=(16, 3)):
    """Operands of a batch, at the numbers that the row is tested on; a condition is one of numbers."""
    operands, params = row.example(np.random.default_rng(0))
    return [np.resize(x, shape) for x in operands], params


def differentiable(row):
    return [k for k in range(row.arity) if row.definition or row.vjps[k]]


def check_compiled(row, function):
    """Values, and gradients where there are some, as eager ones; and no note that the machine was left out."""
    operands, params = example(row)
    numbers = [k for k, x in enumerate(operands) if x.dtype.kind == "f"]
    f = lambda *xs: function(
        row(*[xs[numbers.index(k)] if k in numbers else x for k, x in enumerate(operands)], **params)
    )
    program, xs = compile(f), [operands[k] for k in numbers]
    expected = f(*map(ac.tensor, xs))
    for _ in range(2):
        np.testing.assert_allclose(np.asarray(program(*xs)), expected.value, rtol=1e-12)
    assert "left out" not in program.plan
    return f, xs


@each
def test_compiled_in_a_batch_and_between_other_lines(row):
    check_compiled(row, lambda y: ac.where(y > 0, y, 0.5) * 2 + 1)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_compiled_gradients(row):
    f, xs = check_compiled(row, lambda y: (y * y).sum())
    program = compile(f)
    leaves = [ac.tensor(x) for x in xs]
    wanted = ac.sweep(f(*leaves), leaves)
    for _ in range(2):
        _, found = program.value_and_grad(*xs, wrt=tuple(range(len(xs))))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    assert "left out" not in program.plan


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_expanded_into_scalars(row):
    operands, params = example(row, (2,))
    leaves = [ac.tensor(x) for x in operands]
    y = row(*leaves, **params).sum()
    wrt = [leaves[k] for k in differentiable(row)]
    flat, gradients = expand(y), ac.sweep(y, wrt)
    np.testing.assert_allclose(flat.value[flat.output], y.value)
    g = flat.sweep()
    for x, expected in zip(wrt, gradients, strict=True):
        np.testing.assert_allclose(g[flat.scalars(x)].astype(float), expected, rtol=1e-12)


def on_scalars(row, xs):
    """The row by its name: an operator, or a method."""
    operators = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__", "power": "__pow__",
                 "neg": "__neg__", "abs": "__abs__"}  # fmt: skip
    return getattr(xs[0], operators.get(row.name, row.name))(*xs[1:])


@pytest.mark.parametrize("row", ON_SCALARS, ids=lambda row: row.name)
def test_on_scalars_and_compiled_for_floats(row):
    operands, params = row.example(np.random.default_rng(0))
    numbers = [float(x.flat[0]) for x in operands]
    leaves = [ac.tensor(x) for x in numbers]
    y = row(*leaves, **params)
    gradients = [float(g) for g in ac.sweep(y, leaves)]
    xs = [Scalar(x) for x in numbers]
    z = on_scalars(row, xs)
    z.backward()
    np.testing.assert_allclose([z.data, *[x.grad for x in xs]], [y.item(), *gradients], rtol=1e-13)
    assert z.operation == row.name
    flat = expand(z)
    np.testing.assert_allclose(flat.value[flat.output], y.item(), rtol=1e-13)
    program = compile(lambda *xs: on_scalars(row, xs) * 2.0)
    for _ in range(2):
        value, slopes = program.value_and_grad(*numbers, wrt=tuple(range(len(numbers))))
        np.testing.assert_allclose([value, *slopes], 2 * np.array([y.item(), *gradients]), rtol=1e-13)
    many = [np.full(3, x) for x in numbers]
    np.testing.assert_allclose(program(*many), [2 * y.item()] * 3, rtol=1e-13)


@pytest.mark.parametrize("row", [row for row in ARITHMETIC if row.ufunc], ids=lambda row: row.name)
def test_numpy_s_function_records_the_row(row):
    operands, _ = example(row)
    y = row.ufunc(*map(ac.tensor, operands))
    assert y.primitive is row
    np.testing.assert_array_equal(y.value, row.ufunc(*operands))


@each
def test_drawn_and_written(row):
    operands, params = example(row, (2, 3))
    leaves = [ac.tensor(x, name=name) for x, name in zip(operands, "abc", strict=False)]
    y = row(*leaves, **params)
    latex = line_latex(y, {})
    assert all(name in latex for name in "abc"[: row.arity])
    page = mathml(latex)
    ElementTree.fromstring(page)
    assert "\\" not in page[: page.index("<annotation")]  # every command of the template was understood
    assert row.name in {node.operation for node in ac.graph(y).nodes}
    if row.differentiable:
        loss = y.sum()
        assert str(ac.explain(leaves[differentiable(row)[0]][0, 0], of=loss))


@pytest.mark.parametrize("row", [row for row in SMOOTH if row.bends], ids=lambda row: row.name)
def test_a_forgotten_derivative_is_named(row):
    operands, params = example(row, (2, 3))
    leaves = [ac.tensor(x, name=name) for x, name in zip(operands, "abc", strict=False)]
    upstream = np.random.default_rng(1).normal(size=(2, 3))
    loss = (row(*leaves, **params) * upstream).sum()
    x = leaves[differentiable(row)[0]]
    gradient = ac.sweep(loss, [x])[0]
    assert ac.check(gradient, of=loss, wrt=x)
    verdict = ac.check(upstream, of=loss, wrt=x)
    named = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert bool(verdict) == np.allclose(upstream, gradient)
    if not verdict:
        assert named & {"local derivative forgotten", "activation mask missing"}


NEW_ROWS = r"""
asinh = _arithmetic("asinh", _np.arcsinh, (lambda g, y, a: g / sqrt(1 + a * a),),
                   r"\operatorname{{arsinh}} {0}", "irrational")
logaddexp2 = _arithmetic("logaddexp2", _np.logaddexp2, (lambda g, y, a, b: g * power(2.0, a - y),
                   lambda g, y, a, b: g * power(2.0, b - y)), r"\log_2(2^{{{0}}} + 2^{{{1}}})", "irrational", low=0.5)
"""
USE = """
import math
import numpy as np
import autoconv as ac
from autoconv.compiled import compile
from autoconv.scalar import Scalar, expand

x = np.linspace(0.5, 2, 12).reshape(4, 3)
t = ac.tensor(x)
y = np.arcsinh(np.logaddexp2(t, t * t))
(g,) = ac.sweep(y, [t], np.ones(x.shape))
r = np.logaddexp2(x, x * x)
assert np.allclose(g, (2 ** (x - r) + 2 ** (x * x - r) * 2 * x) / np.sqrt(1 + r * r))
assert np.allclose(t.asinh().value, np.arcsinh(x))
program = compile(lambda x: np.arcsinh(np.logaddexp2(x, x * x)).sum())
for _ in range(2):
    value, found = program.value_and_grad(x)
    assert np.allclose(found, g) and np.isclose(value, np.arcsinh(r).sum()), program.plan
assert "left out" not in program.plan
a, b = Scalar(0.5), Scalar(1.5)
z = np.arcsinh(a) * a.logaddexp2(b) + a.logaddexp2(2.0) + (a * b).asinh()
z.backward()
h = math.log2(2**0.5 + 2**1.5)
slope = math.asinh(0.5) * 2 ** (1.5 - h)
assert math.isclose(b.grad, slope + 0.5 / math.sqrt(1 + 0.75**2)), b.grad
assert np.isclose(expand(z).sweep()[expand(z).inputs], [a.grad, b.grad]).all()
f = compile(lambda a, b: np.arcsinh(a) * a.logaddexp2(b))
value, (da, db) = f.value_and_grad(0.5, 1.5, wrt=(0, 1))
assert math.isclose(value, math.asinh(0.5) * h) and math.isclose(db, slope)
assert np.allclose(f(np.array([0.5, 1.0]), 1.5), np.arcsinh([0.5, 1.0]) * np.logaddexp2([0.5, 1.0], 1.5))
w = ac.tensor(x, name="w")
loss = (w.asinh() * x).sum()
assert ac.check("x / sqrt(1 + w * w)", of=loss, wrt=w, names={"w": w, "x": x})
assert ac.check("x", of=loss, wrt=w, names={"w": w, "x": x}).mistakes[0].name == "local derivative forgotten"
print(ac.graph(y), ac.explain(w[0, 0], of=loss))
"""


@pytest.fixture(scope="module")
def with_new_rows(tmp_path_factory):
    """A copy of the package in which the table has two more rows."""
    folder = tmp_path_factory.mktemp("rows")
    package = Path(ac.__file__).parent
    shutil.copytree(package, folder / "autoconv", ignore=shutil.ignore_patterns("__pycache__", "*.c", "*.h"))
    table = folder / "autoconv" / "primitives.py"
    before, after = table.read_text().split("# ---- rows with a definition", 1)
    table.write_text(f"{before}{NEW_ROWS}\n# ---- rows with a definition{after}")
    return folder


@pytest.mark.dear
@pytest.mark.parametrize("native", ["0", "1"])
def test_a_new_row_works_everywhere_without_another_edit(native, with_new_rows):
    environment = {**os.environ, "AUTOCONV_NATIVE": native, "PYTHONPATH": str(with_new_rows)}
    run = subprocess.run(
        [sys.executable, "-c", USE], env=environment, cwd=with_new_rows, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "arsinh" in run.stdout or "asinh" in run.stdout
