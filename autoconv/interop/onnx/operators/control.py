"""ONNX's operators with graphs inside them, and what takes one of several results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...graph import Constant, Graph, filled
from ...imported import Imported, on_model
from .known import known

Operation = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Body:
    """A graph inside an operator: it reads values of the graph around it as its inputs."""

    graph: Graph
    operations: Mapping[str, Operation]

    def run(self, model: Imported, inputs: tuple[Any, ...]) -> Any:
        """The graph's outputs for ``inputs``."""
        values = {place.number: model.held(x) for place, x in zip(self.graph.positional, inputs, strict=True)}

        def content(place: Any) -> Any:
            return self.graph.constants[place.name] if isinstance(place, Constant) else values[place.number]

        for node in self.graph.nodes:
            function = self.operations[node.operation]
            first = (model,) if getattr(function, "on_model", False) else ()
            args, settings = filled(node.args, content), filled(node.settings, content)
            try:
                values[node.number] = function(*first, *args, **settings)
            except (ValueError, TypeError, IndexError) as error:
                raise type(error)(f"{error}\n  {node.operation} at {node.source}") from error
        return filled(self.graph.outputs, content)


def if_(
    model: Imported, condition: Any, *captured: Any, then_branch: Body, else_branch: Body, outputs: int
) -> tuple[Any, ...]:
    """One of two graphs, by a condition that follows from shapes or is an input of the model."""
    chosen = known(model.held(condition), "the condition of If").reshape(-1)
    if chosen.size != 1:
        raise ValueError(f"the condition of If must be one truth value, found {chosen.size}")
    cut = len(then_branch.graph.positional)
    result = then_branch.run(model, captured[:cut]) if chosen[0] else else_branch.run(model, captured[cut:])
    return tuple(result)


def output(results: tuple[Any, ...], k: int) -> Any:
    """One of several results."""
    if k >= len(results):
        raise ValueError(f"output {k + 1} of an operator that makes {len(results)} here")
    return results[k]


OPERATIONS: dict[str, Operation] = {"If": on_model(if_), "output": output}
