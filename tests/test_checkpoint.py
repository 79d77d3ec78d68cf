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


@pytest.mark.dear
@pytest.mark.quick(1)
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


@pytest.mark.quick(3)
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


# ---- a checksum over the whole file


@pytest.mark.dear
def test_every_flipped_bit_is_refused(tmp_path, good):
    """300 bits of the data, and every bit of the header and its length."""
    path, run = tmp_path / "c", Run(seed=5)
    end = 8 + int.from_bytes(good[:8], "little")
    before = run.everything()
    bits = [*range(0, 8 * end, 7), *(8 * end + np.random.default_rng(0).choice(8 * (len(good) - end), 300)).tolist()]
    for bit in bits:
        spoiled = bytearray(good)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        with pytest.raises(checkpoint.CheckpointError):
            run.load(path)
        if bit >= 8 * end:
            with pytest.raises(checkpoint.CheckpointError, match="its checksum is not that of its contents"):
                checkpoint.inspect(path)
    assert run.everything() == before


def test_the_checksum_is_that_of_the_file(good):
    metadata = header_of(good)["__metadata__"]
    assert metadata["version"] == "2"
    blank = good.replace(metadata["checksum"].encode(), b"0" * 64)
    assert hashlib.sha256(blank).hexdigest() == metadata["checksum"]


UNSIGNED = {
    "no checksum": lambda c: with_metadata(c, checksum=None),
    "an old version with a wrong one": lambda c: c.replace(b'"version":"2"', b'"version":"1"'),
    "a short one": lambda c: c.replace(header_of(c)["__metadata__"]["checksum"].encode(), b"0" * 63 + b" "),
    "another one": lambda c: c.replace(header_of(c)["__metadata__"]["checksum"].encode(), b"f" * 64),
}


@pytest.mark.parametrize("case", UNSIGNED)
def test_a_checksum_cannot_be_left_out(tmp_path, good, case):
    (tmp_path / "c").write_bytes(UNSIGNED[case](good))
    with pytest.raises(checkpoint.CheckpointError, match="is damaged, or was changed by another program"):
        Run().load(tmp_path / "c")


def test_a_file_of_the_first_version_loads_with_a_warning(tmp_path, good):
    (tmp_path / "old").write_bytes(with_metadata(good, version="1", checksum=None))
    (tmp_path / "new").write_bytes(good)
    run, expected = Run(seed=5), Run(seed=6)
    assert checkpoint.inspect(tmp_path / "old") == checkpoint.inspect(tmp_path / "new")
    with pytest.warns(
        checkpoint.CheckpointWarning, match=r"before checkpoints had a checksum.*save it again"
    ) as caught:
        run.load(tmp_path / "old")
    assert caught[0].filename == __file__
    expected.load(tmp_path / "new")
    assert run.everything() == expected.everything()


# ---- other numbers than the model's


@pytest.mark.parametrize("other", [np.float64, np.float16, np.int32, np.int64, np.bool_, np.uint8])
def test_weights_of_another_dtype_are_refused(tmp_path, other):
    from safetensors.numpy import load, save

    model = nn.Linear(2, 3, rng=0)
    checkpoint.save(tmp_path / "c", model)
    content = (tmp_path / "c").read_bytes()
    tensors = {k: v.astype(other) if k == "model.bias" else v for k, v in load(content).items()}
    header = json.loads((packed := save(tensors))[8 : 8 + int.from_bytes(packed[:8], "little")])
    header["__metadata__"] = header_of(content)["__metadata__"]
    data = packed[8 + int.from_bytes(packed[:8], "little") :]
    (tmp_path / "c").write_bytes(signed(header, data))
    before = model.state_dict()
    text = rf"bias has dtype {np.dtype(other)}, the model's has float32. Build the model .* model\.load_state_dict"
    with pytest.raises(checkpoint.CheckpointError, match=text):
        checkpoint.load(tmp_path / "c", model)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    header["__metadata__"] |= {"version": "1"}
    del header["__metadata__"]["checksum"]
    (tmp_path / "c").write_bytes(signed(header, data))
    with pytest.raises(checkpoint.CheckpointError, match=text):  # nor from an old file
        checkpoint.load(tmp_path / "c", model)


