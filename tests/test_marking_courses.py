"""Courses: right layers in each one's conventions are right, whoever wrote them and how; other conventions are told."""

import sys

import numpy as np
import pytest
from helpers.students import classes, from_loops, right

import autoconv as ac
from autoconv.marking.courses import LAYERS

LOOPS = list(from_loops.students(right=True))


@pytest.mark.parametrize(("like", "kind"), classes.RIGHT, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_a_right_class_is_right(like, kind):
    v = ac.check_backward(kind, like=like)
    assert v and "forward" in v.parts, v.text


@pytest.mark.parametrize(("like", "forward", "backward"), right.FUNCTIONS)
def test_right_functions_of_other_layers_are_right(like, forward, backward):
    v = ac.check_backward(backward, forward, like=like)
    assert v, v.text


@pytest.mark.quick(3)
@pytest.mark.parametrize("student", LOOPS, ids=lambda s: s.label)
def test_right_loops_are_right(student):
    forward = None if str(student.like).endswith("loss") else student.forward
    v = ac.check_backward(student.backward, forward, like=student.like)
    assert v, v.text


def test_sixty_right_implementations_are_tried():
    assert len(right.RIGHT) + len(classes.RIGHT) + len(right.FUNCTIONS) + len(LOOPS) >= 60
    course = lambda like: like.partition(".")[0]
    tried = [row[0] for row in [*right.RIGHT, *right.FUNCTIONS, *classes.RIGHT] if isinstance(row[0], str)]
    assert set(map(course, tried)) == set(map(course, LAYERS))


def test_a_function_of_matrices_need_not_take_three_axes():
    v = ac.check_backward(right.softmax_backward, right.softmax_forward, like=lambda x: ac.softmax(x, axis=1))
    assert v and "they refuse" in v.text


def test_courses_are_listed_with_signature_and_layout():
    listed = ac.courses()
    assert {name.partition(".")[0] for name in listed} == {
        "cs231n", "deeplearning", "needle", "cmu11785", "minitorch", "tinytorch", "npfl138",
    }  # fmt: skip
    assert "compute(A, B)" in listed["needle.conv"] and "NHWC" in listed["needle.conv"]
    assert "dLdW" in listed["cmu11785.conv2d"] and "NCHW" in listed["cmu11785.conv2d"]
    assert "same size" in listed["minitorch.conv2d"] and "reverse" in listed["minitorch.conv2d"]
    assert max(map(len, repr(listed).splitlines())) <= 100


# ---- conventions that differ


def test_the_methods_of_an_object_stand_for_its_class():
    layer = classes.Conv2d_stride1(2, 3, 2)
    assert ac.check_backward(layer.backward, layer.forward, like="cmu11785.conv2d_stride1")


def test_a_pair_of_functions_may_stand_for_a_class():
    def forward(A, B, stride, padding):
        return classes.NeedleConv(stride, padding).compute(A, B)

    def backward(dout, cache):
        *arrays, stride, padding = cache
        return classes.NeedleConv(stride, padding).gradient(dout, type("Node", (), {"inputs": arrays}))

    assert ac.check_backward(backward, forward, like="needle.conv")


def test_dilation_by_the_factor_is_another_forward():
    class Factor(classes.Dilate):  # dilation 2 for one zero in between, as frameworks count
        def __init__(self, axes, dilation):
            self.axes, self.step = axes, max(dilation, 1)

    v = ac.check_backward(Factor, like="needle.dilate")
    assert not v["forward"].right and v["forward"].mistake == "wrong shape"


@pytest.mark.dear
def test_padding_before_the_image_is_told():
    def loops(out, out_shape, out_strides, size, x, x_shape, x_strides, w, w_shape, w_strides, reverse):
        classes.tensor_conv1d(
            out, out_shape, out_strides, size, x, x_shape, x_strides, w, w_shape, w_strides, not reverse
        )

    v = ac.check_backward(loops, like="minitorch.conv1d")
    assert not v["forward"].right and not v


@pytest.mark.dear
def test_strides_that_are_taken_for_granted_are_found():
    def loops(out, out_shape, out_strides, size, x, x_shape, x_strides, w, w_shape, w_strides, reverse):
        dense = lambda shape: np.array([int(np.prod(shape[i + 1 :])) for i in range(len(shape))])
        classes.tensor_conv1d(out, out_shape, out_strides, size, x, x_shape, dense(x_shape), w, w_shape,
                              dense(w_shape), reverse)  # fmt: skip

    v = ac.check_backward(loops, like="minitorch.conv1d")
    assert v["forward"].right and not v["grad_input"].right and not v["grad_weight"].right


@pytest.mark.dear
def test_a_relu_forgotten_in_the_forward_is_told():
    class Linear(classes.Convolution):
        def forward(self, inputs):
            s, k = self._stride, len(self._kernel)
            h, w = ((n - k) // s + 1 for n in inputs.shape[1:3])
            taps = [(u, v) for u in range(k) for v in range(k)]
            return self._bias + sum(
                inputs[:, u : u + s * h : s, v : v + s * w : s] @ self._kernel[u, v] for u, v in taps
            )

    v = ac.check_backward(Linear, like="npfl138.convolution")
    assert "leaves the ReLU out" in v["forward"].says and not v


def test_gradients_that_grow_from_call_to_call_are_told():
    class Kept(classes.Linear):
        def backward(self, dLdZ):
            old = getattr(self, "dLdW", 0.0)
            made = super().backward(dLdZ)
            self.dLdW = self.dLdW + old
            return made

    v = ac.check_backward(Kept, like="cmu11785.linear")
    assert not v and v["dLdW"].right and "twice the first" in v.text


@pytest.mark.dear
def test_a_file_of_classes_is_marked(run_python, tmp_path):
    text = """
import numpy as np
class Linear:
    def __init__(self, in_features, out_features):
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))
    def forward(self, A):
        self.A = A
        return A @ self.W.T + self.b.T
    def backward(self, dLdZ):
        self.dLdW, self.dLdb = dLdZ.T @ self.A / len(dLdZ), dLdZ.sum(axis=0)[:, None]
        return dLdZ @ self.W
"""
    (tmp_path / "linear.py").write_text(text, encoding="utf-8")
    code = "import sys; from autoconv.cli import main; main(sys.argv[1:])"
    out = run_python("-c", code, "mark", str(tmp_path / "linear.py"), "--course", "cmu11785", "--points")
    assert "linear  3/4" in out and "mean instead of sum" in out
    assert max(map(len, out.splitlines())) <= 80


def test_torch_tensors_are_handed_over_where_the_class_has_them():
    torch = pytest.importorskip("torch")
    source = """
class Convolution:
    def __init__(self, filters, kernel_size, stride, input_shape, seed, verify):
        self._stride = stride
        self._kernel = torch.nn.Parameter(torch.zeros(kernel_size, kernel_size, input_shape[2], filters))
        self._bias = torch.nn.Parameter(torch.zeros(filters))
    def forward(self, inputs):
        x, w = inputs.movedim(-1, 1), self._kernel.permute(3, 2, 0, 1).contiguous()
        y = torch.nn.functional.conv2d(x, w, self._bias, self._stride)
        return torch.relu(y).movedim(1, -1)
    def backward(self, inputs, outputs, d):
        x = inputs.detach().requires_grad_()
        made = torch.autograd.grad(self.forward(x), [x, self._kernel, self._bias], d)
        return made[0], [self._kernel, self._bias], list(made[1:])
"""
    module = type(sys)("manual_cnn")
    module.torch = torch
    sys.modules["manual_cnn"] = module
    try:
        exec(source, module.__dict__)
        v = ac.check_backward(module.Convolution, like="npfl138.convolution")
    finally:
        del sys.modules["manual_cnn"]
    assert v, v.text
