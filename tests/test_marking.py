"""Functions judged: right ones never refused, wrong ones never RIGHT, the mistake named, forwards told apart."""

import json
import sys
import time
from importlib import import_module

import numpy as np
import pytest
from helpers.students import right as r

import autoconv as ac
from autoconv.marking import budget
from autoconv.marking.apart import EndedError, _answers, packed
from autoconv.marking.asking import Answer
from autoconv.marking.courses import LAYERS


@pytest.mark.parametrize(("like", "forward", "backward"), r.RIGHT)
def test_right_functions_are_right(like, forward, backward):
    v = ac.check_backward(backward, forward, like=like)
    assert v, v.text


@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if not layer.masked])
def test_every_reference_runs_at_its_geometries(name):
    for case in LAYERS[name].tries():
        LAYERS[name].run(case)


FORWARDS = {
    "counts the bias 4 times": lambda x, w, b, p: r.conv_forward_einsum(x, w, b * w[0].size, p)[0],
    "rotates the kernel by 180": lambda x, w, b, p: r.conv_forward_einsum(x, w[:, :, ::-1, ::-1], b, p)[0],
    "leaves the bias out": lambda x, w, b, p: r.conv_forward_einsum(x, w, b * 0, p)[0],
    "gives 0.5 times": lambda x, w, b, p: 0.5 * r.conv_forward_einsum(x, w, b, p)[0],
}


@pytest.mark.dear
@pytest.mark.parametrize("words", FORWARDS)
def test_another_forward_is_named(words):
    forward = lambda x, w, b, p: (FORWARDS[words](x, w, b, p), (x, w, b, p))
    v = ac.check_backward(r.conv_backward_einsum, forward, like="cs231n.conv")
    assert words in v["forward"].says and not v
    assert "gradient of another forward" in v.mistakes


def test_another_eps_is_told_with_its_value():
    v = ac.check_backward(r.norm_backward, r.norm_forward(0, 1e-8), like="cs231n.batchnorm")
    assert v and "eps = 1e-08" in v.text


def _all_tied(dout, cache):
    x, p = cache
    views = r._pool_views(x, p)
    return r._put(x, p, (views == views.max(axis=(4, 5), keepdims=True)) * dout[..., None, None])


def test_all_tied_maxima_are_wrong_but_where_the_course_says_so():
    v = ac.check_backward(_all_tied, r.max_pool_forward, like="cs231n.max_pool")
    assert v["dx"].mistake == "every tied maximum gets everything"
    wide = lambda h: {"pool_height": h["f"], "pool_width": h["f"], "stride": h["stride"]}

    def forward(a, h, mode):
        out, _ = r.max_pool_forward(a.transpose(0, 3, 1, 2), wide(h))
        return out.transpose(0, 2, 3, 1), (a, h)

    def backward(d, cache, mode):
        a, h = cache
        return _all_tied(d.transpose(0, 3, 1, 2), (a.transpose(0, 3, 1, 2), wide(h))).transpose(0, 2, 3, 1)

    assert ac.check_backward(backward, forward, like="deeplearning.pool")


DAMAGED = {
    "returns None": lambda dout, cache: None,
    "wrong kind of result": lambda dout, cache: (dout, dout),
    "raises": lambda dout, cache: 1 / 0,
    "wrong shape": lambda dout, cache: tuple(g[:1] for g in r.conv_backward_einsum(dout, cache)),
    "not finite": lambda dout, cache: tuple(g * np.nan for g in r.conv_backward_einsum(dout, cache)),
    "zero everywhere": lambda dout, cache: tuple(g * 0 for g in r.conv_backward_einsum(dout, cache)),
    "sign": lambda dout, cache: tuple(-g for g in r.conv_backward_einsum(dout, cache)),
}


@pytest.mark.dear
@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_used_has_a_name(name):
    v = ac.check_backward(DAMAGED[name], r.conv_forward_einsum, like="cs231n.conv")
    assert not v and v["dx"].mistake == name


