"""The judge: null runs and planted faults, as `fuzz selftest` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands import fuzz
from figure import Figure, Scale, clock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["null_runs", "planted_faults"]


def null_runs(scale: Scale) -> Iterator[Figure]:
    """Legal recomputations that are called wrong, and suspect."""
    with clock() as spent:
        found = fuzz("selftest", "--null", "--count", "50" if scale.quick else "2000")
    detail = f"{found['judged']:,} values of {found['cases']:,} cases, {found['undecidable']:,} undecidable"
    yield Figure("legal recomputations called wrong", found["wrong"], "", 0, cpu=spent.cpu, detail=detail)
    yield Figure("legal recomputations called suspect", round(100 * found["suspect"] / found["judged"], 4), "%", 0.1)


def planted_faults(scale: Scale) -> Iterator[Figure]:
    """Planted faults that the judge finds, on the null executor and on ONNX Runtime."""
    for executor, arguments in (("the null executor", []), ("ONNX Runtime", ["--backend", "onnxruntime"])):
        with clock() as spent:
            found = fuzz("selftest", "--faults", "--count", "20" if scale.quick else "200", *arguments)
        effective = sum(score["effective"] for score in found["faults"].values())
        caught = sum(score["found"] for score in found["faults"].values())
        kinds = sum(score["found"] > 0 for score in found["faults"].values())
        yield Figure(
            f"planted faults found on {executor}", round(100 * caught / max(effective, 1), 1), "%", 95, "at_least",
            spent.cpu, f"{caught:,} of {effective:,}; {kinds} of {len(found['faults'])} kinds; "
            f"{found['clean'].get('wrong', 0)} of {found['cases']:,} clean runs wrong"
            + (" (bugs of its own)" if arguments and found["clean"].get("wrong") else ""),
        )  # fmt: skip
