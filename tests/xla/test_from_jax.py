"""from_jax beside JAX: values, gradients, structure, places, and what is refused."""

import pickle

import numpy as np
import pytest

import autoconv as ac
from autoconv.interop import UnsupportedError

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")
jnp, lax = jax.numpy, jax.lax

RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(*shape):
    return RNG.normal(size=shape)


def apart(*shape):
    """Numbers that are all different, far enough for a difference of places to show."""
    return RNG.permutation(np.arange(np.prod(shape))).reshape(shape) / 3.0


def conv(lhs, rhs, out, **settings):
    return lambda x, w: lax.conv_general_dilated(x, w, dimension_numbers=(lhs, rhs, out), **settings)


def window(monoid, start, *, base=None, dilation=None, dims, strides, padding):
    return lambda x: lax.reduce_window(
        x, start, monoid, dims, strides, padding, base_dilation=base, window_dilation=dilation
    )


def loop(x, w):
    def body(carry, row):
        carry = jnp.tanh(carry @ w + row)
        return carry, carry * 2

    last, every = lax.scan(body, jnp.zeros(3), x)
    return last, every


def taken(x, w):
    return x[jnp.array([[0, 2], [1, 1]])] * w, x.at[jnp.array([1, 1])].add(w[:2]), x.at[2].set(w[0])


def gather(slices, mode, **numbers):
    def function(x):
        indices = np.array([[1, 2], [5, -1], [0, 0]])
        numbered = lax.GatherDimensionNumbers(**numbers)
        return lax.gather(x, indices, numbered, slices, mode=mode)

    return function


