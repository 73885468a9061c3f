"""PyTorch's exporter to ONNX without what it does for nothing, which takes as long as all else where models are small.

What is put in its place gives the same models, byte for byte. It touches what is no part of an interface: where a
version of PyTorch or ONNX Script has it otherwise, the exporter is left as it is.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch.export import ExportedProgram

__all__ = ["convert"]


def convert(program: ExportedProgram, opset: int) -> torch.onnx.ONNXProgram:
    """The program in ONNX. Raises whatever the exporter raises, RuntimeError where it makes nothing."""
    with _registry_kept(), _rules_by_operator():
        made = torch.onnx.export(program, dynamo=True, opset_version=opset, verbose=False)
    if made is None:
        raise RuntimeError("the exporter made nothing")
    return made


@contextlib.contextmanager
def _registry_kept() -> Iterator[None]:
    """The exporter's table of operators, made anew for each model otherwise, made once a process and opset.

    That takes longer than translating a small model.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        before = vars(ONNXRegistry).get("from_torchlib")
    except ImportError:
        before = None
    if not isinstance(before, classmethod):
        yield
        return
    ONNXRegistry.from_torchlib = classmethod(_once(before.__func__))
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = before


@lru_cache(maxsize=1)
def _once(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same, which remembers what it made."""
    return lru_cache(maxsize=2)(make)


@contextlib.contextmanager
def _rules_by_operator() -> Iterator[None]:
    """Rewrite rules asked only about nodes of the operator that they begin with.

    A rule of more than one output goes through the whole graph first, for each node, whatever the operator: the time
    grows with the square of the model, and of thousands of nodes it is nearly all of it.
    """
    try:
        from onnxscript.rewriter._matcher import SimplePatternMatcher
        from onnxscript.rewriter._rewrite_rule import RewriteRule

        before = vars(RewriteRule).get("try_rewrite")
    except ImportError:
        before = None
    if before is None:
        yield
        return

    def try_rewrite(self: Any, model: Any, graph: Any, node: Any, **options: Any) -> Any:
        first = _first(self, SimplePatternMatcher)
        if first is not None and not (first.op.matches(node.op_type) and first.domain.matches(node.domain)):
            return None
        return before(self, model, graph, node, **options)

    RewriteRule.try_rewrite = try_rewrite
    try:
        yield
    finally:
        RewriteRule.try_rewrite = before


def _first(rule: Any, kind: type) -> Any:
    """What the node that a rule is asked about has to match; None where it is looked for in some other way."""
    matcher = getattr(rule, "_matcher", None)
    nodes = getattr(getattr(matcher, "pattern", None), "output_nodes", ()) if type(matcher) is kind else ()
    return nodes[0] if nodes else None