def test_a_model_of_another_dtype_is_refused_both_ways(tmp_path):
    for one, other in [(np.float64, np.float32), (np.float32, np.float64)]:
        checkpoint.save(tmp_path / "c", nn.Linear(2, 3, dtype=one))
        with pytest.raises(checkpoint.CheckpointError, match=f"has dtype {np.dtype(one)}, the model's has"):
            checkpoint.load(tmp_path / "c", nn.Linear(2, 3, dtype=other))


def test_a_dtype_that_numpy_does_not_have(tmp_path, good):
    (tmp_path / "c").write_bytes(good.replace(b'"dtype":"F32"', b'"dtype":"BF6"', 1))
    with pytest.raises(checkpoint.CheckpointError, match="holds BF6, which NumPy has no dtype for"):
        Run().load(tmp_path / "c")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path, bad):
    run, other = Run(), Run(seed=5)
    value = run.model["out"].bias.value.copy()
    value[1] = bad
    run.model["out"].bias.assign(value)
    text = r"values that are NaN or infinite: model\.out\.bias \(1 of 3\)"
    with pytest.warns(checkpoint.CheckpointWarning, match=text) as caught:
        run.save(tmp_path / "c")
    assert caught[0].filename == __file__
    with pytest.warns(checkpoint.CheckpointWarning, match=text):
        other.load(tmp_path / "c")
    assert np.array_equal(other.model["out"].bias.value, value, equal_nan=True)
    third = Run(seed=6)
    with pytest.raises(checkpoint.CheckpointWarning):  # an error by the settings of the tests: nothing has changed
        third.load(tmp_path / "c")
    assert third.everything() == Run(seed=6).everything()


# ---- what save writes, load takes; what it would not take is refused while the old file is there


def spoiled_optimizer(**settings):
    def spoil(run):
        run.optimizer.param_groups[0].update(settings)

    return spoil


def strange_buffer(value):
    return lambda run: run.model["norm"].register_buffer("more", value)


