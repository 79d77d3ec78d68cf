"""Whatever can be asked of a Tensor's tape can be asked of a Scalar's: explain, paths, uses, step, check, graph,
exercise, Tape.  The slopes to compare with are central differences of the same program on plain floats."""

import math
import re

import numpy as np
import pytest
from helpers.scalar_programs import EXAMPLES, GPT, Moved, Net, slope
from helpers.walk_pages import read_page

import autoconv as ac
from autoconv import cli
from autoconv.scalar import floors, lines, named, scalar
from autoconv.scalar.named import named_scalars
from autoconv.views.stepper import stepper

KINDS = {"python": scalar.Scalar} | ({"native": floors.native().Scalar} if floors.native() else {})
TOKENS = [4, 0, 3, 1, 0, 4]


@pytest.fixture(params=KINDS)
def value(request):
    """The Scalar of each floor."""
    return KINDS[request.param]


def net_weight(value):
    """A weight of a net in objects: (loss, weight, its name, names, its slope by differences)."""
    model = Net([2, 3, 3, 1], value, seed=5)
    made = lambda by: Net([2, 3, 3, 1], Moved(3, by), seed=5).loss(EXAMPLES)  # w and b of a neuron are three
    return model.loss(EXAMPLES), model.layers[0][1].w[0], "model.layers[0,1].w[0]", {"model": model}, slope(made, 3)


def net_bias(value):
    model = Net([2, 2, 1], value, seed=1)
    made = lambda by: Net([2, 2, 1], Moved(5, by), seed=1).loss(EXAMPLES)
    return model.loss(EXAMPLES), model.layers[0][1].b, "model.layers[0,1].b", {"model": model}, slope(made, 5)


def gpt_weight(value):
    """A weight of attention: after 5 * 4 numbers of wte and 6 * 4 of wpe, wq[0,1] is number 45."""
    net = GPT(value)
    made = lambda by: GPT(Moved(45, by)).loss(TOKENS)
    loss = net.loss(TOKENS)
    return loss, net.weights["wq"][0][1], "wq[0,1]", {**net.names, "loss": loss}, slope(made, 45)


PROGRAMS = [net_weight, net_bias, gpt_weight]


# ---- explain, paths, uses


@pytest.mark.parametrize("program", PROGRAMS)
def test_explain_is_the_slope_and_its_terms_add_up(value, program):
    loss, w, name, names, true = program(value)
    found = ac.explain(loss, w, names=names)
    assert found.name == name
    assert found.total == pytest.approx(true, rel=1e-5)
    assert sum(t.product for t in found.terms) == pytest.approx(found.total, rel=1e-12)
    loss.backward()
    assert found.total == pytest.approx(w.grad, rel=1e-12)
    again = ac.explain(w, of=ac.expand(loss), names=names)
    assert again.text == found.text and f"d{found.context.of.text}/d{name} =" in found.text


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_level_of_an_explanation_adds_up(value, program):
    """The cotangent that a term names is the sum of its own terms, down to the loss."""
    loss, w, _, names, _ = program(value)
    waiting, met = [ac.explain(loss, w, names=names).sum], set()
    while waiting:
        whole = waiting.pop()
        if whole.scalar in met or not whole.terms:
            continue
        met.add(whole.scalar)
        assert sum(t.product for t in whole.terms) == pytest.approx(whole.total, rel=1e-9, abs=1e-15)
        waiting += [t.opened for t in whole.terms if t.opened is not None]
    assert len(met) > 3


@pytest.mark.parametrize("program", PROGRAMS[:2])
def test_the_paths_products_add_up_to_the_gradient(value, program):
    loss, w, _, names, true = program(value)
    count = ac.paths(loss, w, names=names).count
    found = ac.paths(loss, w, names=names, limit=int(count))
    assert len(found) == count < 500
    assert sum(p.product for p in found) == pytest.approx(true, rel=1e-5)


def test_paths_are_counted_and_closed_ones_named(value):
    """x goes to three neurons, one of them off, and from each to two: 6 paths, 2 of them closed."""
    x = value(1.0, "x")
    h = [(x * a).relu() for a in (2.0, -1.0, 0.5)]
    y = sum(u * b for b in (1.0, 3.0) for u in h)
    found = ac.paths(y, x, names={"h": h, "y": y})
    assert (found.count, found.open, dict(found.closed)) == (6, 4, {"maximum": 2})
    assert sorted(p.product for p in found) == [0, 0, 0.5, 1.5, 2, 6]
    assert found[0].elements[0] == "x" and "h[0]" in found[0].elements and found[0].elements[-1] == "y"


