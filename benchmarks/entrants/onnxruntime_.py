"""onnxruntime: inference of the file that ``ac.onnx.save`` writes; a second opinion on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import nets
import numpy as np
import onnxruntime
import ours

import autoconv as ac


def predict(net: nets.Net, batch: int) -> Callable[[], float]:
    x = nets.data(net, batch)[0]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "net.onnx")
        ac.onnx.save(ours.model(net).eval(), file, x)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: float(np.asarray(session.run(None, {name: x})[0]).flat[0])


PREDICTORS = {"onnxruntime": predict}
