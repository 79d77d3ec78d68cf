"""What real solution files had that was judged wrongly or not told: years of a course, packages, views, an eps."""

import pytest
from helpers.students.unseen.hands import PATIENCE, judged
from helpers.students.unseen.public import PUBLIC

import autoconv as ac
from autoconv.marking.report import mark

MADE = [one for one in PUBLIC if one.lines]


@pytest.mark.quick(2)
@pytest.mark.parametrize("one", [one for one in PUBLIC if not one.lines], ids=lambda one: one.label)
def test_the_right_functions_are_right(one, tmp_path):
    verdict = judged(one, tmp_path / "layers.py")
    assert verdict and not verdict.damage, verdict.text


@pytest.mark.dear
@pytest.mark.quick(3)
@pytest.mark.parametrize("one", MADE, ids=lambda one: one.label)
def test_the_line_of_the_slip_is_told(one, tmp_path):
    verdict = judged(one, tmp_path / "layers.py", PATIENCE)
    wrong = [part for part in verdict.parts.values() if not part.right]
    assert wrong and all(any(fix.line in one.lines for fix in part.fixes) for part in wrong), verdict.text


# ---- what other years of a course, or other files, have otherwise

LINEAR = """
class Linear:
    def __init__(self, in_features, out_features{more}):
        self.W = {W}
        self.b = np.zeros((out_features, 1))
    def forward(self, A):
        self.A = A
        return A @ self.W.T + self.b.T
    def backward(self, dLdZ):
        self.dLdW, self.dLdb = dLdZ.T @ self.A{by}, dLdZ.sum(axis=0)[:, None]{by}
        return dLdZ @ self.W
"""
TANH = """
class Tanh:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A
    def {name}(self):
        return 1 - self.A{power}
"""
NORM = """
class BatchNorm1d:
    def __init__(self, num_features):
        self.{g}, self.{b} = np.ones((1, num_features)), np.zeros((1, num_features))
    def forward(self, Z):
        self.V, M = Z.var(axis=0) + 1e-8, Z.mean(axis=0)
        self.N = (Z - M) / np.sqrt(self.V)
        return self.N * self.{g} + self.{b}
    def backward(self, d):
        self.dLd{g}, self.dLd{b} = (d * self.N).sum(axis=0{keep}), d.sum(axis=0{keep})
        d = d * self.{g}
        return (d - d.mean(axis=0) - self.N * (d * self.N).mean(axis=0)) / np.sqrt(self.V)
"""
ZEROS, MADE_BY = "np.zeros((out_features, in_features))", "weight_init_fn(out_features, in_features)"
INNER = """
from {dot}resampling import *
class Inner:
    def __init__(self): self.thin = Downsample1d(2)
"""
DOWN = """
class Downsample1d:
    def __init__(self, downsampling_factor): self.k = downsampling_factor
    def forward(self, A):
        self.n = A.shape[2]
        return A[:, :, ::self.k]
    def backward(self, dLdZ):
        dLdA = np.zeros((*dLdZ.shape[:2], self.n))
        dLdA[:, :, ::self.k] = dLdZ
        return dLdA
"""
DROP = """
def dropout_forward(x, dropout_param):
    '''{says}'''
    p, mode, mask = dropout_param["p"], dropout_param["mode"], None
    np.random.seed(dropout_param["seed"])
    if mode == "train":
        mask = (np.random.rand(*x.shape) {kept}
        x = x * mask
    return x * 1.0, (mask, mode)
def dropout_backward(dout, cache):
    return dout * cache[0] if cache[1] == "train" else dout * 1.0
"""
DROPS = "- p: Dropout parameter. We drop each neuron output with\n    probability p."
KEEPS = "- p: Dropout parameter. We keep each neuron output with probability p."
KEPT, DROPPED = "< p) / p", "> p) / (1 - p)"
ALT = """
def batchnorm_forward(x, gamma, beta, bn_param):
    return {forward}, (1.0, x, gamma)
def batchnorm_forward_alt(x, gamma, beta, bn_param):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    hat = (x - x.mean(axis=0)) / std
    return gamma * hat + beta, (hat, std, gamma)
def batchnorm_backward_alt(dout, cache):
    hat, std, gamma = cache
    dgamma, dbeta = (dout * hat).sum(axis=0), dout.sum(axis=0)
    return gamma / std * (dout - dbeta / len(dout) - hat * dgamma / len(dout)), dgamma, dbeta
"""
POOL = """
def max_pool_forward_naive(x, pool_param):
    a, b, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    size = lambda n, k: {size}
    out = np.zeros((*x.shape[:2], size(x.shape[2], a), size(x.shape[3], b)))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s:i * s + a, j * s:j * s + b].max(axis=(2, 3))
    return out, (x, a, b, s)
def max_pool_backward_naive(dout, cache):
    x, a, b, s = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            here = (slice(None), slice(None), slice(i * s, i * s + a), slice(j * s, j * s + b))
            part = x[here]
            {mask}
            dx[here] += mask * dout[:, :, i:i + 1, j:j + 1]
    return dx
"""
FIRST = """flat = part.reshape(*part.shape[:2], -1)
            mask = (np.arange(a * b) == flat.argmax(axis=2)[:, :, None]).reshape(part.shape)"""
