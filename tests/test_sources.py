"""What training reads: arrays, rows, batches, functions; files as people have them; and what goes wrong in each."""

import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, nn, optim, train
from autoconv.data.batches import ahead
from autoconv.data.cifar import plain_pickle

f32 = np.float32
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(12, 4)).astype(f32), rng.integers(0, 2, 12)


def model():
    return nn.Sequential(nn.Linear(4, 2, rng=0))


def trained(given, **settings):
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    history = train.fit(net, given, epochs=settings.pop("epochs", 2), batch_size=4, optimizer=optimizer, rng=3,
                        progress=False, **settings)  # fmt: skip
    return history, net[0].weight.value


class Rows:
    """A dataset as PyTorch has them: ``len`` and ``[i]``."""

    def __init__(self, make=lambda x, y: (x, int(y))):
        self.make = make

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return self.make(X[i], Y[i])


class Loader:
    """Iterable again and again, as a DataLoader is."""

    def __iter__(self):
        return ((X[i : i + 4], Y[i : i + 4]) for i in range(0, 12, 4))


class Torchlike:
    """An array that is asked as PyTorch's tensors are."""

    def __init__(self, x):
        self.x = x

    def detach(self):
        return self

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        return np.array(self.x, dtype)


IN_ORDER = [(X[i : i + 4], Y[i : i + 4]) for i in range(0, 12, 4)]
AS_BATCHES = {
    "a list": IN_ORDER,
    "a tuple": tuple(IN_ORDER),
    "lists of numbers": [(x.tolist(), y.tolist()) for x, y in IN_ORDER],
    "mappings": [{"image": x, "label": y} for x, y in IN_ORDER],
    "a loader": Loader(),
    "a function": lambda: iter(IN_ORDER),
    "tensors of another library": [(Torchlike(x), Torchlike(y)) for x, y in IN_ORDER],
    "Tensors": [(ac.tensor(x), y) for x, y in IN_ORDER],
}
AS_ROWS = {
    "pairs": Rows(),
    "mappings": Rows(lambda x, y: {"pixel_values": x, "label": int(y), "id": 7}),
    "a list of examples": list(zip(X, Y, strict=True)),
    "two lists": (X.tolist(), Y.tolist()),
}


@pytest.mark.parametrize("name", AS_BATCHES)
def test_batches_train_as_the_loop_over_them(name):
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        for x, y in IN_ORDER:
            optimizer.step(ac.sweep(ac.losses.cross_entropy(net(x), y), list(net.parameters())))
    history, weight = trained(AS_BATCHES[name])
    np.testing.assert_allclose(weight, net[0].weight.value, rtol=1e-5)
    assert len(history) == 2


@pytest.mark.parametrize("name", AS_ROWS)
def test_rows_train_as_arrays_do(name):
    expected, weight = trained((X, Y))
    history, found = trained(AS_ROWS[name])
    np.testing.assert_array_equal(found, weight)
    assert history.loss == expected.loss


def test_two_batches_are_not_a_pair():
    history, _ = trained([(X[:6], Y[:6]), (X[6:], Y[6:])])
    assert len(history) == 2 and history.accuracy[0] is not None


def test_validation_takes_the_same(tmp_path):
    one, two = trained((X, Y), validation=(X, Y))[0], trained((X, Y), validation=Loader())[0]
    assert one.validation_loss == pytest.approx(two.validation_loss)
    net = model()
    assert train.evaluate(net, Loader()).loss == pytest.approx(train.evaluate(net, X, Y).loss)


def test_a_transform_sees_each_batch_of_training_only():
    seen = []

    def flipped(x, y):
        seen.append((x.shape, threading.current_thread() is threading.main_thread()))
        return -x, y

    _, weight = trained((X, Y), transform=flipped, validation=(X, Y))
    assert seen == [((4, 4), False)] * 6
    np.testing.assert_array_equal(weight, trained((-X, Y))[1])


def test_one_batch_is_prepared_ahead():
    made = []
    items = ahead(made.append(i) or i for i in range(4))
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= 3  # the one in hand, one that waits, one that is being made
    assert list(items) == [1, 2, 3]
    stopped = ahead(iter(range(10**9)))
    assert next(stopped) == 0
    stopped.close()
    assert not [t for t in threading.enumerate() if t.name == "autoconv batches"]


def fails_at(number, error):
    def batches():
        yield from IN_ORDER[:number]
        raise error

    return batches


class Failing:
    """Fails in the middle of the second epoch."""

    epochs = 0

    def __iter__(self):
        self.epochs += 1
        yield IN_ORDER[0]
        if self.epochs == 2:
            raise OSError("the disk is gone")
        yield from IN_ORDER[1:]


