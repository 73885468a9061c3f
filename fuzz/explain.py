"""Where a wrong answer begins, found by running pieces of the model again on the target that gave it.

Workers run the pieces; a process of its own parses models and judges, since a stranger's model may end it.
"""

from __future__ import annotations

import threading
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from backends.frame import Frame, FrameError, encode
from backends.protocol import Outcome
from fuzz.case import read_inputs
from fuzz.execute.worker import Limits, Worker, WorkerError
from fuzz.judge.subset import fewest
from fuzz.judge.verdict import Word
from fuzz.pool import MODEL_MEMORY, process_pool
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import ProcessPoolExecutor
    from types import TracebackType

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.execute.target import Target
    from fuzz.judge.context import Context
    from fuzz.judge.divergence import Divergence, Exposed
    from fuzz.judge.verdict import Verdict

__all__ = ["EXPLAINED", "GONE", "Explainer"]

EXPLAINED = frozenset({Word.WRONG, Word.SUSPECT})
"""The verdicts of which a node can be named."""

GONE = "run again in a new process, the answer is right: another case may have broken the process it ran in"
"""What is said of a flaky answer."""

_CUTS = 64  # cut-off models that are tried at most

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Run:
    """A case on a target: its data sets up to the one in question, and the inputs of that one by name."""

    target: Target
    case: Case
    sets: Sequence[Sequence[Value]]
    inputs: Mapping[str, Value]
    names: Sequence[str]

    @property
    def folder(self) -> str:
        """Where external data lies."""
        return str(self.case.folder.resolve())


