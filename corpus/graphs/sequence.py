"""A network as a sequence of XML, as auto-model-development defines it, for models that read and write text.

    <graph name type> nested by module, <node name type [arguments]/>, <edge source target [dtype shape]/>

| version | folded to | arguments of nodes | dtype and shape of edges | what computes nothing or leads nowhere |
|---|---|---|---|---|
| 1 | nothing | yes | no | kept |
| 2 | nothing | no | yes | removed |
| 3 | the modules of the first level | no | yes | removed |
| 4 | nothing | no | no | kept |

A module in which one operator stands is a node, named by its path and of its class, as a Conv2d is; one with more is
a graph. An edge stands in the innermost graph that holds both of its ends. The original wrote values as they are; here
everything is escaped, and what XML has no place for is replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from corpus.graphs.computation import GraphError
from corpus.graphs.vocabulary import bare_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corpus.graphs.computation import ComputationGraph, Node, Shape

__all__ = ["VERSIONS", "Version", "counted", "sequence"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """What a version of the sequence has; ``whole`` says that nothing is to be folded away in its graph."""

    arguments: bool
    shapes: bool
    folded: bool
    whole: bool


VERSIONS: Mapping[int, Version] = {
    1: Version(arguments=True, shapes=False, folded=False, whole=True),
    2: Version(arguments=False, shapes=True, folded=False, whole=False),
    3: Version(arguments=False, shapes=True, folded=True, whole=False),
    4: Version(arguments=False, shapes=False, folded=False, whole=True),
}


def sequence(graph: ComputationGraph, version: int) -> str:
    """The text of a graph, indented; the graph is to be read as `Version.whole` of the version says.

    Raises GraphError where there is no such version.
    """
    if version not in VERSIONS:
        raise GraphError(f"there is no version {version}: {', '.join(map(str, VERSIONS))}")
    has = VERSIONS[version]
    tree = _Tree(graph, has)
    root = Element("graph", name=_clean(graph.name or "model"), type=_clean(_type(graph)))
    elements: dict[Path, Element] = {(): root}
    for place, node in enumerate(graph.nodes):
        tree.add(elements, place, node)
    for source, target, marks in tree.edges():
        SubElement(elements[_common(tree.scope[source], tree.scope[target])], "edge", marks)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def counted(text: str) -> dict[str, int]:
    """How many nodes, edges and graphs within the first one a sequence of ours has."""
    return {name: text.count(f"<{tag} ") - less for name, tag, less in _COUNTED}


_COUNTED = (("nodes", "node", 0), ("edges", "edge", 0), ("graphs", "graph", 1))


def _type(graph: ComputationGraph) -> str:
    return str(graph.labels.get("class") or graph.labels.get("model_type") or graph.family or "Model")


class _Tree:
    """Where each node stands, and what it is called there."""

    def __init__(self, graph: ComputationGraph, has: Version) -> None:
        self._graph, self._has = graph, has
        count: dict[str, int] = {}
        for node in graph.nodes:
            for path, _ in node.modules:
                count[path] = count.get(path, 0) + 1
        self.names: list[str] = []
        self.scope: list[Path] = []
        self._types: list[str] = []
        taken = {node.modules[0][0] for node in graph.nodes if has.folded and node.modules}
        for node in graph.nodes:
            folded = has.folded and bool(node.modules)
            name, kind, scope = self._folded(node) if folded else self._unfolded(node, count)
            if not folded:
                name = _unique(name, taken)
                taken.add(name)
            self.names.append(name)
            self._types.append(kind)
            self.scope.append(scope)
        self._classes = {path: kind for node in graph.nodes for path, kind in node.modules}
        self._there: set[str] = set()

    @staticmethod
    def _folded(node: Node) -> tuple[str, str, Path]:
        path, kind = node.modules[0]
        return path, kind, ()

    @staticmethod
    def _unfolded(node: Node, count: Mapping[str, int]) -> tuple[str, str, Path]:
        if node.operator == "Output":
            return "output", "output", ()
        paths = [path for path, _ in node.modules]
        alone = next((number for number, path in enumerate(paths) if count[path] == 1), None)
        if alone is None:
            return node.name, bare_name(node.source), tuple(paths)
        kind = node.modules[-1][1]
        if node.weighted is not None and "Norm" in kind:
            # An exporter that puts a normalisation into the convolution before it leaves the former's name alone.
            kind = bare_name(node.source)
        return paths[alone], kind, tuple(paths[:alone])

    def add(self, elements: dict[Path, Element], place: int, node: Node) -> None:
        """Put a node, and the graphs around it, where they belong; a folded module stands where its first node does."""
        scope, name = self.scope[place], self.names[place]
        for depth in range(1, len(scope) + 1):
            if scope[:depth] not in elements:
                above, path = elements[scope[: depth - 1]], scope[depth - 1]
                kind = self._classes[path]
                elements[scope[:depth]] = SubElement(above, "graph", name=_clean(path), type=_clean(kind))
        if name in self._there:
            return
        self._there.add(name)
        marks = {"name": _clean(name), "type": _clean(self._types[place])}
        if self._has.arguments:
            marks |= {_attribute(key): _clean(text) for key, text in _arguments(node)}
        SubElement(elements[scope], "node", marks)

    def edges(self) -> list[tuple[int, int, dict[str, str]]]:
        """The edges between what has different names, once each, with what is to be said of them."""
        seen: set[tuple[str, ...]] = set()
        result = []
        for edge in self._graph.edges:
            marks = {"source": _clean(self.names[edge.source]), "target": _clean(self.names[edge.target])}
            if marks["source"] == marks["target"]:
                continue
            if self._has.shapes:
                source = self._graph.nodes[edge.source]
                marks |= {"dtype": _clean(source.type or "?"), "shape": _clean(_dims(source.shape))}
            key = tuple(marks.values())
            if key not in seen:
                seen.add(key)
                result.append((edge.source, edge.target, marks))
        return result


def _arguments(node: Node) -> list[tuple[str, str]]:
    """What the module was made with, as far as its weights say it, and what the operator is called with."""
    made: list[tuple[str, str]] = []
    if node.weighted is not None:
        what = "features" if node.operator == "MatMul" else "channels"
        made = [(f"in_{what}", str(node.channels_in)), (f"out_{what}", str(node.channels_out))]
        made += [("kernel_size", str(list(node.kernel)))] if node.kernel else []
        made += [("bias", str(node.bias))]
    elif node.weights:
        made = [("weight", str(list(node.weights[0])))]
    names = {name for name, _ in made}
    return [*made, *((name, text) for name, text in node.arguments if name not in names)]


def _dims(shape: Shape | None) -> str:
    return "?" if shape is None else f"[{', '.join(map(str, shape))}]"


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}.{number}" in taken:
        number += 1
    return f"{name}.{number}"


def _common(one: Path, other: Path) -> Path:
    depth = 0
    while depth < min(len(one), len(other)) and one[depth] == other[depth]:
        depth += 1
    return one[:depth]


_OWN = frozenset({"name", "type"})
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NO_TEXT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _attribute(name: str) -> str:
    """A name that XML allows an attribute, and that none of the sequence's own has."""
    cleaned = _NO_NAME.sub("_", name) or "_"
    if cleaned in _OWN or not (cleaned[0].isalpha() or cleaned[0] == "_") or cleaned.lower().startswith("xml"):
        cleaned = f"_{cleaned}"
    return cleaned


def _clean(text: str) -> str:
    return _NO_TEXT.sub("\ufffd", text)
