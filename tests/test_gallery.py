"""Pictures of kernels and of misread examples show the numbers they were given,
and pictures show themselves in a notebook."""

import pickle
import struct
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode

import numpy as np
import pytest
from helpers.pictures import SVG, words

import autoconv as ac
from autoconv import render as pictures


def grey_levels(svg):
    """The grey levels of each image in a picture, one number for each pixel of the enlarged PNG."""
    for image in ET.fromstring(svg).iter(f"{SVG}image"):
        data = b64decode(image.get("href").partition(",")[2])
        width, height = struct.unpack(">II", data[16:24])
        start = data.index(b"IDAT") + 4
        length = struct.unpack(">I", data[start - 8 : start - 4])[0]
        rows = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8).reshape(height, width + 1)
        yield rows[:, 1:]


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 3), (2, 2, 1, 3), (3, 1, 2, 4)])
def test_kernels_are_on_one_scale(shape):
    kernel = np.random.default_rng(0).normal(size=shape)
    planes = kernel.reshape(*shape[:2], -1, shape[-1] if len(shape) > 2 else 1)
    expected = [planes[:, :, i, o] for i in range(planes.shape[2]) for o in range(planes.shape[3])]
    for given in (kernel, ac.tensor(kernel)):
        found = list(grey_levels(pictures.kernels(given, limit=4.0)))
        assert len(found) == len(expected)
        for image, plane in zip(found, expected, strict=True):
            times = image.shape[0] // plane.shape[0]
            assert np.array_equal(image[::times, ::times], 1 + np.rint((plane / 8 + 0.5).clip(0, 1) * 254))


def test_without_a_limit_the_largest_weight_has_the_full_colour():
    levels = np.concatenate(
        [image.ravel() for image in grey_levels(pictures.kernels([[[[0.0, -2.0]]], [[[1.0, 0.5]]]]))]
    )
    assert sorted(set(levels.tolist())) == [1, 128, 160, 191]


def test_a_kernel_of_zeros_is_in_the_middle():
    assert {int(level) for image in grey_levels(pictures.kernels(np.zeros((2, 2, 1, 2)))) for level in image.flat} == {
        128
    }


def test_misread_shows_only_what_is_wrong():
    x = np.arange(5 * 4.0).reshape(5, 2, 2, 1)
    svg = pictures.misread(x, np.array([0, 1, 2, 3, 4]), np.array([0, 7, 2, 8, 9]), title="wrong", most=2)
    assert words(svg) == ["wrong", "1 read as 7", "3 read as 8"]
    assert len(list(grey_levels(svg))) == 2
    named = pictures.misread(x[:, :, :, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], names=["cat", "dog"])
    assert words(named) == ["cat read as dog"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: pictures.kernels(np.zeros(3)), "kH, kW, C_in, C_out"),
        (lambda: pictures.kernels(np.zeros((2, 2, 3)), ["a"]), "1 captions for 3 kernels"),
        (lambda: pictures.misread(np.zeros((2, 3, 3)), [1, 2], [1, 2]), "all 2 predictions are right"),
        (lambda: pictures.misread(np.zeros((2, 3, 3)), [1], [1]), "they must be"),
        (lambda: pictures.kernels(np.ones((2, 2)), limit=0), "must be a positive number"),
        (lambda: pictures.images([np.zeros((2, 2))]).save("x.png"), "must end in .svg"),
    ],
)
def test_what_cannot_be_shown(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_a_picture_is_text_that_a_notebook_shows(tmp_path):
    picture = pictures.curves({"loss": [3.0, 2.0]}, title="Loss")
    shown = picture._repr_mimebundle_()
    assert shown["image/svg+xml"] == str(picture) and picture.startswith("<svg")
    assert shown["text/plain"] == repr(picture) == "<Picture 'Loss', 560 x 320>"
    again = pickle.loads(pickle.dumps(picture))
    assert (again, again.caption, again.size) == (picture, "Loss", (560, 320))
    assert picture.save(tmp_path / "loss.svg").read_text(encoding="utf-8") == picture