@pytest.mark.dear
def test_padding_zero_is_where_the_slice_is_empty():
    def backward(dout, cache):
        x, w, b, p = cache
        _, dw, db = r.conv_backward_einsum(dout, cache)
        wide = {"stride": p["stride"], "pad": 0}
        pad = p["pad"]
        xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        dx, _, _ = r.conv_backward_einsum(dout, (xp, w, b, wide))
        return dx[:, :, pad:-pad, pad:-pad], dw, db

    v = ac.check_backward(backward, r.conv_forward_einsum, like="cs231n.conv")
    assert v["dx"].mistake == "wrong shape" and "[pad:-pad]" in v["dx"].text and v["dw"].right


def test_a_changed_input_is_told():
    def backward(dout, cache):
        cache[cache < 0] = 0
        return dout * (cache > 0)

    v = ac.check_backward(backward, r.relu_forward, like="cs231n.relu")
    assert v["dx"].right and not v and "changes x" in v.text


@pytest.mark.dear
def test_an_endless_loop_is_stopped():
    def backward(dout, cache):
        while True:
            pass

    v = ac.check_backward(backward, like="cs231n.relu", time_limit=0.3)
    assert v["dx"].mistake == "too slow"


def test_a_function_of_tensors_and_an_unknown_forward():
    dense = lambda d, x, w, b: (d @ w.T, x.T @ d, d.sum(axis=0))
    assert ac.check_backward(dense, like=lambda x, w, b: x @ w + b)
    square = lambda x: x**2
    assert ac.check_backward(lambda d, x: 2 * d * x, square, inputs=[np.array([1.0, 2.0, -3.0])])
    v = ac.check_backward(lambda d, x: -2 * d * x, square, inputs=[np.array([1.0, 2.0, -3.0])])
    assert v["dx"].mistake == "sign"


def _signal(d, x, w):
    views = np.lib.stride_tricks.sliding_window_view(x, len(w), axis=1)
    padded = np.pad(d, ((0, 0), (len(w) - 1, len(w) - 1), (0, 0)))
    back = np.lib.stride_tricks.sliding_window_view(padded, len(w), axis=1)
    return np.einsum("nlok,kco->nlc", back, w[::-1]), np.einsum("nlck,nlo->kco", views, d)


