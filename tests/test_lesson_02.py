"""The facts of lesson 2, at other sizes and numbers than the lesson's:
loops written from the formulas against the tape."""

import numpy as np
import pytest

import autoconv as ac

SEEDS = range(5)


def network(seed, kernel=None):
    """The question's net at a random size: an image, a kernel, a second kernel that reads all of the first output."""
    rng = np.random.default_rng(seed)
    window = kernel or tuple(rng.integers(1, 4, 2))
    size = tuple(k + n for k, n in zip(window, rng.integers(1, 4, 2), strict=True))
    i, w1 = ac.tensor(rng.normal(size=size), name="i"), ac.tensor(rng.normal(size=window), name="w1")
    o1 = ac.conv2d(i, w1)
    w2 = ac.tensor(rng.normal(size=o1.shape), name="w2")
    o2 = ac.conv2d(o1, w2)
    y = float(rng.normal())
    C = ac.sum((o2 - y) ** 2)
    C.backward()
    return {"i": i, "w1": w1, "o1": o1, "w2": w2, "o2": o2, "y": y, "C": C}


def frames(image, window):
    """{(m, n): the inputs that weight (m, n) meets, one for each position}, by plain slicing."""
    rows, columns = image.shape[0] - window[0] + 1, image.shape[1] - window[1] + 1
    return {(m, n): image[m : m + rows, n : n + columns] for m, n in np.ndindex(*window)}


# ---- the two claims


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_claim_is_right(seed):
    net = network(seed)
    o1, o2 = net["o1"].value, net["o2"].item()
    by_hand = [[o1[m, n] * 2 * (o2 - net["y"]) for n in range(o1.shape[1])] for m in range(o1.shape[0])]
    assert np.allclose(net["w2"].grad, by_hand)
    assert ac.check("o1 * 2*(o2 - y)", of=net["C"], wrt=net["w2"], names=net).kind == "right"
    assert ac.check("o1[0,0] * 2*(o2 - y)", of=net["C"], wrt=net["w2"][0, 0], names=net).right


