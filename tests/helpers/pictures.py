"""What tests of pictures read off them: their words, their nodes by title, and whether boxes keep apart."""

import xml.etree.ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


def words(svg):
    """The texts of a picture, in order."""
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def by_title(graph):
    """The nodes of a graph by what they are called; of equal titles the last."""
    return {node.title: node for node in graph.nodes}


def assert_apart(layout):
    """No box leaves the picture or covers another."""
    for i, a in enumerate(layout.boxes):
        assert 0 <= a.left <= a.left + a.width <= layout.width
        assert 0 <= a.top <= a.top + a.height <= layout.height
        for b in layout.boxes[:i]:
            aside = a.left >= b.left + b.width or b.left >= a.left + a.width
            assert aside or a.top >= b.top + b.height or b.top >= a.top + a.height
