"""The array API standard's names (2024.12): values and dtypes are NumPy's, and what has a gradient has the right one.

A call of the namespace is written once, and asked of NumPy's own namespace and of ours.
"""

import math

import numpy as np
import pytest

import autoconv as ac
from autoconv import array_api as xp

# fmt: off
ELEMENTWISE_ONE = (
    "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor isfinite isinf isnan log "
    "log10 log1p log2 logical_not negative positive real reciprocal round sign signbit sin sinh sqrt square tan tanh "
    "trunc")
ELEMENTWISE_TWO = (
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide equal "
    "floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum "
    "minimum multiply nextafter not_equal pow remainder subtract")
OTHERS = (
    "all any arange argmax argmin argsort asarray astype broadcast_arrays broadcast_to can_cast clip concat "
    "count_nonzero cumulative_prod cumulative_sum diff e empty empty_like expand_dims eye finfo flip from_dlpack full "
    "full_like iinfo inf isdtype linspace matmul matrix_transpose max mean meshgrid min moveaxis nan newaxis nonzero "
    "ones ones_like permute_dims pi prod repeat reshape result_type roll searchsorted sort squeeze stack std sum take "
    "take_along_axis tensordot tile tril triu unique_all unique_counts unique_inverse unique_values unstack var vecdot "
    "where zeros zeros_like __array_namespace_info__ __array_api_version__")
DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64"
ABSENT = {"imag": "complex numbers", "complex64": "complex numbers", "complex128": "complex numbers",
          "linalg": "an optional extension", "fft": "an optional extension"}
# fmt: on


def test_every_name_is_there_or_has_a_reason():
    names = " ".join((ELEMENTWISE_ONE, ELEMENTWISE_TWO, OTHERS, DTYPES)).split()
    assert not [name for name in names if not hasattr(xp, name)]
    assert not [name for name in ABSENT if hasattr(xp, name)]
    assert all(xp.__dict__[name].__doc__ for name in names if callable(getattr(xp, name)))


def test_the_namespace_of_a_tensor():
    x = ac.tensor([1.0])
    assert x.__array_namespace__() is xp and x.__array_namespace__(api_version="2023.12") is xp
    with pytest.raises(ValueError, match=r"api_version='2019\.12'.*2024\.12"):
        x.__array_namespace__(api_version="2019.12")


def numpys(name):
    return getattr(np, {"pow": "power"}.get(name, name))


def points(name, dtype, rng):
    """Numbers in the domain of a function, in a dtype."""
    if np.dtype(dtype).kind == "b":
        return rng.random((2, 3)) < 0.5
    if np.dtype(dtype).kind in "iu":
        return rng.integers(1, 5, (2, 3)).astype(dtype)
    low, high = {"acosh": (1.1, 3), "acos": (-0.9, 0.9), "asin": (-0.9, 0.9), "atanh": (-0.9, 0.9)}.get(name, (0.2, 3))
    return rng.uniform(low, high, (2, 3)).astype(dtype)


def differences(f, x, step=1e-6):
    """sum_i df_i/dx_j of a function of an array, from its values."""
    slopes = np.zeros(x.shape)
    for j in np.ndindex(x.shape):
        h = np.zeros(x.shape)
        h[j] = step
        slopes[j] = np.sum(f(x + h) - f(x - h)) / (2 * step)
    return slopes


