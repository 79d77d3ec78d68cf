"""A ``torch.autograd.Function`` is judged by its own two methods: right, by its mistake, and by its line."""

import json
import linecache

import numpy as np
import pytest

import autoconv as ac
from autoconv.cli import main
from autoconv.marking.report import mark

torch = pytest.importorskip("torch")
HEAD = "import torch\n\n\nclass Mine(torch.autograd.Function):\n"
RELU = """
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x > 0)
"""
AFFINE = """
    @staticmethod
    def forward(x, w, b):
        return x.flatten(1) @ w + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        x, w, b = ctx.saved_tensors
        return (g @ w.t()).reshape(x.shape), x.flatten(1).t() @ g, g.sum(0)
"""
CONV = """
    @staticmethod
    def forward(ctx, x, w, b, conv_param):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.pad = conv_param["stride"], conv_param["pad"]
        return torch.nn.functional.conv2d(x, w, b, stride=ctx.stride, padding=ctx.pad)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = torch.nn.grad.conv2d_input(x.shape, w, g, stride=ctx.stride, padding=ctx.pad)
        dw = torch.nn.grad.conv2d_weight(x, w.shape, g, stride=ctx.stride, padding=ctx.pad)
        return dx, dw, g.sum((0, 2, 3)), None
"""
PRODUCT = """
    @staticmethod
    def forward(ctx, a, c):
        ctx.save_for_backward(a, c)
        return a @ c

    @staticmethod
    def backward(ctx, g):
        a, c = ctx.saved_tensors
        return g @ c.t(), a.t() @ g
"""
RIGHT = [(RELU, "cs231n.relu"), (AFFINE, "cs231n.affine"), (CONV, "cs231n.conv"), (PRODUCT, lambda a, c: a @ c)]
WRONG = [
    (RELU, "cs231n.relu", "(x > 0)", "(grad_output > 0)", "dx", "relu applied to the gradient", True),
    (AFFINE, "cs231n.affine", "g.sum(0)", "g.mean(0)", "db", "mean instead of sum", True),
    (CONV, "cs231n.conv", "g.sum((0, 2, 3))", "g.sum((0, 2, 3)) / 2", "db", "an operand too many", True),
    (CONV, "cs231n.conv", "(x.shape, w, g", "(x.shape, w.flip(2, 3), g", "dx", "kernel not rotated", False),
    (PRODUCT, lambda a, c: a @ c, "a.t() @ g", "-a.t() @ g", "dc", "sign", True),
]  # fmt: skip


def judged(body, like, path):
    path.write_text(HEAD + body, encoding="utf-8")
    linecache.checkcache(str(path))
    scope = {"__name__": path.stem}
    exec(compile(HEAD + body, str(path), "exec"), scope)  # our own text
    rng = np.random.default_rng(3)
    more = {} if isinstance(like, str) else {"inputs": [rng.normal(size=(4, 3)), rng.normal(size=(3, 5))]}
    return ac.check_backward(scope["Mine"], like=like, **more)


@pytest.mark.parametrize(("body", "like"), RIGHT)
def test_a_right_function_is_right(body, like, tmp_path):
    verdict = judged(body, like, tmp_path / "mine.py")
    assert verdict and not verdict.damage, verdict.text


@pytest.mark.parametrize(("body", "like", "what", "instead", "gradient", "name", "told"), WRONG)
def test_a_mistake_is_named_and_its_line_told(body, like, what, instead, gradient, name, told, tmp_path):
    assert body.count(what) == 1
    verdict = judged(body.replace(what, instead), like, tmp_path / "mine.py")
    part = verdict[gradient]
    assert not part.right and part.mistake in name.split("|"), verdict.text
    assert all(other.right for other in verdict.parts.values() if other is not part), verdict.text
    line = next(i for i, row in enumerate((HEAD + body).splitlines(), 1) if what in row)
    assert [fix.line for fix in part.fixes] == [line] or not told, verdict.text


def test_another_number_of_gradients_is_told(tmp_path):
    verdict = judged(AFFINE.replace(", g.sum(0)", ""), "cs231n.affine", tmp_path / "mine.py")
    assert not verdict and "one for each" in verdict.text


def test_the_command_finds_functions_by_the_names_of_their_layers(tmp_path, capsys):
    bodies = {"ReluFunction": RELU, "Affine": AFFINE.replace("g.sum(0)", "g.mean(0)"), "Other": PRODUCT}
    classes = "".join(f"\n\nclass {name}(torch.autograd.Function):\n{body}" for name, body in bodies.items())
    path = tmp_path / "layers.py"
    path.write_text("import torch\n" + classes, encoding="utf-8")
    assert main(["mark", str(path), "--course", "cs231n", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert {row["layer"]: row["right"] for row in report["layers"]} == {"cs231n.affine": False, "cs231n.relu": True}
    (wrong,) = [part for part in report["layers"][0]["parts"] if not part["right"]]
    line = next(i for i, row in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if "g.mean(0)" in row)
    assert (wrong["name"], wrong["mistake"], wrong["lines"]) == ("db", "mean instead of sum", [line])


def test_a_class_with_the_name_of_no_layer_is_told(tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(HEAD.replace("Mine", "Product") + PRODUCT, encoding="utf-8")
    with pytest.raises(ValueError, match=r"called as one of affine, .*; it has Product"):
        mark(path, "cs231n")
