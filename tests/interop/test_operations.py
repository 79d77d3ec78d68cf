"""Operations that from_torch covers, beside PyTorch: value and gradients, also at another batch than was read."""

import numpy as np
import pytest

import autoconv as ac

torch = pytest.importorskip("torch", reason="PyTorch is not installed; make test-interop has it")
F, nn = torch.nn.functional, torch.nn

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


class Wrapped(nn.Module):
    """A function as a module; ``parts`` are modules that it may use."""

    def __init__(self, function, parts=()):
        super().__init__()
        self.parts, self.function = nn.ModuleList(parts), function

    def forward(self, x):
        return self.function(x, *self.parts)


def leaves(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, list | tuple) else [tree]


def check(net, x, batches=(None, 3)):
    model = ac.from_torch(net, x, rng=0)
    for batch in batches:
        z = (
            x
            if batch is None
            else torch.cat([x, x.flip(0) * 0.7])[:batch]
            if x.is_floating_point()
            else torch.cat([x, x])[:batch]
        )
        z = z.clone().requires_grad_(z.is_floating_point())
        net.zero_grad()
        model.zero_grad()
        expected = leaves(net(z * 1 if z.is_floating_point() else z))
        given = ac.tensor(z.detach().numpy()) if z.is_floating_point() else z.numpy()
        found = leaves(model(given))
        assert len(found) == len(expected)
        total = torch.zeros((), dtype=torch.float64)
        loss = None
        for a, b in zip(found, expected, strict=True):
            if not isinstance(b, torch.Tensor):
                assert a == b
                continue
            value = a.value if isinstance(a, ac.Tensor) else np.asarray(a)
            assert value.shape == tuple(b.shape) and f"torch.{value.dtype}" == str(b.dtype)
            assert value == pytest.approx(b.detach().numpy(), rel=1e-10, abs=1e-12, nan_ok=True)
            if b.requires_grad and b.dtype.is_floating_point:
                weights = np.cos(np.arange(value.size)).reshape(value.shape)
                total = total + (b * torch.from_numpy(weights)).sum()
                term = ac.sum(a * weights)
                loss = term if loss is None else loss + term
        if loss is None or loss.constant:
            continue
        total.backward()
        loss.backward()
        pairs = [(vars(model)[k], p) for k, p in net.named_parameters()] + [(given, z)]
        for ours, theirs in pairs:
            if isinstance(ours, ac.Tensor) and theirs.grad is not None:
                gradient = np.zeros(ours.shape) if ours.grad is None else ours.grad
                largest = max(theirs.grad.abs().max().item(), 1e-3)
                assert gradient == pytest.approx(theirs.grad.numpy(), rel=1e-9, abs=1e-9 * largest)
    return model


