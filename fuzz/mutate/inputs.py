"""The same model on other inputs: new draws, and small steps from what there is. Compiled once, run on many.

What a step makes need not be legal: the reference decides (``fuzz/mutate/mutant.py``). Integers stay within the range
of the parent's, for they are indices and sizes as often as numbers.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, Kind
from abstract.graph import Recipe
from abstract.operator import EVERYWHERE, Domain
from fuzz.generate.choices import Replayed
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support
from fuzz.generate.tensors import choose_recipe, fill, rounded
from fuzz.mutate.draw import coin, pick, shuffled
from fuzz.mutate.mutant import settled_inputs
from fuzz.mutate.parent import Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.dtypes import DType
    from abstract.operator import Array
    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant
    from fuzz.mutate.parent import Feed, Parent

__all__ = ["STEPS", "elements", "mutate_inputs"]

_DATA_SETS = 4  # of a mutant
_TRIES = 3  # for each
_WIDEST = 2.0**53  # of a range from which whole numbers, quarters and fractions are drawn
_INDEX = BY_NAME["int64"]


def mutate_inputs(parent: Parent, choices: Choices) -> Mutant:
    """The parent's model, byte for byte, with data sets that are new. Raises Unfit."""
    names = [name for name, value in parent.feeds[0].items() if name in parent.dtypes and elements(value)]
    if not names:
        raise Unfit("no inputs: the model takes none that hold anything")
    recipes = _recipes(parent)
    feeds = (_other(parent, names, recipes, choices) for _ in range(_DATA_SETS * _TRIES))
    return settled_inputs(parent.content, parent.program, feeds, _DATA_SETS)


def elements(value: Any) -> int:
    """How many there are in a tensor, or in all tensors of a container."""
    if isinstance(value, list):
        return sum(map(elements, value))
    return 0 if value is None else int(np.size(value))


def _recipes(parent: Parent) -> Mapping[str, Recipe]:
    """How the inputs of a model of ours were drawn; nothing for a stranger's, or one of another version of ours."""
    if "choices" not in parent.record or "settings" not in parent.record:
        return {}
    try:
        settings = Settings.from_json(parent.record["settings"])
        supports = joint_support(settings.targets)
        if generate_case(Replayed(parent.record["choices"]), settings, supports).model != parent.content:
            return {}
        graph, _ = generate_graph(Replayed(parent.record["choices"]), settings, supports)
    except (NothingFits, TypeError, ValueError):
        return {}
    return {value.name: value.recipe for value in graph.inputs if value.recipe is not None}


def _other(
    parent: Parent, names: list[str], recipes: Mapping[str, Recipe], choices: Choices
) -> tuple[Feed, str]:
    """Another feed, and what was done: all inputs drawn anew, or one step on one of them."""
    feed = dict(pick(choices, parent.feeds))
    if coin(choices, 40):
        for name in names:
            feed[name] = _step("redraw", feed[name], parent.dtypes[name], recipes.get(name), choices)
        return feed, "all redrawn"
    name = pick(choices, names)
    step = pick(choices, list(STEPS))
    feed[name] = _step(step, feed[name], parent.dtypes[name], recipes.get(name), choices)
    return feed, f"{name} {step}"


def _step(step: str, value: Any, dtype: DType, recipe: Recipe | None, choices: Choices) -> Any:
    """The step on a tensor, or on each tensor of a sequence."""
    if isinstance(value, list):
        return [_step(step, part, dtype, recipe, choices) for part in value]
    if value is None or not np.size(value):
        return value
    if step == "redraw" and recipe is not None:
        return _from_recipe(recipe, value.shape, dtype, choices)
    made = STEPS[step](np.asarray(value), dtype, choices)
    if dtype.is_integer:
        return np.clip(made, value.min(), value.max())
    return _inside(made, dtype) if dtype.is_float else made


def _inside(array: Array, dtype: DType) -> Array:
    """Floats as the type holds them, none of them beyond its ends."""
    return rounded(np.clip(array, dtype.minimum, dtype.maximum), dtype)


def _from_recipe(recipe: Recipe, shape: tuple[int, ...], dtype: DType, choices: Choices) -> Array:
    """Another seed, and now and then another palette, in the same range."""
    palette = pick(choices, ("spread", "whole", "quarters", "constant")) if coin(choices, 25) else recipe.palette
    wide = recipe.high - recipe.low > _WIDEST
    if not dtype.is_float or wide or np.ceil(recipe.low) > np.floor(recipe.high):
        palette = recipe.palette
    seed = choices.integer(0, 2**32 - 1)
    return fill(Recipe(palette, seed, recipe.low, recipe.high, recipe.away), shape, dtype)