def test_data_that_fail_leave_the_best_weights():
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    says = "fit: train: the data raised OSError: the disk is gone in batch 2 of epoch 2; the model has its best weights"
    with pytest.raises(train.TrainingError, match=says) as caught:
        train.fit(net, Failing(), epochs=3, optimizer=optimizer, progress=False)
    assert isinstance(caught.value.__cause__, OSError) and len(caught.value.history) == 1
    np.testing.assert_allclose(net[0].weight.value, trained(IN_ORDER, epochs=1)[1], rtol=1e-6)


# fmt: off
WRONG = {
    "a generator, twice": (lambda: (b for b in IN_ORDER), "is used up: a generator gives its batches once"),
    "nothing": (lambda: iter([]), "gave no batch"),
    "no pairs": (lambda: [[1, 2, 3]], r"batch 1 must be a pair \(x, y\)"),
    "three": (lambda: [(X, Y, Y)] * 3, r"batch 1 must be a pair \(x, y\)"),
    "other keys": (lambda: [{"a": X, "b": Y}], "has the keys 'a', 'b'; it needs a picture"),
    "lengths": (lambda: [(X[:3], Y[:2])] * 3, r"batch 1 has x of shape \(3, 4\) and y of shape \(2,\)"),
    "rows of two shapes": (lambda: [(x[: 2 + i % 2], 0) for i, x in enumerate(X)], r"rows have x of shapes"),
    "texts": (lambda: [(["a"], [1])] * 3, "x of batch 1"),
    "a function of nothing": (lambda: lambda: 3, "must give an iterable of batches"),
}
REFUSED = {
    "a number": (lambda: 3, TypeError), "None": (lambda: None, TypeError), "an array": (lambda: X, TypeError),
    "a text": (lambda: "data", TypeError), "lengths": (lambda: (X, Y[:3]), ValueError),
    "no examples": (list, ValueError),
    "a mapping": (lambda: {"x": X}, TypeError), "no rows": (lambda: (X[:0], Y[:0]), ValueError),
}
# fmt: on


@pytest.mark.parametrize("case", WRONG)
def test_what_comes_out_wrong_is_told(case):
    make, text = WRONG[case]
    with pytest.raises((train.TrainingError, data.DataError), match=f"fit: train: .*{text}"):
        trained(make())


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_data_is_refused_before_anything_runs(case):
    make, error = REFUSED[case]
    with pytest.raises(error, match="fit: train"):
        trained(make())


@pytest.mark.quick(0)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say its memory in /proc")
def test_a_mapped_file_of_4_gigabytes_trains_in_500_megabytes(tmp_path):
    path = tmp_path / "x.dat"
    try:
        with path.open("wb") as file:
            file.truncate(2**32)  # a file with holes: it takes no room on the disk
    except OSError:
        pytest.skip("the disk has no files of 4 GB")
    script = f"""
import numpy as np
from autoconv import nn, optim, train
x = np.memmap({str(path)!r}, np.uint8, "r", shape=(2**19, 8192))
net = nn.Sequential(nn.Linear(8192, 2, rng=0))
history = train.fit(net, (x, np.zeros(len(x), int)), epochs=1, batch_size=1024, optimizer=optim.SGD(net.parameters()),
                    rng=0, progress=False)
assert history.accuracy == [1.0]
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]  # this program's alone
print(int(peak) // 1024)
"""
    used = int(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout)
    assert used < 500


# ---- files as people have them


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


