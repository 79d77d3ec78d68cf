"""``ac.compare``: planted differences are found at their line and named, equal runs are equal, nothing is made up."""

import json

import numpy as np
import pytest
from helpers import nets_for_compare as nets
from helpers.nets_for_compare import attention, audio, generator, lenet, residual

import autoconv as ac
from autoconv import nn
from autoconv.comparing import side
from autoconv.comparing.saved import RunFileError

IMAGES, TOKENS, SOUND, NOISE = nets.IMAGES, nets.TOKENS, nets.SOUND, nets.NOISE
V = np.array([[-2.0, -1, 0, 1, 2, 3], [0, 0, 1, 1, -1, 5]])
MIXED = np.random.default_rng(7).normal(size=(18, 4))


def average(include):
    return lambda x: ac.tanh(ac.avg_pool2d(x, 3, 2, padding=1, count_include_pad=include)) * 2


def zero_padded_maximum(x):
    return ac.tanh(ac.max(ac.windows(x, (3, 3), stride=2, padding=1), axis=(3, 4)))


# name: a, b, input, convention, the scope of the line in a, words of the reason
PLANTED = {
    "flattening": (lenet(), lenet(turned=(0, 3, 1, 2)), IMAGES, "order of flattening", "head", "channels last"),
    "rotated": (lenet(), lenet(flip=True), IMAGES, "rotated kernel", "block2 > conv2d", "true convolution"),
    "bias": (
        lenet(), lenet(bias=False), IMAGES,
        "missing bias", "block1 > conv2d", "a has the bias b1 here, b has not",
    ),
    "colours": (lenet(), lenet(bgr=True), IMAGES, "swapped channels", "block1 > conv2d", "axis 3 of input 0"),
    "silu": (lenet(), lenet(act=ac.silu), IMAGES, "another activation", "block1 > relu", "b computes silu, a relu"),
    "pooling": (lenet(), lenet(pool=ac.avg_pool2d), IMAGES, "kind of pooling", "max_pool2d", "mean of a window"),
    "padding": (
        lenet(), lenet(pad=[(2, 0), (1, 1)]), IMAGES,
        "padding side", "block1 > conv2d", "((2, 0), (1, 1)) in b",
    ),
    "weight": (lenet(), nets.other_lenet("l1"), IMAGES, "another weight", "head", "l1 has other numbers"),
    "last weight": (lenet(), nets.other_lenet("l2"), IMAGES, "another weight", "head", "l2 has other numbers"),
    "scale": (attention(), attention(scale=None), TOKENS, "scale factor", "attention", "1/sqrt(8)"),
    "scale 1/d": (attention(), attention(scale=1 / 8), TOKENS, "scale factor", "attention", "b 0.125"),
    "softmax": (attention(), attention(axis=1), TOKENS, "axis of softmax", "attention > softmax", "over axis 1"),
    "gelu": (attention(), attention(gelu="tanh"), TOKENS, "exact or approximate gelu", "mlp > gelu", "tanh"),
    "transposed": (attention(), attention(turn=True), TOKENS, "transposed weight", "attention", "order (1, 0)"),
    "layer norm": (
        attention(), attention(norm=lambda x: ac.layer_norm(x, eps=1e-6)), TOKENS,
        "epsilon", "layer_norm", "a has 1e-05, b 1e-06",
    ),
    "unbiased": (
        attention(), attention(norm=nets.norm_by_hand(ddof=1)), TOKENS,
        "biased or unbiased variance", "layer_norm", "b divides by n - 1 = 7",
    ),
    "outside": (
        attention(norm=nets.norm_by_hand()), attention(norm=nets.norm_by_hand(outside=1e-3)), TOKENS,
        "epsilon", "mlp", "b sqrt(v) + 0.001",
    ),
    "norm axes": (
        attention(), attention(norm=lambda x: ac.layer_norm(x, axis=(-2, -1))), TOKENS,
        "axes of the norm", "layer_norm", "axes (1, 2)",
    ),
    "dropout": (attention(), attention(drop=0.3), TOKENS, "dropout", "mlp", "b drops"),
    "batch norm": (residual(), residual(eps=1e-3), nets.RESIDUAL, "epsilon", "1: Block > norm1", "b 0.001"),
    "deeper": (residual(), residual(at=2, eps=1e-4), nets.RESIDUAL, "epsilon", "2: Block > norm1", "b 0.0001"),
    "no bias": (
        residual().eval(), residual(bias=False).eval(), nets.RESIDUAL,
        "missing bias", "1: Block > conv1", "1.conv1.bias",
    ),
    "training": (
        residual(), residual().eval(), nets.RESIDUAL, "training or evaluation", "0: Block > norm1", "b uses stored",
    ),
    "same_lower": (audio(), audio(pad="same_lower"), SOUND, "padding side", "middle > conv1d", "((2, 1),) in b"),
    "slope": (audio(), audio(slope=0.2), SOUND, "slope of leaky relu", "front > leaky_relu", "a has 0.1, b 0.2"),
    "loss": (audio(), audio(reduction="sum"), SOUND, "reduction", "mse", "a averages (it divides by 240), b sums"),
    "eps": (audio(), audio(eps=1e-3), SOUND, "epsilon", "Net", "a has 1e-06, b 0.001"),
    "dilation": (audio(), audio(pad=[(3, 3)], dilation=2), SOUND, "dilation", "middle > conv1d", "(2,) in b"),
    "mean axis": (audio(), audio(axis=2), SOUND, "reduction", "mean", "b sums over axis 2"),
    "adjoint": (generator(), generator(flip=True), NOISE, "rotated kernel", "up > conv_transpose2d", "turned"),
    "crop": (generator(), generator(pad=[(2, 0), (2, 0)]), NOISE, "padding side", "up > conv_transpose2d", "b (2, 0)"),
    "float16": (generator(), generator(dtype=np.float16), NOISE, "dtype", "up > relu", "b computes in float16"),
    "no tanh": (generator(), generator(act=lambda x: x), NOISE, "activation left out", "out", "a has tanh here"),
    "divisor": (
        average(True), average(False), IMAGES, "divisor of average pooling", "avg_pool2d", "count_include_pad",
    ),
    "padded maximum": (
        lambda x: ac.tanh(ac.max_pool2d(x, 3, 2, padding=1)), zero_padded_maximum, -np.abs(IMAGES) - 0.1,
        "padding of max pooling", "max_pool2d", "zeros that take part",
    ),
    "corners": (
        nets.interpolated(True), nets.interpolated(False), IMAGES,
        "align_corners", "interpolate", "align_corners=False",
    ),
    "log softmax": (
        lambda x: ac.log_softmax(x, axis=0), lambda x: ac.log_softmax(x, axis=1), V,
        "axis of softmax", "log_softmax", "over axis 1",
    ),
    "joined": (
        lambda x: ac.concat([x, ac.sin(x), ac.tanh(x)], 1) @ MIXED,
        lambda x: ac.concat([ac.tanh(x), x, ac.sin(x)], 1) @ MIXED, V, "order of concatenation", "", "(axis 1)",
    ),
    "masked": (
        lambda x: ac.softmax(ac.where(np.tri(2, dtype=bool), x @ x.T, -np.inf)) @ x,
        lambda x: ac.softmax(x @ x.T) @ x, V, "mask left out", "", "b does not",
    ),
    "least epsilon": (
        lambda x: ac.layer_norm(x), lambda x: ac.layer_norm(x, eps=1e-12), V, "epsilon", "layer_norm", "1e-12",
    ),
    "alpha": (lambda x: ac.elu(x), lambda x: ac.elu(x, 0.7), V, "scale factor", "elu", "0.7"),
    "power": (lambda x: ac.sum(x**2), lambda x: ac.sum(x**3), V, "constant", "", "a has 2, b 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_planted_differences_are_found_and_named(name):
    a, b, x, convention, scope, words = PLANTED[name]
    result = ac.compare(a, b, x)
    assert not result and not result.equal
    assert result.convention == convention, str(result)
    assert scope in result.first.a.scope and words in result.why, str(result)
    assert result.complete or convention in ("dtype", "reduction")
    text = str(result)
    assert text.startswith("DIFFERENT") and convention in text and max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", PLANTED)
def test_the_other_way_round(name):
    a, b, x, convention, _, _ = PLANTED[name]
    result = ac.compare(b, a, x)
    assert result.convention == convention, str(result)


def halves(x):
    """The maximum of four cells, each tie split."""
    parts = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return ac.maximum(ac.maximum(parts[0], parts[1]), ac.maximum(parts[2], parts[3]))


TIED = np.random.default_rng(0).integers(-2, 3, size=(3, 8, 8, 2)).astype(float)
# a, b, input, convention, words
GRADIENTS = {
    "relu": (
        lenet(bias=False), lenet(bias=False, act=lambda x: ac.maximum(x, 0)), nets.HALF_BLACK,
        "slope at a kink", "relu at 0",
    ),
    "abs": (
        lambda x: ac.abs(x) * 2, lambda x: ac.abs(x, slope_at_zero=1) * 2, V,
        "slope at a kink", "a has slope 0, b 1",
    ),
    "leaky": (
        lambda x: ac.leaky_relu(x, 0.1), lambda x: ac.maximum(x, 0.1 * x), V,
        "slope at a kink", "which 3 of 12 elements are: a has slope 0.1, b 0.55",
    ),
    "maximum": (
        lambda x: ac.maximum(x[0], x[1]) * 2, lambda x: ac.maximum(x[0], x[1], ties="first") * 2,
        np.array([[1.0, 2, 3], [0, 2, 4]]), "slope at a kink", "at 2, which",
    ),
    "ties": (
        lambda x: ac.max_pool2d(x * 1.0, 2) * 3, lambda x: halves(x * 1.0) * 3, TIED,
        "tie rule of pooling", "first cell in scan order in a",
    ),
    "stopped": (
        lambda x: ac.exp(x) * x, lambda x: ac.exp(ac.stop_gradient(x)) * x, V,
        "gradient cut off", "b passes no gradient",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_that_part(name):
    a, b, x, convention, words = GRADIENTS[name]
    for result in (ac.compare(a, b, x), ac.compare(b, a, x)):
        assert result.first.kind == "gradients" and result.convention == convention, str(result)
    assert words in ac.compare(a, b, x).why
    assert ac.compare(a, b, x, gradients=False)


class Biased(nn.BatchNorm2d):
    def _follow(self, mean, var, unbiased):
        super()._follow(mean, var, 1.0)


STATISTICS = [
    (nn.BatchNorm2d(2, momentum=0.3), "momentum of running statistics", "weight 0.1 in a, 0.3 in b"),
    (nn.BatchNorm2d(2, momentum=0.9), "momentum of running statistics", "one is 1 minus the other"),
    (Biased(2), "biased or unbiased variance", "b keeps the biased variance (divided by n = 192)"),
]


@pytest.mark.parametrize(("norm", "convention", "words"), STATISTICS)
def test_running_statistics(norm, convention, words):
    a, b = nn.Sequential(nn.BatchNorm2d(2)), nn.Sequential(norm)
    result = ac.compare(a, b, IMAGES)
    assert (result.first.kind, result.convention) == ("statistics", convention) and words in result.why
    assert not a[0].running_mean.any() and not b[0].running_mean.any()


class ByHand(nn.Module):
    """Convolution by windows and einsum, batch normalisation as a scale and a shift."""

    def __init__(self, reference):
        self.kernel, self.bias = reference[0].weight, reference[0].bias
        self.scale, self.shift = reference[1].weight, reference[1].bias

    def forward(self, x):
        y = ac.einsum("nxyijc,ijco->nxyo", ac.windows(x, (3, 3), padding=1), self.kernel) + self.bias
        mean = ac.mean(y, axis=(0, 1, 2))
        scale = self.scale / ac.sqrt(ac.mean(y * y, axis=(0, 1, 2)) - mean * mean + 1e-5)
        return ac.relu(y * scale + (self.shift - mean * scale))


def in_both_layouts():
    def net(layout):
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, layout=layout, rng=0), nn.BatchNorm2d(4, layout=layout), nn.ReLU(),
            nn.MaxPool2d(2, layout=layout), nn.Flatten(), nn.Linear(36, 3, rng=0),
        )  # fmt: skip

    last, first = net("channels_last"), net("channels_first")
    first.load_torch(ac.to_torch_state_dict(last, numpy=True))
    return last, first


def dropping(seed):
    return nn.Sequential(nn.Linear(6, 5, rng=1), nn.Dropout(0.4, rng=seed), nn.Linear(5, 2, rng=2))


REFERENCE = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, rng=3), nn.BatchNorm2d(4), nn.ReLU())
EQUAL = {
    "same": (lenet(), lenet(), IMAGES),
    "by hand": (REFERENCE, ByHand(REFERENCE), IMAGES),
    "norm by hand": (attention(), attention(norm=nets.norm_by_hand()), TOKENS),
    "layouts": (*in_both_layouts(), IMAGES),
    "large offset": (
        lambda x: ac.layer_norm(x), nets.norm_by_hand(), (1000 + nets.RESIDUAL).astype(np.float32),
    ),
    "dropout with other seeds": (dropping(0), dropping(7), V.astype(np.float32)),
    "relu in two ways": (lambda x: ac.relu(x) * 2, lambda x: (ac.where(x > 0, x, 0)) * 2, V),
    "mean in two ways": (lambda x: ac.mean(x), lambda x: ac.sum(x * (1 / 12)), V),
    "softmax in two ways": (lambda x: ac.softmax(x), lambda x: ac.exp(ac.log_softmax(x)), V),
    "zeros": (lambda x: ac.relu(x) * ac.tanh(x), lambda x: ac.relu(x) * ac.sin(x), 0 * V),
    "batch of one": (residual().eval(), residual().eval(), nets.RESIDUAL[:1]),
    "integers": (lambda i: ac.take(ac.tensor(V), i, axis=0), lambda i: ac.tensor(V)[i], np.array([1, 0, 1])),
    "NaN": (lambda x: ac.sqrt(x), lambda x: ac.sqrt(x), V),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
@pytest.mark.filterwarnings("ignore:(invalid|divide)")
def test_equal_runs(name):
    a, b, x = EQUAL[name]
    turned = np.moveaxis(x, -1, 1) if name == "layouts" else x
    for result in (ac.compare(a, b, x), ac.compare(b, a, turned)):
        assert result and result.first is None and result.why == "" and str(result).startswith("EQUAL"), str(result)


def test_images_in_the_first_models_layout():
    last, first = in_both_layouts()
    turned = np.moveaxis(IMAGES, -1, 1)
    for result in (ac.compare(last, first, IMAGES), ac.compare(first, last, turned)):
        assert result and "channels stand" in result.notes[0]
    assert ac.compare(last, first, IMAGES, inputs_b=[turned]).notes == []


UNEXPLAINED = {
    "an extra term": (generator(), generator(act=lambda x: ac.tanh(x) + 0.01 * ac.sin(3 * x)), NOISE, "out"),
    "another function": (lambda x: ac.tanh(x) * 2, lambda x: ac.tanh(x**3 + x) * 2, V, ""),
    "noise": (lambda x: x * 2, lambda x: x * 2 + 1e-3 * np.random.default_rng(0).normal(size=(2, 6)) * x, V, ""),
}


@pytest.mark.parametrize("name", UNEXPLAINED)
def test_what_no_convention_explains_is_told_in_numbers(name):
    a, b, x, scope = UNEXPLAINED[name]
    for result in (ac.compare(a, b, x), ac.compare(b, a, x)):
        assert not result and result.convention == result.why == "", str(result)
        assert result.first.a is not None and result.first.b is not None and scope in result.first.a.scope
        assert "No convention that is known here explains it." in str(result) and "apart" in str(result)


def test_several_differences_are_all_found():
    result = ac.compare(lenet(), lenet(bias=False, flip=True), IMAGES)
    assert result.convention == "missing bias" and result.complete
    assert [name for name, _, _ in result.further] == ["rotated kernel"]
    assert "with all this the outputs agree" in str(result)


OUTPUTS = [
    (lambda x: (x * 2, x * 3), lambda x: x * 2, "a has 2 outputs, b 1"),
    (lambda x: x * 2, lambda x: (x * 2)[:, :3], "a's has shape (2, 6), b's (2, 3)"),
    (lambda x: ac.exp(x), lambda x: ac.exp(x)[::-1], "the same numbers, in another order"),
]


@pytest.mark.parametrize(("a", "b", "words"), OUTPUTS)
def test_other_outputs(a, b, words):
    result = ac.compare(a, b, V)
    assert result.first.kind == "outputs" and words in result.first.detail and words in " ".join(str(result).split())


def test_models_are_left_as_they_were():
    a, b = dropping(0), residual()
    before = [g.bit_generator.state for _, g in a.named_generators()], b.state_dict()
    ac.compare(a, a, V.astype(np.float32))
    ac.compare(b, b, nets.RESIDUAL)
    assert [g.bit_generator.state for _, g in a.named_generators()] == before[0]
    assert all(np.array_equal(before[1][k], v) for k, v in b.state_dict().items())
    assert all(p.grad is None for p in (*a.parameters(), *b.parameters()))
    assert b.training and b._output_shape is None


# ---- runs in files


def recorded(eps, source="net.py, line 3"):
    x, w = ac.tensor(V, name="x"), ac.tensor(np.ones((6, 2)) / 3, name="w")
    with ac.scope("norm"), ac.scope(source, kind="source"):
        y = ac.layer_norm(x, eps=eps)
    return ac.max(y[:, ::2].astype(np.float32) @ w[::2].astype(np.float32), axis=1)


def test_saved_runs(tmp_path):
    for name, eps in (("a", 1e-5), ("b", 1e-3), ("c", 1e-5)):
        ac.save_run(recorded(eps), tmp_path / f"{name}.npz")
    a, b, c = (tmp_path / f"{name}.npz" for name in "abc")
    assert ac.compare(a, c) and ac.compare(str(a), recorded(1e-5)) and ac.compare(ac.Tape(recorded(1e-5)), c)
    result = ac.compare(a, b)
    assert result.convention == "epsilon" and result.first.a.source == "net.py, line 3"
    assert "net.py, line 3" in str(result) and "norm > layer_norm" in result.first.b.scope


def program_of(path):
    with np.load(path) as held:
        return {k: held[k] for k in held.files}


def damaged(change):
    def write(path):
        arrays = program_of(path)
        held = json.loads(arrays["program"].tobytes())
        change(held, arrays)
        arrays["program"] = np.frombuffer(json.dumps(held).encode(), np.uint8)
        np.savez(path, **arrays)

    return write


DAMAGED = {
    "no program": lambda path: np.savez(path, x=V),
    "not JSON": lambda path: np.savez(path, program=np.zeros(3, np.uint8)),
    "not a file of arrays": lambda path: path.write_bytes(b"PK\x03\x04"),
    "version": damaged(lambda held, arrays: held.update(version=9)),
    "row": damaged(lambda held, arrays: held["lines"][-1].update(row="os.system")),
    "reads itself": damaged(lambda held, arrays: held["lines"][-1].update(reads=[len(held["lines"]) - 1])),
    "reads before the first": damaged(lambda held, arrays: held["lines"][-1].update(reads=[-1])),
    "value": damaged(lambda held, arrays: arrays.pop("value0")),
    "output": damaged(lambda held, arrays: held.update(outputs=[10**6])),
    "lines": damaged(lambda held, arrays: held.update(lines=3)),
    "setting": damaged(lambda held, arrays: held["lines"][-1]["settings"].update(axis={"code": "1"})),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_files_that_hold_no_run(name, tmp_path):
    path = tmp_path / "run.npz"
    ac.save_run(recorded(1e-5), path)
    DAMAGED[name](path)
    with pytest.raises(RunFileError, match=r"run\.npz"):
        ac.compare(path, recorded(1e-5))


ERRORS = [
    (lambda: ac.compare(3, lenet(), IMAGES), TypeError, "a is the int 3|a is 3"),
    (lambda: ac.compare(lenet(), lenet()), TypeError, r"needs inputs: compare\(a, b, x\)"),
    (lambda: ac.compare(lambda x: 3, lenet(), IMAGES), TypeError, "a returned no Tensor"),
    (lambda: ac.compare(lenet(), lenet(), IMAGES, inputs_b=IMAGES), TypeError, "inputs_b must be a list"),
    (lambda: ac.save_run(3, "x.npz"), TypeError, "give the output of a run"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_onnx_files_go_through_the_front_door(monkeypatch):
    class Onnx:
        @staticmethod
        def load(path):
            assert path == "model.onnx"
            return lenet()

    monkeypatch.setattr(ac, "onnx", Onnx, raising=False)
    assert ac.compare(lenet(), "model.onnx", IMAGES)


def test_rounding_is_measured_where_terms_cancel():
    """x - mean(x) of numbers around 1000 loses three digits; the bound of the line knows."""
    a, _, _ = side.sides_of(lambda x: x - ac.mean(x), lambda x: x, [V + 1e6], None)
    bounds = a.rounding(side.MOVED)
    last = a.outputs[0]
    assert 1e5 * side.MOVED < bounds[last] < 1e-5