def test_uses_counts_the_operations_that_read(value):
    w, x = value(2.0, "w"), [value(float(k)) for k in range(5)]
    y = sum(w * a for a in x) + w * w
    assert ac.uses(y, w).counts == 6 and ac.uses(x[1], of=y, names={"x": x}).name == "x[1]"


def test_an_explanation_reads_like_the_formula(value):
    a, b, c = value(2.0, "a"), value(-3.0, "b"), value(0.5, "c")
    assert str(ac.explain((a * b + c) ** 2, b)) == "dL/db = 2 a (a · b + c)\n      = -22"
    ws, x = [value(0.3), value(-0.2)], [1.0, 2.0]
    y = sum(w * u for w, u in zip(ws, x, strict=True))
    assert ac.explain((y - 1) ** 2, ws[1], names={"ws": ws, "y": y}).text.splitlines()[0] == "dL/dws[1] = 2 d"
    off = (a * b).relu()
    assert "inactive maximum" in ac.explain(off * c, a).reason and ac.explain(off * c, a).total == 0
    assert ac.explain(a * b, c).reason.startswith("no path")
    assert ac.explain(a, a).total == 1


def test_a_value_is_explained_with_the_names_there_are(value):
    a, b = value(2.0, "a"), value(-3.0, "b")
    assert str(ac.explain(a * b + 1.5 + a)) == "L = a b + 1.5 + a\n  = 2·(-3) + 1.5 + 2\n  = -2.5"
    w, x = [value(0.5), value(4.0)], [value(1.0), value(-2.0)]
    z = sum(u * v for u, v in zip(w, x, strict=True))
    assert ac.explain(z, names={"w": w, "x": x, "z": z}).text.splitlines()[0].endswith("w[0] x[0] + w[1] x[1]")
    assert ac.explain(z).value == -7.5 and ac.explain(a).value == 2.0


def test_a_long_sum_is_one_step_to_the_neuron(value):
    w, x = [value(0.1 * k) for k in range(60)], [value(1.0 - 0.03 * k) for k in range(60)]
    z = sum(a * b for a, b in zip(w, x, strict=True))
    found = ac.explain(z.tanh() * 3.0 + z, w[0], names={"w": w, "x": x, "z": z})
    assert len(found.terms) == 1 and found.terms[0].written.text == "x[0] d"


# ---- names


def test_names_are_those_of_variables_lists_dictionaries_and_objects(value):
    one = [value(k) for k in range(9)]
    model = Net([1, 1], value)
    holder = {
        "a": one[0],
        "row": [one[1], one[2]],
        "table": [[one[3]], [one[4]]],
        "state": {"wq": [one[5]], "deep": {"b": one[6]}},
        "array": np.array([one[7]]),
        "model": model,
        "_": one[8],
        "again": one[1],
        "words": "text",
        "module": math,
    }
    holder["holder"] = holder  # a circle
    called = {}
    for name, x in named_scalars(holder):
        called.setdefault(id(x), name)
    wanted = ["a", "again", "row[1]", "table[0,0]", "table[1,0]", "wq[0]", "deep.b", "array[0]", None]
    assert [called.get(id(x)) for x in one] == wanted
    assert called[id(model.layers[0][0].w[0])] == "model.layers[0,0].w[0]"


def test_looking_for_names_ends(value, monkeypatch):
    monkeypatch.setattr(named, "LOOKED", 50)
    data = {"pixels": [0.5] * 1000, "words": ("text",) * 1000, "w": [value(1.0)]}  # numbers and words do not count
    assert [name for name, _ in named_scalars(data)] == ["w[0]"]
    assert len(list(named_scalars({"w": [value(1.0)] * 30, "v": [[value(2.0)] * 100]}))) < 60


def test_a_name_of_its_own_comes_first_and_an_index_stands_below(value):
    w = [value(2.0, "given"), value(3.0)]
    y = w[0] * w[1]
    found = ac.explain(y, w[0], names={"w": w})
    assert found.name == "given" and "w_{1}" in found.latex.replace(" ", "")
    assert {x.name for x in ac.Tape(y)} == {"given", None}  # views do not write


# ---- Tape, step, graph, exercise


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_tape_has_the_recorded_numbers_and_the_sweep_gives_the_same_gradients(value, program):
    loss, w, _, _, true = program(value)
    tape = ac.Tape(loss)
    flat = ac.expand(loss)
    assert len(tape) == len(flat) - 1 and all(x.shape == () for x in tape)
    assert tape.outputs[0].item() == loss.data and [x.item() for x in tape] == flat.value[1:].tolist()
    (line,) = tape.lines_of(w)
    (g,) = ac.sweep(tape.outputs[0], [line])
    assert g == pytest.approx(true, rel=1e-5)
    (rerun,) = tape.run({})
    assert float(rerun) == pytest.approx(loss.data, rel=1e-12)