PIXELS = rng.integers(0, 256, (6, 5, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
# fmt: off
NPZ = {
    "keras": {"x_train": PIXELS[:4], "y_train": LABELS[:4], "x_test": PIXELS[4:], "y_test": LABELS[4:]},
    "a column of labels": {"x_train": PIXELS[:4], "y_train": LABELS[:4, None], "x_test": PIXELS[4:],
                           "y_test": LABELS[4:, None]},
    "medmnist": {"train_images": PIXELS[:3], "train_labels": LABELS[:3, None], "val_images": PIXELS[3:4],
                 "val_labels": LABELS[3:4, None], "test_images": PIXELS[4:], "test_labels": LABELS[4:, None]},
    "wide whole numbers": {"x_train": PIXELS[:4].astype(int), "y_train": LABELS[:4], "x_test": PIXELS[4:].astype(int),
                           "y_test": LABELS[4:]},
}
# fmt: on


@pytest.mark.parametrize("name", NPZ)
def test_npz_files_with_a_split_of_their_own(tmp_path, name):
    path = save(tmp_path / "d.npz", **NPZ[name])
    for split, part in (("train", slice(0, 4)), ("test", slice(4, 6)), (None, slice(0, 6))):
        found = data.load(path, split)
        np.testing.assert_allclose(found.x[..., 0], PIXELS[part] / 255, rtol=1e-6)
        assert found.y.tolist() == LABELS[part].tolist()


def test_labels_may_be_texts(tmp_path):
    path = save(tmp_path / "d.npz", x=PIXELS, y=np.array(["cat", "dog", "ant"] * 2))
    found = data.load(path)
    assert found.y.tolist() == [1, 2, 0] * 2 and found.classes == ("ant", "cat", "dog")


@pytest.mark.parametrize("pixels", [PIXELS.astype(int) * 300, -PIXELS.astype(np.int16) - 1])
def test_pixels_of_no_known_range_are_refused(tmp_path, pixels):
    with pytest.raises(data.DataError, match="what range they have is not known"):
        data.load(save(tmp_path / "d.npz", x=pixels, y=LABELS))


def records(labels):
    """CIFAR's bytes by hand: the label or labels, then red, green and blue planes."""
    images = rng.integers(0, 256, (len(labels), 3, 32, 32), dtype=np.uint8)
    rows = [bytes(np.atleast_1d(y).astype(np.uint8)) + x.tobytes() for x, y in zip(images, labels, strict=True)]
    return images, b"".join(rows)


def check_cifar(found, images, labels):
    assert found.x.shape == (len(images), 32, 32, 3) and found.y.tolist() == list(labels)
    assert found.x[1, 5, 7, 2] == f32(images[1, 2, 5, 7]) / f32(255)


def test_cifar_10_binary(tmp_path):
    everything = {}
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        everything[name], content = records([i, 9])
        (tmp_path / f"{name}.bin").write_bytes(content)
    (tmp_path / "batches.meta.txt").write_text("\n".join(["plane", "car", *"abcdefgh"]) + "\n\n")
    check_cifar(data.load(tmp_path, "test"), everything["test_batch"], [5, 9])
    found = data.load(tmp_path, "train")
    check_cifar(
        found, np.concatenate([everything[f"data_batch_{k}"] for k in range(1, 6)]), [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    )
    assert found.classes[:2] == ("plane", "car")
    (tmp_path / "data_batch_3.bin").write_bytes(content[:-1])
    with pytest.raises(data.DataError, match="not records of 3,073"):
        data.load(tmp_path)


def test_cifar_100(tmp_path):
    images, content = records([[3, 70], [4, 99]])
    for name in ("train", "test"):
        (tmp_path / f"{name}.bin").write_bytes(content)
    check_cifar(data.load(tmp_path, "test"), images, [70, 99])


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_cifar_10_pickles(tmp_path, protocol):
    images, _ = records([1, 2])
    made = {b"data": images.reshape(2, -1), b"labels": [1, 2], b"batch_label": b"x", b"filenames": [b"a", b"b"]}
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        (tmp_path / name).write_bytes(pickle.dumps(made, protocol))
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"plane", b"car", b"bird"]}, protocol))
    found = data.load(tmp_path, "test")
    check_cifar(found, images, [1, 2])
    assert found.classes == ("plane", "car", "bird")


class Evil:
    def __reduce__(self):
        return print, ("executed",)


class Stateful:
    def __reduce__(self):
        return (np.ndarray, ((2**40,),))


# fmt: off
HOSTILE = {
    "a call": lambda: pickle.dumps(Evil()),
    "a huge array": lambda: pickle.dumps(Stateful()),
    "an import": lambda: b"cos\nsystem\n(S'echo executed'\ntR.",
    "numpy's own loader": lambda: b"cnumpy\nload\n(S'x'\ntR.",
    "objects": lambda: pickle.dumps({"data": np.array([print], dtype=object)}),
    "cut short": lambda: pickle.dumps({"data": np.zeros(9)})[:-9],
    "no pickle": lambda: b"\x89PNG" * 9,
    "nested": lambda: b"(l" * 100 + b"a" * 99 + b".",
    "nothing": lambda: b"",
}
# fmt: on


@pytest.mark.parametrize("case", HOSTILE)
def test_no_pickle_is_executed(capfd, case):
    with pytest.raises(data.DataError, match="p: not a pickle of arrays and plain things"):
        plain_pickle(HOSTILE[case](), "p")
    assert "executed" not in capfd.readouterr().out


def test_plain_pickles_keep_what_they_hold():
    made = {"a": [1, 2.5, "text", None, True], "b": (np.arange(6).reshape(2, 3), np.ones(2, f32))}
    found = plain_pickle(pickle.dumps(made, 2), "p")
    assert found["a"] == made["a"]
    for x, y in zip(found["b"], made["b"], strict=True):
        np.testing.assert_array_equal(x, y)


