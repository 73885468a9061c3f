"""Seeds to cases: the same bytes from a seed, from its record, in any order, on any number of processes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from abstract.dtypes import dtype
from abstract.graph import Origin
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import interpret
from backends.tensor import to_numpy
from fuzz.case import find_cases, read_inputs, read_outputs, read_record
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.plan import menu
from fuzz.generate.run import case_id, generate_case, generate_cases, to_tensor
from fuzz.generate.settings import Settings
from fuzz.generate.single import pairs_of_types, primary_types, single_operator_cases

SEVERAL = ("float", "int32", "int16", "bool")
MIXED = Settings(nodes=(1, 15), dynamic=None)
SEEDS = range(25)


def bytes_of(case):
    """Everything that is written of a case."""
    values = [t for d in case.data_sets for t in (*d.inputs.values(), *d.outputs.values())]
    record = json.dumps(case.record, sort_keys=True).encode()
    parts = [case.model, *(t.data for value in values for t in tensors(value)), record]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def tensors(value):
    """Those in a value: itself, the parts of a sequence, or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def contents(content):
    """The arrays in a value of the reference."""
    return content if isinstance(content, list) else [] if content is None else [content]


def digests(seeds=SEEDS):
    return [bytes_of(generate_case(Seeded(seed), MIXED)) for seed in seeds]


def decided(seeds=range(60)):
    """Models and inputs alone: the last bits of outputs differ between processors."""
    result = []
    for seed in seeds:
        case = generate_case(Seeded(seed), MIXED)
        parts = [case.model, *(t.data for d in case.data_sets for t in d.inputs.values())]
        result.append(hashlib.sha256(b"\0".join(parts)).hexdigest())
    return result


def elsewhere(function, **environment):
    """What a function of this file gives in a process of its own."""
    script = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('made', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps(getattr(module, sys.argv[2])()))\n"
    )
    command = [sys.executable, "-c", script, __file__, function.__name__]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return json.loads(done.stdout)


class TestReproducibility:
    def test_a_seed_gives_the_same_bytes_whatever_was_made_before(self):
        forwards = digests()
        backwards = digests(reversed(SEEDS))
        assert forwards == backwards[::-1]
        assert len(set(forwards)) == len(forwards)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_record_gives_the_same_bytes(self, seed):
        case = generate_case(Seeded(seed), MIXED)
        record = json.loads(json.dumps(case.record))
        again = generate_case(Replayed(record["choices"]), Settings.from_json(record["settings"]))
        assert bytes_of(again) == bytes_of(case)

    def test_another_process_with_other_hashes_gives_the_same_bytes(self):
        assert elsewhere(digests, PYTHONHASHSEED="4711") == digests()

    def test_another_processor_gives_the_same_models_and_inputs(self):
        features = " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))
        assert elsewhere(decided, NPY_DISABLE_CPU_FEATURES=features, OPENBLAS_CORETYPE="Nehalem") == decided()

    def test_a_mutated_record_is_a_model_too(self):
        choices = generate_case(Seeded(3), MIXED).record["choices"]
        for position in range(0, len(choices), 7):
            mutated = [*choices[:position], choices[position] + 1, *choices[position + 1 :]]
            case = generate_case(Replayed(mutated), MIXED)
            onnx.checker.check_model(onnx.ModelProto.FromString(case.model), full_check=True)


