"""Channels that do not stand side by side: rolled, turned, picked or joined before, between and after contractions.

With channels in the lanes a contraction that goes channel by channel reads whole vectors of neighbours, so registers
in another order have to be copied first, whether two in the middle happen to be neighbours or not."""

from itertools import product

import numpy as np
import pytest

import autoconv as ac

ORDER = {5: [3, 1, 2, 4, 0], 8: [6, 7, 2, 3, 4, 5, 0, 1], 19: [*range(7, 19), *range(7)]}
MOVES = {
    "rolled": lambda v: ac.roll(v, 2, axis=-1),
    "turned": lambda v: ac.flip(v, axis=-1),
    "in another order": lambda v: ac.take(v, np.array(ORDER[v.shape[-1]]), axis=-1),
    "some twice": lambda v: ac.take(v, np.arange(v.shape[-1]) // 2 + 1, axis=-1),
    "joined": lambda v: ac.concat([v[..., 3:], v[..., :3]], axis=-1),
    "moved up and padded": lambda v: ac.pad(v, [(0, 0)] * (v.ndim - 1) + [(1, 0)])[..., :-1],
}
SPECS = ["nc,c->nc", "njc,jc->nc", "njc,jc->njc", "njkc,kc->njc", "nkc,nkc->nc", "njc,njc->c", "njkc,njc->kc"]
SIZES = {"n": 3, "j": 2, "k": 4}


@pytest.mark.parametrize("lanes", ["channels", "examples"])
@pytest.mark.parametrize(("spec", "move"), [*product(SPECS, MOVES)])
def test_moved_channels_of_a_contraction_channel_by_channel(spec, move, lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    rng, moved = np.random.default_rng(len(spec)), MOVES[move]
    for channels, where in product(ORDER, ("left", "right", "result")):
        x, w = [
            rng.normal(size=[{**SIZES, "c": channels}[c] for c in operand])
            for operand in spec.partition("->")[0].split(",")
        ]

        def loss(x, w, where=where):
            left, right = moved(x) if where == "left" else x, moved(w) if where == "right" else w
            y = ac.einsum(spec, left, right)
            return ac.sum(ac.tanh(moved(y) if where == "result" else y) * np.arange(1.0, y.shape[-1] + 1))

        value, slopes = ac.value_and_grad(loss, argnums=(0, 1))(x, w)
        program = ac.compile(loss)
        for _ in range(2):
            found, found_slopes = program.value_and_grad(x, w, wrt=(0, 1))
        np.testing.assert_allclose(found, value, rtol=1e-12, err_msg=f"{channels} channels, {where}")
        for slope, right in zip(found_slopes, slopes, strict=True):
            np.testing.assert_allclose(slope, right, rtol=1e-10, atol=1e-12, err_msg=f"{channels} channels, {where}")
