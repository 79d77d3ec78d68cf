"""Weights from and to PyTorch: what torch's files hold, what becomes of it, and what is refused.

The files and outputs in reference/weights are torch's own (reference/make_weights.py).
"""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn
from autoconv.weights import torch_file
from autoconv.weights.source import weights_of
from autoconv.weights.torch_file import WeightsError

HERE = Path(__file__).parent / "reference" / "weights"
OUTPUTS = np.load(HERE / "outputs.npz")


def net(**more):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.BatchNorm1d(24),
        nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3), **more,
    )  # fmt: skip


def first():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, layout="channels_first"), nn.BatchNorm2d(4, layout="channels_first"), nn.ReLU(),
        nn.MaxPool2d(2, layout="channels_first"), nn.Flatten(), nn.BatchNorm1d(24), nn.Linear(24, 5), nn.ReLU(),
        nn.Linear(5, 3),
    )  # fmt: skip


class Written(nn.Module):
    """The same net with a forward of its own, so that nothing shows where features come from."""

    def __init__(self):
        for number, layer in enumerate(net()):
            setattr(self, str(number), layer)

    def forward(self, x):
        for name, layer in self.named_children():
            x = ac.flatten(x, 1) if name == "4" else layer(x)
        return x


class Turning(Written):
    """It brings its images into torch's order before it flattens them."""

    def forward(self, x):
        for name, layer in self.named_children():
            x = ac.flatten(x.transpose((0, 3, 1, 2)), 1) if name == "4" else layer(x)
        return x


def run(model, x, last):
    y = model.eval()(np.moveaxis(x, 1, -1) if last else x).value
    return np.moveaxis(y, -1, 1) if last and y.ndim > 2 else y


CASES = [
    (net, "net.pt", {}, "net"),
    (net, "net.safetensors", {}, "net"),
    (net, "parallel.pt", {}, "net"),
    (first, "net.pt", {}, "net"),
    (Written, "net.pt", {"image": (8, 6)}, "net"),
    (Written, "net.pt", {"image": (2, 8, 6)}, "net"),
    (Written, "net.pt", {"image": np.zeros((1, 8, 6, 2), np.float32)}, "net"),
    (Turning, "net.pt", {"image": (8, 6)}, "net"),
    (Turning, "net.pt", {"flatten": "keep"}, "net"),
    (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 3, stride=2, groups=2), nn.Conv2d(4, 6, 3, groups=2)),
        "up.pt", {}, "up",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "file", "settings", "name"), CASES)
def test_outputs_are_those_of_torch_and_the_way_back_is_exact(make, file, settings, name):
    model = make()
    report = model.load_torch(HERE / file, **settings)
    assert not report.missing and not report.unexpected
    got = run(model, OUTPUTS["x"], make is not first)
    assert np.abs(got - OUTPUTS[name]).max() < 1e-5
    back = ac.to_torch_state_dict(model, numpy=True, **settings)
    arrays, _ = weights_of(HERE / file)
    assert back.keys() == arrays.keys()
    for key, value in arrays.items():
        assert back[key].shape == value.shape
        assert np.array_equal(back[key], value) or key.endswith("num_batches_tracked")


def test_one_dimension():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(18, 2))
    state, _ = weights_of(HERE / "sound.pt")
    state = {k.replace("3.", "2."): v for k, v in state.items() if not k.startswith("1.")}
    assert model.load_torch(state).permuted == ["2.weight"]
    x = OUTPUTS["x1"]
    conv = np.einsum("ncjv,ocv->noj", np.lib.stride_tricks.sliding_window_view(x, 3, 2), state["0.weight"])
    conv = conv + state["0.bias"][:, None]
    want = conv.reshape(3, -1) @ state["2.weight"].T + state["2.bias"]
    assert np.abs(run(model, x, True) - want).max() < 1e-5


def test_a_features_order_that_is_not_shown_is_an_error_and_changes_nothing():
    model = Written()
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"5, a BatchNorm1d\(24\), may read flattened images.*image=\(H, W\)"):
        model.load_torch(HERE / "net.pt")
    with pytest.raises(ValueError, match=r"cannot be run on an input of shape \(2, 5, 5, 2\)"):
        model.load_torch(HERE / "net.pt", image=(5, 5))
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())
    assert model.training and "forward" not in vars(model)


