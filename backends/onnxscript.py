"""ONNX Script's optimizer and rewriter: inlining, constant folding by ONNX's evaluator, rules that match patterns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import onnx_ir
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules import common

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORDS = Words()


def _optimized(model: Any, options: Mapping[str, str]) -> Any:
    try:
        return _rewritten(model, options)
    except onnx_ir.passes.PassError as problem:  # names the pass, by its address; why it failed says the one before
        raise problem.__cause__ or problem from None


def _rewritten(model: Any, options: Mapping[str, str]) -> Any:
    read = onnx_ir.serde.deserialize_model(model)
    match options.get("mode", "optimize"):
        case "rewrite":
            named, left_out = options.get("rules", ""), set(options.get("disable", "").split("+"))
            rules = _named(named) if named else [rule for name, rule in _defaults() if name not in left_out]
            rewriter.rewrite(read, rules)
        case "fold":
            optimizer.fold_constants(read)
        case "inline":
            optimizer.inline(read)
        case _:
            _all(read, options)
    return onnx_ir.serde.serialize_model(read)


def _all(model: Any, options: Mapping[str, str]) -> None:
    """What `onnxscript.optimizer.optimize` does, with parts of it left out."""
    off = set(options.get("off", "").split("+"))
    with _without(set(options.get("disable", "").split("+"))):
        optimizer.optimize_ir(
            model,
            onnx_shape_inference="inference" not in off,
            inline="inlining" not in off,
            should_fold=(lambda _node: False) if "folding" in off else (lambda _node: None),
        )


@contextmanager
def _without(names: set[str]) -> Iterator[None]:
    """Have the optimizer leave rules out, which its interface offers no way to do."""
    everything = rewriter._DEFAULT_REWRITE_RULES  # noqa: SLF001 - see above
    rewriter._DEFAULT_REWRITE_RULES = tuple(rule for name, rule in _defaults() if name not in names)  # noqa: SLF001
    try:
        yield
    finally:
        rewriter._DEFAULT_REWRITE_RULES = everything  # noqa: SLF001


def _named(names: str) -> list[Any]:
    """The rules of these names; some names stand for several."""
    rules: list[Any] = []
    for name in names.split("+"):
        found = getattr(common, name)
        found = found() if name == "fuse_hardswish_rules" else found
        rules.extend([found] if isinstance(found, rewriter.RewriteRule) else found.rules)
    return rules


def _defaults() -> list[tuple[str, Any]]:
    """The rules that the optimizer applies unless it is told otherwise, with their names.

    Those without one are x + 0 and x * 1, each with its operands in either order.
    """
    known = {id(getattr(common, name)): name for name in common.__all__}
    rules = rewriter._DEFAULT_REWRITE_RULES  # noqa: SLF001 - there is no other list of them
    return [(known.get(id(rule), "add_0_and_mul_by_1"), rule) for rule in rules]


def _rules() -> list[str]:
    return sorted({name for name, _ in _defaults()})


BACKEND = Rewriter("onnxscript", _optimized, WORDS, passes=_rules)
