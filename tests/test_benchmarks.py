"""The benchmark's nets are what they say, and its pictures can be drawn; what is measured is not tested."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER / "entrants"))
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in ("nets", "ours", "chart"):
        sys.modules.pop(name, None)


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "name",
    [
        "lenet",
        "cnn32",
        "1-D",
        "3-D",
        "odd",
        "depthwise",
        "residual",
        "mlp",
        "image 8",
        "depth 3",
        "alexnet",
        "audio",
        "autoencoder",
        "transformer",
    ],
)
def test_compiled_and_eager_take_the_same_steps(name):
    """With channels first too, which starts from the same parameters."""
    import nets
    import ours

    net = nets.named(name)
    compiled, eager = (ours.step(net, 2, kind) for kind in (True, False))
    expected = pytest.approx([eager() for _ in range(3)], rel=1e-4)
    assert [compiled() for _ in range(3)] == expected
    if net.dims == 2:
        first = ours.step(net, 2, True, "channels_first")
        assert [first() for _ in range(3)] == expected


def test_inference_is_the_models():
    import nets
    import ours

    net = nets.NETS["residual"]
    y = ours.model(net).eval()(nets.data(net, 2)[0])
    for layout in ("channels_last", "channels_first"):
        assert ours.predict(net, 2, True, layout)() == pytest.approx(float(np.asarray(y).flat[0]), rel=1e-4)


@pytest.mark.dear
def test_shapes_are_those_of_the_models():
    import nets
    import ours

    for name, net in nets.NETS.items():
        if name not in ("resnet18", "alexnet", "vgg"):
            y = ours.model(net)(nets.data(net, 1)[0])
            assert list(nets.shapes(net.layers, net.image))[-1][2] == y.shape[1:], name


def test_lenet_is_counted():
    """2 multiplications and additions for each weight a position, three times (the first layer twice)."""
    import nets

    first, second, dense = 28 * 28 * 6 * 25, 10 * 10 * 16 * 25 * 6, 400 * 120 + 120 * 84 + 84 * 10
    assert nets.operations(nets.NETS["lenet"], 4) == 2 * 4 * (2 * first + 3 * (second + dense))


def test_weights_with_channels_first_are_the_same_numbers_in_other_places():
    import nets

    net = nets.NETS["lenet"]
    ours, theirs = nets.parameters(net), nets.channels_first(net)
    assert theirs[2].shape == (16, 6, 5, 5)
    assert np.array_equal(theirs[2][3, 1], ours[2][:, :, 1, 3])
    assert theirs[4][7, 2 * 25 + 3 * 5 + 4] == ours[4][3 * 5 * 16 + 4 * 16 + 2, 7]  # channel 2 of the cell (3, 4)


def test_charts_are_drawn():
    import chart

    times = {"autoconv compiled": 1.0, "autoconv eager": 9.0, "torch": 3.0, "jax": 4.0}
    steps = [{"case": "a net", "entrant": name, "median": t} for name, t in times.items()]
    growth = [{"series": "size", "size": n, "entrant": e, "median": t * n} for e, t in times.items() for n in (1, 2, 4)]
    for picture in (chart.ratios(steps, "steps"), chart.growth(growth, "growth")):
        assert "a net: autoconv compiled 0.33" in picture or "autoconv compiled, size" in picture
        assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_no_mark_hides_another():
    """Entrants within a few per cent of each other, and far from each other, in a picture of either kind."""
    import chart

    times = {"autoconv compiled": 1.0, "torch": 1.01, "torch channels_last": 1.02, "jax": 1.3, "tinygrad": 40.0}
    steps = [{"case": c, "entrant": name, "median": t} for name, t in times.items() for c in ("one", "two")]
    growth = [{"series": "s", "size": n, "entrant": e, "median": t * n} for e, t in times.items() for n in (1, 2)]
    for picture in (chart.ratios(steps, "steps"), chart.growth(growth, "growth")):
        root = ElementTree.fromstring(picture)
        places = [(float(e.get("cx")), float(e.get("cy"))) for e in root.iter() if e.get("r") == "7.5"]
        places += [(float(e.get("x")) + 6, float(e.get("y")) + 6) for e in root.iter() if e.get("width") == "12"]
        assert len(places) >= 2 * len(times)  # with the legend
        for i, (x, y) in enumerate(places):
            assert all(abs(x - a) + abs(y - b) >= 15 for a, b in places[:i])
