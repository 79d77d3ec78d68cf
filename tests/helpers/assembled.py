"""What the planner has made for the native machine, read as its instructions."""

import numpy as np

from autoconv.plan.native import instruction_set as isa
from autoconv.plan.run.native_program import NativeProgram


def rows(code, width=isa.WIDTH):
    """The rows of numbers of a code."""
    return np.frombuffer(code, np.int64).reshape(-1, width).tolist()


def instructions(programs):
    return [isa.kind(row).read(row) for program in programs for row in rows(program.code)]


def packings(programs):
    return [isa.PACKING.read(row) for program in programs for row in rows(program.packing, isa.PACKING.width)]


def assembled(monkeypatch):
    """The programs that are settled from now on, in a list that grows."""
    made, settle = [], NativeProgram.settle
    monkeypatch.setattr(NativeProgram, "settle", lambda native: (made.extend(native.assembled), settle(native)))
    return made
