"""A table without headings has no row for them: Markdown asks for one, which stays empty.

A Sphinx extension.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def without_empty_heads(app: Sphinx, tree: nodes.document) -> None:
    for head in list(tree.findall(nodes.thead)):
        if not head.astext().strip():
            head.parent.remove(head)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", without_empty_heads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
