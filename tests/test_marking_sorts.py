"""What a search for a line leaves out without trying it: what cannot stand there, and numbers that change nothing."""

import ast
from itertools import product

import numpy as np
import pytest

import autoconv as ac
from autoconv.marking.repair.scaled import number_added, on_a_line, steady_names
from autoconv.marking.repair.sorts import ALIKE, fitting, sort, sort_of
from autoconv.marking.repair.source import functions_of
from autoconv.marking.repair.table import KINDS, Sites

HELD = {
    "x": np.ones((2, 3)), "w": np.ones((3, 4)), "b": np.ones(4), "n": 2, "k": np.int64(3), "p": 0.5,
    "loss": np.float32(1), "sizes": (2, 3), "cache": {"x": 1}, "train": True, "self": object(),
}  # fmt: skip
SORTS = {name: sort_of(value) for name, value in HELD.items()}


def parsed(text):
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("n", "count"), ("k", "count"), ("n * k + 1", "count"), ("n // k", "count"), ("x.shape[0]", "count"),
        ("len(x)", "count"), ("x.size", "count"), ("-n", "count"), ("n / k", "number"), ("p", "number"),
        ("loss", "number"), ("n * p", "number"), ("x", "array"), ("x * n", "array"), ("1 - x", "array"),
        ("x @ w", "array"), ("x.T", "array"), ("sizes", "tuple"),
        ("x.shape", "tuple"), ("cache", "dict"), ("self", "other"), ("self.w", None),
        ("train", "bool"), ("True", "bool"), ("unknown", None), ("cache['x']", None), ("f(x)", None),
    ],
)  # fmt: skip
def test_the_sort_of_an_expression(text, what):
    assert sort(parsed(text), SORTS) == what


def edits(text, kind):
    """{what would stand in the place of what: whether it is tried} of one kind of edit, by its function."""
    (written,) = functions_of(text)
    sites, found = Sites(written), {}
    for rank in [i for i, row in enumerate(KINDS) if row.of.__name__ == kind]:
        for edit in sites.edits(rank):
            found[ast.unparse(edit.node), ast.unparse(edit.new)] = fitting(edit, SORTS, KINDS[rank].brings)
    return found


def test_a_size_is_made_of_sizes():
    found = edits("def f(x, w, b, n, k, p, sizes, cache):\n    m = n * k\n    return x", "factor")
    taken = {new for (node, new), fits in found.items() if fits and node == "n * k"}
    assert {"n * k * n", "n * k / k", "n * k / x.shape[0]"} <= taken
    assert not taken & {"n * k * x", "n * k / w", "n * k * cache", "n * k / cache.shape[0]", "n * k / sizes"}
    assert not any("sqrt(x)" in new or "x[:, None]" in new or "@" in new for new in taken)


def test_an_array_may_be_multiplied_by_anything_that_has_numbers():
    found = edits("def f(x, w, b, n, k, p, sizes, cache):\n    y = x * w\n    return y", "factor")
    taken = {new for (node, new), fits in found.items() if fits and node == "x * w"}
    assert {"x * w * b", "x * w / n", "x * w * p", "x * w / np.sqrt(n)", "x * w @ b", "x * w * b[:, None]"} <= taken
    left = {new for (node, new), fits in found.items() if not fits and node == "x * w"}
    assert {"x * w * sizes", "x * w * cache", "x * w / n.shape[0]", "x * w * n[:, None]", "x * w @ p"} - set(
        found
    ) <= left
    assert {"x * w * sizes", "x * w * cache"} <= left


@pytest.mark.parametrize(
    ("kind", "text", "tried", "left"),
    [
        (
            "count_factor",
            "    loss = loss / n\n",
            ("loss / n", "loss / n / (n * k)"),
            ("loss / n", "loss / n / (x * n)"),
        ),
        ("count_factor", "    m = n + k\n    y = x\n", ("x", "x / (n * k)"), ("n + k", "(n + k) / (n * k)")),
        ("product", "    x = x + x\n", ("x + x", "x + x + x * x"), ("x + x", "x + x + x * w")),
        ("extent", "    y = x.reshape(n, -1)\n", ("n", "n * k"), ("n", "n * x")),
    ],
)
def test_what_a_kind_brings_in(kind, text, tried, left):
    found = edits(f"def f(x, w, b, n, k, p, loss):\n{text}    return x", kind)
    assert found[tried] and not found[left]


@pytest.mark.parametrize(("brings", "same"), [(ALIKE, True), ("", False)])
def test_names_are_taken_for_each_other_if_they_hold_the_same(brings, same):
    (written,) = functions_of("def f(x):\n    z = x\n    return z")
    rank = next(i for i, row in enumerate(KINDS) if row.of.__name__ == "factor")
    edit = next(e for e in Sites(written).edits(rank) if ast.unparse(e.node) == "x")
    of = {name: fitting(edit._replace(new=parsed(name)), SORTS | {"y": SORTS["x"]}, brings) for name in ("y", "w", "n")}
    assert of == {"y": True, "w": not same, "n": False}


