"""A target's text with another version or other options: the questions that blame and bisection ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from fuzz.execute.target import canonical_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.entry import Entry

__all__ = ["varied"]

_PARTS = re.compile(r"(?P<name>[\w.-]+?)(==(?P<version>[^:@]+))?(:(?P<options>.*?))?(?P<device>@[a-z0-9]+)?")


def varied(
    text: str, *, version: str | None = None, options: Mapping[str, str | None] | None = None,
    table: Mapping[str, Entry] = BACKENDS,
) -> str:  # fmt: skip
    """The canonical text of a target with these options set (None: taken out), and this version.

    Without ``version`` that of the text stays; an empty one takes it out. The result is not checked:
    ``fuzz.execute.target.parse_target`` does that. Raises TargetError for options that are none.
    """
    match = _PARTS.fullmatch(text.strip())
    if match is None:
        return text
    pairs: dict[str, str | None] = {}
    for item in (match["options"] or "").split(","):
        key, equals, value = item.partition("=")
        if equals:
            pairs[key] = value
    pairs.update(options or {})
    kept = ",".join(f"{key}={value}" for key, value in sorted(pairs.items()) if value is not None)
    asked = match["version"] if version is None else version
    whole = f"{match['name']}{f'=={asked}' if asked else ''}{kept and f':{kept}'}{match['device'] or ''}"
    return canonical_text(whole, table)