class Pooled(nn.Module):
    """Its Linear reads channels, not positions: nothing to ask."""

    def __init__(self):
        self.a, self.b = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.out, self.more = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.more(self.out(ac.global_avg_pool(self.b(self.a(x)))))


def test_no_false_alarm():
    rng = np.random.default_rng(0)
    for make in (Pooled, lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))):
        state = ac.to_torch_state_dict(make(), numpy=True)
        state = {k: rng.normal(size=v.shape) for k, v in state.items()}
        assert not make().load_torch(state).permuted


def test_branches_that_are_joined_after_they_are_flattened():
    class Branches(nn.Module):
        def __init__(self):
            self.a, self.b, self.out = nn.Conv2d(2, 4, 3), nn.Conv2d(2, 3, 3, padding=1), nn.Linear(24 * 4 + 48 * 3, 2)

        def forward(self, x):
            return self.out(ac.concat([ac.flatten(self.a(x), 1), ac.flatten(self.b(x), 1)], axis=1))

    rng = np.random.default_rng(0)
    model = Branches()
    state = {k: rng.normal(size=v.shape) for k, v in ac.to_torch_state_dict(model, image=(8, 6), numpy=True).items()}
    model.load_torch(state, image=(8, 6))
    x = OUTPUTS["x"]
    flat = [
        ac.conv2d(x, state[f"{k}.weight"], state[f"{k}.bias"], padding=p, layout="channels_first").reshape(3, -1)
        for k, p in (("a", 0), ("b", 1))
    ]
    want = np.concatenate(flat, 1) @ state["out.weight"].T + state["out.bias"]
    assert np.abs(run(model, x, True) - want).max() < 1e-4 * np.abs(want).max()


def test_names_that_differ():
    state, _ = weights_of(HERE / "net.pt")
    other = {k.replace(k.split(".")[0], f"layer{k.split('.')[0]}"): v for k, v in state.items()}
    model = net()
    with pytest.raises(ValueError, match=r"missing 0\.weight.*unexpected layer0\.weight.*by_order=True"):
        model.load_torch(other)
    report = model.load_torch(other, by_order=True)
    assert report.loaded["0.weight"] == "layer0.weight" and "0.weight from layer0.weight" in str(report)
    assert np.abs(run(model, OUTPUTS["x"], True) - OUTPUTS["net"]).max() < 1e-5
    shuffled = dict(sorted(other.items(), reverse=True))
    with pytest.raises(ValueError, match="the orders differ"):
        model.load_torch(shuffled, by_order=True)


def test_the_report():
    state, _ = weights_of(HERE / "net.pt")
    del state["0.bias"]
    state |= {"8.bias": state["8.bias"].astype(float), "extra": np.ones(2)}
    model = net()
    kept = model[0].bias.value
    with pytest.raises(ValueError, match=r"missing 0\.bias of torch's shape \(4,\); unexpected extra of shape \(2,\)"):
        model.load_torch(state)
    report = model.load_torch(state, strict=False)
    assert (report.missing, report.unexpected) == (["0.bias"], ["extra"])
    assert report.transposed["0.weight"] == ((4, 2, 3, 3), (3, 3, 2, 4)) and report.cast["8.bias"] == (
        "float64",
        "float32",
    )
    assert report.ignored == ["1.num_batches_tracked", "5.num_batches_tracked"]
    assert np.array_equal(model[0].bias.value, kept)
    for text in ("6.weight: features reordered", "transposed, (5, 24) -> (24, 5)", "missing, left as it was: 0.bias"):
        assert text in str(report)


REFUSED = [
    ({"weight": np.ones((3, 4))}, r"missing bias"),
    ({"weight": np.ones((4, 3)), "bias": np.ones(3)}, r"weight has shape \(4, 3\), the model needs \(3, 4\)"),
    ({"weight": np.ones((3, 4), int), "bias": np.ones(3)}, "needs floating-point"),
    ({"weight": np.array(["a"]), "bias": np.ones(3)}, "not a number"),
    ({"a": {"weight": np.ones((3, 4))}, "b": {"weight": np.ones((3, 4))}}, "several entries are state_dicts.*key='a'"),
    ({"epoch": 3}, "no arrays by name; its entries are 'epoch'"),
]


@pytest.mark.parametrize(("state", "message"), REFUSED)
def test_what_is_refused(state, message):
    model = nn.Linear(4, 3)
    before = model.state_dict()
    with pytest.raises(ValueError, match=message):
        model.load_torch(state)
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())
    with pytest.raises(TypeError, match="found int"):
        model.load_torch(3)


