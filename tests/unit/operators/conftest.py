"""A laboratory for operator rows: calls drawn by the generator or written by hand, held against ONNX and a runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from abstract.contributed import unqualified
from abstract.dims import evaluate
from abstract.dtypes import dtype
from abstract.hazards.detection import Hazardous
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.program import parse, to_carrier
from abstract.reference import Float64, interpret
from abstract.schema import newest_opset, signature
from fuzz.generate.application import concrete
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.settings import DEFAULT_DTYPES, Settings
from fuzz.generate.tensors import fill
from fuzz.selftest.null import METHODS, recompute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abstract.graph import Graph


_STATE = onnxruntime.capi.onnxruntime_pybind11_state
# What ONNX Runtime says where it refuses a valid model: docs/disputes.md.
_FAULTS = ("The only subscript labels allowed are lower-cased letters",)

_SIZES = (1, 2, 3, 4, 5, 6, 8, 9, 12)
_NATIVE = tuple(name for name in DEFAULT_DTYPES if not dtype(name).extension)  # what ONNX Runtime takes from numpy


@dataclass(frozen=True, slots=True)
class Trial:
    """A generated model with one node of interest (adapters may stand before it)."""

    seed: int
    graph: Graph
    model: onnx.ModelProto

    @property
    def inputs(self) -> dict[str, Any]:
        """What the model is fed, in carrier types."""
        return {v.name: v.array for v in self.graph.inputs}

    @property
    def feeds(self) -> dict[str, Any]:
        """The same in the declared types."""
        return {v.name: v.array.astype(v.type.dtype.numpy) for v in self.graph.inputs}


@cache
def opsets_of(name: str) -> tuple[int, ...]:
    """One opset for each version of an operator that the rows serve, those a runtime knows."""
    found: dict[int, int] = {}
    for opset in range(13, min(newest_opset(), 26) + 1):
        try:
            since = signature(name, opset).since
        except onnx.defs.SchemaError:
            continue
        if opset >= TABLE[name].since:
            found[since] = opset
    return tuple(found.values())


def _size(array: Any) -> float:
    """The largest magnitude among numbers; 0 where there are none."""
    if array is None or np.asarray(array).dtype.kind not in "iuf" or not np.size(array):
        return 0.0
    return float(np.max(np.abs(np.asarray(array, np.float64))))


class Laboratory:
    """Checks that hold for every operator row."""

    def trials(self, name: str, opset: int, count: int, *, dynamic: bool = False, dtypes: Any = ()) -> Iterator[Trial]:
        """Generated calls of one operator."""
        settings = Settings(
            nodes=(1, 1), opset=opset, operators=(name,), dynamic=dynamic, dtypes=tuple(dtypes) or _NATIVE
        )
        for seed in range(count):
            try:
                graph, _ = generate_graph(Seeded(seed), settings)
            except NothingFits:
                continue
            model = onnx.ModelProto.FromString(emit(graph, dynamic=dynamic).model)
            yield Trial(seed, graph, model)

    def check_valid(self, trial: Trial) -> None:
        """ONNX finds the model valid, and infers the very shapes and types that the rules gave."""
        onnx.checker.check_model(trial.model, full_check=True)
        bare = onnx.ModelProto()
        bare.CopyFrom(trial.model)
        for output in bare.graph.output:
            output.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
        for value, info in zip(trial.graph.outputs, inferred.graph.output, strict=True):
            assert info.type.tensor_type.elem_type == value.type.dtype.code, trial.seed
            if info.type.tensor_type.HasField("shape"):
                have = [d.dim_value if d.HasField("dim_value") else None for d in info.type.tensor_type.shape.dim]
                assert len(have) == value.array.ndim, trial.seed
                assert all(h in (None, n) for h, n in zip(have, value.array.shape, strict=True)), trial.seed

    def check_values(self, trial: Trial, outputs: dict[str, Any]) -> int:
        """What a backend computed lies within the bound; returns how many elements the bound decides."""
        reference = interpret(parse(trial.model), trial.inputs)
        decided = 0
        for name, value in outputs.items():
            expected = reference[name]
            assert isinstance(expected.value, np.ndarray)
            assert value.shape == expected.value.shape, trial.seed
            bound = np.broadcast_to(expected.bound, value.shape)
            assert not np.isnan(bound).any(), trial.seed
            apart = _apart(value, expected.value)
            assert np.all(apart <= bound), (trial.seed, float(np.max(apart)), float(np.max(bound)))
            decided += int(np.isfinite(bound).sum())
        return decided

    def run(self, trial: Trial, *, onnx_too: bool = True) -> dict[str, Any]:
        """ONNX Runtime's outputs, or those of ONNX's reference where that lacks the operator or type."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        names = [o.name for o in trial.model.graph.output]
        try:
            session = onnxruntime.InferenceSession(
                trial.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except (_STATE.NotImplemented, _STATE.Fail) as lack:
            if isinstance(lack, _STATE.Fail) and "not currently registered or supported" not in str(lack):
                raise  # what it says of complex numbers
            if not onnx_too:
                return {}
            try:
                return dict(zip(names, ReferenceEvaluator(trial.model).run(None, trial.feeds), strict=True))
            except (TypeError, ValueError, np.exceptions.ComplexWarning):
                return {}  # what ONNX's reference cannot do: docs/disputes.md
        try:
            return dict(zip(names, session.run(None, trial.feeds), strict=True))
        except _STATE.InvalidArgument as refusal:
            if any(fault in str(refusal) for fault in _FAULTS):
                return {}
            raise

    def generated(
        self, name: str, opset: int, count: int = 12, dtypes: Any = (), *, onnx_too: bool = True
    ) -> None:
        """Generated calls are valid, have the shapes that ONNX infers and the values that a runtime computes.

        ``onnx_too``: what ONNX Runtime lacks is computed by ONNX's reference.
        """
        decided = 0
        with np.errstate(all="ignore"):
            for trial in self.trials(name, opset, count, dtypes=dtypes):
                self.check_valid(trial)
                decided += self.check_values(trial, self.run(trial, onnx_too=onnx_too))
        assert decided, "no call could be drawn"

    def at_other_sizes(self, name: str, opset: int, count: int = 30) -> int:
        """The symbolic output shape, worked out for other sizes, is the shape that comes out there."""
        checked = 0
        with np.errstate(all="ignore"):
            for trial in self.trials(name, opset, count, dynamic=True):
                checked += self._other_sizes(trial)
        return checked

    def _other_sizes(self, trial: Trial) -> int:
        graph, store = trial.graph, trial.graph.store
        opened = emit(graph, dynamic=True).open
        program = parse(trial.model)
        checked = 0
        for turn in range(4 if opened else 0):
            sizes = {s: _SIZES[(7 * turn + 3 * i + trial.seed) % len(_SIZES)] for i, s in enumerate(opened)}

            def value(symbol: Any, sizes: Any = sizes) -> int:
                return sizes[symbol] if symbol in sizes else store.witness(symbol)

            if not store.satisfied(value):
                continue
            shapes = {
                v.name: tuple(evaluate(store.resolve(d), value) for d in v.type.shape)
                for v in (*graph.inputs, *graph.outputs)
            }
            inputs = {v.name: fill(v.recipe, shapes[v.name], v.type.dtype) for v in graph.inputs}
            try:
                reference = interpret(program, inputs)
            except Hazardous:
                continue  # an index that no longer fits, say: the generator drops such sizes
            for output in graph.outputs:
                assert reference[output.name].value.shape == shapes[output.name], (trial.seed, sizes)
            checked += 1
        return checked

    def recomputed(self, name: str, opset: int, dtypes: tuple[str, ...], count: int = 8) -> None:
        """Legal recomputations (other orders, other accumulators, other roundings) stay within the bound."""
        with np.errstate(all="ignore"):
            for trial in self.trials(name, opset, count, dtypes=dtypes):
                program = parse(trial.model)
                for method in METHODS:
                    outputs = {n: v for _, n, _, v in recompute(program, trial.inputs, method, trial.seed)}
                    self.check_values(trial, outputs)

    def perturbed(self, name: str, opset: int, count: int = 25, dtypes: Any = ("double", "int64")) -> int:
        """Inputs moved within their errors move outputs no further than the error rule says. Returns the moves made."""
        with np.errstate(all="ignore"):
            return sum(
                self._perturbed(trial, name, opset)
                for trial in self.trials(name, opset, count, dtypes=dtypes)
            )

    def _perturbed(self, trial: Trial, name: str, opset: int) -> int:
        row, node, random = TABLE[name], trial.graph.nodes[-1], np.random.default_rng(trial.seed)
        params = {**signature(name, opset).defaults, **concrete(node.params, trial.graph.store.value)}
        arrays = tuple(None if v is None else v.array for v in node.inputs)
        dtypes = tuple(None if v is None else v.type.dtype for v in node.inputs)
        run = Run(params, arrays, dtypes, tuple(v.type.dtype for v in node.outputs), Float64())
        moves = 0
        for scale in (1e-7, 1e-3, 0.5):
            errors = tuple(_errors(a, scale, random) for a in arrays)
            if all(isinstance(e, float) for e in errors):
                return 0
            y = tuple(np.asarray(a) for a in row.evaluate(run))
            bounds = row.error(run, y, errors)
            for _ in range(3):
                moved = tuple(
                    a if isinstance(e, float) else a + e * random.choice((-1.0, 1.0, 0.3), a.shape)
                    for a, e in zip(arrays, errors, strict=True)
                )
                for before, after, bound in zip(y, row.evaluate(replace(run, inputs=moved)), bounds, strict=True):
                    apart = np.abs(np.asarray(after, np.float64) - before.astype(np.float64))
                    assert np.shape(bound) in ((), before.shape), (trial.seed, params)
                    slack = 1e-13 * max(1.0, *map(_size, (before, *arrays)))  # what the trial itself rounds
                    assert np.all(~(apart > np.asarray(bound) * (1 + 1e-12) + slack)), (trial.seed, params, scale)
                moves += 1
        return moves

    def by_hand(self, name: str, inputs: tuple[Any, ...], opset: int = 21, outputs: int = 1, **attributes: Any) -> Any:
        """The reference's results for one node with these inputs (None where absent) and attributes: value, bound."""
        given = [f"x{i}" if a is not None else "" for i, a in enumerate(inputs)]
        names = [f"y{i}" for i in range(outputs)]
        domain, operator = unqualified(name)
        node = helper.make_node(operator, given, names, domain=domain, **attributes)
        infos = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in zip(given, inputs, strict=True)
            if a is not None
        ]
        graph = helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name=n) for n in names])
        opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
        model = helper.make_model(graph, opset_imports=opsets)
        feeds = {n: a for n, a in zip(given, inputs, strict=True) if a is not None}
        with np.errstate(all="ignore"):
            held = {n: to_carrier(a, _dtype_of(a)) for n, a in feeds.items()}
            reference = interpret(parse(model), held)
        found = tuple((reference[n].value, reference[n].bound) for n in names)
        return model, feeds, (found if outputs > 1 else found[0])