CASES = {
    "arithmetic": (lambda x, y: x * y - x / y + (-x) + jnp.abs(y) + 2 - x % 3, normal(3), normal(3)),
    "powers": (
        lambda x: x**2 + x**3 + x**-1 + x**5 + jnp.sqrt(x) + lax.rsqrt(x) + jnp.cbrt(x) + x**0.3 + x**x + jnp.exp2(x),
        normal(4) ** 2 + 0.1,
    ),
    "exponentials": (
        lambda x: jnp.exp(x) + jnp.log(x) + jnp.log1p(x) + jnp.expm1(x) + jnp.logaddexp(x, 0.5),
        normal(4) ** 2 + 0.1,
    ),
    "trigonometry": (
        lambda x: (
            jnp.sin(x)
            + jnp.cos(x)
            + jnp.tan(x)
            + jnp.arcsin(x)
            + jnp.arccos(x)
            + jnp.arctan(x)
            + jnp.arctan2(x, 2 * x + 3)
        ),
        normal(4) / 9,
    ),
    "hyperbolic": (
        lambda x: jnp.sinh(x) + jnp.cosh(x) + jnp.tanh(x) + jnp.arcsinh(x) + jnp.arccosh(x + 3) + jnp.arctanh(x),
        normal(4) / 9,
    ),
    "erf": (lambda x: lax.erf(x) + lax.erfc(x) + jax.nn.sigmoid(x), normal(4)),
    "steps": (
        lambda x: x * jnp.floor(x) + x * jnp.ceil(x) + x * jnp.round(x) + x * lax.round(x) + x * jnp.sign(x),
        np.array([-1.5, -0.2, 0.5, 2.5]),
    ),
    "ties": (
        lambda x, y: jnp.maximum(x, y) * 3 + jnp.minimum(x, y) * 5 + jnp.abs(x) + jax.nn.relu(y) + jax.nn.relu6(y),
        np.array([0.0, 1, -1, 6]),
        np.array([0.0, 1, 2, 6]),
    ),
    "clip": (lambda x: jnp.clip(x, -1, 1) * 2 + lax.clamp(0.0, x, 2.0), np.array([-1.0, -0.5, 0, 1, 2, 3])),
    "clamp between inputs": (
        lambda x, a, b: lax.clamp(a, x, b) * 3,
        np.array([-2.0, 0.3, 4]),
        np.array([-1.0, -1, -1]),
        np.array([1.0, 1, 1]),
    ),
    "where": (
        lambda x, y: (
            jnp.where(x > y, x * 2, y * 3) + jnp.where((x < 0) | ~(y > 0), x, y) + jnp.where((x >= 0) ^ (y <= 0), x, 0)
        ),
        normal(5),
        normal(5),
    ),
    "select of three": (lambda x: lax.select_n(jnp.array([0, 2, 1, 2]), x, x * 2, x**2), normal(4)),
    "activations": (
        lambda x: sum(
            f(x).sum()
            for f in (
                jax.nn.relu,
                jax.nn.elu,
                jax.nn.gelu,
                jax.nn.silu,
                jax.nn.softplus,
                jax.nn.selu,
                jax.nn.leaky_relu,
                jax.nn.hard_tanh,
                jax.nn.log_sigmoid,
                jax.nn.mish,
                jax.nn.soft_sign,
                jax.nn.hard_swish,
                jax.nn.celu,
                jax.nn.relu6,
            )
        ),
        normal(3, 4),
    ),
    "softmax": (
        lambda x: (jax.nn.softmax(x, 1), jax.nn.log_softmax(x, 0), jax.nn.logsumexp(x, axis=1), jax.nn.standardize(x)),
        normal(3, 4),
    ),
    "shapes": (
        lambda x: (
            x.reshape(4, 3).T[None],
            jnp.broadcast_to(x[:, None], (3, 2, 4)),
            jnp.squeeze(x[:1]),
            x[::-1, 1::2],
            jnp.swapaxes(x, 0, 1),
        ),
        normal(3, 4),
    ),
    "joined": (
        lambda x, y: (
            jnp.concatenate([x, y], 1),
            jnp.stack([x, x]),
            jnp.tile(x, (2, 2)),
            jnp.repeat(x, 2, 0),
            jnp.split(x, [1, 3], 1),
            jnp.roll(x, 1, 1),
        ),
        normal(3, 4),
        normal(3, 2),
    ),
    "padding": (
        lambda x, v: (
            lax.pad(x, 0.0, ((1, 2, 1), (-1, 0, 2))),
            lax.pad(x, v, ((1, -1, 0), (0, 2, 1))),
            jnp.pad(x, 1, mode="edge"),
            jnp.pad(x, 1, mode="reflect"),
        ),
        normal(3, 4),
        np.array(2.5),
    ),
    "reductions": (
        lambda x: (
            x.sum(1),
            x.mean(),
            x.var(0),
            x.std(),
            x.prod(1),
            x.max(0),
            x.min(),
            jnp.linalg.norm(x),
            jnp.median(x),
        ),
        normal(3, 4),
    ),
    "maxima with ties": (lambda x: (x.max(), x.min(1), jnp.amax(x, 0)), np.array([[1.0, 1, 0], [0, 1, 0]])),
    "where the largest is": (lambda x: x[jnp.argmax(x, 0), jnp.arange(4)] * jnp.argmin(x, 1).sum(), apart(3, 4)),
    "running": (
        lambda x: (
            jnp.cumsum(x, 1),
            jnp.cumprod(x, 0),
            lax.cummax(x, 1),
            lax.cummin(x, 0, reverse=True),
            lax.cumlogsumexp(x, 1),
            lax.cumsum(x, 0, reverse=True),
        ),
        normal(3, 4),
    ),
    "products": (
        lambda x, y: (
            x @ y,
            jnp.einsum("ij,jk->ki", x, y),
            jnp.einsum("ij,ij->j", x, x),
            jnp.outer(x[0], y[:, 0]),
            jnp.tensordot(x, y, ([0, 1], [1, 0])),
            jnp.vdot(x, x),
        ),
        normal(3, 4),
        normal(4, 3),
    ),
    "batched product": (lambda x, y: jnp.einsum("bhqd,bkhd->bqhk", x, y), normal(2, 3, 4, 5), normal(2, 6, 3, 5)),
    "convolution": (
        conv("NHWC", "HWIO", "NHWC", window_strides=(1, 2), padding="SAME"),
        normal(2, 5, 6, 3),
        normal(3, 2, 3, 4),
    ),
    "convolution, channels first": (
        conv("NCHW", "OIHW", "NCHW", window_strides=(2, 1), padding=((1, 0), (2, 1)), rhs_dilation=(1, 2)),
        normal(2, 3, 5, 7),
        normal(4, 3, 2, 3),
    ),
    "convolution, depthwise": (
        conv("NHWC", "HWIO", "NHWC", window_strides=(1, 1), padding="SAME", feature_group_count=4),
        normal(2, 4, 4, 4),
        normal(3, 3, 1, 8),
    ),
    "convolution, transposed": (
        lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
        normal(2, 3, 4, 2),
        normal(3, 3, 2, 5),
    ),
    "convolution, cropped": (
        conv("NWC", "WIO", "NWC", window_strides=(1,), padding=((-1, 2),), lhs_dilation=(2,)),
        normal(2, 6, 2),
        normal(3, 2, 3),
    ),
    "convolution, batch groups": (
        conv("NHWC", "HWIO", "NHWC", window_strides=(1, 1), padding="VALID", batch_group_count=2),
        normal(4, 4, 4, 3),
        normal(2, 2, 3, 6),
    ),
    "convolution, 3-D": (
        conv("NDHWC", "DHWIO", "NDHWC", window_strides=(1, 1, 2), padding="SAME"),
        normal(1, 3, 4, 4, 2),
        normal(2, 2, 2, 2, 3),
    ),
    "max pooling": (
        window(lax.max, -jnp.inf, dims=(1, 2, 2, 1), strides=(1, 2, 2, 1), padding="SAME"),
        apart(2, 5, 4, 3),
    ),
    "max pooling, channels first": (
        window(lax.max, -jnp.inf, dims=(1, 1, 3, 2), strides=(1, 1, 2, 1), padding=((0, 0), (0, 0), (1, 1), (1, 0))),
        apart(2, 2, 5, 4),
    ),
    "max pooling with ties": (
        window(lax.max, -jnp.inf, dims=(1, 2, 2, 1), strides=(1, 1, 1, 1), padding="VALID"),
        np.array([0.0, 1, 1, 1, 0, 1, 1, 1, 1]).reshape(1, 3, 3, 1),
    ),
    "largest over odd windows": (
        window(lax.max, -jnp.inf, dims=(2, 3), strides=(1, 1), padding=((2, 2), (0, 1)), base=(2, 1)),
        apart(3, 6),
    ),
    "smallest of windows": (
        window(lax.min, jnp.inf, dims=(2, 2), strides=(2, 1), padding=((1, 0), (0, 0))),
        apart(3, 6),
    ),
    "sums of windows": (
        window(lax.add, 0.0, dims=(1, 2, 3, 1), strides=(1, 1, 2, 1), padding="SAME"),
        normal(2, 4, 5, 2),
    ),
    "indexing": (taken, normal(3), normal(2, 2)[0]),
    "take along": (lambda x: jnp.take_along_axis(x, jnp.array([[0, 2], [1, 1], [3, 0]]), 1), normal(3, 4)),
    "gather of blocks": (
        gather((2, 2), "clip", offset_dims=(1, 2), collapsed_slice_dims=(), start_index_map=(0, 1)),
        normal(4, 5),
    ),
    "gather outside": (
        gather(
            (1, 3),
            lax.GatherScatterMode.FILL_OR_DROP,
            offset_dims=(0,),
            collapsed_slice_dims=(0,),
            start_index_map=(1, 0),
        ),
        normal(4, 5),
    ),
    "added in several places": (lambda x, u: x.at[jnp.array([0, 2, 0, 9]), 1:3].add(u), normal(3, 4), normal(4, 2)),
    "dynamic slices": (
        lambda x, u: (lax.dynamic_slice(x, (7, 1), (2, 2)), lax.dynamic_update_slice(x, u, (-1, 2))),
        normal(3, 4),
        normal(2, 2),
    ),
    "sorting": (lambda x: (jnp.sort(x, 1), lax.top_k(x, 2)[0], lax.sort((x, 2 * x), num_keys=1)[1]), apart(3, 4)),
    "scan": (loop, normal(4, 3), normal(3, 3)),
    "fori_loop": (lambda x: lax.fori_loop(0, 3, lambda k, y: jnp.sin(y) + k, x), normal(3)),
    "cond": (
        lambda x: (
            lax.cond(x[0] > 0, lambda y: y * 2, lambda y: y**3, x) + lax.switch(2, [jnp.sin, jnp.cos, jnp.tanh], x)
        ),
        normal(3),
    ),
    "checkpoint and jit": (jax.checkpoint(jax.jit(lambda x: jnp.sin(x) * jax.jit(jnp.exp)(x))), normal(3)),
    "stop_gradient": (lambda x: x * lax.stop_gradient(x**2), normal(3)),
    "a gradient of JAX's": (
        jax.grad(
            lambda x, w: (conv("NHWC", "HWIO", "NHWC", window_strides=(2, 2), padding="SAME")(x, w) ** 2).sum(), (0, 1)
        ),
        normal(1, 5, 5, 2),
        normal(3, 3, 2, 2),
    ),
    "a gradient of JAX's pooling": (
        jax.grad(lambda x: (window(lax.max, -jnp.inf, dims=(2, 2), strides=(1, 2), padding="SAME")(x) ** 2).sum()),
        apart(4, 5),
    ),
    "vmap": (jax.vmap(lambda x, k: lax.dynamic_slice(x, (k,), (2,)), (0, None)), normal(3, 4), np.array(1)),
    "trees": (lambda p, x: {"y": [x @ p["w"] + p["b"], (p["b"],)]}, {"w": normal(3, 2), "b": normal(2)}, normal(4, 3)),
}


