"""Planted faults on real backends: broken models go through ``fuzz exec``, the judge knows the originals alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.protocol import Outcome
from fuzz.case import DataSet, find_cases, open_root, write_case
from fuzz.execute.run import execute
from fuzz.generate.support import joint_support
from fuzz.judge.compare import Comparison
from fuzz.judge.verdict import Word
from fuzz.selftest.faults import FAULTS
from fuzz.selftest.plant import Tested, groups, original, plant, tested, verdict
from fuzz.selftest.run import NULL_SETTINGS, tensor
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import onnx

    from abstract.operator import Array
    from fuzz.execute.execution import Execution
    from fuzz.execute.target import Target
    from fuzz.generate.settings import Settings
    from fuzz.selftest.plant import Original, Planted

__all__ = ["plant_on"]

_CLEAN = "clean"


def plant_on(
    root: Path, target: Target, seeds: Sequence[int], faults: Sequence[str], *, jobs: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Comparison, list[Tested]]]:  # fmt: skip
    """For each case: what the judge says of a real target's clean run, and of each fault that could be planted.

    ``root`` is an empty folder for the cases. A target that refuses a case has its outcome for a verdict.
    Raises TargetError, StorageError.
    """
    open_root(root)
    cases = list(groups(seeds, faults, _settings(target)))
    planted: dict[str, Planted] = {}
    for number, (seed, chosen, own) in enumerate(cases):
        case = original(seed, own)
        _write(root, _name(number, _CLEAN), case, case.program.model, case.inputs)
        for name in chosen:
            broken = plant(case, FAULTS[name])
            if broken is not None:
                planted[_name(number, name)] = broken
                _write(root, _name(number, name), case, broken.model, broken.inputs)
    with Store.open(root, create=True) as store:
        execute(find_cases(root), [target], store=store, jobs=jobs)
        for number, (seed, chosen, own) in enumerate(cases):
            case = original(seed, own)
            execution = store.executions(_name(number, _CLEAN))[0]
            clean = _refused(execution) or verdict(case, execution.outputs[0])
            keys = (_name(number, name) for name in chosen)
            yield clean, [_tested(case, planted[k], store.executions(k)[0]) for k in keys if k in planted]
            progress(1)


def _settings(target: Target) -> Settings:
    """Cases of what the target supports, where a table says what that is."""
    steered = replace(NULL_SETTINGS, targets=(target.canonical,))
    try:
        joint_support(steered.targets)
    except ValueError:
        return NULL_SETTINGS
    return steered


def _name(number: int, what: str) -> str:
    return f"{number:08d}-{what}"


def _write(root: Path, name: str, case: Original, model: onnx.ModelProto, inputs: Mapping[str, Array]) -> None:
    values = {i.name: tensor(inputs[i.name], case.program.dtypes[i.name]) for i in model.graph.input}
    write_case(root, name, model.SerializeToString(deterministic=True), [DataSet(values)], {"seed": case.seed})


def _refused(execution: Execution) -> Comparison | None:
    if execution.outcome is Outcome.OK:
        return None
    return Comparison(Word(execution.outcome.value), message=execution.message)


def _tested(case: Original, planted: Planted, execution: Execution) -> Tested:
    refused = _refused(execution)
    if refused is None:
        return tested(case, planted, execution.outputs[0])
    p = planted
    return Tested(p.fault, p.seed, p.node, p.operator, p.moved, refused.word.value, None, refused.message)
