"""Programs as PyTorch's and micrograd's introductions teach them, in words of our own, with the imports changed.

The data are made here.  What differs from PyTorch is said where it stands; the README has the table.
"""

import random

import numpy as np
import pytest

import autoconv as ac
import autoconv.nn.functional as F
from autoconv import nn, optim
from autoconv.optim.lr_scheduler import StepLR
from autoconv.scalar import floors

torch = ac  # the imports that were changed


def digits(number, seed=0):
    """Images of 28 x 28 with a bar at one of ten heights, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, number)
    images = 0.1 * rng.random((number, 1, 28, 28), np.float32)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label + 3 : 2 * label + 6, 4:24] += 1
    return images, labels


class Net(nn.Module):
    """Two convolutions and two linear layers, as the MNIST example has them; images are (N, C, H, W)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1, layout="channels_first")
        self.conv2 = nn.Conv2d(8, 16, 3, 1, layout="channels_first")
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(2304, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2, layout="channels_first")
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


@pytest.mark.dear
def test_mnist(tmp_path):
    torch.manual_seed(1)
    try:
        device = "cpu"
        images, labels = digits(192)
        batches = [(images[i : i + 32], labels[i : i + 32]) for i in range(0, 192, 32)]
        model = Net().to(device)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
        for _ in range(3):
            model.train()
            for data, target in batches:
                data, target = torch.tensor(data).to(device), torch.tensor(target).to(device)
                optimizer.zero_grad()
                output = model(data)
                loss = F.nll_loss(output, target)
                loss.backward()
                optimizer.step()
            scheduler.step()
        model.eval()
        test_loss, correct, (images, labels) = 0.0, 0, digits(64, seed=1)
        with torch.no_grad():
            output = model(torch.tensor(images).to(device))
            target = torch.tensor(labels)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
        assert correct > 50 and test_loss / 64 < 1
        np.testing.assert_allclose(optimizer.param_groups[0]["lr"], 0.01 * 0.7**3)
        torch.save(model.state_dict(), tmp_path / "mnist_cnn.pt")
        again = Net()
        again.load_state_dict(torch.load(tmp_path / "mnist_cnn.pt", weights_only=True))
        np.testing.assert_array_equal(again.eval()(images).value, model(images).value)
    finally:
        ac.operands._seeded = None


# ---- the 60-minute introduction


def test_tensors():
    data = [[1, 2], [3, 4]]
    x_data = torch.tensor(data)
    x_np = torch.from_numpy(np.array(data))
    assert (x_np == x_data).all()
    x_ones = torch.ones_like(x_data)
    x_rand = torch.rand_like(x_data, dtype=torch.float32)
    assert x_ones.tolist() == [[1, 1], [1, 1]] and x_rand.dtype == torch.float32
    shape = (2, 3)
    for made in (torch.rand(shape), torch.ones(shape), torch.zeros(shape)):
        assert made.shape == shape and made.device == "cpu"
    tensor = torch.ones(4, 4)
    t1 = torch.cat([tensor, tensor, tensor], dim=1)
    assert t1.shape == (4, 12)
    assert (tensor.mul(tensor) == tensor * tensor).all()
    assert (tensor.matmul(tensor.T) == tensor @ tensor.T).all()
    tensor.add_(5)
    assert tensor[0, 0].item() == 6 and tensor.numpy()[3, 3] == 6


def test_autograd():
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)
    q = 3 * a**3 - b**2
    q.backward(gradient=torch.tensor([1.0, 1.0]))
    assert (9 * a**2 == a.grad).all() and (-2 * b == b.grad).all()
    x, y, z = torch.rand(5, 5, requires_grad=False), torch.rand(5, 5, requires_grad=False), torch.rand((5, 5))
    assert not (x + y).requires_grad and (x + z).requires_grad
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    for param in model.parameters():
        param.requires_grad = False
    head = nn.Linear(3, 5)
    tuned = nn.Sequential(model[0], model[1], head)
    optimizer = optim.SGD([p for p in tuned.parameters() if p.requires_grad], lr=1e-2, momentum=0.9)
    before = model[0].weight.numpy()
    tuned(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    assert (model[0].weight.value == before).all() and head.bias.grad.tolist() == [2.0] * 5


class LeNet(nn.Module):
    def __init__(self, planes=1):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, 6, 5, layout="channels_first")
        self.conv2 = nn.Conv2d(6, 16, 5, layout="channels_first")
        self.pool = nn.MaxPool2d(2, 2, layout="channels_first")
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)

    def num_flat_features(self, x):
        features = 1
        for size in x.size()[1:]:
            features *= size
        return features


