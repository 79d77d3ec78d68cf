"""Shape arithmetic that no operation's own test reaches."""

import pytest

from autoconv.shapes import receptive_field

# (window, stride, dilation) of each layer from the input up; (cells seen by one output, cells between neighbours),
# by hand
STACKS = [
    ([], (1, 1)),
    ([(3, 1, 1)], (3, 1)),
    ([(3, 1, 1), (3, 1, 1)], (5, 1)),
    ([(3, 1, 2)], (5, 1)),
    ([(2, 2, 1), (3, 1, 1)], (6, 2)),
    ([(5, 1, 1), (2, 2, 1), (5, 1, 1), (2, 2, 1)], (16, 4)),  # LeNet: 5, then 6, then 14, then 16
]


@pytest.mark.parametrize(("layers", "expected"), STACKS)
def test_receptive_field(layers, expected):
    assert receptive_field(layers) == expected
