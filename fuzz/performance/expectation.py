"""Is a model's latency what a trained predictor expects of its graph?

A prediction is no proof: what is far off it is worth a look, and never a finding. Far off is said by the predictor's
own error on graphs that it had not seen (`corpus.predictor.target.Target`): the difference of the logarithms, less the
median of such differences, is more than six times their spread; and so it is again in a fresh process.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import exp
from typing import TYPE_CHECKING, Any

from corpus.graphs.computation import ComputationGraph, GraphError
from fuzz.case import read_inputs
from fuzz.errors import CaseError, UsageError
from fuzz.performance.place import Place, place
from fuzz.performance.timer import Refused, Subject, Timer
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    import onnx

    from corpus.predictor.training import Fitted
    from fuzz.case import Case
    from fuzz.performance.measurement import Plan

__all__ = ["FAR", "Expectation", "expect", "predictor"]

FAR = 6.0
"""So many spreads are far: errors have heavier tails than a normal distribution."""
_SAMPLES = 9


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case took and what was predicted, in ms; ``why`` it cannot be said, else "".

    ``deviation`` is in spreads, above 0 where it took longer; ``far`` that it is far off, and was so again. ``node`` is
    the one with the largest ``share`` of the prediction, "" where the predictor has no shares. ``place`` is the node at
    which what is far off leaves the prediction, None where nothing is, or it cannot be said.
    """

    case: str
    why: str = ""
    measured: float = 0.0
    predicted: float = 0.0
    deviation: float = 0.0
    far: bool = False
    node: str = ""
    share: float = 0.0
    place: Place | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def text(self) -> str:
        """One line for a person."""
        if self.why:
            return f"{self.case}: no prediction: {self.why}"
        place = f"; predicted to take most of it: {self.node}, {self.share:.0%}" if self.node else ""
        if self.place is not None:
            # What a node costs too much, others may save: without a profiler nobody knows how much of it.
            much = "all" if self.place.share > 1 else f"{self.place.share:.0%}"
            place = f"; {much} of the difference at {self.place.node} ({self.place.operator}){place}"
        return (
            f"{self.case}: {'FAR OFF' if self.far else 'as predicted'}: {self.measured:.3g} ms, predicted "
            f"{self.predicted:.3g} ms ({self.deviation:+.1f} spreads){place}"
        )


def predictor(path: Path) -> Fitted:
    """A predictor of a latency whose error is known. Raises UsageError."""
    try:
        from corpus.predictor.checkpoint import load
        from corpus.predictor.network import NetworkError
    except ImportError as problem:
        raise UsageError(f"{problem.name} is not installed: pip install 'dnnfuzz[corpus,perf]'") from None
    try:
        fitted = load(path)
    except NetworkError as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from None
    if not fitted.target.label.startswith("latency"):
        raise UsageError(f"{path} predicts {fitted.target.label}, no latency")
    if not fitted.target.spread:
        raise UsageError(f"{path} does not know its error: train it on so many graphs that some are held back")
    return fitted


def expect(case: Case, fitted: Fitted, plan: Plan, stop: Event) -> Expectation:
    """Time a case on the plan's candidate, at its own size, and compare. Raises TargetError."""
    from corpus.graphs.onnx_graph import from_onnx
    from corpus.predictor.training import predict

    try:
        graph = from_onnx(case.model_path)
        if graph.flops() is None:
            return Expectation(case.id, "a size is not fixed")
        inputs = tuple(read_inputs(case, data_set, read_signature(case.model_path)) for data_set in case.data_sets[:1])
        subject = Subject(case.model_path.read_bytes(), inputs, str(case.folder.resolve()))
        (told,) = predict(fitted, [graph])
        measured = _milliseconds(subject, plan, stop)
        off = _deviation(fitted, measured, told)
        again = _deviation(fitted, _milliseconds(subject, plan, stop), told) if abs(off) > FAR else 0.0
        far = abs(again) > FAR and off * again > 0
    except (GraphError, CaseError, OSError, Refused) as problem:
        return Expectation(case.id, str(problem))
    node, share = _largest(fitted, graph)
    found = _place(subject, fitted, plan, stop) if far else None
    return Expectation(case.id, "", measured, told, off, far, node, share, found)


def _place(subject: Subject, fitted: Fitted, plan: Plan, stop: Event) -> Place | None:
    """The node at which the measurement leaves the prediction, which is freed of its known bias."""
    from corpus.graphs.onnx_graph import from_onnx
    from corpus.predictor.training import predict

    target = fitted.target

    def excess(model: onnx.ModelProto) -> float:
        (told,) = predict(fitted, [from_onnx(model)])
        due = target.told(target.learned(told) + (target.bias or 0.0))
        return _milliseconds(replace(subject, model=model.SerializeToString()), plan, stop) - due

    try:
        return place(subject.model, excess)
    except (GraphError, Refused):
        return None


def _milliseconds(subject: Subject, plan: Plan, stop: Event) -> float:
    from statistics import median

    timer = Timer(plan.candidate, plan.limits, stop)
    try:
        timer.load(subject)
        quick = timer.run(0, warm=1)
        return 1e3 * median(timer.sample(0, quick) for _ in range(_SAMPLES))
    finally:
        timer.close()


def _deviation(fitted: Fitted, measured: float, told: float) -> float:
    target = fitted.target
    assert target.spread and target.bias is not None  # noqa: S101, PT018 - `predictor` has seen to it
    return (target.learned(max(measured, 1e-9)) - target.learned(told) - target.bias) / target.spread


def _largest(fitted: Fitted, graph: ComputationGraph) -> tuple[str, float]:
    """The node with the largest share of the prediction."""
    if not fitted.network.settings.sums:
        return "", 0.0
    import torch
    from torch_geometric.data import Batch

    from corpus.predictor.encoding import encoded

    with torch.no_grad():
        batch = Batch.from_data_list([encoded(graph, fitted.network.settings.features)])
        scores: list[float] = fitted.network.scores(batch).tolist()
    most = max(scores)
    parts = [exp(one - most) for one in scores]
    place = parts.index(max(parts))
    node = graph.nodes[place]
    return f"{node.name} ({node.source})", parts[place] / sum(parts)
