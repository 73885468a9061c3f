"""Growing a graph node by node: a call is proposed, typed, checked under the witness, evaluated, and only then kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from abstract.bounded import tensors
from abstract.constraints import Constraint, Constraints, Infeasible
from abstract.graph import Graph, Node, Origin, Recipe, Value
from abstract.operator import Array, Call, NotCovered, Operator, Run, Typing
from abstract.operators import TABLE
from abstract.reference import Float64
from abstract.schema import Signature, signature
from abstract.types import ContainerType, Parts, TensorType
from fuzz.generate.application import admitted, concrete, evaluated, refuse_specials, settle
from fuzz.generate.emit import stored_type
from fuzz.generate.hints import PROPAGATED, overflows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dims import Dim, Symbol
    from abstract.dtypes import DType
    from abstract.operator import Inside
    from abstract.types import Shape, Sizes
    from fuzz.generate.choices import Choices
    from fuzz.generate.plan import Plan

__all__ = ["Builder", "Grow"]

_ARITHMETIC = Float64()
_VISIBLE = 24  # the newest values of a graph that a body in it sees
_UNCHANGED: Mapping[Value, Array] = MappingProxyType({})


@cache
def _variables(operator: str, opset: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The type variables of an operator's data operands and of its outputs."""
    sign, parameters = signature(operator, opset), TABLE[operator].parameters
    operands = tuple([formal.variable for formal in sign.inputs if formal.name not in parameters])
    return operands, tuple([formal.variable for formal in sign.outputs])


def _sizes(value: Value | None) -> Shape | None:
    return None if value is None or isinstance(value.type, ContainerType) else value.type.shape


def _containers(operands: Sequence[Value | None]) -> dict[int, Parts]:
    return {i: v.type.parts for i, v in enumerate(operands) if v is not None and isinstance(v.type, ContainerType)}


def _move_free(store: Constraints, constraint: Constraint) -> dict[Symbol, int] | None:
    from abstract.solver import move_free  # z3 takes longer to import than a hundred cases to make

    return move_free(store, constraint)


Grow: TypeAlias = "Callable[[Builder, int, Sequence[str], int], None]"
"""Calls operators of those named until a graph has so many nodes; so many attempts a node may fail."""


@dataclass(slots=True)
class _Names:
    """How many names were given to values, in all graphs of a model."""

    count: int = 0


