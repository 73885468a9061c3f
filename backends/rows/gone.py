"""What users may ask for and nobody can run any more; each says what to use in its place."""

from __future__ import annotations

from backends.entry import Entry

__all__ = ["ROWS"]

_GONE = (
    ("glow", "Glow, PyTorch's compiler, was given up in 2023 and has no releases; iree and xla compile ahead of time"),
    ("relay", "Relay, with its graph and debug executors, is gone from TVM: use tvm, whose Relax has taken its place"),
)
ROWS = tuple(Entry(name, module="", distributions=(), requirements=(), problem=why) for name, why in _GONE)
