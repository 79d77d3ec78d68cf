"""The shipped digits, and the readers of IDX, .npz and folders: right data, and one clear error for everything else."""

import gzip
import io
import pickle
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest

from autoconv import data, files
from autoconv.data import pictures


def test_digits():
    x, y = everything = data.digits()
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((1797, 8, 8, 1), np.float32, (1797,), np.int64)
    assert (x.min(), x.max()) == (0, 1)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (x[0, :, :, 0] * 16)[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert everything.classes == tuple("0123456789")
    again = pickle.loads(pickle.dumps(everything))
    assert again.classes == everything.classes
    assert np.array_equal(again.x, x)


def test_split_is_seeded_and_without_overlap():
    train, test = data.digits("train"), data.digits("test")
    assert (len(train.x), len(test.x)) == (1437, 360)
    assert np.array_equal(test.x, data.load("digits", "test", seed=0).x)
    assert not np.array_equal(test.y, data.digits("test", seed=1).y)
    joined = np.concatenate([train.x, test.x]).reshape(1797, -1)
    order = lambda a: a[np.lexsort(a.T)]
    assert np.array_equal(order(joined), order(data.digits().x.reshape(1797, -1)))
    with pytest.raises(ValueError, match="'valid'"):
        data.digits("valid")


def idx(code, shape, payload):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + payload


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_of_every_dtype(tmp_path, code, dtype, packed):
    expected = np.arange(24).reshape(2, 3, 4)
    content = idx(code, (2, 3, 4), expected.astype(dtype).tobytes())
    (tmp_path / "f").write_bytes(gzip.compress(content) if packed else content)
    found = data.load_idx(tmp_path / "f")
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(found, expected)


GOOD = idx(8, (3, 4), bytes(12))
BAD_IDX = {
    "empty": (b"", "not an IDX file: it begins with nothing"),
    "foreign": (b"PK\x03\x04" + bytes(30), "not an IDX file: it begins with 50 4b"),
    "dtype": (idx(10, (3,), bytes(3)), "not an IDX file"),
    "no dimensions": (idx(8, (), b"\0"), "not an IDX file"),
    "header": (GOOD[:9], "ends inside its header"),
    "truncated": (GOOD[:-1], "12 bytes of data, but there are only 11"),
    "too long": (GOOD + b"\0", "12 bytes of data, but there are more"),
    "huge claim": (idx(8, (2**31, 2**31), b"\0"), "are not read"),
    "large claim": (idx(8, (2**31,), b"\0"), "but there are only 1"),
    "gzip truncated": (gzip.compress(GOOD)[:-9], "not a readable IDX file"),
    "gzip broken": (gzip.compress(GOOD)[:10] + b"\xff" * 20, "not a readable IDX file"),
    "gzip bomb": (gzip.compress(GOOD + bytes(20_000_000)), "but there are more"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_bad_idx(tmp_path, case):
    content, text = BAD_IDX[case]
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(data.DataError, match=text) as caught:
        data.load_idx(tmp_path / "images")
    assert str(tmp_path / "images") in str(caught.value)


def test_mnist_folder_keeps_its_own_split(tmp_path):
    for name, count in {"train": 5, "t10k": 2}.items():
        images = np.full((count, 3, 3), 255, np.uint8)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(8, images.shape, images.tobytes())))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(8, (count,), bytes(range(count))))
    for split, labels in {"train": [0, 1, 2, 3, 4], "test": [0, 1], None: [0, 1, 2, 3, 4, 0, 1]}.items():
        x, y = data.load(tmp_path, split)
        assert (x.shape, x.dtype, y.tolist()) == ((len(labels), 3, 3, 1), np.float32, labels)
        assert (x == 1).all()
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(data.DataError, match="t10k-labels-idx1-ubyte"):
        data.load(tmp_path, "test")


def test_npz(tmp_path):
    y = np.arange(10) % 3
    for x, expected in [
        (np.full((10, 4, 4), 51, np.uint8), np.full((10, 4, 4, 1), 0.2)),
        (np.asfortranarray(np.arange(320.0).reshape(10, 4, 4, 2)), np.arange(320.0).reshape(10, 4, 4, 2)),
    ]:
        for save in (np.savez, np.savez_compressed):
            save(tmp_path / "d.npz", x=x, y=y)
            found = data.load_npz(tmp_path / "d.npz")
            assert (found.x.dtype, found.y.dtype, len(found.classes)) == (np.float32, np.int64, 3)
            np.testing.assert_allclose(found.x, expected, rtol=1e-6)
            assert found.y.tolist() == y.tolist()
    assert len(data.load(tmp_path / "d.npz", "train").x) == 8


