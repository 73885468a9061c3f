"""Where a tensor lies in memory: arrays that hold the same values at other addresses and with other strides."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_LINE = 64  # bytes; a cache line, and what allocators and vector units ask for at most


class Layout(str, Enum):  # noqa: UP042 - a worker's Python may be older than StrEnum
    """How an array lies.

    `offset`: row-major, one element behind a multiple of 64 bytes; aligned for its type and for nothing wider.
    `shifted`: row-major, one byte behind a multiple of 64: only for interfaces that copy. `strided`: every other
    element of a longer row, a number of its own type in between. `transposed`: its axes in the reverse order.
    """

    OFFSET = "offset"
    SHIFTED = "shifted"
    STRIDED = "strided"
    TRANSPOSED = "transposed"


def placed(data: bytes, offset: int) -> Array:
    """A uint8 array of these bytes whose address is `offset` behind a multiple of 64."""
    import numpy as np

    memory = np.zeros(len(data) + 2 * _LINE, np.uint8)
    start = (offset - memory.ctypes.data) % _LINE
    held = memory[start : start + len(data)]
    held[...] = np.frombuffer(data, np.uint8)
    return held


def arranged(array: Array, layout: Layout) -> Array:
    """An array of the same values in that layout; strings stay as they are."""
    import numpy as np

    if array.dtype.hasobject:
        return array
    if layout is Layout.TRANSPOSED:
        return np.array(array, order="F")
    if layout is Layout.STRIDED:
        wide = np.zeros((*array.shape, 2), array.dtype)
        wide[..., 0], wide[..., 1] = array, array
        return wide[..., 0]
    offset = array.dtype.itemsize if layout is Layout.OFFSET else 1
    return placed(np.ascontiguousarray(array).tobytes(), offset).view(array.dtype).reshape(array.shape)


def differs(array: Array, layout: Layout) -> bool:
    """Whether an array can lie otherwise in that layout: it has elements, and axes enough."""
    if array.dtype.hasobject or not array.size:
        return False
    return layout is not Layout.TRANSPOSED or sum(size > 1 for size in array.shape) > 1
