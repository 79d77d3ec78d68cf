"""What a type checker knows of the front door.  tests/test_front_door.py runs mypy on this file: each ``assert_type``
holds, and
each line with ``# E: code`` is refused with that code, no other line is."""

from typing import assert_type

import numpy as np

import autoconv as ac
from autoconv import nn, optim
from autoconv.compiled import Compiled
from autoconv.exercises.making import Exercise
from autoconv.functional import conv2d, exp, reshape
from autoconv.nn import functional as F
from autoconv.scalar.tape import FlatTape
from autoconv.tape import Primitive, Tensor
from autoconv.tutor.certificate import Certificate
from autoconv.tutor.verdict import Verdict
from autoconv.views.equations.paths import Paths
from autoconv.views.equations.uses import Uses
from autoconv.views.graph.graph import Graph
from autoconv.views.stepper.stepper import Stepper

x, k = ac.tensor(np.ones((1, 5, 5, 1))), ac.tensor(np.ones((3, 3, 1, 2)))
t = ac.tensor([1.0, 2.0])

# operations
assert_type(x, Tensor)
assert_type(ac.conv2d(x, k, stride=2), Tensor)
assert_type(ac.conv_transpose3d(x, k), Tensor)
assert_type(ac.max_pool2d(x, 2, 2), Tensor)
assert_type(ac.sum(t), Tensor)
assert_type(ac.max(t, axis=0), Tensor)
assert_type(ac.exp(t), Tensor)
assert_type(ac.abs(t), Tensor)
assert_type(ac.exp, Primitive)
assert_type(ac.losses.cross_entropy(x, [0]), Tensor)
assert_type(ac.reshape(t, (2, 1)), Tensor)
assert_type(conv2d(x, k), Tensor)
assert_type(exp(reshape(t, -1)), Tensor)
assert_type(F.relu(t), Tensor)
assert_type(F.cross_entropy(x, [0]), Tensor)

# second names
assert_type(ac.cat([t, t]), Tensor)
assert_type(ac.clamp(t, 0, 1), Tensor)
assert_type(ac.pow(t, 2), Tensor)
assert_type(F.mse_loss(t, t), Tensor)
assert_type(ac.zeros(2, 3), Tensor)
assert_type(ac.linalg.solve(t, t), Tensor)
assert_type(t.view(2, 1).permute(1, 0).unsqueeze(0), Tensor)
assert_type(t.add(t).eq(t).detach(), Tensor)
assert_type(t.requires_grad, bool)
assert_type(t.dim(), int)
assert_type(nn.MultiheadAttention(4, 2), nn.MultiheadAttention)

# Tensor
assert_type(t.sum(), Tensor)
assert_type(t.T.reshape(2, 1).exp(), Tensor)
assert_type(1 - t * 2 @ t, Tensor)
assert_type(t == 1, Tensor)
assert_type(t[0], Tensor)
assert_type(t.shape, tuple[int, ...])

# derivatives
assert_type(ac.grad(lambda v: v * v)(t), Tensor)
assert_type(ac.grad(lambda v, w: v * w, argnums=(0, 1))(t, t), tuple[Tensor, ...])
assert_type(ac.value_and_grad(lambda v: v * v)(t), tuple[Tensor, Tensor])
assert_type(ac.jacobian(lambda v: v * v)(t), Tensor)
assert_type(ac.hvp(lambda v: v * v, t, t), Tensor)
t.sum().backward()
ac.backward(t, cotangent=np.ones(2))

# layers, models and optimisers
layer = nn.Conv2d(1, 32, 3, 1)
assert_type(layer, nn.Conv2d)
assert_type(layer(x), Tensor)
model = nn.Sequential(layer, nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(32, 10))
assert_type(model(x), Tensor)
assert_type(model.train(), nn.Sequential)
assert_type(optim.SGD(model.parameters(), lr=0.1), optim.SGD)

# questions
assert_type(ac.graph(t), Graph)
assert_type(ac.step(t), Stepper)
assert_type(ac.paths(t[0], of=t), Paths)
assert_type(ac.uses(t, of=t), Uses)
assert_type(ac.check(1.0, of=t, wrt=t), Verdict)
assert_type(ac.certificate(t, t), Certificate)
assert_type(ac.exercise(t), Exercise)
assert_type(ac.compile(lambda v: v * v), Compiled)
assert_type(ac.expand(t), FlatTape)

# refused
ac.chekc(t)  # E: attr-defined
t.smu()  # E: attr-defined
t.unsqeeze(0)  # E: attr-defined
ac.catt([t])  # E: attr-defined
ac.conv2d(x, k, strid=2)  # E: call-arg
ac.conv2d(x)  # E: call-arg
ac.max_pool2d(x, window=2)  # E: call-arg
ac.functional.conv4d(x, k)  # E: attr-defined
nn.Conv2d(1, 32)  # E: call-arg
nn.Conv4d(1, 32, 3)  # E: attr-defined
layer(x, x)  # E: call-arg
optim.SGD(model.parameters(), lr="fast")  # E: arg-type
ac.grad(lambda v: v * v)(t, t)  # E: call-arg
t.backward(seed=t)  # E: call-arg
