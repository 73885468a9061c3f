"""What a backend needs of the CUDA runtime: memory, a stream, copies; by ctypes, which needs no further package."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.protocol import OutOfMemory, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cuda", "load_cuda"]

_NAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation


def load_cuda() -> Cuda:
    """The CUDA runtime of this machine or of NVIDIA's distributions. Raises `RuntimeError` in one line without one."""
    for path in (*_NAMES, *map(str, _installed())):
        try:
            return Cuda(ctypes.CDLL(path))
        except OSError:
            continue
    raise RuntimeError("no CUDA runtime (libcudart.so) is found here: an NVIDIA GPU, its driver and CUDA are needed")


def _installed() -> Iterator[Path]:
    """Libraries that lie in the folders of NVIDIA's distributions, whichever release of CUDA they are named after."""
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations or ()) if found else ():
        yield from sorted(Path(folder).glob("*/lib/libcudart.so.*"))


class Cuda:
    """The functions of the runtime, with their errors raised.

    What they return is ``cudaError_t``; `Rejected` stands for a kernel that failed, as when it read where it may not.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        library.cudaGetErrorString.restype = ctypes.c_char_p
        count = ctypes.c_int(0)
        status = library.cudaGetDeviceCount(ctypes.byref(count))
        if status or not count.value:
            raise RuntimeError(f"CUDA finds no GPU here{f': {self._said(status)}' if status else ''}")

    def _said(self, status: int) -> str:
        return bytes(self._library.cudaGetErrorString(status)).decode("utf-8", "replace")

    def _check(self, status: int) -> None:
        if status:
            kind = OutOfMemory if status == _OUT_OF_MEMORY else Rejected
            raise kind(f"CUDA error {status}: {self._said(status)}")

    def allocate(self, size: int) -> int:
        """The address of that many bytes on the device, at least one."""
        address = ctypes.c_void_p()
        self._check(self._library.cudaMalloc(ctypes.byref(address), ctypes.c_size_t(max(1, size))))
        return address.value or 0

    def free(self, address: int) -> None:
        """Give memory back."""
        self._check(self._library.cudaFree(ctypes.c_void_p(address)))

    def upload(self, address: int, data: bytes) -> None:
        """Copy bytes to the device."""
        self._copy(ctypes.c_void_p(address), data, len(data), _TO_DEVICE)

    def download(self, address: int, size: int) -> bytes:
        """Copy bytes from the device."""
        data = ctypes.create_string_buffer(max(1, size))
        self._copy(data, ctypes.c_void_p(address), size, _TO_HOST)
        return data.raw[:size]

    def _copy(self, target: Any, source: Any, size: int, kind: int) -> None:
        if size:
            self._check(self._library.cudaMemcpy(target, source, ctypes.c_size_t(size), ctypes.c_int(kind)))

    def stream(self) -> int:
        """A new stream."""
        handle = ctypes.c_void_p()
        self._check(self._library.cudaStreamCreate(ctypes.byref(handle)))
        return handle.value or 0

    def finish(self, stream: int) -> None:
        """Wait for all that was put on a stream."""
        self._check(self._library.cudaStreamSynchronize(ctypes.c_void_p(stream)))

    def drop(self, stream: int) -> None:
        """Give a stream back."""
        self._check(self._library.cudaStreamDestroy(ctypes.c_void_p(stream)))