def test_several_entries_and_a_key():
    good = {"weight": np.full((3, 4), 2.0), "bias": np.ones(3)}
    model = nn.Linear(4, 3)
    model.load_torch({"ema": good, "raw": {k: -v for k, v in good.items()}}, key="ema")
    assert (model.weight.value == 2).all()


@pytest.mark.parametrize("file", ["views.pt", "views.safetensors"])
def test_views_and_dtypes(file):
    arrays, _ = weights_of(HERE / file)
    table = np.arange(24.0, dtype=np.float32).reshape(4, 6)
    expected = {
        "part": table[1:, ::2], "turned": table.T, "half": np.array([0.5, -2.0], np.float16),
        "brain": np.array([1.5, -0.0078125, np.inf], np.float32), "empty": np.zeros((0, 3), np.float32),
        "scalar": np.float32(3), "spread": np.full(5, 7, np.float32), "double": np.float32([0.1]).astype(float),
        "yes": np.array([True, False]), "long": np.array([-(2**40)]),
    }  # fmt: skip
    assert expected.keys() | {"shared"} == arrays.keys() | {"shared"}
    for name, value in expected.items():
        assert arrays[name].dtype == value.dtype and np.array_equal(arrays[name], value), name


# ---- hostile files


def test_lists_that_hold_each_other_twice_take_no_time(tmp_path):
    data = [tensor(4, 1, (3,), (1,))]
    for _ in range(200):
        data = [data, data]
    (tmp_path / "w.pt").write_bytes(archive(pickled({"laughs": data}), [FOUR]))
    with pytest.raises(ValueError, match="no arrays by name"):
        weights_of(tmp_path / "w.pt")


def archive(data, storages=(), compress=zipfile.ZIP_STORED, **more):
    """A file as torch.save would make it, of any pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compress) as file:
        file.writestr("a/data.pkl", data)
        file.writestr("a/byteorder", more.get("order", "little"))
        for key, raw in enumerate(storages):
            file.writestr(f"a/data/{key}", raw)
        for name in more.get("names", ()):
            file.writestr(f"a/{name}", "")
    return stream.getvalue()


class Stored:
    def __init__(self, kind, key, count):
        self.id = ("storage", kind, key, "cpu", count)


class Named:
    """A global that the pickler writes by name alone."""

    def __init__(self, name, *args):
        self.name, self.args = name, args


def pickled(data):
    """Protocol 2, as torch writes it, with globals that need not exist here."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, x):
            return x.id if isinstance(x, Stored) else None

        def save(self, x, *rest, **more):
            if not isinstance(x, Named):
                super().save(x, *rest, **more)
                return
            self.write(pickle.GLOBAL + x.name.replace(" ", "\n").encode() + b"\n")
            if x.args:
                super().save(x.args[0])
                self.write(pickle.REDUCE)

    stream = io.BytesIO()
    Pickler(stream, 2).dump(data)
    return stream.getvalue()


def tensor(count, offset, size, stride, kind="FloatStorage", key="0"):
    storage = Stored(Named(f"torch {kind}"), key, count)
    return Named("torch._utils _rebuild_tensor_v2", (storage, offset, size, stride, False, {}))


