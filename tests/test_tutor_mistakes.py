"""The bank of mistakes: each is planted in convolutional nets and MLPs at random seeds, and found by its name."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from nets_for_tutor import NETS

from autoconv.tutor.breaking import Broken, break_it, mistakes
from autoconv.tutor.check import check

CONVOLUTIONAL = [name for name in NETS if "mlp" not in name]
MLPS = [name for name in NETS if "mlp" in name]

# Mistakes about windows, kernels and pooling, which an MLP does not have; all others must be found in an MLP as well.
OF_IMAGES = {
    "sum over positions replaced by the last one", "bias not summed over positions", "kernel not rotated",
    "kernel gradient reversed", "true convolution mistaken for cross-correlation", "kernel transposed",
    "windows overwritten instead of overlap-added", "overlaps averaged", "overlapping windows treated as tiles",
    "stride not dilated", "dilated by stride", "dilation forgotten", "padding not cropped", "padding shifted by one",
    "pooling gradient spread evenly", "pooling gradient copied to every cell", "pooling gradient to the wrong cell",
    "flattened in another order", "reversal forgotten", "gradient of a maximum spread evenly",
    "gradient of a maximum to every competitor",
}  # fmt: skip
# Not in these nets: operations they do not have, or a choice they do not leave.
RARE = {
    "repeated index overwritten instead of added", "one path forgotten", "not summed over channels", "matrix not transposed",
    "broadcast not summed", "square in the derivative forgotten", "power rule: exponent not brought down",
    "power rule: exponent not lowered", "only the diagonal of a Jacobian", "reciprocal forgotten",
    "half of the sigmoid's derivative", "derivative of a call taken at its output", "local derivative squared in a call",
    "gradient put at the wrong index", "input where the output belongs", "derivative taken at the output",
    "quotient rule: denominator not squared", "local derivative forgotten in a call", "operands swapped",
}  # fmt: skip


def variants(loss: Any, broken: Broken) -> Iterator[Broken]:
    """A mistake in the ways in which it can be made."""
    yield broken
    for way in broken.ways[1:4]:
        yield break_it(loss, broken.mistake.name, way=way)


def visible(true: np.ndarray, wrong: np.ndarray) -> bool:
    """Whether the mistake changes this gradient, and leaves something of it."""
    return not np.allclose(true, wrong, rtol=1e-4) and np.abs(wrong).max() > 1e-6 * np.abs(true).max()


def planted(name: str, nets: list[str]) -> list[tuple[str, str, str]]:
    """(net, tensor, names found) for one planting of mistake ``name`` in each net that has a place for it and shows it."""
    tried = []
    for net in nets:
        seed = zlib.crc32(f"{name}{net}".encode()) % 1000
        loss, tensors = NETS[net](seed)
        try:
            broken = break_it(loss, name)
        except ValueError:
            continue
        shown = ((key, b) for b in variants(loss, broken) for key in tensors if visible(b.true[key], b.broken[key]))
        for key, variant in islice(shown, 1):
            verdict = check(variant.broken[key], of=loss, wrt=tensors[key])
            found = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
            tried.append((net, key, verdict.kind if name not in found else ""))
    return tried


@pytest.mark.parametrize("name", mistakes())
def test_a_planted_mistake_is_found_by_its_name(name: str) -> None:
    in_images, in_mlps = planted(name, CONVOLUTIONAL), planted(name, MLPS)
    missed = [row for row in in_images + in_mlps if row[2]]
    assert not missed
    assert in_images or in_mlps or name in RARE
    if name not in OF_IMAGES | RARE:
        assert in_images and in_mlps


def test_there_are_more_than_thirty_mistakes() -> None:
    assert len(mistakes()) >= 50


@pytest.mark.parametrize("net", NETS)
def test_the_right_gradient_is_never_diagnosed_and_random_arrays_are_unknown(net: str) -> None:
    for seed in range(3):
        loss, tensors = NETS[net](seed)
        rng = np.random.default_rng(1000 + seed)
        loss.backward()
        for number, tensor in enumerate(tensors.values()):
            right = check(tensor.grad, of=loss, wrt=tensor)
            assert right.kind == "right" and not right.mistakes
            if number % 3 != seed:
                continue
            noise = check(rng.normal(size=tensor.shape) * np.abs(tensor.grad).max(), of=loss, wrt=tensor)
            assert noise.kind == "unknown", noise.text
            assert not noise.mistakes


def test_two_mistakes_at_two_places_are_both_told() -> None:
    from autoconv.backward import steps
    from autoconv.tape import Tape
    from autoconv.tutor.mistakes import BANK
    from autoconv.tutor.replay import Study

    loss, tensors = NETS["relu, max pooling"](5)
    study = Study(Tape(loss), tensors["w"])
    pairs = [
        ("pooling gradient spread evenly", "kernel transposed"),
        ("activation mask missing", "kernel gradient reversed"),
    ]
    for above, below in pairs:
        first = next(iter(BANK[above].plants(study)))
        second = [p for p in BANK[below].plants(study) if p.way.startswith("kernel gradient")][-1]
        wrong = BANK[below].ways(study.place(second.line, second.k))[second.way]
        rules = first.rules()

        def both(line, g, wanted, recorded, rules=rules, second=second, wrong=wrong):
            made = rules(line, g, wanted, recorded)
            return [wrong(g) if line is second.line and k == second.k else m for k, m in zip(wanted, made, strict=True)]

        walked = steps(study.loss, [study.wrt], np.ones(()), rules=both)
        (claim,) = [s.cotangent for s in walked if s.line is study.wrt]
        verdict = check(claim, of=loss, wrt=tensors["w"])
        assert {m.name for m in verdict.mistakes} == {above, below}, verdict.text
