"""``save``: any model or recorded function as a standard ONNX file; and how a graph of plain data becomes a file.

Written with the message classes of the package onnx, which the reader uses as well; every file passes its checker
before it is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...files import replace_file
from ...nn.module import Module
from ...operands import found
from ...tape import Tensor
from ...tree import flatten
from .graph import graph_of
from .nodes import OPSET, OnnxGraph, Port
from .recording import Recording, inputs_of, name_of_kept, recorded

IR_VERSION = 8  # that of opset 18
_LARGEST = 2**31 - 1  # bytes: protobuf holds no more in one message


def save(f: Callable[..., Any], path: str | os.PathLike[str], inputs: Any, *, batch_axis: int | None = 0) -> Path:
    """Write a Module, or a function of arrays, as a standard ONNX file (opset 18); returns the path.

        outputs = f(*inputs)

    inputs: example arrays in the order of the arguments, or a dict from name to array.  Only shapes and dtypes matter:
    the size of ``batch_axis`` of the first input, and of every other input that has the same, is dynamic in the file
    ("batch"), however sizes and means depend on it; ``batch_axis=None`` fixes all sizes.  Inputs have the names of the
    arguments, parameters and buffers those of ``state_dict``; the output is "output" (several: "output_0", ..; of a
    dict: its keys).  Whole numbers (labels) are inputs as well.
    A Module is written in the mode that it is in; with batch norm or dropout call ``model.eval()`` first.
    Raises ValueError for a function that looks at its numbers, draws random ones or depends on the batch in a way that
    has no formula, for a row without an ONNX cell, and for a file of more than 2 GB; ImportError without onnx.

    >>> model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU())
    >>> ac.onnx.save(model, "model.onnx", inputs=(np.zeros((4, 3), np.float32),)).name  # doctest: +SKIP
    'model.onnx'
    """
    replace_file(path, content(model_graph(f, inputs, batch_axis=batch_axis), "onnx.save"))
    return Path(path)


def model_graph(f: Callable[..., Any], inputs: Any, *, batch_axis: int | None = 0) -> OnnxGraph:
    """What ``save`` writes, as plain data; needs no package.

    >>> from autoconv.interop.onnx.writer import model_graph
    >>> graph = model_graph(lambda x: ac.sum(x * x, axis=1), (np.zeros((2, 3)),))
    >>> [node.op for node in graph.nodes], [str(n) for n in graph.outputs[0].shape]
    (['Mul', 'ReduceSum'], ['batch'])
    """
    names, arrays = inputs_of(f, inputs, "onnx.save")
    recording = recorded(f, names, arrays, batch_axis, _outputs, "onnx.save")
    if recording.observed:
        raise ValueError(
            "onnx.save: the model is in training mode, in which batch norm uses the batch and keeps running "
            "statistics; call model.eval() first"
        )
    return built(f, recording)


def _outputs(f: Callable[..., Any], lines: list[Tensor]) -> tuple[list[str], list[Tensor]]:
    """Names and lines of what a function returns."""
    result = f(*lines)
    names, leaves = named_outputs(result, "onnx.save")
    known = getattr(f, "output_names", None)  # of a model that was read from a file
    return (list(known) if known and len(known) == len(leaves) else names), leaves


def named_outputs(result: Any, operation: str) -> tuple[list[str], list[Tensor]]:
    """The Tensors of a result, and a name for each."""
    leaves = flatten(result)[0]
    for x in leaves:
        if not isinstance(x, Tensor):
            raise TypeError(f"{operation}: the function returned {found(x)}; it must return Tensors")
    if isinstance(result, dict) and len(leaves) == len(result):
        return [str(k) for k in result], leaves
    return ["output"] if len(leaves) == 1 else [f"output_{k}" for k in range(len(leaves))], leaves


def built(model: Any, recording: Recording, asked: Sequence[tuple[Tensor, str]] = ()) -> OnnxGraph:
    """The graph of a recording.  ``model`` knows the names of parameters, if it is a Module; ``asked``: Tensors that
    are inputs of the file, and their names."""
    inputs: list[tuple[Port, int | None]] = [(port, recording.inputs.get(k)) for k, port in enumerate(recording.ports)]
    rows = {id(x): i for i, x in recording.tensors.items()}
    inputs += [(Port(name, x.dtype, x.shape), rows.get(id(x))) for x, name in asked]
    wanted = {id(x) for x, _ in asked}
    known = {id(p): n for n, p in model._all_parameters()} if isinstance(model, Module) else {}
    held = {
        i: (known.get(id(x)) or x.name or "tensor", x.value)
        for i, x in recording.tensors.items()
        if id(x) not in wanted
    }
    for i, (holder, name) in recording.kept.items():
        held[i] = name_of_kept(model, holder, name), np.asarray(getattr(holder, name))
    return graph_of(recording.program, inputs, held, recording.results, recording.batch)


# ---- a file


def content(graph: OnnxGraph, operation: str) -> bytes:
    """The bytes of the file.  Raises ImportError without the package onnx, ValueError for more than 2 GB."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f'{operation} needs onnx: pip install "autoconv[onnx]"') from error
    size = sum(x.nbytes for x in graph.initialisers.values())
    if size > _LARGEST:
        raise ValueError(
            f"{operation}: the parameters have {size:,} bytes; an ONNX file holds {_LARGEST:,} at most, and external "
            "data are not written"
        )
    model = _message(graph)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _message(graph: OnnxGraph) -> Any:
    """The graph as the package's messages."""
    from onnx import helper, numpy_helper

    def port(x: Port) -> Any:
        shape = [n if isinstance(n, int) else str(n) for n in x.shape]
        return helper.make_tensor_value_info(x.name, helper.np_dtype_to_tensor_dtype(x.dtype), shape)

    nodes = []
    for k, node in enumerate(graph.nodes):
        attributes = {
            name: int(helper.np_dtype_to_tensor_dtype(x)) if isinstance(x, np.dtype) else x
            for name, x in node.attributes.items()
        }
        nodes.append(helper.make_node(node.op, node.inputs, node.outputs, name=f"{node.op}_{k}", **attributes))
    held = [numpy_helper.from_array(np.asarray(x), name) for name, x in graph.initialisers.items()]
    made = helper.make_graph(nodes, "autoconv", list(map(port, graph.inputs)), list(map(port, graph.outputs)), held)
    return helper.make_model(
        made,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="autoconv",
    )
