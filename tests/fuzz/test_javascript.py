"""The same programs in the live page's interpreter, run by node: values and gradients differ by rounding only."""

import numpy as np
import pytest

import autoconv as ac
from autoconv.program.program import from_tape
from autoconv.program.rewrite import hoist, simplify
from autoconv.program.slope_of_result import slope_of_result

from .generate import program
from .oracles import Eager

SEEDS = range(300)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", SEEDS)
def test_javascript_agrees(node, seed):
    with np.errstate(all="ignore"):
        eager = Eager(program(seed))
        which = [i for i, y in enumerate(eager.results) if isinstance(y, ac.Tensor)]
        given = [x for x in eager.lines if isinstance(x, ac.Tensor)]
        made = from_tape([eager.results[i] for i in which], given, 0)
        found = node.run(simplify(slope_of_result(hoist(simplify(made)))), [x.value for x in given])
        results = list(eager.results)
        for i, y in zip(which, found, strict=True):
            results[i] = y.astype(eager.values[i].dtype)
        says = eager.compare(results)
    assert not says, f"{says}\n{eager.program.reproducer()}"
