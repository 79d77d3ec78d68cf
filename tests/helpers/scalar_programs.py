"""Programs of single numbers, for the tests of Scalars: a neuron, a net of neurons as objects, a GPT in lists.

Each is written for any kind of number that has the operations: a Scalar of either floor, or ``Plain``, a float.
"""

import math
import random
from itertools import pairwise


class Plain(float):
    """A float with a Scalar's functions, for the same program without a recording."""

    def exp(self):
        return Plain(math.exp(self))

    def log(self):
        return Plain(math.log(self))

    def tanh(self):
        return Plain(math.tanh(self))

    def relu(self):
        return Plain(max(0.0, self))

    @property
    def data(self):
        return float(self)


def _plain(operation):
    return lambda self, *other: Plain(operation(self, *map(float, other)))


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg"):
    setattr(Plain, f"__{_name}__", _plain(getattr(float, f"__{_name}__")))


def dot(a, b):
    return sum((x * y for x, y in zip(a[1:], b[1:], strict=True)), a[0] * b[0])


# ---- a net of neurons, as objects hold it


class Neuron:
    def __init__(self, size, bends, value, draw):
        self.w = [value(draw.uniform(-1, 1)) for _ in range(size)]
        self.b = value(draw.uniform(-1, 1))
        self.bends = bends

    def __call__(self, x):
        z = dot(self.w, x) + self.b
        return z.relu() if self.bends else z


class Net:
    def __init__(self, sizes, value, seed=0):
        draw = random.Random(seed)
        last = len(sizes) - 2
        self.layers = [[Neuron(a, k < last, value, draw) for _ in range(b)] for k, (a, b) in enumerate(pairwise(sizes))]

    def __call__(self, x):
        for layer in self.layers:
            x = [neuron(x) for neuron in layer]
        return x

    def loss(self, examples):
        scores = [self(x)[0] for x, _ in examples]
        return sum((s - y) ** 2 for s, (_, y) in zip(scores, examples, strict=True)) / len(examples)


EXAMPLES = [([1.0, -2.0], 1.0), ([0.5, 1.5], -1.0), ([-1.0, 0.3], 0.5)]


# ---- a GPT: one block of attention and one of two linear layers


class GPT:
    """A GPT on lists; ``run`` holds what the last name was computed by, under the names of the formulas."""

    def __init__(self, value, seed=0, tokens=5, width=4, heads=2, places=6, spread=0.5):
        draw = random.Random(seed)
        table = lambda rows, columns: [[value(draw.gauss(0, spread)) for _ in range(columns)] for _ in range(rows)]
        self.width, self.head = width, width // heads
        self.weights = {"wte": table(tokens, width), "wpe": table(places, width)}
        self.weights |= {name: table(width, width) for name in ("wq", "wk", "wv", "wo")}
        self.weights |= {
            "fc1": table(2 * width, width),
            "fc2": table(width, 2 * width),
            "head": table(tokens, width),
        }

    @property
    def parameters(self):
        return [w for rows in self.weights.values() for row in rows for w in row]

    @property
    def names(self):
        return {**self.weights, **self.run}

    def __call__(self, token, place):
        linear = lambda name, x: [dot(row, x) for row in self.weights[name]]
        added = lambda x, y: [a + b for a, b in zip(x, y, strict=True)]
        norm = lambda x: [a * (dot(x, x) / len(x) + 1e-5) ** -0.5 for a in x]
        x = added(self.weights["wte"][token], self.weights["wpe"][place])
        h = norm(x)
        q = linear("wq", h)
        for name, numbers in {"h": h, "q": q, "k": linear("wk", h), "v": linear("wv", h)}.items():
            self.run[name].append(numbers)
        score, a, mixed = [], [], []
        for first in range(0, self.width, self.head):
            part = slice(first, first + self.head)
            score.append([dot(q[part], key[part]) / math.sqrt(self.head) for key in self.run["k"]])
            a.append(softmax(score[-1]))
            mixed += [dot(a[-1], [value[i] for value in self.run["v"]]) for i in range(first, first + self.head)]
        x = added(x, linear("wo", mixed))
        x = added(x, linear("fc2", [u.relu() ** 2 for u in linear("fc1", norm(x))]))
        for name, numbers in {"score": score, "a": a, "mixed": mixed}.items():
            self.run[name].append(numbers)
        return linear("head", norm(x))

    def loss(self, tokens):
        self.run = {name: [] for name in ("h", "q", "k", "v", "score", "a", "mixed")}
        surprises = [-softmax(self(token, k))[after].log() for k, (token, after) in enumerate(pairwise(tokens))]
        return sum(surprises[1:], surprises[0]) / len(surprises)


def softmax(scores):
    largest = max(s.data for s in scores)
    raised = [(s - largest).exp() for s in scores]
    total = sum(raised[1:], raised[0])
    return [x / total for x in raised]


# ---- a slope without any recording


def slope(make, k, step=1e-6):
    """d loss / d parameter k by central differences; ``make(moved)`` gives the loss with parameter k moved by that."""
    return (float(make(step)) - float(make(-step))) / (2 * step)


class Moved:
    """Makes Plain numbers, number ``k`` of them moved by ``by``."""

    def __init__(self, k, by):
        self.k, self.by, self.made = k, by, 0

    def __call__(self, x):
        self.made += 1
        return Plain(x + (self.by if self.made - 1 == self.k else 0.0))
