"""Features of what compilers show: fixtures are cut from real artefacts of the backends that are named."""

from __future__ import annotations

import json

import onnx.parser
import pytest

from fuzz.novelty.features import features_of
from fuzz.novelty.network import Node, features

HLO = """HloModule jit_call, is_scheduled=true, entry_computation_layout={(f64[2,3]{1,0})->f64[2]{0}}

%fused_computation (param_0.3: f64[2,3]) -> f64[2,3] {
  %param_0.3 = f64[2,3]{1,0} parameter(0)
  %log.2 = f64[2,3]{1,0} log(%param_0.3)
  ROOT %multiply.1 = f64[2,3]{1,0} multiply(%log.2, %log.2)
}

ENTRY %main.9 (inputs__x1__.1: f64[2,3]) -> (f64[2,3], pred[2,3]) {
  %inputs__x1__.1 = f64[2,3]{1,0} parameter(0)
  %log_multiply_fusion = f64[2,3]{1,0} fusion(%inputs__x1__.1), kind=kLoop, calls=%fused_computation, metadata={op="a"}
  %sort.1 = f64[2,3]{1,0} custom-call(%log_multiply_fusion), custom_call_target="TopK"
  %ne.3 = pred[2,3]{1,0} compare(%sort.1, %sort.1), direction=NE
  ROOT %tuple.5 = (f64[2,3]{1,0}, /*index=5*/pred[2,3]{1,0}) tuple(%sort.1, %ne.3)
}
"""
BYTECODE = """@main:
  call  vm.builtin.alloc_tensor in: %6, i0, c[10], c[0] dst: %7
  call  fused_add1_relu2 in: %0, %7       dst: %void
  call  vm.builtin.alloc_tensor in: %6, i0, c[10], c[0] dst: %9
  call  conv2d3          in: %7, %1, %9   dst: %void
  call  vm.builtin.reshape in: %9, %14    dst: %15
  ret   %15
"""
RUNTIME = """Input unknown_f32 f32 abcd x6
Subgraph jit_avx512_f32 f32 abcd Abs_1,Power_2,v7
MatMul brgemm_avx2_f32 f32 abc n2
"""
DISPATCH = """hal.executable public @main$async_dispatch_0 {
    builtin.module {
      func.func @main$async_dispatch_0_matmul_like_7x7x6xD_f16xf16xf32() {
        %c0 = arith.constant 0 : index
        %4 = iree_tensor_ext.dispatch.tensor.load %1 : tensor<7xf16>
        %5 = linalg.generic {} ins(%4 : tensor<7xf16>) {
          %6 = arith.extf %in : f16 to f32
          linalg.yield %6 : f32
"""
FX = """graph():
    %arg0_1 : [num_users=1] = placeholder[target=arg0_1]
    %log : [num_users=3] = call_function[target=torch.ops.aten.log.default](args = (%arg0_1,), kwargs = {})
    %mul : [num_users=1] = call_function[target=torch.ops.aten.mul.Tensor](args = (%log, 1.0), kwargs = {})
    return (mul,)
"""
WRAPPER = """
cpp_fused_add_relu_0 = async_compile.cpp_pybinding(['float*'], r'''
        extern_kernels.addmm(arg0_1, buf1, out=buf2)
        cpp_fused_add_relu_0(buf7, arg0_1)
"""
KERNEL = """E
0 CONST dtypes.int [] 1
1 PARAM dtypes.float [0] ParamArg(1, dtypes.float, device='PYTHON')
2 LOAD dtypes.float [1] None
"""
NCNN = """7767517
3 3
Input            in0      0 1 in0
BinaryOp         add_0    1 1 in0 1 0=0 1=1 2=1.0
ReLU             relu_1   1 1 1 out0
"""
MNN = json.dumps({"oplists": [
    {"type": "Input", "main": {"dims": [2], "dtype": "DT_FLOAT"}, "outputIndexes": [0], "name": "x1"},
    {"type": "BinaryOp", "main": {"opType": "MUL", "T": "DT_FLOAT"}, "inputIndexes": [0, 0], "outputIndexes": [1]},
]})  # fmt: skip
ENGINE = json.dumps({"Layers": [{"Name": "v1", "LayerType": "Convolution", "TacticName": "sm80"}, "n1 + n2"]})
ASSEMBLY = "\t.text\nmodel:\n\tvmulss\t%xmm0, %xmm1\n\tret\n"