# --- steps ------------------------------------------------------------------------------------------------------


def _redraw(array: Array, dtype: DType, choices: Choices) -> Array:
    """Numbers of the range that there was, or of any that the generator draws from; strings among those there were."""
    if dtype.kind in (Kind.STRING, Kind.COMPLEX, Kind.BOOL):
        if dtype.kind is Kind.STRING:
            return _gathered(array, choices)
        palette = "whole" if dtype.kind is Kind.BOOL else "spread"
        return fill(Recipe(palette, _seed(choices), 0.0, 1.0), array.shape, dtype)
    low, high = float(np.nan_to_num(array.min())), float(np.nan_to_num(array.max()))
    domain = Domain(low, high) if dtype.is_integer or coin(choices, 50) else EVERYWHERE
    try:
        return fill(choose_recipe(dtype, domain, choices.integer), array.shape, dtype)
    except Infeasible:
        return array


def _seed(choices: Choices) -> int:
    return choices.integer(0, 2**32 - 1)


def _gathered(array: Array, choices: Choices) -> Array:
    """Each element any of those that there were."""
    at = fill(Recipe("whole", _seed(choices), 0.0, float(array.size - 1)), array.shape, _INDEX)
    return np.asarray(array.reshape(-1)[at.astype(np.int64)])


def _element(array: Array, dtype: DType, choices: Choices) -> Array:
    """One element replaced by one of a new draw."""
    result, at = array.copy(), choices.integer(0, array.size - 1)
    result.reshape(-1)[at] = _redraw(array, dtype, choices).reshape(-1)[at]
    return result


def _permuted(array: Array, _dtype: DType, choices: Choices) -> Array:
    if array.size > 256:
        return np.roll(array.reshape(-1), choices.integer(1, array.size - 1)).reshape(array.shape)
    order = shuffled(choices, range(array.size))
    return np.asarray(array.reshape(-1)[order]).reshape(array.shape)


def _doubled(array: Array, dtype: DType, _choices: Choices) -> Array:
    return array if dtype.kind in (Kind.STRING, Kind.BOOL) else array * 2


def _negated(array: Array, dtype: DType, _choices: Choices) -> Array:
    if dtype.kind is Kind.BOOL:
        return np.asarray(~array)
    return array if dtype.kind is Kind.STRING else np.asarray(-array)


def _ordered(array: Array, dtype: DType, choices: Choices) -> Array:
    """Sorted along the flattened tensor, upwards or downwards."""
    if dtype.kind is Kind.COMPLEX:
        return array
    ordered = np.sort(array.reshape(-1))
    return np.asarray(ordered[::-1] if coin(choices, 50) else ordered).reshape(array.shape)


def _ties(array: Array, _dtype: DType, choices: Choices) -> Array:
    """About half of the elements become one and the same."""
    flat = array.reshape(-1)
    chosen = fill(Recipe("whole", _seed(choices), 0.0, 1.0), flat.shape, _INDEX).astype(bool)
    return np.where(chosen, flat[choices.integer(0, array.size - 1)], flat).reshape(array.shape)


def _near(array: Array, dtype: DType, choices: Choices) -> Array:
    """Each element a few steps of the type's spacing away, those of about half of them."""
    if not dtype.is_float:
        return _element(array, dtype, choices)
    steps = fill(Recipe("whole", _seed(choices), -2.0, 2.0), array.shape, _INDEX)
    return array * (1 + steps * 2 * dtype.unit)


def _zeros(array: Array, _dtype: DType, _choices: Choices) -> Array:
    return np.zeros_like(array) if array.dtype.kind != "O" else array


def _whole(array: Array, dtype: DType, _choices: Choices) -> Array:
    return np.asarray(np.rint(array)) if dtype.is_float else array


STEPS: Mapping[str, Callable[[Array, DType, Choices], Array]] = MappingProxyType({
    "redraw": _redraw, "element": _element, "permuted": _permuted, "doubled": _doubled, "negated": _negated,
    "sorted": _ordered, "ties": _ties, "near": _near, "zeros": _zeros, "whole": _whole,
})  # fmt: skip
"""What may be done to one tensor: the tensor in its carrier type, its element type, and a source of decisions."""
