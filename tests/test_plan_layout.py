"""Where an example's numbers stand is the plan's to decide: what layout a net is written in makes no difference."""

from collections import Counter

import numpy as np
import pytest
from helpers.random_nets import native, swept

import autoconv as ac
from autoconv import nn
from autoconv.plan.native import instruction_set as isa
from autoconv.plan.run import native_run
from autoconv.program.rewrite import simplify


def net(layout, channels=16):
    conv = lambda c: nn.Conv2d(c, channels, 3, padding=1, layout=layout)
    norm = lambda: nn.BatchNorm2d(channels, layout=layout)
    model = nn.Sequential(conv(3), norm(), nn.ReLU(), conv(channels), norm(), nn.Tanh())
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.assign(rng.normal(size=p.shape).astype(np.float32) * 0.3)
    return model


@native
@pytest.mark.parametrize("spare", [False, True])  # whether somebody else reads what lies between two kernels
@pytest.mark.parametrize("lanes", ["channels", "examples"])
def test_channels_first_is_the_same_program(lanes, spare, monkeypatch):
    """The same instructions (a product in either form), as many of them moving cells that stand side by side, and eager's numbers."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    x = np.random.default_rng(1).normal(size=(4, 9, 7, 3)).astype(np.float32)
    code = []
    for layout in ("channels_last", "channels_first"):
        model = net(layout)
        parameters = list(model.parameters())

        def f(x, model=model):
            first = model[2](model[1](model[0](x)))
            loss = ac.sum(model[5](model[4](model[3](first))) ** 2)
            return loss + ac.sum(first * first[:, ::-1]) if spare else loss

        given = np.ascontiguousarray(np.moveaxis(x, -1, 1) if layout == "channels_first" else x)
        planned = native_run.plan(simplify(swept(f, [given], parameters)), [given])
        expected = f(given)
        got = planned.run([given])
        gradients = ac.sweep(expected, parameters)
        for a, b in zip(got, [expected, *gradients], strict=True):
            np.testing.assert_allclose(a, np.asarray(b), rtol=2e-3, atol=2e-3)
        rows = [r for a in planned.native.assembled for r in np.frombuffer(a.code, np.int64).reshape(-1, isa.WIDTH)]
        moved = [isa.kind(r.tolist()).read(r.tolist()) for r in rows if isa.kind(r.tolist()) in (isa.LOAD, isa.STORE)]
        names = ("GEMM" if isa.kind(r.tolist()) is isa.DOT else isa.kind(r.tolist()).name for r in rows)
        code.append((Counter(names), Counter(x.beside for x in moved)))
    assert code[0] == code[1]
    assert lanes == "examples" or code[0][1][1] >= code[0][1][0], "most of what is moved stands side by side"
