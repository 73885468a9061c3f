"""Which execution providers a session gets, and the one line that says why one cannot be had.

The stand-in of ONNX Runtime has what the real module has of this: the providers it was built with, plug-ins that add
devices when they are registered. What a missing CUDA library says is what ONNX Runtime 1.31.1 says of plug-in 0.5.0.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from backends.providers import chosen, grant
from backends.registry import BACKENDS

NAME = "NvTensorRTRTXExecutionProvider"
NO_DRIVER = (
    "[ONNXRuntimeError] : 1 : FAIL : Failed to load library /there/libonnxruntime_providers_nv_tensorrt_rtx.so with "
    "error: libcuda.so.1: cannot open shared object file: No such file or directory"
)


class Runtime:
    __version__ = "1.31.1"

    def __init__(self, *providers: str, problem: str = "", devices: int = 1):
        self.providers, self.problem, self.promised = providers, problem, devices
        self.devices: list = [SimpleNamespace(ep_name="CPUExecutionProvider")]
        self.registered: list = []

    def get_available_providers(self):
        return [*self.providers, "CPUExecutionProvider"]

    def get_ep_devices(self):
        return self.devices

    def register_execution_provider_library(self, name, path):
        self.registered.append((name, path))
        if self.problem:
            raise ValueError(self.problem)
        self.devices += [SimpleNamespace(ep_name=NAME)] * self.promised


class Settings:
    def __init__(self):
        self.added: list = []

    def add_provider_for_devices(self, devices, options):
        self.added.append((devices, options))


@pytest.fixture
def plug_in(monkeypatch, tmp_path):
    module = ModuleType("onnxruntime_ep_nv_tensorrt_rtx")
    vars(module).update(get_ep_name=lambda: NAME, get_library_path=lambda: str(tmp_path / "lib.so"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize(
    ("options", "provider"),
    [({}, "cpu"), ({"device": "cuda"}, "cuda"), ({"provider": "tensorrt", "device": "cuda"}, "tensorrt")],
)
def test_the_option_goes_before_the_device(options, provider):
    assert chosen(options) == provider


def test_what_one_lacks_falls_to_those_behind_it():
    runtime = Runtime("TensorrtExecutionProvider", "CUDAExecutionProvider")
    names = [name for name, _ in grant(runtime, Settings(), "tensorrt")["providers"]]
    assert names == ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert grant(Runtime(), Settings(), "cpu") == {"providers": [("CPUExecutionProvider", {})]}


def test_tensorrt_keeps_no_engine_and_no_timings_on_disk():
    runtime = Runtime("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert grant(runtime, Settings(), "tensorrt")["providers"][0][1] == {
        "trt_engine_cache_enable": "0", "trt_timing_cache_enable": "0",
    }  # fmt: skip


def test_a_build_without_the_provider():
    with pytest.raises(RuntimeError, match=r"^ONNX Runtime was built without CUDAExecutionProvider: pip install onnx"):
        grant(Runtime(), Settings(), "cuda")


def test_a_plug_in_is_registered_once_and_its_first_device_used(plug_in):
    runtime, settings = Runtime(devices=2), Settings()
    assert grant(runtime, settings, "nvtensorrtrtx") == grant(runtime, settings, "nvtensorrtrtx") == {}
    assert runtime.registered == [("nvtensorrtrtx", plug_in.get_library_path())]
    assert [(len(devices), devices[0].ep_name, options) for devices, options in settings.added] == [(1, NAME, {})] * 2


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (Runtime(problem=NO_DRIVER), "is there an NVIDIA driver? libcuda.so.1: cannot open shared object file"),
        (Runtime(devices=0), f"{NAME} is loaded and finds no device here"),
        (SimpleNamespace(__version__="1.20.0"), "ONNX Runtime 1.20.0 takes no plug-ins: install 1.23 or newer"),
    ],
)
def test_a_plug_in_that_cannot_be_had_says_why_in_one_line(plug_in, runtime, message):
    if not isinstance(runtime, Runtime):
        runtime.get_ep_devices = list
    with pytest.raises(RuntimeError) as told:
        grant(runtime, Settings(), "nvtensorrtrtx")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_plug_in_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", None)
    with pytest.raises(RuntimeError, match=r"missing: pip install onnxruntime-ep-nv-tensorrt-rtx-cu12$"):
        grant(Runtime(), Settings(), "nvtensorrtrtx")


def test_the_cuda_runtime_beside_a_plug_in_is_loaded_before_it(plug_in, tmp_path):
    (tmp_path / "libcudart.so.12.9.79").write_bytes(b"no library")
    with pytest.raises(OSError, match="libcudart"):
        grant(Runtime(), Settings(), "nvtensorrtrtx")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "nvtensorrtrtx"])
def test_each_has_its_contract(provider):
    contract = BACKENDS["onnxruntime"].contract({"provider": provider})
    assert (contract.tf32, contract.winograd, contract.narrow_double) == (True, 4, provider != "cuda")
