"""A generated case on its way through the targets, without files unless the model's data lies beside it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.frame import Frame, encode
from fuzz.case import open_root, write_case
from fuzz.execute.scratch import Scratch
from fuzz.generate.choices import Seeded
from fuzz.generate.run import case_id, generate_case
from fuzz.judge.judge import Sample
from fuzz.signature import signature
from fuzz.triage.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzz.generate.plan import Supports
    from fuzz.generate.run import Generated
    from fuzz.generate.settings import Settings

__all__ = ["Subject", "ready"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One seed's case, and the message that asks a worker to execute it."""

    seed: int
    made: Generated
    request: Sequence[bytes]

    @property
    def name(self) -> str:
        """The id that ``fuzz gen`` gives the case."""
        return case_id(self.seed)

    @property
    def samples(self) -> list[Sample]:
        """The data sets as the judge takes them; their outputs are the reference's own."""
        return [Sample(data_set.inputs) for data_set in self.made.data_sets]

    @property
    def record(self) -> dict[str, Any]:
        """What ``case.json`` says."""
        return {"seed": self.seed, **self.made.record}

    def asking(self, model: bytes) -> Sequence[bytes]:
        """The message that asks to execute another model, with its data inside, on the same inputs."""
        values = [list(data_set.inputs.values()) for data_set in self.made.data_sets]
        return encode(Frame("execute", {"folder": None}, values, model))

    def candidate(self) -> Candidate:
        """The case as a reduction takes it: data inside the model, inputs that it asks for alone."""
        names = [port.name for port in signature(self.made.model).inputs]
        feeds = tuple({name: data_set.inputs[name] for name in names} for data_set in self.made.data_sets)
        return Candidate(self.made.model, feeds)

    def write(self, root: Path) -> Path:
        """Write the case under a root, as ``fuzz gen`` does; its folder. Raises StorageError."""
        files = None if self.made.apart is None else self.made.apart.files
        open_root(root)
        return write_case(root, self.name, self.made.stored, self.made.data_sets, self.record, files).folder


@contextmanager
def ready(seed: int, settings: Settings, supports: Supports | None) -> Iterator[Subject]:
    """Generate a seed's case; where its data lies in files beside the model these are there until it is left.

    Raises what the generator raises, FrameError, StorageError.
    """
    made = generate_case(Seeded(seed), settings, supports)
    if made.apart is None:
        yield Subject(seed, made, _request(made, None))
        return
    scratch = Scratch.make()
    try:
        folder = Subject(seed, made, ()).write(Path(scratch.path))
        yield Subject(seed, made, _request(made, str(folder)))
    finally:
        scratch.remove()


def _request(made: Generated, folder: str | None) -> Sequence[bytes]:
    values = [list(data_set.inputs.values()) for data_set in made.data_sets]
    return encode(Frame("execute", {"folder": folder}, values, made.stored))