class Builder:
    """A graph under construction. What the current attempt has made is pending until ``_keep``.

    With ``outer`` it is a body of one of that graph's nodes: it reads the newest values around it, and what it asks for
    as an input of the model is pending there. ``grow`` is what fills bodies.
    """

    def __init__(self, choices: Choices, plan: Plan, outer: Builder | None = None, grow: Grow | None = None) -> None:
        self.choices = choices
        self.plan = plan
        self._specials = "nonfinite" in plan.palettes
        self.outer: Builder | None = outer
        self.grow: Grow | None = outer.grow if outer else grow
        self.depth: int = outer.depth + 1 if outer else 0
        self.graph: Graph = Graph(plan.opset, outer.graph.store if outer else Constraints(_move_free))
        self.values: list[Value] = []
        self.containers: list[Value] = list(outer.containers[-_VISIBLE:]) if outer else []
        self.by_dtype: dict[str, list[Value]] = {}
        self.computed: dict[str, list[Value]] = {}
        self.by_shape: dict[tuple[str, tuple[int, ...]], list[Value]] = {}
        self.dims: list[Dim] = outer.dims if outer else []
        self._nodes: list[Node] = []
        self._made: list[Value] = []
        self._names: _Names = outer._names if outer else _Names()  # noqa: SLF001 - of the same class
        for value in outer.values[-_VISIBLE:] if outer else ():
            self._show(value)
        self._foreign = set(self.values) | set(self.containers)

    @property
    def has_input(self) -> bool:
        """Whether the model has an input."""
        return bool(self.graph.inputs) if self.outer is None else self.outer.has_input

    # -- operands --------------------------------------------------------------------------------------------------

    def placeholder(self, type_: TensorType, array: Array, origin: Origin, recipe: Recipe | None) -> Value:
        """A new input or initializer, pending."""
        name = self._name("x" if origin is Origin.INPUT else "w")
        value = Value(name, type_, array, origin, exact=True, recipe=recipe)
        self._made.append(value)
        return value

    def formal(self, type_: TensorType, array: Array, *, exact: bool) -> Value:
        """A new formal input of a body, with what it holds in the first run."""
        value = Value(self._name("b"), type_, array, Origin.FORMAL, exact)
        self.graph.inputs.append(value)
        self._show(value)
        return value

    def _name(self, prefix: str) -> str:
        self._names.count += 1
        return f"{prefix}{self._names.count}"

    def _show(self, value: Value) -> None:
        """Let operators find a value."""
        if isinstance(value.type, ContainerType):
            self.containers.append(value)
            return
        self.values.append(value)
        self.by_dtype.setdefault(value.type.dtype.name, []).append(value)
        if value.origin is Origin.NODE:
            self.computed.setdefault(value.type.dtype.name, []).append(value)
        self.by_shape.setdefault((value.type.dtype.name, value.array.shape), []).append(value)

    def of_type(self, name: str, *, computed: bool = True) -> Sequence[Value]:
        """The values of an element type: those that nodes compute, where there are any and they are wanted."""
        known = self.computed.get(name, ()) if computed else ()
        return known or self.by_dtype.get(name, ())

    def part(self) -> None:
        """Let the nodes that follow read nothing of what there is: they are a graph beside."""
        for seen in (self.values, self.containers, self.by_dtype, self.computed, self.by_shape):
            seen.clear()

    # -- nodes -----------------------------------------------------------------------------------------------------

    def attempt(self, name: str, propose: Callable[[Signature], Call]) -> bool:
        """Try one call of an operator: all of it enters the graph, or nothing does."""

        def place() -> Sequence[Value]:
            return self.apply(name, propose(signature(name, self.plan.opset)))

        return self.transact(place)

    def transact(self, place: Callable[[], Sequence[Value]]) -> bool:
        """Try several calls at once: all of them enter the graph, or nothing does.

        ``place`` applies them and gives back the values that the graph is to have; Infeasible where it cannot.
        """
        store = self.graph.store
        mark, dims, count = store.mark(), len(self.dims), self._names.count
        try:
            wanted = place()
        except (Infeasible, NotCovered):
            store.rollback(mark)
            del self.dims[dims:]
            self._nodes.clear()
            self._made.clear()
            self._names.count = count
            return False
        self._keep(wanted)
        return True

    def place(self, name: str, call: Call) -> tuple[Value, ...]:
        """One call that is wanted as it is: kept at once, or Infeasible."""
        if not self.attempt(name, lambda _sign: call):
            raise Infeasible(f"{name} has no place here")
        return self.graph.nodes[-1].outputs

    def is_foreign(self, value: Value) -> bool:
        """Whether a value is of a graph around this one."""
        return value in self._foreign

    def _keep(self, wanted: Sequence[Value]) -> None:
        self.graph.store.freeze()
        nodes = self._wanted(wanted)
        self.graph.nodes.extend(nodes)
        used: set[Value] = set()
        for node in nodes:
            used.update(node.outputs)
            for value in node.reads:
                self._read(value)
                used.add(value)
        for value in self._made:
            if value not in used:
                continue
            if value.origin is Origin.INPUT:
                self._enter(value)
            elif value.origin is Origin.INITIALIZER:
                self.graph.initializers.append(value)
                if not self.plan.constant_data:
                    continue  # what one operator has for its weights is no other's operand then
            self._show(value)
        self._nodes.clear()
        self._made.clear()

    def _read(self, value: Value) -> None:
        """Count a use: here where the value is of this graph, else where the node of this body is kept."""
        if self.outer is not None and (value in self._foreign or value.origin is Origin.INPUT):
            self.graph.captured.append(value)
        else:
            value.uses += 1

    def _enter(self, value: Value) -> None:
        """A new input of the model: pending in the graph around a body."""
        if self.outer is None:
            self.graph.inputs.append(value)
        else:
            self.outer._made.append(value)  # noqa: SLF001 - of the same class

    def _wanted(self, wanted: Sequence[Value]) -> list[Node]:
        """The pending nodes without adapters of which nothing came: what is wanted, and what leads up to it."""
        if len(self._nodes) == 1:
            return self._nodes[:]
        needed = {id(v) for v in wanted}
        kept = []
        for node in reversed(self._nodes):
            if any(id(v) in needed for v in node.outputs):
                needed.update(map(id, node.reads))
                kept.append(node)
        return kept[::-1]

    def apply(self, name: str, call: Call) -> tuple[Value, ...]:
        """Type, check and evaluate a call; its node and outputs are pending then. Infeasible where it is no good."""
        row, sign = TABLE[name], signature(name, self.plan.opset)
        operands = call.inputs
        dtypes = tuple([None if v is None else v.type.dtype for v in operands])
        params = settle(call.params, row, sign, dtypes[0] if dtypes else None)
        typing = Typing(
            {**sign.defaults, **params}, tuple(map(_sizes, operands)), dtypes, call.outputs, self.graph.store,
            _containers(operands),
        )  # fmt: skip
        shapes = row.shape(typing)
        outputs = self._output_dtypes(row, sign, typing, dtypes, call.stored)
        if not self.plan.runs_on(name, dtypes, outputs):
            raise Infeasible(f"the targets do not run {name} on these types")
        if not self.plan.takes(name, typing.params):
            raise Infeasible(f"the targets do not run {name} with these attributes")
        if self.graph.store.moved:
            for value in self._made:
                self._refit(value)
        typing.params = concrete(typing.params, self.graph.store.value)
        bodies = tuple(given for given in params.values() if isinstance(given, Graph)) if row.opaque else ()
        node = Node(name, operands, (), params, call.absent, bodies, call.stored)
        if name in PROPAGATED and overflows(name, operands):
            raise Infeasible(f"ONNX's inference refuses {name} of constants that overflows")
        held = tuple([None if v is None else v.array for v in operands])
        run = self._run(node, typing.params, held, dtypes, outputs)
        arrays = evaluated(row, sign, run)
        exact = run.exact
        if bodies and exact:
            exact = all(v.exact for body in bodies for v in (*body.captured, *body.outputs))
        results = []
        for array, dtype, shape in zip(arrays, outputs, shapes, strict=False):
            value = Value(
                self._name("v"), self._typed(dtype, shape, array), array, Origin.NODE,
                exact and not row.tied and (row.exact or not dtype.is_float),
            )  # fmt: skip
            like = operands[0] if operands else None
            if like is None or _sizes(like) is not shape or like.array.shape != value.array.shape:
                self._check_shape(name, value)
            self._examine(row, value)
            results.append(value)
        node.outputs = tuple(results)
        self._nodes.append(node)
        self._made.extend(v for i, v in enumerate(results) if i not in (call.absent or ()))
        return node.outputs

    def _run(
        self, node: Node, params: Mapping[str, Any], arrays: tuple[Any, ...], dtypes: tuple[DType | None, ...],
        outputs: tuple[DType, ...], changed: Mapping[Value, Array] = _UNCHANGED,
    ) -> Run:  # fmt: skip
        if self._specials:
            refuse_specials(node.operator, arrays)
        inside: Inside | None = None
        if node.bodies:
            inside = lambda graph, values: self.inside(graph, {**changed, **values})  # noqa: E731
        exact = all(v is None or v.exact for v in node.inputs)
        return Run(params, arrays, dtypes, outputs, _ARITHMETIC, inside=inside, exact=exact)

    def inside(self, graph: Graph, values: Mapping[Value, Array]) -> tuple[Any, ...]:
        """What a body gives where some of the values that it may read are replaced.

        Infeasible where a node of it is not defined then, or cannot be judged: the same is asked as of a new node.
        """
        known = dict(values)
        for node in graph.nodes:
            row, sign = TABLE[node.operator], signature(node.operator, graph.opset)
            params = concrete({**sign.defaults, **node.params}, graph.store.value)
            arrays = tuple(None if v is None else known.get(v, v.array) for v in node.inputs)
            dtypes = tuple(None if v is None else v.type.dtype for v in node.inputs)
            outputs = tuple(v.type.dtype for v in node.outputs)
            try:
                results = evaluated(row, sign, self._run(node, params, arrays, dtypes, outputs, known))
            except (ArithmeticError, IndexError, ValueError) as broken:  # sizes that hang on values
                raise Infeasible(f"{node.operator}: {broken}") from broken
            for value, array in zip(node.outputs, results, strict=False):
                for part in tensors(array):
                    admitted(row, part, value.type.dtype, self.plan.palettes, exact=value.exact)
                known[value] = array
        return tuple(known.get(v, v.array) for v in graph.outputs)

    def _typed(self, dtype: DType, sizes: Sizes | Parts, array: Array) -> TensorType:
        """The type of an output; where the values decide a size, a new symbol stands for it."""
        if isinstance(sizes, Parts):
            return ContainerType(dtype, (), sizes)
        if len(sizes) != array.ndim:
            raise AssertionError(f"a shape rule says rank {len(sizes)}, the values have {array.shape}")
        fresh = self.graph.store.fresh
        named = zip(sizes, array.shape, strict=True)
        shape = tuple([fresh(size, name="u", fixed=True, counted=True) if d is None else d for d, size in named])
        return TensorType(dtype, shape)

    def _refit(self, value: Value) -> None:
        """A placeholder whose symbols were moved while constraints were repaired is drawn again at its new size."""
        if value.recipe is not None:
            sizes = tuple(self.graph.store.value(d) for d in value.type.shape)
            if sizes != value.array.shape:
                from fuzz.generate.tensors import fill

                value.replace(fill(value.recipe, sizes, value.type.dtype))

    def _output_dtypes(
        self, row: Operator, sign: Signature, typing: Typing, dtypes: Sequence[DType | None],
        stored: Mapping[str, DType],
    ) -> tuple[DType, ...]:  # fmt: skip
        if row.output_dtypes is not None:
            return tuple(row.output_dtypes(typing, sign))[: typing.outputs]
        bound: dict[str, DType] = {**stored}
        operands, results = _variables(row.name, self.plan.opset)
        for position, dtype in enumerate(dtypes):
            if dtype is not None:
                bound.setdefault(operands[position] if position < len(operands) else operands[-1], dtype)
        for formal in sign.inputs if not dtypes else ():
            given = typing.params.get(formal.name)
            if given is not None:
                bound.setdefault(formal.variable, stored_type(sign.types[formal.variable], given))
        wanted = results[: typing.outputs] + results[-1:] * (typing.outputs - len(results))
        return tuple([bound.get(variable) or sign.types[variable][0] for variable in wanted])

    def _check_shape(self, name: str, value: Value) -> None:
        """Compare what the shape rule says with the values that there are: a rule that is wrong is our bug."""
        parts = [(value.type.shape, value.array)]
        if isinstance(value.type, ContainerType):
            shapes, held = value.type.parts.shapes, tensors(value.array)
            if len(shapes) != len(held):
                raise AssertionError(f"shape rule of {name} says {len(shapes)} parts, there are {len(held)}")
            parts = list(zip(shapes, held, strict=True))
        for shape, array in parts:
            sizes = tuple(map(self.graph.store.value, shape))
            if sizes != array.shape:
                raise AssertionError(f"shape rule of {name} says {sizes}, its values have {array.shape}")

    def _examine(self, row: Operator, value: Value) -> None:
        """Refuse a rank that is not wanted, and what cannot be judged: too many elements, out of range, all alike."""
        if isinstance(value.type, ContainerType):
            for part in tensors(value.array):
                admitted(row, part, value.type.dtype, self.plan.palettes, exact=value.exact)
            return
        array, dtype = value.array, value.type.dtype
        if array.ndim < self.plan.rank[0]:
            raise Infeasible(f"{row.name} makes a tensor of rank {array.ndim}")
        low, high, margin = admitted(row, array, dtype, self.plan.palettes, exact=value.exact, limits=value.range)
        if dtype.is_float and high - low <= margin and array.size > 3 and self.choices.integer(0, 3):
            raise Infeasible(f"{row.name} is constant")

    # -- adapters --------------------------------------------------------------------------------------------------

    def adapter(self, name: str, inputs: tuple[Value, ...], params: Mapping[str, Any]) -> Value | None:
        """One node on the way to what a call needs; None where the operator is not to be used or does not fit."""
        if name not in self.plan.operators:
            return None
        dtype = inputs[0].type.dtype
        sign = signature(name, self.plan.opset)
        if dtype not in self.plan.allowed(name, sign, sign.inputs[0].variable):
            return None
        nodes, made = len(self._nodes), len(self._made)
        try:
            return self.apply(name, Call(inputs, params))[0]
        except Infeasible:
            del self._nodes[nodes:], self._made[made:]
            return None
