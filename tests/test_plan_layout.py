"""Where an example's numbers stand is the plan's to decide: what layout a net is written in makes no difference."""

from collections import Counter

import numpy as np
import pytest
from helpers.assembled import instructions
from helpers.random_nets import native, swept

import autoconv as ac
from autoconv import nn
from autoconv.plan.assemble import vector_layout
from autoconv.plan.lower.lower import lower
from autoconv.plan.lower.movement import in_memory
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
    """The same instructions (a product in either form), as many moving cells side by side, and eager's numbers.

    What only kernels read stands in memory as they need it: with examples in the lanes in whole cells.
    """
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
        words = instructions(planned.native.assembled)
        moved = [word for word in words if word.kind in (isa.LOAD, isa.STORE)]
        names = ("GEMM" if word.kind is isa.DOT else word.kind.name for word in words)
        code.append((Counter(names), Counter(x.beside for x in moved)))
        passed_on = sum(x.persistent for k in planned.native.kernels for x in (*k.inputs, *k.outputs))
        assert sum(x.whole for x in moved) == (passed_on if lanes == "examples" else 0) and passed_on > 0
    assert code[0] == code[1]
    assert lanes == "examples" or code[0][1][1] >= code[0][1][0], "most of what is moved stands side by side"


@native
@pytest.mark.parametrize("pool", [ac.avg_pool2d, ac.lp_pool2d])
def test_pooled_channels_stay_in_the_lanes(pool, monkeypatch):
    """A sum over windows, and a constant that stands for each element, have the order of what is pooled."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    x = np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype(np.float32)
    made = []
    for layout in ("channels_last", "channels_first"):
        conv, more = (nn.Conv2d(c, 16, 3, padding=1, layout=layout, rng=c) for c in (3, 16))
        given = np.ascontiguousarray(np.moveaxis(x, -1, 1) if layout == "channels_first" else x)
        loss = lambda x, conv=conv, more=more, layout=layout: ac.sum(
            more(pool(ac.softplus(conv(x)), kernel_size=2, stride=2, layout=layout)) ** 2
        )
        program = simplify(swept(loss, [given], [conv.weight, more.weight]))
        planned = native_run.plan(program, [given])
        words = [word for word in instructions(planned.native.assembled) if word.kind is isa.MAP]
        padding = isa.OPERATIONS["copy"]  # the image is padded as it stands
        made.append(Counter((x.operation, x.count, x.singles) for x in words if x.operation != padding))
    assert made[0] == made[1]
    assert not any(singles for _, _, singles in made[0])


DEPTHWISE = {  # channels, window, settings of a depthwise convolution
    "a vector": (16, (3, 3), {"padding": 1}),
    "more than a vector": (24, (3, 3), {"padding": 1, "stride": 2}),
    "less than a vector": (5, (3, 3), {}),
    "dilated": (18, (3, 2), {"padding": 2, "dilation": 2}),
    "a long sum": (17, (17, 17), {"padding": 8}),
    "one place": (33, (7, 7), {}),
}


@native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", DEPTHWISE)
def test_channels_that_do_not_see_each_other(name, layout, dtype, monkeypatch):
    """One instruction for all channels, forward and back; the numbers are those of a sum over shifted images."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    channels, window, settings = DEPTHWISE[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 9, 7, channels)).astype(dtype)
    if name == "one place":
        x = x[:, :7]
    kernel = rng.normal(size=(*window, 1, channels)).astype(dtype) / window[0]
    bias = rng.normal(size=channels).astype(dtype)
    expected, of_x, of_kernel = shifted(x.astype(np.float64), kernel[:, :, 0].astype(np.float64), bias, **settings)
    place = lambda a: np.ascontiguousarray(np.moveaxis(a, -1, 1)) if layout == "channels_first" else a
    weights = np.moveaxis(kernel, (-1, -2), (0, 1)).copy() if layout == "channels_first" else kernel
    w, b, scale = ac.tensor(weights), ac.tensor(bias), dtype(2)

    def f(x):
        y = ac.relu(ac.conv2d(x * scale, w, b, groups=channels, layout=layout, **settings))
        return ac.sum(y), y

    program = ac.compile(f)
    _, y = program(place(x))
    bits = np.finfo(dtype).eps * 400
    np.testing.assert_allclose(y, place(expected), rtol=bits, atol=bits)
    found = ac.compile(lambda x: f(x)[0])
    _, gradients = found.value_and_grad(place(x), wrt=[w])
    got = np.asarray(gradients[0])
    got = np.moveaxis(got, (0, 1), (-1, -2)) if layout == "channels_first" else got
    np.testing.assert_allclose(got[:, :, 0], of_kernel, rtol=bits, atol=bits * np.abs(of_kernel).max())
    _, got = found.value_and_grad(place(x), wrt=0)
    np.testing.assert_allclose(got, place(of_x), rtol=bits, atol=bits * np.abs(of_x).max())
    assert "channel by channel" in str(found.plan)


