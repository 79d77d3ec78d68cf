"""The operations of imported networks, each spelled in autoconv and in PyTorch, on the same operands.

A case is {name: (names of the operands, in autoconv, in PyTorch)}; ``make_operations_reference.py`` stores what PyTorch
makes of it, ``test_operations.py`` asks autoconv.  Operands have ties, kinks and zeros where the operation cares.
PyTorch is handed over as an argument, so that nothing here imports it.
"""

import numpy as np

import autoconv as ac

FIRST = {"layout": "channels_first"}
inf = np.inf


def operands():
    """{name: float64 array}"""
    rng = np.random.default_rng(7)
    tie = rng.integers(0, 4, (2, 3, 7, 5)).astype(float)
    probability = rng.dirichlet(np.ones(4), 5)
    probability[0] = [0, 1, 0, 0]
    return {
        "kinks": np.array([-1e3, -7.0, -3.0, -2.5, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 6.0, 7.0, 1e3]),
        "unit": np.array([-0.999, -0.5, -1e-9, 0.0, 0.3, 0.8, 0.999]),
        "unit ends": np.array([-1.0, 1.0]),
        "positive": np.array([1e-9, 0.5, 1.0, 2.0, 8.0, 1000.0]),
        "infinite": np.array([-inf, -1.0, 0.0, 2.0, inf]),
        "a": np.array([4.0, -4.0, 0.0, 6.0, 3.0, -3.0, 5.5, -5.5]),
        "b": np.array([2.0, 2.0, 2.0, -3.0, -3.0, 3.0, -1.5, 1.5]),
        "tie": tie,
        "signal": rng.integers(0, 4, (2, 3, 8)).astype(float),
        "volume": rng.integers(0, 4, (1, 2, 4, 3, 5)).astype(float),
        "shuffled": rng.normal(size=(2, 8, 2, 3)),
        "blocks": rng.normal(size=(2, 2, 4, 6)),
        "channels": rng.normal(size=(2, 6, 3, 2)),
        "weight": rng.normal(size=6),
        "bias": rng.normal(size=6),
        "matrix": rng.integers(-2, 3, (4, 5)).astype(float),
        "zeros": np.array([1.0, 0.0, 2.0, 0.0, 3.0]),
        "vector": rng.normal(size=4),
        "q": rng.normal(size=(2, 3, 4, 5)), "k": rng.normal(size=(2, 3, 6, 5)), "v": rng.normal(size=(2, 3, 6, 2)),
        "q6": rng.normal(size=(2, 6, 4, 5)),
        "bias of scores": rng.normal(size=(2, 1, 4, 6)),
        "table": rng.normal(size=(6, 3)),
        "y": np.array([-3.0, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0]), "t": np.zeros(10),
        "log q": np.log(rng.dirichlet(np.ones(4), 5)),
        "target": probability,
        "share": rng.uniform(0.05, 0.95, (5, 4)),
        "logits": rng.normal(size=(5, 4)), "pixels": rng.normal(size=(2, 4, 3, 2)),
    }  # fmt: skip


MASK = np.array([[1, 0, 1, 1, 0, 0], [0] * 6, [1] * 6, [0, 0, 0, 0, 1, 0]], bool)
ADDED = np.where(MASK, 0.5, -inf)
INDICES = np.array([[0, 3, 3], [5, 0, 1]])
LABELS, WEIGHTS = np.array([0, 3, -100, 1, 3]), np.array([0.5, 1.0, 2.0, 0.25])
PIXELS = np.array([[[0, 1], [2, 3], [-100, 1]], [[1, 1], [3, 0], [2, -100]]])
PLACES = np.array([[4, 0, 1], [2, 2, 3]])


