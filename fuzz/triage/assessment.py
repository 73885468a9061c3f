"""What is asked of a model in a process apart, since it may end that: is it valid, what is due, was it right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.dtypes import BY_CODE, DType
from abstract.inference import check_fully, infer_types
from abstract.program import parse, to_carrier
from abstract.reference import interpret
from backends.protocol import Outcome
from backends.tensor import Value, from_numpy, to_numpy
from fuzz.execute.execution import Execution
from fuzz.judge.judge import Sample, judge
from fuzz.judge.verdict import FINDINGS, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.program import Program
    from fuzz.execute.attempt import Attempt
    from fuzz.judge.verdict import Verdict
    from fuzz.triage.candidate import Candidate

__all__ = ["Assessed", "Known", "assess", "carried", "invalid", "know", "undefined"]

_NAME = "candidate"
_STOPPED = frozenset({Word.CRASH, Word.TIMEOUT, Word.OOM, Word.REJECTED})


@dataclass(frozen=True, slots=True)
class Assessed:
    """A verdict; ``defined`` says whether the reference runs the model as well, ``problem`` why it does not."""

    verdict: Verdict
    defined: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference knows of a model's values.

    ``values`` holds, for each data set, the inputs and all that is computed from them; ``infos`` the declared or
    inferred types of values (serialised ValueInfoProto); ``parameters`` are the names that nodes read as parameters
    (a shape, axes) and not as data. ``problem`` says why the reference could not run all of it, if it could not.
    """

    values: tuple[dict[str, Value], ...]
    infos: Mapping[str, bytes]
    parameters: frozenset[str]
    problem: str = ""


def invalid(model: bytes) -> str:
    """Why ONNX's checker, strict inference included, refuses a model; empty where it does not."""
    try:
        proto = onnx.ModelProto.FromString(model)
        if not proto.graph.node or not proto.graph.output:
            return "a graph without nodes or outputs computes nothing"
        check_fully(infer_types(proto, strict=True, data_prop=True))
    except Exception as error:  # noqa: BLE001 - whatever the checker raises is its opinion
        message = str(error).strip().split("\n", 1)[0][:200]
        return "" if "Field 'shape' of 'type' is required" in message else message or type(error).__name__
    return ""


def assess(candidate: Candidate, target: str, attempt: Attempt, beside: Mapping[Any, Value]) -> Assessed:
    """What the judge says of an attempt. Raises nothing that a model brings about."""
    execution = Execution(
        case=_NAME, target=target, version="", outcome=attempt.outcome, stage=attempt.stage, message=attempt.message,
        stderr=attempt.stderr, attempts=1, wall_seconds=attempt.wall_seconds, cpu_seconds=attempt.cpu_seconds,
        outputs=attempt.outputs, beside=beside,
    )  # fmt: skip
    samples = [Sample(feed) for feed in candidate.feeds]
    verdict = judge(_NAME, candidate.model, "", samples, [execution])[0]
    word = Word(verdict.verdict)
    if attempt.outcome is Outcome.OK or word not in FINDINGS:
        return Assessed(verdict, defined=True)
    problem = undefined(candidate) if word in _STOPPED else ""
    return Assessed(replace(verdict, node=None), not problem, problem)


def undefined(candidate: Candidate) -> str:
    """Why the reference does not run a model, empty where it does."""
    try:
        program = parse(candidate.proto())
        for feed in candidate.feeds:
            _interpreted(program, feed)
    except Exception as error:  # noqa: BLE001 - whatever stops the reference is a reason not to trust the model
        return f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]
    return ""


def _interpreted(program: Program, feed: Mapping[str, Value]) -> dict[str, Any]:
    return interpret(program, {n: carried(v, program.dtypes.get(n)) for n, v in feed.items()}, limit=2**26)


def carried(value: Value, dtype: DType | None) -> Any:
    """A value as the reference takes it."""
    if isinstance(value, list):
        return [carried(part, None) for part in value]
    if value is None:
        return None
    array = to_numpy(value)
    return array if dtype is None else to_carrier(array, dtype)


# --- what is due ----------------------------------------------------------------------------------------------------


def know(candidate: Candidate) -> Known:
    """Every value that the reference computes, as a target would hold it; up to where it fails, if it does."""
    proto = candidate.proto()
    program = parse(proto)
    values, problem = [], ""
    for feed in candidate.feeds:
        found, trouble = _all_values(program, feed)
        values.append({**found, **feed})
        problem = problem or trouble
    return Known(tuple(values), _infos(proto), _parameters(program), problem)


def _all_values(program: Program, feed: Mapping[str, Value]) -> tuple[dict[str, Value], str]:
    """By name; where the reference cannot run all, what it computes before the first node that it cannot run."""
    try:
        found, problem = _interpreted(program, feed), ""
    except Exception as error:  # noqa: BLE001 - whatever stops it, what comes before is known
        problem = f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]
        found = _up_to_failure(program, feed)
    held = {name: _held(value.value, value.dtype) for name, value in found.items()}
    return {name: value for name, value in held.items() if value is not None}, problem


def _up_to_failure(program: Program, feed: Mapping[str, Value]) -> dict[str, Any]:
    low, high, found = 0, len(program.steps), {}
    while low < high:
        middle = (low + high) // 2
        try:
            found = _interpreted(replace(program, steps=program.steps[:middle]), feed)
        except Exception:  # noqa: BLE001 - the node that fails comes before
            high = middle
        else:
            low = middle + 1
    return found


def _held(content: Any, dtype: DType | None) -> Value:
    """A value as a target holds it; None where it has no such form."""
    if isinstance(content, list):
        parts = [_held(part, dtype) for part in content]
        return None if any(part is None for part in parts) else parts
    if not isinstance(content, np.ndarray):
        return None
    with np.errstate(all="ignore"):
        try:
            if dtype is None or not dtype.bits:
                return from_numpy(content)
            return from_numpy(content.astype(dtype.numpy))
        except (ValueError, TypeError):
            return None


def _infos(proto: onnx.ModelProto) -> dict[str, bytes]:
    """Declared types, and those that ONNX infers."""
    found = {i.name: i for i in (*proto.graph.value_info, *proto.graph.output, *proto.graph.input)}
    try:
        inferred = infer_types(proto, data_prop=True).graph.value_info
    except Exception:  # noqa: BLE001 - what is not inferred is made from values
        inferred = []
    for info in inferred:
        if info.name not in found or not found[info.name].type.tensor_type.HasField("shape"):
            found[info.name] = info
    return {name: info.SerializeToString() for name, info in found.items() if _typed(info)}


def _typed(info: onnx.ValueInfoProto) -> bool:
    kind = info.type.WhichOneof("value")
    return kind is not None and (kind != "tensor_type" or info.type.tensor_type.elem_type in BY_CODE)


def _parameters(program: Program) -> frozenset[str]:
    """Names that are read as parameters, known beforehand or computed, by every node that reads them."""
    as_parameter: set[str] = set()
    as_data: set[str] = set()
    for step in program.steps:
        data = {name for name in step.inputs if name}
        as_data |= data if step.row is not None else set()
        if step.row is not None:
            as_parameter |= {name for name in step.node.input if name} - data
    return frozenset(as_parameter - as_data)

