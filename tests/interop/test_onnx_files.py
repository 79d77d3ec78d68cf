"""ONNX files as they come: exported by PyTorch (outputs and gradients beside PyTorch), by hand, damaged, hostile.

With AUTOCONV_ONNX_FILES=folder every .onnx below it is run beside onnxruntime, and the speed is printed.
"""

import contextlib
import io
import os
import time
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; make test-interop has it")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; make test-interop has it")

import autoconv as ac  # noqa: E402
from autoconv.interop import UnsupportedError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters
nn, helper = torch.nn, onnx.helper
FLOAT, INT = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.side = nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(3, 4, 1, 2)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)) + self.side(x))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTM(4, 5, bidirectional=True), nn.GRU(10, 3)

    def forward(self, x):
        return self.gru(self.lstm(x)[0])[0]


NETS = {
    "lenet": (lambda: nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(216, 10)),
              (2, 1, 16, 16)),
    "mobile": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, groups=8),
                                     nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1)),
               (2, 3, 16, 16)),
    "residual": (Residual, (2, 3, 8, 8)),
    "upsampled": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Upsample(scale_factor=2, mode="bilinear"),
                                        nn.ConvTranspose2d(3, 2, 4, 2, 1), nn.ReflectionPad2d(2)), (1, 2, 6, 6)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True),
                  (2, 5, 8)),
    "recurrent": (Recurrent, (6, 2, 4)),
    "norms": (lambda: nn.Sequential(nn.Conv1d(2, 6, 3), nn.GroupNorm(3, 6), nn.SiLU(),
                                    nn.InstanceNorm1d(6, affine=True), nn.PReLU(6),
                                    nn.LocalResponseNorm(3), nn.LayerNorm(10)), (3, 2, 12)),
    "volume": (lambda: nn.Sequential(nn.Conv3d(1, 3, 3), nn.LeakyReLU(0.1), nn.MaxPool3d(2, ceil_mode=True), nn.Mish()),
               (2, 1, 7, 7, 7)),
}  # fmt: skip


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize("name", NETS)
def test_an_exported_net_has_pytorchs_numbers_and_gradients(name, dynamo, tmp_path):
    if name == "attention" and not dynamo:
        pytest.skip("PyTorch's older exporter fails on it")
    torch.manual_seed(1)
    make, shape = NETS[name]
    net, x = make().eval(), torch.randn(shape, requires_grad=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path / "net.onnx"
    settings = {"dynamo": True} if dynamo else {"dynamo": False, "opset_version": 17, "do_constant_folding": False}
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(net, (x.detach(),), path, **settings)
    y = net(x)
    weight = torch.randn_like(y)
    (y * weight).sum().backward()

    model, given = ac.onnx.load(path), ac.tensor(x.detach().numpy())
    z = model(given)
    np.testing.assert_allclose(z.value, y.detach().numpy(), atol=1e-5)
    ac.sum(z * weight.numpy()).backward()
    np.testing.assert_allclose(given.grad, x.grad.numpy(), atol=1e-4 * float(x.grad.abs().max()))
    read = dict(model.named_parameters())
    for key, parameter in net.named_parameters():
        same = key in read and read[key].shape == tuple(parameter.shape)
        if same and np.array_equal(read[key].value, parameter.detach().numpy()):  # not folded into another
            bound = 1e-4 * float(parameter.grad.abs().max()) + 1e-5
            np.testing.assert_allclose(read[key].grad, parameter.grad.numpy(), atol=bound, err_msg=key)
    if not dynamo:
        assert {key for key, _ in net.named_parameters()} <= read.keys()


# ---- made by hand


def model_of(nodes, inputs=(("x", FLOAT, ["n", 3]),), outputs=("y",), initializers=(), opset=17, functions=()):
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs], list(initializers),
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], functions=list(functions))


def relu(source="x", result="y", **settings):
    return helper.make_node("Relu", [source], [result], **settings)


def tensor(name, dims, **fields):
    made = onnx.TensorProto(name=name, dims=dims, data_type=FLOAT)
    for key, value in fields.items():
        if isinstance(value, list):
            getattr(made, key).extend(value)
        else:
            setattr(made, key, value)
    return made


def external(**entries):
    made = onnx.TensorProto(name="w", dims=[3], data_type=FLOAT, data_location=1)
    for key, value in entries.items():
        made.external_data.add(key=key, value=value)
    return made


