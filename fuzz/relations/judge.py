"""What becomes of a pair: both sides ran, or the variant alone did not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from abstract.fallback import RANDOM
from backends.protocol import Outcome
from fuzz.judge.compare import Comparison, worst
from fuzz.judge.judge import judge
from fuzz.judge.run import samples_of
from fuzz.judge.verdict import Verdict, Word
from fuzz.relations.pair import agreement, bounded_rows, sides, value_rows
from fuzz.relations.prepare import variant_values
from fuzz.relations.variant import read_original
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.case import Case
    from fuzz.execute.execution import Execution
    from fuzz.relations.variant import Original, Variant

__all__ = ["Pair", "judge_pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One relation on one target, executed.

    ``variant`` is None where the same model ran on another target, which ``other_target`` names. ``same_program`` says
    that the two differ in how the program came to be there, and in nothing that it does.
    """

    relation: str
    target: str
    variant_case: str
    other_target: str
    variant: Variant | None = None
    same_program: bool = False


def judge_pairs(root: str, case: Case, pairs: Sequence[Pair]) -> list[Verdict]:
    """A verdict for each pair whose original ran; the executions are in the store of ``root``."""
    with Store.open(Path(root)) as store:
        mine = {e.target: e for e in store.executions(case.id)}
        others = {(name, e.target): e for name in {p.variant_case for p in pairs} for e in store.executions(name)}
    data_sets = [sample.inputs for sample in samples_of(case)]
    original = read_original(case.id, case.model_path.read_bytes(), case.folder, data_sets)
    verdicts = []
    for pair in pairs:
        one, other = mine.get(pair.target), others.get((pair.variant_case, pair.other_target))
        if one is not None and other is not None and one.outcome is Outcome.OK:
            verdicts.append(_judge(original, pair, one, other))
    return verdicts


def _judge(original: Original, pair: Pair, one: Execution, other: Execution) -> Verdict:
    variant = pair.variant
    where = f"{variant.place}; " if variant is not None else f"{pair.other_target}; "
    if other.outcome is not Outcome.OK:
        model = original.base.model.SerializeToString() if variant is None else variant.content
        refused = judge(original.case, model, "", [], [other])[0]
        message = f"{where}the original runs: {refused.message}"
        return replace(refused, target=pair.target, oracle=pair.relation, message=message)
    try:
        found, data_set, output, what = _compared(original, pair, one, other)
    except Exception as error:  # noqa: BLE001 - one pair must not end the run; the verdict says what happened
        message = f"{where}comparing failed: {type(error).__name__}: {error}".split("\n", 1)[0]
        return Verdict(original.case, pair.target, 0, Word.ERROR.value, message=message, oracle=pair.relation)
    message = "; ".join(part for part in (where.removesuffix("; "), found.message, what) if part)
    return Verdict(
        original.case, pair.target, data_set, found.word.value, output, found.ratio, found.index, found.expected,
        found.actual, found.bound, None, message, pair.relation,
    )  # fmt: skip


def _compared(original: Original, pair: Pair, one: Execution, other: Execution) -> tuple[Comparison, int, str, str]:
    """The worst of all outputs of all views, and which side the reference finds off."""
    variant = pair.variant
    views = original.whole() if variant is None else variant.views
    outputs = original.same_outputs() if variant is None else variant.outputs
    known = None if variant is None or variant.opaque else variant_values(variant, pair.target)
    alike = pair.same_program and not RANDOM & {node.op_type for node in original.base.model.graph.node}
    found: list[tuple[Comparison, int, str, str]] = []
    for number, view in enumerate(views):
        due, again = original.values(view.data_set, pair.target), original.values(view.data_set, pair.other_target)
        if len(other.outputs[number]) != len(outputs):
            message = f"{len(other.outputs[number])} outputs where {len(outputs)} are due"
            return Comparison(Word.WRONG, message=message), view.data_set, original.outputs[0], ""
        for position, (own, theirs) in enumerate(zip(outputs, other.outputs[number], strict=True)):
            name = original.outputs[own]
            mine, expected = value_rows(one.outputs[view.data_set][own], view), bounded_rows(due[name], view)
            also = bounded_rows(again[name], view) if known is None else known[number][position]
            result = agreement(mine, theirs, expected, also, same_program=alike)
            what = sides(mine, theirs, expected, also) if result.word in (Word.WRONG, Word.SUSPECT) else ""
            found.append((result, view.data_set, name, what))
    chosen = worst([result for result, *_ in found])
    return next((entry for entry in found if entry[0] is chosen), (chosen, 0, "", ""))