BY_LIKE = {  # like, forward, backward: where no inputs are given, and not every shape and number will do
    "log": (ac.log, np.log, lambda d, x: d / x),
    "root": (ac.sqrt, np.sqrt, lambda d, x: d / (2 * np.sqrt(x))),
    "arcsine": (ac.asin, np.arcsin, lambda d, x: d / np.sqrt(1 - x * x)),
    "above 1": (lambda x: ac.log(x - 1), lambda x: np.log(x - 1), lambda d, x: d / (x - 1)),
    "power": (ac.power, np.power, lambda d, x, y: (d * y * x ** (y - 1), d * x**y * np.log(x))),
    "product": (ac.mul, np.multiply, lambda d, x, y: (d * y, d * x)),
    "product, broadcast": (lambda x, b: x * b, np.multiply, lambda d, x, b: (d * b, (d * x).sum(0))),
    "signal": (ac.conv1d, lambda x, w: np.einsum(
        "nlck,kco->nlo", np.lib.stride_tricks.sliding_window_view(x, len(w), axis=1), w), _signal),
    "by name": (ac.tanh, lambda *, x: np.tanh(x), lambda *, dout, x: dout * (1 - np.tanh(x) ** 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_LIKE)
def test_geometries_are_chosen_where_the_function_is_defined(name):
    like, forward, backward = BY_LIKE[name]
    v = ac.check_backward(backward, forward, like=like)
    assert v, v.text
    wrong = lambda *a, **k: np.multiply(2, backward(*a, **k)) if name != "signal" else (0, *backward(*a)[1:])
    assert not ac.check_backward(wrong, forward, like=like, repair=0)


@pytest.mark.dear
def test_rows_that_are_drawn_are_no_labels_of_the_gradient():
    drawn = [(np.array([1, 1, 3]), np.random.default_rng(0).normal(size=(4, 3)))]
    noise = lambda dout, i, w: np.random.default_rng(1).normal(size=w.shape)
    v = ac.check_backward(noise, lambda i, w: w[i], like=lambda i, w: w[i], inputs=drawn)
    assert v["dw"].kind == "unknown"


def test_one_gradient_may_come_in_a_tuple():
    assert ac.check_backward(lambda dout, cache: (dout * (cache > 0),), like="cs231n.relu")


def test_bad_calls():
    with pytest.raises(ValueError, match=r"did you mean 'cs231n\.conv'"):
        ac.check_backward(lambda d, c: d, like="cs231n.convv")
    with pytest.raises(TypeError, match="is a function"):
        ac.check_backward(3, like="cs231n.conv")
    with pytest.raises(ValueError, match="forward=batchnorm_forward"):
        ac.check_backward(lambda d, c: d, like="cs231n.batchnorm")


@pytest.mark.dear
def test_an_operation_as_a_pair():
    assert ac.check_op((np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2)), ac.tanh)
    v = ac.check_op((np.tanh, lambda g, x: g * (1 - np.tanh(x))), lambda x: ac.tanh(x))
    assert v["dx"].mistake == "square in the derivative forgotten"
    with pytest.raises(TypeError, match="a pair"):
        ac.check_op(3, ac.tanh)


def test_an_operation_of_torch():
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return -3 * g * ctx.saved_tensors[0] ** 2

    v = ac.check_op(Cube, lambda x: x**3)
    assert v["forward"].right and v["dx"].mistake == "sign"


# ---- files


LAYERS_FILE = """
import numpy as np
def relu_forward(x): return np.maximum(x, 0), x
def relu_backward(dout, cache): return dout * (cache > 0)
def affine_forward(x, w, b): return x.reshape(len(x), -1) @ w + b, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout[-1]
"""
HOSTILE = {
    "while True: pass": "too slow",
    "import os; os._exit(0)": "ends the program",
    "np.zeros(10**11).sum()": "raises",
    "np.asarray = None": "raises",
    "open('big', 'wb').write(bytes(10**8))": "raises",
    "raise SystemExit(0)": "raises",
}


def _mark(run_python, tmp_path, text, *options):
    """(exit status, output) of the command on a file with this text."""
    (tmp_path / "layers.py").write_text(text, encoding="utf-8")
    code = "import sys; from autoconv.cli import main; s = main(sys.argv[1:]); print(); print('status', s)"
    out = run_python("-c", code, "mark", str(tmp_path / "layers.py"), "--course", "cs231n", *options)
    text, _, status = out.rstrip().rpartition("\nstatus ")
    return int(status), text


@pytest.mark.dear
def test_a_file_is_marked(run_python, tmp_path):
    status, text = _mark(run_python, tmp_path, LAYERS_FILE, "--points")
    assert status == 1 and "not summed over batch" in text and "5/6" in text
    assert max(map(len, text.splitlines())) <= 80
    status, text = _mark(run_python, tmp_path, LAYERS_FILE, "--only", "relu")
    assert status == 0 and "right" in text


@pytest.mark.dear
def test_hints_only_has_no_answer(run_python, tmp_path):
    _, text = _mark(run_python, tmp_path, LAYERS_FILE, "--json", "--hints-only", "--only", "affine")
    report = json.loads(text)
    part = next(p for p in report["layers"][0]["parts"] if p["name"] == "db")
    assert not part["right"] and part["hint"] and not {"numbers", "says", "mistake"} & part.keys()
    assert "should be" not in text
    assert report["points"] == 3 and report["possible"] == 4


@pytest.mark.dear
@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_file_ends_in_a_row(line, run_python, tmp_path):
    text = "import numpy as np\ndef relu_forward(x): return np.maximum(x, 0), x\n"
    text += f"def relu_backward(dout, cache):\n    {line}\n"
    status, said = _mark(run_python, tmp_path, text, "--time-limit", "2")
    assert status == 1 and HOSTILE[line] in said


@pytest.mark.dear
def test_a_file_cannot_remove_its_folder(run_python, tmp_path):
    text = "import os, shutil\nfor f in os.listdir('.'): os.remove(f)\n" + LAYERS_FILE
    status, _ = _mark(run_python, tmp_path, text, "--only", "relu")
    assert status == 0 and (tmp_path / "layers.py").exists()


def test_what_comes_back_is_not_trusted():
    good = packed([Answer(out=np.ones((2, 3)), gradients={"dx": np.zeros(4), "dw": None})])
    (answer,) = _answers(good, 1)
    assert answer.out.shape == (2, 3) and answer.gradients["dw"] is None
    header = lambda rows: len(text := json.dumps(rows).encode()).to_bytes(8, "little") + text
    huge = {"out": {"kind": "f8", "shape": [10**9, 10**9], "at": 0}, "gradients": {}, "trouble": None}
    for sent in (b"", good[:40], b"\xff" * 90, header([1]), header([huge | {"damage": [], "notes": []}]), header([[]])):
        with pytest.raises(EndedError, match="cannot be read"):
            _answers(sent, 1)


class _StandIn:
    """The part of JAX that ``check_op`` uses: a custom_vjp, which keeps a rule, and vjp, which applies it."""

    class custom_vjp:  # noqa: N801 (JAX's name)
        __module__ = "jax._src.custom_derivatives"

        def __init__(self, forward, rule):
            self.forward, self.rule = forward, rule

        def __call__(self, *inputs):
            return self.forward(*[x.astype(np.float32) for x in inputs])

    @staticmethod
    def vjp(function, *inputs):
        out = function(*inputs)
        return out, lambda g: tuple(r.astype(np.float32) for r in function.rule(g, *inputs))


@pytest.mark.parametrize(("rule", "mistake"), [
    (lambda g, x, w: (g @ w.T, x.T @ g), None),
    (lambda g, x, w: (g @ w.T, x.T @ g / len(x)), "mean instead of sum"),
    (lambda g, x, w: (g @ w.T, x[-1:].T @ g[-1:]), "not summed over batch"),
])  # fmt: skip
def test_an_operation_of_jax(rule, mistake, monkeypatch):
    """With a stand-in, in float32 as JAX computes by default; with JAX itself where it is installed (below)."""
    monkeypatch.setitem(sys.modules, "jax", _StandIn)
    v = ac.check_op(_StandIn.custom_vjp(lambda x, w: x @ w, rule), lambda x, w: x @ w)
    assert v["forward"].right and v["dx"].right and v["dw"].mistake == mistake, v.text
    assert bool(v) == (mistake is None)


def test_an_operation_of_jax_itself():
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (-3 * g * x**2,))
    v = ac.check_op(cube, lambda x: x**3)
    assert v["forward"].right and v["dx"].mistake == "sign", v.text
    assert ac.check_op(jax.jit(lambda x: x**3), lambda x: x**3)