X = (2, 4, 5)
IMAGE = (2, 4, 6, 7)
CASES = {
    X: {
        "sums": lambda x: (
            x.sum(),
            x.sum((0, 1)),
            x.mean(1, keepdim=True),
            x.mean(),
            (x > 0).sum(1),
            (x > 0).float().mean(1),
        ),
        "moments": lambda x: (
            x.std(1),
            x.var((1, 2), correction=0),
            x.var(),
            x.std(2, unbiased=False),
            torch.var_mean(x, 1),
            torch.std_mean(x, 2, keepdim=True),
        ),
        "extremes": lambda x: (
            x.amax(1),
            x.amin((1, 2)),
            x.max(),
            x.min(),
            x.max(2)[0],
            x.min(1),
            x.max(1, keepdim=True)[1],
            x.argmax(1),
            x.argmin(2, keepdim=True),
        ),
        "norms": lambda x: (
            x.norm(dim=1),
            x.norm(p=1),
            F.normalize(x, dim=-1),
            torch.linalg.norm(x, dim=(1, 2)),
            torch.linalg.vector_norm(x, 3, 1),
            F.cosine_similarity(x, x + 1, dim=1),
        ),
        "prod": lambda x: (x.prod(1), x.prod()),
        "softmax": lambda x: (x.softmax(1), F.log_softmax(x, -1), F.softmin(x, 1), x.logsumexp((1, 2))),
        "order": lambda x: (x.cumsum(1), x.sort(1), x.sort(2, descending=True)[0], x.topk(2, 2), x.argsort(1)),
        "any": lambda x: ((x > 0).any(1), (x > 0).all(), torch.isfinite(x).all(), torch.isnan(x)),
        "power": lambda x: (
            x**2,
            x**3,
            x.abs() ** 1.5,
            2**x,
            x**-2,
            (x * x).sqrt(),
            (x * x + 1).rsqrt(),
            x.square(),
            1 / (x + 9),
            x**0,
        ),
        "rounding": lambda x: (
            x.floor(),
            x.ceil(),
            x.round(),
            x.trunc(),
            x.detach() // 1,
            x.detach() % 0.7,
            torch.div(x.detach(), 0.3, rounding_mode="trunc"),
        ),
        "functions": lambda x: (
            x.exp(),
            x.expm1(),
            (x * x).log1p(),
            x.abs().add(1).log2(),
            x.erf(),
            x.sin(),
            x.cos(),
            x.tan(),
            x.tanh(),
            x.sigmoid(),
            torch.exp2(x),
        ),
        "hyperbolic": lambda x: (x.sinh(), x.cosh(), x.atan(), (x / 9).asin(), (x / 9).acos()),
        "arithmetic": lambda x: (
            x - 3,
            3 - x,
            -x,
            torch.lerp(x, x * 2, 0.3),
            torch.addcmul(x, x, x, value=0.5),
            torch.sub(x, x * x, alpha=2),
            x * True,
            x + torch.tensor(2),
            torch.rsub(x, 1),
        ),
        "choices": lambda x: (
            torch.where(x > 0, x, 0.1 * x),
            torch.where(x > 0, x, 0),
            x.masked_fill(x < 0, 3.0),
            x.clamp(-0.5, 0.5),
            x.clamp(min=0),
            torch.maximum(x, -x),
            x.clamp(max=torch.zeros(5, dtype=x.dtype)),
            x.nan_to_num(),
        ),
        "comparisons": lambda x: (
            x > 0,
            x.ge(0.5),
            (x > 0) & (x < 1),
            (x > 0) | (x < -1),
            ~(x > 0),
            x.ne(x),
            torch.logical_xor(x > 0, x > 1),
        ),
        "dtypes": lambda x: (
            x.float(),
            x.int() * 0.5,
            torch.arange(5) * x,
            x.to(torch.float16),
            (x > 0).to(x),
            torch.arange(5) / 2,
            torch.arange(5) + 1,
            torch.ones(2) * 2,
            x.type_as(x.float()),
        ),
        "activations": lambda x: (
            F.relu(x),
            F.leaky_relu(x, 0.2),
            F.elu(x, 0.3),
            F.selu(x),
            F.celu(x, 0.5),
            F.gelu(x),
            F.gelu(x, approximate="tanh"),
            F.silu(x),
            F.mish(x),
            F.softplus(x),
            F.softplus(x, 2, 3),
            F.softsign(x),
            F.logsigmoid(x),
        ),
        "hard activations": lambda x: (
            F.hardtanh(x, -0.5, 0.7),
            F.relu6(x * 6),
            F.hardswish(x * 3),
            F.hardsigmoid(x * 3),
            F.hardshrink(x),
            F.softshrink(x),
            F.tanhshrink(x),
            F.threshold(x, 0.1, -0.2),
            F.rrelu(x, training=False),
            F.glu(x[:, :, :4], 2),
        ),
        "views": lambda x: (
            x.view(x.size(0), -1),
            x.reshape(-1),
            x.flatten(1),
            x.permute(2, 0, 1),
            x.transpose(1, 2).contiguous().view(x.size(0), -1),
            x.mT,
            x.movedim(1, 2),
            x.swapaxes(0, 1),
            x.unflatten(1, (2, -1)),
            x.unsqueeze(0).squeeze(0),
            x.squeeze(),
        ),
        "spreading": lambda x: (
            x.expand(3, -1, -1, -1),
            x.repeat(1, 2, 1),
            x.tile(2),
            x.repeat_interleave(2, 1),
            torch.broadcast_to(x[:, :1], x.shape),
            x[:, :1].expand_as(x),
        ),
        "moving": lambda x: (
            x.roll(1, 2),
            x.roll((1, -1), (1, 2)),
            x.flip(1),
            torch.rot90(x, 1, [1, 2]),
            torch.rot90(x, 3, [1, 2]),
        ),
        "cutting": lambda x: (
            x.split(3, 1),
            x.split([1, 2, 1], 1),
            x.chunk(3, 2),
            x.unbind(1),
            torch.tensor_split(x, 3, 1),
            x.narrow(1, 1, 2),
            x[:, 1],
            x[:, -1],
            x[:, 1:, ::2],
            x[..., None, -1],
            x[:, :-1],
        ),
        "joining": lambda x: (
            torch.cat([x, x * 2], 1),
            torch.stack([x, x], 1),
            torch.stack([x, x], -1),
            torch.cat([x, x.new_ones(x.shape[0], 1, 5)], 1),
            torch.hstack([x, x]),
        ),
        "indexing": lambda x: (
            x[:, [0, 2]],
            x[:, torch.tensor([[0, 1], [2, -1]])],
            x[:, torch.tensor([0, 1]), torch.tensor([2, 3])],
            x[torch.arange(x.shape[0]), x[:, :, 0].argmax(1)],
            x.index_select(1, torch.tensor([0, 2])),
            x.gather(2, torch.zeros_like(x[:, :, :2], dtype=torch.long)),
        ),
        "triangles": lambda x: (x.tril(), x.triu(1), x.diagonal(0, 1, 2), x.diagonal(-1, 1, 2)),
        "making": lambda x: (
            torch.zeros(x.size(0), 2),
            torch.full_like(x, 2),
            torch.eye(3),
            torch.linspace(0, 1, 5),
            torch.linspace(-1, 0.3, 12),
            torch.linspace(2, 5, 1),
            torch.arange(1, 7, 2),
            torch.arange(0, 1, 0.25),
            x.new_zeros(2, 3),
            torch.ones_like(x),
            F.one_hot(torch.arange(3), 4),
            torch.full((2,), 3),
            torch.meshgrid(x[0, 0], x[0, 1], indexing="ij"),
        ),
        "products": lambda x: (
            torch.einsum("bij,bkj->bik", x, x),
            x @ x.mT,
            x.matmul(x[0].T),
            torch.bmm(x, x.mT),
            torch.outer(x[0, 0], x[0, 1]),
            x[0, 0] @ x[0, 1],
            torch.mv(x[0], x[0, 0]),
            torch.addmm(x[0], x[0], torch.ones(5, 5, dtype=x.dtype), beta=0.5, alpha=2),
            torch.baddbmm(x @ x.mT, x, x.mT),
        ),
        "unfold": lambda x: (x.unfold(2, 3, 1), x.unfold(1, 2, 2)),
        "attention": lambda x: (
            F.scaled_dot_product_attention(x, x, x),
            F.scaled_dot_product_attention(x, x, x, is_causal=True),
            F.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(4, 4).tril().bool()),
            F.scaled_dot_product_attention(x, x, x, attn_mask=torch.linspace(-1, 1, 4, dtype=x.dtype), scale=0.3),
            torch.cdist(x[0], x[1] + 3),
            torch.cdist(x, x[:1] * 2 + 1, p=1.0),
        ),
        "norm layers": lambda x: (
            F.layer_norm(x, (5,)),
            F.layer_norm(x, (4, 5)),
            F.group_norm(x, 2),
            F.instance_norm(x),
            F.rms_norm(x, (5,)),
            F.batch_norm(x, None, None, training=True),
        ),
        "losses": lambda x: (
            F.mse_loss(x, x * 0.5),
            F.l1_loss(x, x * 0),
            F.smooth_l1_loss(x, x * 0, beta=0.5),
            F.huber_loss(x, x * 0, delta=0.5, reduction="none"),
            F.binary_cross_entropy_with_logits(x, torch.sigmoid(x).detach()),
            F.binary_cross_entropy(x.sigmoid(), (x > 0).to(x)),
            F.kl_div(F.log_softmax(x, 1), F.softmax(x * 2, 1), reduction="batchmean"),
        ),
        "cross entropy": lambda x: (
            F.cross_entropy(x[:, :, 0], torch.arange(x.shape[0]) % 4),
            F.cross_entropy(x, torch.ones(x.shape[0], 5, dtype=torch.long), label_smoothing=0.1, reduction="sum"),
            F.cross_entropy(x[:, :, 0], torch.arange(x.shape[0]) % 4, ignore_index=1, weight=torch.arange(1, 5).to(x)),
            F.cross_entropy(x, x.softmax(1).detach()),
            F.nll_loss(x.log_softmax(1), torch.ones(x.shape[0], 5, dtype=torch.long)),
        ),
        "writing": lambda x: _written(x),
        "writing through a view": lambda x: _through(x),
        "without gradients": lambda x: (x * x.detach(), x + _still(x)),
        "a fixed number": lambda x: (x, x * 2, None, 3),
    },
    IMAGE: {
        "conv": lambda x: (
            F.conv2d(x, _k(6, 4, 3, 3, like=x), stride=2, padding=1),
            F.conv2d(x, _k(6, 2, 3, 2, like=x), groups=2, dilation=(1, 2)),
            F.conv2d(x, _k(4, 1, 3, 3, like=x), padding="same", groups=4),
            F.conv1d(x[:, :, 0], _k(3, 4, 2, like=x)),
            F.conv3d(x[:, None], _k(2, 1, 2, 2, 2, like=x)),
        ),
        "conv transpose": lambda x: (
            F.conv_transpose2d(x, _k(4, 2, 3, 3, like=x), stride=2, padding=1, output_padding=1),
            F.conv_transpose2d(x, _k(4, 1, 2, 3, like=x), groups=2, dilation=2),
            F.conv_transpose1d(x[:, :, 0], _k(4, 2, 3, like=x), stride=2),
            F.conv_transpose3d(x[:, None], _k(1, 2, 2, 2, 2, like=x)),
        ),
        "max pool": lambda x: (
            F.max_pool2d(x, 2),
            F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
            F.max_pool2d(x, 2, 1, dilation=2),
            F.max_pool1d(x[:, 0], 2),
            F.max_pool3d(x, (2, 2, 3)),
        ),
        "winners": lambda x: (
            F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True),
            F.max_pool2d(x.sign(), (2, 3), 1, dilation=(2, 1), return_indices=True),
            F.max_pool2d(x.masked_fill(x > 0.5, torch.inf), 3, 2, 1, return_indices=True)[1],
            F.max_pool1d(x[:, 0], 3, 2, return_indices=True),
            F.max_pool3d(x, 2, return_indices=True),
            F.adaptive_max_pool2d(x, (4, 3), return_indices=True),
            F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=x.shape[2:]),
            F.max_unpool1d(*F.max_pool1d(x[:, 0], 2, 3, return_indices=True), 2, 3),
            F.max_unpool3d(*F.max_pool3d(x[:, :, None, :6, :6], (1, 2, 2), return_indices=True), (1, 2, 2)),
        ),
        "avg pool": lambda x: (
            F.avg_pool2d(x, 3, 2, 1),
            F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
            F.avg_pool2d(x, 3, 2, 1, True, False),
            F.avg_pool2d(x, (2, 3), divisor_override=5),
            F.avg_pool1d(x[:, 0], 2),
            F.avg_pool3d(x, 2),
            F.lp_pool2d(x.abs() + 0.1, 2, 3),
        ),
        "adaptive pool": lambda x: (
            F.adaptive_avg_pool2d(x, 1),
            F.adaptive_avg_pool2d(x, (4, 3)),
            F.adaptive_avg_pool2d(x, (None, 8)),
            F.adaptive_max_pool2d(x, (4, 3)),
            F.adaptive_avg_pool1d(x[:, 0], 3),
            F.adaptive_avg_pool3d(x, (2, 3, 2)),
        ),
        "resize": lambda x: (
            F.interpolate(x, scale_factor=2),
            F.interpolate(x, (5, 9), mode="nearest-exact"),
            F.interpolate(x, scale_factor=(1.5, 2.3), mode="bilinear", align_corners=False),
            F.interpolate(x, size=(7, 3), mode="bilinear", align_corners=True),
            F.interpolate(x, scale_factor=0.5, mode="bicubic"),
            F.interpolate(x[:, :, 0], 13, mode="linear"),
            F.interpolate(x, x.shape[2:], mode="bilinear"),
            F.interpolate(x, scale_factor=0.7, mode="bilinear", recompute_scale_factor=True),
        ),
        "pad": lambda x: (
            F.pad(x, (1, 2, 0, 3)),
            F.pad(x, (-1, 2)),
            F.pad(x, (1, 1, 2, 2), value=1.5),
            F.pad(x, (1, 2, 2, 1), mode="reflect"),
            F.pad(x, (1, 2), mode="replicate") if x.ndim == 3 else F.pad(x, (1, 2, 0, 1), mode="replicate"),
            F.pad(x, (2, 1, 1, 2), mode="circular"),
        ),
        "shuffle": lambda x: (
            F.pixel_shuffle(x, 2),
            F.pixel_unshuffle(x[..., :6], 2),
            F.channel_shuffle(x, 2),
            x.view(x.size(0), 2, 2, 6, 7).transpose(1, 2).reshape(x.shape),
            F.unfold(x, (2, 3), padding=1, stride=2),
        ),
        "local response": lambda x: (F.local_response_norm(x, 3, alpha=0.1), F.local_response_norm(x, 2)),
        "means": lambda x: (x.mean([2, 3]), x.mean((2, 3), keepdim=True), x.flatten(2).mean(-1), x.sum(dim=(-2, -1))),
    },
}


