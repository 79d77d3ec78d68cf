"""The small pictures of a training run: valid, self-contained SVG that shows the numbers it was given."""

import io
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode

import numpy as np
import pytest
from helpers.pictures import SVG, words
from PIL import Image

from autoconv.render import chart


def lines(svg, look):
    """The points of the polylines of one series, without the sample in the legend (which comes first)."""
    found = [e for e in ET.fromstring(svg).iter(f"{SVG}polyline") if e.get("class") == f"ac-{look}"]
    return [[tuple(map(float, point.split(","))) for point in e.get("points").split()] for e in found[1:]]


# ---- curves


def test_curves_run_through_their_values():
    svg = chart.curves({"train": [4.0, 2.0, 1.0], "validation": [4.0, 3.0, 2.0]}, title="Loss", y_label="loss")
    (train,), (validation,) = lines(svg, "first"), lines(svg, "second")
    assert train[0] == validation[0]
    assert train[2] == pytest.approx((train[2][0], train[1][1] + (train[1][1] - train[0][1]) / 2), abs=0.02)
    assert train[1][0] - train[0][0] == pytest.approx(train[2][0] - train[1][0], abs=0.02)
    assert train[1][1] == validation[2][1]  # both are 2
    assert {"Loss", "loss", "epoch", "train", "validation", "1", "2", "3"} <= set(words(svg))


def test_values_that_are_not_finite_leave_a_gap():
    svg = chart.curves({"loss": [3.0, 2.0, float("nan"), None, 1.0, float("inf")]})
    assert [len(stretch) for stretch in lines(svg, "first")] == [2, 1]


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [float("nan")], [1e-12, 2e-12], [1e9, -1e9], [5] * 300])
def test_any_values_make_a_picture(values):
    root = ET.fromstring(chart.curves({"loss": values}))
    width, height = float(root.get("width")), float(root.get("height"))
    for stretch in lines(chart.curves({"loss": values}), "first"):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in stretch)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 12, [0, 2, 4, 6, 8, 10, 12]),
        (3, 3, [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]),
    ],
)
def test_ticks_are_round_numbers_that_enclose_the_values(low, high, expected):
    found = chart.ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    steps = np.diff(found)
    np.testing.assert_allclose(steps, steps[0])
    if low != high:
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("series", [{}, {"a": [1], "b": [1], "c": [1]}])
def test_one_or_two_series(series):
    with pytest.raises(ValueError, match="one or two"):
        chart.curves(series)


# ---- images


def decode(svg):
    """The grey levels of each picture, read back from the PNG data (one filter byte 0 before each row)."""
    for element in ET.fromstring(svg).iter(f"{SVG}image"):
        data = b64decode(element.get("href").split(",")[1])
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", data[16:24])
        start = data.index(b"IDAT")
        (length,) = struct.unpack(">I", data[start - 4 : start])
        assert zlib.crc32(data[start : start + 4 + length]) == struct.unpack(">I", data[start + 4 + length :][:4])[0]
        raw = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(height, width + 1)
        assert not raw[:, 0].any()
        yield raw[:, 1:]


def test_images_show_their_levels():
    svg = chart.images([[[0, 1], [2, 4]], [[-1, -1], [-1, -1]]], ["one", "<two>"], title="Pictures", side=32)
    first, second = decode(svg)
    assert first.shape == (64, 64)
    assert [first[0, 0], first[0, -1], first[-1, 0], first[-1, -1]] == [0, 64, 128, 255]
    assert second.max() == 0
    assert words(svg) == ["Pictures", "one", "<two>"]


def test_signed_images_have_zero_in_the_middle():
    (kernel,) = decode(chart.images([[[-1.0, 0.0, 0.5]]], signed=True))
    assert [kernel[0, 0], kernel[0, kernel.shape[1] // 2], kernel[0, -1]] == [1, 128, 191]


def test_signed_images_are_orange_over_neutral_to_blue():
    """As Pillow reads the file; halfway to blue the colour is halfway."""
    svg = chart.images([[[-2.0, 0.0, 1.0, 2.0, np.nan]]], signed=True, side=5)
    data = b64decode(re.search(r'base64,([^"]+)', svg)[1])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    negative, zero, half, positive, missing = picture[0, ::2].astype(int)
    assert negative[0] > negative[1] > negative[2] and positive[2] > positive[1] > positive[0]
    assert np.ptp(zero) < 4 and zero.min() > 230 and missing.tolist() == [0, 0, 0]
    assert np.abs(half - (zero + positive) / 2).max() <= 1.5


def test_pixels_that_are_not_finite_are_black():
    (picture,) = decode(chart.images([[[np.nan, 1.0, 2.0, np.inf]]], side=4))
    assert [picture[0, i] for i in (0, 2, 4, 6)] == [0, 0, 255, 0]


def test_images_stand_in_a_grid_without_overlap():
    root = ET.fromstring(chart.images(np.zeros((10, 8, 6)), [f"number {i}" for i in range(10)], columns=4))
    places = [(float(e.get("x")), float(e.get("y"))) for e in root.iter(f"{SVG}image")]
    assert [len({y for _, y in places}), len({x for x, _ in places})] == [3, 4]
    assert all(0 <= x <= float(root.get("width")) - 64 * 6 / 8 for x, _ in places)
    assert all(0 <= y <= float(root.get("height")) - 64 for _, y in places)


@pytest.mark.parametrize(
    ("pictures", "captions", "message"),
    [([[1, 2]], (), r"\(2,\).*\(height, width\)"), ([np.zeros((2, 2))], ["a", "b"], "2 captions for 1 pictures")],
)
def test_images_of_the_wrong_shape(pictures, captions, message):
    with pytest.raises(ValueError, match=message):
        chart.images(pictures, captions)


# ---- confusion table


def test_confusion_table_shows_every_count_that_is_not_zero():
    svg = chart.confusion([[5, 0], [2, 1234]], ["cat", "dog & co"], title="Held out")
    shown = words(svg)
    assert shown.count("cat") == shown.count("dog & co") == 2
    assert {"5", "2", "1,234", "true", "predicted", "Held out"} <= set(shown)
    assert "0" not in shown
    cells = [e for e in ET.fromstring(svg).iter(f"{SVG}rect") if e.get("fill-opacity")]
    assert [e.get("class") for e in cells] == ["ac-right", "ac-wrong", "ac-wrong", "ac-right"]
    assert [e.get("fill-opacity") for e in cells] == ["0.15", "0", "1", "1"]


@pytest.mark.parametrize(
    ("table", "labels", "message"),
    [
        (np.zeros((2, 3)), (), r"\(2, 3\)"),
        (np.zeros((0, 0)), (), r"\(0, 0\)"),
        (np.eye(2), ["a"], "1 labels for 2 classes"),
    ],
)
def test_confusion_tables_of_the_wrong_shape(table, labels, message):
    with pytest.raises(ValueError, match=message):
        chart.confusion(table, labels)
