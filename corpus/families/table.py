"""The table of the families."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from corpus.families import (
    hiaml,
    inception,
    nasbench101,
    nasbench201,
    nasbench301,
    once_for_all,
    once_for_all_resnet,
    two_path,
)  # fmt: skip
from corpus.families.family import FamilyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corpus.families.family import Family

__all__ = ["FAMILIES", "family"]

FAMILIES: Mapping[str, Family] = MappingProxyType({
    one.name: one
    for one in (
        nasbench101.FAMILY, nasbench201.FAMILY, nasbench301.FAMILY, once_for_all.PROXYLESS, once_for_all.MOBILENET_V3,
        once_for_all_resnet.FAMILY, hiaml.FAMILY, inception.FAMILY, two_path.FAMILY,
    )
})  # fmt: skip
"""By name."""


def family(name: str) -> Family:
    """The family of a name. Raises FamilyError, which lists them."""
    if name not in FAMILIES:
        raise FamilyError(f"there is no family {name!r}: {', '.join(FAMILIES)}")
    return FAMILIES[name]
