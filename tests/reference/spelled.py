"""Code as people write it for PyTorch and NumPy, one expression a line: it is evaluated with either library.

``make_spelled_reference.py`` stores what PyTorch makes of ``TORCH``, value and gradients; ``tests/test_names.py``
evaluates the same text with autoconv under the same names (``torch`` is ``ac``, ``F`` is ``nn.functional``).  ``NUMPY``
is evaluated on Tensors and on arrays.  Operands are float64, and of no special value: no ties, no kinks.
"""

import numpy as np


def operands():
    rng = np.random.default_rng(3)
    return {
        "x": rng.normal(size=(2, 3)), "y": rng.normal(size=(2, 3)), "p": rng.uniform(0.2, 0.9, (2, 3)),
        "q": rng.uniform(1.2, 2.9, (2, 3)), "v": rng.normal(size=3), "w": rng.normal(size=3),
        "m": rng.normal(size=(3, 3)) + 3 * np.eye(3), "n": rng.normal(size=(4, 4)) + 2 * np.eye(4),
        "b": rng.normal(size=(2, 3, 4)), "c": rng.normal(size=(2, 4, 5)), "o": rng.normal(size=(1, 3, 1)),
    }  # fmt: skip


def lines(text):
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def each(names, *forms):
    return [form.format(name) for name in names.split() for form in forms]


BOTH = "torch.{}(p)", "p.{}()"
TWO = "torch.{}(p, q)", "p.{}(q)"