ADD = helper.make_node("Add", ["x", "w"], ["y"])
HOSTILE = {
    "a circle": (model_of([relu("b", "a"), relu("a", "b"), relu("b", "y")]), "without a circle"),
    "a name made twice": (model_of([relu(), relu()]), "made twice"),
    "a missing input": (model_of([relu("q")]), "'q'"),
    "no output": (model_of([relu()], outputs=()), "no output"),
    "an output that nothing makes": (model_of([relu()], outputs=("z",)), "'z'"),
    "huge sizes": (model_of([ADD], initializers=[tensor("w", [2**40, 2**40], raw_data=b"0" * 8)]), "bytes"),
    "huge sizes, typed": (model_of([ADD], initializers=[tensor("w", [2**62], float_data=[1.0])]), "numbers"),
    "negative sizes": (model_of([ADD], initializers=[tensor("w", [-3], raw_data=b"")]), "not negative"),
    "too few bytes": (model_of([ADD], initializers=[tensor("w", [3], raw_data=b"0" * 11)]), "12 bytes"),
    "an attribute of another operator": (model_of([relu(group=2)]), "attribute 'group'"),
    "too many inputs": (model_of([helper.make_node("Relu", ["x", "x"], ["y"])]), "too many positional"),
    "an input left out": (model_of([helper.make_node("Add", ["", "x"], ["y"])]), "leaves out"),
    "too many outputs": (model_of([helper.make_node("Relu", ["x"], ["y", "z"])]), "the operator makes one"),
    "opset 3": (model_of([relu()], opset=3), "opset 3"),
    "text": (model_of([relu()], inputs=[("x", onnx.TensorProto.STRING, [1])]), "data type 8"),
    "upwards": (model_of([ADD], initializers=[external(location="../w.bin")]), "below the model's folder"),
    "absolute": (model_of([ADD], initializers=[external(location="/etc/passwd")]), "below the model's folder"),
    "a link out": (model_of([ADD], initializers=[external(location="link.bin")]), "link out"),
    "beyond the end": (model_of([ADD], initializers=[external(location="w.bin", offset="4")]), "at 4"),
    "another length": (model_of([ADD], initializers=[external(location="w.bin", length="99")]), "99 bytes"),
    "no number": (model_of([ADD], initializers=[external(location="w.bin", offset="a")]), "no number"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "outside.bin").write_bytes(b"0" * 12)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "w.bin").write_bytes(np.arange(3, dtype="<f4").tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "outside.bin")
    return inside


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused(case, folder):
    model, said = HOSTILE[case]
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises((ValueError, UnsupportedError), match=said):
        ac.onnx.load(folder / "m.onnx")


def test_damaged_files_and_what_is_no_file(folder):
    content = model_of([relu()]).SerializeToString()
    path = folder / "m.onnx"
    for cut in range(0, len(content), 7):
        path.write_bytes(content[:cut])
        with contextlib.suppress(ValueError, UnsupportedError):  # a cut between fields leaves a smaller model
            ac.onnx.load(path)
    path.write_bytes(b"\x00\xff" * 50)
    with pytest.raises(ValueError, match="no ONNX"):
        ac.onnx.load(path)
    os.mkfifo(folder / "pipe.onnx")
    with pytest.raises(OSError, match="pipe"):
        ac.onnx.load(folder / "pipe.onnx")
    with pytest.raises(FileNotFoundError):
        ac.onnx.load(folder / "nothing.onnx")


def test_external_data_in_the_folder_are_read(folder):
    (folder / "m.onnx").write_bytes(model_of([ADD], initializers=[external(location="w.bin")]).SerializeToString())
    model = ac.onnx.load(folder / "m.onnx")
    assert model(np.zeros((1, 3), np.float32)).value.tolist() == [[0.0, 1.0, 2.0]]
    assert [name for name, _ in model.named_parameters()] == ["w"]


def test_all_that_is_not_covered_is_in_one_error(folder):
    nodes = [helper.make_node("Foo", ["x"], ["a"], "first"), helper.make_node("Bar", ["a"], ["b"], "second"), relu("b")]
    (folder / "m.onnx").write_bytes(model_of(nodes).SerializeToString())
    with pytest.raises(UnsupportedError, match=r"(?s)Foo: node 'first'.*Bar: node 'second'"):
        ac.onnx.load(folder / "m.onnx")


def test_a_shape_that_depends_on_numbers_is_refused_with_its_node(folder):
    nodes = [relu("x", "r"), helper.make_node("NonZero", ["r"], ["y"], "p")]
    (folder / "m.onnx").write_bytes(model_of(nodes).SerializeToString())
    with pytest.raises(ValueError, match=r"(?s)not 0.*node 'p'"):
        ac.onnx.load(folder / "m.onnx")(np.ones((1, 3), np.float32))