ALL = "mask = part == part.max(axis=(2, 3), keepdims=True)"
GROUPS = """
def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    '''{says}'''
    rows = x.reshape(len(x) * G, -1)
    std = np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    hat = ((rows - rows.mean(axis=1, keepdims=True)) / std).reshape(x.shape)
    return {gamma} * hat + {beta}, (hat, {gamma}, std, G)
def spatial_groupnorm_backward(dout, cache):
    hat, gamma, std, G = cache
    g, h = (dout * gamma).reshape(len(dout) * G, -1), hat.reshape(len(dout) * G, -1)
    mean = lambda a: a.mean(axis=1, keepdims=True)
    dx = ((g - mean(g) - h * mean(g * h)) / std).reshape(dout.shape)
    return dx, (dout * hat).sum(axis=(0, 2, 3){keep}), dout.sum(axis=(0, 2, 3){keep})
"""
FLAT, LIFTED = "- gamma: Scale parameter, of shape (C,)", "- gamma: Scale parameter, of shape (1, C, 1, 1)"
LIFT = {name: f"{name}.reshape(1, -1, 1, 1)" for name in ("gamma", "beta")}
KEEP, PLAIN = ", keepdims=True", {name: name for name in LIFT}
LINES = [  # course, layer, file, whether it is right, words of the report
    ("cmu11785", "linear", LINEAR.format(more="", W=ZEROS, by=""), True, ""),
    ("cmu11785", "linear", LINEAR.format(more=", weight_init_fn", W=MADE_BY, by=""), True, ""),
    ("cmu11785", "linear", LINEAR.format(more="", W=ZEROS, by=" / len(dLdZ)"), False, "editions of the course"),
    ("cmu11785", "tanh", TANH.format(name="backward", power="**2"), True, ""),
    ("cmu11785", "tanh", TANH.format(name="derivative", power="**2"), True, ""),
    ("cmu11785", "tanh", TANH.format(name="derivative", power=""), False, "square"),
    ("cmu11785", "batchnorm", NORM.format(g="BW", b="Bb", keep=", keepdims=True"), True, ""),
    ("cmu11785", "batchnorm", NORM.format(g="BW", b="Bb", keep=""), True, ""),
    ("cmu11785", "batchnorm", NORM.format(g="gamma", b="beta", keep=""), True, ""),
    ("cmu11785", "downsample1d", DOWN + INNER.format(dot="."), True, ""),
    ("cmu11785", "downsample1d", DOWN + INNER.format(dot=""), True, ""),
    ("cs231n", "dropout", DROP.format(says=KEEPS, kept=KEPT), True, ""),
    ("cs231n", "dropout", DROP.format(says=KEEPS, kept=DROPPED), False, "takes p for the probability of dropping"),
    ("cs231n", "dropout", DROP.format(says=DROPS, kept=DROPPED), True, ""),
    ("cs231n", "dropout", DROP.format(says=DROPS, kept=KEPT), True, ""),
    ("cs231n", "dropout", DROP.format(says=DROPS, kept="> p) * 1.0"), False, "does not divide"),
    ("cs231n", "spatial_groupnorm", GROUPS.format(says=FLAT, keep="", **LIFT), True, ""),
    ("cs231n", "spatial_groupnorm", GROUPS.format(says=FLAT, keep=KEEP, **LIFT), False, "of, (2,)"),
    ("cs231n", "spatial_groupnorm", GROUPS.format(says=LIFTED, keep=KEEP, **PLAIN), True, ""),
    ("cs231n", "spatial_groupnorm", GROUPS.format(says=LIFTED, keep="", **PLAIN), False, "(1, 2, 1, 1)"),
    ("cs231n", "spatial_groupnorm", GROUPS.format(says="", keep=KEEP, **LIFT), True, ""),
    ("cs231n", "batchnorm_alt", ALT.format(forward="batchnorm_forward_alt(x, gamma, beta, bn_param)[0]"), True, ""),
    ("cs231n", "max_pool", POOL.format(size="1 + (n - k) // s", mask=FIRST), True, ""),
    ("cs231n", "max_pool", POOL.format(size="1 - (k - n) // s", mask=FIRST), True, "another size"),
    ("cs231n", "max_pool", POOL.format(size="1 + (n - k) / s", mask=FIRST), False, "a // b"),
]  # fmt: skip


