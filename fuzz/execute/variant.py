"""A target's text with another version or other options: the questions that blame and bisection ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from fuzz.execute.target import FORM, canonical_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.entry import Entry

__all__ = ["varied"]



def varied(
    text: str, *, version: str | None = None, options: Mapping[str, str | None] | None = None,
    table: Mapping[str, Entry] = BACKENDS,
) -> str:  # fmt: skip
    """The canonical text of a target with these options set (None: taken out), and this version.

    Without ``version`` that of the text stays; an empty one takes it out. The result is not checked:
    ``fuzz.execute.target.parse_target`` does that. Raises TargetError for options that are none.
    """
    match = FORM.fullmatch(text.strip())
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
    release, settings = f"=={asked}" if asked else "", f":{kept}" if kept else ""
    device = f"@{match['device']}" if match["device"] else ""
    return canonical_text(f"{match['name']}{release}{settings}{device}", table)