deep = lambda n: json.loads("[" * n + "]" * n)
circle = []
circle.append(circle)
REFUSED = {
    "epoch is a fraction": ({"epoch": 1.5}, None, TypeError, "epoch must be a whole number, found 1.5"),
    "epoch is text": ({"epoch": "3"}, None, TypeError, "epoch must be a whole number"),
    "epoch is a truth": ({"epoch": True}, None, TypeError, "epoch must be a whole number"),
    "epoch below 0": ({"epoch": -1}, None, ValueError, "epoch must be at least 0"),
    "keys": ({"extra": {1: "a"}}, None, TypeError, "the key 1 in extra"),
    "inner keys": ({"extra": [{"a": ({None: 1},)}]}, None, TypeError, "the key None in extra"),
    "a set": ({"extra": {1}}, None, TypeError, "cannot be stored"),
    "a module": ({"extra": os}, None, TypeError, "cannot be stored"),
    "deep": ({"extra": deep(200)}, None, checkpoint.CheckpointError, "more than 100 lists and dicts"),
    "a circle": ({"extra": circle}, None, checkpoint.CheckpointError, "more than 100 lists and dicts"),
    "long number": ({"extra": 10**5000}, None, checkpoint.CheckpointError, "cannot be saved"),
    "settings": ({}, spoiled_optimizer(lr=-1.0), checkpoint.CheckpointError, "lr=-1.0.*could not be loaded again"),
    "NaN settings": ({}, spoiled_optimizer(lr=np.nan), checkpoint.CheckpointError, "could not be loaded again"),
    "other settings": ({}, spoiled_optimizer(betas="x"), checkpoint.CheckpointError, "betas='x'"),
    "state": ({}, lambda r: r.optimizer.state[0].update(step=1.5), checkpoint.CheckpointError, "step=1.5"),
    "schedule": ({}, lambda r: vars(r.schedule).update(epochs=0.5), checkpoint.CheckpointError, "epochs=0.5"),
    "text": ({}, strange_buffer(np.array(["a"])), checkpoint.CheckpointError, "norm.more has dtype <U1"),
    "complex": ({}, strange_buffer(np.array([1j])), checkpoint.CheckpointError, "dtype complex128"),
    "fractions": ({}, strange_buffer(np.array([1], object)), checkpoint.CheckpointError, "exact fractions"),
    "long double": ({}, strange_buffer(np.ones(1, "g")), checkpoint.CheckpointError, "norm.more has dtype"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_load_would_refuse_is_not_saved(tmp_path, good, case):
    more, spoil, kind, text = REFUSED[case]
    if case == "long double" and np.dtype("g") == np.dtype("d"):
        pytest.skip("it is a double here")
    path, run = tmp_path / "c", Run()
    run.fit(1)
    if spoil:
        spoil(run)
    path.write_bytes(good)
    (tmp_path / "good").unlink()
    with pytest.raises(kind, match=text):
        run.save(path, **more)
    with pytest.raises(kind, match=text):
        checkpoint.check(path, run.model, run.optimizer, run.schedule, rng=run.rng, **more)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def random_state(rng):
    """A model, optimiser and schedule of random shapes, dtypes, names, settings and values, after some steps."""
    dtype = rng.choice([np.float16, np.float32, np.float64])
    model = nn.Sequential(
        **{f"ü {i}" if rng.integers(3) == 0 else f"layer{i}": nn.Linear(*rng.integers(1, 4, 2).tolist(),
           bias=bool(rng.integers(2)), dtype=dtype, rng=rng) for i in range(rng.integers(1, 4))},
        norm=nn.BatchNorm1d(int(rng.integers(1, 4)), dtype=dtype), drop=nn.Dropout(0.5, rng=int(rng.integers(99))),
    )  # fmt: skip
    if rng.integers(2):
        model["norm"].register_buffer(
            "seen", rng.integers(-9, 9, rng.integers(0, 3, 2)).astype(rng.choice(["u1", ">i4", "?"]))
        )
    p = list(model.parameters())
    optimizer = rng.choice([optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])(
        p, lr=float(rng.random())
    )
    for _ in range(rng.integers(3)):
        optimizer.step([rng.normal(size=x.shape).astype(dtype) if rng.integers(4) else None for x in p])
    schedule = optim.StepLR(optimizer, int(rng.integers(1, 9)), float(rng.random()))
    for _ in range(rng.integers(5)):
        schedule.step()
    return (
        model,
        optimizer,
        schedule,
        np.random.Generator(rng.choice([np.random.PCG64, np.random.MT19937])(int(rng.integers(99)))),
    )


def random_extra(rng, depth=0):
    kind = rng.integers(9 if depth < 4 else 6)
    if kind > 5:
        inner = [random_extra(rng, depth + 1) for _ in range(rng.integers(4))]
        return inner if kind > 7 else {f'"checksum":"{i}\ud800\0é': x for i, x in enumerate(inner)}
    return [None, True, int(rng.integers(-(2**62), 2**62)) * 10**30, float(rng.normal()), float("inf"), '"\\\n0' * 9][
        kind
    ]


def plain(model, optimizer, schedule, rng):
    as_text = lambda v: [v.dtype.newbyteorder("=").str, v.shape, v.tolist()] if isinstance(v, np.ndarray) else repr(v)
    generators = [rng.bit_generator.state, model["drop"].rng.bit_generator.state]
    return json.dumps([model.state_dict(), optimizer.state_dict(), schedule.state_dict(), generators], default=as_text)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore:.*values that are NaN or infinite")  # float16 overflows in some of them
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_saved_is_loaded(tmp_path, seed):
    one = random_state(np.random.default_rng(seed))
    other = random_state(np.random.default_rng(seed))
    extra = random_extra(np.random.default_rng(seed))
    for value in (x for p in other[0].parameters() for x in [p]):
        value.assign(np.full(value.shape, 7, value.dtype))
    vars(other[1]).update(lr=9.0)
    other[3].random(5)
    checkpoint.save(tmp_path / "c", *one[:3], epoch=seed, rng=one[3], extra=extra)
    assert plain(*other) != plain(*one)
    found = checkpoint.load(tmp_path / "c", *other[:3], rng=other[3])
    assert (found.epoch, found.extra) == (seed, extra)
    assert plain(*other) == plain(*one)


# ---- before the training


@pytest.mark.parametrize("where", ["none/c", "folder", "file/c", ""])
def test_fit_refuses_a_checkpoint_that_cannot_be_written_before_it_trains(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    run = Run()
    before = run.everything()
    with pytest.raises(checkpoint.CheckpointError, match="cannot be written"):
        run.fit(1, checkpoint=where)
    with pytest.raises(TypeError, match="cannot be stored"):
        run.fit(1, checkpoint="c", extra={"a": {1}})
    assert run.everything() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
