"""One model at a time: its script run, what it calls built, run on each backend, judged, timed."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from backends.protocol import Outcome
from corpus import cache as store
from corpus.labels import save_to_cache
from corpus.worker import Request
from fuzz.apart import Apart, Died
from fuzz.case import Case, data_sets_of, digest, read_inputs
from fuzz.collection.examination import (
    EAGER,
    EXPORTER,
    PROGRAM,
    TORCH_EXPORT,
    TRANSLATION,
    Examination,
    examine,
    unsettled,
    verdict_of,
)
from fuzz.collection.latency import latencies
from fuzz.collection.studio import Studio
from fuzz.errors import FuzzError
from fuzz.execute.attempt import Attempt, Limits
from fuzz.execute.execution import Execution
from fuzz.execute.run import beside_of, request_of
from fuzz.execute.start import start_worker
from fuzz.explain import Explainer
from fuzz.judge.verdict import Word
from fuzz.performance.timer import Subject, Timer
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from fuzz.collection.plan import Job, Plan
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Worker
    from fuzz.judge.verdict import Verdict

__all__ = ["Lane", "Outcome", "Result"]

_REPEATED = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM})
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)'")
_STORED = 64 * 2**20  # bytes of outputs from which on an execution is not kept in the store


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one job: the states of its builds by name, and what the script itself went wrong with.

    ``executions`` come with the digests of their cases. ``kept`` says that all of it was there before.
    """

    job: Job
    states: dict[str, dict[str, Any]]
    problem: str = ""
    executions: tuple[tuple[Execution, str], ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    seconds: float = 0.0
    kept: bool = False


@dataclass(slots=True)
class _Gathered:
    executions: list[tuple[Execution, str]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    worked: bool = False


def _came_since(error: str) -> bool:
    """Whether an error is that a package was missing which is there now."""
    missing = _MISSING.search(error)
    return missing is not None and find_spec(missing[1]) is not None


class Lane:
    """One thread's processes: that of the scripts, a worker and a stopwatch for each target."""

    def __init__(
        self, plan: Plan, judges: Apart, stop: Event, tell: Callable[[Job, str, dict[str, Any]], None]
    ) -> None:
        """``judges`` is where models are parsed; ``tell`` hears of each build that is done, and of its state."""
        self._plan, self._judges, self._stop, self._tell = plan, judges, stop, tell
        self._limits = Limits(plan.timeout, plan.memory << 20)
        self._studio = Studio(plan.timeout, plan.memory << 20, stop)
        self._workers: dict[Target, Worker] = {}
        self._timers = {target: Timer(target, self._limits, stop) for target in plan.targets}

    def close(self) -> None:
        """End all processes."""
        self._studio.close()
        for worker in self._workers.values():
            worker.close()
        self._workers = {}
        for timer in self._timers.values():
            timer.close()

    def finish(self, job: Job) -> Result:
        """Do what is not done yet of a job. Raises Interrupted, TargetError, UsageError, OSError."""
        start = time.monotonic()
        gathered = _Gathered()
        names, problem = self._built(job, gathered)
        states = {}
        for name in names:
            state = store.read_state(self._plan.cache, name)
            if state.get("status") == "successful" and not (self._plan.build_only or self._plan.analyze_only):
                self._run(job, name, state, gathered)
            states[name] = state
            self._tell(job, name, state)
        seconds = time.monotonic() - start
        return Result(
            job, states, problem, tuple(gathered.executions), tuple(gathered.verdicts), seconds, not gathered.worked
        )

    # --- building -------------------------------------------------------------------------------------------------

    def _built(self, job: Job, gathered: _Gathered) -> tuple[list[str], str]:
        """The names of a job's builds, and what is wrong with its script."""
        plan, key = self._plan, job.key(self._plan)
        record = store.read_script(plan.cache, key)
        if plan.rebuild == "never" and not record:
            return [], "it is not built, and --rebuild never asks for what is"
        if record and plan.rebuild != "always" and self._complete(record):
            return list(record["builds"]), str(record["problem"])
        gathered.worked = True
        names, problem = self._build(job, key)
        failed = job.stem(plan)
        if failed not in names and (plan.cache / failed).is_dir():
            store.forget(plan.cache, failed)  # when it came to no model
        store.write_script(plan.cache, key, {"builds": names, "problem": problem, "script": job.entry.path})
        return names, problem

    def _complete(self, record: dict[str, Any]) -> bool:
        """Whether nothing is missing, nor ended by what may not come again: a kill, a limit, a missing package."""
        if self._plan.rebuild == "never":
            return True
        states = [store.read_state(self._plan.cache, name) for name in record.get("builds", ())]
        lacking = not (self._plan.build_only or self._plan.analyze_only)
        undone = {"killed"} if self._plan.analyze_only else {"killed", "analyzed"}
        return "builds" in record and not _came_since(str(record["problem"])) and all(
            state and state.get("status") not in undone and not (lacking and self._is_cleaned(name, state))
            and not _came_since(str(state.get("error", "")))
            for name, state in zip(record["builds"], states, strict=True)
        )

    def _is_cleaned(self, name: str, state: dict[str, Any]) -> bool:
        """Whether a build's model is gone that has to run on a target still."""
        present = (self._plan.cache / name / store.MODEL).exists()
        return state.get("status") == "successful" and not present and bool(self._missing(state))

    def _missing(self, state: dict[str, Any]) -> list[Target]:
        """The targets that a build was not run on in their version."""
        known = state["targets"]
        return [t for t in self._plan.targets if known.get(t.canonical, {}).get("version") != t.version]

    def _build(self, job: Job, key: str) -> tuple[list[str], str]:
        """Run the script until each of its models is built or has failed."""
        names = [] if self._plan.rebuild == "always" else self._begun(job, key)
        request = replace(self._request(job, key), skip=names)
        described: dict[str, dict[str, Any]] = {}
        while True:
            end, current, stage = self._watched(request, names, described)
            if self._plan.isolation:
                self._studio.close()
            if end["event"] == "done":
                problem = str(end["problem"])
                if not names:
                    names = [self._fail(job, key, {"status": "failed", "error": problem, "printed": end["printed"]})]
                return names, problem
            problem = f"{end['word']}: {end['message']}"
            if not current:
                return names or [self._fail(job, key, {"status": "killed", "error": problem})], problem
            self._note(job, key, current, {**described[current], "status": "killed", "stage": stage, "error": problem})
            names.append(current)
            request = replace(request, skip=names)

    def _watched(
        self, request: Request, names: list[str], described: dict[str, dict[str, Any]]
    ) -> tuple[dict[str, Any], str, str]:
        """What a request ends with, and the build and stage in which it died; builds that are done join the names."""
        current, stage = "", ""
        event: dict[str, Any] = {}
        for event in self._studio.run(request):
            if event["event"] == "caught":
                described |= {model["build"]: model for model in event["models"]}
            elif event["event"] == "stage":
                current, stage = event["build"], event["stage"]
            elif event["event"] == "built":
                names.append(event["build"])
                current = ""
        return event, current, stage

    def _begun(self, job: Job, key: str) -> list[str]:
        """The builds of a run of this script that was ended before it had built all."""
        cache = self._plan.cache
        names = [name for name in store.builds(cache) if name.startswith(f"{job.stem(self._plan)}_")]
        states = [(name, store.read_state(cache, name)) for name in names]
        return [
            name for name, state in states
            if state.get("key") == key and state.get("status") != "killed" and not _came_since(str(state.get("error")))
        ]  # fmt: skip

    def _fail(self, job: Job, key: str, state: dict[str, Any]) -> str:
        """A script that calls no model, or did not get so far, has a build that says so; its name."""
        name = job.stem(self._plan)
        self._note(job, key, name, {**state, "stage": "script"})
        return name

    def _note(self, job: Job, key: str, name: str, state: dict[str, Any]) -> None:
        request = self._request(job, key)
        labels = {key: tuple(values) for key, values in request.labels.items()}
        save_to_cache(self._plan.cache, name, labels)
        store.write_state(self._plan.cache, name, {**request.facts, "targets": {}, "seconds": {}, **state})

    def _request(self, job: Job, key: str) -> Request:
        plan, entry = self._plan, job.entry
        labels = {key: list(values) for key, values in entry.labels.items()}
        facts = {
            "model": entry.name, "corpus": entry.corpus, "script": entry.path, "script_arguments": list(plan.arguments),
            "author": ",".join(labels.get("author", ())), "task": ",".join(labels.get("task", ())), "key": key,
        }  # fmt: skip
        return Request(
            str(entry.script.resolve()), job.arguments(plan), str(plan.cache.resolve()), job.stem(plan), plan.opset,
            plan.max_depth, plan.analyze_only, job.pick, facts, labels,
        )  # fmt: skip

    # --- running --------------------------------------------------------------------------------------------------

    def _run(self, job: Job, name: str, state: dict[str, Any], gathered: _Gathered) -> None:
        """Execute, judge and time a build on the targets that it was not run on yet."""
        plan, folder = self._plan, self._plan.cache / name
        known = state["targets"]
        missing = self._missing(state)
        untimed = [
            target for target in plan.targets
            if plan.iterations and (target in missing or "latency" not in known[target.canonical])
        ]  # fmt: skip
        examined = EAGER in state.get("answers", {}) or not (folder / store.MODEL).exists()
        if not missing and not untimed and examined:
            return
        gathered.worked = True
        case = Case(name, folder, folder / store.MODEL, data_sets_of(folder))
        if missing or not examined:
            self._judge(case, state, missing, gathered)
            if state["side"] == EXPORTER and not state["node"]:
                state["node"] = self._located(job, name, state)
        if untimed:
            self._time(case, state, untimed)
        store.write_state(plan.cache, name, state)

    def _judge(self, case: Case, state: dict[str, Any], targets: list[Target], gathered: _Gathered) -> None:
        identity = digest(case)
        executions = [self._execution(case, target) for target in targets]
        tolerances = [float(text) for text in state.get("tolerances", ())]
        start = time.perf_counter()
        try:
            examination = self._judges.call(examine, case, executions, tolerances)
        except Died:
            examination = Examination(message="judging ended the process that did it")
        except (FuzzError, OSError, ValueError, TypeError, KeyError, ArithmeticError, IndexError) as problem:
            examination = Examination(message=f"judging failed: {type(problem).__name__}: {problem}"[:300])
        if state.get("random"):
            examination = unsettled(examination, "the model draws random numbers: two runs of it differ")
        state["seconds"]["judge"] = round(time.perf_counter() - start, 4)
        told = examination.to_json()
        state["answers"] = {**state.get("answers", {}), **told["answers"]}
        state |= {"side": told["side"], "message": told["message"], "node": told["node"]}
        if state["side"] == TORCH_EXPORT:
            state["node"] = state.get("parting", "")
        elif state["side"] != EXPORTER and any(answer.word == Word.WRONG for answer in examination.answers.values()):
            state["node"] = self._node(case, examination, targets)
        for execution, target in zip(executions, targets, strict=True):
            lost = {"word": "error", "decided": "", "message": examination.message}
            answer = told["answers"].get(target.canonical, lost)
            state["targets"][target.canonical] = {
                "version": target.version, "outcome": execution.outcome.value, "verdict": answer["word"],
                "decided": answer["decided"], "message": (answer["message"] or execution.message)[:500],
                "wall_seconds": round(execution.wall_seconds, 4), "cpu_seconds": round(execution.cpu_seconds, 4),
            }  # fmt: skip
            gathered.executions.append((_kept(execution), identity))
        gathered.verdicts.extend(
            verdict_of(case.id, name, answer)
            for name, answer in examination.answers.items()
            if name not in {EAGER, PROGRAM, TRANSLATION}
        )

    def _located(self, job: Job, name: str, state: dict[str, Any]) -> str:
        """The node at which the ONNX model parts from the exported program; its script is run again for it."""
        request = replace(self._request(job, state["key"]), pick=str(state["hash"]), locate=True)
        # To the last event: what is left would be taken for the next request's.
        events = [event for event in self._studio.run(request) if event["event"] == "located"]
        return next((str(event["node"]) for event in events if event["build"] == name), "")

    def _node(self, case: Case, examination: Examination, targets: list[Target]) -> str:
        """Where the answer of the first backend that is wrong begins, as far as the error bounds can tell."""
        verdicts = [
            verdict_of(case.id, target.canonical, answer)
            for target in targets
            if (answer := examination.answers.get(target.canonical)) is not None and answer.word == Word.WRONG
        ]
        if not verdicts:
            return ""
        with Explainer(targets, self._limits) as explainer:
            (verdict,) = explainer.with_nodes({case.id: case}, verdicts[:1])
        return verdict.node or ""

    def _execution(self, case: Case, target: Target) -> Execution:
        request = request_of(case)
        if request.problem:
            attempt, attempts = Attempt(Outcome.ERROR, None, request.problem, "", 0.0, 0.0, ()), 1
        else:
            attempt, attempts = self._worker(target).execute(request.parts), 1
            if attempt.outcome in _REPEATED:
                self._drop(target)
                attempt, attempts = self._worker(target).execute(request.parts), 2
        return Execution(
            case=case.id, target=target.canonical, version=target.version, outcome=attempt.outcome,
            stage=attempt.stage, message=attempt.message, stderr=attempt.stderr, attempts=attempts,
            wall_seconds=attempt.wall_seconds, cpu_seconds=attempt.cpu_seconds, outputs=attempt.outputs,
            beside=beside_of(attempt),
        )  # fmt: skip

    def _worker(self, target: Target) -> Worker:
        worker = self._workers.get(target)
        if worker is not None and (not worker.alive or worker.bloated):
            self._drop(target)
        if target not in self._workers:
            self._workers[target] = start_worker(target, self._limits, self._stop)
        return self._workers[target]

    def _drop(self, target: Target) -> None:
        if (worker := self._workers.pop(target, None)) is not None:
            worker.close()

    def _time(self, case: Case, state: dict[str, Any], targets: list[Target]) -> None:
        running = [t for t in targets if state["targets"].get(t.canonical, {}).get("outcome") == Outcome.OK.value]
        if not running:
            return
        inputs = tuple(read_inputs(case, data_set, read_signature(case.model_path)) for data_set in case.data_sets)
        subject = Subject(case.model_path.read_bytes(), inputs, str(case.folder.resolve()))
        found = latencies({t.canonical: self._timers[t] for t in running}, subject, self._plan.iterations)
        for name, latency in found.items():
            state["targets"][name]["latency"] = {
                "median": latency.median, "lower_quartile": latency.lower, "upper_quartile": latency.upper,
                "mean": latency.mean, "iterations": latency.samples,
                "throughput": latency.throughput, "compile_seconds": latency.compile,
            }  # fmt: skip


def _kept(execution: Execution) -> Execution:
    """An execution as the store is to have it: outputs of hundreds of megabytes can be had again."""
    size = sum(len(getattr(value, "data", b"")) for outputs in execution.outputs for value in outputs)
    return execution if size <= _STORED else replace(execution, outputs=(), message="outputs too large to keep")