class TestModels:
    @pytest.mark.parametrize("seed", range(40))
    def test_they_are_valid_and_their_outputs_are_the_references(self, seed):
        case = generate_case(Seeded(seed), MIXED)
        proto = onnx.ModelProto.FromString(case.model)
        onnx.checker.check_model(proto, full_check=True)
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
        program = parse(proto)
        assert all(
            step.row is not None or TABLE[step.node.op_type].opaque or None in step.input_dtypes
            for step in program.steps
        )
        for data_set in case.data_sets:
            feeds = {n: to_numpy(t).astype(program.dtypes[n].carrier) for n, t in data_set.inputs.items()}
            values = interpret(program, feeds, strict=True)
            for name, value in data_set.outputs.items():
                kind, reference = values[name].dtype, contents(values[name].value)
                assert isinstance(value, list) == isinstance(values[name].value, list)
                for tensor, array in zip(tensors(value), reference, strict=True):
                    assert tensor.element_type == kind.name
                    assert np.array_equal(to_numpy(tensor), np.asarray(array).astype(kind.numpy))
            for value in values.values():
                for array in contents(value.value):
                    assert array.dtype.kind != "f" or np.isfinite(array).all()

    def test_every_value_is_read_or_an_output(self):
        for seed in SEEDS:
            graph, _ = generate_graph(Seeded(seed), MIXED)
            read = {v.name for n in graph.nodes for v in n.reads} | {v.name for v in graph.outputs}
            assert all(v.name in read or v in graph.omitted for n in graph.nodes for v in n.outputs)
            assert not any(v.name in read for v in graph.omitted)
            assert all(v.name in read for v in (*graph.inputs, *graph.initializers))

    def test_optional_outputs_that_nothing_reads_are_left_out_now_and_then(self):
        settings = Settings(nodes=(3, 6), operators=("MaxPool", "Dropout", "LayerNormalization", "Relu"))
        found = 0
        for seed in range(60):
            graph, plan = generate_graph(Seeded(seed), settings)
            model = onnx.ModelProto.FromString(emit(graph, dynamic=plan.dynamic).model)
            onnx.checker.check_model(model, full_check=True)
            names = {name for node in model.graph.node for name in node.output}
            assert not any(v.name in names for v in graph.omitted)
            found += len(graph.omitted)
        assert found > 10

    def test_names_are_unique_and_nodes_in_order(self):
        for seed in SEEDS:
            graph, _ = generate_graph(Seeded(seed), MIXED)
            known = [v.name for v in (*graph.inputs, *graph.initializers)]
            for node in graph.nodes:
                assert all(v is None or v.name in known for v in node.inputs)
                known.extend(v.name for v in node.outputs)
            assert len(set(known)) == len(known)

    def test_sizes_are_as_asked(self):
        for seed in SEEDS:
            graph, plan = generate_graph(Seeded(seed), Settings(nodes=(6, 9)))
            # Adapters come on top, and a model that runs out of luck stays smaller.
            assert 6 <= plan.nodes <= 9
            assert len(graph.nodes) <= plan.nodes + 8

    def test_types_operators_and_ranks_are_as_asked(self):
        names = ("Relu", "Add", "Concat", "Transpose", "Cast", "ReduceSum")
        settings = Settings(nodes=(8, 8), operators=names, dtypes=("float16", "int32"), rank=(1, 2))
        for seed in SEEDS:
            graph, _ = generate_graph(Seeded(seed), settings)
            assert {n.operator for n in graph.nodes} <= set(names)
            values = [*graph.inputs, *graph.initializers, *(v for n in graph.nodes for v in n.outputs)]
            assert {v.type.dtype.name for v in values} <= {"float16", "int32"}
            # What broadcasts may have fewer axes.
            assert max(v.type.rank for v in (*graph.inputs, *graph.initializers)) <= 2

    def test_models_are_knit(self):
        """Nodes read one another's outputs: a bag of single nodes would find nothing that fuses."""
        knit = 0
        for seed in SEEDS:
            graph, _ = generate_graph(Seeded(seed), Settings(nodes=(10, 10)))
            operands = [v for n in graph.nodes for v in n.inputs if v is not None]
            knit += sum(v.origin is Origin.NODE for v in operands) / len(operands)
        assert knit / len(SEEDS) > 0.3

    def test_every_operator_of_the_menu_can_be_called(self):
        """Over many seeds; one that never is would be dead weight in the table."""
        settings = Settings(nodes=(30, 30), opset=21)
        seen: set[str] = set()
        for seed in range(150):
            seen.update(n.operator for n in generate_graph(Seeded(seed), settings)[0].nodes)
        assert set(menu(settings)) - seen == set()

    def test_supports_keep_operators_from_types(self):
        def supports(operator, kind, _second=""):
            return operator in {"Relu", "Add", "Mul"} and kind == "float"

        for seed in range(10):
            graph, _ = generate_graph(Seeded(seed), Settings(nodes=(5, 5)), supports)
            assert {n.operator for n in graph.nodes} <= {"Relu", "Add", "Mul"}
            assert {n.inputs[0].type.dtype.name for n in graph.nodes} == {"float"}

    def test_supports_keep_operators_from_pairs_of_types(self):
        """Cast as an operator that is drawn, and as what brings a value to another type."""

        def supports(operator, first, second=""):
            return operator != "Cast" or (first, second) in {("float", ""), ("float", "int32")}

        casts = []
        for seed in range(30):
            settings = Settings(nodes=(9, 9), operators=("Cast", "Not", "Add", "Where"), dtypes=SEVERAL)
            graph, _ = generate_graph(Seeded(seed), settings, supports)
            casts += [n for n in graph.nodes if n.operator == "Cast"]
        assert {(n.inputs[0].type.dtype.name, n.outputs[0].type.dtype.name) for n in casts} == {("float", "int32")}

    @pytest.mark.parametrize("operators", [(), ("ConstantOfShape", "Relu"), ("Range", "Gather", "Conv")])
    def test_models_have_inputs_where_they_must(self, operators):
        settings = Settings(nodes=(1, 4), operators=operators, needs_input=True)
        graphs = [generate_graph(Seeded(seed), settings)[0] for seed in range(60)]
        assert all(graph.inputs for graph in graphs)

    @pytest.mark.parametrize("operators", [(), ("Conv", "Relu", "Add", "Gemm", "BatchNormalization")])
    def test_constants_are_weights_alone_where_they_must(self, operators):
        settings = Settings(nodes=(9, 9), operators=operators, constant_data=False, computed_weights=False)
        weights = data = 0
        for seed in range(80):
            for node in generate_graph(Seeded(seed), settings)[0].nodes:
                drawn = [v for v in node.inputs if v is not None and v.recipe is not None]
                data += any(v.origin is Origin.INITIALIZER for v in drawn if v is node.inputs[0])
                if node.operator in {"Conv", "BatchNormalization"}:
                    weights += 1
                    assert all(v is None or v.origin is Origin.INITIALIZER for v in node.inputs[1:])
        assert weights >= 5
        assert data == 0

    def test_without_the_need_some_have_none(self):
        graphs = [generate_graph(Seeded(seed), Settings(nodes=(1, 4)))[0] for seed in range(60)]
        assert not all(graph.inputs for graph in graphs)

    def test_operators_that_take_no_input_make_no_model_with_one(self):
        settings = Settings(operators=("ConstantOfShape",), needs_input=True)
        with pytest.raises(NothingFits, match="allow more operators"):
            generate_graph(Seeded(0), settings)
        assert single_operator_cases("ConstantOfShape", "int64", 21, 1, settings=settings) == []


