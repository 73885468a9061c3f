"""A rewriter with named passes, one or two of which are at fault: what `fuzz blame` is measured and tested on.

A backend's module: it rewrites a model pass by pass and runs it on ONNX's evaluator. `bug` is a row of `BUGS`. Which of
the passes has the bug follows from the row, so that it lies anywhere in the list.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from backends.entry import Entry, Option
from backends.external import read_model
from backends.protocol import Knob, Rejected, Stage, Unsupported
from backends.reference import BACKEND as EVALUATOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["BACKEND", "BUGS", "Bug", "culprits", "entry", "feed", "needed"]

_KINDS = ("fold", "drop", "swap", "scale", "turn", "reshape", "lower", "legalize", "fuse", "hoist")
_OPERATORS = (
    "Abs", "Add", "ArgMax", "Cast", "Clip", "Concat", "Div", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gemm",
    "MatMul", "Max", "Min", "Mul", "Neg", "Pad", "Pow", "Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bug:
    """What a faulty pass does to which operator of which graph.

    ``passes`` is ``one``, ``both`` (two passes do it, each for itself) or ``chain`` (one prepares what the other then
    breaks). ``inputs`` are the shapes of the inputs, all of float.
    """

    kind: str
    operator: str
    graph: str
    inputs: tuple[tuple[int, ...], ...]
    passes: str = "one"


def _unary(operator: str) -> str:
    return f"g (float[2,3] x) => (float[2,3] y) {{ t = {operator} (x) y = Add (t, x) }}"


def _binary(operator: str, result: str = "float[3,3]") -> str:
    return f"g (float[3,3] x, float[3,3] z) => ({result} y) {{ y = {operator} (x, z) }}"


def _constants(operator: str) -> str:
    given = "<float[3] a = {1.5, 2, 3}, float[3] b = {2, 4, 0.5}>"
    return f"g (float[2,3] x) => (float[2,3] y) {given} {{ t = {operator} (a, b) y = Add (x, t) }}"


def _scaled(operator: str) -> str:
    return f"g (float[2,3] x) => (float[2,3] y) <float[3] a = {{1.5, 2, 3}}> {{ y = {operator} (x, a) }}"


_ONE, _TWO = ((2, 3),), ((3, 3), (3, 3))
_AXES = (
    ("Softmax", "g (float[2,3] x) => (float[2,3] y) { y = Softmax <axis = 1> (x) }", _ONE),
    ("Concat", "g (float[3,3] x, float[3,3] z) => (float[3,6] y) { y = Concat <axis = 1> (x, z) }", _TWO),
    ("ArgMax", "g (float[3,3] x) => (int64[3,1] y) { y = ArgMax <axis = 1> (x) }", _TWO[:1]),
    ("Flatten", "g (float[2,3,4] x) => (float[6,4] y) { y = Flatten <axis = 2> (x) }", ((2, 3, 4),)),
    ("Gather", "g (float[3,3] x) => (float[3,2] y) <int64[2] i = {2, 0}> { y = Gather <axis = 1> (x, i) }", _TWO[:1]),
)
_SHAPES = (
    ("Reshape", "g (float[2,3] x) => (float[3,2] y) <int64[2] s = {3, 2}> { y = Reshape (x, s) }", _ONE),
    ("Unsqueeze", "g (float[2,3] x) => (float[1,2,3] y) <int64[1] s = {0}> { y = Unsqueeze (x, s) }", _ONE),
    ("Squeeze", "g (float[1,2,1,3] x) => (float[2,1,3] y) <int64[1] s = {0}> { y = Squeeze (x, s) }", ((1, 2, 1, 3),)),
    ("Expand", "g (float[2,3] x) => (float[2,2,3] y) <int64[3] s = {2, 1, 1}> { y = Expand (x, s) }", _ONE),
    ("Tile", "g (float[2,3] x) => (float[4,3] y) <int64[2] s = {2, 1}> { y = Tile (x, s) }", _ONE),
)
_REFUSED = (
    ("Pad", "g (float[2,3] x) => (float[3,4] y) <int64[4] p = {0, 0, 1, 1}> { y = Pad (x, p) }", _ONE),
    ("Cast", "g (float[2,3] x) => (double[2,3] y) { y = Cast <to = 11> (x) }", _ONE),
    ("Where", "g (float[3,3] x, float[3,3] z) => (float[3,3] y) { c = Less (x, z) y = Where (c, x, z) }", _TWO),
    ("Transpose", "g (float[2,3] x) => (float[3,2] y) { y = Transpose <perm = [1, 0]> (x) }", _ONE),
    ("Clip", "g (float[2,3] x) => (float[2,3] y) <float l = {0}> { y = Clip (x, l) }", _ONE),
)
_UNARY = ("Abs", "Exp", "Floor", "Neg", "Relu", "Sigmoid", "Sqrt", "Tanh")

BUGS: Sequence[Bug] = (
    *(Bug("fold", name, _constants(name), _ONE) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")),
    *(Bug("drop", name, _unary(name), _ONE) for name in _UNARY),
    *(Bug("swap", name, _binary(name), _TWO) for name in ("Sub", "Div", "Pow", "MatMul", "Gemm")),
    Bug("swap", "Less", _binary("Less", "bool[3,3]"), _TWO),
    *(Bug("scale", name, _scaled(name), _ONE) for name in ("Mul", "Add", "Div", "Sub", "Max")),
    *(Bug("turn", *row) for row in _AXES),
    *(Bug("reshape", *row) for row in _SHAPES),
    *(Bug("crash", name, _unary(name), _ONE) for name in ("Relu", "Tanh", "Exp")),
    *(Bug("crash", name, _binary(name), _TWO) for name in ("MatMul", "Max")),
    *(Bug("refuse", *row) for row in _REFUSED),
    *(Bug("drop", name, _unary(name), _ONE, "both") for name in ("Relu", "Exp")),
    Bug("swap", "Sub", _binary("Sub"), _TWO, "both"),
    Bug("refuse", *_REFUSED[0], "both"),
    *(Bug("drop", name, _unary(name), _ONE, "chain") for name in ("Relu", "Exp")),
    Bug("swap", "Sub", _binary("Sub"), _TWO, "chain"),
    Bug("crash", "Tanh", _unary("Tanh"), _ONE, "chain"),
)

_COUNT = "PLANTED_PASSES"  # the variable that says how many there are


def entry(count: int) -> Entry:
    """The row of the table of backends, with so many passes."""
    return Entry(
        name="planted-passes", module=str(Path(__file__).absolute()), distributions=("onnx",), requirements=("onnx",),
        options=(
            Option("bug", r"\d+", "a number", "the row of the table"),
            Option("needed", r"\d+", "a number", "of how many passes a model cannot do without"),
            Option("sticky", r"yes", "yes", "what goes wrong once in a process goes wrong for ever there"),
            Option("opt", r"[0-2]", "0, 1 or 2", "none, the first half or all of the passes (2)"),
            Option("disable", r"\w+(\+\w+)*", "names joined by +", "passes to leave out"),
        ),
        knobs=(Knob("opt", ("0", "1"), "passes above that level"), Knob("disable", (), "the passes named")),
        environment=((_COUNT, str(count)),),
    )  # fmt: skip


def names(count: int) -> list[str]:
    """So many names of passes, in the order in which they run."""
    every = [f"{kind}_{operator.lower()}" for kind in _KINDS for operator in _OPERATORS]
    step = len(every) // count
    return every[:: max(step, 1)][:count]


def culprits(number: int, count: int) -> tuple[str, ...]:
    """The passes that have a bug: one or two, all over the list from row to row."""
    known = names(count)
    first = (number * 37 + 11) % count
    second = (first + 1 + (number * 29 + 5) % (count - 1)) % count
    return (known[first],) if BUGS[number].passes == "one" else (known[min(first, second)], known[max(first, second)])


def needed(some: int, number: int, count: int) -> tuple[str, ...]:
    """So many passes that no model can do without, none of them at fault in that row."""
    known = [name for name in names(count) if name not in culprits(number, count)]
    return tuple(known[(place * 17 + 3) % len(known)] for place in range(some))


def feed(bug: Bug) -> list[Any]:
    """Inputs of which the bug shows."""
    low = 0.5 if bug.operator in {"Sqrt", "Pow", "Div"} else -2.0
    generator = np.random.default_rng(0)
    return [generator.uniform(low, 2.0, shape).astype(np.float32) for shape in bug.inputs]


class Planted:
    """The rewriter."""

    name = "planted-passes"

    def __init__(self) -> None:
        self._broken = False

    def passes(self) -> list[str]:
        """The names that `disable` knows."""
        return sorted(names(int(os.environ[_COUNT])))

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> Any:
        """Rewrite, pass by pass, and hand the model to the evaluator."""
        proto = read_model(model, folder)
        enter(Stage.COMPILE)
        number, count = int(options["bug"]), int(os.environ[_COUNT])
        left_out = set(options.get("disable", "").split("+"))
        known = names(count)
        lacking = sorted(left_out.intersection(needed(int(options.get("needed", "0")), number, count)))
        if lacking:
            raise Unsupported(f"nothing is left that lowers what {lacking[0]} lowers: not supported")
        faulty = culprits(number, count)
        if options.get("sticky") == "yes":
            left_out = set() if self._broken else left_out
            self._broken |= not left_out.intersection(faulty)
        run = known[: count * int(options.get("opt", "2")) // 2]
        for name in run:
            if name not in left_out:
                _apply(proto, name, BUGS[number], faulty)
        return EVALUATOR.compile(proto.SerializeToString(), folder, {}, enter)


def _apply(proto: Any, name: str, bug: Bug, faulty: tuple[str, ...]) -> None:
    """One pass: what its bug does if it has one, else a rewrite that keeps the meaning."""
    nodes = [node for node in proto.graph.node if node.op_type == bug.operator]
    if name not in faulty:
        for node in proto.graph.node:
            if node.op_type.lower() == name.partition("_")[2] and not node.doc_string:
                node.doc_string = f"seen by {name}"
    elif bug.passes == "chain" and name == faulty[0]:
        for node in nodes:
            node.doc_string = "prepared"
    else:
        for node in nodes:
            if not (bug.passes == "chain" and node.doc_string != "prepared"):
                _BREAKS[bug.kind](proto.graph, node)
                node.doc_string = "done"


# --- what faulty passes do --------------------------------------------------------------------------------------------


def _fold(_graph: Any, node: Any) -> None:
    """Folds constants into the first of them."""
    node.input[:] = [node.input[0], node.input[0]]


def _drop(_graph: Any, node: Any) -> None:
    node.op_type = "Identity"


def _swap(_graph: Any, node: Any) -> None:
    if node.doc_string != "done":
        node.input[:] = reversed(node.input)


def _scale(graph: Any, node: Any) -> None:
    for constant in _constants_of(graph, node):
        constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) * np.float32(2), constant.name))


def _turn(_graph: Any, node: Any) -> None:
    for attribute in node.attribute:
        if attribute.name == "axis":
            attribute.i -= 1


def _reshape(graph: Any, node: Any) -> None:
    """The parameter's numbers, the wrong way round; of a single one the next."""
    for constant in _constants_of(graph, node):
        held = numpy_helper.to_array(constant)
        other = held[::-1].copy() if held.size > 1 else held + 2
        constant.CopyFrom(numpy_helper.from_array(other, constant.name))


def _crash(_graph: Any, _node: Any) -> None:
    os.abort()


def _refuse(_graph: Any, node: Any) -> None:
    raise Rejected(f"AssertionError: unexpected {node.op_type}")


def _constants_of(graph: Any, node: Any) -> Iterator[Any]:
    return (tensor for tensor in graph.initializer if tensor.name in node.input)


_BREAKS: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType({
    "fold": _fold, "drop": _drop, "swap": _swap, "scale": _scale, "turn": _turn, "reshape": _reshape, "crash": _crash,
    "refuse": _refuse,
})  # fmt: skip


BACKEND = Planted()