WHOLE = ("bitwise_invert", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")
FLAT = ("ceil", "floor", "round", "sign", "trunc", "floor_divide")  # their slope is 0 where they have one


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # False has no logarithm
@pytest.mark.parametrize("name", ELEMENTWISE_ONE.split() + ELEMENTWISE_TWO.split())
def test_elementwise(name):
    rng, two = np.random.default_rng(3), name in ELEMENTWISE_TWO.split()
    kinds = ("int8", "uint8", "int64", "bool") if name in WHOLE else ("float32", "float64", "int32", "bool")
    ours, theirs, known = getattr(xp, name), numpys(name), 0
    for dtype in kinds:
        arrays = [points(name, dtype, rng) for _ in range(1 + two)]
        try:
            wanted = theirs(*arrays)
        except TypeError:
            continue
        known += 1
        for found in (ours(*map(xp.asarray, arrays)), ours(*map(ac.tensor, arrays))):
            assert isinstance(found, ac.Tensor) and found.dtype == wanted.dtype, (dtype, found.dtype, wanted.dtype)
            np.testing.assert_allclose(found.value, wanted, rtol=1e-5 if dtype == "float32" else 1e-12)
    assert known
    if name in WHOLE:
        return
    arrays = [points(name, float, rng) for _ in range(1 + two)]
    tensors = [ac.tensor(x) for x in arrays]
    y = ours(*tensors)
    if y.constant:  # it has no slope, or none but 0
        assert y.dtype == bool or name in FLAT
        return
    y.sum().backward()
    for k, x in enumerate(arrays):
        slope = differences(lambda z, k=k: theirs(*arrays[:k], z, *arrays[k + 1 :]), x)
        gradient = 0 if tensors[k].grad is None else tensors[k].grad  # the sign of a number alone is read
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ELEMENTWISE_TWO.split())
def test_a_python_number_is_of_the_arrays_dtype(name):
    dtype = "int16" if name in WHOLE else "float32"
    array = np.array([1, 2, 3], dtype)
    for pair in ((array, 2), (2, array)):
        wanted = numpys(name)(*pair)
        found = getattr(xp, name)(*[ac.tensor(x) if isinstance(x, np.ndarray) else x for x in pair])
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found.value, wanted, rtol=1e-6)


SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e-300, -1e-300, 1e300]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "name", ["acosh", "asinh", "atanh", "copysign", "nextafter", "sign", "square", "reciprocal", "signbit"]
)
def test_special_values(name):
    if name in ELEMENTWISE_TWO.split():
        x, y = (z.ravel() for z in np.meshgrid(SPECIAL, [1.0, -1.0, math.inf, -0.0, 5.0]))
        found, wanted = getattr(xp, name)(ac.tensor(x), ac.tensor(y)).value, numpys(name)(x, y)
    else:
        found, wanted = getattr(xp, name)(ac.tensor(SPECIAL)).value, numpys(name)(np.array(SPECIAL))
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    zeros = wanted == 0
    if name != "nextafter":  # of 0 and -0 the one as good as the other
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]))


