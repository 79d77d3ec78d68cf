"""Nested lists, tuples and dicts as a list of leaves, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of nested lists, tuples and dicts, and a function that puts others in their places."""
    if isinstance(tree, dict):
        parts = [flatten(v) for v in tree.values()]
        rebuild: Callable[[Any], Any] = lambda made: dict(zip(tree, made, strict=True))
    elif isinstance(tree, list | tuple):
        parts = [flatten(v) for v in tree]
        rebuild = list if isinstance(tree, list) else tuple if type(tree) is tuple else lambda made: type(tree)(*made)
    else:
        return [tree], lambda made: made[0]
    sizes = [len(leaves) for leaves, _ in parts]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]

    def unflatten(made: Sequence[Any]) -> Any:
        return rebuild([build(made[end - n : end]) for (_, build), n, end in zip(parts, sizes, ends, strict=True)])

    return [leaf for leaves, _ in parts for leaf in leaves], unflatten
