"""The machine's instruction set: what Python packs, C reads under the same names; and exact rewrites are declared as
such."""

import re

import numpy as np
import pytest

import autoconv as ac
from autoconv.compiled import compile
from autoconv.plan import contractions, extension, instructions
from autoconv.plan.native import instruction_set as isa
from autoconv.plan.rewrite import factor_sums
from autoconv.plan.run import native_run
from autoconv.program import rewrite, slope_of_result
from autoconv.program.rewrite import Rewrite

KINDS = [value for value in vars(isa).values() if isinstance(value, isa.Words)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_words_are_read_as_they_were_packed(kind):
    words = {word: 100 + n for n, word in enumerate(kind.at)}
    row = kind.row(**words)
    found = vars(kind.read(row))
    assert {word: found[word] for word in words} == words and found["kind"] is kind
    assert len(row) == kind.width and sum(x != 0 for x in row) == len(words) + (kind.opcode is not None)
    with pytest.raises(KeyError):
        kind.row(no_such_word=1)


def test_opcodes_name_one_instruction_each():
    opcodes = [kind.opcode for kind in KINDS if kind.opcode is not None]
    assert sorted(opcodes) == list(range(1, len(opcodes) + 1))
    for kind in KINDS:
        if kind.opcode is not None:
            assert isa.kind(kind.row()) is kind
            kind.work(kind.row())  # each says how much work it is


def test_the_header_says_the_same_to_c():
    found = dict(re.findall(r"(\w+) = (-?\d+)", isa.header()))
    for kind in KINDS:
        if kind.opcode is not None:
            assert int(found[kind.name]) == kind.opcode
        for word, place in kind.at.items():
            assert int(found[f"{kind.name}_{word.upper()}"]) == place
    for name, value in {**isa.PLACES, **isa.FLAGS, **isa.METHODS}.items():
        assert int(found[name]) == value
    for name, value in isa.OPERATIONS.items():
        assert int(found[name.upper()]) == value
    assert isa.DIGEST in isa.header()


def test_c_knows_one_thing_by_each_name():
    """Instructions, operations, flags and methods are enumerators side by side: no two of them may share a name."""
    names = re.findall(r"(\w+) = -?\d+", isa.header())
    assert sorted(names) == sorted(set(names))


def test_a_machine_of_another_instruction_set_is_not_used(monkeypatch):
    if extension.machine() is None:
        pytest.skip("the native machine is not built here")
    extension._built.cache_clear()
    monkeypatch.setattr(isa, "DIGEST", "another")
    try:
        assert extension.machine() is None and not extension.available()
        assert "another instruction set" in extension.backend()
    finally:
        extension._built.cache_clear()
    monkeypatch.undo()
    assert extension.machine() is not None
    extension._built.cache_clear()


def test_every_instruction_says_what_it_is():
    """To a reader, and how it is written with examples in the lanes and with channels in them."""
    kinds = [
        kind
        for module in (instructions, contractions)
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, instructions.Instruction)
        and kind is not instructions.Instruction
    ]
    assert len(set(kinds)) == 14
    for kind in kinds:
        assert kind.words
        assert kind.by_examples is not instructions.Instruction.by_examples


def test_exact_rewrites_are_shared_and_others_are_not():
    found = {
        name: value
        for module in (rewrite, factor_sums, slope_of_result)
        for name, value in vars(module).items()
        if isinstance(value, Rewrite)
    }
    assert {name for name, x in found.items() if not x.exact} == {"factor_sums"}  # guarded by bounds
    for x in found.values():
        assert x.why
        assert x.exact or not x.run.__module__.startswith("autoconv.program.")


def faulty(program, arguments, known):
    raise IndexError("a fault of the planner")


def test_a_fault_of_the_planner_is_seen_in_tests_and_not_by_users(monkeypatch):
    monkeypatch.setattr(native_run, "plan", faulty)
    monkeypatch.setenv("AUTOCONV_STRICT", "1")
    with pytest.raises(IndexError, match="a fault of the planner"):
        compile(lambda x: ac.sum(x * x))(np.ones(3))
    monkeypatch.delenv("AUTOCONV_STRICT")
    program = compile(lambda x: ac.sum(x * x))
    assert program(np.ones(3)) == 3.0
    assert "the native machine was left out: IndexError" in program.plan
