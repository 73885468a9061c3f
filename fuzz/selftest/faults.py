"""Planted faults: the mistakes that compilers make, each as a change to the model that a target gets.

A target that runs the changed model answers as one would that compiles the original wrongly, so every fault can be
planted in the null executor and in any real backend alike. The judge knows the original alone and has to notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.operator import Array
    from abstract.program import Step

__all__ = ["FAULTS", "Fault", "Site"]


@dataclass(slots=True)
class Site:
    """One node of a model that is about to be broken, with what is known of its values.

    ``model`` and ``inputs`` are copies to change. ``values`` are the reference's, ``known`` the names that can be
    read at this node, ``draw(n)`` a deterministic number below n.
    """

    model: onnx.ModelProto
    inputs: dict[str, Array]
    step: Step
    values: Mapping[str, Array]
    dtypes: Mapping[str, DType]
    known: Sequence[str]
    draw: Callable[[int], int]
    _added: list[onnx.NodeProto] = field(default_factory=list)

    @property
    def node(self) -> onnx.NodeProto:
        """The node in the copy."""
        found: onnx.NodeProto = next(n for n in self.model.graph.node if n.output[0] == self.step.node.output[0])
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.values[name].shape

    def constant(self, array: Any) -> str:
        """A new initializer; Python integers become int64."""
        name = f"fault{len(self.model.graph.initializer)}"
        self.model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def before(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A new node in front of this one; the name of its output."""
        name = f"fault_{operator}{len(self.model.graph.node)}"
        at = list(self.model.graph.node).index(self.node)
        self.model.graph.node.insert(at, onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value."""
        found = [a for a in self.node.attribute if a.name == name]
        return onnx.helper.get_attribute_value(found[0]) if found else default

    def set(self, name: str, value: Any) -> None:
        """Give an attribute another value."""
        node = self.node
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    def parameter(self, position: int) -> list[int] | None:
        """The numbers of a constant input; None where it is absent or computed."""
        node = self.node
        if position >= len(node.input) or not node.input[position]:
            return None
        found = [t for t in self.model.graph.initializer if t.name == node.input[position]]
        return list(map(int, onnx.numpy_helper.to_array(found[0]).ravel())) if found else None

    def pick(self, options: Sequence[Any]) -> Any:
        """One of several, or None of none."""
        return options[self.draw(len(options))] if options else None


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake with a name. ``plant`` changes the site's model (or inputs) and says whether it could.

    ``operators``: cases for a fault that random models seldom have room for are made of these alone.
    """

    name: str
    summary: str
    plant: Callable[[Site], bool]
    operators: tuple[str, ...] = ()


_ACTIVATIONS = frozenset({
    "Clip", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
})  # fmt: skip
_CONTRACTIONS = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})
_ORDERED = frozenset({"Sub", "Div", "Pow", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
_BROADCASTING = _ORDERED | {"Add", "Mul", "Max", "Min", "And", "Or", "Xor", "Equal", "PRelu"}
# An attribute, what it is by default, and what it becomes where a compiler reads it wrongly; shapes stay.
_FLIPS: Mapping[str, tuple[tuple[str, Any, Any], ...]] = MappingProxyType({
    "CumSum": (("exclusive", 0, 1), ("reverse", 0, 1)),
    "AveragePool": (("count_include_pad", 0, 1),),
    "TopK": (("largest", 1, 0),),
    "ArgMax": (("select_last_index", 0, 1),),
    "ArgMin": (("select_last_index", 0, 1),),
    "DepthToSpace": (("mode", b"DCR", b"CRD"),),
    "Resize": (("coordinate_transformation_mode", b"half_pixel", b"asymmetric"), ("mode", b"nearest", b"linear")),
    "Trilu": (("upper", 1, 0),),
    "BitShift": (("direction", b"LEFT", b"RIGHT"),),
    "Mod": (("fmod", 0, 1),),
    "LeakyRelu": (("alpha", 0.01, 0.2),),
    "Elu": (("alpha", 1.0, 0.5),),
    "Gemm": (("alpha", 1.0, 0.5),),
})  # fmt: skip


def _dropped_activation(site: Site) -> bool:
    node = site.node
    if node.op_type not in _ACTIVATIONS:
        return False
    node.op_type = "Identity"
    del node.input[1:], node.attribute[:]
    return True


def _shifted_padding(site: Site) -> bool:
    node = site.node
    padded = node.op_type == "Pad"
    pads = site.parameter(1) if padded else site.attribute("pads")
    if not pads or (padded and site.attribute("mode", b"constant") != b"constant"):
        return False
    rank = len(pads) // 2
    at = site.pick([i for i, p in enumerate(pads) if p > 0])
    if at is None:
        return False
    pads = list(pads)
    pads[at] -= 1
    pads[(at + rank) % (2 * rank)] += 1
    if padded:
        node.input[1] = site.constant(np.array(pads, np.int64))
    else:
        site.set("pads", pads)
    return True


def _shifted_slice(site: Site) -> bool:
    node = site.node
    starts, ends = site.parameter(1), site.parameter(2)
    if node.op_type != "Slice" or starts is None or ends is None:
        return False
    axes = site.parameter(3) or list(range(len(starts)))
    steps = site.parameter(4) or [1] * len(starts)
    sizes = site.shape(node.input[0])
    ranges = [range(*slice(s, e, k).indices(sizes[a])) for s, e, k, a in zip(starts, ends, steps, axes, strict=True)]
    movable = [i for i, r in enumerate(ranges) if len(r) and r.step > 0 and (r[0] > 0 or r[-1] + 1 < sizes[axes[i]])]
    at = site.pick(movable)
    if at is None:
        return False
    by = -1 if ranges[at][0] > 0 else 1
    starts[at], ends[at] = ranges[at][0] + by, ranges[at][-1] + 1 + by
    node.input[1], node.input[2] = site.constant(np.array(starts)), site.constant(np.array(ends))
    return True


def _swapped_operands(site: Site) -> bool:
    node = site.node
    first = {"Where": 1}.get(node.op_type, 0)
    if node.op_type not in _ORDERED and node.op_type != "Where":
        return False
    a, b = node.input[first], node.input[first + 1]
    if site.dtypes[a] is not site.dtypes[b] or (node.op_type in ("Div", "Pow") and not site.dtypes[a].is_float):
        return False
    node.input[first], node.input[first + 1] = b, a
    return bool(a != b)


def _wrong_axis(site: Site) -> bool:
    """Another axis, or two axes of a permutation exchanged: only where the output's shape stays (see ``plant``)."""
    node = site.node
    shape = site.shape(node.input[0])
    if node.op_type == "Transpose":
        perm = list(site.attribute("perm") or reversed(range(len(shape))))
        pairs = [(i, j) for j in range(len(perm)) for i in range(j) if shape[perm[i]] == shape[perm[j]] > 1]
        found = site.pick(pairs)
        if found is None:
            return False
        i, j = found
        perm[i], perm[j] = perm[j], perm[i]
        site.set("perm", perm)
        return True
    output = site.shape(node.output[0])
    if site.attribute("axis") is None or node.op_type in ("Flatten", "Concat", "Split") or len(output) != len(shape):
        return False
    axis = site.attribute("axis") % len(shape)
    other = site.pick([a for a in range(len(shape)) if a != axis and max(shape[a], shape[axis]) > 1])
    if other is None:
        return False
    site.set("axis", other)
    return True


def _wrong_broadcast(site: Site) -> bool:
    """The first slice of an operand along an axis is used for all others, as if it were broadcast there."""
    node = site.node
    if node.op_type not in _BROADCASTING or len(node.input) != 2:
        return False
    shapes = [site.shape(n) for n in node.input]
    places = [
        (i, axis) for i in (0, 1) for axis in range(-min(map(len, shapes)), 0)
        if shapes[i][axis] > 1 and shapes[1 - i][axis] == shapes[i][axis]
    ]  # fmt: skip
    found = site.pick(places)
    if found is None:
        return False
    operand, axis = found
    bounds = [site.constant(np.array([n])) for n in (0, 1, axis)]
    node.input[operand] = site.before("Slice", [node.input[operand], *bounds])
    return True


def _stale_output(site: Site) -> bool:
    """The answer of the run before, which had the same tensors with their elements in reverse order."""
    moved = {n: np.ascontiguousarray(a.ravel()[::-1]).reshape(a.shape) for n, a in site.inputs.items()}
    changed = any(not np.array_equal(moved[n], a) for n, a in site.inputs.items())
    site.inputs.update(moved)
    return changed


def _narrow_contraction(site: Site) -> bool:
    node = site.node
    if node.op_type not in _CONTRACTIONS or site.dtypes[node.input[0]].name not in ("float", "double"):
        return False
    code = site.dtypes[node.input[0]].code
    for i in (0, 1):
        narrow = site.before("Cast", [node.input[i]], to=onnx.TensorProto.BFLOAT16)
        node.input[i] = site.before("Cast", [narrow], to=code)
    return True


def _rounding_cast(site: Site) -> bool:
    node = site.node
    if node.op_type != "Cast" or not site.dtypes[node.input[0]].is_float:
        return False
    if not site.dtypes[node.output[0]].is_integer:
        return False
    node.input[0] = site.before("Round", [node.input[0]])
    return True


def _dropped_cast(site: Site) -> bool:
    """Of two casts in a row the first is left out, as if it lost nothing."""
    node = site.node
    inner = next((n for n in site.model.graph.node if node.input and node.input[0] in n.output), None)
    if node.op_type != "Cast" or inner is None or inner.op_type != "Cast":
        return False
    node.input[0] = inner.input[0]
    return True


def _lost_bias(site: Site) -> bool:
    node = site.node
    bias = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "LayerNormalization": 2}.get(node.op_type)
    if bias is None or len(node.input) <= bias or not node.input[bias]:
        return False
    del node.input[bias:]
    return True


def _lost_tail(site: Site) -> bool:
    """The last of the terms that a contraction sums is left out, as by a loop over tiles that forgets the rest."""
    node = site.node
    axis = {"MatMul": -1, "Conv": 1}.get(node.op_type)
    if node.op_type == "Gemm":
        axis = 0 if site.attribute("transA", 0) else 1
    if axis is None:
        return False
    source = node.input[0]
    shape, dtype = site.shape(source), site.dtypes[source]
    if not dtype.is_float or not prod(shape) or shape[axis] < 2:
        return False
    axis %= len(shape)
    bounds = [site.constant(np.array([n])) for n in (0, shape[axis] - 1, axis)]
    kept = site.before("Slice", [source, *bounds])
    pads = [0] * (2 * len(shape))
    pads[len(shape) + axis] = 1
    node.input[0] = site.before("Pad", [kept, site.constant(np.array(pads))])
    return True


def _wrong_buffer(site: Site) -> bool:
    """An operand is read from where another value of the same type and shape lies."""
    node = site.node
    data = [i for i, n in enumerate(node.input) if n and n in site.step.inputs and site.values[n].size]
    places = [
        (i, other) for i in data for other in site.known
        if other != node.input[i]
        and site.dtypes[other] is site.dtypes[node.input[i]] and site.shape(other) == site.shape(node.input[i])
    ]  # fmt: skip
    found = site.pick(places)
    if found is None:
        return False
    node.input[found[0]] = found[1]
    return True


def _flipped_attribute(site: Site) -> bool:
    node = site.node
    found = site.pick(_FLIPS.get(node.op_type, ()))
    if found is None:
        return False
    name, default, other = found
    site.set(name, default if site.attribute(name, default) == other else other)
    return True


_TABLE: tuple[tuple[str, str, Callable[[Site], bool]], ...] = (
    ("dropped-activation", "an activation or Clip is left out", _dropped_activation),
    ("shifted-padding", "the padding of Conv, pooling or Pad is off by one", _shifted_padding),
    ("shifted-slice", "a Slice starts one element off", _shifted_slice),
    ("swapped-operands", "Sub, Div, Pow, Where or a comparison has its operands exchanged", _swapped_operands),
    ("wrong-axis", "an operator works along another axis", _wrong_axis),
    ("wrong-broadcast", "an operand is broadcast along an axis where it is not 1", _wrong_broadcast),
    ("stale-output", "the outputs are those of the run before", _stale_output),
    ("bfloat16-contraction", "the operands of a product of matrices are rounded to bfloat16", _narrow_contraction),
    ("rounding-cast", "a cast to integers rounds to nearest instead of towards zero", _rounding_cast),
    ("dropped-cast", "of two casts in a row the first is left out", _dropped_cast),
    ("lost-bias", "the bias of Conv, ConvTranspose, Gemm or LayerNormalization is left out", _lost_bias),
    ("lost-tail", "the last term of a contraction is left out", _lost_tail),
    ("wrong-buffer", "an operand is read from another tensor of the same type and shape", _wrong_buffer),
    ("flipped-attribute", "an attribute is ignored or misread", _flipped_attribute),
)

_CASTS = ("Cast", "Relu")
_WINDOWS = ("Conv", "Pad", "MaxPool", "AveragePool")
_OPERATORS = MappingProxyType({"rounding-cast": _CASTS, "dropped-cast": _CASTS, "shifted-padding": _WINDOWS})

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {name: Fault(name, text, plant, _OPERATORS.get(name, ())) for name, text, plant in _TABLE}
)
"""All faults by name."""