def zipped(**members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return made.getvalue()


def npy(array, claim=None):
    """A .npy file, its header claiming another shape if asked."""
    made = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": claim or array.shape}
    np.lib.format.write_array_header_1_0(made, header)
    return made.getvalue() + array.tobytes()


LABELS = npy(np.arange(3))
OBJECTS = io.BytesIO()
np.save(OBJECTS, np.array([{}, {}, {}]), allow_pickle=True)
BAD_NPZ = {
    "empty": (b"", "not a readable .npz"),
    "foreign": (b"\x00" * 100, "not a readable .npz"),
    "truncated": (zipped(x=npy(np.zeros((3, 2, 2))), y=LABELS)[:-30], "not a readable .npz"),
    "names": (zipped(a=LABELS), "needs the arrays x and y, found a"),
    "claim": (zipped(x=npy(np.zeros(3), (3, 10_000, 1000)), y=LABELS), "there are only 24"),
    "huge claim": (zipped(x=npy(np.zeros(3), (3, 10**9, 10**9)), y=LABELS), "are not read"),
    "bomb": (zipped(x=npy(np.zeros(2_000_000), (3,)), y=LABELS), "there are more"),
    "objects": (zipped(x=OBJECTS.getvalue(), y=LABELS), "Python objects"),
    "no npy": (zipped(x=b"hello", y=LABELS), "no readable .npy header"),
    "text": (zipped(x=npy(np.array(["a", "b", "c"])), y=LABELS), "must be numbers"),
    "lengths": (zipped(x=npy(np.zeros((4, 2, 2))), y=LABELS), r"x has shape \(4, 2, 2\) and y \(3,\)"),
    "no examples": (zipped(x=npy(np.zeros((0, 2, 2))), y=npy(np.zeros(0, int))), "no examples"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz(tmp_path, case):
    content, text = BAD_NPZ[case]
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(data.DataError, match=text) as caught:
        data.load(tmp_path / "d.npz")
    assert str(tmp_path / "d.npz") in str(caught.value)


def test_a_folder_for_each_class(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="image files are read by Pillow: pip install pillow")
    for label, name in enumerate(["ant", "bee"]):
        (tmp_path / name).mkdir()
        for i in range(2):
            image.fromarray(np.full((4, 5), 51 * label, np.uint8)).save(tmp_path / name / f"{i}.png")
    found = data.load(tmp_path)
    assert (found.x.shape, found.classes, found.y.tolist()) == ((4, 4, 5, 1), ("ant", "bee"), [0, 0, 1, 1])
    np.testing.assert_allclose(found.x[:, 0, 0, 0], [0, 0, 0.2, 0.2], rtol=1e-6)
    (tmp_path / "bee" / "2.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(data.DataError, match=r"2\.png: not a readable image"):
        data.load(tmp_path)
    image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "bee" / "2.png")
    with pytest.raises(data.DataError, match=r"shape \(4, 6, 3\).* give it as size="):
        data.load(tmp_path)


def test_what_cannot_be_loaded(tmp_path, monkeypatch):
    with pytest.raises(data.DataError, match="no such file"):
        data.load(tmp_path / "nothing.npz")
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(data.DataError, match=r"give a \.npz or \.csv file"):
        data.load(tmp_path / "x.txt")
    with pytest.raises(data.DataError, match="No such file"):
        data.load_idx(tmp_path / "nothing")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(data.DataError, match="needs Pillow; install it with"):
        data.load(tmp_path)


def test_batches_cover_everything_once():
    x, y = np.arange(10), np.arange(10) * 2
    assert [b.tolist() for b, _ in data.batches(x, y, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [len(b) for b, _ in data.batches(x, y, 4, drop_last=True)] == [4, 4]
    shuffled = list(data.batches(x, y, 4, np.random.default_rng(0)))
    assert sorted(np.concatenate([b for b, _ in shuffled])) == list(range(10))
    assert all((2 * b == t).all() for b, t in shuffled)
    again = list(data.batches(x, y, 4, np.random.default_rng(0)))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(shuffled, again, strict=True))
    for bad, error in [((x, y[:9], 4), ValueError), ((x, y, 0), ValueError), ((x, y, 1.5), TypeError)]:
        with pytest.raises(error, match="batches"):
            list(data.batches(*bad))


# ---- pixels of every depth


def image_file(path, pixels, mode=None):
    """Written by Pillow from an array, and read back to be sure that the file has those very numbers."""
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(exist_ok=True)
    image.fromarray(pixels, mode).save(path)
    return path


RAMP16 = np.linspace(0, 65535, 20).round().astype(np.uint16).reshape(4, 5)
RAMP8 = np.linspace(0, 255, 20).round().astype(np.uint8).reshape(4, 5)
FRACTIONS = np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5)
DEPTHS = {
    "16-bit PNG": ("0.png", RAMP16, RAMP16 / 65535),
    "16-bit TIFF": ("0.tif", RAMP16, RAMP16 / 65535),
    "16-bit TIFF, big-endian": ("0.tif", RAMP16.astype(">u2"), RAMP16 / 65535),
    "16-bit PGM": ("0.pgm", RAMP16, RAMP16 / 65535),
    "8-bit PNG": ("0.png", RAMP8, RAMP8 / 255),
    "8-bit BMP": ("0.bmp", RAMP8, RAMP8 / 255),
    "1-bit PNG": ("0.png", RAMP8 > 99, (RAMP8 > 99) * 1.0),
    "fractions": ("0.tiff", FRACTIONS, FRACTIONS),
    "colour": ("0.png", np.stack([RAMP8] * 3, -1), np.stack([RAMP8] * 3, -1) / 255),
    "colour, alpha": ("0.png", np.stack([RAMP8] * 4, -1), np.stack([RAMP8] * 3, -1) / 255),
}


@pytest.mark.parametrize("case", DEPTHS)
def test_pixels_are_scaled_by_the_range_of_their_dtype(tmp_path, case):
    name, pixels, expected = DEPTHS[case]
    image_file(tmp_path / "ant" / name, pixels)
    x = data.load_folder(tmp_path).x
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0], expected.reshape(4, 5, -1), rtol=1e-6, atol=1e-7)
    assert len(np.unique(x)) == len(np.unique(pixels))


def test_depths_may_differ_within_a_folder(tmp_path):
    image_file(tmp_path / "ant" / "0.png", np.full((2, 2), 51, np.uint8))
    image_file(tmp_path / "bee" / "0.png", np.full((2, 2), 13107, np.uint16))
    np.testing.assert_allclose(data.load_folder(tmp_path).x, 0.2, rtol=1e-6)


def test_a_palette_gives_its_colours(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "ant").mkdir()
    made = image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    made.putpalette([255, 0, 0, 0, 51, 0, 0, 0, 102])
    made.save(tmp_path / "ant" / "0.png")
    x = data.load_folder(tmp_path).x[0]
    np.testing.assert_allclose(x, [[[1, 0, 0], [0, 0.2, 0]], [[0, 0, 0.4], [0, 0.2, 0]]], rtol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (FRACTIONS * 255, "pixels from 0.0 to 255.0; fractions must be scaled to 0 .. 1"),
        (np.full((4, 5), np.nan, np.float32), "pixels from nan to nan"),
        (RAMP16.astype(np.int32), "32 bits a pixel"),
    ],
)
def test_pixels_of_an_unknown_range_are_refused(tmp_path, pixels, text):
    image_file(tmp_path / "ant" / "0.tif", pixels)
    with pytest.raises(data.DataError, match=text):
        data.load_folder(tmp_path)


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 65535)])
def test_npz_pixels_are_scaled_by_the_range_of_their_dtype(tmp_path, dtype, largest):
    x = np.array([0, 1, largest // 5, largest], dtype).reshape(1, 2, 2)
    np.savez(tmp_path / "d.npz", x=x, y=np.array([0]))
    found = data.load_npz(tmp_path / "d.npz").x.ravel()
    np.testing.assert_allclose(found, [0, 1 / largest, 0.2, 1], rtol=1e-6)


# ---- images that are not what they claim


def png(width, height, depth=8, colour=0, rows=b""):
    """A PNG file whose header claims this size."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


BAD_IMAGES = {
    "huge": (png(2**31 - 1, 2**31 - 1), "(?i)exceeds limit|pixels"),
    "1e5 x 1e5": (png(100_000, 100_000), "(?i)exceeds limit|pixels"),
    "1e4 x 1e4": (png(10_000, 10_000), "(?i)exceeds limit|pixels"),
    "large": (png(8500, 8500), "8500 x 8500 pixels; more than 67,108,864 are not read"),
    "truncated": (png(8, 8)[:-30], "not a readable image"),
    "no rows": (png(8, 8), "not a readable image"),
    "PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "not a readable image",
    ),
    "nothing": (b"", "not a readable image"),
    "text": (b"hello", "not a readable image"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_images_that_are_not_what_they_claim(tmp_path, case):
    pytest.importorskip("PIL")
    content, text = BAD_IMAGES[case]
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "0.png").write_bytes(content)
    with pytest.raises(data.DataError, match=text) as caught:
        data.load_folder(tmp_path)
    assert str(tmp_path / "ant" / "0.png") in str(caught.value)


def test_many_large_images_are_refused_by_their_sizes(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "ant").mkdir()
    for i in range(20):
        (tmp_path / "ant" / f"{i}.png").write_bytes(png(8000, 8000))  # 64 million pixels each, and no bytes for them
    with pytest.raises(data.DataError, match=r"20 images of shape \(8000, 8000, 1\) are more than"):
        data.load_folder(tmp_path)


@pytest.mark.dear
def test_a_packed_idx_file_that_swells(tmp_path):
    with gzip.open(tmp_path / "images", "wb") as packed:
        packed.write(bytes([0, 0, 8, 1]) + struct.pack(">I", 300_000_000))
        for _ in range(300):
            packed.write(bytes(10**6))
    with pytest.raises(data.DataError, match="unpack to 300,000,000, more than 100 times as many"):
        data.load_idx(tmp_path / "images")


def test_a_folder_without_end(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.setattr(pictures, "entries", lambda folder: files.entries(folder, 3))
    (tmp_path / "ant").mkdir()
    for i in range(4):
        (tmp_path / "ant" / f"{i}.png").touch()
    with pytest.raises(data.DataError, match="ant: cannot be read: is a folder of more than 3 entries"):
        data.load_folder(tmp_path)