# fmt: off
CSV = {
    "a header": ("width,height,species\n1,2,rose\n3,4,iris\n", [[1, 2], [3, 4]], [1, 0]),
    "label first": ("label,a,b\n7,1,2\n9,3,4\n", [[1, 2], [3, 4]], [7, 9]),
    "no header": ("1,2,0\n3,4,1\n", [[1, 2], [3, 4]], [0, 1]),
    "semicolons": ("a;b;y\n1;2;0\n3;4;1\n", [[1, 2], [3, 4]], [0, 1]),
    "a mark of UTF-8, empty lines": ("\ufeffa,b,y\n1,2,0\n\n3,4,1\n\n", [[1, 2], [3, 4]], [0, 1]),
    "fractions": ("a,y\n1,0.5\n2,1.25\n", [[1], [2]], [0.5, 1.25]),
}
BAD_CSV = {
    "a word": ("a,b,y\n1,x,0\n", "line 2: column b holds 'x', no number"),
    "a short row": ("a,b,y\n1,2,0\n1,0\n", "line 3: has 2 columns, the first row has 3"),
    "nothing": ("", "there are no examples"), "a header alone": ("a,b\n", "there are no examples"),
}
# fmt: on


@pytest.mark.parametrize("case", CSV)
def test_csv(tmp_path, case):
    text, x, y = CSV[case]
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    found = data.load(tmp_path / "d.csv")
    assert (found.x.tolist(), found.y.tolist()) == (x, y)


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv(tmp_path, case):
    text, says = BAD_CSV[case]
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(data.DataError, match=says):
        data.load(tmp_path / "d.csv")


def test_csv_of_pictures(tmp_path):
    (tmp_path / "d.csv").write_text("label,a,b,c,d\n3,0,255,51,102\n")
    np.testing.assert_allclose(data.load_csv(tmp_path / "d.csv", side=0).x, [[[[0], [1]], [[0.2], [0.4]]]], rtol=1e-6)
    with pytest.raises(data.DataError, match="no column 'z'; it has label, a, b, c, d"):
        data.load_csv(tmp_path / "d.csv", label="z")


def picture(path, pixels):
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(pixels).save(path)


def test_a_folder_with_parts(tmp_path):
    for part, names in (("train", ("ant", "bee")), ("val", ("bee", "cat"))):
        for name in names:
            picture(tmp_path / part / name / "0.png", np.full((4, 4), 51, np.uint8))
    train_part, test_part = data.load(tmp_path, "train"), data.load(tmp_path, "test")
    assert train_part.classes == test_part.classes == ("ant", "bee", "cat")
    assert train_part.y.tolist() == [0, 1] and test_part.y.tolist() == [1, 2]
    assert len(data.load(tmp_path).x) == 4


def test_pictures_of_many_sizes(tmp_path):
    picture(tmp_path / "a" / "wide.png", np.full((10, 40), 51, np.uint8))
    picture(tmp_path / "a" / "tall.png", np.full((30, 10, 3), 102, np.uint8))
    ramp = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    picture(tmp_path / "b" / "deep.png", ramp)
    found = data.load(tmp_path, size=(4, 4))
    assert found.x.shape == (3, 4, 4, 3)
    order = found.x[:, 0, 0, 0]
    np.testing.assert_allclose(order, [0.4, 0.2, 0], atol=1e-6)  # tall, wide, deep
    np.testing.assert_allclose(found.x[2, ..., 0], ramp / 65535, atol=1e-6)
    assert data.load_image(tmp_path / "a" / "wide.png", 6).shape == (6, 6, 1)
    np.testing.assert_allclose(
        data.load_image(tmp_path / "a" / "tall.png", 2, channels=1), np.full((2, 2, 1), 0.4), atol=1e-6
    )
    for size in (0, -1, 1.5, (2,), (1, 2, 3), "4"):
        with pytest.raises((ValueError, TypeError)):
            data.load(tmp_path, size=size)


def test_pictures_of_pillow_in_rows():
    image = pytest.importorskip("PIL.Image")
    rows = [{"image": image.fromarray(np.full((2, 2), 51 * k, np.uint8)), "label": k} for k in range(3)]
    x, y = next(data.Source("rows", rows, 3).epoch())
    assert x.shape == (3, 2, 2, 1) and y.tolist() == [0, 1, 2]
    np.testing.assert_allclose(x[:, 0, 0, 0], [0, 0.2, 0.4], rtol=1e-6)


def test_predictions():
    net = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(0.5, rng=1))
    found = net.predict(X, batch_size=5)
    assert isinstance(found, np.ndarray) and found.shape == (12, 3) and net.training
    np.testing.assert_allclose(found, net.eval()(X).value, rtol=1e-6)
    with pytest.raises(ValueError, match="predict"):
        net.predict(X[:0])
