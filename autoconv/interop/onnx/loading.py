"""``ac.onnx.load``: an ONNX file read into a graph, and run as a Module of autoconv."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...files import read_regular
from ...nn.init import Rng
from ..imported import Imported
from .operators import OPERATIONS
from .reader import Reader
from .tensors import Tensors


def load(path: str | os.PathLike[str], *, rng: Rng = None) -> Imported:
    """An ONNX file as a Module of autoconv, which can be trained, drawn, stepped through, explained and compiled.

        model = ac.onnx.load("resnet18.onnx").eval()
        loss = ac.losses.cross_entropy(model(images), labels)

    It takes the graph's inputs in their order or by name, channels first as ONNX has them, and returns its output, or
    a tuple of several (``model.output_names``).  Sizes that the file leaves open are those of the inputs.

    Floating-point initialisers (in a file without any: Constants of more than one number) are the parameters, under
    their own names; BatchNormalization's mean and variance, and what PyTorch's exporter calls a buffer, are buffers;
    scalars (but for PyTorch's parameters), whole numbers, what leads to a shape and what operators take as a setting
    are constants.  ``train()`` changes nothing: an ONNX file has one graph, in which BatchNormalization uses the stored
    statistics and Dropout passes on, unless it says otherwise.  Scopes follow the nodes' names ("/layer1/conv1/Conv"),
    or PyTorch's notes in the file; each line's ``source`` names its node.  rng: generator or seed for Dropout.

    The file is read as data, never executed, and its sizes are not trusted.  It is read with the message classes of
    ``onnx`` (which onnx-ir brings along) rather than as onnx-ir's graph, since every name and size is to be looked at
    before names are resolved.  Opsets 7 to 28.
    Raises UnsupportedError, which lists every operator that is not covered with its node; ValueError for a file that
    is no ONNX, is damaged, or has external data outside its folder; OSError for one that cannot be read; ImportError
    without onnx (``pip install "autoconv[onnx]"``).  What depends on numbers and not on shapes alone, as the size of
    NonZero's result, raises ValueError with the node when the model runs.
    """
    try:
        from google.protobuf.message import DecodeError
        from onnx import ModelProto
    except ImportError as error:
        raise ImportError('onnx.load needs onnx: pip install "autoconv[onnx]"') from error
    content = read_regular(path)
    what = f"onnx.load: {os.fspath(path)}"
    try:
        message: Any = ModelProto.FromString(content)
    except DecodeError:
        raise ValueError(f"{what} is no ONNX file, or is cut off") from None
    if not message.HasField("graph") or not message.opset_import:
        raise ValueError(f"{what} is no ONNX model: it has no graph, or names no set of operators")
    title = Path(path).stem
    reader = Reader(message, Tensors(Path(os.path.realpath(path)).parent), what, title)
    model = Imported(title, reader.graph, reader.graph, reader.parameters, reader.buffers, OPERATIONS, rng=rng)
    vars(model)["output_names"] = reader.outputs
    return model
