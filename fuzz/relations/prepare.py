"""From a case to its variants: made, accepted by ONNX's checker, and found to be equal by the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.bounded import Bounded
from abstract.program import parse
from fuzz.case import read_record
from fuzz.judge.judge import reference_values
from fuzz.judge.run import samples_of
from fuzz.judge.verdict import Verdict, Word
from fuzz.relations.batch import batch_variants
from fuzz.relations.metamorphic import metamorphic
from fuzz.relations.numbers import NUMBERS, number_variants
from fuzz.relations.opset import converted
from fuzz.relations.save import with_external_data
from fuzz.relations.shapes import shape_variants
from fuzz.relations.table import REWRITES
from fuzz.relations.variant import check, read_original

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fuzz.case import Case
    from fuzz.relations.variant import Original, Variant

__all__ = ["FAMILIES", "Note", "Plan", "Prepared", "consistent", "prepare", "relation_names", "variant_values"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: relations by family or in full, the seed of the choices, rewrites for each case."""

    relations: tuple[str, ...]
    seed: int = 0
    rewrites: int = 4

    def families(self) -> tuple[str, ...]:
        """The families of which something is asked, in the order of the request."""
        return tuple(dict.fromkeys(name.partition(":")[0] for name in self.relations))

    def asks(self, relation: str) -> bool:
        """Whether a relation is asked for, by its own name or by its family's."""
        return relation in self.relations or relation.partition(":")[0] in self.relations


@dataclass(frozen=True, slots=True)
class Note:
    """Why a relation was not used on a case."""

    case: str
    relation: str
    reason: str


@dataclass(slots=True)
class Prepared:
    """The variants of a case, why others were not made, and what was found wrong with a tool on the way."""

    case: str
    variants: list[Variant] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def prepare(case: Case, plan: Plan) -> Prepared:
    """All variants of a case that the plan asks for and that may be judged."""
    result = Prepared(case.id)
    try:
        data_sets = [sample.inputs for sample in samples_of(case)]
        original = read_original(case.id, case.model_path.read_bytes(), case.folder, data_sets, read_record(case))
        for number in range(len(data_sets)):
            original.values(number)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a stranger's model, it has no relations
        result.notes.append(Note(case.id, "all", f"the case cannot be used: {_line(error)}"))
        return result
    for family in plan.families():
        for made in _MAKERS[family](original, plan):
            _sort(original, made, result)
    return result


def _sort(original: Original, made: Variant | Verdict, result: Prepared) -> None:
    """A variant that holds, one that does not hold, or a verdict on the tool that should have made one."""
    if isinstance(made, Verdict):
        result.verdicts.append(made)
        return
    problem, fault = _problem(original, made)
    if not problem:
        result.variants.append(made)
    if made.tool and (fault or not problem):
        word, message = (Word.WRONG, f"{made.place}: {problem}") if fault else (Word.OK, made.place)
        result.verdicts.append(Verdict(original.case, made.tool, 0, word.value, message=message, oracle=made.relation))
    elif problem:
        result.notes.append(Note(original.case, made.relation, problem))


def _unoptimised(_original: Original, _plan: Plan) -> Iterator[Variant]:
    """The same model on another target: see ``fuzz/relations/run.py``."""
    yield from ()


def _static(original: Original, plan: Plan) -> Iterator[Variant]:
    if plan.asks(NUMBERS):
        yield from number_variants(original)
    yield from (variant for variant in shape_variants(original) if plan.asks(variant.relation))


def _batch(original: Original, _plan: Plan) -> Iterator[Variant]:
    return batch_variants(original)


def _opset(original: Original, plan: Plan) -> Iterator[Variant | Verdict]:
    made = converted(original, plan.seed)
    if made is not None:
        yield made


def _save(original: Original, plan: Plan) -> Iterator[Variant]:
    made = with_external_data(original, plan.seed) if plan.asks("save:external-data") else None
    if made is not None:
        yield made


def _metamorphic(original: Original, plan: Plan) -> Iterator[Variant]:
    named = [name for name in REWRITES if f"metamorphic:{name}" in plan.relations]
    if "metamorphic" in plan.relations:
        return metamorphic(original, plan.seed, list(REWRITES), plan.rewrites)
    return metamorphic(original, plan.seed, named, len(named))


_MAKERS: Mapping[str, Callable[[Original, Plan], Iterator[Variant | Verdict]]] = MappingProxyType({
    "unoptimised": _unoptimised, "static": _static, "metamorphic": _metamorphic, "batch": _batch, "opset": _opset,
    "save": _save,
})  # fmt: skip