def leaves(tree):
    return [np.asarray(getattr(x, "value", x)) for x in jax.tree_util.tree_leaves(tree)]


def close(found, expected):
    assert jax.tree_util.tree_structure(jax.tree_util.tree_map(lambda x: 0, found)) == jax.tree_util.tree_structure(
        jax.tree_util.tree_map(lambda x: 0, expected)
    )
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_jaxs(name):
    function, *inputs = CASES[name]
    model = ac.from_jax(function, *inputs)
    expected = function(*jax.tree_util.tree_map(jnp.asarray, inputs))
    close(model(*inputs), expected)
    smooth = [k for k, x in enumerate(inputs) if all(leaf.dtype.kind == "f" for leaf in leaves(x))]
    weights = [np.cos(np.arange(x.size)).reshape(x.shape) for x in leaves(expected)]

    def total(results, multiply):
        parts = [multiply(x, w) for x, w in zip(jax.tree_util.tree_leaves(results), weights, strict=True)]
        return sum(parts[1:], parts[0])

    theirs = jax.grad(
        lambda *xs: total(function(*xs), lambda x, w: jnp.sum(jnp.where(jnp.isfinite(x), x, 0) * w)), smooth
    )(*inputs)
    ours = ac.grad(
        lambda *xs: total(model(*xs), lambda x, w: ac.sum(ac.where(ac.isfinite(x), x, 0) * w)), tuple(smooth)
    )(*inputs)
    close(tuple(ours), theirs)


