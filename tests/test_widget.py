"""A live page and Python with the same numbers: what is said between them, without a notebook; and the widget where
anywidget is installed."""

import json
import re
from base64 import b64encode

import numpy as np
import pytest
from helpers.frames import ready, until

import autoconv as ac
from autoconv import nn, optim, train
from autoconv.views.live import widget as widget_file

RNG = np.random.default_rng
pytestmark = pytest.mark.filterwarnings("ignore:widget. anywidget is not installed:RuntimeWarning")


def loss_of(i, w, v):
    return ac.sum((ac.conv2d(ac.conv2d(i, w), v) - 1.0) ** 2)


def net(dtype="f8"):
    rng = RNG(0)
    i, w, v = (
        ac.tensor(rng.normal(size=s).astype(dtype), name=n)
        for n, s in zip("iwv", ((4, 5), (2, 2), (3, 2)), strict=True)
    )
    return {"i": i, "w": w, "v": v, "C": loss_of(i, w, v)}


def talking(**more):
    n = net(**more)
    return ac.widget(n["C"], names=n)


def python(w):
    """The value and the gradients with the inputs that ``w`` has, by the tape."""
    given = [ac.tensor(w.value(name), name=name) for name in "iwv"]
    loss = loss_of(*given)
    return loss.item(), ac.sweep(loss, given)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_python_has_the_numbers_that_the_page_has(dtype):
    w = talking(dtype=dtype)
    edits = [("w", (1, 0), 2.5), ("i", 7, -3.0), ("v", None, RNG(1).normal(size=(3, 2))), ("w", (0, 0), 0.0)]
    for name, index, value in edits:
        w.set(name, index, value)
        loss, grads = python(w)
        assert w.value("C") == pytest.approx(loss, rel=1e-5)
        for k, g in zip("iwv", grads, strict=True):
            assert np.allclose(w.grad(k), g, rtol=1e-4) and w.grad(k).dtype == g.dtype
    assert w.value("w")[1, 0] == 2.5 and w.value("i").ravel()[7] == -3
    w.reset()
    assert w.changes() == {} and np.array_equal(w.value("w"), net(dtype)["w"].value)


def test_what_python_says_a_page_can_say_back():
    """The state is the same in both directions, through JSON."""
    a, b = talking(), talking()
    a.set("w", (0, 1), 0.1)
    a.set("i", None, RNG(2).normal(size=(4, 5)))
    b.heard(json.loads(json.dumps(a.changes())))
    for name in ("i", "w", "v", "C"):
        assert np.array_equal(a.value(name), b.value(name))


def test_many_numbers_travel_as_bytes():
    x = ac.tensor(RNG(0).normal(size=(20, 20)).astype("f4"), name="x")
    w = ac.widget(ac.sum(x * x), names={"x": x})
    new = RNG(1).normal(size=(20, 20)).astype("f4")
    w.set("x", None, new)
    state = w.changes()
    assert set(state["x"]) == {"f4"} and state["x"]["f4"] == b64encode(new.astype("<f4").tobytes()).decode()
    other = ac.widget(ac.sum(x * x), names={"x": x})
    other.heard(state)
    assert np.array_equal(other.value("x"), new)


# state of a page -> part of what is said; nothing changes
WRONG = {
    "no object": ([1], "no object"),
    "no input": ({"C": [[0, 1]]}, "no input"),
    "unknown": ({"<script>": [[0, 1]]}, "no input"),
    "index": ({"w": [[4, 1.0]]}, "4 numbers"),
    "negative": ({"w": [[-1, 1.0]]}, "4 numbers"),
    "not finite": ({"w": [[0, float("nan")]]}, "4 numbers"),
    "text": ({"w": [[0, "1"]]}, "4 numbers"),
    "no pair": ({"w": [3]}, "4 numbers"),
    "too many": ({"w": {"all": [1.0] * 5}}, "4 numbers"),
    "bytes": ({"w": {"f8": "####"}}, "4 numbers"),
    "kind": ({"w": {"o8": "AAAA"}}, "4 numbers"),
    "null": ({"w": None}, "4 numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_page_is_believed_only_so_far(case):
    w = talking()
    state, says = WRONG[case]
    with pytest.raises(ValueError, match=says):
        w.heard({"i": [[0, 9.0]], **state} if isinstance(state, dict) else state)
    assert w.changes() == {}


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda w: w.value("nope"), KeyError, "the names are"),
        (lambda w: w.set("C", None, 1.0), ValueError, "is computed; what can be changed is"),
        (lambda w: w.set("w", (2, 0), 1.0), ValueError, r"no element .* shape is \(2, 2\)"),
        (lambda w: w.set("w", None, [1.0]), ValueError, r"shape \(2, 2\)"),
        (lambda w: w.set("w", 0, float("inf")), ValueError, "finite"),
        (lambda w: w.set("w", 0, [1.0, 2.0]), ValueError, "one number"),
        (lambda w: w.pick("w", 4), ValueError, "no element 4"),
    ],
)
def test_what_cannot_be_said(call, kind, says):
    with pytest.raises(kind, match=says):
        call(talking())


