"""Planting faults in generated cases: does the judge find what is broken, and only that?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.program import Program, parse
from abstract.reference import Bounded, interpret
from backends.tensor import Tensor, to_numpy
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.support import joint_support
from fuzz.judge.compare import Comparison, compare, worst
from fuzz.judge.verdict import Word
from fuzz.selftest.faults import FAULTS, Fault, Site
from fuzz.selftest.null import METHODS, recompute
from fuzz.selftest.run import NULL_SETTINGS, carried, tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from abstract.operator import Array
    from abstract.program import Step
    from backends.tensor import Value
    from fuzz.generate.settings import Settings
    from fuzz.selftest.null import Method

__all__ = ["EFFECTIVE", "Original", "Planted", "Score", "Tested", "groups", "original", "plant", "plant_run", "tested",
           "verdict"]  # fmt: skip

EFFECTIVE = 1e-4
"""A fault counts once it moves some output by more than this, relative to the output's largest element."""
_JUDGED = frozenset(word.value for word in (Word.OK, Word.SUSPECT, Word.WRONG, Word.UNDECIDABLE))
_EXECUTOR = next(m for m in METHODS if m.name == "blocked")


@dataclass(frozen=True, slots=True)
class Original:
    """A case as it was generated, with the reference's values on its first data set."""

    seed: int
    program: Program
    inputs: Mapping[str, Any]
    values: Mapping[str, Bounded]

    def outputs(self) -> list[Bounded]:
        """What is due."""
        return [self.values[name] for name in self.program.outputs]


@dataclass(frozen=True, slots=True)
class Planted:
    """A broken copy of a case. ``moved``: by how much an output differs, relative to its largest element."""

    fault: str
    seed: int
    node: str
    operator: str
    model: onnx.ModelProto
    inputs: Mapping[str, Array]
    moved: float


@dataclass(frozen=True, slots=True)
class Tested:
    """What the judge said of one fault in one case.

    ``ratio`` is the worst difference over the bound. ``why`` a fault was missed: ``within the bound``, ``unknown`` (the
    bound of all elements that moved is infinite) or ``suspect``; empty where it was found.
    """

    fault: str
    seed: int
    node: str
    operator: str
    moved: float
    verdict: str
    ratio: float | None
    why: str = ""

    @property
    def refused(self) -> bool:
        """Whether a real backend did not run the case (unsupported, rejected, ...)."""
        return self.verdict not in _JUDGED

    @property
    def missed(self) -> bool:
        """Whether the judge saw what it should have called wrong and did not."""
        return not self.refused and self.moved > EFFECTIVE and bool(self.why)


@dataclass(slots=True)
class Score:
    """``planted`` faults, how many were ``effective`` (see ``EFFECTIVE``), how many of these were ``found``.

    ``refused`` were not run by a real backend. ``missed`` counts why the other effective ones were not found.
    """

    planted: int = 0
    effective: int = 0
    found: int = 0
    refused: int = 0
    missed: dict[str, int] = field(default_factory=dict)

    def add(self, tested: Tested) -> None:
        """Count one."""
        self.planted += 1
        if tested.refused:
            self.refused += 1
        elif tested.moved > EFFECTIVE:
            self.effective += 1
            self.found += not tested.missed
            if tested.missed:
                self.missed[tested.why] = self.missed.get(tested.why, 0) + 1

    def to_json(self) -> dict[str, Any]:
        """As ``fuzz selftest --faults --json`` gives it."""
        return asdict(self)


def case_settings(fault: Fault, settings: Settings) -> Settings:
    """What to generate for a fault."""
    if not fault.operators:
        return settings
    return replace(settings, operators=fault.operators, dtypes=("float", "float16", "int32", "int64"))


def original(seed: int, settings: Settings = NULL_SETTINGS) -> Original:
    """One generated case with its reference."""
    made = generate_case(Seeded(seed), settings, joint_support(settings.targets))
    program = parse(onnx.ModelProto.FromString(made.model))
    inputs = carried(program, made.data_sets[0].inputs)
    return Original(seed, program, inputs, interpret(program, inputs))


def plant(case: Original, fault: Fault) -> Planted | None:
    """The fault at a node chosen by the seed, the first of a shuffled list that can have it; None where none can.

    A change counts only if the broken model still gives finite outputs of the same shapes.
    """
    stream = iter(np.frombuffer(hashlib.shake_128(f"{case.seed}/{fault.name}".encode()).digest(8192), "<u4").tolist())

    def draw(count: int) -> int:
        return int(next(stream, 0) % count)

    steps = list(case.program.steps)
    if fault.name == "stale-output":
        steps = steps[-1:]
    while steps:
        site = _site(case, steps.pop(draw(len(steps))), draw)
        if fault.plant(site):
            moved = _moved(case, site)
            if moved is not None:
                node = site.step.node
                return Planted(fault.name, case.seed, node.name, node.op_type, site.model, site.inputs, moved)
    return None


