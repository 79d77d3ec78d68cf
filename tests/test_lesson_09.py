"""The facts of lesson 9, outside the notebook: where the gradient of a weight of attention comes from.

The net is another than the notebook's (``helpers/scalar_programs.py``), at other seeds, sizes and texts; what is worked
out by hand is written in plain floats.
"""

import math
import random

import pytest
from helpers.scalar_programs import GPT

import autoconv as ac

SEEDS = range(3)


def case(seed, **sizes):
    """A GPT, its loss on a random text, and the numbers of its run with their gradients."""
    draw = random.Random(seed)
    net = GPT(ac.Scalar, seed=seed, **sizes)
    text = [draw.randrange(5) for _ in range(draw.choice([4, 5, 6]))]
    loss = net.loss(text)
    loss.backward()
    return net, loss, len(text) - 1


def score_bar(net, t, head, diagonal=False):
    """What arrives at the scores of one head at place t, from the gradients of ``mixed``."""
    run, first = net.run, head * net.head
    a = [x.data for x in run["a"][t][head]]
    a_bar = [
        sum(run["mixed"][t][i].grad * run["v"][s][i].data for i in range(first, first + net.head)) for s in range(t + 1)
    ]
    if diagonal:
        return [x * (1 - x) * y for x, y in zip(a, a_bar, strict=True)]
    mean = sum(x * y for x, y in zip(a, a_bar, strict=True))
    return [x * (y - mean) for x, y in zip(a, a_bar, strict=True)]


def by_hand(net, i, j, places, root):
    """d loss / d wq[i][j] = sum over t of h[t][j] sum over s of score_bar[t][s] k[s][i] / sqrt(d)."""
    bars = [score_bar(net, t, i // net.head) for t in range(places)]
    arrives = [sum(x * net.run["k"][s][i].data / root for s, x in enumerate(bar)) for bar in bars]
    return sum(x * net.run["h"][t][j].data for t, x in enumerate(arrives))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_of_every_query_weight_is_the_one_by_hand(seed):
    net, _, places = case(seed)
    for i in range(net.width):
        for j in range(net.width):
            assert net.weights["wq"][i][j].grad == pytest.approx(
                by_hand(net, i, j, places, math.sqrt(net.head)), rel=1e-9, abs=1e-15
            )


@pytest.mark.parametrize("seed", SEEDS)
def test_explain_has_one_term_for_each_place(seed):
    net, loss, places = case(seed)
    draw = random.Random(seed)
    i, j = draw.randrange(net.width), draw.randrange(net.width)
    found = ac.explain(loss, net.weights["wq"][i][j], names=net.names)
    assert [t.output for t in found.terms] == [f"q[{t},{i}]" for t in range(places)]
    assert [t.local for t in found.terms] == [net.run["h"][t][j].data for t in range(places)]
    assert [t.local_symbol for t in found.terms] == [f"h[{t},{j}]" for t in range(places)]
    assert [t.upstream for t in found.terms] == pytest.approx([net.run["q"][t][i].grad for t in range(places)])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_query_opens_into_the_scores_of_its_head(seed):
    net, loss, places = case(seed)
    t, i = places - 1, random.Random(seed).randrange(net.width)
    found = ac.explain(loss, net.run["q"][t][i], names=net.names)
    assert [x.output for x in found.terms] == [f"score[{t},{i // net.head},{s}]" for s in range(places)]
    keys = [net.run["k"][s][i].data / math.sqrt(net.head) for s in range(places)]
    assert [x.local for x in found.terms] == pytest.approx(keys)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_place_attends_to_itself_alone_and_teaches_its_query_nothing(seed):
    net, loss, _ = case(seed)
    for i in range(net.width):
        assert abs(net.run["q"][0][i].grad) < 1e-15
        assert ac.explain(loss, net.run["q"][0][i], names=net.names).reason is not None


@pytest.mark.dear
@pytest.mark.parametrize("seed", SEEDS)
def test_right_and_wrong_claims(seed):
    net, loss, places = case(seed, width=8)  # two heads of four, so that the root is 2
    i, j = random.Random(seed).randrange(8), random.Random(seed + 9).randrange(8)
    w = net.weights["wq"][i][j]
    right = by_hand(net, i, j, places, 2.0)
    assert ac.check(right, of=loss, wrt=w, names=net.names)
    verdict = ac.check(by_hand(net, i, j, places, 1.0), of=loss, wrt=w, names=net.names)
    named = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert not verdict and "factor 2 or 1/2 of the loss" in named
    assert f"Look at wq[{i},{j}]" in str(verdict)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_softmax_without_what_is_beside_its_diagonal_departs_at_the_score(seed):
    net, loss, places = case(seed)
    t = places - 1
    claim = {net.run["mixed"][t][i]: net.run["mixed"][t][i].grad for i in range(net.head)}
    right = claim | dict(zip(net.run["score"][t][0], score_bar(net, t, 0), strict=True))
    wrong = claim | dict(zip(net.run["score"][t][0], score_bar(net, t, 0, diagonal=True), strict=True))
    assert ac.check(right, of=loss, names=net.names)
    verdict = ac.check(wrong, of=loss, names=net.names)
    assert not verdict and verdict.summary.startswith(f"the claim departs at score[{t},0,")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_walk_to_a_score_ends_at_the_keys_and_queries(seed):
    net, _, _ = case(seed)
    score = net.run["score"][1][0][0]
    walk = ac.step(score, names={**net.names, "score": score})
    for i in range(net.head):
        q, k = net.run["q"][1][i], net.run["k"][0][i]
        assert walk.trail(q)[-1] == pytest.approx(k.data / math.sqrt(net.head))
        assert walk.trail(k)[-1] == pytest.approx(q.data / math.sqrt(net.head))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_weight_is_used_once_for_each_place(seed):
    net, loss, places = case(seed)
    for name in ("wq", "wk", "wv", "wo", "fc1", "head"):
        assert ac.uses(net.weights[name][1][0], of=loss).counts == places


@pytest.mark.parametrize("seed", SEEDS)
def test_it_learns(seed):
    net, loss, _ = case(seed)
    before, text = loss.data, [1, 2, 3, 4]
    for w in net.parameters:
        w.grad = 0.0
    for _ in range(60):
        loss = net.loss(text)
        loss.backward()
        for w in net.parameters:
            w.data -= 0.2 * w.grad
            w.grad = 0.0
    assert net.loss(text).data < 0.3 * before