# a call of the namespace ``xp`` on an array x of shape (2, 3, 4): NumPy's own namespace has these names as well
CALLS = {
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (5, 2, 3, 4)),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, x[0, :1])[1] + 0.0,
    "clip": lambda xp, x: xp.clip(x, -0.5, 0.5),
    "clip above": lambda xp, x: xp.clip(x, None, 0.25),
    "concat": lambda xp, x: xp.concat([x, x * 2], axis=1),
    "concat flattened": lambda xp, x: xp.concat([x, x[0]], axis=None),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=-2),
    "flip": lambda xp, x: xp.flip(x, axis=(0, 2)),
    "flip all": lambda xp, x: xp.flip(x),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, -1),
    "permute_dims": lambda xp, x: xp.permute_dims(x, (2, 0, 1)),
    "repeat": lambda xp, x: xp.repeat(x, 2, axis=1),
    "repeat flattened": lambda xp, x: xp.repeat(x, 3),
    "reshape": lambda xp, x: xp.reshape(x, (4, -1)),
    "roll": lambda xp, x: xp.roll(x, 5),
    "roll axes": lambda xp, x: xp.roll(x, (1, -2), axis=(0, 2)),
    "squeeze": lambda xp, x: xp.squeeze(x[:, :1], axis=1),
    "stack": lambda xp, x: xp.stack([x, x + 1], axis=-1),
    "tile": lambda xp, x: xp.tile(x, (2, 1, 1, 2)),
    "tril": lambda xp, x: xp.tril(x, k=1),
    "triu": lambda xp, x: xp.triu(x, k=-1),
    "matmul": lambda xp, x: xp.matmul(x, xp.moveaxis(x, 1, 2)),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "tensordot": lambda xp, x: xp.tensordot(x, x, axes=((0, 1), (0, 1))),
    "vecdot": lambda xp, x: xp.vecdot(x, x[0], axis=-1),
    "take": lambda xp, x: xp.take(x, xp.asarray([2, 0, 2]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "where": lambda xp, x: xp.where(x > 0, x, 2 * x),
    "sort": lambda xp, x: xp.sort(x, axis=0),
    "sum": lambda xp, x: xp.sum(x, axis=(0, 2)),
    "sum kept": lambda xp, x: xp.sum(x, axis=1, keepdims=True),
    "sum in float32": lambda xp, x: xp.sum(x, dtype=xp.float32),
    "prod": lambda xp, x: xp.prod(x, axis=2),
    "max": lambda xp, x: xp.max(x, axis=(0, 1)),
    "min": lambda xp, x: xp.min(x),
    "mean": lambda xp, x: xp.mean(x, axis=-1),
    "var": lambda xp, x: xp.var(x, axis=(1, 2), correction=1.5),
    "std": lambda xp, x: xp.std(x, axis=0, correction=1, keepdims=True),
    "std of all": lambda xp, x: xp.std(x),
    "diff": lambda xp, x: xp.diff(x, axis=1, n=2),
    "diff with ends": lambda xp, x: xp.diff(x, axis=0, prepend=x[:1] * 3, append=x[:1]),
    "astype": lambda xp, x: xp.astype(x, xp.float32),
    "unique_values": lambda xp, x: xp.sort(xp.unique_values(x)),
    "indexing": lambda xp, x: x[1, ..., ::-2],
    "masks": lambda xp, x: x[x > 0],
}
SINCE = {"cumulative_sum": np.cumsum, "cumulative_prod": np.cumprod}  # in NumPy under this name from 2.1 on
X = np.random.default_rng(5).permutation(np.linspace(-1.3, 1.7, 24)).reshape(2, 3, 4)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_numpys(name):
    f, wanted = CALLS[name], np.asarray(CALLS[name](np, X))
    loose = 1e-6 if wanted.dtype == np.float32 else 1e-12
    for x in (xp.asarray(X), ac.tensor(X)):
        found = f(xp, x)
        assert isinstance(found, ac.Tensor) and found.shape == wanted.shape and found.dtype == wanted.dtype
        np.testing.assert_allclose(found.value, wanted, rtol=loose, atol=loose)
    whole = np.arange(24).reshape(2, 3, 4) - 7
    if name not in ("mean", "var", "std", "std of all", "clip", "clip above"):  # the standard has none of whole numbers
        found, wanted = f(xp, xp.asarray(whole)), np.asarray(f(np, whole))
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found.value, wanted)
    if loose > 1e-7:
        return
    weights = np.random.default_rng(6).normal(size=np.shape(f(np, X)))
    gradient = ac.grad(lambda x: ac.sum(f(xp, x) * weights))(X)
    np.testing.assert_allclose(gradient, differences(lambda x: f(np, x) * weights, X), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", SINCE)
def test_running(name):
    for x in (xp.asarray(X), ac.tensor(X), xp.asarray(np.arange(24).reshape(2, 3, 4))):
        running, wanted = getattr(xp, name), SINCE[name](x.value, axis=1)
        np.testing.assert_allclose(running(x, axis=1).value, wanted, rtol=1e-12)
        with_first = running(x, axis=1, include_initial=True)
        assert with_first.shape == (2, 4, 4) and with_first.dtype == wanted.dtype
        np.testing.assert_array_equal(with_first.value[:, 0], float(name == "cumulative_prod"))
    with pytest.raises(ValueError, match="axis="):
        running(x)
    weights = np.random.default_rng(6).normal(size=(2, 3, 4))
    np.testing.assert_allclose(
        ac.grad(lambda x: ac.sum(running(x, axis=2) * weights))(X),
        differences(lambda x: SINCE[name](x, axis=2) * weights, X), rtol=1e-5, atol=1e-7)  # fmt: skip


READ = {
    "argmax": lambda xp, x: xp.argmax(x, axis=1, keepdims=True),
    "argmin": lambda xp, x: xp.argmin(x),
    "argsort": lambda xp, x: xp.argsort(x, axis=-1),
    "count_nonzero": lambda xp, x: xp.count_nonzero(x > 0, axis=0),
    "nonzero": lambda xp, x: xp.nonzero(x > 0)[2],
    "all": lambda xp, x: xp.all(x > -1, axis=0),
    "any": lambda xp, x: xp.any(x > 1, axis=(0, 1), keepdims=True),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.asarray([-1.0, 0.0, 1.0]), x, side="right"),
    "unique_counts": lambda xp, x: xp.unique_counts(xp.round(x)).counts,
    "unique_inverse": lambda xp, x: xp.unique_inverse(x).inverse_indices,
    "unique_all": lambda xp, x: xp.unique_all(x).indices,
}


