"""Views of nets too large to write out in scalars: the same texts as from an expansion, and bounds on memory.

The peak memory is that of a process of its own, which takes no more than 1 GB of addresses.
"""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn
from autoconv.scalar.expand import expansion_size
from autoconv.views.equations import analysis


def convolutions():
    r = np.random.default_rng(0)
    x, w, b = [ac.tensor(r.normal(size=s), name=n) for n, s in (("x", (1, 6, 6, 2)), ("w", (3, 3, 2, 3)), ("b", 3))]
    h = ac.relu(ac.conv2d(x, w, b, padding=1))
    p, v = ac.max_pool2d(h, 2), ac.tensor(r.normal(size=(27, 4)), name="v")
    y = ac.reshape(p, (1, -1)) @ v
    things = [w[0, 0, 0, 0], x[0, 0, 0, 0], x[0, 3, 3, 1], b[1], v[3, 2], h[0, 1, 1, 0], p[0, 0, 0, 1], y[0, 1]]
    return ac.losses.cross_entropy(y, np.array([1])), things, {"h": h, "p": p, "y": y}


def normalised():
    rng = np.random.default_rng(1)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, rng=rng), nn.BatchNorm2d(3), nn.ReLU(), nn.GlobalAvgPool())
    x = ac.tensor(rng.normal(size=(2, 5, 5, 2)), name="x")
    loss = ac.losses.cross_entropy(net(x), np.array([1, 2]))
    kernel, _, gamma, *_ = net.parameters()
    return loss, [kernel[0, 0, 0, 0], kernel[1, 1, 1, 2], gamma[0], x[0, 2, 2, 1]], {}


def transposed():
    r = np.random.default_rng(2)
    x, k = ac.tensor(r.normal(size=(1, 3, 3, 2)), name="x"), ac.tensor(r.normal(size=(3, 3, 2, 2)), name="k")
    y = ac.conv_transpose2d(x, k, stride=2)
    a = ac.avg_pool2d(y, 3, stride=2, padding=1)
    return ac.sum(a**2), [x[0, 1, 1, 1], k[0, 0, 0, 0], y[0, 0, 0, 0], a[0, 1, 1, 1]], {"y": y, "a": a}


def mixed():
    r = np.random.default_rng(3)
    x, k = ac.tensor(r.normal(size=(4, 5)), name="x"), ac.tensor(r.normal(size=(2, 3)), name="k")
    z = ac.concat([ac.reshape(ac.conv2d(x, k, stride=2, padding=1), (-1,)), x[1] * x[1]], axis=0)
    s = ac.softmax(ac.maximum(z, 0.3) + ac.logaddexp(z, ac.flip(z, axis=0)))
    return ac.sum(s * s * np.arange(s.size)) + ac.mean(x) * ac.std(x), [x[0, 0], x[1, 2], k[0, 1], z[3], s[1]], {"z": z}


NETS = [convolutions, normalised, transposed, mixed]


@pytest.mark.parametrize("make", NETS)
def test_scalars_on_demand_give_the_same_explanation(make, monkeypatch):
    loss, things, names = make()
    texts = []
    for limit in (10**9, -1):
        monkeypatch.setattr(analysis, "WRITTEN", limit)
        explained = [ac.explain(loss, t, depth=d, names=names) for t in things for d in (1, None)]
        kind = type(explained[0].context.analysis)
        assert kind is (analysis.Analysis if limit > 0 else analysis.Demanded)
        texts.append([(e.text, e.latex, e.html, e.reason) for e in explained])
        del explained  # what is still in use is not analysed again
    assert texts[0] == texts[1]


@pytest.mark.parametrize("make", NETS)
def test_uses_are_those_of_the_expansion(make):
    loss, *_ = make()
    flat = ac.expand(loss)
    for x in ac.Tape(loss).inputs:
        expected = np.bincount(flat.operands, minlength=len(flat))[flat.scalars(x)]
        assert np.array_equal(ac.uses(x, of=loss).operations, expected)
    assert expansion_size(ac.Tape(loss)) >= len(flat.operands)


def test_uses_of_elements_and_of_channels_first():
    x, w = ac.tensor(np.ones((1, 2, 4, 5)), name="x"), ac.tensor(np.ones((3, 2, 3, 3)), name="w")
    loss = ac.sum(ac.conv2d(x, w, layout="channels_first"))
    assert ac.uses(w[0, 0], of=loss).counts.tolist() == [[6] * 3] * 3  # 2 x 3 positions
    assert ac.uses(w[0, 0, 1, 1], of=loss).counts.item() == 6
    assert repr(ac.uses(x, of=loss)).splitlines()[1:6] == [
        "(the same in all 2 channels)", "1 2 3 2 1", "2 4 6 4 2", "2 4 6 4 2", "1 2 3 2 1",
    ]  # fmt: skip


def test_a_flat_tape_prints_its_head_and_tail():
    x = ac.tensor(np.arange(1000.0), name="x")
    lines = repr(ac.expand(ac.sum(x * x))).splitlines()
    assert lines[0] == "FlatTape of 2,002 scalars, 3,000 operands" and len(lines) == 26
    assert lines[13] == "... 1,978 more scalars ..." and len("".join(lines)) < 2000


SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
import numpy as np, autoconv as ac
from autoconv import nn
rng = np.random.default_rng(0)
block = lambda: [nn.Conv2d(64, 64, 3, padding=1, rng=rng), nn.BatchNorm2d(64), nn.ReLU()]
net = nn.Sequential(*block(), *block())
x = ac.tensor(rng.normal(size=(1, 32, 32, 64)).astype("f4"), name="x")
y = ac.sum(net(x) ** 2)
w = next(iter(net.parameters()))
"""
QUESTIONS = """
e = ac.explain(w[0, 0, 0, 0], of=y, depth=1)
assert len(e.terms) == 961 and "x[0,i-1,j-1,0]" in e.pattern
y.backward()
assert abs(e.total - w.grad[0, 0, 0, 0]) <= 1e-4 * abs(w.grad).max(), (e.total, w.grad[0, 0, 0, 0])
assert ac.uses(w, of=y).counts.max() == 1024 and ac.uses(x, of=y).counts.max() == 9
assert ac.check(w.grad, of=y, wrt=w)
verdict = ac.check(-w.grad, of=y, wrt=w)
assert verdict.kind == "wrong" and "sign" in verdict.mistakes[0].name, verdict
noise = ac.check(rng.normal(size=w.shape), of=y, wrt=w)
assert noise.kind == "unknown" and "too large to search" in noise.summary, noise
for refused in (lambda: ac.paths(w[0, 0, 0, 0], of=y), lambda: ac.graph(y, zoom="scalars", focus=w[0, 0, 0, 0])):
    try:
        refused()
    except ValueError as error:
        assert "229,966,720" in str(error), error  # steps between scalars
    else:
        raise AssertionError("not refused")
"""


def test_two_convolutions_of_64_channels_within_a_gigabyte():
    done = subprocess.run(
        [sys.executable, "-c", dedent(SCRIPT + QUESTIONS)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
