"""A third set of students that nobody had seen when the marking was written: layers, activations, recurrences, nets.

At first sight 72 % of the 172 wrong functions that have a reference were told by name and 18 % by their line (6 % had
no name, 5 % one that was not meant), of the 49 with nothing but their own forward 12 %: no line was looked for there.
Of the 35 of ``third_later``, written and run after that was mended, 83 %.  None was called right, no right one wrong.
"""

import pytest
from helpers.students.unseen import third_courses, third_later, third_own, third_plain  # noqa: F401 (they make the students)
from helpers.students.unseen.hands import named_alone, told
from helpers.students.unseen.third_hands import THIRD, claims, judged

MEANT = {  # named rightly, by a name that nobody had foreseen
    "affine sums: w_of_max", "dl mean: no_stride_end", "squeeze excite: no_direct", "channel softmax: no_second",
    "strided 1d: axis",
}  # fmt: skip
UNTOLD = {  # two changes, or no plain one
    "group einsum: rows_mixed", "maxout: all_pieces", "maxout: w_0", "own batch norm 2d: axes_n", "triplet: no_mask",
}  # fmt: skip
RIGHT = [s for s in THIRD if s.words is None]
WRONG = [s for s in THIRD if s.words is not None]
PARTS = 8


def needs(one):
    """A student's torch."""
    if "import torch" in one.text:
        pytest.importorskip("torch")


@pytest.mark.quick(4)
@pytest.mark.parametrize("one", RIGHT, ids=lambda s: s.label)
def test_the_right_functions_are_right(one, tmp_path):
    needs(one)
    verdict = judged(one, tmp_path / "layers.py")
    assert verdict and not verdict.damage, verdict.text


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_bug_is_never_right_and_told_by_name_or_line(part, tmp_path):
    how = {}
    for number, one in enumerate([s for s in WRONG if "import torch" not in s.text][part :: 2 * PARTS]):
        verdict = judged(one, tmp_path / f"layers{number}.py")
        assert not verdict, one.label
        how[one.label] = told(one, verdict)
    others = {label: was for label, was in how.items() if was not in ("named", "line") and label not in MEANT | UNTOLD}
    assert len(others) <= 0.05 * len(how) + 1, others


@pytest.mark.parametrize("one", [s for s in WRONG if "import torch" in s.text], ids=lambda s: s.label)
def test_a_bug_in_torch_is_told_by_name_or_line(one, tmp_path):
    needs(one)
    assert told(one, judged(one, tmp_path / "layers.py")) in ("named", "line")


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("part", range(PARTS))
def test_their_arrays_alone_are_never_right(part, tmp_path):
    """The numbers without the functions: a slip at a name or a number leaves none that has a name of its own."""
    some = [s for s in WRONG if s.words and "import torch" not in s.text][part :: 2 * PARTS]
    wrongs = ((one.label, one.words, claims(one, tmp_path / f"layers{number}.py")) for number, one in enumerate(some))
    named, others = named_alone(wrongs)
    assert named >= 0.4 * (named + len(others)) - 1, others