@pytest.mark.parametrize("name", READ)
def test_what_has_no_gradient_is_a_constant(name):
    wanted = np.asarray(READ[name](np, X))
    for x in (xp.asarray(X), ac.tensor(X)):
        found = READ[name](xp, x)
        assert found.constant and found.dtype == wanted.dtype and found.shape == wanted.shape
        np.testing.assert_array_equal(found.value, wanted)


MADE = {
    "arange": lambda xp: xp.arange(7),
    "arange of three": lambda xp: xp.arange(5, -3, -2),
    "arange of floats": lambda xp: xp.arange(0.0, 1.0, 0.3, dtype=xp.float32),
    "asarray": lambda xp: xp.asarray([[1, 2], [3, 4]]),
    "asarray of floats": lambda xp: xp.asarray([1.0, 2.0], dtype=xp.float32),
    "empty": lambda xp: xp.empty((2, 0)),
    "eye": lambda xp: xp.eye(3, 4, k=1),
    "full": lambda xp: xp.full((2, 3), 7),
    "full of truth": lambda xp: xp.full(3, True),
    "full_like": lambda xp: xp.full_like(xp.asarray([1.0, 2.0]), 3),
    "linspace": lambda xp: xp.linspace(0, 1, 5),
    "linspace without end": lambda xp: xp.linspace(-1.0, 2.0, 4, endpoint=False),
    "ones": lambda xp: xp.ones((2, 2), dtype=xp.int16),
    "ones_like": lambda xp: xp.ones_like(xp.asarray([1, 2])),
    "zeros": lambda xp: xp.zeros(3),
    "zeros_like": lambda xp: xp.zeros_like(xp.asarray([True])),
    "meshgrid": lambda xp: xp.stack(xp.meshgrid(xp.asarray([1, 2, 3]), xp.asarray([4, 5]))),
    "meshgrid ij": lambda xp: xp.stack(xp.meshgrid(xp.asarray([1.0, 2.0]), xp.asarray([4.0, 5.0]), indexing="ij")),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_created(name):
    found, wanted = MADE[name](xp), MADE[name](np)
    assert found.constant and found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(found.value, wanted)


def test_a_tensor_keeps_its_gradient_in_asarray():
    x = ac.tensor([1.0, 2.0])
    assert xp.asarray(x) is x and xp.asarray(x, copy=False) is x
    (xp.asarray(x, copy=True) * 2 + xp.asarray(x, dtype=xp.float32)).sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 3])


def test_dtypes():
    assert [xp.isdtype(xp.int8, kind) for kind in ("integral", "real floating", ("bool", "numeric"))] == [
        True,
        False,
        True,
    ]
    assert xp.result_type(ac.tensor([1.0], dtype=np.float32), xp.int16) == np.result_type(np.float32, np.int16)
    assert xp.can_cast(xp.int8, xp.int16) and not xp.can_cast(ac.tensor([1.0]), xp.int8)
    assert (
        xp.finfo(ac.tensor([1.0], dtype=np.float32)).eps == np.finfo(np.float32).eps and xp.finfo(xp.float64).bits == 64
    )
    assert (xp.iinfo(xp.int16).min, xp.iinfo(xp.int16).max) == (-(2**15), 2**15 - 1)
    info = xp.__array_namespace_info__()
    assert info.default_device() == "cpu" and info.devices() == ["cpu"] and info.capabilities()["boolean indexing"]
    assert info.default_dtypes()["real floating"] == np.float64
    assert set(info.dtypes()) == set(DTYPES.split()) and set(info.dtypes(kind="real floating")) == {
        "float32",
        "float64",
    }


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b, "&": lambda a, b: a & b,
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "<": lambda a, b: a < b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