class TestGenerateCases:
    def test_cases_lie_in_the_root_as_they_were_made(self, tmp_path):
        told = []
        summary = generate_cases(tmp_path / "root", MIXED, range(3, 6), progress=told.append)
        cases = find_cases(tmp_path / "root")
        assert [c.id for c in cases] == [case_id(s) for s in (3, 4, 5)]
        assert summary.cases == sum(told) == 3
        assert summary.nodes == sum(generate_case(Seeded(s), MIXED).nodes for s in (3, 4, 5))
        for case, seed in zip(cases, (3, 4, 5), strict=True):
            made = generate_case(Seeded(seed), MIXED)
            assert case.model_path.read_bytes() == made.model
            assert read_record(case) == {"seed": seed, **json.loads(json.dumps(made.record))}
            for place, data_set in zip(case.data_sets, made.data_sets, strict=True):
                assert list(read_inputs(case, place)) == list(data_set.inputs.values())
                assert list(read_outputs(case, place)) == list(data_set.outputs.values())

    def test_several_processes_write_the_same(self, tmp_path):
        small = Settings(nodes=(1, 3))
        for jobs in (1, 2):
            generate_cases(tmp_path / str(jobs), small, range(40), jobs=jobs)
        one, two = ({c.id: c.model_path.read_bytes() for c in find_cases(tmp_path / j)} for j in ("1", "2"))
        assert one == two
        assert len(one) == 40

    def test_settings_that_make_no_sense_write_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="unknown operator"):
            generate_cases(tmp_path / "root", Settings(operators=("Nope",)), range(3))
        assert not (tmp_path / "root").exists()

    def test_an_unknown_target_is_named(self, tmp_path):
        with pytest.raises(ValueError, match="unknown backend"):
            generate_cases(tmp_path / "root", Settings(targets=("abacus",)), range(3))
        assert not (tmp_path / "root").exists()