def test_neural_networks():
    net = LeNet()
    params = list(net.parameters())
    assert len(params) == 10 and params[0].size() == (6, 1, 5, 5)
    input = torch.randn(1, 1, 32, 32)  # noqa: A001 (the introduction's name)
    out = net(input)
    net.zero_grad()
    out.backward(torch.randn(1, 10))
    net.zero_grad()
    target = torch.randn(10).view(1, -1)
    criterion = nn.MSELoss()
    loss = criterion(net(input), target)
    assert loss.grad_fn.next_functions[0][0].next_functions[0][0] is not None
    assert net.conv1.bias.grad is None
    loss.backward()
    assert np.abs(net.conv1.bias.grad).sum() > 0
    learning_rate, before = 1e-4, float(loss)  # He's initial weights make larger steps than PyTorch's
    for f in net.parameters():
        f.data.sub_(f.grad * learning_rate)  # f.grad is an array here, not a Tensor with a .data
    assert float(criterion(net(input), target)) < before
    optimizer = optim.SGD(net.parameters(), lr=1e-4)
    optimizer.zero_grad()
    loss = criterion(net(input), target)
    loss.backward()
    optimizer.step()
    assert float(criterion(net(input), target)) < float(loss)


@pytest.mark.dear
def test_training_a_classifier(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    images = (rng.normal(size=(120, 3, 32, 32)) * 0.2).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[label, 8:24, 8:24] += 1
    trainloader = [(images[i : i + 8], labels[i : i + 8]) for i in range(0, 120, 8)]
    torch.manual_seed(0)
    try:
        net = LeNet(planes=3)
    finally:
        ac.operands._seeded = None
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(2):
        running_loss = 0.0
        for inputs, wanted in trainloader:
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = criterion(outputs, wanted)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
    torch.save(net.state_dict(), tmp_path / "cifar_net.pth")
    net = LeNet(planes=3)
    net.load_state_dict(torch.load(tmp_path / "cifar_net.pth"))
    correct = total = 0
    with torch.no_grad():
        for inputs, wanted in trainloader:
            outputs = net(inputs)
            # torch.max(outputs, 1) is NumPy's here, the values; with dim= it is PyTorch's pair
            _, predicted = torch.max(outputs.data, dim=1)
            total += len(wanted)
            correct += (predicted == wanted).sum().item()
    assert total == 120 and correct > 110


def test_polynomial_by_hand_and_by_autograd():
    """A cubic fitted to a sine, its gradients by hand and by the tape: the weights move alike."""
    x = torch.linspace(-np.pi, np.pi, 200)
    y = torch.sin(x)
    hand = [0.1, -0.2, 0.3, 0.05]
    a, b, c, d = [torch.tensor(k, requires_grad=True) for k in hand]
    for _ in range(20):
        y_pred = a + b * x + c * x**2 + d * x**3
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        error = 2 * (sum(w * x.value**k for k, w in enumerate(hand)) - y.value)
        hand = [w - 1e-6 * (error * x.value**k).sum() for k, w in enumerate(hand)]
        for p in (a, b, c, d):
            p.data.sub_(1e-6 * p.grad)
            p.grad = None
    np.testing.assert_allclose([p.item() for p in (a, b, c, d)], hand, rtol=1e-12)


# ---- micrograd


@pytest.fixture(params=range(len(floors.KINDS)), ids=lambda k: floors.KINDS[k].__module__)
def value(request):
    return floors.KINDS[request.param]


def draw_dot(root):
    """The graph as lines of dot: every node once, with label, value, gradient and operation, as micrograd writes it."""
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    lines = []
    for n in nodes:
        lines.append(f"{id(n)} [label={{ {n.label} | data {n.data:.4f} | grad {float(n.grad):.4f} }}]")
        if n._op:
            lines.append(f"{id(n)}{n._op} [label={n._op}]")
            lines.append(f"{id(n)}{n._op} -> {id(n)}")
    for n1, n2 in edges:
        lines.append(f"{id(n1)} -> {id(n2)}{n2._op}")
    return nodes, edges, lines


def test_draw_dot_of_scalars(value):
    a, b, c = value(2.0), value(-3.0), value(10.0)
    a.label, b.label, c.label = "a", "b", "c"
    e = a * b
    e.label = "e"
    d = e + c
    f = value(-2.0)
    L = d * f + e  # e is read twice
    L.label = "L"
    L.backward()
    nodes, edges, lines = draw_dot(L)
    assert len(nodes) == 8 and len(edges) == 8
    by_label = {n.label: n for n in nodes if n.label}
    assert by_label.keys() == {"a", "b", "c", "e", "L"}
    assert by_label["a"] is a and by_label["L"] is L
    assert (by_label["e"].data, by_label["e"].grad, by_label["e"]._op) == (-6.0, -1.0, "*")
    assert e.grad == by_label["e"].grad
    assert L._op == "+" and a._op == "" and a._prev == set()
    assert sum(n.data == 4.0 and n._op == "+" for n in nodes) == 1
    assert len(lines) == 8 + 2 * 4 + 8
    assert sorted(round(n.data, 9) for n in (a * 2 + 1)._prev) == [1.0, 4.0]


def test_draw_dot_of_a_tensor():
    x, w = ac.tensor(2.0, name="x"), ac.tensor(3.0, name="w")
    w.label = "weight"
    y = (x * w + 1).tanh()
    y.backward()
    nodes, edges, _ = draw_dot(y)
    assert {n._op for n in nodes} == {"", "mul", "add", "tanh"} and len(edges) == 4
    assert {n.label for n in nodes} == {"x", "weight", ""}


def test_micrograds_expressions(value):
    """Expressions with every operator, and their gradients, against the tape of Tensors."""

    def first(x, relu):
        z = 2 * x + 2 + x
        q = relu(z) + z * x
        h = relu(z * z)
        return h + q + q * x

    def second(a, b, relu):
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + relu(b + a)
        d += 3 * d + relu(b - a)
        e = c - d
        f = e**2
        g = f / 2.0
        g += 10.0 / f
        return g

    for f, numbers in ((first, [-4.0]), (second, [-4.0, 2.0])):
        scalars, tensors = [value(x) for x in numbers], [ac.tensor(x) for x in numbers]
        y, z = f(*scalars, lambda v: v.relu()), f(*tensors, ac.relu)
        y.backward()
        z.backward()
        assert abs(y.data - float(z)) < 1e-9
        for s, t in zip(scalars, tensors, strict=True):
            assert abs(s.grad - float(t.grad)) < 1e-6


class Neuron(nn.Module):
    """micrograd's neuron over Scalars, in our words."""

    def __init__(self, value, inputs, nonlinear=True):
        self.w = [value(random.uniform(-1, 1)) for _ in range(inputs)]
        self.b, self.nonlinear = value(0.0), nonlinear

    def __call__(self, x):
        act = sum((w * x for w, x in zip(self.w, x, strict=True)), self.b)
        return act.relu() if self.nonlinear else act

    def parameters(self):
        return [*self.w, self.b]

    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0


def test_micrograds_demo(value):
    """Two moons, a net of Scalars, a hinge loss with decay, descent with a falling rate: it learns them."""
    random.seed(1337)
    rng = np.random.default_rng(1337)
    angle, upper = rng.uniform(0, np.pi, 40), np.arange(40) % 2 == 0
    x = np.where(upper, np.cos(angle), 1 - np.cos(angle)), np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    points, signs = np.stack(x, 1), np.where(upper, 1, -1)
    hidden, out = [Neuron(value, 2) for _ in range(12)], Neuron(value, 12, nonlinear=False)

    def loss():
        scores = [out([n(list(map(value, row))) for n in hidden]) for row in points]
        losses = [(1 + -int(y) * s).relu() for y, s in zip(signs, scores, strict=True)]
        decay = 1e-4 * sum(p * p for n in (*hidden, out) for p in n.parameters())
        right = [(y > 0) == (s.data > 0) for y, s in zip(signs, scores, strict=True)]
        return sum(losses) * (1.0 / len(losses)) + decay, sum(right) / len(right)

    for k in range(40):
        total, accuracy = loss()
        for n in (*hidden, out):
            n.zero_grad()
        total.backward()
        rate = 1.0 - 0.9 * k / 100
        for p in [p for n in (*hidden, out) for p in n.parameters()]:
            p.data -= rate * p.grad
    assert accuracy >= 0.9 and total.data < 0.4