def test_names_that_hold_one_thing_are_stored_once_and_in_no_loop():
    lines = ("m = n", "k = m", "k += 1", "for i in range(n):", "    j = i", "y = [c for c in x]", "return y")
    text = "def f(x, n):\n    " + "\n    ".join(lines)
    (written,) = functions_of(text)
    assert steady_names(written) == {"x", "n", "m", "y"}


@pytest.mark.parametrize(
    ("new", "added"),
    [
        ("y * n", ("factor", False)), ("y / (n * k)", ("factor", True)), ("y / np.sqrt(n)", ("factor", True)),
        ("y - 1", ("term", False)), ("y + x.shape[0]", ("term", False)), ("y * (p > 0)", ("factor", False)),
        ("y * x", None), ("y * i", None), ("n * y", None), ("y ** n", None), ("y * x[0]", None),
    ],
)  # fmt: skip
def test_numbers_that_are_added(new, added):
    (written,) = functions_of("def f(y):\n    z = y\n    return z")
    sites = Sites(written)
    rank = next(i for i, row in enumerate(KINDS) if row.of.__name__ == "factor")
    edit = next(iter(sites.edits(rank)))
    made = parsed(new)
    for field in ("left", "right"):
        if isinstance(getattr(made, field), ast.Name) and getattr(made, field).id == "y":
            setattr(made, field, edit.node)
    got = number_added(edit._replace(new=made), SORTS | {"i": "count"}, {"x", "n", "k", "p"})
    assert (None if got is None else tuple(got)) == added


@pytest.mark.parametrize(("made", "missing"), list(product(("factor", "part", "shape", "root", "dead"), (2.5, 1 / 3))))
def test_a_number_is_left_out_only_where_no_number_helps(made, missing):
    """Of ``A(c)`` at four values of c: where the right array is A(missing) it may be right, and beside the line not."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    of = {
        "factor": lambda c: c * a, "part": lambda c: a + c * b, "shape": lambda c: (a + c * b)[:2],
        "root": lambda c: a + np.sqrt(c) * b, "dead": lambda c: a,
    }[made]  # fmt: skip
    at = (1.0, 0.5, 2.0, 3.0)
    arrays = [of(c) for c in at]
    beside = of(missing) + rng.normal(size=of(1.0).shape)
    if made == "root":  # on no line: anything may be
        assert on_a_line(arrays, at, of(missing)) and on_a_line(arrays, at, beside)
    else:
        assert on_a_line(arrays, at, of(missing)) and not on_a_line(arrays, at, beside)
    assert not on_a_line(arrays, at, a[:1]) or made == "root"


def test_what_fails_or_is_not_finite_tells_nothing():
    a = np.ones((2, 2))
    assert on_a_line([a, None, a, a], (1, 0.5, 2, 3), 5 * a)
    assert on_a_line([a, a[:1], a, a], (1, 0.5, 2, 3), 5 * a)
    with np.errstate(all="ignore"):
        assert on_a_line([a, a, a / 0, a], (1, 0.5, 2, 3), 5 * a)


MEAN = """
import numpy as np
def forward(x, w):
    n, d = x.shape
    out = x @ w / n
    return out, (x, w, n, d)
def backward(dout, cache):
    x, w, n, d = cache
    dx = dout @ w.T / n
    dw = x.T @ dout / n
    return dx, dw
"""


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("dx = dout @ w.T / n", "dx = dout @ w.T", "dx = dout @ w.T / n"),
        ("dw = x.T @ dout / n", "dw = x.T @ dout / n / d", "dw = x.T @ dout / n"),
        ("dx = dout @ w.T / n", "dx = dout @ w.T / n / (n * d)", "dx = dout @ w.T / n"),
        ("dw = x.T @ dout / n", "dw = x.T @ dout / n / np.sqrt(d)", "dw = x.T @ dout / n"),
    ],
)
def test_a_number_that_is_missing_is_found(right, wrong, line, tmp_path):
    text = MEAN.replace(right, wrong)
    (tmp_path / "mine.py").write_text(text)
    space = {}
    exec(compile(text, str(tmp_path / "mine.py"), "exec"), space)
    verdict = ac.check_backward(
        space["backward"], forward=space["forward"], like=lambda x, w: x @ w / x.shape[0],
        inputs={"x": np.arange(12.0).reshape(3, 4) ** 0.5 - 1, "w": np.arange(8.0).reshape(4, 2) ** 1.5 / 5}, repair=10,
    )  # fmt: skip
    (fix,) = verdict[right[:2]].fixes
    assert not verdict and fix.instead == line
