"""300 programs of fixed seeds, and those that once found a fault: all oracles agree, but for what ``known`` lists."""

import importlib.util

import numpy as np
import pytest

import autoconv as ac
from autoconv.functional import aliases, creation, torch_forms

from .generate import program
from .known import FOUND, KNOWN, accepted
from .oracles import check
from .shrink import shrink

SEEDS = [*((seed, 1) for seed in range(150)), *((seed, 2) for seed in range(200)), *FOUND]


def asked_here(oracle):
    """An oracle that this installation has."""
    if oracle == "torch":
        return importlib.util.find_spec("torch") is not None
    if oracle == "machine":
        compiled = ac.compile(lambda x: ac.sum(x * x))
        compiled(np.ones(3))
        return "native machine" in str(compiled.plan)
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("seed", "edition"), SEEDS)
def test_all_oracles_agree(seed, edition):
    found = {m.oracle: m for m in check(program(seed, edition)) if not accepted(m)}
    known = {oracle for *program_of, oracle in KNOWN if program_of == [seed, edition] and asked_here(oracle)}
    unknown = [shrink(m) for oracle, m in found.items() if oracle not in known]
    assert not unknown, f"seed {seed}\n\n" + "\n\n".join(map(str, unknown))
    mended = known - set(found)
    assert not mended, f"seed {seed} agrees now; remove it from KNOWN in tests/fuzz/known.py: {mended}"


def test_what_is_printed_is_what_runs(capsys):
    """The reproducer of a program, executed as text, prints the numbers of the compiled and the eager program."""
    for seed in (0, 1, 4, 5, 7):
        text = program(seed).reproducer()
        with np.errstate(all="ignore"):
            exec(text, {})
        assert capsys.readouterr().out


def test_a_planted_fault_is_found_and_shrunk_to_two_lines(monkeypatch):
    """With a wrong rule for tanh, the differences say so, and what is left is a tanh and the sum."""
    wrong = (lambda g, y, a: g * (1 + y * y),)
    monkeypatch.setattr(ac.TABLE["tanh"], "vjps", wrong)
    for seed in range(400):
        p = program(seed)
        if "ac.tanh" in p.source() and (found := check(p, "differences")):
            assert len(shrink(found[0]).program.steps) <= 3
            return
    raise AssertionError("not found")


@pytest.mark.dear
def test_the_generator_covers_the_public_surface():
    """Every public function of arrays is drawn in some of the first 3,000 seeds."""
    drawn = {step.operation for seed in range(3000) for step in program(seed).steps}
    assert functions_of_arrays() - {name.rpartition(".")[2] for name in drawn} == set()


def functions_of_arrays():
    """The public functions that a program can be made of; rows with an operator or a composition are drawn by it."""
    operators = {"add", "sub", "mul", "div", "power", "abs", "greater", "less", "equal"}
    operators |= {"greater_equal", "less_equal", "not_equal", "order"}
    rows = {n for n, row in ac.TABLE.items() if row.elementwise} - operators
    composed = {n for n, f in vars(ac).items() if getattr(f, "__module__", "").startswith("autoconv.functional")}
    others = {*creation.__all__, *torch_forms.__all__} | {name for name in vars(aliases) if name[0] != "_"}
    return rows | composed - others - {"ones_like", "zeros_like", "dropout", "conv_matrix", "concatenate"}
