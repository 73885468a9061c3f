"""What a family is: how architectures are drawn, named and built.

An architecture is its choices, plain JSON data such as the operation of each edge; two are the same where their
canonical text is. A family is a table entry: nothing of it needs torch until a network is built.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

from corpus.families.draws import Draws, shuffled

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Architecture", "Choices", "Family", "FamilyError", "compact"]

Choices = Mapping[str, Any]
_TAG = 8  # hexadecimal digits in a name
_VAIN = 10_000  # draws without anything new after which a space is taken to be exhausted


class FamilyError(ValueError):
    """No such family, or a text that is no architecture of it; one line."""


def compact(choices: Choices) -> str:
    """Choices as one line of JSON, the same for the same choices."""
    return json.dumps(choices, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Architecture:
    """One point of a search space. ``name`` is short and unique; ``canonical`` tells it from all others for certain."""

    family: str
    name: str
    canonical: str
    choices: Choices

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"family": self.family, "name": self.name, "canonical": self.canonical, "choices": dict(self.choices)}


@dataclass(frozen=True, slots=True)
class Family:
    """A search space.

    ``size`` is how many architectures it has that differ, None where nobody has counted them. ``small`` and ``full``
    are height and width of the input of each variant; a batch is one image of three channels, float32. ``draw`` gives
    choices, or None where they broke a rule and it is to be asked again; ``at``, of a space whose architectures are
    numbered, those of a number. ``assemble`` makes the network, as published or small.
    """

    name: str
    title: str
    source: str
    size: int | None
    small: int
    full: int
    draw: Callable[[Draws], Choices | None]
    canonical: Callable[[Choices], str]
    assemble: Callable[[Choices, bool], nn.Module]
    at: Callable[[int], Choices] | None = None
    number: Callable[[Choices], int] | None = None
    digest: Callable[[str], str] = lambda text: sha256(text.encode()).hexdigest()

    def architecture(self, choices: Choices) -> Architecture:
        """The architecture of these choices, under its name: its number where there is one, else a digest."""
        text = self.canonical(choices)
        tag = str(self.number(choices)) if self.number else self.digest(text)[:_TAG]
        return Architecture(self.name, f"{self.name}_{tag}", text, choices)

    def samples(self, seed: int = 0) -> Iterator[Architecture]:
        """Architectures in an order that the seed decides, none twice; ends where no more are found."""
        if self.at is not None and self.size is not None:
            for number in shuffled(f"{self.name}/{seed}", self.size):
                yield self.architecture(self.at(number))
            return
        seen: set[str] = set()
        attempt = vain = 0
        while vain < _VAIN:
            choices = self.draw(Draws(f"{self.name}/{seed}/{attempt}"))
            attempt, vain = attempt + 1, vain + 1
            if choices is None:
                continue
            found = self.architecture(choices)
            if found.name in seen:
                continue
            seen.add(found.name)
            vain = 0
            yield found

    def sample(self, seed: int, index: int) -> Architecture:
        """The architecture at a place of `samples`. Raises FamilyError where there are not so many."""
        for found in islice(self.samples(seed), index, None):
            return found
        raise FamilyError(f"family {self.name} has fewer than {index + 1:,} architectures")

    def build(self, architecture: Architecture, *, small: bool = True) -> tuple[nn.Module, Tensor]:
        """The network in evaluation mode, weights by PyTorch's defaults from a seed of the name's, and an input.

        The input is [1, 3, side, side], float32, uniform from 0 to 1. The global generator stays as it is.
        """
        import torch

        side = self.small if small else self.full
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(sha256(architecture.name.encode()).hexdigest()[:8], 16))
            module = self.assemble(architecture.choices, small).eval()
            return module, torch.rand(1, 3, side, side)