BITS = ("&", "|", "^", "<<", ">>")


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators(sign):
    f = OPERATORS[sign]
    dtypes = ("int16", "uint8", "int64") if sign in BITS else ("int16", "float32", "float64")
    for dtype in dtypes:
        a, b = np.array([5, 6, 7], dtype), np.array([2, 3, 1], dtype)
        for x, y in ((a, b), (a, 2), (2, a)):
            wanted = f(x, y)
            tensors = [ac.tensor(z) if isinstance(z, np.ndarray) else z for z in (x, y)]
            found = f(*tensors)
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found.value, wanted, rtol=1e-6)
            if isinstance(y, np.ndarray) and isinstance(x, np.ndarray):
                np.testing.assert_allclose(f(tensors[0], y).value, wanted, rtol=1e-6)
                np.testing.assert_allclose(f(x, tensors[1]).value, wanted, rtol=1e-6)
    if sign in BITS:
        with pytest.raises(TypeError, match="not defined for"):
            f(ac.tensor([1.0]), ac.tensor([2.0]))
    np.testing.assert_array_equal((~ac.tensor([True, False])).value, [False, True])


def test_attributes():
    x = ac.tensor(X)
    assert x.mT.shape == (2, 4, 3) and x.device == "cpu" and x.to_device("cpu") is x
    assert [7, 8, 9][ac.tensor(1)] == 8 and list(range(ac.tensor(2))) == [0, 1]
    with pytest.raises(TypeError, match="no whole number"):
        [7, 8][ac.tensor(1.0)]
    with pytest.raises(ValueError, match="'cuda'"):
        x.to_device("cuda")


REFUSED = {
    "plain arrays": (lambda: xp.exp(np.ones(2)), TypeError, "xp.asarray"),
    "two numbers": (lambda: xp.add(1, 2), TypeError, "must be a Tensor"),
    "device": (lambda: xp.zeros(2, device="cuda"), ValueError, "'cuda'.*'cpu'"),
    "copy=False": (lambda: xp.asarray([1.0], copy=False), ValueError, "owns its memory"),
    "complex": (lambda: xp.asarray([1j]), TypeError, "complex"),
    "complex dtype": (lambda: xp.zeros(2, dtype=complex), TypeError, "complex"),
    "vecdot of other lengths": (lambda: xp.vecdot(xp.ones(3), xp.ones(1)), ValueError, "3 and 1"),
    "nonzero of a number": (lambda: xp.nonzero(xp.asarray(1)), ValueError, "without axes"),
    "matrix_transpose of a vector": (lambda: xp.matrix_transpose(xp.ones(3)), ValueError, "fewer than two axes"),
    "axis that is not there": (lambda: xp.expand_dims(xp.ones(3), axis=5), IndexError, "axis 5"),
    "indexing": (lambda: xp.meshgrid(xp.ones(2), indexing="yx"), ValueError, "'yx'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    call, kind, match = REFUSED[name]
    with pytest.raises(kind, match=match):
        call()


def test_a_function_written_for_any_library_is_differentiated():
    def softmax_of_scaled(x):
        ns = x.__array_namespace__()
        z = (x - ns.mean(x, axis=0)) / ns.std(x, axis=0, correction=1)
        e = ns.exp(z - ns.max(z, axis=1, keepdims=True))
        return ns.sum((e / ns.sum(e, axis=1, keepdims=True)) ** 2) + ns.sum(ns.asarray([1.0, 2.0]) * x[0, :2])

    a = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(ac.grad(softmax_of_scaled)(a), differences(softmax_of_scaled, a), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ac.compile(softmax_of_scaled)(a), softmax_of_scaled(a), rtol=1e-12)


@pytest.mark.parametrize("name", ["left_shift", "right_shift", "bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits_by_numpys_names(name):
    """NumPy's own functions of whole numbers take Tensors of them, on either side."""
    x, y = np.array([5, 6, 7]), np.array([1, 2, 0])
    function = getattr(np, name)
    for operands in ((ac.tensor(x), y), (x, ac.tensor(y)), (ac.tensor(x), ac.tensor(y))):
        np.testing.assert_array_equal(np.asarray(function(*operands)), function(x, y))
