"""The tests of the doctor, as cases of a root: ONNX's own, and a few small graphs of our generator.

root/doctor.json     what the suite was made of, and which tests are the quick ones; written last
root/cases/<test>/   each test as a standard ONNX test case
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from fuzz.case import DataSet, find_cases, open_root, write_case
from fuzz.errors import StorageError, UsageError
from fuzz.file import write_json
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.signature import signature
from fuzz.values import decode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from backends.tensor import Value
    from corpus.onnx_tests import OperatorTest
    from fuzz.case import Case
    from fuzz.signature import Port

__all__ = ["SMOKE", "Suite", "open_suite", "write_test"]

_MANIFEST = "doctor.json"
# What every compiler has, in float, so that a graph that does not pass says something about the harness as well.
_PLAIN = (
    "Add", "Sub", "Mul", "Relu", "Sigmoid", "Tanh", "Exp", "Neg", "MatMul", "Gemm", "Conv", "MaxPool", "AveragePool",
    "Concat", "Transpose", "Reshape", "Softmax", "ReduceMean",
)  # fmt: skip
_SMOKE_SETTINGS = Settings(nodes=(4, 8), opset=17, operators=_PLAIN, dtypes=("float",), rank=(1, 4))
SMOKE = tuple(f"smoke_{seed}" for seed in range(6))
"""The generated graphs, named after their seeds."""


@dataclass(frozen=True, slots=True)
class Suite:
    """All tests of a root, by name. ``quick``: about one an operator, and the generated graphs; ``onnx``: whose."""

    cases: Mapping[str, Case]
    quick: tuple[str, ...]
    onnx: str

    def chosen(self, *, every: bool, pattern: str = "*") -> list[Case]:
        """The quick tests, or all, whose names match a glob. Raises `UsageError` where none does."""
        from fnmatch import fnmatchcase

        names = sorted(self.cases) if every else self.quick
        found = [self.cases[name] for name in names if fnmatchcase(name, pattern)]
        if not found:
            which = "test" if every else "quick test (there are more with --all)"
            raise UsageError(f"no {which} is named like {pattern!r}; names begin with test_, so write 'test_conv*'")
        return found


def open_suite(root: Path, *, progress: Callable[[int], None] = lambda _: None) -> Suite:
    """The suite of a root; where there is none yet all tests are written, and ``progress`` is told how many.

    Raises:
        UsageError: the root's suite is of another release of onnx.
        StorageError: the root cannot be written.
    """
    from importlib.metadata import version

    manifest, own = root / _MANIFEST, version("onnx")
    known = _read(manifest)
    if known is None:
        _write_suite(root, manifest, own, progress)
        known = _read(manifest) or {}
    if known["onnx"] != own:
        raise UsageError(f"{root} has the tests of onnx {known['onnx']}, and {own} is installed: give another --root")
    return Suite({case.id: case for case in find_cases(root)}, tuple(known["quick"]), own)


def _read(manifest: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        return {"onnx": known["onnx"], "quick": known["quick"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise StorageError(f"cannot read {manifest}: {problem}; remove it, and it is made again") from None


def _write_suite(root: Path, manifest: Path, onnx: str, progress: Callable[[int], None]) -> None:
    from corpus.onnx_tests import model_tests, operator_tests

    open_root(root)
    operators: dict[str, tuple[str, ...]] = {}
    for test in chain(operator_tests(), model_tests()):
        write_test(root, test)
        operators[test.name] = _operators(test.model)
        progress(1)
    for seed, name in enumerate(SMOKE):
        made = generate_case(Seeded(seed), _SMOKE_SETTINGS)
        write_case(root, name, made.model, made.data_sets, {"seed": seed, **made.record})
        progress(1)
    write_json(manifest, {"onnx": onnx, "quick": sorted((*_quick(operators), *SMOKE))})


def _operators(model: bytes) -> tuple[str, ...]:
    """The operators of a model's graph, sorted, each with its domain."""
    import onnx

    graph = onnx.ModelProto.FromString(model).graph
    return tuple(sorted({f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in graph.node}))


def _quick(operators: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """For each operator the test with the fewest others beside it; of those the one with the shortest name."""
    every = sorted({operator for kinds in operators.values() for operator in kinds})
    holding = ([name for name, kinds in operators.items() if operator in kinds] for operator in every)
    yield from dict.fromkeys(min(names, key=lambda name: (len(operators[name]), len(name), name)) for names in holding)


def write_test(root: Path, test: OperatorTest) -> Case:
    """One of ONNX's tests as a case, with the outputs that it expects. Raises as `write_case`."""
    from importlib.metadata import version

    ports = signature(test.model)
    data_set = DataSet(
        _values((*ports.inputs, *ports.defaults), test.inputs),
        _values(ports.outputs, test.outputs),
    )
    source = {"test": test.name, "rtol": test.rtol, "atol": test.atol, "onnx": version("onnx")}
    return write_case(root, test.name, test.model, [data_set], {"source": source})


def _values(ports: Iterable[Port], files: Sequence[bytes]) -> dict[str, Value]:
    """Values by port; a model's initializers, which come last, need not be given."""
    return {port.name: decode_value(data, port.type) for port, data in zip(ports, files, strict=False)}