def cases():
    """{name: (operands, with autoconv, with torch)}; ``t`` is torch, ``F`` its functional."""
    made = {}

    def case(name, names, ours, theirs):
        assert name not in made, name
        made[name] = (names.split(", "), ours, theirs)

    # activations, at their kinks
    for name in ("relu6", "hardtanh", "hardsigmoid", "hardswish", "mish", "selu", "celu", "elu", "silu", "leaky_relu",
                 "gelu", "softsign", "tanhshrink", "hardshrink", "softshrink"):  # fmt: skip
        case(name, "kinks", getattr(ac, name), lambda t, F, x, name=name: getattr(F, name)(x))
    case("hardtanh -2 3", "kinks", lambda x: ac.hardtanh(x, -2, 3), lambda t, F, x: F.hardtanh(x, -2, 3))
    case("celu 2", "kinks", lambda x: ac.celu(x, 2.0), lambda t, F, x: F.celu(x, 2.0))
    case("elu 2", "kinks", lambda x: ac.elu(x, 2.0), lambda t, F, x: F.elu(x, 2.0))
    case("softplus 2 5", "kinks", lambda x: ac.softplus(x, 2.0, 5.0), lambda t, F, x: F.softplus(x, 2.0, 5.0))
    case("threshold", "kinks", lambda x: ac.threshold(x, 1.0, 9.0), lambda t, F, x: F.threshold(x, 1.0, 9.0))
    case("prelu one", "kinks", lambda x: ac.prelu(x, [0.25]), lambda t, F, x: F.prelu(x, t.tensor([0.25]).double()))
    case("prelu", "channels, weight", lambda x, w: ac.prelu(x, w, **FIRST), lambda t, F, x, w: F.prelu(x, w))
    case("glu", "channels", lambda x: ac.glu(x, 1), lambda t, F, x: F.glu(x, 1))
    case("softmin", "channels", lambda x: ac.softmin(x, 1), lambda t, F, x: F.softmin(x, 1))

    # numbers
    for name in ("tan", "atan", "sinh", "cosh", "exp2"):
        case(name, "unit", getattr(ac, name), lambda t, F, x, name=name: getattr(t, name)(x))
    for name in ("asin", "acos"):
        case(name, "unit", getattr(ac, name), lambda t, F, x, name=name: getattr(t, name)(x))
        case(f"{name} ends", "unit ends", getattr(ac, name), lambda t, F, x, name=name: getattr(t, name)(x))
    for name in ("log2", "log10", "rsqrt"):
        case(name, "positive", getattr(ac, name), lambda t, F, x, name=name: getattr(t, name)(x))
    for name in ("sinh", "cosh", "atan", "nan_to_num"):
        case(f"{name} infinite", "infinite", getattr(ac, name), lambda t, F, x, name=name: getattr(t, name)(x))
    for name in ("fmod", "remainder", "atan2", "hypot"):
        case(name, "a, b", getattr(ac, name), lambda t, F, a, b, name=name: getattr(t, name)(a, b))
    for name in ("ceil", "floor", "round", "trunc"):
        case(
            name,
            "kinks",
            lambda x, name=name: x + getattr(ac, name)(x),
            lambda t, F, x, name=name: x + getattr(t, name)(x),
        )

    # pooling and resizing
    for d, x, sizes in ((1, "signal", (3, 4, 8)), (2, "tie", ((3, 2), (None, 4), 7)), (3, "volume", (2, (3, 3, 1)))):
        for size in sizes:
            for kind in ("avg", "max"):
                name = f"adaptive_{kind}_pool{d}d"
                case(f"{name} {size}", x, lambda x, n=name, s=size: getattr(ac, n)(x, s, **FIRST),
                     lambda t, F, x, n=name, s=size: getattr(F, n)(x, s))  # fmt: skip
    corners = {"align_corners": True}
    one, two = ({"size": 5}, {"scale_factor": 1.7}), ({"size": (4, 9)}, {"scale_factor": 2})
    for x, mode, how in [
        *[("signal", m, s) for m in ("nearest", "nearest-exact", "linear", "area") for s in one],
        *[("tie", m, s) for m in ("nearest", "bilinear", "bicubic", "area") for s in two],
        *[("tie", m, {"size": (1, 8), **corners}) for m in ("bilinear", "bicubic")],
        ("tie", "bilinear", {"scale_factor": (0.6, 1.7), "recompute_scale_factor": True}),
        ("volume", "trilinear", {"size": (3, 5, 2)}), ("volume", "nearest", {"scale_factor": (2, 1, 0.7)}),
    ]:  # fmt: skip
        case(f"interpolate {x} {mode} {how}", x, lambda x, m=mode, h=how: ac.interpolate(x, mode=m, **h, **FIRST),
             lambda t, F, x, m=mode, h=how: F.interpolate(x, mode=m, **h))  # fmt: skip
    case("pixel_shuffle", "shuffled", lambda x: ac.pixel_shuffle(x, 2, **FIRST), lambda t, F, x: F.pixel_shuffle(x, 2))
    case(
        "pixel_unshuffle",
        "blocks",
        lambda x: ac.pixel_unshuffle(x, 2, **FIRST),
        lambda t, F, x: F.pixel_unshuffle(x, 2),
    )
    for mode in ("constant", "reflect", "replicate", "circular"):
        for left, right, top, bottom in ((1, 2, 2, 1), (-1, 2, 1, -2)):
            case(f"pad {mode} {left}", "tie",
                 lambda x, m=mode, w=((top, bottom), (left, right)): ac.pad(x, ((0, 0), (0, 0), *w), mode=m),
                 lambda t, F, x, m=mode, w=(left, right, top, bottom): F.pad(x, w, mode=m))  # fmt: skip

    # norms
    for groups in (1, 2, 6):
        case(f"group_norm {groups}", "channels, weight, bias",
             lambda x, w, b, g=groups: ac.group_norm(x, g, w, b, 1e-3, **FIRST),
             lambda t, F, x, w, b, g=groups: F.group_norm(x, g, w, b, 1e-3))  # fmt: skip
    case("instance_norm", "channels, weight, bias", lambda x, w, b: ac.instance_norm(x, w, b, **FIRST),
         lambda t, F, x, w, b: F.instance_norm(x, weight=w, bias=b))  # fmt: skip
    for n in (1, 4, 5):
        case(f"local_response_norm {n}", "channels",
             lambda x, n=n: ac.local_response_norm(x, n, 0.1, 0.6, 1.2, **FIRST),
             lambda t, F, x, n=n: F.local_response_norm(x, n, 0.1, 0.6, 1.2))  # fmt: skip

    # reductions
    for p in (0.5, 1, 2, 3, inf, -inf):
        for axis in (None, 1):
            case(f"norm {p} {axis}", "matrix", lambda x, p=p, a=axis: ac.norm(x, p, a),
                 lambda t, F, x, p=p, a=axis: t.linalg.vector_norm(x, p, a))  # fmt: skip
    for name in ("amax", "amin"):
        case(name, "matrix", lambda x, n=name: getattr(ac, n)(x, 1), lambda t, F, x, n=name: getattr(t, n)(x, 1))
    for name in ("var", "std"):
        case(name, "matrix", lambda x, n=name: getattr(ac, n)(x, 1, correction=1),
             lambda t, F, x, n=name: getattr(t, n)(x, 1))  # fmt: skip

    # order
    for descending in (False, True):
        case(f"sort {descending}", "matrix", lambda x, d=descending: ac.sort(x, 1, d),
             lambda t, F, x, d=descending: t.sort(x, dim=1, descending=d, stable=True)[0])  # fmt: skip
        case(f"topk {descending}", "matrix", lambda x, d=descending: ac.topk(x, 3, 0, d)[0],
             lambda t, F, x, d=descending: t.sort(x, dim=0, descending=d, stable=True)[0][:3])  # fmt: skip
    case("cumsum", "matrix", lambda x: ac.cumsum(x, 1), lambda t, F, x: t.cumsum(x, 1))
    case("cumprod", "matrix", lambda x: ac.cumprod(x, 1), lambda t, F, x: t.cumprod(x, 1))
    case("cumprod zeros", "zeros", ac.cumprod, lambda t, F, x: t.cumprod(x, 0))

    # parts, triangles, tables
    case("gather", "matrix", lambda x: ac.gather(x, 1, PLACES), lambda t, F, x: t.gather(x, 1, t.tensor(PLACES)))
    case("scatter add", "matrix, table", lambda x, v: ac.put_along_axis(x, PLACES, v[:2], 1, "add"),
         lambda t, F, x, v: t.scatter_add(x, 1, t.tensor(PLACES), v[:2]))  # fmt: skip
    case("scatter", "matrix, table", lambda x, v: ac.put_along_axis(x, PLACES[:1], v[:1], 1),
         lambda t, F, x, v: t.scatter(x, 1, t.tensor(PLACES[:1]), v[:1]))  # fmt: skip
    for k in (-2, 0, 1):
        for name in ("tril", "triu", "diag"):
            case(f"{name} {k}", "matrix", lambda x, n=name, k=k: getattr(ac, n)(x, k),
                 lambda t, F, x, n=name, k=k: getattr(t, n)(x, k))  # fmt: skip
        case(f"diag of a vector {k}", "vector", lambda x, k=k: ac.diag(x, k), lambda t, F, x, k=k: t.diag(x, k))
    for padding in (None, 0, -1):
        case(f"embedding {padding}", "table", lambda w, p=padding: ac.embedding(INDICES, w, p),
             lambda t, F, w, p=padding: F.embedding(t.tensor(INDICES), w, p))  # fmt: skip

    # attention
    attention = ac.scaled_dot_product_attention
    for name, ours, theirs in (
        ("plain", {}, {}), ("causal", {"is_causal": True}, {"is_causal": True}),
        ("scale", {"scale": 0.3}, {"scale": 0.3}),
        ("truth values", {"mask": MASK}, {"attn_mask": MASK}), ("added", {"mask": ADDED}, {"attn_mask": ADDED}),
    ):  # fmt: skip
        case(f"attention {name}", "q, k, v", lambda q, k, v, s=ours: attention(q, k, v, **s),
             lambda t, F, q, k, v, s=theirs: F.scaled_dot_product_attention(
                 q, k, v, **{n: t.tensor(x) if n == "attn_mask" else x for n, x in s.items()}))  # fmt: skip
    case("attention bias", "q, k, v, bias of scores", attention,
         lambda t, F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m))  # fmt: skip
    case("attention shared heads", "q6, k, v", lambda q, k, v: attention(q, k, v, enable_gqa=True),
         lambda t, F, q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))  # fmt: skip

    # losses
    for r in ("mean", "sum", "none"):
        case(
            f"l1 {r}",
            "y, t",
            lambda y, x, r=r: ac.l1(y, x, reduction=r),
            lambda t, F, y, x, r=r: F.l1_loss(y, x, reduction=r),
        )
        for b in (0.5, 1.0):
            case(f"smooth_l1 {b} {r}", "y, t", lambda y, x, r=r, b=b: ac.smooth_l1(y, x, beta=b, reduction=r),
                 lambda t, F, y, x, r=r, b=b: F.smooth_l1_loss(y, x, beta=b, reduction=r))  # fmt: skip
            case(f"huber {b} {r}", "y, t", lambda y, x, r=r, b=b: ac.huber(y, x, delta=b, reduction=r),
                 lambda t, F, y, x, r=r, b=b: F.huber_loss(y, x, delta=b, reduction=r))  # fmt: skip
        case(f"bce {r}", "share", lambda y, r=r: ac.bce(y, T, WEIGHTS, reduction=r),
             lambda t, F, y, r=r: F.binary_cross_entropy(y, t.tensor(T), t.tensor(WEIGHTS), reduction=r))  # fmt: skip
        case(f"bce_with_logits {r}", "logits",
             lambda y, r=r: ac.bce_with_logits(y, T, WEIGHTS, 3 * WEIGHTS, reduction=r),
             lambda t, F, y, r=r: F.binary_cross_entropy_with_logits(
                 y, t.tensor(T), t.tensor(WEIGHTS), reduction=r, pos_weight=t.tensor(3 * WEIGHTS)))  # fmt: skip
        for w in (None, WEIGHTS):
            for x, labels in (("logits", LABELS), ("pixels", PIXELS)):
                for s in (0.0, 0.2):
                    case(f"cross_entropy {x} {w is not None} {s} {r}", x,
                         lambda x, w=w, y=labels, s=s, r=r: ac.cross_entropy(
                             x, y, w, axis=1, ignore_index=-100, label_smoothing=s, reduction=r),
                         lambda t, F, x, w=w, y=labels, s=s, r=r: F.cross_entropy(
                             x, t.tensor(y), None if w is None else t.tensor(w), label_smoothing=s,
                             reduction=r))  # fmt: skip
                case(f"nll {x} {w is not None} {r}", x,
                     lambda x, w=w, y=labels, r=r: ac.nll(x, y, w, axis=1, ignore_index=-100, reduction=r),
                     lambda t, F, x, w=w, y=labels, r=r: F.nll_loss(
                         x, t.tensor(y), None if w is None else t.tensor(w), reduction=r))  # fmt: skip
            case(f"cross_entropy of probabilities {w is not None} {r}", "logits",
                 lambda x, w=w, r=r: ac.cross_entropy(x, T, w, label_smoothing=0.1, reduction=r),
                 lambda t, F, x, w=w, r=r: F.cross_entropy(
                     x, t.tensor(T), None if w is None else t.tensor(w), label_smoothing=0.1, reduction=r))  # fmt: skip
    for r in ("batchmean", "sum"):
        case(f"kl_div {r}", "log q", lambda y, r=r: ac.kl_div(y, T, reduction=r),
             lambda t, F, y, r=r: F.kl_div(y, t.tensor(T), reduction=r))  # fmt: skip
    case("cosine_similarity", "logits, share", ac.cosine_similarity, lambda t, F, x, y: F.cosine_similarity(x, y))
    return made


T = operands()["target"]


def cotangent(shape):
    """Some numbers of a shape, none of them 0, that make every element of a result count differently."""
    return np.cos(1.0 + np.arange(int(np.prod(shape, dtype=int)))).reshape(shape)