class Explainer:
    """Finds the node at which targets part from the reference. A context manager: it holds a worker a target."""

    def __init__(self, targets: Sequence[Target], limits: Limits) -> None:
        self._targets = {target.canonical: target for target in targets}
        self._limits = limits
        self._workers: dict[str, Worker] = {}
        self._pool: ExitStack | None = None
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._close_pool()

    def explain(self, case: Case, verdict: Verdict) -> Divergence | None:
        """The node at which a wrong or suspect answer begins; None where that cannot be told.

        The model runs with all intermediate values exposed, and the node found there runs once more by itself on the
        inputs that it had. Where either is right the model runs cut off behind each value in turn.
        """
        target = self._targets.get(verdict.target)
        if target is None or verdict.verdict not in EXPLAINED or verdict.data_set >= len(case.data_sets):
            return None
        exposed = self._apart(_expose, case.model_path.read_bytes(), str(case.folder.resolve()))
        if exposed is None:
            return None
        names = [port.name for port in read_signature(case.model_path).inputs]
        # A target may remember the data set before: those that came first are run first.
        sets = [list(read_inputs(case, data_set)) for data_set in case.data_sets[: verdict.data_set + 1]]
        run = _Run(target, case, sets, dict(zip(names, sets[-1], strict=False)), names)
        found = self._look(run, exposed)
        if found is None or not (found.hidden or found.alone is False):
            return found
        # Where a fault needs a node's context, or lies elsewhere, what ran before in the same process may have done it.
        whole = self._apart(_whole, case.model_path.read_bytes())
        again = None if whole is None else self._fresh(run, whole)
        if again is not None and again.hidden:
            return replace(again, gone=True)
        self._renew(target)
        found = self._smaller(run, exposed, self._look(run, exposed) or found)
        if found.operator or whole is None or again is None:
            return found
        return self._needed(run, whole, replace(again, hidden=True, entire=True))

    def with_nodes(self, cases: Mapping[str, Case], verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
        """The verdicts, those of which a node can be told with it; what a new process does not repeat is flaky."""
        for verdict in verdicts:
            found = self.explain(cases[verdict.case], verdict) if verdict.case in cases else None
            if found is None:
                yield verdict
            elif found.gone:
                message = f"{GONE}; {verdict.message}" if verdict.message else GONE
                yield replace(verdict, verdict=Word.FLAKY.value, node=None, message=message)
            else:
                yield replace(verdict, node=str(found))

    def _look(self, run: _Run, exposed: Exposed) -> Divergence | None:
        """The node at which the exposed model parts from the reference, and whether it does so alone."""
        outputs = self._run(run.target, exposed.model, run.sets, run.folder)
        if outputs is None:
            return None
        found = self._apart(_diverge, exposed, run.inputs, outputs, run.target.canonical, run.folder)
        if found is None or found.hidden:
            return found
        known = {**run.inputs, **dict(zip(exposed.names, outputs, strict=True))}
        return self._by_itself(run.target, exposed, found, known)

    def _smaller(self, run: _Run, exposed: Exposed, found: Divergence) -> Divergence:
        """The smallest piece that is wrong, if the node alone is not, and what the node needs in it."""
        if found.alone is not False and not found.hidden:
            return found
        for piece in (self._apart(_cuts, exposed) or ())[:_CUTS]:
            smaller = self._piece(run, piece)
            if smaller is not None and not smaller.hidden:
                smaller = self._fresh(run, piece)
                if smaller is not None and not smaller.hidden:
                    found = replace(smaller, hidden=found.hidden, alone=found.alone)
                    return self._needed(run, piece, found)
        return found if found.hidden else self._needed(run, exposed, found)

    def _needed(self, run: _Run, whole: Exposed, found: Divergence) -> Divergence:
        """With the other nodes, and whether data sets before, that a node needs in order to be wrong."""
        feeds = [dict(zip(run.names, inputs, strict=False)) for inputs in run.sets]
        context = self._apart(_context, whole, feeds, found.output, run.target.canonical, run.folder)
        if context is None:
            return found

        everything, output = range(len(context.nodes)), found.output

        def wrong(keep: Sequence[int], known: Sequence[Mapping[str, Value]] = context.known) -> bool:
            made = self._apart(_only, whole, list(keep), list(known))
            if made is None:
                return False
            piece, sets = made
            part = replace(run, sets=sets, inputs=dict(zip(piece.inputs, sets[-1], strict=True)), names=piece.inputs)
            if output:
                return all(_bad(look(part, piece), output) for look in (self._piece, self._fresh))
            return _bad(self._fresh(part, piece), "")

        if not wrong(everything):
            output = ""  # an inference that ended early is not wrong at the same place each time
            if not wrong(everything):
                return found
        keep = fewest(everything, context.at, wrong)
        needs = tuple(context.nodes[index] for index in keep if index != context.at)
        after = len(run.sets) > 1 and not wrong(keep, context.known[-1:])
        return replace(found, needs=needs, after=after, alone=found.alone or not (needs or after))

    def _fresh(self, run: _Run, piece: Exposed) -> Divergence | None:
        """The same in a new worker: a model may corrupt what the process does with those after it."""
        self._renew(run.target)
        return self._piece(run, piece)

    def _renew(self, target: Target) -> None:
        """What runs next on a target runs in a new worker."""
        worker = self._workers.pop(target.canonical, None)
        if worker is not None:
            worker.close()

    def _piece(self, run: _Run, piece: Exposed) -> Divergence | None:
        """What a piece of the model does on the same inputs, None where it does not run."""
        outputs = self._run(run.target, piece.model, run.sets, run.folder)
        if outputs is None:
            return None
        return self._apart(_diverge, piece, run.inputs, outputs, run.target.canonical, run.folder)

    def _by_itself(
        self, target: Target, exposed: Exposed, found: Divergence, known: Mapping[str, Value]
    ) -> Divergence:
        piece = self._apart(_alone, exposed, found.output, dict(known))
        outputs = None if piece is None else self._run(target, piece[0].model, [list(piece[1].values())], None)
        if piece is None or outputs is None:
            return found
        again = self._apart(_diverge, piece[0], piece[1], outputs, target.canonical, "")
        if again is None:
            return found
        return replace(found, alone=not again.hidden)

    def _run(
        self, target: Target, model: bytes, sets: Sequence[Sequence[Value]], folder: str | None
    ) -> tuple[Value, ...] | None:
        """A model's outputs on the last of some sets of inputs, None where it does not run."""
        try:
            request = encode(Frame("execute", {"folder": folder}, [list(inputs) for inputs in sets], model))
        except FrameError:
            return None
        worker = self._workers.get(target.canonical)
        if worker is None or not worker.alive:
            try:
                worker = self._workers[target.canonical] = Worker(target, self._limits, threading.Event())
            except WorkerError:
                return None
        attempt = worker.execute(request)
        return attempt.outputs[-1] if attempt.outcome is Outcome.OK and attempt.outputs else None

    def _apart(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """Call a function that parses a model in the process for it; None where it cannot, or dies of it."""
        if self._executor is None:
            self._pool = ExitStack()
            self._executor = self._pool.enter_context(process_pool(1, memory=MODEL_MEMORY))
        try:
            return self._executor.submit(function, *arguments).result()
        except BrokenProcessPool:
            self._close_pool()
            return None

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool = self._executor = None


def _bad(found: Divergence | None, output: str) -> bool:
    """Whether a piece parts from the reference, at this output if one is named."""
    return found is not None and not found.hidden and output in {"", found.output}


def _expose(model: bytes, folder: str) -> Exposed | None:
    from fuzz.judge.divergence import expose

    try:
        return expose(model, folder)
    except Exception:  # noqa: BLE001 - a model that the reference cannot read has a verdict that says so
        return None


def _whole(model: bytes) -> Exposed:
    import onnx

    from fuzz.judge.divergence import Exposed

    return Exposed(model, tuple(output.name for output in onnx.ModelProto.FromString(model).graph.output))


def _context(
    exposed: Exposed, sets: Sequence[dict[str, Value]], output: str, target: str, folder: str
) -> Context | None:
    from fuzz.judge.context import context

    try:
        return context(exposed, sets, output, target, folder)
    except Exception:  # noqa: BLE001 - the reference cannot run this piece: nothing is known of it
        return None


def _only(
    exposed: Exposed, keep: Sequence[int], known: Sequence[dict[str, Value]]
) -> tuple[Exposed, list[list[Value]]] | None:
    from fuzz.judge.context import only

    return only(exposed, keep, known)


def _cuts(exposed: Exposed) -> list[Exposed]:
    from fuzz.judge.divergence import cuts

    return list(cuts(exposed))


def _alone(exposed: Exposed, output: str, known: dict[str, Value]) -> tuple[Exposed, dict[str, Value]] | None:
    from fuzz.judge.divergence import alone

    return alone(exposed, output, known)


def _diverge(
    exposed: Exposed, inputs: dict[str, Value], outputs: tuple[Value, ...], target: str, folder: str
) -> Divergence | None:
    from fuzz.judge.divergence import first_divergence

    try:
        return first_divergence(exposed, inputs, outputs, target, folder)
    except Exception:  # noqa: BLE001 - the reference cannot run this piece: nothing is known of it
        return None