def test_integers_and_bits_are_jaxs():
    def whole(x, y):
        return (
            x // y, x % y, lax.div(x, y), lax.rem(x, y), x & y, x | y, x ^ y, ~x, x << 2, x >> 1,
            lax.shift_right_logical(x, 1), jnp.sort(x), jnp.argmax(x), x.sum(), x.max(), (x > y).any(), (x > y).all(),
            x.astype(float) / 2, (x > 0).astype(np.int32), x.astype(bool), lax.reduce_max(x, (0,)), x.at[1].set(9),
        )  # fmt: skip

    x, y = np.array([7, -7, 5, -5]), np.array([2, 2, -3, -3])
    close(ac.from_jax(whole, x, y)(x, y), whole(jnp.asarray(x), jnp.asarray(y)))


def test_a_network_has_its_scopes_and_lines():
    def net(params, x):
        with jax.named_scope("block"):
            x = jax.nn.relu(x @ params["w"])
        return x.sum()

    params, x = {"w": normal(3, 2)}, normal(4, 3)
    model = ac.from_jax(net, params, x)
    y = model(params, ac.tensor(x))
    line = next(line for line in ac.Tape(y) if line.primitive is not None and line.primitive.name == "contract")
    assert "block" in [s.name for s in line.scope.path]
    assert line.source.startswith("test_from_jax.py, line ") and "params" in line.source
    assert "relu" in repr(model)
    close(pickle.loads(pickle.dumps(model))(params, x), net(params, x))