TORCH = [
    *each("""abs absolute acos arccos asin arcsin atan arctan asinh atanh ceil cos cosh deg2rad erf erfc exp exp2 expm1
          floor frac isfinite isinf isnan log log10 log1p log2 logical_not neg negative rad2deg reciprocal relu round
          rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc""", *BOTH),
    *each("arcsinh arctanh sgn fix", "torch.{}(p)"), *each("acosh", "torch.{}(q)", "q.{}()"),
    *each("arccosh", "torch.{}(q)"), *each("clone detach contiguous cpu double", "p.{}()"),
    *each("""add atan2 div divide eq floor_divide fmax fmin fmod ge gt greater greater_equal hypot le less less_equal
          logaddexp logical_and logical_or logical_xor lt maximum minimum mul multiply ne not_equal pow remainder sub
          subtract true_divide xlogy""", *TWO),
    *each("amax amin max min sum mean prod logsumexp", "torch.{}(x, dim=1)", "x.{}(dim=0, keepdim=True)"),
    *each("max min sum mean prod median", "torch.{}(v)"), *each("max min sum mean prod", "v.{}()"),
    *each("all any", "torch.{}(x > 0, dim=1)", "(x > 0).{}(dim=1)"),
    *each("argmax argmin", "torch.{}(x, dim=1, keepdim=True)", "x.{}(dim=1)", "x.{}()"),
    *each("std var", "torch.{}(x, dim=1)", "x.{}(dim=1, keepdim=True)", "torch.{}(x, dim=1, unbiased=False)",
          "torch.{}(x, dim=0, correction=0)", "torch.{}(x, 1, correction=1)"),
    *each("cumsum cumprod", "torch.{}(x, dim=1)", "x.{}(dim=0)"),
    *each("softmax log_softmax", "torch.{}(x, dim=1)", "x.{}(dim=0)", "F.{}(x, dim=-1)", "x.{}(1)"),
    *each("tril triu", "torch.{}(m)", "m.{}(diagonal=1)", "torch.{}(m, -1)"),
    *each("diag", "torch.{}(m)", "torch.{}(v)", "v.{}(1)", "m.{}(diagonal=-1)"),
    *lines("""
    torch.amax(x)
    torch.argsort(x, dim=1)
    x.argsort(dim=0, descending=True)
    torch.atleast_1d(v)
    torch.atleast_2d(v)
    torch.atleast_3d(v)
    torch.bmm(b, c)
    b.bmm(c)
    torch.broadcast_to(v, (2, 3))
    torch.cat([x, y], dim=1)
    torch.cat((x, y))
    torch.concat([x, y], 1)
    torch.concatenate([x, y], dim=0)
    torch.chunk(b, 2, dim=2)
    b.chunk(3, dim=1)
    torch.clamp(x, min=-0.5, max=0.5)
    torch.clamp(x, -0.5, 0.5)
    torch.clip(x, min=0.1)
    x.clamp(min=0.25)
    x.clamp(0, 1)
    x.clip(min=-1, max=0.3)
    torch.column_stack([v, w])
    torch.count_nonzero(x, dim=1)
    torch.cross(torch.stack([v, w]), m[:2], dim=1)
    v.cross(w, dim=0)
    torch.det(m)
    n.det()
    torch.linalg.det(n)
    torch.diff(x, dim=1)
    x.diff(n=2)
    torch.dot(v, w)
    v.dot(w)
    torch.dstack([x, y])
    torch.einsum('ij,ij->i', x, y)
    torch.flatten(b, start_dim=1)
    torch.flatten(b, 0, 1)
    b.flatten(1)
    b.flatten(start_dim=0, end_dim=1)
    torch.flip(b, dims=(0, 2))
    b.flip(0, 1)
    b.flip([2])
    torch.fliplr(x)
    torch.flipud(x)
    torch.gather(x, 1, torch.tensor([[0, 2], [1, 1]]))
    x.gather(1, torch.tensor([[0, 2], [1, 1]]))
    torch.hsplit(b, 3)
    torch.hstack([x, y])
    x.index_select(1, torch.tensor([2, 0]))
    torch.inner(v, w)
    v.inner(w)
    torch.inverse(m)
    m.inverse()
    torch.linalg.inv(n)
    torch.kron(x, y)
    torch.lerp(x, y, 0.3)
    x.lerp(y, 0.25)
    torch.logsumexp(x, 1)
    torch.masked_fill(x, x > 0, 2.5)
    x.masked_fill(x > 0, 0.0)
    torch.matmul(b, c)
    b.matmul(c)
    b @ c
    torch.matrix_power(m, 3)
    m.matrix_power(2)
    torch.mm(x, m)
    x.mm(m)
    torch.moveaxis(b, 0, 2)
    torch.movedim(b, 0, -1)
    b.moveaxis(1, 0)
    b.movedim(2, 0)
    torch.max(x, dim=1)
    x.max(dim=1)
    x.min(dim=0, keepdim=True)
    torch.median(x, dim=1)
    torch.sort(x, dim=1)
    torch.sort(x, dim=1, descending=True)
    x.sort(dim=0)
    torch.nan_to_num(x, nan=0.5)
    x.nan_to_num()
    torch.narrow(b, 1, 1, 2)
    b.narrow(dim=2, start=0, length=2)
    torch.norm(x)
    x.norm()
    x.norm(dim=1)
    torch.norm(x, p=1, dim=0)
    torch.linalg.norm(v)
    torch.linalg.norm(m)
    torch.linalg.vector_norm(v, 3)
    torch.linalg.matrix_norm(m)
    torch.linalg.matrix_norm(m, 1)
    torch.linalg.solve(m, v)
    torch.linalg.solve(n, b[0].T)
    torch.linalg.multi_dot([x, m, m])
    torch.linalg.cross(v, w)
    torch.linalg.matmul(x, m)
    torch.linalg.matrix_power(m, 2)
    torch.linalg.diagonal(m)
    torch.linalg.inv(m)
    torch.outer(v, w)
    v.outer(w)
    torch.permute(b, (2, 0, 1))
    b.permute(2, 0, 1)
    b.permute((1, 0, 2))
    x.pow(2)
    p.pow(exponent=3)
    p ** 2.5
    torch.prod(x, dim=1)
    torch.ravel(x)
    x.ravel()
    torch.repeat_interleave(x, 2, dim=1)
    x.repeat_interleave(2)
    torch.reshape(b, (6, 4))
    b.reshape(2, -1)
    b.view(2, -1)
    b.view(b.size(0), -1)
    b.view(-1, b.size(2))
    b.view_as(b)
    o.expand(2, 3, 4)
    o.expand(-1, -1, 5)
    o.expand_as(b)
    torch.broadcast_to(x, (4, 2, 3))
    torch.roll(x, 1)
    torch.roll(x, shifts=1, dims=0)
    x.roll(2, 1)
    x.roll((1, 1), (0, 1))
    torch.rot90(x)
    torch.row_stack([x, y])
    torch.rsqrt(p)
    x.scatter(1, torch.tensor([[0], [1]]), 7.0)
    x.scatter(1, torch.tensor([[0], [1]]), y[:, :1])
    x.scatter_add(1, torch.tensor([[0, 0], [1, 1]]), y[:, :2])
    torch.select(b, 1, 2)
    b.select(0, 1)
    torch.split(b, split_size_or_sections=2, dim=2)
    b.split(2, dim=1)
    b.split([1, 3], dim=2)
    b.split(1)
    torch.squeeze(o)
    torch.squeeze(o, dim=0)
    o.squeeze()
    o.squeeze(-1)
    torch.stack([x, y], dim=1)
    torch.stack((x, y))
    torch.swapaxes(b, 0, 1)
    torch.swapdims(b, 0, 1)
    b.swapaxes(0, 2)
    b.swapdims(1, 2)
    torch.take_along_dim(x, torch.tensor([[0], [1]]), dim=1)
    torch.tensordot(b, c, dims=([2], [1]))
    torch.chunk(x, 2)
    torch.tile(x, (2, 1))
    torch.tile(x, dims=(2,))
    x.tile(2, 2)
    x.tile((1, 2))
    torch.topk(x, 2, dim=1)
    x.topk(k=1, dim=1, largest=False)
    torch.trace(m)
    m.trace()
    torch.transpose(b, 0, 2)
    torch.transpose(b, dim0=1, dim1=2)
    b.transpose(dim0=0, dim1=1)
    m.t()
    x.t()
    x.t()
    x.T
    b.mT
    torch.unbind(x, dim=1)
    x.unbind()
    torch.unflatten(b, 2, (2, 2))
    b.unflatten(2, (2, -1))
    torch.unsqueeze(x, 1)
    torch.unsqueeze(x, dim=-1)
    x.unsqueeze(0)
    torch.vdot(v, w)
    v.vdot(w)
    torch.vsplit(x, 2)
    torch.vstack([x, v])
    torch.where(x > 0, x, y)
    x.where(x > 0, y)
    torch.zeros_like(x)
    torch.ones_like(x)
    torch.full_like(x, 2.0)
    x + torch.empty_like(x) * 0
    x * torch.zeros(2, 3)
    x * torch.ones((2, 3))
    x * torch.full((2, 3), 2.0)
    m + torch.eye(3)
    v * torch.arange(3)
    v * torch.linspace(0.0, 1.0, steps=3)
    torch.from_numpy(np.ones(3)) * v
    torch.as_tensor([1.0, 2.0, 3.0]) * v
    torch.asarray([1.0, 2.0, 3.0]) * v
    x * 1
    x.sum(1)
    x.mean(0)
    x.sum((0, 1))
    x.mean(dim=(0, 1))
    x.sum(dim=1).sum()
    x.type(torch.float64)
    x.to(torch.float64)
    x.to('cpu')
    x.data * y
    x.detach() * y
    x.negative().absolute()
    p.arcsin().nan_to_num() + p.arccos() + p.arctan()
    p.expm1() + p.log1p()
    x * y
    torch.select(x, dim=1, index=0)
    x.isfinite() * x
    x * 1
    x + y * p
    torch.celu(x, 0.5)
    torch.selu(x)
    torch.threshold(x, 0.1, -2.0)
    torch.prelu(x, torch.tensor([0.25, 0.5, 0.75]).double())
    torch.hardshrink(x, lambd=0.3)
    torch.square(x).mean()
    F.softmax(x, 1)
    m[torch.tensor([0, 2])]
    torch.cosine_similarity(x, y, dim=1)
    F.binary_cross_entropy_with_logits(x, p)
    F.binary_cross_entropy(p, torch.tensor([[0., 1., 0.], [1., 1., 0.]]).double())
    F.cross_entropy(x, torch.tensor([0, 2]))
    F.cross_entropy(input=x, target=torch.tensor([0, 2]), reduction='sum')
    F.nll_loss(F.log_softmax(x, dim=1), torch.tensor([0, 2]))
    F.mse_loss(x, y)
    F.mse_loss(x, target=y, reduction='none')
    F.l1_loss(x, y)
    F.smooth_l1_loss(x, y, beta=0.5)
    F.huber_loss(x, y, delta=0.5)
    F.kl_div(F.log_softmax(x, dim=1), F.softmax(y, dim=1), reduction='batchmean')
    F.relu(x)
    F.relu6(x * 9)
    F.elu(x, alpha=0.5)
    F.gelu(x)
    F.gelu(x, approximate='tanh')
    F.silu(x)
    F.mish(x)
    F.glu(b, dim=-1)
    F.softplus(x)
    F.softsign(x)
    F.softmin(x, dim=1)
    F.logsigmoid(x)
    F.leaky_relu(x, 0.2)
    F.hardtanh(x, -0.5, 0.5)
    F.hardsigmoid(x)
    F.hardswish(x)
    F.tanhshrink(x)
    F.softshrink(x, 0.2)
    F.tanh(x) + F.sigmoid(x)
    F.dropout(x, 0.5, training=False)
    F.dropout(x, p=0.0)
    F.one_hot(torch.tensor([0, 2]), 3) * x
    F.embedding(torch.tensor([0, 2]), m)
    F.cosine_similarity(x, y)
    F.scaled_dot_product_attention(b, b, b)
    F.scaled_dot_product_attention(b, b, b, is_causal=True)
    F.relu(b)
    nn.functional.relu(x)
    nn.CrossEntropyLoss()(x, torch.tensor([0, 2]))
    nn.CrossEntropyLoss(reduction='sum', label_smoothing=0.1)(x, torch.tensor([0, 2]))
    nn.MSELoss()(x, y)
    nn.L1Loss(reduction='sum')(x, y)
    nn.NLLLoss()(nn.LogSoftmax(dim=1)(x), torch.tensor([0, 2]))
    nn.BCELoss()(p, torch.tensor([[0., 1., 0.], [1., 1., 0.]]).double())
    nn.BCEWithLogitsLoss()(x, p.detach())
    nn.SmoothL1Loss(beta=0.5)(x, y)
    nn.HuberLoss(delta=0.5)(x, y)
    nn.KLDivLoss(reduction='batchmean')(nn.LogSoftmax(dim=1)(x), nn.Softmax(dim=1)(y).detach())
    nn.ReLU(inplace=True)(x * 1)
    nn.ReLU(True)(x * 1)
    nn.ReLU6(inplace=True)(x * 9)
    nn.LeakyReLU(0.2, True)(x * 1)
    nn.LeakyReLU(negative_slope=0.1, inplace=True)(x * 1)
    nn.ELU(0.5, inplace=True)(x * 1)
    nn.SELU(inplace=True)(x * 1)
    nn.SiLU(inplace=True)(x * 1)
    nn.Hardswish(True)(x * 1)
    nn.Mish()(x)
    nn.GELU('tanh')(x)
    nn.Softmax(dim=1)(x)
    nn.LogSoftmax(1)(x)
    nn.Softmin(dim=0)(x)
    nn.GLU(dim=2)(b)
    nn.Hardtanh(min_val=-0.5, max_val=0.25, inplace=True)(x * 1)
    nn.Threshold(0.1, 3.0, True)(x * 1)
    nn.Identity(54, unused=True)(x)
    nn.Flatten(start_dim=0, end_dim=1)(b)
    nn.Unflatten(dim=2, unflattened_size=(2, 2))(b)
    nn.Dropout(0.5, inplace=True).eval()(x)
    nn.Sequential(nn.Tanh(), nn.Softsign()).append(nn.Sigmoid())(x)
    nn.LayerNorm(3, elementwise_affine=False)(x)
    nn.LayerNorm((3,), eps=1e-3, elementwise_affine=False)(x)
    nn.ModuleList([nn.Tanh()])[0](x)
    nn.ModuleDict({'a': nn.Tanh()})['a'](x)
    nn.Softplus(beta=2.0)(x)
    nn.CELU(0.5, inplace=True)(x * 1)
    nn.Hardshrink(lambd=0.3)(x)
    nn.Hardsigmoid(inplace=True)(x * 1)
    nn.LogSigmoid()(x)
    nn.Softshrink(0.2)(x)
    nn.Tanhshrink()(x)
    nn.Sigmoid()(x)
    nn.Softmax(-1)(x)
    F.celu(x, alpha=0.5)
    F.selu(x)
    F.prelu(x, torch.tensor([0.25]).double())
    F.hardshrink(x)
    F.threshold(x, 0.1, -1.0)
    b.half().double() * 0 + b
    b.short().double() * b
    x.ndimension() * x
    x.nelement() * x
    x.long().double() * x
    x.bool().double() * x
    x.int().double() * x
    """),
]  # fmt: skip
TORCH = list(dict.fromkeys(TORCH))

