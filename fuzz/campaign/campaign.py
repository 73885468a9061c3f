"""What a campaign is asked for: all that decides what comes of a seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target
    from fuzz.generate.settings import Settings

__all__ = ["Campaign"]


@dataclass(frozen=True, slots=True)
class Campaign:
    """Settings of the generator, targets sorted by their canonical texts, limits of one case on one target.

    Targets are judged together (one may settle what another disputes), so other targets make another campaign.
    Without ``reduces`` a finding keeps the case as it was generated. ``first`` is the first seed: what is known of the
    seeds before decides over those that follow, unless it ``steers`` not. With a ``baseline``, which is one of two
    targets, only what the other one does worse is a finding. With ``novelty`` cases are made of those that had
    compilers show something new. Whether it ``blames`` decides nothing of that: each finding is then
    asked which switches it needs.
    """

    settings: Settings
    targets: tuple[Target, ...]
    limits: Limits
    reduces: bool = True
    first: int = 0
    steers: bool = True
    baseline: Target | None = None
    novelty: bool = False
    blames: bool = False

    def to_json(self) -> dict[str, Any]:
        """All that decides what is found, versions of the targets included."""
        return {
            "settings": self.settings.to_json(),
            "targets": [[target.canonical, target.version] for target in self.targets],
            "seconds": self.limits.seconds,
            "memory": self.limits.resident_bytes,
            "reduces": self.reduces,
            "first": self.first,
            "steers": self.steers,
            "baseline": None if self.baseline is None else self.baseline.canonical,
            "novelty": self.novelty,
        }

    @property
    def digest(self) -> str:
        """Names the campaign: the same digest and seed, the same case on the same targets."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]
