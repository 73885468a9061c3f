"""Which findings are one bug by what ``fuzz blame`` has found of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.report.account import Discovery

__all__ = ["same_bugs"]


def same_bugs(discoveries: Sequence[Discovery]) -> dict[str, str]:
    """Of findings that are one bug by their blame, the id of the first by the ids of the others.

    They are of one target and version, wrong in the same way, of the same operators, and the same switches make them
    go away. The switches alone are not enough: ONNX Runtime's QDQSelectorActionTransformer has a bug for each of three
    operators. Findings whose switches nobody asked for, or which no switch makes go away, stand by themselves, and so
    do refusals and crashes: their words tell more.
    """
    first: dict[tuple[object, ...], str] = {}
    same: dict[str, str] = {}
    for found in discoveries:
        blamed = found.blamed
        if not blamed.switches or blamed.word != Word.WRONG or found.unreduced:
            continue
        key = (blamed.target, blamed.version, blamed.symptom, blamed.switches, tuple(found.operators))
        if key in first:
            same[found.id] = first[key]
        else:
            first[key] = found.id
    return same