def _k(*shape, like):
    return torch.linspace(-1, 1, int(np.prod(shape)), dtype=like.dtype).reshape(shape)


def _still(x):
    with torch.no_grad():
        return (x * x).sum(1, keepdim=True)


def _written(x):
    y = x * 2
    y[:, 0] = 5.0
    y[:, 1] += x[:, 1]
    y[:, 2:] *= 2
    z = torch.zeros_like(y)
    z[:, 1:3] = y[:, 1:3]
    z.clamp_(min=-0.3)
    w = x.clone()
    w[x > 0.5] = 0
    return y.add_(1), z, w


def _through(x):
    w = x.clone()
    w.view(-1)[:3].zero_()
    y = x + 1
    y[:, 0].mul_(3)
    y.transpose(1, 2)[:, 1].add_(x[:, :, 2])
    return w, y.relu()


@pytest.mark.parametrize(("shape", "name"), [(shape, name) for shape, cases in CASES.items() for name in cases])
def test_operations_are_pytorchs(shape, name):
    torch.manual_seed(1)
    check(Wrapped(CASES[shape][name]), torch.randn(shape, dtype=torch.float64))


MODULES = {
    "lstm": (lambda: nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True), X),
    "lstm, projected, without biases": (lambda: nn.LSTM(5, 4, proj_size=3, bias=False), X),
    "gru": (lambda: nn.GRU(5, 4, 2, batch_first=True), X),
    "rnn": (lambda: nn.RNN(5, 4, nonlinearity="relu", batch_first=True, bidirectional=True), X),
    "lstm cell": (lambda: Wrapped(lambda x, cell: cell(x[:, 0], cell(x[:, 1])), [nn.LSTMCell(5, 4)]), X),
    "gru cell": (lambda: Wrapped(lambda x, cell: cell(x[:, 0], cell(x[:, 1])), [nn.GRUCell(5, 4)]), X),
    "multi-head attention": (
        lambda: Wrapped(lambda x, a: a(x, x, x), [nn.MultiheadAttention(5, 1, batch_first=True)]),
        X,
    ),
    "attention with a mask": (
        lambda: Wrapped(
            lambda x, a: a(x, x, x, attn_mask=torch.ones(4, 4, dtype=torch.bool).triu(1), need_weights=False)[0],
            [nn.MultiheadAttention(5, 5, batch_first=True)],
        ),
        X,
    ),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(5, 1, 8, 0.0, batch_first=True, activation="gelu", norm_first=True),
        X,
    ),
    "encoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(5, 1, 8, 0.0, batch_first=True), 2), X),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 3, 2)), X),
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Conv1d(4, 3, 2)), X),
    "batch norm": (lambda: nn.BatchNorm1d(4), X),
    "batch norm over all batches": (lambda: nn.BatchNorm1d(4, momentum=None), X),
    "batch norm without statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False, affine=False), X),
    "instance norm with statistics": (lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), X),
    "batch norm and writing": (
        lambda: Wrapped(lambda x, norm: _written(norm(x)), [nn.BatchNorm1d(4, momentum=None)]),
        X,
    ),
    "a module called twice": (
        lambda: Wrapped(lambda x, f, n: f(n(f(n(x)))) + f(x), [nn.Linear(5, 5), nn.BatchNorm1d(4)]),
        X,
    ),
    "prelu": (lambda: nn.Sequential(nn.PReLU(4), nn.PReLU()), X),
    "bilinear": (lambda: Wrapped(lambda x, f: f(x, x * x), [nn.Bilinear(5, 5, 3)]), X),
    "padding modes": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular"),
            nn.ReplicationPad2d((1, 0, 2, 1)),
            nn.ZeroPad2d(1),
        ),
        IMAGE,
    ),
    "upsample": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Upsample((9, 5), mode="bilinear")), IMAGE),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_modules_are_pytorchs(name, training):
    torch.manual_seed(1)
    make, shape = MODULES[name]
    net = make().double().train(training)
    model = check(net, torch.randn(shape, dtype=torch.float64), [None] if "lstm, projected" in name else [None, 3])
    for key, value in net.state_dict().items():
        assert model.state_dict()[key] == pytest.approx(value.numpy(), rel=1e-10, abs=1e-12), key


def test_embedding_with_padding():
    net = nn.Sequential(nn.Embedding(7, 4, padding_idx=0), nn.Linear(4, 2)).double()
    check(net, torch.tensor([[0, 1, 2], [3, 0, 6]]))