class TestTensors:
    @pytest.mark.parametrize(
        ("kind", "numbers"),
        [
            ("float", [1.5, -0.0]),
            ("bfloat16", [1.5, 3.0]),
            ("int4", [-8, 7, 1]),
            ("uint64", [2**64 - 1]),
            ("bool", [True, False]),
        ],
    )
    def test_carriers_become_declared_types(self, kind, numbers):
        tensor = to_tensor(np.array(numbers, dtype(kind).carrier), dtype(kind))
        assert (tensor.element_type, tensor.shape) == (kind, (len(numbers),))
        assert to_numpy(tensor).astype(dtype(kind).carrier).tolist() == numbers

    def test_scalars_keep_their_rank(self):
        assert to_tensor(np.array(2.5), dtype("float")).shape == ()


class TestSingleOperators:
    @pytest.mark.parametrize(
        ("operator", "first", "second"),
        [
            ("Cast", "float", "int16"),
            ("Where", "bool", "double"),
            ("Gather", "uint8", "int32"),
            ("ConstantOfShape", "int64", "float16"),
            ("EyeLike", "float", "int8"),
        ],
    )
    def test_one_node_on_a_pair_of_types(self, operator, first, second):
        assert (first, second) in pairs_of_types(operator, 21)
        found = single_operator_cases(operator, first, 21, 2, second=second)
        assert len(found) == 2
        for case in found:
            graph = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(case.model)).graph
            kinds = {port.type.tensor_type.elem_type for port in (*graph.input, *graph.output)}
            kinds |= {each.data_type for each in graph.initializer}
            assert {dtype(first).code, dtype(second).code} <= kinds

    def test_operators_of_one_type_have_no_pairs(self):
        assert pairs_of_types("Relu", 21) == ()
        assert pairs_of_types("Slice", 21) == ()

    @pytest.mark.parametrize(
        ("operator", "kind"), [("Relu", "float16"), ("Conv", "float"), ("TopK", "int64"), ("Cast", "bool")]
    )
    def test_one_node_on_one_type(self, operator, kind):
        found = single_operator_cases(operator, kind, 21, 3)
        assert len(found) == 3
        for case in found:
            (node,) = onnx.ModelProto.FromString(case.model).graph.node
            assert node.op_type == operator
            (step,) = parse(onnx.ModelProto.FromString(case.model)).steps
            assert step.input_dtypes[0] is dtype(kind)

    @pytest.mark.parametrize(("operator", "kind"), [("Range", "int64"), ("ConstantOfShape", "int64")])
    def test_operators_whose_first_input_is_a_parameter(self, operator, kind):
        assert len(single_operator_cases(operator, kind, 21, 2)) == 2

    def test_types_of_the_first_input(self):
        assert "int32" in primary_types("Relu", 14)
        assert "int32" not in primary_types("Relu", 13)
        assert primary_types("Not", 21) == ("bool",)

    def test_each_operator_of_the_menu_can_be_probed(self):
        """What never is would be missing from every support table."""
        common = ("float", "bool", "int64", "uint8", "string")
        for operator in menu(Settings()):
            kinds = [k for k in primary_types(operator, 21) if k in common]
            assert any(single_operator_cases(operator, kind, 21, 1) for kind in kinds), operator
