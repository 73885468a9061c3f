"""A generated case on its way through the targets, without files unless the model's data lies beside it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.frame import Frame, encode
from fuzz.case import open_root, write_case
from fuzz.execute.scratch import Scratch
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.run import case_id, generate_case
from fuzz.judge.judge import Sample
from fuzz.novelty.mutation import Continued
from fuzz.signature import signature
from fuzz.triage.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzz.generate.plan import Supports
    from fuzz.generate.run import Generated
    from fuzz.generate.settings import Settings
    from fuzz.novelty.state import Origin

__all__ = ["Subject", "ready"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One seed's case, and the message that asks a worker to execute it; ``folder`` has the data beside the model."""

    seed: int
    made: Generated
    request: Sequence[bytes]
    origin: Origin | None = None
    folder: str | None = None

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
        bred = {} if self.origin is None else {"bred_from": self.origin.parent}
        return {"seed": self.seed, **bred, **self.made.record}

    @property
    def keeping(self) -> Sequence[bytes]:
        """The message that asks to execute the case and keep what was compiled, for what it shows."""
        return _request(self.made, self.folder, keep=True)

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
def ready(
    seed: int, settings: Settings, supports: Supports | None, origin: Origin | None = None
) -> Iterator[Subject]:
    """Generate a seed's case; where its data lies in files beside the model these are there until it is left.

    It is a fresh one where nothing fits the decisions of its ``origin``.

    Raises what the generator raises, FrameError, StorageError.
    """
    made = _made(seed, settings, supports, origin)
    if made.apart is None:
        yield Subject(seed, made, _request(made, None), origin)
        return
    scratch = Scratch.make()
    try:
        folder = str(Subject(seed, made, (), origin).write(Path(scratch.path)))
        yield Subject(seed, made, _request(made, folder), origin, folder)
    finally:
        scratch.remove()


def _made(seed: int, settings: Settings, supports: Supports | None, origin: Origin | None) -> Generated:
    if origin is not None:
        with suppress(NothingFits):
            return generate_case(Continued(origin.choices, origin.seed), settings, supports)
    return generate_case(Seeded(seed), settings, supports)


def _request(made: Generated, folder: str | None, *, keep: bool = False) -> Sequence[bytes]:
    values = [list(data_set.inputs.values()) for data_set in made.data_sets]
    return encode(Frame("execute", {"folder": folder, **({"keep": True} if keep else {})}, values, made.stored))
