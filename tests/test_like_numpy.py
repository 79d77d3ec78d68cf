"""The functions that NumPy has too, on every axis and setting of small arrays: the same numbers, shape and kind of
dtype, on Tensors and on arrays, and refused where NumPy refuses."""

# ruff: noqa: B023 (each function is called where it stands)

from itertools import combinations, product

import numpy as np
import pytest

import autoconv as ac

RNG = np.random.default_rng(5)
SHAPES = [(), (1,), (3,), (0,), (2, 3), (3, 1), (2, 0), (2, 3, 4), (1, 2, 1, 3)]
EACH = {shape: RNG.permutation(int(np.prod(shape))).reshape(shape) - 2.5 for shape in SHAPES}  # no ties
REFUSED = (ValueError, TypeError, IndexError)


def same(found, right, rtol=1e-12):
    """Lists of results one by one."""
    if isinstance(right, list | tuple):
        assert len(found) == len(right)
        for one, other in zip(found, right, strict=True):
            same(one, other, rtol)
        return
    value, right = np.asarray(getattr(found, "value", found)), np.asarray(right)
    assert (value.shape, value.dtype.kind) == (right.shape, right.dtype.kind)
    np.testing.assert_allclose(value, right, rtol=rtol, atol=1e-13)


def agree(f, g, *xs, rtol=1e-12):
    """f on arrays and on Tensors is g; where g refuses them, or is not defined and warns, f refuses."""
    try:
        with np.errstate(all="raise"), np.testing.suppress_warnings() as log:
            log.record(RuntimeWarning)
            right = g(*xs)
            if log.log:
                raise ValueError("not defined")
    except (*REFUSED, FloatingPointError):
        with pytest.raises(REFUSED):
            f(*xs)
        with pytest.raises(REFUSED):
            f(*map(ac.tensor, xs))
        return
    same(f(*xs), right, rtol)
    same(f(*map(ac.tensor, xs)), right, rtol)


def axes_of(x, several=True):
    """None, every axis from either end and one beyond, and pairs of them; of a number NumPy knows axes, we none."""
    if not x.ndim:
        return [None]
    single = range(-x.ndim - 1, x.ndim + 1)
    pairs = [*combinations(range(-x.ndim, x.ndim), 2), tuple(range(x.ndim))[::-1]] if several and x.ndim > 1 else []
    return [None, *single, *pairs]


