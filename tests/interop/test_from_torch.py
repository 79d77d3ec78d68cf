"""from_torch beside PyTorch: what it reads, keeps, refuses, and leaves alone."""

import copy

import numpy as np
import pytest

import autoconv as ac
from autoconv import optim, train
from autoconv.interop import UnsupportedError
from autoconv.interop.torch_export import ExportError

torch = pytest.importorskip("torch", reason="PyTorch is not installed; make test-interop has it")
F, nn = torch.nn.functional, torch.nn

from helpers.torch_nets import NETS, example  # noqa: E402 (it needs PyTorch)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


class Net(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x, **more):
        return self.function(self, x, **more)


@pytest.mark.parametrize("name", NETS)
def test_float32_networks_are_pytorchs(name):
    net, x = example(name)
    model = ac.from_torch(net, x)
    for training in (True, False):
        net.train(training)
        model.train(training)
        net.zero_grad()
        model.zero_grad()
        expected, found = net(x), model(x.numpy())
        assert found.dtype == np.float32
        assert np.abs(found.value - expected.detach().numpy()).max() < 1e-5 * max(1, expected.abs().max().item())
        (expected**2).mean().backward()
        ac.mean(found * found).backward()
        largest = max(p.grad.abs().max().item() for p in net.parameters())
        for key, p in net.named_parameters():
            error = np.abs(model.parameter(key).grad - p.grad.numpy()).max()
            assert error <= 1e-4 * max(p.grad.abs().max().item(), 1e-2 * largest), key
        for key, value in net.state_dict().items():
            assert model.state_dict()[key] == pytest.approx(value.numpy(), abs=1e-6), key


def test_the_module_is_left_as_it_is():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Dropout(0.5))
    net[1].eval()
    before = copy.deepcopy(net.state_dict())
    model = ac.from_torch(net, torch.zeros(1, 3, 8, 8))
    assert [part.training for part in net.modules()] == [True, True, False, True] and net[1].momentum is None
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    assert model.training and not ac.from_torch(net.eval(), torch.zeros(1, 3, 8, 8)).training
    net[0].weight.data.zero_()
    assert np.abs(model.parameter("0.weight").value).max() > 0


def test_dropout_draws_in_training_alone():
    net = nn.Sequential(nn.Dropout(0.25), nn.Dropout2d(0.5), nn.AlphaDropout(0.1))
    x = np.ones((200, 8, 3, 3), np.float32)
    model = ac.from_torch(net, torch.ones(2, 8, 3, 3), rng=3)
    assert np.array_equal(model.eval()(x).value, x)
    first, second = model.train()(x).value, model(x).value
    assert not np.array_equal(first, second)
    assert np.array_equal(ac.from_torch(net, torch.ones(2, 8, 3, 3), rng=3).train()(x).value, first)
    plain = ac.from_torch(nn.Dropout(0.25), torch.ones(2, 8, 3, 3), rng=0).train()(x).value
    assert plain.mean() == pytest.approx(1, abs=0.05) and np.unique(plain) == pytest.approx([0, 4 / 3])
    channels = ac.from_torch(nn.Dropout2d(0.5), torch.ones(2, 8, 3, 3), rng=0).train()(x).value
    assert set(np.unique(channels)) == {0, 2} and set(np.unique(channels.sum((2, 3)))) == {0, 18}


@pytest.mark.parametrize("flat", [
    lambda x: x.view(x.size(0), -1), lambda x: x.reshape(len(x), -1), lambda x: torch.cat([y.view(1, -1) for y in [x]]),
], ids=["size", "len", "fixed"])  # fmt: skip
@pytest.mark.parametrize("batch", [1, 3])
def test_the_batch_is_free_where_the_module_allows_it(flat, batch):
    fixed = flat(torch.zeros(2, 3, 4)).shape[0] == 1
    net = Net(lambda self, x: self.fc(flat(x)), fc=nn.Linear(12 * batch if fixed else 12, 3))
    model = ac.from_torch(net, torch.zeros(batch, 3, 4))
    for n in (batch,) if fixed else (1, 2, 5):
        x = torch.randn(n, 3, 4)
        assert model(x.numpy()).value == pytest.approx(net(x).detach().numpy(), abs=1e-6)
    assert model.graph.inputs[0].shape == (batch if fixed else None, 3, 4)
    assert {level.kind for node in model.graph.nodes for level in node.scope} <= {"Net", "Linear"}


def test_the_state_stands_in_the_modules_order():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2, bias=False), nn.Linear(2, 2))
    net[1].weight.requires_grad_(False)
    model = ac.from_torch(net, torch.zeros(2, 3))
    assert list(model.state_dict()) == list(net.state_dict())
    assert net.load_state_dict(ac.to_torch_state_dict(model)) is not None


def test_arrays_are_examples_too():
    assert ac.from_torch(nn.Linear(3, 2), np.zeros((4, 3), np.float32))(np.ones((2, 3), np.float32)).shape == (2, 2)