def _apart(value: Any, due: Any) -> Any:
    """How far two arrays are apart; strings 0 or 1."""
    if due.dtype == object:
        return (value != due).astype(np.float64)
    wide = np.complex128 if due.dtype.kind == "c" else np.float64
    return np.abs(value.astype(wide) - due.astype(wide))


def _dtype_of(array: Any) -> Any:
    name = {"float32": "float", "float64": "double", "object": "string"}.get(array.dtype.name, array.dtype.name)
    return dtype(name)


def _errors(array: Any, scale: float, random: np.random.Generator) -> Any:
    """Errors for a tensor of floats, none for some of its elements; 0.0 for what has to be exact."""
    if array is None or array.dtype.kind != "f":
        return 0.0
    return np.where(random.random(array.shape) < 0.3, 0.0, random.random(array.shape) * scale)


@pytest.fixture(scope="session")
def laboratory() -> Laboratory:
    return Laboratory()



@pytest.fixture
def run_of() -> Any:
    """Makes the ``Run`` of an operator on arrays of float32, int64 and bool."""

    def make(name: str, *arrays: Any, **params: Any) -> Run:
        dtypes = tuple(None if a is None else _dtype_of(a) for a in arrays)
        held = tuple(None if a is None else to_carrier(a, d) for a, d in zip(arrays, dtypes, strict=True))
        defaults = signature(name, newest_opset()).defaults
        return Run({**defaults, **params}, held, dtypes, dtypes[:1], Float64())

    return make
