"""Checkpoints: a resumed run is bit-identical to an uninterrupted one, and a bad file changes nothing."""

import hashlib
import json
import os
import threading

import numpy as np
import pytest

from autoconv import checkpoint, nn, optim, train

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6, 6, 1)).astype(np.float32), RNG.integers(0, 3, 40)
KINDS = {
    "SGD with momentum, steps": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam, cosine": lambda p: optim.Adam(p, lr=0.01),
}
SCHEDULES = {
    "SGD with momentum, steps": lambda o: optim.StepLR(o, 2, 0.5),
    "Adam, cosine": lambda o: optim.CosineLR(o, 6),
}


class Run:
    """Everything that a training run changes."""

    def __init__(self, kind="Adam, cosine", seed=0, bits=np.random.PCG64):
        self.rng = np.random.Generator(bits(seed))
        rng = np.random.default_rng(seed)
        self.model = nn.Sequential(
            conv=nn.Conv2d(1, 4, 3, rng=rng), norm=nn.BatchNorm2d(4), relu=nn.ReLU(), pool=nn.MaxPool2d(2),
            flat=nn.Flatten(), drop=nn.Dropout(0.3, rng=rng), out=nn.Linear(16, 3, rng=rng),
        )  # fmt: skip
        self.optimizer = KINDS[kind](self.model.parameters())
        self.schedule = SCHEDULES[kind](self.optimizer)

    def fit(self, epochs, **more):
        return train.fit(
            self.model, (X, Y), epochs=epochs, batch_size=16, optimizer=self.optimizer, schedule=self.schedule,
            rng=self.rng, progress=False, **more,
        )  # fmt: skip

    def save(self, path, **more):
        checkpoint.save(path, self.model, self.optimizer, self.schedule, rng=self.rng, **more)

    def load(self, path):
        return checkpoint.load(path, self.model, self.optimizer, self.schedule, rng=self.rng)

    def everything(self):
        """The whole state as text, bit for bit."""
        plain = lambda v: [v.dtype.str, v.shape, v.tobytes().hex()] if isinstance(v, np.ndarray) else repr(v)
        generators = [self.rng.bit_generator.state, self.model["drop"].rng.bit_generator.state]
        states = [self.model.state_dict(), self.optimizer.state_dict(), self.schedule.state_dict(), generators]
        return json.dumps(states, default=plain)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", [1, 3])
def test_resuming_is_bit_identical(tmp_path, kind, epoch):
    whole, first, second = Run(kind, 1), Run(kind, 1), Run(kind, 2)
    expected = whole.fit(5)
    first.fit(epoch, checkpoint=tmp_path / "c", extra={"classes": 3})
    assert checkpoint.inspect(tmp_path / "c").extra["classes"] == 3
    found = second.fit(5, checkpoint=tmp_path / "c", resume=True)
    assert found == expected
    assert second.everything() == whole.everything()
    assert checkpoint.inspect(tmp_path / "c").epoch == 5


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_every_generator_is_kept(tmp_path, bits):
    one, other = Run(bits=bits, seed=1), Run(bits=bits, seed=2)
    one.rng.random(5)
    one.save(tmp_path / "c")
    other.load(tmp_path / "c")
    assert np.array_equal(one.rng.random(9), other.rng.random(9))


def test_shared_generators_stay_shared(tmp_path):
    rng = np.random.default_rng(3)
    model = nn.Sequential(nn.Dropout(0.5, rng=rng), nn.Dropout(0.5, rng=rng))
    checkpoint.save(tmp_path / "c", model, rng=rng)
    expected = rng.random(4)
    checkpoint.load(tmp_path / "c", model, rng=rng)
    assert np.array_equal(rng.random(4), expected)
    assert model[0].rng is model[1].rng is rng


def test_epoch_and_extra_come_back_and_dtypes_stay(tmp_path):
    model = nn.Linear(2, 3, dtype=np.float64, rng=0)
    checkpoint.save(tmp_path / "c", model, epoch=7, extra={"classes": ["a", "b"], "score": np.float32(0.5)})
    other = nn.Linear(2, 3, dtype=np.float64, rng=1)
    found = checkpoint.load(tmp_path / "c", other)
    assert (found.epoch, found.extra) == (7, {"classes": ["a", "b"], "score": 0.5})
    assert found.shapes == {"model.weight": (2, 3), "model.bias": (3,)}
    assert np.array_equal(other.weight.value, model.weight.value)


def test_the_file_is_an_ordinary_safetensors_file(tmp_path):
    from safetensors.numpy import load_file

    run = Run()
    run.save(tmp_path / "c.safetensors")
    tensors = load_file(tmp_path / "c.safetensors")
    assert np.array_equal(tensors["model.conv.weight"], run.model["conv"].weight.value)


@pytest.fixture
def good(tmp_path):
    """The bytes of a good checkpoint after a step."""
    run = Run()
    run.fit(1)
    run.save(tmp_path / "good", epoch=1)
    return (tmp_path / "good").read_bytes()


