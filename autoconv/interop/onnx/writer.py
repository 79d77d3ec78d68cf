"""``save``: any model or recorded function as a standard ONNX file; and how a graph of plain data becomes a file.

Written with onnx-ir, which the reader uses as well: it has every operator and dtype of the standard, and the package
onnx (whose checker every file passes before it is written) comes with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
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
    has no formula, for a row without an ONNX cell, and for a file of more than 2 GB; RuntimeError without onnx-ir.

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
    return built(f, recording, {})


def _outputs(f: Callable[..., Any], lines: list[Tensor]) -> tuple[list[str], list[Tensor]]:
    """Names and lines of what a function returns."""
    result = f(*lines)
    if isinstance(f, Module) and _observes(f):
        raise ValueError(
            "onnx.save: the model is in training mode, where batch norm depends on the other examples of a batch; call "
            "model.eval() first"
        )
    return named_outputs(result, "onnx.save")


def _observes(model: Module) -> bool:
    return any(m.training and "running_mean" in m._buffers for m in model.modules())


def named_outputs(result: Any, operation: str) -> tuple[list[str], list[Tensor]]:
    """The Tensors of a result, and a name for each."""
    leaves = flatten(result)[0]
    for x in leaves:
        if not isinstance(x, Tensor):
            raise TypeError(f"{operation}: the function returned {found(x)}; it must return Tensors")
    if isinstance(result, dict) and len(leaves) == len(result):
        return [str(k) for k in result], leaves
    return ["output"] if len(leaves) == 1 else [f"output_{k}" for k in range(len(leaves))], leaves


def built(f: Any, recording: Recording, asked: dict[int, str]) -> OnnxGraph:
    """The graph of a recording; ``asked``: id of a Tensor -> name, of those that are inputs of the file."""
    names = recording.names
    inputs: dict[int, str] = {}
    unread: list[tuple[int, str]] = []
    for k, name in enumerate(names):
        if k in recording.inputs:
            inputs[recording.inputs[k]] = name
        else:
            unread.append((k, name))
    held: dict[int, tuple[str, np.ndarray]] = {}
    known = {id(p): n for n, p in f._all_parameters()} if isinstance(f, Module) else {}
    for i, x in recording.tensors.items():
        if id(x) in asked:
            inputs[i] = asked[id(x)]
        else:
            held[i] = known.get(id(x)) or x.name or "tensor", x.value
    for i, (holder, name) in recording.kept.items():
        held[i] = name_of_kept(f, holder, name), np.asarray(getattr(holder, name))
    batch = None
    if recording.batch is not None:
        first, axis = recording.batch
        row = recording.inputs.get(first)
        if row is None:  # the program does not read it, but another of the same batch
            row = next((r for r in recording.inputs.values() if not isinstance(recording.program.rows[r].shape, int)
                        and len(recording.program.rows[r].shape) > axis
                        and str(recording.program.rows[r].shape[axis]) == "batch"), None)  # fmt: skip
        batch = None if row is None else (row, axis)
    graph = graph_of(recording.program, inputs, held, recording.results, batch)
    for k, name in unread:  # in its place among the others, though nothing reads it
        shape, dtype = recording.shapes[k]
        graph.inputs.insert(k, Port(name, dtype, shape))
    return graph


# ---- a file


def content(graph: OnnxGraph, operation: str) -> bytes:
    """The bytes of the file.  Raises RuntimeError without onnx-ir, ValueError for more than 2 GB."""
    try:
        import onnx
        import onnx_ir as ir
    except ImportError as error:
        raise RuntimeError(f'{operation}: ONNX files need the package onnx-ir: pip install "autoconv[onnx]"') from error
    size = sum(x.nbytes for x in graph.initialisers.values())
    if size > _LARGEST:
        raise ValueError(
            f"{operation}: the parameters have {size:,} bytes; an ONNX file holds {_LARGEST:,} at most, and external "
            "data are not written"
        )
    proto = ir.to_proto(ir_model(graph))
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString(deterministic=True))


def ir_model(graph: OnnxGraph) -> Any:
    """The graph as a model of onnx-ir."""
    import onnx_ir as ir

    values: dict[str, Any] = {}

    def value(port: Port) -> Any:
        shape = ir.Shape([n if isinstance(n, int) else str(n) for n in port.shape])
        return ir.Value(name=port.name, shape=shape, type=ir.TensorType(_dtype(port.dtype)))

    for port in graph.inputs:
        values[port.name] = value(port)
    initialisers = []
    for name, array in graph.initialisers.items():
        made = ir.tensor(np.asarray(array), name=name)
        values[name] = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(made.dtype),
                                const_value=made)  # fmt: skip
        initialisers.append(values[name])
    ends = {port.name: value(port) for port in graph.outputs}
    nodes = []
    for k, node in enumerate(graph.nodes):
        outputs = [ends.get(name) or ir.Value(name=name) for name in node.outputs]
        attributes = [_attribute(name, x) for name, x in node.attributes.items()]
        nodes.append(
            ir.Node("", node.op, [values[x] if x else None for x in node.inputs], attributes, outputs=outputs,
                    name=f"{node.op}_{k}")
        )  # fmt: skip
        values.update(zip(node.outputs, outputs, strict=True))
    made_graph = ir.Graph(
        [values[port.name] for port in graph.inputs], [values[port.name] for port in graph.outputs], nodes=nodes,
        initializers=initialisers, opset_imports={"": OPSET}, name="autoconv",
    )  # fmt: skip
    return ir.Model(made_graph, ir_version=IR_VERSION, producer_name="autoconv", producer_version=__version__)


def _dtype(dtype: np.dtype) -> Any:
    import onnx_ir as ir

    return ir.DataType.from_numpy(np.dtype(dtype))


def _attribute(name: str, x: Any) -> Any:
    import onnx_ir as ir

    if isinstance(x, np.dtype):
        return ir.AttrInt64(name, int(_dtype(x)))
    if isinstance(x, str):
        return ir.AttrString(name, x)
    if isinstance(x, tuple | list):
        return ir.AttrInt64s(name, [int(n) for n in x])
    return ir.AttrInt64(name, int(x))
