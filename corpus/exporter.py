"""PyTorch's exporter to ONNX without what it does for nothing, which takes as long as all else where models are small.

What is put in its place gives the same models, byte for byte. It touches what is no part of an interface: where a
version of PyTorch or ONNX Script has it otherwise, the exporter is left as it is.
"""

from __future__ import annotations

import contextlib
import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch.export import ExportedProgram

__all__ = ["convert"]


def convert(program: ExportedProgram, opset: int) -> torch.onnx.ONNXProgram:
    """The program in ONNX. Raises whatever the exporter raises, RuntimeError where it makes nothing."""
    with _registry_kept(), _operators_listed_once(), _rules_by_operator():
        made = torch.onnx.export(program, dynamo=True, opset_version=opset, verbose=False)
    if made is None:
        raise RuntimeError("the exporter made nothing")
    return made


@contextlib.contextmanager
def _replaced(owner: Any, name: str, instead: Callable[[Any], Any]) -> Iterator[None]:
    """``instead`` of what stands at an attribute, while the exporter runs; nothing where there is no such attribute."""
    before = vars(owner).get(name) if owner is not None else None
    if before is None:
        yield
        return
    setattr(owner, name, instead(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


def _found(module: str, name: str = "") -> Any:
    """A module, or what it calls ``name``; None where this version has none."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return getattr(found, name, None) if name else found


def _registry_kept() -> contextlib.AbstractContextManager[None]:
    """The exporter's table of operators, made anew for each model otherwise, made once a process and opset.

    That takes longer than translating a small model.
    """
    registry = _found("torch.onnx._internal.exporter._registration", "ONNXRegistry")

    def instead(before: Any) -> Any:
        return classmethod(_once(before.__func__)) if isinstance(before, classmethod) else before

    return _replaced(registry, "from_torchlib", instead)


@lru_cache(maxsize=1)
def _once(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same, which remembers what it made."""
    return lru_cache(maxsize=2)(make)


def _operators_listed_once() -> contextlib.AbstractContextManager[None]:
    """PyTorch's composite operators gone through once a model, in place of once for each of some 60 namespaces."""
    return _replaced(_found("torch._export.utils"), "_materialize_cpp_cia_ops", lru_cache(maxsize=1))


def _rules_by_operator() -> contextlib.AbstractContextManager[None]:
    """Rewrite rules asked only about nodes of the operator that they begin with.

    A rule of more than one output goes through the whole graph first, for each node, whatever the operator: the time
    grows with the square of the model, and of thousands of nodes it is nearly all of it.
    """
    matcher = _found("onnxscript.rewriter._matcher", "SimplePatternMatcher")

    def instead(before: Callable[..., Any]) -> Callable[..., Any]:
        def try_rewrite(self: Any, model: Any, graph: Any, node: Any, **options: Any) -> Any:
            first = _first(self, matcher)
            if first is not None and not (first.op.matches(node.op_type) and first.domain.matches(node.domain)):
                return None
            return before(self, model, graph, node, **options)

        return try_rewrite

    return _replaced(_found("onnxscript.rewriter._rewrite_rule", "RewriteRule"), "try_rewrite", instead)


def _first(rule: Any, kind: type | None) -> Any:
    """What the node that a rule is asked about has to match; None where it is looked for in some other way."""
    matcher = getattr(rule, "_matcher", None)
    nodes = getattr(getattr(matcher, "pattern", None), "output_nodes", ()) if type(matcher) is kind else ()
    return nodes[0] if nodes else None
