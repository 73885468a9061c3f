"""The other side of a relation: a model, what it is run on, and which results of the original it must repeat."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from abstract.inference import check_fully, infer_types
from abstract.program import parse
from backends.external import check_external_data, read_model
from fuzz.judge.judge import reference_values
from fuzz.relations.site import Base, read_base

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import onnx

    from abstract.program import Program
    from abstract.reference import Bounded
    from backends.tensor import Value

__all__ = ["Original", "Variant", "View", "check", "read_original"]


@dataclass(frozen=True, slots=True)
class View:
    """One data set of a variant: which one of the original's it stands for, and which rows (None: all) of it."""

    data_set: int
    inputs: Mapping[str, Value]
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """A model that must agree with an original.

    Attributes:
        relation: the name of the relation, such as ``metamorphic:transpose-twice``.
        place: what was done where, in words.
        model: the model's bytes.
        views: its data sets.
        outputs: for each of its outputs, the position of the original's output that it must equal.
        exact: whether the same elements come out under any legal arithmetic.
        opaque: the reference knows only a coarse bound of it; the original's holds.
        files: external data, by name.
        plain: the same model with its external data taken in, where it has some.
        tool: what made the model, where a fault of the model is that tool's.
        backends: those that it says something of; empty: all.
    """

    relation: str
    place: str
    model: bytes
    views: tuple[View, ...]
    outputs: tuple[int, ...]
    exact: bool = False
    opaque: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    plain: bytes = b""
    tool: str = ""
    backends: frozenset[str] = frozenset()

    @property
    def content(self) -> bytes:
        """The model as the checker and the reference read it."""
        return self.plain or self.model


class Original:
    """A case's model with its data sets, its reference run at most once for each contract.

    ``model`` is what its file holds, ``record`` what its ``case.json`` says.
    """

    def __init__(
        self, case: str, base: Base, data_sets: Sequence[Mapping[str, Value]], model: bytes = b"",
        record: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.case = case
        self.model = model
        self.record = record
        self.base = base
        self.data_sets = tuple(data_sets)
        self.program: Program = parse(base.model)
        self._known: dict[tuple[int, str], dict[str, Bounded]] = {}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self.program.outputs

    def values(self, data_set: int, target: str = "") -> dict[str, Bounded]:
        """The reference's values on a data set under a target's contract. Raises what the reference cannot do."""
        key = (data_set, target)
        if key not in self._known:
            self._known[key] = reference_values(self.program, self.data_sets[data_set], target)
        return self._known[key]

    def whole(self) -> tuple[View, ...]:
        """Every data set as it is."""
        return tuple(View(number, inputs) for number, inputs in enumerate(self.data_sets))

    def same_outputs(self) -> tuple[int, ...]:
        """Each output is due as it is."""
        return tuple(range(len(self.outputs)))


def read_original(
    case: str, model: bytes, folder: Path, data_sets: Sequence[Mapping[str, Value]],
    record: Mapping[str, Any] = MappingProxyType({}),
) -> Original:  # fmt: skip
    """A case as relations need it. Raises whatever a model that is not valid brings about."""
    check_external_data(model, str(folder))
    parsed = read_model(model, str(folder))
    if not parsed.graph.node or not parsed.graph.output:
        raise ValueError("a graph without nodes or outputs computes nothing")
    check(parsed)
    return Original(case, read_base(parsed, data_sets[0] if data_sets else {}), data_sets, model, record)


def check(model: onnx.ModelProto) -> Any:
    """The same model once ONNX's checker, with strict inference, has accepted it.

    Raises onnx.checker.ValidationError or onnx.shape_inference.InferenceError.
    """
    check_fully(model)
    return infer_types(model, strict=True, data_prop=True)