def shifted(x, kernel, bias, padding=0, stride=1, dilation=1):
    """relu(depthwise convolution of 2 x + bias) by shifted images; the gradients of its sum for x and the kernel."""
    padded = np.pad(2 * x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    reach = [(k - 1) * dilation + 1 for k in kernel.shape[:2]]
    sides = [(n - r) // stride + 1 for n, r in zip(padded.shape[1:3], reach, strict=True)]
    at = lambda p, q: (
        slice(None),
        slice(p * dilation, p * dilation + (sides[0] - 1) * stride + 1, stride),
        slice(q * dilation, q * dilation + (sides[1] - 1) * stride + 1, stride),
    )
    taps = [(p, q) for p in range(kernel.shape[0]) for q in range(kernel.shape[1])]
    y = bias + sum(padded[at(p, q)] * kernel[p, q] for p, q in taps)
    seed = (y > 0) * 1.0
    back, of_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    for p, q in taps:
        back[at(p, q)] += seed * kernel[p, q]
        of_kernel[p, q] = (seed * padded[at(p, q)]).sum(axis=(0, 1, 2))
    inner = slice(padding, -padding or None)
    return np.maximum(y, 0), 2 * back[:, inner, inner], of_kernel


class OfOneProcessor:
    """What the machine says of a processor whose vectors of 64 bytes are taken in halves, or whole."""

    def __init__(self, halved: bool) -> None:
        self.halved = halved

    def variants(self):
        return [("v4", 4, 16, 32, int(self.halved)), ("v4", 4, 8, 32, 0)]


@pytest.mark.parametrize("channels", [False, True])
def test_wide_vectors_cost_more_where_the_processor_halves_them(channels, monkeypatch):
    """And the narrow ones what they cost anywhere."""
    program = simplify(swept(lambda x: ac.sum(ac.tanh(x) ** 2), [np.ones((64, 5, 8), np.float32)], []))
    lowering, costs = lower(program, 64, np.dtype("float32")), {}
    for halved in (True, False):
        monkeypatch.setattr(vector_layout, "machine", lambda halved=halved: OfOneProcessor(halved))
        found = vector_layout.estimate(lowering)
        costs[halved] = {(one.lanes, one.vectors): cost for one, cost, _ in found.costs if one.channels == channels}
    for key, cost in costs[True].items():
        assert cost > costs[False][key] if key[0] == 16 else cost == costs[False][key]


# ---- in which order registers stand, seen from their numbers


def in_rows(first, *shape):
    return first + np.arange(np.prod(shape)).reshape(shape)


def dilated(x, axis):
    made = np.zeros([n * 2 if d == axis else n for d, n in enumerate(x.shape)], x.dtype)
    made[(slice(None),) * axis + (slice(None, None, 2),)] = x
    return made


def taking_turns(rows, columns, planes=False):
    """As a pool's windows of so many rows and columns send back: for each cell of a window a part by itself."""
    made = np.zeros((5 * rows, 6 * columns, 8), int)
    for u, v in np.ndindex(rows, columns):
        first = 1 + 240 * (u * columns + v)
        part = in_rows(first, 8, 5, 6).transpose(1, 2, 0) if planes else in_rows(first, 5, 6, 8)
        made[u::rows, v::columns] = part
    return made


IMAGE = in_rows(1, 6, 8, 4)  # height, width, channels
ORDERS = {  # registers (height, width, channels), their axes from the longest step to the shortest
    "rows of channels": (IMAGE, [0, 1, 2]),
    "planes": (in_rows(1, 4, 6, 8).transpose(1, 2, 0), [2, 0, 1]),
    "padded": (np.pad(IMAGE, ((1, 1), (1, 1), (0, 0))), [0, 1, 2]),
    "padded at one end, most of it padding": (np.pad(IMAGE, ((0, 20), (0, 20), (0, 0))), [0, 1, 2]),
    "two images, channel by channel": (np.concatenate([IMAGE, in_rows(1000, 6, 8, 4)], 2), [0, 1, 2]),
    "the second first": (np.concatenate([in_rows(1000, 6, 8, 4), IMAGE], 2), [0, 1, 2]),
    "two images, one beside the other": (np.concatenate([IMAGE, in_rows(1000, 6, 8, 4)], 1), [0, 1, 2]),
    "planes of two images": (
        np.concatenate([in_rows(1, 4, 6, 8), in_rows(1000, 4, 6, 8)]).transpose(1, 2, 0), [2, 0, 1]),
    "dilated": (dilated(dilated(IMAGE, 0), 1), [0, 1, 2]),
    "parts that take turns": (taking_turns(2, 2), [0, 1, 2]),
    "three and two parts": (taking_turns(3, 2), [0, 1, 2]),
    "turns along columns": (taking_turns(1, 4), [0, 1, 2]),
    "turns of planes": (taking_turns(2, 3, planes=True), [2, 0, 1]),
    "dilated planes": (dilated(dilated(in_rows(1, 4, 6, 8).transpose(1, 2, 0), 0), 1), [2, 0, 1]),
}  # fmt: skip


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("name", ORDERS)
def test_the_order_in_which_registers_stand(name, turn):
    """Joined, padded and dilated registers have the order of those they are made of, whatever the axes are called."""
    registers, expected = ORDERS[name]
    assert [turn[d] for d in in_memory(registers.astype(np.int32).transpose(turn))] == expected


def test_registers_without_a_neighbour_have_some_order():
    for registers in (np.zeros((2, 3), np.int32), np.zeros((0, 3), np.int32), np.full((1, 1), 7, np.int32)):
        assert sorted(in_memory(registers)) == [0, 1]