def test_a_tape_prints(value):
    a, b = value(2.0, "a"), value(3.0)
    expected = """Tape of 4 lines
%0    ()                 input   # a
%1    ()                 input
%2    ()                 mul(%0, %1)
%3    ()                 maximum(%2, %0, ties=split)"""
    assert str(ac.Tape((a * b).maximum(a))) == expected


@pytest.mark.parametrize("program", PROGRAMS[:2])
def test_a_walk_ends_at_the_gradient(value, program):
    loss, w, name, names, true = program(value)
    walk = ac.step(loss, names=names)
    assert walk.trail(w)[-1] == pytest.approx(true, rel=1e-5) and walk.trail(name) == walk.trail(w)
    event = walk.until(w)
    assert event.kind == "input" and event.text.startswith(f"{name} = ")
    assert walk.breakpoint(f"abs(grad({name})) > 0").kind == "accumulate"
    assert walk.note == "" and name in {line["name"] for line in read_page(walk.page)["lines"]}
    asked = ac.step(loss, wrt=[w], names=names)
    assert {e.target.name or asked.names[id(e.target)] for e in asked if e.kind == "gradient"} == {name}


def test_of_a_large_program_the_last_lines_are_walked(value, monkeypatch):
    monkeypatch.setattr(stepper, "WALKED", 40)
    w, x = value(0.3, "w"), value(1.0, "x")
    y = x
    for _ in range(60):
        y = (y * w).tanh() + x
    last = value(2.0, "last")
    loss = y * last
    walk = ac.step(loss)
    assert len([e for e in walk if e.kind == "forward"]) <= 40
    assert walk.note.startswith("Walked here: the last 40 of 184 scalars") and walk.note in repr(walk)
    assert walk.note in walk.page
    assert walk.trail(last)[-1] == y.data
    cone = ac.step(loss, wrt=last)
    assert [e.kind for e in cone].count("accumulate") == 1 and "what leads from wrt to the output, of 184" in cone.note
    with pytest.raises(ValueError, match=r"more than 40 of the 184 scalars.*explain"):
        ac.step(loss, wrt=w)


def test_a_walk_of_scalars_has_a_neuron_as_one_unit(value):
    w, x = [[value(0.1 * k - j) for k in range(30)] for j in range(3)], [value(0.1 * k) for k in range(30)]
    z = [sum(a * b for a, b in zip(row, x, strict=True)) for row in w]
    y = z[0] * z[1] + z[2]
    units = ac.step(y, names={"w": w, "x": x, "z": z, "y": y}).units
    inputs = {f"x[{k}]" for k in range(30)}
    assert {u.name for u in units if u.kind == "input"} == inputs
    made = [u for u in units if u.kind == "call"]
    assert [(u.name, len(u.lines)) for u in made] == [*[(f"z[{j}]", 1 + 3 * 30) for j in range(3)], ("y", 2)]
    assert [[units[k].name for k in u.reads if units[k].kind == "call"] for u in made] == [
        [],
        [],
        [],
        ["z[0]", "z[1]", "z[2]"],
    ]


def test_a_graph_has_the_names_and_can_be_cut_at_a_computed_scalar(value):
    w = [value(1.0), value(2.0)]
    h = w[0] * w[1]
    y = (h + 1.0).exp() * w[0]
    titles = lambda **more: [n.title for n in ac.graph(y, names={"w": w, "h": h, "y": y}, **more).nodes]
    assert titles()[:3] == ["w[0]", "w[1]", "h"]
    assert set(titles(focus=h, direction="down")) == {"h", "y"} | {t for t in titles() if t not in ("w[0]", "w[1]")}


def test_a_sheet_is_made_of_scalars(value):
    w, x = [value(2.0), value(-1.0)], [value(3.0), value(4.0)]
    z = sum(a * b for a, b in zip(w, x, strict=True))
    loss = z**2
    names = {"w": w, "x": x, "z": z, "loss": loss}
    for wrt in (None, w[0], z, [w[0], x[1]], "w[0]"):
        sheet = ac.exercise(loss, blanks=1, wrt=wrt, names=names)
        assert ac.check(sheet, sheet.values).summary == "1 of 1 right"
    assert "w" in ac.exercise(loss, blanks=2, kind="arrays", names=names).markdown()


