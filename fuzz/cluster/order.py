"""What a node of a cluster is told, so that it makes of a seed what the driver would: a campaign without its paths."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import abstract
import backends
import corpus
import fuzz
from fuzz.errors import TargetError
from fuzz.execute.install import install
from fuzz.execute.target import MissingEnvironment, parse_target

if TYPE_CHECKING:
    from fuzz.campaign.campaign import Campaign
    from fuzz.execute.target import Target

__all__ = ["Order", "code_digest", "order_of"]


@dataclass(frozen=True, slots=True)
class Order:
    """A campaign in words that mean the same on every machine.

    ``asked`` is all of it but for its targets: ``targets`` are their texts, and ``baseline`` one of these, since each
    node has interpreters and environments at places of its own. ``digest`` names the campaign, versions of the targets
    included, ``code`` the program that examines its seeds.
    """

    asked: Campaign
    targets: tuple[str, ...]
    baseline: str | None
    digest: str
    code: str

    def campaign(self) -> Campaign:
        """The campaign as this machine runs it; environments that are missing are made.

        Raises TargetError: another program, a target that cannot run here, or only in another version.
        """
        if code_digest() != self.code:
            raise TargetError("it has another dnnfuzz: install the same one on every node")
        held = {text: _target(text) for text in self.targets}
        baseline = None if self.baseline is None else held[self.baseline]
        campaign = replace(self.asked, targets=tuple(held.values()), baseline=baseline)
        if campaign.digest != self.digest:
            versions = ", ".join(f"{target.backend} {target.version}" for target in held.values())
            raise TargetError(f"it has {versions}, other than the driver: name versions, such as onnxruntime==1.20.1")
        return campaign


def order_of(campaign: Campaign) -> Order:
    """What the nodes are told of a campaign."""
    return Order(
        replace(campaign, targets=(), baseline=None), tuple(target.canonical for target in campaign.targets),
        None if campaign.baseline is None else campaign.baseline.canonical, campaign.digest, code_digest(),
    )  # fmt: skip


def code_digest() -> str:
    """Names the program: every module and table of it."""
    whole = hashlib.sha256()
    for room in (abstract, backends, corpus, fuzz):
        folder = Path(str(room.__file__)).parent
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".json"}:
                whole.update(f"{folder.name}/{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def _target(text: str) -> Target:
    try:
        return parse_target(text)
    except MissingEnvironment as missing:
        install(missing.entry, missing.recipe)
        return parse_target(text)