@pytest.mark.quick(3)
@pytest.mark.parametrize(("course", "layer", "text", "right", "words"), LINES)
def test_a_file_of_another_year_is_judged_as_that_year_would(course, layer, text, right, words, tmp_path):
    (tmp_path / "resampling.py").write_text(f"import numpy as np\n{DOWN}")
    (tmp_path / "layers.py").write_text(f"import numpy as np\n{text}")
    report = mark(str(tmp_path / "layers.py"), course, only=[layer])
    assert bool(report.verdicts[0]) == right, report.text()
    assert words in " ".join(report.verdicts[0].text.split())


def test_what_is_wrong_at_equal_values_alone_has_no_line(tmp_path):
    (tmp_path / "layers.py").write_text(f"import numpy as np\n{POOL.format(size='1 + (n - k) // s', mask=ALL)}")
    (verdict,) = mark(str(tmp_path / "layers.py"), "cs231n", only=["max_pool"]).verdicts
    assert verdict["dx"].mistake == "every tied maximum gets everything" and not verdict["dx"].fixes


def test_a_right_backward_of_a_wrong_forward_is_told_where_another_geometry_raises():
    def forward(A_prev, W, b, hparameters):
        s, p = hparameters["stride"], hparameters["pad"]
        x = ac.functional.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)))
        count = W.shape[0] * W.shape[1] * W.shape[2]
        return ac.conv2d(x, W, count * b.reshape(-1), stride=s), (A_prev, W, b, hparameters)

    def backward(dZ, cache):
        A_prev, W, b, hparameters = cache
        s, p = hparameters["stride"], hparameters["pad"]
        if p == 0:
            raise ValueError("nothing to cut off")
        kernel = ac.tensor(W)
        (ac.conv2d(A_prev, kernel, stride=s, padding=p) * dZ).sum().backward()
        image = ac.tensor(A_prev)
        (ac.conv2d(image, W, stride=s, padding=p) * dZ).sum().backward()
        return image.grad, kernel.grad, dZ.sum(axis=(0, 1, 2)).reshape(b.shape)

    verdict = ac.check_backward(backward, forward, like="deeplearning.conv", repair=0)
    assert "counts the bias" in verdict["forward"].says
    assert verdict["db"].mistake == "gradient of another forward" and verdict["dW"].mistake == "raises"
