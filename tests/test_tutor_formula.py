"""Formulas as text: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autoconv.tutor.claim.formula import Formula, FormulaError

A = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2*3 - 4/2", 5.0), ("-a[0, 1]**2", -4.0), ("a[:, 1]", [2.0, 4.0]), ("sum(a)", 10.0),
        ("sum(a, 0)", [4.0, 6.0]),
        ("sum(a, axis=1)", [3.0, 7.0]), ("max(a, axis=0)", [3.0, 4.0]), ("max(a, 2.5)", [[2.5, 2.5], [3.0, 4.0]]),
        ("min(a)", 1.0),
        ("[[a[0,0], 0], [0, 1]]", [[1.0, 0.0], [0.0, 1.0]]), ("rot180(a)", [[4.0, 3.0], [2.0, 1.0]]),
        ("conv(a, a)", [[30.0]]),
        ("full(a, [[1, 0], [0, 0]])", [[0, 0, 0], [0, 1, 2], [0, 3, 4]]),
        ("abs(-a[0,0]) + exp(0) + log(1) + tanh(0)", 2.0),
        ("sigmoid(0)", 0.5), ("9**9**9", np.inf), ("a[-1, -1]", 4.0), ("+".join(["a[0, 1]"] * 200), 400.0),
        ("a[0,0]\n  + 1", 2.0),
        ("conv([1,2,3], [1,1])", [3.0, 5.0]), ("full([1,2], rot180([1,3]))", [1.0, 5.0, 6.0]),
        ("sum(conv([a,a], [[[1]]]), axis=(1,2))", [10.0, 10.0]),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    assert np.allclose(Formula(text)({"a": A}), value)


@pytest.mark.parametrize(
    "text",
    [
        "", "a +", "a.T", "__import__('os')", "a @ a", "lambda: 1", "a if a else a", "'a'", "True", "[x for x in a]",
        "a[b]", "a[[0]]",
        "a; a", "a = 1", "f(a)", "sum(a, axis=b)", "exp(a, a)", "a < 1", "not a", "a[0.5]", "(a := 1)", "*a", "1j",
        "..."
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="formula"):
        Formula(text)({"a": A, "λ": 2.0})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1 + zz", "no tensor named 'zz'.*position 5"), ("a[0, 9]", "out of bounds"), ("a + [1, 2, 3]", "position 1"),
        ("+".join(["a"] * 30_000), "characters"), ("a" + "**a" * 400, "nested"),
        ("-" * 400 + "1", "nested|not a formula"),
        ("1" * 400, "too large"), ("1" * 5000, "too large"), ("(" * 3000 + "a", "not a formula|too long"),
        ("a[99999999999999999999]", "no array"),
        ("a^2", r"written \*\*"), ("2a", "as in 2"), ("a·2", "no tensor named"), ("a×2", r"write \*"),
        ("λ + zz", "position 5"), ("x = a", "right of ="),
        ("a # b", "comments"), ("max(a, 1, axis=0)", "beside 2"), ("a.T", "a dot"), ("[a, 1]", "one shape"),
        ("rot180(1)", "cannot be rotated"),
    ],
)  # fmt: skip
def test_errors_name_the_place_and_work_is_bounded(text: str, found: str) -> None:
    with pytest.raises(FormulaError, match=found):
        Formula(text)({"a": A, "λ": 2.0})


@pytest.mark.parametrize(
    "text",
    ["column * row", "max(column, row)", "full([[1]], large)", "conv(large, large[:500, :500])",
        "+".join(["large"] * 150),
     f"[{', '.join(['large'] * 3)}]", "+".join(["conv(large, large[:3, :3])"] * 30),
     "column / 0 + conv(row[0], row[0]) * row"],
)  # fmt: skip
def test_large_results_are_refused_before_they_are_made(text: str) -> None:
    values = {"column": np.ones((5000, 1)), "row": np.ones((1, 5000)), "large": np.ones((1000, 1000))}
    with pytest.raises(FormulaError, match=r"1,000,000|100,000,000"):
        Formula(text)(values)


X = np.arange(1.0, 31).reshape(5, 6) % 7
W = np.array([[1.0, -2.0], [0.5, 3.0]])
D = np.array([[1.0, 2.0, -1.0], [0.0, 4.0, 5.0]])


def slid(x: Any, w: Any, stride: int = 1, pad: int = 0) -> Any:
    """A plain convolution by loops."""
    x = np.pad(x, pad)
    rows, columns = [(n - k) // stride + 1 for n, k in zip(x.shape, w.shape, strict=True)]
    made = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for p in range(w.shape[0]):
                for q in range(w.shape[1]):
                    made[i, j] += x[stride * i + p, stride * j + q] * w[p, q]
    return made


def spread(d: Any, s: int) -> Any:
    made = np.zeros([(n - 1) * s + 1 for n in d.shape])
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            made[s * i, s * j] = d[i, j]
    return made


BATCH = (np.arange(2 * 4 * 5 * 2).reshape(2, 4, 5, 2) % 5).astype(float)
FIRST = BATCH.transpose(0, 3, 1, 2)
KERNEL = (np.arange(2 * 2 * 2 * 3).reshape(2, 2, 2, 3) % 4) - 1.0
MADE = np.array([[sum(slid(b[:, :, c], KERNEL[:, :, c, o], 2) for c in (0, 1)) for o in (0, 1, 2)] for b in BATCH])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # the functions of convolution, with settings
        ("conv(x, w, stride=2, padding=1)", slid(X, W, 2, 1)),
        ("conv2d(x, w, stride=(2, 1))", slid(X, W)[::2]),
        ("conv(x, w, padding=((0, 1), (2, 0)))", slid(np.pad(X, ((0, 1), (2, 0))), W)),
        ("conv(x, w, flip=True)", slid(X, W[::-1, ::-1])),
        ("conv(x, w, stride=s, padding=s)", slid(X, W, 2, 2)),
        ("full(d, rot180(w))", slid(np.pad(D, 1), W[::-1, ::-1])),
        ("dilate(d, 2)", spread(D, 2)), ("dilate(d, (1, 3))", spread(D, 3)[::3]),
        ("dilate(d, 2, axis=0)", spread(D, 2)[:, ::2]),
        ("pad(d, 1)", np.pad(D, 1)), ("pad(d, ((0, 1), (2, 0)))", np.pad(D, ((0, 1), (2, 0)))),
        ("conv_transpose(d, w, stride=2)", slid(np.pad(spread(D, 2), 1), W[::-1, ::-1])),
        ("conv(b, k, stride=2)", MADE.transpose(0, 2, 3, 1)),
        ("conv(f, transpose(k)[:, :, 0, 0], layout='NCHW')", None),
        ("conv(b, k, [1, 2, 3], 1)", None),
        ("dilate(f, 2, layout='channels_first')[0, 1]", spread(FIRST[0, 1], 2)),
        ("dilate(b, 2)[1, :, :, 0]", spread(BATCH[1, :, :, 0], 2)),
        ("rot180(f, layout='NCHW')[0, 0]", FIRST[0, 0, ::-1, ::-1]),
        # whole arrays
        ("matmul(d, transpose(d))", D @ D.T), ("mean(d, axis=1, keepdims=True)", D.mean(axis=1, keepdims=True)),
        ("softmax(d)", np.exp(D) / np.exp(D).sum(axis=1, keepdims=True)),
        ("softmax(d, 0)", np.exp(D) / np.exp(D).sum(axis=0)), ("relu(d) + sign(d)", np.maximum(D, 0) + np.sign(D)),
        ("7 // 2 + 7 % 3", 4.0), ("-7 // 2", -4.0),
        # sums over letters
        ("sum(i, v[i] * u[i])", 1 * 4 + 2 * 5 + 3 * 6), ("sum(i, v[i]**2) / 2", 7.0), ("mean(i, v[i])", 2.0),
        ("max(i, v[i] * u[2 - i])", 12.0), ("sum(i < 2, v[i])", 3.0), ("sum(1 <= i <= 2, v[i])", 5.0),
        ("sum(i, v[i] * long[i])", 1 * 1 + 2 * 2 + 3 * 3), ("sum(i < 4, v[i + 1])", 5.0), ("sum(i < 3, i**2)", 5.0),
        ("sum(i, j, d[i, j] * x[i + 1, j])", float((D * X[1:3, :3]).sum())),
        ("sum((i, j), d[i, j])", 11.0), ("sum(i, sum(j, d[i, j]) ** 2)", 4.0 + 81),
        ("sum(n < 2, d[n, labels[n]])", 2.0 + 5),
        ("sum(i, delta(i, 2) * v[i])", 3.0), ("sum(i, v[i // 2] * (i % 2) * long[i])", 1 * 2 + 2 * 4 + 3 * 6),
        ("sum(i, exp(v[i] - max(v)))", np.exp([-2.0, -1, 0]).sum()), ("sum(i, i[i] * v[i])", 10 + 40 + 90.0),
        ("sum(a <= 3, long[s * a])", 1.0 + 3 + 5 + 7), ("v[s]", 3.0), ("sum(i < 0, v[i])", 0.0),
    ],
)  # fmt: skip
def test_what_a_student_writes(text: str, value: Any) -> None:
    values = {
        "x": X, "w": W, "d": D, "b": BATCH, "f": FIRST, "k": KERNEL, "s": 2, "v": [1.0, 2, 3], "u": [4.0, 5, 6],
        "long": np.arange(1.0, 9), "labels": np.array([1, 2]), "i": [10.0, 20, 30],
    }  # fmt: skip
    if value is None:
        with pytest.raises(FormulaError):
            Formula(text)(values)
    else:
        made = Formula(text)(values)
        assert made.shape == np.shape(value) and np.allclose(made, value, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "shape", "value"),
    [
        ("dw[p, q] = sum(i, j, x[i + p, j + q] * d[i, j])", (4, 4), slid(X, D)),
        ("dL/dw[p, q] = sum(i, j, x[2*i + p, 2*j + q] * d[i, j])", (3, 2), slid(X, spread(D, 2))[:3, :2]),
        ("dx[a, b] = sum(i, j, d[i, j] * w[a - i, b - j])", (3, 4), slid(np.pad(D, 1), W[::-1, ::-1])),
        ("dx[i, j] = d[i//2, j//2] / 4", (4, 6), np.repeat(np.repeat(D, 2, 0), 2, 1) / 4),
        ("db[k] = sum(n, i, d[n, i] * delta(i, k))", (3,), D.sum(axis=0)),
        ("dz[n, k] = softmax(d)[n, k] - delta(k, n)", (2, 3), np.exp(D) / np.exp(D).sum(1)[:, None] - np.eye(3)[:2]),
        ("t[j, i] = d[i, j]", (3, 2), D.T),
        ("e[i, j] = 1", (2, 2), np.ones((2, 2))),
    ],
)  # fmt: skip
def test_letters_on_the_left_are_the_axes(text: str, shape: tuple[int, ...], value: Any) -> None:
    made = Formula(text)({"x": X, "w": W, "d": D}, shape)
    assert made.shape == shape and np.allclose(made, value, rtol=1e-12)


def test_a_long_chain_is_no_deep_nesting() -> None:
    assert Formula("+".join(["a"] * 1500))({"a": 2.0}) == 3000
    assert Formula(f"sum(i < 3, {'+'.join(['i'] * 1000)})")({}) == 3000
    made = Formula("s[i] = " + "+".join(["x[i, 0]"] * 1500))({"x": X}, (5,))
    assert made.tolist() == (1500 * X[:, 0]).tolist()


def test_a_sum_that_does_not_fit_is_added_up_in_pieces() -> None:
    x = np.arange(1500.0)
    assert Formula("sum(i, j, x[i] * y[j])")({"x": x, "y": x}) == x.sum() ** 2
    made = Formula("r[k] = max(i, j, x[i] - y[j] + k)")({"x": x, "y": x}, (2,))
    assert made.tolist() == [1499.0, 1500.0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sum(i < 1000000000, x[i, 0])", "1,000,000,000 numbers, more than the 100,000,000"),
        ("sum(i < 10000, j < 10000, sum(k < 10, x[i, j] * k))", "more than the 100,000,000"),
        ("dilate(x, 1000000000)", "elements, more than the 1,000,000"), ("pad(x, 100000)", "more than the 1,000,000"),
        ("conv(x, w, padding=1000000000)", "more than the 1,000,000"), ("full(x, w, dilation=99999)", "more than"),
        ("conv_transpose(x, w, stride=100000)", "more than"),
        ("conv_transpose(x, w, stride=2147483648, output_padding=2147483647)", "more than"),
        ("sum(i, x[i])", "needs 2 indices, found 1"), ("sum(i, x[2*i, 0])", "how far does the letter i run"),
        ("sum(i, x[i, 0] + d[i, 0])", "5 places of x and 2 places of d"),
        ("mean(i, x[i, 0] * d[i, 0])", "5 places of x"),
        ("sum(i < 3, x[i/2, 0])", "i//2 rounds down"), ("sum(i, x[i, 0] * w)", r"w has shape \(2, 2\).*w\[i, j\]"),
        ("x[p, q]", "sum over it, as in sum"), ("sum(i < 2, sum(i < 2, x[i, 0]))", "in use already"),
        ("a[i] = x[i, 0]", "1 letter on the left"), ("a[i, i] = 1", "twice"), ("a[0, 1] = 1", "right of ="),
        ("conv(x, w, strid=2)", "it takes stride, padding"), ("conv(x, w, stride=0)", "at least 1"),
        ("conv(x, w, stride=2.5)", "a setting is"), ("conv(x, w, stride=w)", "not a whole number"),
        ("conv(x, w, layout='__class__')", "layout"), ("dilate(d, 2, factor=3)", "beside"), ("pad(d)", "2 arguments"),
        ("sum(i < 2, conv(x, w[i, 0]))", "whole arrays"), ("sum(i, [x[i, 0]])", "no array inside"),
        ("max(i < 0, x[i, 0])", "no numbers"), ("Σ(i, x[i])", r"written sum\(i"), ("x @ w", r"matmul\(a, b\)"),
        ("x.T", r"transpose\(w\)"), ("sum(i < 2, x[i, 0:2])", "one for each axis"), ("sum(i < 2.5, i)", "limit"),
        ("sum(i < 2, x[10**30 * i, 0])", "whole number"), ("matmul(x, 2)", "vectors and matrices"),
        ("sum(x > 2, x)", "comparison"), ("softmax(x, 7)", "axis"), ("dilate(x, 2, axis=5)", "axis 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_is_too_much_says_why(text: str, found: str) -> None:
    with pytest.raises(FormulaError, match=found):
        Formula(text)({"x": X, "w": W, "d": D}, (5, 6))
