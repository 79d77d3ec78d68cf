"""The packs' words spoken by the live page: each case is recorded, and its program and sweep run by node in JavaScript.

python check_pack.py open.npz --adapter adapter_live:Adapter
"""

import atexit
import sys
import tempfile
from pathlib import Path

import adapter_autoconv
import numpy as np

import autoconv as ac
from autoconv.program.program import from_tape

sys.path.insert(0, str(Path(__file__).parent.parent))
from helpers.in_node import Node


class Adapter(adapter_autoconv.Adapter):
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.node = Node(Path(self.folder.name))
        atexit.register(self.node.close)

    def call(self, op, attrs, arrays, wrt, g):
        """One operation on fresh leaves -> (out, {name: gradient of sum(out * g)})."""
        leaves = {k: ac.tensor(v) for k, v in arrays.items()}
        out = adapter_autoconv.operation(op, attrs, leaves)
        if out.dtype.kind != "f" or out.constant or not wrt:
            given = list(leaves.values())
            return self.node.run(from_tape([out], given, 0), [x.value for x in given])[0], {}
        asked = [k for k in wrt if k in leaves]
        loss = ac.sum(out * (np.ones(out.shape) if g is None else g))
        _, gradients, (value,) = self.node.gradients(ac.Tape(loss), [leaves[k] for k in asked], out)
        return value, dict(zip(asked, gradients, strict=True))

    def program(self, prog, leaves):
        """A random programme of elementwise, reducing and moving operations -> (value, gradients)."""
        result, tensors = adapter_autoconv.programme(prog, leaves)
        value, gradients, _ = self.node.gradients(ac.Tape(result), list(tensors.values()))
        return value, dict(zip(tensors, gradients, strict=True))
