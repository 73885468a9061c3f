"""One caught model made a build: adjusted, alive, exported, traced, run in float64, written as a standard test case.

model.onnx, test_data_set_0/input_N.pb, output_N.pb   the outputs are those of eager PyTorch
program/output_N.pb                                   those of the exported program
precise/output_N.pb                                   those of the program in float64
"""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from corpus.cache import MODEL, TRACE
from corpus.export import adjust, export, inputs_of, matched, outputs_of, translate
from corpus.parting import differ, first_parting
from corpus.precise import precise_outputs
from corpus.revive import is_dead, loudness, revive
from corpus.tensors import to_proto
from corpus.trace import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import onnx
    from torch.export import ExportedProgram

    from corpus.catch import Caught

__all__ = ["STAGES", "Failed", "alive", "build"]

STAGES = ("forward", "export", "translate", "write", "trace", "precise")
"""What a model goes through, in order."""

_LINE = 300


class Failed(Exception):
    """A stage did not work; what was raised is the cause."""

    def __init__(self, stage: str, problem: BaseException) -> None:
        super().__init__(f"{type(problem).__name__}: {_first_line(problem)}")
        self.stage = stage
        self.problem = problem


@dataclass(slots=True)
class _Progress:
    """What is known so far; ``tell`` hears which stage begins."""

    state: dict[str, Any]
    tell: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; what it raises becomes `Failed`."""
        self.tell(name)
        start = time.perf_counter()
        try:
            yield
        except Exception as problem:
            raise Failed(name, problem) from problem
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 4)


def build(
    caught: Caught, folder: Path, *, opset: int, source: Mapping[str, Any],
    tell: Callable[[str], None] = lambda _stage: None,
) -> dict[str, Any]:  # fmt: skip
    """Build one model in an empty folder and return what is known of it.

    ``status`` is ``successful`` or ``failed``, with ``stage`` and ``error`` then; the traceback lies in ``log.txt``.
    That the program cannot be run in float64 is told (``imprecise``) and no failure.
    """
    state: dict[str, Any] = {}
    progress = _Progress(state, tell)
    try:
        _walk(caught, folder, opset, source, progress)
        state["status"] = "successful"
    except Failed as failed:
        state |= {"status": "failed", "stage": failed.stage, "error": str(failed)}
        text = "".join(traceback.format_exception(failed.problem))
        folder.joinpath("log.txt").write_text(text, encoding="utf-8", errors="replace")
    state["seconds"] = progress.seconds
    return state


def _walk(caught: Caught, folder: Path, opset: int, source: Mapping[str, Any], progress: _Progress) -> None:
    state, module = progress.state, caught.module
    with progress.stage("forward"):
        outputs = alive(caught, state)
        state["loudness"] = loudness(outputs)
        state["outputs"] = [[str(t.dtype).removeprefix("torch."), list(t.shape)] for t in outputs_of(outputs)]
        state["random"] = _is_random(caught, outputs)
    with progress.stage("export"):
        program = export(module, caught.args, caught.kwargs)
    with progress.stage("translate"):
        model = translate(program, folder / MODEL, opset)
        state["onnx"] = _facts(model)
    with progress.stage("write"):
        state["parting"] = _write_case(model, program, caught, outputs, folder)
        _write_json(folder / "case.json", {"source": dict(source)})
    with progress.stage("trace"):
        graph = trace(program)
        state["nodes"] = len(graph.vertices)
        _write_json(folder / TRACE, graph.to_json())
    try:
        with progress.stage("precise"):
            given = [value for _, value in inputs_of(program, caught.args, caught.kwargs)]
            precise = precise_outputs(program, given)
            _write_values(folder / "precise", "output", precise.outputs)
            state["tolerances"] = [str(tolerance) for tolerance in precise.tolerances]
    except Failed as failed:
        state["imprecise"] = str(failed)


def alive(caught: Caught, state: dict[str, Any]) -> Any:
    """The outputs of the model once it is as it is to be exported; what was done to it goes into the state."""
    module = caught.module
    if caught.training:
        module.eval()
    state["adjusted"] = ["eval(): it was called in training"] if caught.training else []
    state["adjusted"] += adjust(module)
    outputs = _call(caught)
    state["revived"] = []
    if is_dead(outputs):
        state["revived"] = revive(module, lambda: module(*caught.args, **caught.kwargs))
        outputs = _call(caught)
    state["dead"] = is_dead(outputs)
    state["finite"] = all(size < float("inf") for size in loudness(outputs))
    return outputs


def _call(caught: Caught, seed: int = 0) -> Any:
    """The outputs on the inputs; what a call changes of them, or of the module's buffers, goes back."""
    torch.manual_seed(seed)
    args, kwargs = pytree.tree_map(_copy, (caught.args, caught.kwargs))
    with _buffers_kept(caught.module), torch.no_grad():
        return pytree.tree_map(_copy, caught.module(*args, **kwargs))


