"""Execution providers of ONNX Runtime: built into it, or a plug-in of another distribution that is registered first."""

from __future__ import annotations

import ctypes
import importlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["chosen", "grant"]

_CPU: tuple[str, Mapping[str, str]] = ("CPUExecutionProvider", MappingProxyType({}))
_CUDA: tuple[str, Mapping[str, str]] = ("CUDAExecutionProvider", MappingProxyType({}))
# What a provider lacks falls to those behind it. Nothing is kept on disk between runs.
_TENSORRT: tuple[str, Mapping[str, str]] = (
    "TensorrtExecutionProvider",
    MappingProxyType({"trt_engine_cache_enable": "0", "trt_timing_cache_enable": "0"}),
)
_BUILT_IN: Mapping[str, tuple[tuple[str, Mapping[str, str]], ...]] = MappingProxyType(
    {"cpu": (_CPU,), "cuda": (_CUDA, _CPU), "tensorrt": (_TENSORRT, _CUDA, _CPU)}
)
# option's value -> (module, distribution) of a plug-in
_PLUG_INS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"nvtensorrtrtx": ("onnxruntime_ep_nv_tensorrt_rtx", "onnxruntime-ep-nv-tensorrt-rtx-cu12")}
)


def chosen(options: Mapping[str, str]) -> str:
    """The provider that the options ask for: by its name, or by the device."""
    return options.get("provider") or options.get("device", "cpu")


def grant(runtime: Any, settings: Any, name: str) -> dict[str, Any]:
    """What a session needs for a provider: entries in its settings, and arguments that are returned.

    Args:
        runtime: the module ``onnxruntime``.
        settings: the session's ``SessionOptions``.
        name: as `chosen` gives it.

    Raises `RuntimeError` in one line where the provider cannot be had here.
    """
    if name in _BUILT_IN:
        providers = _BUILT_IN[name]
        missing = [provider for provider, _ in providers if provider not in runtime.get_available_providers()]
        if missing:
            raise RuntimeError(f"ONNX Runtime was built without {', '.join(missing)}: pip install onnxruntime-gpu")
        return {"providers": [(provider, dict(given)) for provider, given in providers]}
    settings.add_provider_for_devices(_devices(runtime, name)[:1], {})
    return {}


def _devices(runtime: Any, name: str) -> list[Any]:
    """The devices of a plug-in's provider, which is registered when it is first asked for."""
    module_name, distribution = _PLUG_INS[name]
    try:
        module = importlib.import_module(module_name)
    except ImportError:
        raise RuntimeError(f"the provider {name} is a plug-in that is missing: pip install {distribution}") from None
    if not hasattr(runtime, "register_execution_provider_library"):
        raise RuntimeError(f"ONNX Runtime {runtime.__version__} takes no plug-ins: install 1.23 or newer")
    provider = module.get_ep_name()
    found = [device for device in runtime.get_ep_devices() if device.ep_name == provider]
    if found:
        return found
    _preload(Path(module.get_library_path()).parent)
    try:
        runtime.register_execution_provider_library(name, module.get_library_path())
    except Exception as problem:  # noqa: BLE001 - ONNX Runtime's own exceptions have no common base
        raise RuntimeError(f"{provider} cannot be loaded, is there an NVIDIA driver? {_reason(problem)}") from None
    found = [device for device in runtime.get_ep_devices() if device.ep_name == provider]
    if not found:
        raise RuntimeError(f"{provider} is loaded and finds no device here")
    return found


def _preload(folder: Path) -> None:
    """Load the CUDA runtime that lies beside a plug-in, under a file name by which the plug-in does not find it."""
    for path in sorted(folder.glob("libcudart.so.*")):
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)


def _reason(problem: Exception) -> str:
    """Why a library was not loaded, without its path."""
    return str(problem).rpartition("with error: ")[2].partition("\n")[0]
