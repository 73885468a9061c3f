"""The command line from outside: latency of the help, throughput of gen, exec and diff, reach of the run stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

from figure import Clock, Figure, Scale, clock, settled

from backends.protocol import Outcome
from backends.registry import BACKENDS, installed_version
from backends.support import load_support
from fuzz.cli.main import COMMANDS
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["conformance", "fuzz", "help_latency", "reach", "refusals", "throughput"]

_FUZZ = [sys.executable, "-c", "from fuzz.cli.main import main; main()"]


def fuzz(*arguments: str | Path) -> dict[str, Any]:
    """Run a command with `--json`; RuntimeError where it did not end with 0 or 1."""
    done = subprocess.run(
        [*_FUZZ, *map(str, arguments), "--json"], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode not in {0, 1} or not done.stdout:
        raise RuntimeError(f"fuzz {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _installed(*names: str) -> list[str]:
    return [name for name in names if installed_version(BACKENDS[name]) is not None]


def help_latency(scale: Scale) -> Iterator[Figure]:
    """Wall time of `fuzz --help` and of every subcommand's help: the median of several, and the slowest command."""
    repeats = 3 if scale.quick else 9
    found: dict[str, Clock] = {}
    for name in ("", *COMMANDS):
        times = []
        for _ in range(repeats + 1):
            with clock() as spent:
                subprocess.run([*_FUZZ, *([name] if name else []), "--help"], stdout=subprocess.DEVNULL, check=True)
            times.append(spent)
        found[name] = settled(times)
    slowest = max(found, key=lambda name: found[name].wall)
    for name, label in (("", "fuzz --help"), (slowest, f"slowest subcommand's help ({slowest or 'none'})")):
        yield Figure(label, round(found[name].wall, 3), "s", 0.3, detail=f"{found[name].cpu:.3f} s CPU each")


def throughput(scale: Scale) -> Iterator[Figure]:
    """Cases a second through gen, exec on ONNX Runtime with and without optimisation, and diff, each a new process."""
    count, repeats = (200, 1) if scale.quick else (2000, 3)
    runs = [_stages(scale.folder(), count, number * count) for number in range(repeats)]
    walls = sorted(sum(t.wall for t in run.values()) for run in runs)
    wall, cpu = median(walls), sum(t.cpu for run in runs for t in run.values())
    parts = ", ".join(
        f"{stage} {median(run[stage].wall for run in runs) / count * 1000:.1f} "
        f"({median(run[stage].cpu for run in runs) / count * 1000:.1f})"
        for stage in runs[0]
    )
    yield Figure(
        "gen, exec and diff on ONNX Runtime, opt and no-opt", round(count / wall, 1), "cases/s", 100, "at_least", cpu,
        f"median of {repeats} runs of {count:,} cases of 1-20 nodes; ms a case, wall (CPU): {parts}",
    )  # fmt: skip


def _stages(folder: Path, count: int, seed: int) -> dict[str, Clock]:
    times = {}
    for stage, arguments in (
        ("gen", ["--count", str(count), "--seed", str(seed), "--for", "onnxruntime"]),
        ("exec", ["--backend", "onnxruntime", "--backend", "onnxruntime:opt=0"]),
        ("diff", []),
    ):
        with clock() as times[stage]:
            fuzz(stage, "--root", folder, *arguments)
    return times


# Why ONNX Runtime refuses models that are valid: a part of its message, and what the specification says. What is not
# in this table may be a fault of the generator's.
_THEIRS = (("X_shape.NumDimensions() == 4 was false", "LRN of rank 3 or 5 (the schema has N x C x D1 ... Dn)"),)


def refusals(scale: Scale) -> Iterator[Figure]:
    """What ONNX Runtime says of seeds 0-999: a model that it refuses as invalid may be our fault."""
    count = 100 if scale.quick else 1000
    target = "onnxruntime:opt=0"
    for label, steering in (("", []), (", generated for it", ["--for", "onnxruntime"])):
        folder = scale.folder()
        with clock() as spent:
            fuzz("gen", "--root", folder, "--count", str(count), "--nodes", "1-40", "--dynamic", "mixed", *steering)
            found = fuzz("exec", "--root", folder, "--backend", target)["targets"][target]
        messages = _rejected(folder)
        ours = [m for m in messages if not any(part in m for part, _ in _THEIRS)]
        counted = ((sum(part in m for m in messages), why) for part, why in _THEIRS)
        reasons = [f"{n} for {why}" for n, why in counted if n]
        detail = ", ".join(f"{n:,} {name}" for name, n in found.items() if n)
        yield Figure(
            f"models that ONNX Runtime refuses without a fault of its own{label}", len(ours), "", 0, cpu=spent.cpu,
            detail="; ".join([detail, *reasons, *(m[:150] for m in ours[:3])]),
        )  # fmt: skip


def _rejected(root: Path) -> list[str]:
    with Store.open(root) as store:
        return [
            f"{case}: {execution.message}" for case in store.cases() for execution in store.executions(case)
            if execution.outcome is Outcome.REJECTED
        ]  # fmt: skip


def reach(scale: Scale) -> Iterator[Figure]:
    """The share of cases that reach the run stage of each compiler when they are generated for all of them."""
    targets = _installed("onnxruntime", "tvm", "openvino")
    count = 20 if scale.quick else 200
    folder = scale.folder()
    with clock() as spent:
        fuzz("gen", "--root", folder, "--count", str(count), "--dynamic", "mixed", "--for", *targets)
        ran = _reached(folder, targets)
    for target, (share, rest) in ran.items():
        yield Figure(
            f"cases that reach the run stage on {target}", share, "%", 80, "at_least",
            spent.cpu if target == targets[0] else None, f"{count} cases: {rest}",
        )  # fmt: skip


