"""Other sizes of a model's inputs, and of every constant that has to go along.

The sizes of inputs and initializers become symbols, the operators' shape rules say which of them are equal and what
they must satisfy; one symbol gets another value. What the rules cannot say (bodies, functions, computed shapes) keeps
its sizes. The reference has the last word.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.constraints import Constraints, Infeasible
from abstract.dims import Dim, Symbol, evaluate, symbols
from abstract.operator import NotCovered, Typing
from abstract.program import parameter
from abstract.types import Parts
from fuzz.mutate.draw import pick
from fuzz.mutate.mutant import Draft, settled
from fuzz.mutate.parent import LIMIT, Unfit, array_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.operator import Array
    from abstract.program import Step
    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant
    from fuzz.mutate.parent import Feed, Parent

__all__ = ["fitted", "mutate_shapes", "refill", "symbolic_shapes"]

_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
_TRIES = 12  # sizes that are wished for, until the facts admit one

Shapes = dict[str, tuple[Dim, ...]]


def mutate_shapes(parent: Parent, choices: Choices) -> Mutant:
    """The parent with another size on one axis of an input, and wherever it follows from that. Raises Unfit."""
    store = Constraints()
    shapes = symbolic_shapes(parent, store)
    free = _free(parent, store, shapes)
    if not free:
        raise Unfit("no size: every size is fixed by an operator")
    for _ in range(_TRIES):
        symbol = pick(choices, free)
        old = store.witness(symbol)
        size = pick(choices, (*_SIZES, old + 1, max(old - 1, 0), 2 * old, 0))
        wished: Callable[[Symbol], int] = lambda s, mine=symbol, to=size: to if s == mine else store.witness(s)  # type: ignore[misc]  # noqa: E731
        if size != old and store.satisfied(wished):
            return _resized(parent, store, shapes, wished, f"a size of {old} became {size}")
    raise Unfit("no size: the operators admit no other that was tried")


def symbolic_shapes(parent: Parent, store: Constraints) -> Shapes:
    """The shapes of all values over symbols for the sizes of inputs and initializers."""
    shapes: Shapes = {}
    inputs = [n for n, v in parent.feeds[0].items() if isinstance(v, np.ndarray)]
    weights = [n for n, a in parent.program.constants.items() if n in _initializers(parent.model) and a.ndim]
    for name in dict.fromkeys((*inputs, *weights)):
        sizes = parent.shape(name)
        shapes[name] = tuple(store.fresh(n, low=0, name="s", fixed=True) for n in sizes)
    store.freeze()
    for step in parent.program.steps:
        _typed(parent, step, store, shapes)
    return shapes


def _initializers(model: onnx.ModelProto) -> set[str]:
    return {tensor.name for tensor in model.graph.initializer}


def _typed(parent: Parent, step: Step, store: Constraints, shapes: Shapes) -> None:
    """What the rule of a step says of its outputs; where there is none, operands and outputs keep their sizes."""
    names = [name for name in step.inputs if name is not None]
    late = list(step.late.values())
    parameters = [n for n in step.node.input if n and n not in names]
    for name in parameters:
        _pin(store, shapes, name)  # how many axes there are, say, is no size of the data
    rule = step.row.shape if step.row is not None and not step.row.opaque else None
    mark = store.mark()
    if rule is not None:
        try:
            operands = tuple(None if name is None else _shape(parent, shapes, name) for name in step.inputs)
            # A parameter that is computed is taken to stay what it is.
            params = {**step.params, **{key: parameter(key, _array(parent, name)) for key, name in step.late.items()}}
            typing = Typing(params, operands, step.input_dtypes, len(step.outputs), store)
            made = rule(typing)
        except (Infeasible, NotCovered, ValueError, IndexError, KeyError, TypeError, ZeroDivisionError):
            store.rollback(mark)
        else:
            for name, sizes in zip(step.outputs, made, strict=False):
                if name and not isinstance(sizes, Parts):
                    known = parent.shape(name)
                    shapes[name] = tuple(k if d is None else d for d, k in zip(sizes, known, strict=True))
            return
    for name in (*names, *late, *_read_inside(step)):
        _pin(store, shapes, name)


def _array(parent: Parent, name: str) -> Array:
    return array_of(parent.values[name].value)


def _read_inside(step: Step) -> list[str]:
    """What the bodies of a node read from outside, among other names."""
    from backends.graph import graphs

    bodies = [attribute.g for attribute in step.node.attribute if attribute.HasField("g")]
    return [n for body in bodies for inner in graphs(body) for part in inner.node for n in part.input if n]


def _shape(parent: Parent, shapes: Shapes, name: str) -> tuple[Dim, ...]:
    if name not in shapes:
        shapes[name] = parent.shape(name)
    return shapes[name]


def _pin(store: Constraints, shapes: Shapes, name: str) -> None:
    """A value keeps its sizes."""
    for dim in shapes.get(name, ()):
        store.unify(dim, store.value(dim))


def _free(parent: Parent, store: Constraints, shapes: Shapes) -> list[Symbol]:
    """The symbols that inputs have and that stand for themselves."""
    found = {
        symbol: None
        for name in parent.feeds[0] if name in shapes
        for dim in shapes[name] for symbol in symbols(store.resolve(dim))
    }  # fmt: skip
    return list(found)


# --- into the model ---------------------------------------------------------------------------------------------


def _resized(
    parent: Parent, store: Constraints, shapes: Shapes, size: Callable[[Symbol], int], change: str
) -> Mutant:
    def sizes(name: str) -> tuple[int, ...]:
        return tuple(evaluate(store.resolve(dim), size) for dim in shapes[name])

    model = deepcopy(parent.model)
    feed: Feed = {n: fitted(v, sizes(n)) if n in shapes else v for n, v in parent.feeds[0].items()}
    for info in model.graph.input:
        if info.name in shapes:
            for dim, n in zip(info.type.tensor_type.shape.dim, sizes(info.name), strict=True):
                dim.dim_value = n
    for tensor in model.graph.initializer:
        if tensor.name in shapes and sizes(tensor.name) != tuple(tensor.dims):
            refill(tensor, sizes(tensor.name))
    return settled(Draft(model, (feed,), change))


def fitted(value: Any, shape: tuple[int, ...]) -> Any:
    """A tensor cut, or repeated, to a shape: its numbers stay in their domain."""
    if value.shape == shape:
        return value
    if int(np.prod(shape)) > LIMIT:
        raise Unfit("too large: a tensor")
    result = value
    for axis, n in enumerate(shape):
        if n and not result.shape[axis]:
            result = np.ones((*result.shape[:axis], n, *result.shape[axis + 1 :]), result.dtype)
        else:
            result = np.take(result, np.arange(n) % max(result.shape[axis], 1), axis=axis)
    return result


def refill(tensor: onnx.TensorProto, shape: tuple[int, ...]) -> None:
    """Cut a constant, or repeat its numbers, to a shape."""
    array: Array = onnx.numpy_helper.to_array(tensor)
    name = tensor.name
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(fitted(array, shape)), name))