@pytest.mark.parametrize(("named_in", "left"), [(0.0, 2.0), (0.5, 2.0), (1.0, 1.5), (1.4, 1.1), (9.0, 1.0)])
def test_the_search_for_repairs_is_shorter_where_naming_took_long_and_never_shorter_than_half(
    named_in, left, monkeypatch
):
    now = 100.0
    monkeypatch.setattr(budget.time, "thread_time", lambda: now)
    made = budget.Budget(2.0)
    now += named_in
    assert made.left == pytest.approx(left)


def test_a_slow_forward_is_not_waited_for_at_every_geometry(monkeypatch):
    """Gradients by differences have one time limit together: a file with a million lines a call took minutes."""
    asked = []

    def slow(layer, case, functions, dout, limit):
        asked.append(limit)
        time.sleep(0.4)

    monkeypatch.setattr(import_module("autoconv.marking.check_backward"), "differences", slow)
    forward = lambda x, w, b: (np.sin(x.reshape(len(x), -1) @ w + b), (x, w, b))
    verdict = ac.check_backward(lambda dout, cache: cache, forward, like="cs231n.affine", time_limit=1.0, repair=0)
    assert not verdict
    assert len(asked) == 3
    assert 1.0 == asked[0] > asked[1] > asked[2] > 0