def header_of(content):
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def signed(header, data):
    """A file of this header and data with the right checksum (if its metadata ask for one)."""
    metadata = header["__metadata__"]
    if "checksum" in metadata:
        metadata["checksum"] = "0" * 64
    pack = lambda: json.dumps(header, separators=(",", ":")).encode()
    whole = lambda: len(pack()).to_bytes(8, "little") + pack() + data
    if "checksum" in metadata:
        metadata["checksum"] = hashlib.sha256(whole()).hexdigest()
    return whole()


def with_metadata(content, **changes):
    """The same file with other metadata (None: without that entry) and the checksum that belongs to them."""
    header = header_of(content)
    header["__metadata__"] = {k: v for k, v in (header["__metadata__"] | changes).items() if v is not None}
    return signed(header, content[8 + int.from_bytes(content[:8], "little") :])


def changed(key, **changes):
    """The same file with changes to one JSON entry of its metadata."""

    def spoil(content):
        value = json.loads(header_of(content)["__metadata__"][key])
        return with_metadata(content, **{key: json.dumps(value | changes)})

    return spoil


def npz(content):
    import io

    made = io.BytesIO()
    np.savez(made, x=np.ones(100))
    return made.getvalue()


SPOILED = {
    "empty": (lambda c: b"", "truncated"),
    "a few bytes": (lambda c: c[:5], "truncated"),
    "inside the header": (lambda c: c[:200], "truncated"),
    "inside the data": (lambda c: c[:-1], "truncated"),
    "too long": (lambda c: c + b"\0", "not a checkpoint"),
    "random bytes": (lambda c: np.random.default_rng(0).bytes(5000), "not a checkpoint"),
    "npz": (npz, "not a checkpoint"),
    "huge header": (lambda c: (2**62).to_bytes(8, "little") + c[8:], "without a complete safetensors header"),
    "broken header": (lambda c: c[:8] + b"{" * 100 + c[108:], "not a checkpoint"),
    "foreign": (lambda c: with_metadata(c, format="pt"), "not a checkpoint of autoconv"),
    "version": (lambda c: with_metadata(c, version="99"), "version 99"),
    "no metadata": (lambda c: with_metadata(c, format=None), "not a checkpoint of autoconv"),
    "bad JSON": (lambda c: with_metadata(c, optimizer="{"), "metadata cannot be read"),
    "deep JSON": (lambda c: with_metadata(c, extra="[" * 100_000), "metadata cannot be read"),
    "no epoch": (lambda c: with_metadata(c, epoch=None), "holds no epoch"),
    "no optimizer": (lambda c: with_metadata(c, optimizer=None), "holds no optimizer"),
    "other optimizer": (changed("optimizer", name="SGD"), "'SGD', the optimiser is Adam"),
    "steps": (changed("optimizer", steps=[1]), "belongs to no parameter"),
    "step": (changed("optimizer", steps=[-1] * 6), "step=-1"),
    "settings": (changed("optimizer", settings={"lr": 1}), "the settings of Adam"),
    "schedule": (changed("schedule", name="StepLR"), "'StepLR', the schedule is CosineLR"),
    "generators": (lambda c: with_metadata(c, generators="{}"), "no generator state for model.drop.rng"),
    "generator": (changed("generators", rng={"bit_generator": "PCG64", "state": "x"}), "generator state for rng"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_bad_file_is_one_error_and_changes_nothing(tmp_path, good, case):
    spoil, text = SPOILED[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(spoil(good))
    run = Run(seed=5)
    before = run.everything()
    with pytest.raises(checkpoint.CheckpointError, match=text) as caught:
        run.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert run.everything() == before


def test_another_model_is_refused(tmp_path, good):
    (tmp_path / "good").write_bytes(good)
    run = Run(seed=5)
    for model, text in [
        (
            nn.Sequential(conv=nn.Conv2d(1, 5, 3)),
            r"conv.weight has shape \(3, 3, 1, 4\), the model needs \(3, 3, 1, 5\)",
        ),
        (nn.Sequential(dense=nn.Linear(1, 5)), "missing dense.weight"),
    ]:
        run.model.load_state_dict(run.model.state_dict())
        before = model.state_dict()
        with pytest.raises(checkpoint.CheckpointError, match=text):
            checkpoint.load(tmp_path / "good", model)
        assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="No such file"):
        checkpoint.load(tmp_path / "none", Run().model)
    with pytest.raises(checkpoint.CheckpointError, match="No such file"):
        checkpoint.save(tmp_path / "none" / "c", Run().model)
    with pytest.raises(checkpoint.CheckpointError, match="is a folder, not a regular file"):
        checkpoint.load(tmp_path, Run().model)
    with pytest.raises(TypeError, match="cannot be stored"):
        checkpoint.save(tmp_path / "c", Run().model, extra={1j})
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path, good, monkeypatch):
    path = tmp_path / "c"
    path.write_bytes(good)
    (tmp_path / "good").unlink()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(checkpoint.CheckpointError, match="No space left"):
        Run().save(path)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_half_a_file(tmp_path):
    run, path, stop, failures = Run(), tmp_path / "c", threading.Event(), []
    run.save(path)

    def read():
        other = Run(seed=2)
        while not stop.is_set():
            try:
                other.load(path)
            except checkpoint.CheckpointError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        run.save(path)
    stop.set()
    reader.join()
    assert failures == []