@jax.custom_vjp
def straight_through(x):
    return jnp.round(x)


straight_through.defvjp(lambda x: (straight_through(x), x), lambda x, g: (g * jnp.cos(x),))


@jax.custom_jvp
def halved(x, y):
    return x * y


@halved.defjvp
def _halved(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return x * y, 0.5 * dx * y + 7 * x * dy


@pytest.mark.parametrize("at", [0.0, 0.3, -2.0])
def test_a_chosen_derivative_holds(at):
    def function(x, y):
        return (jnp.exp(straight_through(3 * x)) * halved(x, y)).sum()

    x, y = np.array([at, 0.7]), np.array([1.0, -0.4])
    model = ac.from_jax(function, x, y)
    close(model(x, y), function(x, y))
    close(tuple(ac.grad(model, (0, 1))(x, y)), jax.grad(function, (0, 1))(x, y))


def test_a_chosen_derivative_that_no_slope_can_be_is_refused():
    @jax.custom_vjp
    def bounded(x):
        return x

    bounded.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -1, 1),))
    with pytest.raises(UnsupportedError, match=r"chosen for .*bounded at test_from_jax.py.* not a linear function"):
        ac.from_jax(lambda x: bounded(x).sum(), normal(3))


def test_what_no_input_reaches_is_computed_once():
    def dropped(x):
        return x * jax.random.bernoulli(jax.random.key(3), 0.5, x.shape) + jax.scipy.special.gammaln(3.5)

    x = normal(50)
    close(ac.from_jax(dropped, x)(x), dropped(x))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: jax.scipy.special.gammaln(x), r"lgamma: test_from_jax.py, line \d+"),
        (lambda x: lax.while_loop(lambda y: y.sum() < 9, lambda y: y * 2, x), r"while \(how often it runs follows"),
        (lambda x: jnp.linalg.eigh(jnp.outer(x, x))[0], r"(eigh|operations that are not covered)"),
        (lambda x: jax.lax.complex(x, x), "complex"),
    ],
)
def test_what_is_not_covered_is_named_with_its_place(function, says):
    with pytest.raises(UnsupportedError, match=says):
        ac.from_jax(function, normal(3) + 2)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: ac.from_jax(3, 1.0), TypeError, "fn must be a function of JAX"),
        (lambda: ac.from_jax(jnp.sin, normal(3))(normal(4)), ValueError, r"shape \(4,\), the model was read for \(3\)"),
        (lambda: ac.from_jax(jnp.sin, normal(3))(), TypeError, "takes the inputs 0"),
        (lambda: ac.from_jax(lambda k, x: x, jax.random.key(0), 1.0), UnsupportedError, "draw random numbers before"),
    ],
)
def test_what_does_not_fit_is_said(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_jax_is_imported_only_when_it_is_asked_for(run_python):
    code = "import sys, autoconv; autoconv.from_jax; print('jax' in sys.modules)"
    assert run_python("-c", code) == "False\n"
