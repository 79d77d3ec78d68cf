"""``ac.live`` without a browser: what goes into a page, how large it is, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, models, optim


def net():
    model = models.mlp((8, 8, 1), 10, np.random.default_rng(0))
    image, label = ac.tensor(np.zeros((1, 8, 8, 1), "f4"), name="image"), ac.tensor(np.array([3]), name="label")
    scores = model(image)
    return model, image, label, scores, ac.losses.cross_entropy(scores, label)


class Own(optim.SGD):
    def updated(self, value, g, state, step):
        return value - g


MODEL, IMAGE, LABEL, SCORES, LOSS = net()
DIGITS = data.digits("test")
ROWS = {IMAGE: DIGITS.x, LABEL: DIGITS.y}
W = ac.tensor([1.0, 2.0], name="w")

# what is called, exception, parts of the text
REFUSED = {
    "no Tensor": (lambda: ac.live(3.0), TypeError, ["expected a Tensor", "float", "ac.live(loss)"]),
    "no number": (lambda: ac.live(W * 2), ValueError, ["is not a scalar", "y.sum()"]),
    "constants": (lambda: ac.live(ac.sum(ac.stop_gradient(W))), TypeError, ["depends on no floating-point tensor"]),
    "fractions": (lambda: ac.live(ac.sum(ac.tensor([Fraction(1, 2)]))), TypeError, ["exact fractions", "float64"]),
    "beyond 2^53": (
        lambda: ac.live(ac.sum(W * ac.tensor(np.array([2**60]), name="n"))),
        ValueError,
        ["1,152,921,504,606,846,976", "2^53"],
    ),
    "too many numbers": (
        lambda: ac.live(ac.sum(ac.tensor(np.arange(17_000_000, dtype="f4")) ** 2)),
        ValueError,
        ["68 MB of numbers", "at most 64 MB", "ac.step"],
    ),
    "inputs that are none": (lambda: ac.live(LOSS, inputs=[3]), TypeError, ["inputs must be Tensors", "found list"]),
    "a computed input": (lambda: ac.live(LOSS, inputs=[SCORES]), ValueError, ["is computed", "only what is given"]),
    "another input": (lambda: ac.live(LOSS, inputs=[W]), ValueError, ["does not depend on", "leave it out"]),
    "to draw on a vector": (lambda: ac.live(ac.sum(W), draw=W), ValueError, ["one image", "(2,)"]),
    "logits elsewhere": (lambda: ac.live(LOSS, logits=W), ValueError, ["logits", "name it"]),
    "no data": (lambda: ac.live(LOSS, optimizer=optim.SGD(MODEL.parameters())), ValueError, ["data={image: x"]),
    "an optimiser of one's own": (
        lambda: ac.live(LOSS, optimizer=Own(MODEL.parameters()), data=ROWS),
        ValueError,
        ["update of Own", "SGD, Adam, AdamW"],
    ),
    "rows of another shape": (
        lambda: ac.live(LOSS, examples={IMAGE: np.zeros((5, 8, 8))}),
        ValueError,
        ["(5, 8, 8)", "(1, 8, 8, 1)"],
    ),
    "rows of two lengths": (lambda: ac.live(LOSS, examples={**ROWS, LABEL: DIGITS.y[:7]}), ValueError, ["7 and 360"]),
    "rows by name": (lambda: ac.live(LOSS, examples={"image": DIGITS.x}), TypeError, ["must map inputs to arrays"]),
    "a batch of none": (
        lambda: ac.live(LOSS, optimizer=optim.SGD(MODEL.parameters()), data=ROWS, batch_size=0),
        ValueError,
        ["batch_size=0", "a multiple of the 1"],
    ),
    "a walk that is asked for": (lambda: ac.step(LOSS, wrt=IMAGE, live=True), ValueError, ["leave wrt and cotangent"]),
    "another ending": (lambda: ac.live(ac.sum(W)).save("net.svg"), ValueError, [".html"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, kind, parts = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    for part in parts:
        assert part in str(caught.value), f"{part!r} is missing in: {caught.value}"


def test_pages_are_small():
    """LeNet with its 44,426 weights, forward and sweep; and a net of three numbers."""
    model = models.lenet((28, 28, 1), 10, np.random.default_rng(0))
    image = ac.tensor(np.random.default_rng(1).random((1, 28, 28, 1), "f4"), name="image")
    page = ac.live(ac.losses.cross_entropy(model(image), [3]), draw=image).page
    assert 44_426 * 4 < len(page) < 600_000
    assert len(ac.live(ac.sum(W * W)).page) < 150_000


def test_a_page_loads_nothing():
    """No address in it, and a policy that allows its own script and a worker of it."""
    page = ac.live(LOSS).page
    assert "default-src 'none'; script-src 'sha256-" in page and "worker-src blob:;" in page
    assert "unsafe" not in page and "http" not in page.replace("http-equiv", "")


def test_which_lines_a_reader_sees():
    """Calls and layers with their names, settings and what they read; no wiring; the user's own numbers."""
    x = ac.tensor(np.ones((1, 5, 5, 2)), name="x")
    k = ac.tensor(np.ones((3, 3, 2, 4)), name="k")
    h = ac.relu(ac.conv2d(x, k, stride=2, padding=1))
    loss = ac.sum((h - 3.0) ** 2)
    nodes = ac.live(loss, names={"h": h, "loss": loss}).recorded.nodes
    found = {node.name: (node.role, node.call, node.settings, node.reads) for node in nodes}
    assert found["x"][0] == "input" and found["h"] == ("line", "relu", "", (next(iter(found_conv(found))),))
    assert found[next(iter(found_conv(found)))] == ("line", "conv2d", "3×3, stride 2, padding 1", ("x", "k"))
    assert found["c1"][0] == "number" and found["loss"][1] == "sum"
    assert "h - c1" in [settings for _, _, settings, _ in found.values()]


def found_conv(found):
    return [name for name, (_, call, _, _) in found.items() if call == "conv2d"]


def test_only_what_is_asked_for_can_be_changed():
    live = ac.live(LOSS, inputs={"picture": IMAGE})
    free = {node.name for node in live.recorded.nodes if node.input >= 0}
    assert free == {"image", "hidden.weight", "hidden.bias", "output.weight", "output.bias"}
    assert repr(live).startswith("<Live page of ")


def test_the_stepper_s_door_and_a_notebook():
    live = ac.step(LOSS, names={"loss": LOSS}, live=True)
    shown = live._repr_mimebundle_()["text/html"]
    assert shown.startswith('<iframe sandbox="allow-scripts"') and "Live: loss" in shown