def _site(case: Original, step: Step, draw: Callable[[int], int]) -> Site:
    model = onnx.ModelProto()
    model.CopyFrom(case.program.model)
    before = case.program.steps[: case.program.steps.index(step)]
    known = [*case.inputs, *(n for s in before for n in s.outputs if n)]
    values = {n: np.asarray(v.value) for n, v in case.values.items()}
    dtypes = {n: v.dtype for n, v in case.values.items() if v.dtype is not None}
    return Site(model, dict(case.inputs), step, values, dtypes, known, draw)


def _moved(case: Original, site: Site) -> float | None:
    """How far the fault moves the outputs of the null executor; None where what is left is no model, or not finite.

    The reference would not do: it does not round, so that bfloat16 products or a dropped cast change nothing there.
    """
    try:
        broken = executed(parse(site.model), site.inputs, case.seed)
    except (ValueError, IndexError, KeyError, TypeError):
        return None
    moved = 0.0
    for wrong, right in zip(broken, executed(case.program, case.inputs, case.seed), strict=True):
        if not isinstance(wrong, Tensor) or not isinstance(right, Tensor):
            return None
        if wrong.element_type != right.element_type or wrong.shape != right.shape:
            return None
        moved = max(moved, _difference(to_numpy(wrong), to_numpy(right)))
    return moved if np.isfinite(moved) else None


def _difference(got: Array, want: Array) -> float:
    """The greatest difference relative to the largest element due; 1 where anything differs that is not a float."""
    if got.dtype.kind in "OUSiub":
        return float(np.any(got != want))
    if not got.size:
        return 0.0
    got, want = got.astype(np.float64), want.astype(np.float64)
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-30))


def verdict(case: Original, outputs: Sequence[Value]) -> Comparison:
    """What the judge says of these outputs of a case, knowing the original alone."""
    return worst([compare(got, due) for got, due in zip(outputs, case.outputs(), strict=True)])


def tested(case: Original, planted: Planted, outputs: Sequence[Value]) -> Tested:
    """What the judge says of a broken case's outputs."""
    found = verdict(case, outputs)
    why = "" if found.word is Word.WRONG else "suspect" if found.word is Word.SUSPECT else _why(case, outputs)
    return Tested(
        planted.fault, planted.seed, planted.node, planted.operator, planted.moved, found.word.value, found.ratio, why
    )


def _why(case: Original, outputs: Sequence[Value]) -> str:
    """``unknown`` if every element that moved, compared with the null executor's answer, has an infinite bound."""
    clean = executed(case.program, case.inputs, case.seed)
    for got, right, due in zip(outputs, clean, case.outputs(), strict=True):
        if not isinstance(got, Tensor) or not isinstance(right, Tensor) or got.shape != right.shape:
            continue
        want = to_numpy(right).astype(np.float64)
        apart = np.abs(to_numpy(got).astype(np.float64) - want) > EFFECTIVE * np.abs(want).max(initial=0.0)
        if np.any(apart & np.isfinite(np.broadcast_to(np.asarray(due.bound), want.shape))):
            return "within the bound"
    return "unknown"


def executed(program: Program, inputs: Mapping[str, Any], seed: int, method: Method = _EXECUTOR) -> list[Value]:
    """The outputs of a model by the null executor."""
    found = {name: tensor(value, dtype) for _, name, dtype, value in recompute(program, inputs, method, seed)}
    given = {**program.constants, **inputs}
    return [found[n] if n in found else tensor(given[n], program.dtypes.get(n)) for n in program.outputs]


def plant_run(
    seeds: Sequence[int], faults: Sequence[str], *, settings: Settings = NULL_SETTINGS,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Comparison, list[Tested]]]:  # fmt: skip
    """For each case: what the judge says of the clean run, and of each fault that could be planted."""
    for seed, chosen, own in groups(seeds, faults, settings):
        case = original(seed, own)
        clean = verdict(case, executed(case.program, case.inputs, seed))
        broken = (plant(case, FAULTS[name]) for name in chosen)
        yield clean, [tested(case, p, executed(parse(p.model), p.inputs, seed)) for p in broken if p is not None]
        progress(1)


def groups(
    seeds: Sequence[int], faults: Sequence[str], settings: Settings
) -> Iterator[tuple[int, tuple[str, ...], Settings]]:
    """(seed, faults, settings) of every case: faults with operators of their own get cases of their own."""
    sharing: dict[Settings, list[str]] = {settings: []}
    for name in faults:
        sharing.setdefault(case_settings(FAULTS[name], settings), []).append(name)
    for seed in seeds:
        for own, names in sharing.items():
            if names:
                yield seed, tuple(names), own
