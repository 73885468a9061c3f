"""The case that mutants are made of: a model that the checker accepts, and the inputs that it was run on."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from abstract.dtypes import BY_NAME, DType
from abstract.program import Program, parse, to_carrier
from abstract.reference import interpret
from backends.external import check_external_data, read_model
from backends.tensor import Tensor, to_numpy
from fuzz.case import read_record
from fuzz.check import case_of
from fuzz.errors import FuzzError
from fuzz.judge.run import samples_of
from fuzz.relations.variant import check
from fuzz.signature import ValueType, signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from abstract.bounded import Bounded, Content
    from abstract.operator import Array
    from backends.tensor import Value
    from fuzz.case import Case

__all__ = ["LIMIT", "Feed", "Parent", "Unfit", "array_of", "element_type", "read_parent"]

LIMIT = 1 << 22
"""Elements that a tensor of a mutant may have."""
_DATA_SETS = 4  # of a parent that are looked at

Feed = dict[str, Any]
"""The inputs of one data set by name: tensors in carrier types, lists of tensors for sequences, None where absent."""


class Unfit(Exception):
    """Nothing came of a try; the text is the kind of reason, behind a colon what was seen."""


@dataclass(frozen=True)
class Parent:
    """A case as mutation sees it.

    ``content`` is the model as it stands on disk, unless external data was taken in; ``dtypes`` are the element types
    of the inputs and outputs, containers included; ``record`` is what ``case.json`` says.
    """

    id: str
    model: onnx.ModelProto
    content: bytes
    feeds: tuple[Feed, ...]
    dtypes: Mapping[str, DType]
    record: Mapping[str, Any]

    @cached_property
    def program(self) -> Program:
        """The model as the reference reads it."""
        return parse(self.model)

    @cached_property
    def values(self) -> Mapping[str, Bounded]:
        """Every value on the first data set, as the reference knows it. Raises Unfit where it cannot say."""
        try:
            return MappingProxyType(interpret(self.program, self.feeds[0], limit=LIMIT))
        except Exception as error:
            raise Unfit(f"the reference cannot run the parent: {error}") from error

    @cached_property
    def opset(self) -> int:
        """The version of the default domain; 1 where the model imports none."""
        return max((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), default=1)

    def shape(self, name: str) -> tuple[int, ...]:
        """The sizes of a value on the first data set. Raises Unfit where it is no tensor."""
        return array_of(self.values[name].value).shape if name in self.values else _no_value(name)


def _no_value(name: str) -> tuple[int, ...]:
    raise Unfit(f"no value: {name}")


def array_of(content: Content) -> Array:
    """A tensor; Unfit for a container, or for nothing."""
    if content is None or isinstance(content, list):
        raise Unfit("no tensor: a container")
    return content


def read_parent(case: Case) -> Parent:
    """A case to make mutants of.

    Raises Unfit where the checker refuses its model, or it has neither inputs nor any that can be made up.
    """
    try:
        record = read_record(case)
        content = case.model_path.read_bytes()
        check_external_data(content, str(case.folder))
        model = read_model(content, str(case.folder))
        _computes(model)
        check(model)
        if b"location" in content:
            content = model.SerializeToString(deterministic=True)
        ports = signature(content)
        dtypes = {
            port.name: BY_NAME[name]
            for port in (*ports.inputs, *ports.defaults, *ports.outputs) if (name := element_type(port.type))
        }  # fmt: skip
        feeds = tuple(_feed(values, dtypes) for values in _inputs(case))
    except Unfit:
        raise
    except FuzzError as error:
        raise Unfit(f"the parent cannot be read: {error}") from error
    except Exception as error:  # a stranger's model: the checker's and the inference's exceptions share no base
        raise Unfit(f"the parent is refused: {type(error).__name__}") from error
    return Parent(case.id, model, content, feeds, dtypes, record)


def _computes(model: onnx.ModelProto) -> None:
    if not model.graph.node or not model.graph.output:
        raise Unfit("the parent computes nothing: no nodes, or no outputs")


def _inputs(case: Case) -> list[Mapping[str, Value]]:
    """Those of its data sets; made up where it has none."""
    if not case.data_sets:
        with tempfile.TemporaryDirectory(prefix="fuzz-mutate-") as scratch:
            return [sample.inputs for sample in samples_of(case_of(case.model_path, None, Path(scratch)))]
    return [sample.inputs for sample in samples_of(case)[:_DATA_SETS]]


def element_type(kind: ValueType) -> str | None:
    """The element type of a tensor, or of the tensors in a container; None for a type that ONNX's tensors lack."""
    while kind.element is not None:
        kind = kind.element
    return kind.element_type if kind.element_type in BY_NAME else None


def _feed(values: Mapping[str, Value], dtypes: Mapping[str, DType]) -> Feed:
    return {name: _content(value, dtypes.get(name)) for name, value in values.items()}


def _content(value: Value, dtype: DType | None) -> Any:
    if isinstance(value, Tensor):
        array = to_numpy(value)
        return to_carrier(array, dtype) if dtype is not None else array
    return None if value is None else [_content(part, None) for part in value]