def test_inputs_and_outputs_in_dicts_and_by_name():
    net = Net(
        lambda self, x, scale, flag=True: {
            "y": self.fc(x["a"]) * scale,
            "both": (x["b"], [x["a"] if flag else x["b"]]),
        },
        fc=nn.Linear(3, 3),
    )
    a, b, s = torch.randn(2, 3), torch.randn(2, 3), torch.randn(2, 1)
    model = ac.from_torch(net, {"a": a, "b": b}, scale=s, flag=False)
    expected = net({"a": a, "b": b}, scale=s, flag=False)
    found = model({"a": a.numpy(), "b": b.numpy()}, scale=s.numpy(), flag=False)
    assert found["y"].value == pytest.approx(expected["y"].detach().numpy(), abs=1e-6)
    assert np.array_equal(found["both"][1][0].value, b.numpy())
    with pytest.raises(ValueError, match="read for the argument False, found True"):
        model({"a": a.numpy(), "b": b.numpy()}, scale=s.numpy(), flag=True)


def test_state_has_the_modules_names():
    net = Net(lambda self, x: self.fc(x) + self.shift + self.table[:3], fc=nn.Linear(3, 3))
    net.fc.bias.requires_grad_(False)
    net.register_buffer("shift", torch.ones(3))
    net.register_buffer("table", torch.arange(9.0), persistent=False)
    model = ac.from_torch(net, torch.zeros(2, 3))
    assert model.state_dict().keys() == net.state_dict().keys()
    assert [name for name, _ in model.named_parameters()] == ["fc.weight"]  # the bias is kept, and not trained
    x = np.ones((2, 3), np.float32)
    assert model(x).value == pytest.approx(net(torch.ones(2, 3)).detach().numpy())


def test_half_precision():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).half()
    y = ac.from_torch(net, torch.zeros(2, 3, dtype=torch.float16))(np.ones((2, 3), np.float16))
    assert y.dtype == np.float16


def test_fit_trains_what_was_read():
    torch.manual_seed(0)
    conv = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*conv, nn.Flatten(), nn.Dropout(0.1), nn.Linear(72, 10))
    model = ac.from_torch(net, torch.zeros(1, 1, 8, 8), rng=0)
    images, labels = ac.data.digits("train")
    digits = np.moveaxis(images, -1, 1), labels
    history = train.fit(
        model, digits, epochs=3, optimizer=optim.Adam(model.parameters(), lr=0.01), rng=0, progress=False
    )
    assert history.accuracy[-1] > 0.9
    net.load_state_dict({k: torch.from_numpy(v) for k, v in model.state_dict().items()})
    expected = net.eval()(torch.from_numpy(digits[0][:50].astype(np.float32))).detach().numpy()
    assert model.eval()(digits[0][:50].astype(np.float32)).value == pytest.approx(expected, abs=1e-4)


# ---- errors


def test_every_operation_that_is_not_covered_is_listed():
    def function(self, x):
        y = torch.special.i0(x)
        return torch.linalg.det(x @ x.mT) + torch.special.i0(y).sum() + torch.logcumsumexp(x, 1).sum()

    with pytest.raises(UnsupportedError) as caught:
        ac.from_torch(Net(function), torch.randn(2, 3, 3))
    said = str(caught.value)
    assert "3 operations that are not covered" in said
    assert said.count("test_from_torch.py, line ") >= 3 and "logcumsumexp" in said and "i0" in said


@pytest.mark.parametrize(("function", "error", "said"), [
    (lambda self, x: x if x.sum() > 0 else -x, ExportError, "data-dependent"),
    (lambda self, x: x.numpy(), ExportError, "torch.export cannot read this module"),
    (lambda self, x: x @ x, ExportError, "torch.export cannot read this module"),
])  # fmt: skip
def test_what_cannot_be_exported(function, error, said, capfd):
    with pytest.raises(error, match=said):
        ac.from_torch(Net(function), torch.randn(2, 3))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("call", "error", "said"), [
    (lambda: ac.from_torch(3, torch.zeros(2)), TypeError, "must be a torch.nn.Module, found int"),
    (lambda: ac.from_torch(nn.Linear(2, 2)), TypeError, "give the example inputs"),
    (lambda: ac.from_torch(nn.Linear(2, 2).bfloat16(), torch.zeros(2, 2)), TypeError, "no dtype for weight"),
    (lambda: ac.from_torch(nn.Linear(2, 2), torch.zeros(2, 2))(np.zeros((2, 3))), ValueError, r"read for \(any, 2\)"),
])  # fmt: skip
def test_what_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_an_error_while_running_names_the_line():
    net = Net(lambda self, x: self.a(x) + torch.ones(4, 3), a=nn.Linear(3, 3))
    model = ac.from_torch(net, torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"input x has shape \(2, 3\), the model was read for \(4, 3\)"):
        model(np.zeros((2, 3), np.float32))


def test_pytorch_is_imported_when_it_is_asked_for(run_python):
    code = "import sys, autoconv as ac; ac.from_torch; print('torch' in sys.modules)"
    assert run_python("-c", code).strip() == "False"
