"""One model of the user's own, executed and judged: `exec` and `diff` without a root of its own.

The model and its data stay where they are; results live in a temporary folder. Only the processes of the judge and the
workers of the backends parse the model.
"""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.case import Case, data_sets_of, read_inputs
from fuzz.errors import CaseError, UsageError
from fuzz.execute.run import execute
from fuzz.execute.worker import Limits as WorkerLimits
from fuzz.explain import Explainer
from fuzz.judge.hazards import ModelHazards
from fuzz.judge.run import judge_alone, samples_of
from fuzz.pool import MODEL_MEMORY, process_pool
from fuzz.signature import read_signature
from fuzz.store import Store
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.tensor import Tensor, Value
    from fuzz.execute.target import Target
    from fuzz.judge.judge import Oracle
    from fuzz.judge.verdict import Verdict
    from fuzz.signature import Port

__all__ = ["Limits", "case_of", "check_model", "hazards_of_model"]

_OPEN_DIM = 2  # the size of a dim that the model leaves open, where inputs are made up
_LARGEST_INPUT = 1 << 28  # elements


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and MiB that one worker may use."""

    timeout: float = 60.0
    memory: int = 4096


def check_model(
    model: Path, inputs: Path | None, targets: Sequence[Target], oracle: Oracle, limits: Limits
) -> list[Verdict]:
    """One verdict a target; ``node`` says where a wrong one first parts from the reference.

    ``inputs`` is a test_data_set folder, or one that holds some; None takes those beside the model, and where there
    are none makes inputs up (the same ones each time).

    Raises:
        CaseError: the model or an input is corrupt, or they do not fit each other.
        UsageError: inputs cannot be made up.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-check-") as temporary:
        scratch = Path(temporary)
        case = case_of(model, inputs, scratch)
        with Store.open(scratch, create=True) as store:
            execute([case], targets, store=store, timeout=limits.timeout, memory=limits.memory)
        verdicts = judge_alone(scratch, case, oracle)
    with Explainer(targets, WorkerLimits(limits.timeout, limits.memory << 20)) as explainer:
        return list(explainer.with_nodes({case.id: case}, verdicts))


def hazards_of_model(model: Path, inputs: Path | None) -> ModelHazards:
    """What the specification leaves open for a model on its inputs (as `check_model` takes them, and raises).

    The model is read in a process of its own.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-check-") as temporary:
        case = case_of(model, inputs, Path(temporary))
        samples = [dict(sample.inputs) for sample in samples_of(case)]
        with process_pool(1, memory=MODEL_MEMORY) as pool:
            try:
                return pool.submit(_hazards, model, samples).result()
            except BrokenProcessPool:
                return ModelHazards((), "reading the model ended the process that did it")


def _hazards(model: Path, samples: Sequence[dict[str, Value]]) -> ModelHazards:
    from fuzz.judge.undecidable import model_hazards

    return model_hazards(model.read_bytes(), str(model.parent), samples)


def case_of(model: Path, inputs: Path | None, scratch: Path) -> Case:
    """A model and its data as a case; what has to be made up is written to ``scratch``. Raises as `check_model`."""
    if not model.is_file():
        raise CaseError(f"there is no model file {model}")
    case = Case(str(model), model.parent, model, _data_sets(model, inputs, scratch))
    for data_set in case.data_sets:
        read_inputs(case, data_set)
    return case


# --- inputs ------------------------------------------------------------------------------------------------------


def _data_sets(model: Path, inputs: Path | None, scratch: Path) -> tuple[Path, ...]:
    if inputs is None:
        return data_sets_of(model.parent) or (_made_up(model, scratch / "test_data_set_0"),)
    if not inputs.is_dir():
        raise CaseError(f"there is no folder {inputs}: --inputs is a folder with input_0.pb, input_1.pb, ...")
    sets = data_sets_of(inputs)
    if sets:
        return sets
    if not (inputs / "input_0.pb").exists() and read_signature(model).inputs:
        raise CaseError(f"{inputs} holds neither input_0.pb nor test_data_set_0")
    return (inputs,)


def _made_up(model: Path, folder: Path) -> Path:
    folder.mkdir()
    for number, port in enumerate(read_signature(model).inputs):
        (folder / f"input_{number}.pb").write_bytes(encode_value(port.name, _value(model, port)))
    return folder


def _value(model: Path, port: Port) -> Tensor:
    """Floats in [-1, 1], integers 0 and 1 (which are indices into nearly anything), from the input's own name."""
    from math import prod

    from abstract.dtypes import BY_NAME
    from abstract.graph import Recipe
    from fuzz.generate.run import to_tensor
    from fuzz.generate.tensors import fill

    dtype = BY_NAME.get(port.type.element_type or "")
    if port.type.shape is None or dtype is None or not (dtype.is_float or dtype.is_integer or dtype.name == "bool"):
        raise UsageError(f"inputs for {port.name!r} of {model} cannot be made up: give --inputs DIR")
    shape = tuple(dim if isinstance(dim, int) else _OPEN_DIM for dim in port.type.shape)
    if prod(shape) > _LARGEST_INPUT or min(shape, default=0) < 0:
        raise CaseError(f"input {port.name!r} of {model}, {list(shape)}, is too large to make up: give --inputs DIR")
    seed = int.from_bytes(hashlib.sha256(port.name.encode("utf-8", "surrogateescape")).digest()[:4], "little")
    recipe = Recipe("spread", seed, -1.0, 1.0) if dtype.is_float else Recipe("whole", seed, 0.0, 1.0)
    return to_tensor(fill(recipe, shape, dtype), dtype)