def test_functions_are_written_out_and_do_not_grow_without_bound(folder):
    def function(name, inner):
        nodes = [
            helper.make_node(inner, ["a"], ["b"], domain="own"),
            helper.make_node(inner, ["b"], ["c"], domain="own"),
        ]
        return helper.make_function("own", name, ["a"], ["c"], nodes, [helper.make_opsetid("own", 1)])

    last = helper.make_function("own", "f0", ["a"], ["c"], [relu("a", "c")], [helper.make_opsetid("", 17)])
    call = helper.make_node("f3", ["x"], ["y"], domain="own")
    some = [last, *[function(f"f{k}", f"f{k - 1}") for k in range(1, 4)]]
    (folder / "m.onnx").write_bytes(model_of([call], functions=some).SerializeToString())
    assert len(ac.onnx.load(folder / "m.onnx").graph.nodes) == 8
    itself = [function("f3", "f3")]
    (folder / "m.onnx").write_bytes(model_of([call], functions=itself).SerializeToString())
    with pytest.raises(ValueError, match="deep"):
        ac.onnx.load(folder / "m.onnx")


def test_an_if_whose_condition_follows_from_a_shape(folder):
    def branch(operator):
        info = helper.make_tensor_value_info("r", FLOAT, None)
        return helper.make_graph([helper.make_node(operator, ["x"], ["r"])], operator, [], [info])

    nodes = [
        helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Equal", ["n", "two"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Neg"), else_branch=branch("Abs")),
    ]  # fmt: skip
    numbers = [helper.make_tensor("zero", INT, [], [0]), helper.make_tensor("two", INT, [], [2])]
    (folder / "m.onnx").write_bytes(model_of(nodes, initializers=numbers).SerializeToString())
    model = ac.onnx.load(folder / "m.onnx")
    assert model(np.ones((2, 3), np.float32)).value[0, 0] == -1
    assert model(np.ones((1, 3), np.float32)).value[0, 0] == 1


# ---- other people's files

FILES = sorted(Path(os.environ.get("AUTOCONV_ONNX_FILES", "nowhere")).rglob("*.onnx"))


def fastest(call, *args):
    """Seconds of the fastest of five calls."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call(*args)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_gives_onnxruntimes_output(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 2, 4
    session = onnxruntime.InferenceSession(str(path), settings)
    model = ac.onnx.load(path)
    sizes = [
        (1, 48, 192),
        (3, 48, 320),
        (1, 64, 96),
        (1, 320, 320),
    ]  # a file takes some of them: heights are often fixed
    taken = 0
    for batch, height, width in sizes:
        inputs = {}
        for known in model.graph.inputs:
            free = iter([batch, 3, height, width])
            shape = [next(free, 3) if n is None else (next(free, n), n)[1] for n in known.shape]
            inputs[known.name] = np.random.default_rng(0).normal(size=shape).astype(known.dtype)
        try:
            expected = session.run(None, inputs)
        except Exception:
            continue
        taken += 1
        results = model(*inputs.values())
        for y, wanted in zip(results if isinstance(results, tuple) else (results,), expected, strict=True):
            np.testing.assert_allclose(y.value, wanted, atol=1e-4)
        compiled = ac.compile(lambda *xs: model(*xs))
        compiled(*inputs.values())
        shapes = ", ".join(str(x.shape) for x in inputs.values())
        ours, theirs = fastest(compiled, *inputs.values()), fastest(session.run, None, inputs)
        print(f"{path.name} {shapes}: {ours * 1e3:.1f} ms, onnxruntime {theirs * 1e3:.1f} ms")
    assert taken, "onnxruntime takes none of the sizes"


@pytest.mark.parametrize("path", sorted(FILES, key=lambda path: path.stat().st_size)[:1], ids=lambda path: path.name)
def test_the_gradient_of_a_file_is_the_sweeps(path, tmp_path):
    """Of the smallest, as plain ONNX, run by onnxruntime on another batch than it was written for."""
    onnxruntime = pytest.importorskip("onnxruntime")
    model = ac.onnx.load(path).eval()
    draw = lambda batch: np.random.default_rng(batch).normal(size=(batch, 3, 48, 192)).astype(np.float32)
    (name,) = [known.name for known in model.graph.inputs]

    def loss(x):
        y = model(x)
        return ac.mean((y[0] if isinstance(y, tuple) else y) ** 2)

    ac.onnx.save_gradient(loss, tmp_path / "gradient.onnx", inputs={name: draw(2)}, wrt=model)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(tmp_path / "gradient.onnx"), settings)
    held = {key: parameter.value for key, parameter in model.named_parameters()}
    results = session.run(None, {x.name: held.get(x.name, draw(3)) for x in session.get_inputs()})
    found = dict(zip([x.name for x in session.get_outputs()], results, strict=True))
    model.zero_grad()
    expected = loss(draw(3))
    expected.backward()
    assert found["loss"] == pytest.approx(expected.value, rel=1e-4)
    largest = max(np.abs(parameter.grad).max() for parameter in model.parameters())
    for key, parameter in model.named_parameters():
        bound = 1e-4 * max(np.abs(parameter.grad).max(), 1e-2 * largest)
        np.testing.assert_allclose(found[f"grad.{key}"], parameter.grad, atol=bound, rtol=0, err_msg=key)
