"""Variants by rewrites that keep the meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.relations.rewrite import rewritten
from fuzz.relations.site import drawer
from fuzz.relations.table import REWRITES
from fuzz.relations.variant import Variant, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzz.relations.rewrite import Rewrite, Rewritten
    from fuzz.relations.variant import Original

__all__ = ["metamorphic", "variant_of"]


def metamorphic(original: Original, seed: int, names: Sequence[str], count: int) -> Iterator[Variant]:
    """Up to ``count`` variants by rewrites among ``names``, in an order that seed and case decide."""
    order = list(names)
    draw = drawer(seed, original.case, "order")
    made = 0
    while order and made < count:
        rewrite = REWRITES[order.pop(draw(len(order)))]
        found = rewritten(original.base, rewrite, drawer(seed, original.case, rewrite.name))
        if found is not None:
            made += 1
            yield variant_of(original, rewrite, found)


def variant_of(original: Original, rewrite: Rewrite, found: Rewritten) -> Variant:
    """A rewritten model with the data that it is to be run on."""
    views = []
    for number, inputs in enumerate(original.data_sets[:1] if found.frozen else original.data_sets):
        kept = {name: value for name, value in inputs.items() if name not in found.frozen}
        views.append(View(number, kept | found.lifted))
    copies = [original.outputs.index(name) for name in found.copies]
    return Variant(
        f"metamorphic:{rewrite.name}", f"{rewrite.summary}: {found.place}",
        found.model.SerializeToString(deterministic=True), tuple(views), (*original.same_outputs(), *copies),
        exact=rewrite.exact, opaque=rewrite.opaque,
    )  # fmt: skip
