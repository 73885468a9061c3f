"""What a target can tell beside outputs: what it made of a model, and which passes it can leave out."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from backends.frame import Frame, encode
from backends.passes import Passes
from backends.protocol import Outcome
from fuzz.case import read_inputs
from fuzz.errors import UsageError
from fuzz.execute.start import start_worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Attempt, Limits

__all__ = ["passes", "show", "show_model"]


def show(target: Target, case: Case, limits: Limits) -> tuple[Attempt, Mapping[str, bytes]]:
    """Compile a case, run its data sets, and ask for the artefacts: what became of it, and files by name.

    Raises:
        CaseError: a data set cannot be read.
        TargetError: the worker does not start.
    """
    values = [list(read_inputs(case, data_set)) for data_set in case.data_sets]
    return show_model(target, case.model_path.read_bytes(), values, limits, folder=str(case.folder))


def show_model(
    target: Target, model: bytes, sets: Sequence[Sequence[Value]], limits: Limits, folder: str | None = None
) -> tuple[Attempt, Mapping[str, bytes]]:
    """The same for a model at hand; ``folder`` has its external data. Raises TargetError."""
    attempt = _ask(target, limits, Frame("show", {"folder": folder}, [list(inputs) for inputs in sets], model))
    files: dict[str, bytes] = {}
    for report in attempt.reports:
        (content,) = report.values
        files[str(report.fields["file"])] = bytes(content.data)  # type: ignore[union-attr]
    return attempt, files


def passes(target: Target, limits: Limits) -> Passes:
    """The passes that the installed version can leave out; none where it has no such option.

    Raises:
        TargetError: the worker does not start.
        UsageError: the backend did not answer.
    """
    attempt = _ask(target, limits, Frame("passes"))
    if attempt.outcome is not Outcome.OK:
        raise UsageError(f"{target.canonical} did not tell its passes: {attempt.outcome.value} {attempt.message}")
    names = [str(name) for report in attempt.reports for name in report.fields["passes"]]
    return Passes(target.backend, target.version, tuple(names))


def _ask(target: Target, limits: Limits, request: Frame) -> Attempt:
    with start_worker(target, limits, Event()) as worker:
        return worker.execute(encode(request))
