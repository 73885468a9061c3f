"""The judge: null runs and planted faults, as `fuzz selftest` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands import fuzz
from figure import Figure, Scale, clock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["null_runs", "planted_faults"]

_QUICK = ("dropped-activation", "lost-bias", "wrong-axis", "race", "failed-assertion")


def null_runs(scale: Scale) -> Iterator[Figure]:
    """Legal recomputations that are called wrong, and suspect."""
    with clock() as spent:
        found = fuzz("selftest", "--null", "--count", "50" if scale.quick else "2000")
    detail = f"{found['judged']:,} values of {found['cases']:,} cases, {found['undecidable']:,} undecidable"
    yield Figure("legal recomputations called wrong", found["wrong"], "", 0, cpu=spent.cpu, detail=detail)
    yield Figure("legal recomputations called suspect", round(100 * found["suspect"] / found["judged"], 4), "%", 0.1)


def planted_faults(scale: Scale) -> Iterator[Figure]:
    """Faults planted in ONNX Runtime that are found within some CPU seconds each, and by a fixed tolerance."""
    names = [argument for name in _QUICK for argument in ("--fault", name)] if scale.quick else []
    seconds = 5 if scale.quick else 20
    with clock() as spent:
        found = fuzz("selftest", "--faults", "--backend", "onnxruntime", "--time", str(seconds), *names)
    faults = found["faults"]
    for label, key, target in (("", "found", 80), (", allclose(1e-2, 1e-3)", "close", None)):
        caught = [fault for fault in faults if fault[key]]
        yield Figure(
            f"planted faults found in {seconds} s of CPU time{label}", round(100 * len(caught) / len(faults), 1), "%",
            target, "at_least", spent.cpu if key == "found" else None, f"{len(caught)} of {len(faults)}",
        )  # fmt: skip