@pytest.mark.parametrize("seed", SEEDS)
def test_the_second_claim_is_a_product_of_sums(seed):
    net = network(seed)
    window, (m, n) = net["w1"].shape, (0, 0)
    delta = net["w2"].value * 2 * (net["o2"].item() - net["y"])
    met = frames(net["i"].value, window)[m, n]
    assert not np.isclose(met.sum() * delta.sum(), net["w1"].grad[m, n])

    rows, columns = delta.shape
    reads = " + ".join(f"i[{r},{c}]" for r in range(rows) for c in range(columns))
    pulls = " + ".join(f"w2[{r},{c}]*2*(o2 - y)" for r in range(rows) for c in range(columns))
    verdict = ac.check(f"({reads}) * ({pulls})", of=net["C"], wrt=net["w1"][0, 0], names=net)
    assert not verdict and verdict.kind == "wrong"
    explanations = [verdict.mistakes, *verdict.alternatives]
    assert ["product of sums"] in [[finding.name for finding in group] for group in explanations]
    assert all(verdict.hints[level] for level in ("nudge", "locate", "show"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_right_formula_is_a_sum_of_products(seed):
    net = network(seed)
    delta = net["w2"].value * 2 * (net["o2"].item() - net["y"])
    met = frames(net["i"].value, net["w1"].shape)
    by_hand = [[(met[m, n] * delta).sum() for n in range(net["w1"].shape[1])] for m in range(net["w1"].shape[0])]
    assert np.allclose(net["w1"].grad, by_hand)
    assert ac.check("conv(i, w2 * 2*(o2 - y))", of=net["C"], wrt=net["w1"], names=net).right
    for m, n in np.ndindex(*net["w1"].shape):
        said = ac.explain(net["w1"][m, n], of=net["C"], names=net)
        assert np.allclose(sorted(t.local for t in said.terms), sorted(met[m, n].ravel()))
        assert np.isclose(said.total, (met[m, n] * delta).sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_each_summand_of_the_second_claim_is_the_gradient_of_one_output(seed):
    net = network(seed)
    assert np.allclose(net["o1"].grad, net["w2"].value * 2 * (net["o2"].item() - net["y"]))
    assert ac.check("w2 * 2*(o2 - y)", of=net["C"], wrt=net["o1"], names=net).right


@pytest.mark.parametrize("seed", SEEDS)
def test_with_one_position_both_formulas_are_the_same(seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 4, 2))
    i, w = ac.tensor(rng.normal(size=size), name="i"), ac.tensor(rng.normal(size=size), name="w")
    o = ac.conv2d(i, w)
    C = ac.sum((o - 1.0) ** 2)
    assert ac.check(i.value * 2 * (o.item() - 1.0), of=C, wrt=w).right
    assert ac.check("i * sum(2*(o - 1))", of=C, wrt=w, names={"o": o}).right


# ---- a convolution is a fully connected layer

GEOMETRIES = [
    {"spatial": (3, 3), "window": (2, 2)},
    {"spatial": (4, 6), "window": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"spatial": (5, 4), "window": (2, 3), "dilation": (2, 1), "padding": 1, "channels": 3, "filters": 2},
    {"spatial": (5, 5), "window": (3, 3), "stride": 2, "padding": 2, "channels": 2, "filters": 4, "groups": 2},
    {"spatial": (6, 3), "window": (1, 3), "stride": (3, 1), "padding": (0, 2), "channels": 2, "filters": 3},
]


def pair(value):
    return (value, value) if isinstance(value, int) else value


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=range(len(GEOMETRIES)))
@pytest.mark.parametrize("seed", range(2))
def test_the_matrix_of_a_convolution(geometry, seed):
    rng = np.random.default_rng(seed)
    spatial, window = geometry["spatial"], geometry["window"]
    channels, filters, groups = (geometry.get(k, 1) for k in ("channels", "filters", "groups"))
    (s1, s2), (p1, p2), (d1, d2) = (
        pair(geometry.get(k, v)) for k, v in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    settings = {k: geometry[k] for k in ("stride", "padding", "dilation", "groups") if k in geometry}
    image = ac.tensor(rng.normal(size=(*spatial, channels)))
    kernel = ac.tensor(rng.normal(size=(*window, channels // groups, filters)), name="w")
    out = ac.conv2d(image, kernel, **settings)

    by_hand = np.full((out.size, image.size), -1)  # which weight joins an input to an output; -1 for none
    inputs, weights = np.arange(image.size).reshape(image.shape), np.arange(kernel.size).reshape(kernel.shape)
    for row, (i, j, o) in enumerate(np.ndindex(*out.shape)):
        for m, n, c in np.ndindex(*window, channels // groups):
            a, b = i * s1 + m * d1 - p1, j * s2 + n * d2 - p2
            if 0 <= a < spatial[0] and 0 <= b < spatial[1]:
                by_hand[row, inputs[a, b, o // (filters // groups) * (channels // groups) + c]] = weights[m, n, c, o]

    matrix = ac.conv_matrix(kernel, image.shape, **settings)
    assert np.array_equal(matrix.value, np.where(by_hand < 0, 0.0, kernel.value.ravel()[by_hand]))
    assert np.array_equal(ac.matrix_view(matrix).places, by_hand)
    assert np.allclose(matrix.value @ image.value.ravel(), out.value.ravel())

    delta = rng.normal(size=out.shape)
    ac.sum(out * delta).backward()
    free = ac.tensor(matrix.value)
    ac.sum((free @ image.value.ravel()) * delta.ravel()).backward()
    per_entry = np.outer(delta.ravel(), image.value.ravel())
    assert np.allclose(free.grad, per_entry)
    shared = np.array([per_entry[by_hand == k].sum() for k in range(kernel.size)]).reshape(kernel.shape)
    assert np.allclose(kernel.grad, shared)
    assert np.allclose(image.grad.ravel(), matrix.value.T @ delta.ravel())


# ---- average pooling is a convolution with fixed weights


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [((2, 2), None, 0), ((3, 2), (1, 2), 1), ((2, 3), (3, 1), (1, 0))]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_average_pooling_is_a_convolution_with_fixed_weights(window, stride, padding, channels):
    rng = np.random.default_rng(channels)
    images = rng.normal(size=(2, 6, 7, channels))
    fixed = np.full((*window, 1, channels), 1 / (window[0] * window[1]))
    x, same = ac.tensor(images), ac.tensor(images)
    pooled = ac.avg_pool2d(x, window, stride=stride, padding=padding)
    convolved = ac.conv2d(same, fixed, stride=stride or window, padding=padding, groups=channels)
    assert np.allclose(pooled.value, convolved.value)
    delta = rng.normal(size=pooled.shape)
    ac.sum(pooled * delta).backward()
    ac.sum(convolved * delta).backward()
    assert np.allclose(x.grad, same.grad)
    held = [line for line in ac.Tape(convolved) if line.primitive is None and line.shape == fixed.shape]
    assert held and all(line.constant for line in held)  # no gradient is computed for what is fixed


# ---- max through |.|


def through_abs(x, y):
    return (x + y + ac.abs(x - y)) / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_max_through_the_absolute_value(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-8, 9, (2, 30)).astype(float)  # whole numbers: some are equal, and nothing is rounded
    delta = rng.normal(size=30)
    share = np.where(a > b, 1.0, np.where(a < b, 0.0, 0.5))
    for function in (through_abs, ac.maximum):
        x, y = ac.tensor(a), ac.tensor(b)
        made = function(x, y)
        ac.sum(made * delta).backward()
        assert np.array_equal(made.value, np.where(a > b, a, b))
        assert np.allclose(x.grad, delta * share)
        assert np.allclose(y.grad, delta * (1 - share))


@pytest.mark.parametrize("seed", SEEDS)
def test_max_pooling_is_a_tournament(seed):
    rng = np.random.default_rng(seed)
    values = rng.permutation(16).reshape(4, 4).astype(float)  # no two are equal
    x, block = ac.tensor(values), ac.tensor(values)
    delta = rng.normal(size=(2, 2))
    ac.sum(ac.max_pool2d(x, 2) * delta).backward()
    total = 0.0
    for i, j in np.ndindex(2, 2):
        cells = [block[2 * i + m, 2 * j + n] for m, n in np.ndindex(2, 2)]
        total = total + through_abs(through_abs(cells[0], cells[1]), through_abs(cells[2], cells[3])) * delta[i, j]
    total.backward()
    routed = np.zeros((4, 4))
    for i, j in np.ndindex(2, 2):
        m, n = np.unravel_index(values[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].argmax(), (2, 2))
        routed[2 * i + m, 2 * j + n] = delta[i, j]
    assert np.allclose(x.grad, routed)
    assert np.allclose(block.grad, routed)


def test_a_tie_in_max_pooling_goes_to_the_first():
    x = ac.tensor(np.full((2, 2), 3.0))
    ac.sum(ac.max_pool2d(x, 2)).backward()
    assert x.grad.tolist() == [[1, 0], [0, 0]]