def test_an_element_is_picked_with_its_numbers():
    w = talking()
    w.set("w", (1, 1), 4.0)
    picked = w.pick("w", (1, 1))
    assert (picked["name"], picked["index"], picked["value"]) == ("w", [1, 1], 4.0)
    assert picked["grad"] == pytest.approx(python(w)[1][1][1, 1])
    assert w.picked == picked


def test_a_training_is_followed():
    """Curve and kernels of ``fit``: the last picture has the weights and all losses."""
    rng = RNG(0)
    x, y = rng.normal(size=(24, 6, 6, 1)).astype("f4"), rng.integers(0, 3, 24)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, rng=rng))
    image, label = ac.tensor(x[:1], name="image"), ac.tensor(y[:1], name="label")
    w = ac.widget(ac.losses.cross_entropy(model(image), label), names={"image": image, "label": label})
    told = []
    tell, w._tell_losses = w._tell_losses, lambda losses: told.append(losses)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    seen = []
    train.fit(model, (x, y), epochs=3, batch_size=8, optimizer=optimizer, rng=0, progress=False,
              watch=lambda loss: (seen.append(loss), w.follow(loss)))  # fmt: skip
    assert len(seen) == 10 and seen[-1] is None and told[-1] == pytest.approx(seen[:-1])
    assert len(told) <= 10 and tell
    for name, p in model.named_parameters():
        assert np.array_equal(w.value(name), p.value)
    assert w.value("loss") == pytest.approx(ac.losses.cross_entropy(model(image), label).item(), rel=1e-5)
    with pytest.raises(TypeError, match="watch must be a function"):
        train.fit(model, (x, y), epochs=1, optimizer=optimizer, watch=3)


def test_without_anywidget_the_page_is_shown_alone(monkeypatch, tmp_path):
    def missing():
        raise ImportError("anywidget")

    monkeypatch.setattr(widget_file, "_class", missing)
    n = net()
    with pytest.warns(RuntimeWarning, match=r"pip install autoconv\[widget\]"):
        w = ac.widget(n["C"], names=n)
    assert w._repr_mimebundle_() == ac.live(n["C"], names=n)._repr_mimebundle_()
    assert w.save(tmp_path / "net.html").read_text(encoding="utf-8") == ac.live(n["C"], names=n).page
    with pytest.raises(ValueError, match="height=3"):
        ac.widget(n["C"], height=3)
    with pytest.raises(TypeError, match="expected a Tensor"):
        ac.widget(3)


# ---- with anywidget


def test_the_widget_s_traits_are_the_state():
    pytest.importorskip("anywidget", reason="the widget is tested with anywidget: pip install anywidget")
    w = talking()
    seen = []
    w.observe(lambda change: seen.append(change["new"]), "state")
    w.set("w", 0, 2.0)
    assert w.state == {"w": [[0, 2.0]]} == seen[-1]
    w.state = {"w": [[3, 5.0]]}  # as a page says it
    assert w.value("w").ravel()[3] == 5 and w.value("w").ravel()[0] == net()["w"].value.ravel()[0]
    w.follow(0.5)
    assert w.losses == [0.5]
    shown = w._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    assert "application/vnd.jupyter.widget-view+json" in data and data["text/plain"].startswith("<Live page")
    assert {"image/svg+xml", "text/html"} <= set(data)


# ---- the page's side, in a browser: the widget's own module with a model as notebooks give one

MODEL = """
<!DOCTYPE html><title>host</title><style>body{background:#fff}</style><body><div id=el></div><script>
window.model = {
  held: %s, told: {}, saved: 0,
  get(name) { return this.held[name]; },
  set(name, value) { this.held[name] = value; },
  save_changes() { this.saved++; },
  on(what, f) { this.told[what] = f; }, off(what) { delete this.told[what]; },
  push(name, value) { this.held[name] = value; this.told['change:' + name](); },
};
const module = %s;
window.end = module.render({ model, el: document.getElementById('el') });
document.body.dataset.ready = 'yes';
</script></body>
"""


def hosted(load, w, state=None):
    from autoconv.render.page import iframe
    from autoconv.views.live.column import STATIC

    held = {"frame": iframe(w.live.page), "state": state or {}, "losses": [], "picked": {}}
    source = (STATIC / "widget.js").read_text(encoding="utf-8")
    module = "(() => {" + re.sub(r"export default (.*);", r"return \1;", source) + "})()"
    page = load(MODEL % (json.dumps(held).replace("</", "<\\/"), module))
    frame = page.frames[1]
    ready(frame)
    page.wait_for_timeout(200)
    return page, frame


