"""The operation `vary`: one model run in several ways in one process, each against the plain run before it.

A request's values are its data sets (`data_sets` of them), then inputs that only `once` runs (`mutants`), then the
neighbours: for each a model's bytes as a uint8 tensor, followed by the inputs of one run. Its fields name the `ways`,
and of each neighbour its name and folder.

The plain outputs come first, as of `execute`. Then, for each way and each of its variants, the driver is told that it
has begun, of each result that is not the same bytes (both, the expected one first), and how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from backends.layout import Layout, differs
from backends.protocol import Arranged, BackendError, Bindable, InvalidCase, Unsupported
from backends.tensor import Tensor, TensorError, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backends.protocol import Compiled
    from backends.service import Job
    from backends.tensor import Value

__all__ = ["vary"]

_REPETITIONS = 3
_FILLS = (0xFF, 0x55, None)
"""What output buffers hold before a run: NaN or -1, a common number, what the run before left."""


class _Neighbour(NamedTuple):
    """Another model that runs in the same process."""

    name: str
    model: bytes
    folder: str | None
    inputs: list[Value]


@dataclass(frozen=True, slots=True)
class _Trial:
    """What the ways have in common: the model as it was first compiled, and what it gave."""

    job: Job
    compiled: Compiled
    data_sets: Sequence[list[Value]]
    mutants: Sequence[list[Value]]
    neighbours: Mapping[str, _Neighbour]
    plain: Sequence[list[Value]]

    def compare(self, number: int, expected: list[Value], actual: list[Value]) -> None:
        """Tell the driver of a result; `number` counts the data sets, then the mutants."""
        values: list[Value] = [] if expected == actual else [expected, actual]
        self.job.report({"result": number}, values)


def vary(job: Job) -> None:
    """Serve one request."""
    fields = job.request.fields
    values = [value if isinstance(value, list) else [] for value in job.request.values]
    count, mutants = fields["data_sets"], fields["mutants"]
    data_sets = values[:count]
    compiled = job.compile()
    plain = []
    for inputs in data_sets:
        plain.append(compiled.run(inputs))
        job.outputs(plain[-1])
    neighbours = dict(_neighbours(fields["neighbours"], values[count + mutants :]))
    trial = _Trial(job, compiled, data_sets, values[count : count + mutants], neighbours, plain)
    for way in fields["ways"]:
        for name, variant in _WAYS[way]:
            job.lap()
            job.report({"begun": way, "variant": name})
            outcome, message = job.attempt(partial(variant, trial))
            job.report({"ended": way, "variant": name, "outcome": outcome, "message": message, "stage": job.stage})


def _neighbours(rows: Sequence[Mapping[str, Any]], values: Sequence[list[Value]]) -> Iterator[tuple[str, _Neighbour]]:
    for row, value in zip(rows, values, strict=True):
        model, *inputs = value
        if not isinstance(model, Tensor):
            raise TypeError("a neighbour without a model")
        yield row["name"], _Neighbour(row["name"], model.data, row["folder"], inputs)


def _repeat(trial: _Trial) -> None:
    """The same compiled model, run again and again."""
    for number, inputs in enumerate(trial.data_sets):
        for _ in range(_REPETITIONS):
            trial.compare(number, trial.plain[number], trial.compiled.run(inputs))


def _compiled_anew(trial: _Trial) -> None:
    """The same model compiled a second time, while the first is still there."""
    again = trial.job.compile()
    for number, inputs in enumerate(trial.data_sets):
        trial.compare(number, trial.plain[number], again.run(inputs))


def _layout(trial: _Trial, layout: Layout) -> None:
    """Inputs that lie in another way."""
    if not isinstance(trial.compiled, Arranged) or layout not in trial.compiled.layouts:
        raise Unsupported(f"the backend takes no inputs that lie {layout.value}")
    for number, inputs in enumerate(trial.data_sets):
        if any(isinstance(value, Tensor) and differs(to_numpy(value), layout) for value in inputs):
            trial.compare(number, trial.plain[number], trial.compiled.run_arranged(inputs, layout))


def _buffers(trial: _Trial) -> None:
    """Output buffers that are bound once for all data sets of the same output shapes, and filled before each run."""
    if not isinstance(trial.compiled, Bindable):
        raise Unsupported("the backend binds no output buffers")
    groups: dict[str, list[int]] = {}
    for number, outputs in enumerate(trial.plain):
        groups.setdefault(repr([_form(value) for value in outputs]), []).append(number)
    for numbers in groups.values():
        binding = trial.compiled.bind(trial.plain[numbers[0]])
        for fill in _FILLS:
            for number in numbers:
                trial.compare(number, trial.plain[number], binding.run(trial.data_sets[number], fill))


def _form(value: Value) -> Any:
    if isinstance(value, Tensor):
        return value.element_type, value.shape
    return None if value is None else [_form(item) for item in value]


def _neighbour(trial: _Trial, name: str) -> None:
    """The model again after another one has run: as it was compiled before, then compiled anew beside the other."""
    other = trial.neighbours.get(name)
    if other is None:
        raise Unsupported("there is no such model here")
    trial.job.report({"neighbour": "begun"})
    kept = _visit(trial.job, other)
    trial.job.report({"neighbour": "ended"})
    for compiled in (trial.compiled, trial.job.compile()):
        for number, inputs in enumerate(trial.data_sets):
            trial.compare(number, trial.plain[number], compiled.run(inputs))
    del kept


def _visit(job: Job, other: _Neighbour) -> Compiled | None:
    """Compile and run another model; what it comes to is its own affair."""
    try:
        compiled = job.compile(other.model, other.folder)
        compiled.run(other.inputs)
    except (BackendError, InvalidCase, MemoryError, TensorError):
        return None
    return compiled


def _once(trial: _Trial) -> None:
    """Compiled once and run on inputs in turn, against compiled for each of them alone."""
    inputs = [*trial.data_sets, *trial.mutants]
    if len(inputs) < 2:
        raise Unsupported("there is one set of inputs only")
    # Backwards, so that each data set follows another one than in the plain run.
    results = {number: trial.compiled.run(inputs[number]) for number in reversed(range(len(inputs)))}
    for number, given in enumerate(inputs):
        alone = trial.plain[0] if number == 0 else trial.job.compile().run(given)
        trial.compare(number, alone, results[number])


_WAYS: Mapping[str, Sequence[tuple[str, Callable[[_Trial], None]]]] = MappingProxyType({
    "repeat": (("run again", _repeat),),
    "session": (("compiled anew", _compiled_anew),),
    "layout": tuple((layout.value, partial(_layout, layout=layout)) for layout in Layout),
    "buffers": (("bound once", _buffers),),
    "once": (("inputs in turn", _once),),
    "neighbour": tuple((name, partial(_neighbour, name=name)) for name in ("weights", "case")),
})  # fmt: skip