SHOWN = [
    ("passes.txt", "sequential\n  FuseOps\n", {"pass sequential", "pass FuseOps"}),
    ("optimized.hlo.txt", HLO, {
        "op log f64", "op multiply f64", "edge parameter > log", "edge log > multiply", "op parameter f64",
        "fused kind=kLoop: log multiply", "op fusion f64 kind=kLoop", "edge parameter > fusion",
        'op custom-call f64 custom_call_target="TopK"', "edge fusion > custom-call", "op compare pred direction=NE",
        "edge custom-call > compare", "op tuple", "edge custom-call > tuple", "edge compare > tuple",
    }),
    ("bytecode.txt", BYTECODE, {
        "op vm.builtin.alloc_tensor", "op fused_add_relu", "op conv2d", "op vm.builtin.reshape",
        "edge fused_add_relu > conv2d", "edge conv2d > vm.builtin.reshape",
    }),
    ("runtime.txt", RUNTIME, {
        "layer Input unknown_f32", "layer Input f32 abcd", "layer Subgraph jit_avx512_f32", "layer Subgraph f32 abcd",
        "fused Subgraph of 3", "fused Subgraph: Abs Power", "layer MatMul brgemm_avx2_f32", "layer MatMul f32 abc",
    }),
    ("module_main-async_dispatch_0.mlir", DISPATCH, {
        "dispatch matmul_like_f16xf16xf32", "fused matmul_like_f16xf16xf32: arith.extf linalg.generic",
        "op arith.constant", "op arith.extf", "op linalg.generic",
    }),
    ("optimized-0.txt", FX, {
        "op torch.ops.aten.log.default", "op torch.ops.aten.mul.Tensor",
        "edge torch.ops.aten.log.default > torch.ops.aten.mul.Tensor",
    }),
    ("code-0.py", WRAPPER, {"kernel cpp_fused_add_relu", "extern extern_kernels.addmm"}),
    ("kernel-0.txt", KERNEL, {
        "op CONST dtypes.int", "op PARAM dtypes.float", "op LOAD dtypes.float", "edge CONST > PARAM",
        "edge PARAM > LOAD",
    }),
    ("model.ncnn.param", NCNN, {
        "op Input", "op BinaryOp", "op ReLU", "edge Input > BinaryOp", "edge BinaryOp > ReLU",
    }),
    ("model.json", MNN, {"op Input DT_FLOAT", "op BinaryOp MUL DT_FLOAT", "edge Input > BinaryOp"}),
    ("operations.txt", "ADD\nADD\nRELU\n", {"op ADD", "op RELU"}),
    ("engine.json", ENGINE, {"layer Convolution sm80"}),
    ("model.s", ASSEMBLY, {"instruction vmulss", "instruction ret"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "due"), SHOWN, ids=[name for name, _, _ in SHOWN])
def test_an_artefact_shows_what_the_compiler_did(name, text, due):
    assert features_of({name: text.encode()}) == due


MODEL = """
    <ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (float[2,3] NAMEx, float[3,3] NAMEw, bool NAMEc) => (float[2,3] NAMEy, float[2,3] NAMEz) {
        NAMEa, NAMEb = Split <axis = 0> (NAMEx)
        NAMEd = Concat <axis = 0> (NAMEb, NAMEa)
        NAMEy = com.microsoft.FusedGemm <activation = "Relu"> (NAMEd, NAMEw)
        NAMEz = If (NAMEc) <
            then_branch = then () => (float[2,3] NAMEt) { NAMEt = Abs (NAMEd) },
            else_branch = else () => (float[2,3] NAMEe) { NAMEe = Neg (NAMEx) }
        >
    }
"""
OPERATORS = {
    "op Split (float)->(float)", "op Concat (float)->(float)",
    "op com.microsoft.FusedGemm (float)->(float) Relu", "op If (bool)->(float)",
    "op If.Abs (float)->(float)", "op If.Neg (float)->(float)",
}  # fmt: skip


def model(name):
    return onnx.parser.parse_model(MODEL.replace("NAME", name)).SerializeToString()


def test_of_an_onnx_model_operators_count_with_domains_and_types_and_what_feeds_what():
    found = features_of({"optimised.onnx": model("v")})
    assert {each for each in found if each.startswith("op ")} == OPERATORS
    assert {each for each in found if each.startswith("edge ")} == {
        "edge Split > Concat", "edge Concat > com.microsoft.FusedGemm", "edge Concat > If.Abs",
    }  # fmt: skip


def test_types_follow_from_what_is_declared():
    text = """
        <ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1, "strange" : 1]>
        g (float[2] x) => (y) {
            c = Cast <to = 7> (x)
            s = Shape (x)
            one = Constant <value = double {1.0}> ()
            g = com.microsoft.Gelu (x)
            u = strange.Thing (g, s)
            y = Equal (c, s)
        }
    """
    found = features_of({"a.onnx": onnx.parser.parse_model(text).SerializeToString()})
    assert {each for each in found if each.startswith("op ")} == {
        "op Cast (float)->(int64)", "op Shape (float)->(int64)", "op Constant ()->(double)",
        "op com.microsoft.Gelu (float)->(float)", "op strange.Thing (float,int64)->(?)", "op Equal (int64)->(bool)",
    }  # fmt: skip


def test_features_do_not_hang_on_names():
    assert features_of({"optimised.onnx": model("v")}) == features_of({"transformed.onnx": model("layer_12_relu_")})
    for name, text, due in SHOWN:
        renamed = text.replace("x1", "other").replace("arg0_1", "arg7_3").replace("%7", "%70").replace(" x6", " pixels")
        assert features_of({name: renamed.encode()}) == due


def test_features_do_not_hang_on_sizes():
    one, other = (features_of({"optimized_hlo.txt": text.encode()}) for text in (HLO, HLO.replace("2,3", "128,77")))
    assert one == other
    larger = DISPATCH.replace("7x7x6xD", "128x64x1000x1").replace("7xf16", "?x1xf16")
    assert features_of({"m_dispatch_3.mlir": larger.encode()}) == features_of(
        {"m_dispatch_0.mlir": DISPATCH.encode()}
    )


def test_what_cannot_be_read_shows_nothing():
    broken = {"optimised.onnx": b"\xff no model", "model.json": b"{", "engine.json": b'{"Layers": 3}'}
    assert features_of(broken) == frozenset()
    assert features_of({"imported.py": b"what the compiler was given", "library_0.llvm": b"define"}) == frozenset()


def test_the_last_writer_before_a_reader_feeds_it():
    nodes = [Node("A", (), ("r",)), Node("B", (), ("r",)), Node("C", ("r",)), Node("D", (), ("r",))]
    assert set(features(nodes)) == {"op A", "op B", "op C", "op D", "edge B > C"}
