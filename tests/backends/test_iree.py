"""IREE in this process: the flags that options make, what it says without a GPU, what it shows."""

from __future__ import annotations

import pytest

from backends.protocol import Unsupported
from backends.registry import BACKENDS

pytest.importorskip("iree.compiler", reason="pip install iree-base-compiler iree-base-runtime")
iree = pytest.importorskip("backends.iree")

BODY = "g (float[4, 8] x) => (float[4, 4] y) { t = Transpose <perm = [1, 0]> (x) m = MatMul (x, t) y = Exp (m) }"


@pytest.fixture(name="compiled")
def compiled_fixture(model):
    return lambda **options: iree.BACKEND.compile(model(BODY), None, options, lambda _stage: None)


def test_without_options_it_compiles_for_this_processor_at_the_highest_level():
    assert iree.settings({}) == (
        "--iree-input-type=onnx", "--iree-hal-target-backends=llvm-cpu", "--iree-opt-level=O3",
        "--iree-input-demote-f64-to-f32=false", "--iree-llvmcpu-target-cpu=host",
    )  # fmt: skip


def test_switches_are_turned_off_by_the_value_that_each_takes():
    flags = iree.settings({"disable": "opt-const-eval+llvmcpu-enable-ukernels+llvmcpu-mlir-opt-level", "opt": "1"})
    assert flags[-3:] == (
        "--iree-opt-const-eval=false", "--iree-llvmcpu-enable-ukernels=none", "--iree-llvmcpu-mlir-opt-level=O0",
    )  # fmt: skip
    assert "--iree-opt-level=O1" in flags


def test_on_cuda_it_compiles_for_cuda_and_for_nothing_else():
    flags = iree.settings({"device": "cuda"})
    assert "--iree-hal-target-backends=cuda" in flags
    assert not any("llvmcpu" in flag for flag in flags)
    with pytest.raises(Unsupported, match=r"target=vmvx is for the CPU: leave it out of iree@cuda"):
        iree.settings({"device": "cuda", "target": "vmvx"})


def test_code_for_cuda_is_generated_without_a_gpu(compiled, monkeypatch):
    def lacking(_name):
        raise RuntimeError("Error creating driver: UNAVAILABLE; CUDA driver library 'libcuda.so' not available")

    monkeypatch.setattr(iree.runtime, "get_device", lacking)
    with pytest.raises(Unsupported, match=r"CUDA driver library 'libcuda\.so' not available"):
        compiled(device="cuda")
    text = "func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }"
    added = text.replace("return %x", "%y = arith.addf %x, %x : tensor<4xf32>\n return %y")
    flags = [*iree.settings({"device": "cuda"}), "--iree-input-type=none"]
    assert b".version" in iree._compiled(added, flags)


def test_each_switch_of_the_row_is_one_of_the_compilers(compiled):
    (knob,) = (knob for knob in BACKENDS["iree"].knobs if knob.option == "disable")
    assert len(knob.values) > 10
    compiled(disable="+".join(knob.values))


def test_a_switch_that_the_compiler_does_not_have_is_told(compiled):
    with pytest.raises(Unsupported, match="option not found: iree-nonsense"):
        compiled(disable="nonsense")


@pytest.mark.parametrize(
    ("target", "endings"),
    [("llvm-cpu", {".mlir", ".codegen.ll", ".optimized.ll", ".s"}), ("vmvx", {".mlir"})],
)
def test_it_shows_what_it_made_of_a_model_the_same_each_time(compiled, target, endings):
    first = compiled(target=target).artefacts()
    assert list(first)[:2] == ["imported.mlir", "optimised.mlir"]
    assert b"onnx.MatMul" in first["imported.mlir"]
    assert b"onnx.MatMul" not in first["optimised.mlir"]
    assert {"".join(name.rpartition("_")[2].partition(".")[1:]) for name in first if "dispatch" in name} == endings
    assert first == compiled(target=target).artefacts()


def test_a_switch_changes_what_is_made(compiled):
    """MatMul alone is no named operation any more once it is made a general one."""
    names = ("opt-const-eval", "opt-generalize-matmul")
    on, off = (compiled(target="vmvx", disable=name).artefacts() for name in names)
    assert on["imported.mlir"] == off["imported.mlir"]
    assert b"linalg.matmul" not in on["optimised.mlir"]
    assert b"linalg.matmul" in off["optimised.mlir"]
