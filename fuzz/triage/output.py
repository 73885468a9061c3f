"""What a reduction leaves on disk: a standard ONNX test case, and what is said of it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from fuzz.errors import StorageError
from fuzz.signature import signature
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backends.tensor import Value
    from fuzz.triage.candidate import Candidate

__all__ = ["write_candidate"]


def write_candidate(folder: Path, candidate: Candidate, expected: Sequence[Mapping[str, Value]] = ()) -> None:
    """Write ``model.onnx`` and ``test_data_set_N`` into a folder, in place of those that it holds.

    ``expected`` are the outputs that are due, where they are known. Each file is whole at any time. Raises
    StorageError.
    """
    ports = signature(candidate.model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".part-{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        (part / "model.onnx").write_bytes(candidate.model)
        for number, feed in enumerate(candidate.feeds):
            place = part / f"test_data_set_{number}"
            place.mkdir()
            for at, port in enumerate(ports.inputs):
                (place / f"input_{at}.pb").write_bytes(encode_value(port.name, feed[port.name], port.type.kind))
            due = expected[number] if number < len(expected) else {}
            for at, port in enumerate(ports.outputs):
                if port.name in due:
                    (place / f"output_{at}.pb").write_bytes(encode_value(port.name, due[port.name], port.type.kind))
        _exchange(folder, part)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}; give another --out") from None


def _exchange(folder: Path, part: Path) -> None:
    old = part.with_name(f"{part.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    for path in folder.glob("test_data_set_*"):
        path.rename(old / path.name)
    for path in part.iterdir():
        path.rename(folder / path.name)
    part.rmdir()
    shutil.rmtree(old)