FAMILIES: Mapping[str, str] = MappingProxyType({
    "unoptimised": "optimised against unoptimised",
    "static": "dynamic against static shapes",
    "metamorphic": "the model against rewrites of it that keep its meaning",
    "batch": "a batch against its parts",
    "opset": "the model against itself converted to a newer opset",
    "save": "the model against itself saved and loaded",
})  # fmt: skip
"""What each family of relations compares."""

_MEMBERS: Mapping[str, str] = MappingProxyType({
    NUMBERS: "a dynamic model that fuzz gen made against the same graph with every size in it a number",
    "static:specialised": "a dynamic model against the sizes of each data set declared",
    "static:symbolic": "a static model against sizes of its inputs as symbols",
    "save:external-data": "initializers in a file (ONNX Runtime, which reads it itself)",
    "save:reload": "what the backend compiled, saved in its own form and loaded",
})  # fmt: skip


def relation_names() -> dict[str, str]:
    """Every relation that can be asked for, families first, with what it says."""
    return {**FAMILIES, **_MEMBERS, **{f"metamorphic:{name}": rewrite.summary for name, rewrite in REWRITES.items()}}


def _problem(original: Original, variant: Variant) -> tuple[str, bool]:
    """Why a variant may not be used, empty where it may; and whether that is the fault of whoever made it."""
    try:
        check(onnx.ModelProto.FromString(variant.content))
    except Exception as error:  # noqa: BLE001 - the checker's and the inference's exceptions have no common base
        return f"ONNX's checker refuses the variant: {_line(error)}", True
    try:
        values = variant_values(variant)
    except Exception as error:  # noqa: BLE001 - what the reference cannot run is not judged
        return f"the reference cannot run the variant: {_line(error)}", False
    for view, known in zip(variant.views, values, strict=True):
        due = original.values(view.data_set)
        for position, value in zip(variant.outputs, known, strict=True):
            name = original.outputs[position]
            problem = consistent(due[name], value, view.rows)
            if problem:
                return f"the reference parts on output {name!r}: {problem}", True
    return "", False


def variant_values(variant: Variant, target: str = "") -> list[list[Bounded]]:
    """What the reference says of a variant's outputs on each view. Raises what the reference cannot do."""
    program = parse(onnx.ModelProto.FromString(variant.content))
    result = []
    for view in variant.views:
        values = reference_values(program, view.inputs, target)
        result.append([values[name] for name in program.outputs])
    return result


def consistent(due: Bounded, value: Bounded, rows: tuple[int, int] | None = None) -> str:
    """Why two values of the reference are not the same, as far as their bounds tell; empty where they are."""
    if due.dtype is not value.dtype:
        return f"{due.dtype} and {value.dtype}"
    if isinstance(due.value, list) and isinstance(value.value, list):
        return _parts_consistent(due, value)
    if not isinstance(due.value, np.ndarray) or not isinstance(value.value, np.ndarray):
        return ""
    return _elements_consistent(due, value, rows)


def _elements_consistent(due: Bounded, value: Bounded, rows: tuple[int, int] | None) -> str:
    """The same of two tensors, element by element; of the first one these rows."""
    content, other = np.asarray(due.value), np.asarray(value.value)
    bound = np.broadcast_to(np.asarray(due.bound, np.float64), content.shape)
    if rows is not None:
        content, bound = content[rows[0] : rows[1]], bound[rows[0] : rows[1]]
    if content.shape != other.shape:
        return f"shapes {list(content.shape)} and {list(other.shape)}"
    with np.errstate(all="ignore"):
        same = content == other
        if content.dtype.kind == "f":
            same |= np.isnan(content) & np.isnan(other)
        if content.dtype.kind not in "fiub":
            return "" if same.all() else "other elements"
        apart = np.abs(content.astype(np.float64) - other.astype(np.float64))
        allowed = bound + np.asarray(value.bound, np.float64)
        off = ~same & ~(apart <= allowed) & ~np.isinf(allowed)
    if not off.any():
        return ""
    return f"{int(off.sum())} elements, by up to {float(np.max(apart, where=off, initial=0.0)):.3g}"


def _parts_consistent(due: Bounded, value: Bounded) -> str:
    """The same of two sequences, part by part."""
    mine, theirs = _parts(due), _parts(value)
    if len(mine) != len(theirs):
        return f"{len(mine)} and {len(theirs)} parts"
    found = (consistent(a, b) for a, b in zip(mine, theirs, strict=True))
    return next((f"part {k}: {words}" for k, words in enumerate(found) if words), "")


def _parts(value: Bounded) -> list[Bounded]:
    held: Any = value.value
    bounds = value.parts if value.parts is not None else (value.bound,) * len(held)
    pairs = zip(held, bounds, strict=True)
    return [Bounded(np.asarray(part), bound, value.dtype, value.shaped) for part, bound in pairs]


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().split("\n", 1)[0][:200]