# ---- check

CLAIMS = {
    "2*(y - 1)*x[1]": True,
    "2*(sum(w*x) - 1)*x[1]": True,
    "(y - 1)*x[1]": "factor 2 or 1/2 of the loss",
    "2*(1 - y)*x[1]": "sign",
    "2*(y - 1)": False,
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_formula_speaks_of_scalars_by_their_names(value, claim):
    w, x = [value(0.3), value(-0.7), value(0.2)], [value(1.5), value(2.2), value(-0.4)]
    y = sum(a * b for a, b in zip(w, x, strict=True))
    verdict = ac.check(claim, of=(y - 1) ** 2, wrt=w[1], names={"w": w, "x": x, "y": y})
    wanted = CLAIMS[claim]
    assert bool(verdict) is (wanted is True)
    if isinstance(wanted, str):
        assert wanted in {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}


@pytest.mark.dear
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_number_is_right_or_wrong(value, program):
    loss, w, name, names, _ = program(value)
    loss.backward()
    assert ac.check(w.grad, of=loss, wrt=w, names=names)
    assert ac.check(w.grad, of=loss, wrt=name, names=names)
    verdict = ac.check(-w.grad, of=loss, wrt=w, names=names)
    assert not verdict and "sign" in {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    verdict = ac.check(1.37 * w.grad + 0.01, of=loss, wrt=w, names=names)
    assert not verdict and f"Look at {name}: you have" in str(verdict)


@pytest.mark.parametrize("kind", ["Scalar", "tensor"])
def test_a_difference_that_is_zero_is_searched_too(kind):
    a = {"Scalar": ac.Scalar, "tensor": ac.tensor}[kind](2.0, name="a")
    y = np.exp(a - 2.0) * a
    assert ac.check(3.0, of=y, wrt=a) and not ac.check(0.77, of=y, wrt=a)


def test_the_gradient_of_a_program_that_subtracts_the_bias_is_known(value):
    w, x, b = value(0.4, "w"), value(0.7, "x"), value(0.3, "b")
    y = (w * x + b).tanh()
    slope = 1 - np.tanh(0.4 * 0.7 - 0.3) ** 2
    for wrt, claim in ((w, 0.7 * slope), (x, 0.4 * slope), (b, -slope)):
        verdict = ac.check(claim, of=y, wrt=wrt)
        assert verdict.kind == "right for another forward" and "subtracts the bias" in str(verdict), str(verdict)


def test_several_claims_name_the_first_that_departs(value):
    net = GPT(value)
    loss = net.loss(TOKENS)
    loss.backward()
    inside = [net.run["mixed"][2][0], net.run["a"][2][0][1], net.run["score"][2][0][1], net.run["q"][2][0]]
    claims = {x: x.grad for x in inside}
    assert "all 4 cotangents agree" in ac.check(claims, of=loss, names=net.names).summary
    claims |= {x: 1.5 * x.grad for x in inside[2:]}
    assert ac.check(claims, of=loss, names=net.names).summary.startswith("the claim departs at score[2,0,1]")


PROGRAM = """
import autoconv as ac

def loss():
    w, x = [ac.Scalar(0.5), ac.Scalar(-1.0)], [ac.Scalar(2.0, "first"), 3.0]
    y = w[0] * x[0] + w[1] * x[1]
    loss = (y - 1) ** 2
    return loss, locals()
"""


def test_the_command_line_takes_a_function_of_scalars(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(PROGRAM)
    for at, said in {"w[1]": "dloss/dw[1] = 3 d", " w[ 1 ]": "= -18", "first": "w[0] d", "y": "2(y - 1)"}.items():
        assert cli.main(["explain", "net.py:loss", "--at", at, "--depth", "1"]) == 0
        assert said in capsys.readouterr().out
    assert cli.main(["explain", "net.py:loss", "--at", "q"]) == 2
    assert "no tensor is called 'q'; there are first" in capsys.readouterr().err
    assert cli.main(["check", "net.py:loss", "--wrt", "w[1]", "--formula", "2*(y - 1)*3"]) == 0
    assert cli.main(["check", "net.py:loss", "--wrt", "w[1]", "--formula", "(y - 1)*3"]) == 1
    assert cli.main(["step", "net.py:loss", "--output", "walk.html"]) == 0
    assert cli.main(["graph", "net.py:loss", "--focus", "w[0]"]) == 0
    assert cli.main(["exercise", "net.py:loss", "--blanks", "1", "--out", "sheet.md"]) == 0
    assert {"walk.html", "loss.svg", "sheet.md", "sheet.key.json"} <= {p.name for p in tmp_path.iterdir()}


# ---- large programs


def test_an_explanation_makes_only_the_lines_it_shows(value):
    net = GPT(value, width=8, tokens=12)
    loss = net.loss([11, 3, 1, 4, 1, 5])
    w = net.weights["wq"][0][1]
    found = ac.explain(loss, w, names=net.weights, depth=2)
    graph = found.context.analysis.graph
    asked = set(graph.made) - {i for x in net.parameters for i in graph.flat.numbers_of(x)}
    assert found.text and graph.size > 10_000 and len(asked) < 200


def test_a_tape_too_large_is_refused_with_numbers(value, monkeypatch):
    monkeypatch.setattr(lines, "LARGEST", 20)
    y = value(1.0)
    for _ in range(30):
        y = y * y
    with pytest.raises(ValueError, match=r"Tape: 32 scalars, more than 20.*explain"):
        ac.Tape(y)
    assert ac.explain(y * 2.0, y).total == 2


def test_a_search_too_large_says_so(value, monkeypatch):
    import autoconv.tutor.check as check

    monkeypatch.setattr(check, "SCALARS", 20)
    w = value(0.9, "w")
    y = w
    for _ in range(30):
        y = (y * w).tanh()
    y.backward()
    assert ac.check(w.grad, of=y, wrt=w)
    assert "scalars, and up to" in str(ac.check(w.grad + 0.1, of=y, wrt=w))


@pytest.mark.dear
def test_a_chain_of_any_length_is_explained(value):
    x = y = value(1.0, "x")
    for _ in range(50_000):
        y = y * 1.0001
    assert ac.explain(y, x).total == pytest.approx(1.0001**50_000, rel=1e-9)


# ---- what cannot be meant


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (lambda s, S, t, T: t * s, TypeError, "a Tensor and a Scalar do not mix"),
        (lambda s, S, t, T: s - t, TypeError, "a Tensor and a Scalar do not mix"),
        (lambda s, S, t, T: ac.exp(s), TypeError, r"x\.exp\(\) or np\.exp\(x\)"),
        (lambda s, S, t, T: ac.explain(S, t), TypeError, "the output is a Scalar, so a Scalar is needed"),
        (lambda s, S, t, T: ac.explain(T, s), TypeError, "a Scalar was asked for.*is a Tensor"),
        (lambda s, S, t, T: ac.explain(S, 3.0), TypeError, "a Scalar is needed here, found float"),
        (lambda s, S, t, T: ac.paths(S, t), TypeError, "paths: the output is a Scalar"),
        (lambda s, S, t, T: ac.uses(T, s), TypeError, "uses: a Scalar was asked for"),
        (lambda s, S, t, T: ac.uses(S, type(s)(1.0)), ValueError, "not on the tape of this output"),
        (lambda s, S, t, T: ac.step(S, wrt=t), TypeError, "step: wrt: the output is a Scalar"),
        (lambda s, S, t, T: ac.step(T, wrt=s), TypeError, "step: wrt: a Scalar was asked for"),
        (lambda s, S, t, T: ac.step(S).until(t), TypeError, "the output is a Scalar"),
        (lambda s, S, t, T: ac.check(1.0, of=S, wrt=t), TypeError, "check: wrt: the output is a Scalar"),
        (lambda s, S, t, T: ac.check(1.0, of=S, wrt="q"), ValueError, "no tensor is called 'q'; there are s"),
        (lambda s, S, t, T: ac.check(1.0, of=T, wrt=s), TypeError, "check: wrt: a Scalar was asked for"),
    ],
)
def test_mixtures_are_refused(value, asked, error, words):
    s, t = value(2.0, "s"), ac.tensor(3.0, name="t")
    with pytest.raises(error, match=words):
        asked(s, s * s, t, t * t)


def test_an_input_that_was_given_another_value_meanwhile_is_two(value):
    s = value(2.0, "s")
    y = s * 3.0
    s.data = 5.0
    assert ac.explain(y, s).total == 3 and ac.explain(y * y, s).total == 2 * 6 * 3  # of the value it was recorded with
    both = y * s
    for asked in (ac.explain, ac.paths, ac.uses):
        with pytest.raises(ValueError, match="was given 2 values"):
            asked(both, s)
    assert [x.name for x in ac.Tape(both).inputs] == ["s", "s"]


def test_refusals_fit_on_the_screen(value):
    with pytest.raises(TypeError) as error:
        ac.explain(value(1.0) * 2.0, ac.tensor(1.0))
    assert len(re.sub(r"\s+", " ", str(error.value))) < 200