@contextlib.contextmanager
def _buffers_kept(module: torch.nn.Module) -> Iterator[None]:
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                if buffer.shape == value.shape:
                    buffer.copy_(value)


def _copy(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, torch.Tensor) else leaf


def _is_random(caught: Caught, outputs: Any) -> bool:
    """Whether the model draws random numbers: another seed gives other outputs."""
    pairs = zip(outputs_of(outputs), outputs_of(_call(caught, seed=1)), strict=False)
    return any(not _same(one, other) for one, other in pairs)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one.nan_to_num(), other.nan_to_num()))


def _facts(model: onnx.ModelProto) -> dict[str, Any]:
    operators: dict[str, int] = {}
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    domains = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    return {
        "operators": dict(sorted(operators.items())),
        "opset": domains.get("ai.onnx"),
        "ir_version": model.ir_version,
        "bytes": model.ByteSize(),
        "inputs": {
            port.name: [dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim]
            for port in model.graph.input
        },
    }


def _write_case(model: onnx.ModelProto, program: ExportedProgram, caught: Caught, outputs: Any, folder: Path) -> str:
    """Write inputs as the model takes them, what eager PyTorch gives and what the exported program does.

    Where those two part is returned.
    """
    ports, inputs = matched(model, inputs_of(program, caught.args, caught.kwargs))
    eager = outputs_of(outputs)
    if len(eager) != len(model.graph.output):
        raise ValueError(f"the model has {len(eager)} outputs, the exported one {len(model.graph.output)}")
    _write_values(folder / "test_data_set_0", "input", inputs, ports)
    _write_values(folder / "test_data_set_0", "output", eager, [port.name for port in model.graph.output])
    torch.manual_seed(0)
    args, kwargs = pytree.tree_map(_copy, (caught.args, caught.kwargs))
    with _buffers_kept(caught.module), torch.no_grad():
        exported = outputs_of(pytree.tree_map(_copy, program.module()(*args, **kwargs)))
    _write_values(folder / "program", "output", exported)
    if any(differ(one, other) for one, other in zip(eager, exported, strict=True)):
        return first_parting(caught.module, program, caught.args, caught.kwargs, lambda: _call(caught))
    return ""


def _write_values(folder: Path, role: str, tensors: Sequence[torch.Tensor], names: Sequence[str] = ()) -> None:
    folder.mkdir(exist_ok=True)
    for number, tensor in enumerate(tensors):
        data = to_proto(tensor, names[number] if names else f"output_{number}").SerializeToString(deterministic=True)
        folder.joinpath(f"{role}_{number}.pb").write_bytes(data)


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.write_text(f"{text}\n", encoding="utf-8")


def _first_line(problem: BaseException) -> str:
    """The line of a message that says most: exporters wrap what went wrong into pages of advice."""
    cause = problem
    while cause.__cause__ is not None:
        cause = cause.__cause__
    told = str(cause).strip() or str(problem).strip() or "no message"
    text = next(line.strip() for line in told.splitlines() if line.strip())
    if cause is not problem:
        text = f"{type(cause).__name__}: {text}"
    return text[:_LINE]