def reach_alone(scale: Scale) -> Iterator[Figure]:
    """The same of ten nodes for every backend that has a support table and is installed, each by itself."""
    count = 6 if scale.quick else 60
    for target in _installed(*(name for name in sorted(BACKENDS) if load_support(name) is not None)):
        folder = scale.folder()
        with clock() as spent:
            fuzz("gen", "--root", folder, "--count", str(count), "--nodes", "10", "--for", target)
            ((share, rest),) = _reached(folder, [target]).values()
        yield Figure(
            f"cases of ten nodes that reach the run stage on {target}", share, "%", 80, "at_least", spent.cpu,
            f"{count} cases: {rest}",
        )  # fmt: skip


def _reached(root: Path, targets: Sequence[str]) -> dict[str, tuple[float, str]]:
    """By target, how many in a hundred cases reached the run stage, and how many have each outcome."""
    chosen = [word for target in targets for word in ("--backend", target)]
    outcomes = fuzz("exec", "--root", root, *chosen)["targets"]
    ran = dict.fromkeys(targets, 0)
    with Store.open(root) as store:
        for case in store.cases():
            for execution in store.executions(case):
                at_run = execution.stage is not None and execution.stage.value == "run"
                ran[execution.target] += execution.outcome is Outcome.OK or at_run
    return {
        target: (
            round(100 * ran[target] / sum(outcomes[target].values()), 1),
            ", ".join(f"{n} {name}" for name, n in outcomes[target].items() if n),
        )
        for target in targets
    }


def conformance(scale: Scale) -> Iterator[Figure]:
    """ONNX's own tests on the reference; and through exec and diff on ONNX Runtime: what it passes is not wrong."""
    from corpus.onnx_tests import operator_tests

    pattern = "test_a*" if scale.quick else "*"
    with clock() as spent:
        found = fuzz("selftest", "--reference", "--filter", pattern)
    words = ", ".join(f"{found[word]:,} {word}" for word in ("pass", "random", "dispute", "unbounded"))
    yield Figure(
        "ONNX's own tests that the reference fails", found["fail"], "", 0, cpu=spent.cpu,
        detail=f"{found['tests']:,} tests: {words}",
    )  # fmt: skip
    tests = {test.name: test for test in operator_tests(pattern)}
    folder = scale.folder()
    with clock() as spent:
        fuzz("corpus", "onnx-tests", "--root", folder, "--filter", pattern)
        outcomes = fuzz("exec", "--root", folder, "--backend", "onnxruntime")["targets"]["onnxruntime"]
        verdicts = fuzz("diff", "--root", folder)
        passed, blamed = _passed(folder, tests)
    words = {word: n for word, n in verdicts["verdicts"]["onnxruntime"].items() if n}
    lost = len(tests) - sum(outcomes.values())
    detail = f"{len(tests):,} tests: " + ", ".join(f"{n:,} {name}" for name, n in outcomes.items() if n)
    yield Figure("operator tests that are lost on the way", lost, "", 0, cpu=spent.cpu, detail=detail)
    detail = f"{passed:,} passed; verdicts: " + ", ".join(f"{n:,} {word}" for word, n in words.items())
    yield Figure(
        "operator tests that ONNX Runtime passes and we call wrong", len(blamed), "", 0,
        detail="; ".join([detail, *blamed[:5]]),
    )  # fmt: skip


def _passed(root: Path, tests: dict[str, Any]) -> tuple[int, list[str]]:
    """How many tests the runtime passes by ONNX's own rule, and which of them have the verdict wrong."""
    from fuzz.case import find_cases, read_outputs

    wrong = []
    passed = 0
    with Store.open(root) as store:
        for case in find_cases(root):
            execution = store.executions(case.id)[0]
            if execution.outcome is not Outcome.OK:
                continue
            test = tests[case.id]
            expected = read_outputs(case, case.data_sets[0])
            if all(_close(a, b, test.rtol, test.atol) for a, b in zip(execution.outputs[0], expected, strict=True)):
                passed += 1
                wrong.extend(case.id for verdict in store.verdicts(case.id) if verdict.verdict == "wrong")
    return passed, wrong


def _close(actual: Any, expected: Any, rtol: float, atol: float) -> bool:
    """ONNX's own comparison (onnx.backend.test.runner): equal types and shapes, numbers within rtol and atol."""
    import numpy as np

    from backends.tensor import to_numpy

    if isinstance(expected, list) or isinstance(actual, list):
        same = isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected)
        return same and all(_close(a, e, rtol, atol) for a, e in zip(actual, expected, strict=True))
    if actual is None or expected is None:
        return actual is expected
    if actual.element_type != expected.element_type or tuple(actual.shape) != tuple(expected.shape):
        return False
    a, e = to_numpy(actual), to_numpy(expected)
    if a.dtype == object or a.dtype.kind in "iub":
        return bool(np.array_equal(a, e))
    if a.dtype.kind != "c":
        a, e = a.astype(np.float64), e.astype(np.float64)
    return bool(np.allclose(a, e, rtol=rtol, atol=atol, equal_nan=True))
