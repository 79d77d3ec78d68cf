"""The shipped digits, and the readers of IDX, .npz and folders: right data, and one clear error for everything else."""

import gzip
import io
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from autoconv import data


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
    image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "bee" / "2.png")
    with pytest.raises(data.DataError, match=r"shape \(4, 5, 3\)"):
        data.load(tmp_path)


def test_what_cannot_be_loaded(tmp_path, monkeypatch):
    with pytest.raises(data.DataError, match="no such file"):
        data.load(tmp_path / "nothing.npz")
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(data.DataError, match=r"give a \.npz file"):
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