NUMPY = [
    *each("""abs absolute arccos arcsin arctan arcsinh arctanh ceil cos cosh deg2rad degrees exp exp2 expm1 floor log
          log10 log1p log2 negative positive rad2deg radians reciprocal rint sign sin sinh sqrt square tan tanh
          trunc fix""",
          "np.{}(p)"),
    *each("arccosh", "np.{}(q)"),
    *each("""add arctan2 divide floor_divide float_power fmax fmin fmod greater greater_equal hypot less less_equal
          logaddexp logical_and logical_or logical_xor maximum minimum mod multiply not_equal equal power remainder
          subtract true_divide""", "np.{}(p, q)", "np.{}(p, 0.3)"),
    *each("sum mean max min prod var std amax amin median ptp average", "np.{}(x)", "np.{}(x, axis=1)"),
    *each("sum mean max min prod var std median", "np.{}(x, axis=0, keepdims=True)"),
    *each("sum mean max min prod var std", "x.{}()"),
    *each("argmax argmin argsort sort cumsum cumprod", "np.{}(x)", "np.{}(x, axis=0)"),
    *each("tril triu trace diag diagonal", "np.{}(m)"), *each("tril triu", "np.{}(m, k=1)"),
    *each("vstack hstack dstack column_stack stack concatenate", "np.{}([x, y])"),
    *each("flip fliplr flipud ravel squeeze rot90 transpose atleast_1d atleast_2d atleast_3d", "np.{}(x)"),
    *lines("""
    np.append(x, y)
    np.append(x, y, axis=1)
    np.array_split(v, 2)
    np.around(x, 1)
    np.round(x, 2)
    np.broadcast_to(v, (2, 3))
    np.clip(x, a_min=-0.5, a_max=0.5)
    np.clip(x, -0.5, 0.5)
    np.clip(x, min=-0.5, max=None)
    np.cross(v, w)
    np.diag(v)
    np.diff(x)
    np.diff(x, n=2, axis=1)
    np.diff(a=x, axis=0)
    np.dot(x, m)
    np.dot(v, w)
    np.dot(x, 2.0)
    np.dot(b, c[0])
    np.dot(b, c)
    np.einsum('ij,ij->i', x, y)
    np.expand_dims(x, 1)
    np.hsplit(x, 3)
    np.inner(x, y)
    np.inner(v, w)
    np.kron(x, y)
    np.kron(v, x)
    np.linalg.norm(x)
    np.linalg.norm(v, 1)
    np.linalg.norm(x, axis=1)
    np.linalg.norm(x, ord=np.inf, axis=0)
    np.linalg.norm(m, 1)
    np.linalg.norm(m, 'fro')
    np.linalg.norm(m, np.inf)
    np.linalg.inv(m)
    np.linalg.det(m)
    np.linalg.det(n)
    np.linalg.solve(m, v)
    np.linalg.solve(n, n)
    np.linalg.matrix_power(m, 3)
    np.matmul(b, c)
    np.mean(x, axis=(0, 1))
    np.moveaxis(b, 0, 2)
    np.nan_to_num(x)
    np.outer(v, w)
    np.pad(x, 1)
    np.repeat(x, 2)
    np.repeat(x, 2, axis=1)
    np.repeat(v, [1, 0, 2])
    np.reshape(x, (3, 2))
    np.roll(x, 1)
    np.roll(x, 1, axis=1)
    np.roll(x, (1, 2), axis=(0, 1))
    np.sort(x, axis=None)
    np.split(b, 2, axis=2)
    np.std(x, ddof=1)
    np.swapaxes(b, 0, 2)
    np.take(x, [0, 2], axis=1)
    np.take_along_axis(x, np.array([[0], [1]]), axis=1)
    np.tensordot(b, c, axes=([2], [1]))
    np.tile(x, (2, 1))
    np.tile(x, reps=2)
    np.trace(m, offset=1)
    np.vdot(x, y)
    np.vsplit(x, 2)
    np.where(x > 0, x, y)
    np.average(x, axis=1, weights=[1.0, 2.0, 3.0])
    np.zeros_like(x)
    np.full_like(x, 3.0)
    x.transpose(0, 1)
    x.transpose(1, 0)
    x.transpose()
    b.transpose(2, 0, 1)
    x.repeat(2, 1)
    x.repeat(2)
    x.max(1)
    x.min(axis=0)
    x.var()
    x.std(ddof=1)
    x.cumsum()
    x.cumprod(1)
    x.argsort()
    x.argmax()
    x.round(1)
    x.trace()
    x.dot(m)
    x.flatten()
    x.ravel()
    x.reshape(3, 2)
    x.squeeze()
    x.swapaxes(0, 1)
    x.take([0, 2], axis=1)
    x.T
    x.copy()
    x.clip(-0.5, 0.5)
    x.all()
    x.any(axis=1)
    x // 0.4
    x % 0.4
    2.5 // p
    2.5 % p
    np.linalg.norm(x) * x.size
    """),
]  # fmt: skip
NUMPY = list(dict.fromkeys(NUMPY))

