"""Functions that have nothing to do with their layer: none of them is a mistake of any kind."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import Student

HEAD = "import numpy as np\n\n"
UNRELATED: list[Student] = []


def unrelated(name: str, layer: str, text: str) -> None:
    UNRELATED.append(Student(name, layer, HEAD + text.lstrip("\n"), "", frozenset()))


# fmt: off
CONVF = '''
def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    v = np.lib.stride_tricks.sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    return np.einsum("nchwij,fcij->nfhw", v, w) + b[:, None, None], (x, w, b, conv_param)
'''
for i, (dx, dw, db) in enumerate([
    ("np.random.default_rng(1).normal(size=x.shape)", "np.random.default_rng(2).normal(size=w.shape)", "np.random.default_rng(3).normal(size=b.shape)"),
    ("np.sin(x * 7) + x ** 3", "np.cos(5 * w) * w ** 2", "np.tanh(b) - 3.3"),
    ("np.cumsum(np.cumsum(x, 2), 3) * dout.mean()", "np.gradient(w, axis=0) if w.shape[0] > 1 else w ** 4 - 0.2", "np.exp(b)"),
    ("np.arange(x.size).reshape(x.shape) * 0.01", "np.arange(w.size).reshape(w.shape) ** 1.5", "np.arange(b.size) + 0.7"),
    ("np.roll(x, 1, 1) * 0.37 - np.abs(x)", "np.sqrt(np.abs(w)) * np.sign(np.sin(9 * w))", "b * dout.std() + 1"),
]):
    unrelated(f"conv{i}", "cs231n.conv", CONVF + f'''
def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    dx = {dx}
    dw = {dw}
    db = {db}
    return dx, dw, db
''')
BNF = '''
def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mu, var = x.mean(0), x.var(0)
    if bn_param["mode"] != "train":
        mu, var = bn_param["running_mean"], bn_param["running_var"]
    return gamma * (x - mu) / np.sqrt(var + eps) + beta, (x, gamma, beta)
'''
for i, (dx, dg, dbt) in enumerate([
    ("np.random.default_rng(1).normal(size=x.shape)", "np.random.default_rng(2).normal(size=gamma.shape)", "np.random.default_rng(9).normal(size=gamma.shape)"),
    ("np.arctan(x * dout) - 0.4 * x", "np.log1p(gamma ** 2) - 1", "np.median(dout, axis=0) * 1.37"),
    ("np.sort(dout, axis=0) * np.cos(x)", "np.ptp(x, axis=0) * 0.61", "np.ptp(dout, axis=0) ** 2"),
    ("dout ** 3 - x ** 2", "np.percentile(x, 30, axis=0)", "np.sqrt(np.abs(x)).max(0)"),
]):
    unrelated(f"bn{i}", "cs231n.batchnorm", BNF + f'''
def batchnorm_backward(dout, cache):
    x, gamma, beta = cache
    dx = {dx}
    dgamma = {dg}
    dbeta = {dbt}
    return dx, dgamma, dbeta
''')
for i, e in enumerate(["np.random.default_rng(0).random(x.shape)", "np.sinc(x) * dout ** 2", "np.floor(3 * dout) / 7 + np.cos(x)", "np.where(np.sin(40 * x) > 0, dout, -dout) * 0.83"]):
    unrelated(f"relu{i}", "cs231n.relu", f'''
def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, cache):
    x = cache
    return {e}
''')
for i, e in enumerate(["np.random.default_rng(0).normal(size=x.shape)", "np.fft.ifft(np.fft.fft(x, axis=1) ** 2, axis=1).real", "np.tanh(x - 0.3) * (1 + y[:, None]) / 7"]):
    unrelated(f"soft{i}", "cs231n.softmax_loss", f'''
def softmax_loss(x, y):
    z = np.exp(x - x.max(1, keepdims=True))
    p = z / z.sum(1, keepdims=True)
    return -np.log(p[np.arange(len(x)), y]).mean(), {e}
''')
for i, e in enumerate(["np.random.default_rng(0).normal(size=x.shape)", "np.sort(x, axis=2) * 0.3", "x ** 3 - np.roll(x, 1, 3)", "np.sin(11 * x)"]):
    unrelated(f"pool{i}", "cs231n.max_pool", f'''
def max_pool_forward_naive(x, pool_param):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    v = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(2, 3))[:, :, ::s, ::s]
    return v.max(axis=(-2, -1)), (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    return {e}
''')
# fmt: on