FOUR = np.arange(4, dtype="<f4").tobytes()
HOSTILE = [
    (archive(pickle.dumps({"w": print}, 2)), "holds (__builtin__|builtins).print, which is neither a tensor"),
    (archive(b"cos\nsystem\n(X\x04\x00\x00\x00true\x85R."), "holds os.system"),
    (archive(pickled({"w": Named("torch.nn.modules.linear Linear", ())})), r"save model\.state_dict\(\) instead"),
    (archive(pickled({"w": tensor(4, 1, (4,), (1,))}), [FOUR]), "reaches beyond its 4 stored"),
    (archive(pickled({"w": tensor(4, 0, (2, 2), (3, 1))}), [FOUR]), "reaches beyond"),
    (archive(pickled({"w": tensor(4, 0, (2,), (-1,))}), [FOUR]), "described in another way"),
    (archive(pickled({"w": tensor(4, -1, (2,), (1,))}), [FOUR]), "described in another way"),
    (archive(pickled({"w": tensor(4, 0, (2**40, 2**30), (0, 0))}), [FOUR]), "many times the memory"),
    (archive(pickled({"w": tensor(2**40, 0, (2**40,), (1,))}), [FOUR]), "4 elements|16 bytes"),
    (archive(pickled({"w": tensor(5, 0, (4,), (1,))}), [FOUR]), "has 16 bytes, 5 elements of float32 need 20"),
    (archive(pickled({"w": tensor(4, 0, (4,), (1,), key="9")}), [FOUR]), "a/data/9 is missing"),
    (archive(pickled({"w": tensor(4, 0, (4,), (1,), key="../data.pkl")}), [FOUR]), "is missing|has .* bytes"),
    (
        archive(pickled([tensor(4, 0, (4,), (1,)), tensor(2, 0, (2,), (1,), "DoubleStorage")]), [FOUR]),
        "described in two ways",
    ),
    (archive(pickled({"w": tensor(4, 0, (4,), (1,))}), [FOUR], zipfile.ZIP_DEFLATED), "packed"),
    (archive(b"\x80\x02" + b"(" * 10), "does not end|damaged"),
    (archive(b"\x80\x02}(K\x01u."), "damaged"),
    (archive(b"\x80\x02K\x01K\x02."), "something left over"),
    (archive(b"\x80\x02h\x05."), "damaged"),
    (archive(b"\x80\x02]K\x01R."), "calls something"),
    (archive(b"\x80\x02X\xff\xff\xff\x7fabc."), "damaged"),
    (archive(b"\x80\x02K\x01}b."), "sets attributes"),
    (archive(b""), "damaged|does not end"),
    (archive(pickled({}), order="middle"), "byte order"),
    (archive(pickled({}), names=["constants.pkl"]), "TorchScript"),
    (b"PK\x03\x04 and no more", "damaged, or truncated"),
    (b"", "neither a zip archive"),
    (b"\x80\x02}q\x00.", "neither a zip archive"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_files(number, tmp_path):
    content, message = HOSTILE[number]
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as told:
        torch_file.load(path)
    assert "weights.pt" in str(told.value)


def test_good_archive_of_our_own(tmp_path):
    """The hostile ones differ from this in one thing each."""
    (tmp_path / "w.pt").write_bytes(archive(pickled({"w": tensor(4, 1, (3,), (1,))}), [FOUR]))
    assert torch_file.load(tmp_path / "w.pt")["w"].tolist() == [1, 2, 3]
    big = np.arange(4, dtype=">f4").tobytes()
    (tmp_path / "w.pt").write_bytes(archive(pickled({"w": tensor(4, 1, (3,), (1,))}), [big], order="big"))
    assert torch_file.load(tmp_path / "w.pt")["w"].tolist() == [1, 2, 3]


def test_every_shorter_file_is_refused(tmp_path):
    for name in ("net.pt", "net.safetensors"):
        whole = (HERE / name).read_bytes()
        path = tmp_path / name
        for length in (*range(0, 200, 7), *range(200, len(whole) - 1, 331), len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(WeightsError):
                weights_of(path)


def test_other_files_that_are_refused_with_a_word(tmp_path):
    for name, message in (("legacy.pt", "before 1.6"), ("whole_module.pt", "save model.state_dict")):
        with pytest.raises(WeightsError, match=message):
            weights_of(HERE / name)
    for path, message in (("no.pt", "cannot be read"), ("weights.txt", "ends in .safetensors, .pt")):
        with pytest.raises(WeightsError, match=message):
            weights_of(tmp_path / path)
    with pytest.raises(WeightsError, match="cannot be read"):
        weights_of(tmp_path / "no.safetensors")


def safetensors(header, data=b""):
    return struct.pack("<Q", len(header)) + header + data


SAFETENSORS = [
    (safetensors(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"1234"), "do not fit the file"),
    (safetensors(b'{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', b"12345678"), "do not fit the file"),
    (safetensors(b'{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}', b"12"), "NumPy does not have"),
    (safetensors(b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}'), "do not fit the file"),
    (
        safetensors(
            b'{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},'
            b'"v":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
            b"123",
        ),
        "share bytes",
    ),
    (safetensors(b'{"w":3}'), "cannot be read"),
    (safetensors(b"[1]"), "without a complete safetensors header"),
    (struct.pack("<Q", 2**60) + b"{}", "without a complete safetensors header"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), SAFETENSORS)
def test_hostile_safetensors(content, message, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        weights_of(path)