def flat_if_none(x, axis):
    return (np.ravel(x), 0) if axis is None else (x, axis)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "name", ["sum", "mean", "max", "min", "prod", "any", "all", "amax", "amin", "ptp", "count_nonzero"]
)
def test_reductions(name, shape):
    x = EACH[shape] * (EACH[shape] > 0) if name in ("any", "all", "count_nonzero") else EACH[shape]
    for axis, keepdims in product(axes_of(x) if x.size or name != "mean" else (), (False, True)):
        agree(
            lambda x: getattr(ac, name)(x, axis, keepdims),
            lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims),
            x,
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["var", "std"])
def test_variances(name, shape):
    """Where fewer than ddof + 1 elements leave nothing to divide by, NumPy warns."""
    x = EACH[shape]
    for axis, ddof in product(axes_of(x), (0, 1, 2, 3)):
        settings = {"axis": axis, "ddof": ddof, "keepdims": bool(ddof % 2)}
        agree(lambda x: getattr(ac, name)(x, **settings), lambda x: getattr(np, name)(x, **settings), x)
        if ddof:
            more = {**settings, "correction": ddof, "ddof": 0}
            agree(lambda x: getattr(ac, name)(x, **more), lambda x: getattr(np, name)(x, **settings), x)
    with pytest.raises(ValueError, match="two names"):
        getattr(ac, name)(EACH[3,], ddof=1, correction=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_order_and_places(shape):
    x = EACH[shape]
    for axis in axes_of(x, several=False):
        if axis is not None or x.ndim == 1:
            at = -1 if axis is None else axis
            agree(lambda x: ac.sort(x, at), lambda x: np.sort(x, at), x)
            agree(lambda x: ac.argsort(x, at), lambda x: np.argsort(x, at, kind="stable"), x)
            agree(lambda x: ac.sort(x, at, True), lambda x: -np.sort(-x, at), x)
            agree(lambda x: ac.argsort(x, at, descending=True), lambda x: np.argsort(-x, at, kind="stable"), x)
            agree(lambda x: ac.flip(x, at), lambda x: np.flip(x, at), x)
            for k in range(x.shape[at] + 2 if -x.ndim <= at < x.ndim else 0):

                def taken(x, sign, k=k, at=at):
                    if k > x.shape[at]:
                        raise ValueError
                    order = np.take(np.argsort(sign * x, at, kind="stable"), range(k), at)
                    return np.take_along_axis(x, order, at), order

                agree(lambda x: ac.topk(x, k, at), lambda x: taken(x, -1), x)
                agree(lambda x: ac.topk(x, k, at, largest=False), lambda x: taken(x, 1), x)
        for name in ("cumsum", "cumprod"):
            agree(lambda x: getattr(ac, name)(x, axis), lambda x: getattr(np, name)(x, axis), x)
        for keepdims in (False, True):
            for name in ("argmax", "argmin", "median"):
                agree(
                    lambda x: getattr(ac, name)(x, axis, keepdims=keepdims),
                    lambda x: getattr(np, name)(x, axis, keepdims=keepdims),
                    x,
                )
            if x.size and (axis is None or -x.ndim <= axis < x.ndim):
                weights = np.arange(1.0, 1 + x.shape[axis]) if axis is not None else x * x + 1
                settings = {"axis": axis, "weights": weights, "keepdims": keepdims}
                agree(lambda x: ac.average(x, **settings), lambda x: np.average(x, **settings), x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norms(shape):
    x = EACH[shape]
    for axis, order, keepdims in product(axes_of(x), (None, "fro", 0, 1, -1, 2, 3, np.inf, -np.inf), (False, True)):
        matrix = x.ndim == 2 if axis is None else isinstance(axis, tuple)
        singular, too_many = matrix and order == 2, isinstance(axis, tuple) and len(axis) > 2
        if singular or too_many or (matrix and order == 0) or not x.size:
            continue  # singular values, which are not here; norms of nothing
        settings = {"ord": order, "axis": axis, "keepdims": keepdims}
        agree(lambda x: ac.linalg.norm(x, **settings), lambda x: np.linalg.norm(x, **settings), x)
        if isinstance(order, int) and not matrix and order > 0:
            summed = lambda x: np.sum(np.abs(x) ** order, axis=axis, keepdims=keepdims) ** (1 / order)
            agree(lambda x: ac.norm(x, order, axis, keepdims), summed, x)


@pytest.mark.parametrize("name", ["vstack", "hstack", "dstack", "column_stack", "stack", "concat"])
def test_joining(name):
    for one, other in product(SHAPES, SHAPES):
        xs = EACH[one], EACH[other]
        agree(lambda x: getattr(ac, name)([x]), lambda x: getattr(np, name)([x]), xs[0])
        agree(lambda *xs: getattr(ac, name)(xs), lambda *xs: getattr(np, name)(xs), *xs)
        agree(lambda x, y: getattr(ac, name)([x, y, x]), lambda x, y: getattr(np, name)([x, y, x]), *xs)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(shape):
    x = EACH[shape]
    for name in ("atleast_1d", "atleast_2d", "atleast_3d", "flipud", "fliplr", "squeeze", "ravel", "transpose", "flip"):
        agree(getattr(ac, name), getattr(np, name), x)
    for i, j in product(range(-x.ndim - 1, x.ndim + 1), repeat=2):
        agree(lambda x: ac.swapaxes(x, i, j), lambda x: np.swapaxes(x, i, j), x)
        agree(lambda x: ac.moveaxis(x, i, j), lambda x: np.moveaxis(x, i, j), x)
        for k in range(-5, 6):
            agree(lambda x: ac.rot90(x, k, (i, j)), lambda x: np.rot90(x, k, (i, j)), x)
    for axis in axes_of(x):
        if axis is not None:
            agree(lambda x: ac.squeeze(x, axis), lambda x: np.squeeze(x, axis), x)
            agree(lambda x: ac.expand_dims(x, axis), lambda x: np.expand_dims(x, axis), x)
        for by in (-4, 0, 1, (1, 2)):
            agree(lambda x: ac.roll(x, by, axis), lambda x: np.roll(x, by, axis), x) if np.ndim(by) <= np.ndim(
                axis
            ) else 0
    for axis in range(-x.ndim - 2, x.ndim + 2):
        agree(lambda x: ac.unsqueeze(x, axis), lambda x: np.expand_dims(x, axis), x)
    for axis in axes_of(x, several=False):
        for times in (0, 1, 3, [2], [1, 2], [2, 0, 1]):
            agree(lambda x: ac.repeat(x, times, axis), lambda x: np.repeat(x, times, axis), x)
        for values in (EACH[3,], x):
            agree(lambda x, v: ac.append(x, v, axis), lambda x, v: np.append(x, v, axis), x, values)
        if axis is not None:
            for n in range(0 if -x.ndim <= axis < x.ndim else 1, 5):  # np.diff looks at no axis where n is 0
                agree(lambda x: ac.diff(x, n, axis), lambda x: np.diff(x, n, axis), x)
    for times in (0, 2, (2,), (1, 2), (2, 1, 3), (1, 1, 2, 1, 1)):
        agree(lambda x: ac.tile(x, times), lambda x: np.tile(x, times), x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parts(shape):
    x = EACH[shape]
    for sections in (1, 2, 3, 5, [1], [0, 2], [1, 1, 3], np.array([2])):
        agree(lambda x: ac.vsplit(x, sections), lambda x: np.vsplit(x, sections), x)
        agree(lambda x: ac.hsplit(x, sections), lambda x: np.hsplit(x, sections), x)
        for axis in range(-x.ndim - 1, x.ndim + 1):
            agree(lambda x: ac.split(x, sections, axis), lambda x: np.split(x, sections, axis), x)
            agree(lambda x: ac.array_split(x, sections, axis), lambda x: np.array_split(x, sections, axis), x)
    for k in range(-5, 6):
        if x.ndim in (1, 2):
            agree(lambda x: ac.diag(x, k), lambda x: np.diag(x, k), x)
        if x.ndim == 2:
            agree(lambda x: ac.trace(x, k), lambda x: np.trace(x, k), x)
        if x.ndim > 1:
            agree(lambda x: ac.tril(x, k), lambda x: np.tril(x, k), x)
            agree(lambda x: ac.triu(x, k), lambda x: np.triu(x, k), x)
    for f in (ac.tril, ac.triu) if x.ndim < 2 else ():
        with pytest.raises(ValueError, match="two axes"):
            f(x)


def test_products():
    for one, other in product(SHAPES, SHAPES):
        xs = EACH[one], EACH[other]
        for name in ("dot", "kron", "inner", "outer", "vdot", "matmul"):
            agree(getattr(ac, name), getattr(np, name), *xs)
        for axes in (0, 1, 2, ((0,), (0,)), ((-1, 0), (0, -1)), (1, 0)):
            agree(lambda x, y: ac.tensordot(x, y, axes), lambda x, y: np.tensordot(x, y, axes), *xs)
    for shapes in (((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 3)), ((4, 1, 3), (2, 3))):
        agree(ac.cross, np.cross, *[RNG.normal(size=s) for s in shapes])
    for axis in (0, 1, -1, -2):
        shape = [2, 2]
        shape.insert(axis % 3, 3)
        agree(lambda x, y: ac.cross(x, y, axis), lambda x, y: np.cross(x, y, axis=axis), *RNG.normal(size=(2, *shape)))


@pytest.mark.parametrize("leading", [(), (2,), (0,), (2, 3)], ids=str)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
def test_square_matrices(leading, n):
    a = RNG.normal(size=(*leading, n, n)) + 2 * np.eye(n)
    agree(ac.det, np.linalg.det, a, rtol=1e-10)
    agree(ac.inv, np.linalg.inv, a, rtol=1e-9)
    for k in range(-3, 6):
        agree(lambda x: ac.matrix_power(x, k), lambda x: np.linalg.matrix_power(x, k), a, rtol=1e-8)
    agree(ac.solve, np.linalg.solve, a, RNG.normal(size=(*leading, n, 2)), rtol=1e-9)
    agree(ac.solve, lambda a, b: np.linalg.solve(a, b[:, None])[..., 0], a, RNG.normal(size=n), rtol=1e-9)
    singular = np.ones((*leading, n, n)) * (np.arange(n) > 0)
    agree(lambda x: ac.matrix_power(x, 0), lambda x: np.linalg.matrix_power(x, 0), singular)
    if n > 1 and 0 not in leading:
        for f in (ac.inv, lambda x: ac.matrix_power(x, -1), lambda x: ac.solve(x, np.ones(n))):
            with pytest.raises(ValueError, match="singular"):
                f(singular)
    if n:
        for bad in (a[..., :-1], a[..., :-1, :], np.ones(n)):
            for f in (ac.det, ac.inv, lambda x: ac.matrix_power(x, 2), lambda x: ac.solve(x, np.ones(n))):
                with pytest.raises(ValueError, match="square"):
                    f(bad)


def test_the_determinant_of_rows_that_changed_places():
    """Each exchange turns the sign: every order of five rows."""
    for order in [np.random.default_rng(k).permutation(5) for k in range(40)]:
        a = (np.eye(5) * [1, 2, 3, 4, 5])[order]
        np.testing.assert_allclose(ac.det(a), np.linalg.det(a), rtol=1e-12)
        np.testing.assert_allclose(ac.inv(a), np.linalg.inv(a), rtol=1e-12)


# ---- new arrays


def test_the_plain_ones():
    for shape in ((), (0,), (3,), (2, 3), (1, 0, 2)):
        for name, value in (("zeros", 0), ("ones", 1), ("empty", 0), ("full", 7)):
            more = (7.0,) if name == "full" else ()
            forms = [(shape,)] if more or len(shape) < 2 else [(shape,), shape]
            for form, dtype in product(forms, (None, np.float32, np.int64, bool)):
                y = getattr(ac, name)(*form, *more, **({} if dtype is None else {"dtype": dtype}))
                same(y, np.full(shape, value, dtype or float))
                assert y.dtype == (dtype or float) and y.constant == (dtype in (np.int64, bool))
                assert getattr(ac, name)(*form, *more, requires_grad=False).constant
    assert ac.full((2,), 7).dtype.kind == "i" and ac.full(3, True).dtype == bool and ac.full((), 1.5).shape == ()
    for name in ("zeros_like", "ones_like", "empty_like", "full_like"):
        more = (7.0,) if name == "full_like" else ()
        for x, dtype in product((np.ones((2, 3), np.float32), np.ones(2, int)), (None, np.float64)):
            right = np.full(x.shape, {"ones_like": 1, "full_like": 7}.get(name, 0), dtype or x.dtype)
            for given in (x, ac.tensor(x)):
                y = getattr(ac, name)(given, *more, **({} if dtype is None else {"dtype": dtype}))
                same(y, right)
                assert y.dtype == right.dtype and getattr(y, "constant", True)


def test_eye_and_ranges():
    for n, m, k in product(range(4), (None, 0, 1, 3), range(-5, 6)):
        same(ac.eye(n, m, k), np.eye(n, m, k))
    for start, stop, step in product((-2, 0, 1.5), (-1, 0, 2, 3.0), (-2, -0.5, 1, 0.75)):
        same(ac.arange(start, stop, step), np.arange(start, stop, step))
        same(ac.arange(start, stop), np.arange(start, stop))
        same(ac.arange(stop), np.arange(stop))
        for num in (0, 1, 2, 5):
            same(ac.linspace(start, stop, num), np.linspace(start, stop, num))
    same(ac.arange(0, 2**41, 2**39), np.arange(0, 2**41, 2**39))
    assert ac.arange(3).dtype.kind == "i" and ac.arange(3).constant and not ac.arange(3.0).constant
    assert all(f(3.0, requires_grad=False).constant for f in (ac.arange, ac.asarray, ac.as_tensor))
    assert ac.linspace(0, 1, requires_grad=False).constant and ac.eye(2, requires_grad=False).constant
    for kind in (np.float32, np.float64):
        assert (
            ac.eye(2, dtype=kind).dtype == ac.arange(2, dtype=kind).dtype == ac.linspace(0, 1, dtype=kind).dtype == kind
        )
    refused = [lambda: ac.eye(-1), lambda: ac.eye(1, -1), lambda: ac.linspace(0, 1, -1), lambda: ac.arange(0, 1, 0),
               lambda: ac.arange(0, np.inf), lambda: ac.arange(np.nan), lambda: ac.zeros(-1), lambda: ac.zeros(2**41),
               lambda: ac.zeros(2**20, 2**20, 2), lambda: ac.arange(0, 2**39, 0.25), lambda: ac.randint(2, 2),
               lambda: ac.randint(0),
               lambda: ac.randint(3, 2), lambda: ac.randperm(-1)]  # fmt: skip
    for f in refused:
        with pytest.raises(ValueError, match=r"must|memory|list|whole"):
            f()


def test_random_numbers_are_those_of_the_generator():
    for shape in ((), (0,), (3,), (2, 3)):
        for name, drawn in (("rand", "random"), ("randn", "standard_normal")):
            right = getattr(np.random.default_rng(3), drawn)(shape)
            forms = [shape] if shape == () else [(shape,), shape]
            for form in forms:
                y = getattr(ac, name)(*form, rng=3)
                same(y, right)
                assert not y.constant and getattr(ac, name)(*form, rng=3, requires_grad=False).constant
                assert getattr(ac, name)(*form, rng=3, dtype=np.float32).dtype == np.float32
            for like in (np.zeros(shape, np.float32), ac.tensor(np.zeros(shape))):
                y = getattr(ac, f"{name}_like")(like, rng=3)
                np.testing.assert_allclose(np.asarray(getattr(y, "value", y)), right, rtol=1e-6)
                assert y.dtype == like.dtype and getattr(y, "constant", True)
                assert getattr(ac, f"{name}_like")(like, np.float16, rng=3).dtype == np.float16
    for ends in ((3,), (1, 4), (-2, 1), (0, 1)):
        y = ac.randint(*ends, size=(200,), rng=1)
        assert set(y.value.tolist()) == set(range(*ends)) and y.constant
    assert ac.randint(3, rng=0).shape == () and sorted(ac.randperm(5, rng=0).value) == list(range(5))
    assert ac.randperm(0).shape == (0,) and ac.randperm(3).constant


KEYS = [0, -1, 1, 9, -9, np.int64(1), np.array(1), True, slice(None), slice(1, None), slice(None, None, -1),
    slice(-2, 9), None, ...,
        [0, 1], [True, False], np.array([[0, 1], [1, 0]]), np.array([], int), np.array([9]), np.array([True, False]),
        (0, 1), (slice(None), 0), (..., 0), (None, 0), (0, None, slice(1)), ([0, 1], [1, 0]), (slice(None), [1, 0]),
        (..., [1, 0]), (0, np.array([1, 0])), (np.array([[0], [1]]), np.array([0, 1])), (0, 1, 2, 0, 0), (), 1.5, "a",
        np.uint8(1), np.array([1, 0], np.uint8), np.array([0.5])]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(key):
    for shape in ((), (2,), (2, 3), (2, 2, 4)):
        x = np.arange(float(np.prod(shape))).reshape(shape)
        read = lambda x: x[key]
        agree(lambda x: (x if isinstance(x, ac.Tensor) else ac.tensor(x))[key], read, x)
        if isinstance(key, np.ndarray):
            agree(lambda x: (x if isinstance(x, ac.Tensor) else ac.tensor(x))[ac.tensor(key)], read, x)