# schedules of an optimiser of two groups, with rates 0.1 and 0.5, and its momentum
SCHEDULES = [
    ("optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)", 0),
    ("optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 5], gamma=0.1)", 0),
    ("optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)", 0),
    ("optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=3)", 0),
    ("optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=4)", 0),
    ("optim.lr_scheduler.PolynomialLR(optimizer, total_iters=5, power=2.0)", 0),
    ("optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)", 0),
    ("optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4, eta_min=0.01)", 0),
    ("optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)", 0),
    ("optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)", 0.9),
    ("optim.lr_scheduler.OneCycleLR(optimizer, 1.0, epochs=5, steps_per_epoch=2, anneal_strategy='linear')", 0.9),
    ("optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10, three_phase=True, pct_start=0.4)", 0.9),
    ("optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=lambda epoch: 0.95 ** epoch)", 0),
    ("optim.lr_scheduler.LambdaLR(optimizer, [lambda e: 1 / (1 + e), lambda e: 0.5 ** e])", 0),
    ("optim.lr_scheduler.MultiplicativeLR(optimizer, lr_lambda=lambda epoch: 0.9)", 0),
    ("optim.lr_scheduler.ReduceLROnPlateau(optimizer, 'min', factor=0.5, patience=1, threshold=0.01)", 0),
    ("optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, cooldown=1, threshold_mode='abs', min_lr=0.02)", 0),
    ("optim.lr_scheduler.SequentialLR(optimizer, [optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3), "
     "optim.lr_scheduler.ExponentialLR(optimizer, 0.5)], milestones=[3])", 0),
]  # fmt: skip
# optimisers with options for each group
GROUPS = [
    "optim.SGD([{'params': [p]}, {'params': [q], 'lr': 0.01, 'momentum': 0.9}], lr=0.1)",
    "optim.SGD([{'params': [p], 'weight_decay': 0.1}, {'params': [q], 'nesterov': True}], lr=0.1, momentum=0.5)",
    "optim.Adam([{'params': [p], 'lr': 0.05}, {'params': q, 'betas': (0.5, 0.9)}], lr=0.1)",
    "optim.AdamW([{'params': [p]}, {'params': [q], 'weight_decay': 0.5}], lr=0.1)",
    "optim.RMSprop([{'params': [p], 'alpha': 0.5}, {'params': [q], 'centered': True}], lr=0.01)",
    "optim.Adagrad([{'params': [p], 'lr_decay': 0.1}, {'params': [q]}], lr=0.1)",
]

# a MultiheadAttention(4, 2, batch_first=True) called in several ways
ATTENTION = [
    "layer(b, b, b)",
    "layer(b, b, b, need_weights=False)",
    "layer(b[:, :2], b, b, average_attn_weights=False)",
    "layer(b, b, b, attn_mask=torch.tensor([[False, True, True], [False, False, True], [False] * 3]))",
    "layer(b, b, b, attn_mask=torch.tensor([[0.0, -1.0, 2.0]] * 3).double())",
    "layer(b, b, b, key_padding_mask=torch.tensor([[False, False, True], [True, False, False]]))",
    "layer(b[0], b[1], b[1])",
]
