"""A wrong forward: its line is told, and the gradients are told for what they are with it mended."""

import pytest
from helpers.students import right
from helpers.students.unseen.forwards import FORWARDS
from helpers.students.unseen.hands import PATIENCE, judged

import autoconv as ac

EVEN_SO = {  # what has no line of its own but a name, or is right by another line as well
    "conv_naive: no bias": "leaves the bias out",
    "dl_conv: no bias": "leaves the bias out",
    "spatial_bn: no beta": "leaves beta out",
    "npfl: no relu": "leaves the ReLU out",
    "svm_loops: not divided": "right is `loss += margin / N`",
    "conv_relu_pool: no relu": "leaves the ReLU out",
}
UNKNOWN = {  # further from right than one change, or by a function that few forget
    "conv_fft: convolved",
    "dl_avg: only the first",
}


@pytest.mark.dear
@pytest.mark.quick(4)
@pytest.mark.parametrize("one", [one for one in FORWARDS if one.label not in UNKNOWN], ids=lambda one: one.label)
def test_the_line_of_a_wrong_forward_is_told(one, tmp_path):
    verdict = judged(one, tmp_path / "layers.py", PATIENCE)
    part = verdict["forward"]
    assert not part.right and part.mistake, verdict.text
    if one.label in EVEN_SO:
        assert EVEN_SO[one.label] in part.text
        return
    assert part.fixes and all(fix.line in one.lines for fix in part.fixes), part.text
    assert not part.left
    for gradient in verdict:
        if gradient != "forward" and not verdict[gradient].right and not one.layer.endswith("loss"):
            assert "With the forward changed as it says above, it is RIGHT." in verdict[gradient].text


@pytest.mark.dear
@pytest.mark.parametrize("one", [one for one in FORWARDS if one.label in UNKNOWN], ids=lambda one: one.label)
def test_no_line_is_made_up(one, tmp_path):
    part = judged(one, tmp_path / "layers.py")["forward"]
    assert not part.right and not part.fixes


BOTH = """
import numpy as np
class Layer:
    def pad(self):
        return 0
    def forward(self, x, w, b):
        self.flat = x.reshape(len(x), -1)
        self.w, self.shape, self.rows = w, x.shape, len(x)
        return self.flat @ w - b, None
    def backward(self, dout, cache):
        dx = (dout @ self.w.T).reshape(self.shape)
        return {dx}, self.flat.T @ dout, {db}
"""


def layer(tmp_path, dx="dx", db="dout.sum(axis=0)"):
    path = tmp_path / "layer.py"
    path.write_text(BOTH.format(dx=dx, db=db))
    scope = {"__name__": "layer"}
    exec(compile(path.read_text(), str(path), "exec"), scope)  # our own text
    return scope["Layer"]()


def test_with_the_forward_mended_a_gradient_has_its_own_mistake(tmp_path):
    one = layer(tmp_path, dx="2 * dx")
    verdict = ac.check_backward(one.backward, one.forward, like="cs231n.affine")
    assert [(fix.line, fix.instead) for fix in verdict["forward"].fixes] == [(9, "return self.flat @ w + b, None")]
    assert verdict["db"].mistake == "gradient of another forward" and "it is RIGHT" in verdict["db"].text
    assert verdict["dw"].right and not verdict["dx"].right
    assert verdict["dx"].mistake not in (None, "gradient of another forward")


def test_hints_lead_to_the_line_of_the_forward_and_not_to_what_is_right(tmp_path):
    one = layer(tmp_path)
    hints = ac.check_backward(one.backward, one.forward, like="cs231n.affine").hints
    assert "Look at line 9: Which sign does this term have?" in hints
    assert "@ w + b" not in hints and "it is RIGHT" not in hints


@pytest.mark.dear
def test_the_objects_remember_what_they_did_before_the_search(tmp_path):
    one = layer(tmp_path, db="dout.max(axis=0)")
    ac.check_backward(one.backward, one.forward, like="cs231n.affine")
    assert set(vars(one)) == {"flat", "w", "shape", "rows"}
    assert one.pad() == 0 and one.rows == one.shape[0] == len(one.flat)


def test_another_eps_is_a_choice_and_no_line_is_looked_for():
    """An eps of its own is said; the forward is right."""
    verdict = ac.check_backward(right.norm_backward, right.norm_forward(0, eps=1e-3), like="cs231n.batchnorm")
    part = verdict["forward"]
    assert part.right and not part.fixes and "adds eps = 0.001" in part.text