@pytest.mark.dear
def test_both_ways_in_a_browser(load):
    w = talking()
    page, frame = hosted(load, w, {"w": [[0, 1.5]]})
    assert frame.evaluate("autoconv.value('w')[0]") == 1.5  # what Python knew before the page was shown
    frame.evaluate("autoconv.set('w', [1, 1], 3.25)")  # a reader's change is heard
    until(page, "model.saved > 0")
    w.heard(page.evaluate("model.held.state"))
    assert w.value("w")[1, 1] == 3.25 and w.value("w")[0, 0] == 1.5
    for name in ("i", "w", "v"):
        assert frame.evaluate(f"autoconv.grad('{name}')") == pytest.approx(w.grad(name).ravel().tolist())
    assert frame.evaluate("autoconv.value('loss')[0]") == pytest.approx(w.value("C").item())
    frame.evaluate("autoconv.pick('i', [2, 3])")
    until(page, "model.held.picked.name === 'i'")
    picked = page.evaluate("model.held.picked")
    assert picked["index"] == [2, 3] and picked["grad"] == pytest.approx(w.grad("i")[2, 3])
    frame.evaluate("autoconv.set('w', [0, 0], -1)")  # and its numbers follow
    until(page, f"model.held.picked.grad !== {picked['grad']!r}")

    w.set("v", None, RNG(3).normal(size=(3, 2)))  # Python's change is shown, and is not echoed
    saved = page.evaluate("model.saved")
    state = w.changes()
    page.evaluate("state => model.push('state', state)", state)
    page.wait_for_timeout(300)
    assert frame.evaluate("autoconv.value('v')") == pytest.approx(w.value("v").ravel().tolist())
    assert page.evaluate("model.saved") == saved and page.evaluate("model.held.state") == state
    frame.evaluate("autoconv.undo()")  # the reader's own last change, not Python's
    page.wait_for_timeout(300)
    assert frame.evaluate("autoconv.value('v')") == pytest.approx(w.value("v").ravel().tolist())
    assert frame.evaluate("autoconv.value('w')[0]") == 1.5
    page.evaluate("model.push('state', {})")
    page.wait_for_timeout(200)
    assert frame.evaluate("autoconv.value('w')") == pytest.approx(net()["w"].value.ravel().tolist())
    page.evaluate("model.push('picked', {name: 'w', index: [1, 0]})")
    until(frame, "document.getElementById('name').textContent.startsWith('w')")


@pytest.mark.dear
def test_bytes_and_losses_in_a_browser(load):
    rng = RNG(0)
    x, k = (
        ac.tensor(rng.normal(size=(1, 12, 12, 1)).astype("f4"), name="x"),
        ac.tensor(rng.normal(size=(3, 3, 1, 10)), name="k"),
    )
    w = ac.widget(ac.sum(ac.conv2d(x, k) ** 2), names={"x": x, "k": k})
    page, frame = hosted(load, w)
    w.set("x", None, rng.normal(size=x.shape))
    w.set("k", None, rng.normal(size=k.shape))
    assert [*w.changes()["k"], *w.changes()["x"]] == ["f8", "f4"]
    page.evaluate("state => model.push('state', state)", w.changes())
    page.wait_for_timeout(300)
    assert frame.evaluate("autoconv.value('k')") == w.value("k").ravel().tolist()
    assert frame.evaluate("autoconv.grad('x')") == pytest.approx(w.grad("x").ravel().tolist(), rel=1e-5)
    page.evaluate("model.push('losses', [2, 1.5, null, 1])")
    until(frame, "document.getElementById('trained').textContent.startsWith('Step 4: loss 1')")
    assert frame.evaluate("document.getElementById('training').hidden") is False
    assert not frame.is_visible("#play")
    page.evaluate("end()")
    assert page.evaluate("Object.keys(model.told)") == []


@pytest.mark.dear
def test_a_message_of_a_stranger_is_no_state(load):
    w = talking()
    page, frame = hosted(load, w)
    before = frame.evaluate("autoconv.value('w')")
    frame.evaluate("postMessage({autoconv: 'told', state: {w: [[0, 77]]}}, '*')")
    page.evaluate("postMessage({autoconv: 'changed', state: {w: [[0, 77]]}}, '*')")
    page.evaluate("model.push('state', {w: [[99, 1]], nobody: 3})")  # refused, and said
    page.wait_for_timeout(300)
    assert frame.evaluate("autoconv.value('w')") == before and page.evaluate("model.saved") == 0
    assert "Not changed" in frame.inner_text("#said")
