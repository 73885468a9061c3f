"""A case: a folder in the layout of ONNX's own backend tests.

    root/cases/<id>/model.onnx
    root/cases/<id>/test_data_set_0/input_0.pb ... output_0.pb
    root/cases/<id>/case.json

A folder of standard ONNX test cases that someone else made (``model.onnx`` at any depth, no ``cases`` folder)
is a root too; its case ids are the relative folder paths.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fuzz.errors import CaseError, RootError, StorageError
from fuzz.signature import read_signature, signature
from fuzz.values import decode_value, encode_value
from fuzz.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backends.tensor import Tensor, Value
    from fuzz.signature import Port, Signature, ValueType

__all__ = [
    "CASES",
    "MODEL",
    "RECORD",
    "Case",
    "DataSet",
    "clean_root",
    "data_sets_of",
    "digest",
    "find_cases",
    "misfit",
    "open_root",
    "read_inputs",
    "read_outputs",
    "read_record",
    "read_values",
    "write_case",
]

MODEL, RECORD, CASES, STORE = "model.onnx", "case.json", "cases", "fuzz.sqlite"
_PART = ".part-"
_DATA_SET = re.compile(r"test_data_set_(\d+)$")
_OUTPUT = re.compile(r"output_\d+\.pb$")
_LARGEST_FILE = 2**31  # protocol buffers hold less than 2 GiB

Role = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Case:
    """Where a case lies; nothing is read yet."""

    id: str
    folder: Path
    model_path: Path
    data_sets: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DataSet:
    """The values of one test_data_set, by the names and in the order of the model's inputs and outputs."""

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value] = field(default_factory=dict)


def find_cases(root: Path) -> list[Case]:
    """All cases of a root, sorted by id.

    Raises:
        RootError: the folder does not exist, is no folder, or holds no case.
    """
    if not root.exists():
        raise RootError(f"there is no root at {root}: make one with `fuzz gen --root {root}`")
    if not root.is_dir():
        raise RootError(f"{root} is no folder: a root is a folder, made by `fuzz gen --root DIR`")
    own = root / CASES
    try:
        found = sorted(_own_cases(own) if own.is_dir() else _foreign_cases(root), key=lambda case: case.id)
    except OSError as error:
        raise RootError(f"cannot read {root}: {error.strerror}") from None
    if not found:
        raise RootError(
            f"{root} holds no case: make some with `fuzz gen --root {root}`, "
            f"or give a folder with ONNX test cases (*/{MODEL})"
        )
    return found


def _own_cases(folder: Path) -> Iterator[Case]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and (case := _case(entry.name, Path(entry.path))):
                yield case


def _foreign_cases(root: Path) -> Iterator[Case]:
    for folder, subfolders, files in os.walk(root):
        # A folder with a store of its own is another root, as `fuzz relate` makes one.
        subfolders[:] = [
            name for name in subfolders if not (name.startswith(".") or os.path.exists(f"{folder}/{name}/{STORE}"))
        ]
        if MODEL in files:
            path = Path(folder)
            name = path.relative_to(root).as_posix()
            if case := _case(root.resolve().name if name == "." else name, path):
                yield case


def _case(name: str, folder: Path) -> Case | None:
    model = folder / MODEL
    return Case(name, folder, model, data_sets_of(folder)) if os.path.exists(model) else None


def data_sets_of(folder: Path) -> tuple[Path, ...]:
    """The test_data_set_N folders in a folder, by their numbers."""
    with os.scandir(folder) as entries:
        found = [(int(match[1]), folder / e.name) for e in entries if (match := _DATA_SET.match(e.name))]
    return tuple(path for _, path in sorted(found))


# --- reading ------------------------------------------------------------------------------------------------


def read_values(data_set: Path, role: Role, types: Sequence[ValueType] | None = None) -> tuple[Value, ...]:
    """The values ``input_0.pb, input_1.pb, ...`` (or ``output_*``) of a test_data_set folder.

    ``types`` are the types of the model's inputs (outputs): they tell a sequence or an optional from a
    tensor; by default every file is a tensor. Data that a file keeps elsewhere must lie in the case's folder.

    Raises:
        CaseError: a file is corrupt, or a number is missing between others.
    """
    pattern = re.compile(rf"{role}_(\d+)\.pb$")
    try:
        numbers = sorted(int(match[1]) for name in os.listdir(data_set) if (match := pattern.match(name)))
    except OSError as error:
        raise CaseError(f"cannot read {data_set}: {error.strerror}") from None
    if numbers != list(range(len(numbers))):
        missing = next(index for index, number in enumerate(numbers) if index != number)
        raise CaseError(f"{data_set} has no {role}_{missing}.pb, but later ones: number them from 0")
    kinds: Sequence[ValueType | None] = types if types is not None else [None] * len(numbers)
    if len(kinds) < len(numbers):
        raise CaseError(f"{data_set} has {len(numbers)} {role} files, but the model has {len(kinds)} {role}s")
    return tuple(
        _read_value(data_set / f"{role}_{number}.pb", kind, data_set.parent)
        for number, kind in zip(numbers, kinds, strict=False)
    )


def _read_value(path: Path, kind: ValueType | None, folder: Path) -> Value:
    try:
        if path.stat().st_size >= _LARGEST_FILE:
            raise CaseError(f"{path} is larger than 2 GiB, which no protocol buffer is")
        return decode_value(path.read_bytes(), kind, folder)
    except OSError as error:
        raise CaseError(f"cannot read {path}: {error.strerror}") from None
    except WireError as error:
        raise CaseError(f"{path} is corrupt: {error}") from None


def read_inputs(case: Case, data_set: Path, ports: Signature | None = None) -> tuple[Value, ...]:
    """The inputs of a data set, checked against what the model asks for (number, element types, shapes).

    ``ports`` spares reading the model's signature for each data set anew.

    Raises:
        CaseError: the model or an input is corrupt, or they do not fit each other.
    """
    ports = ports or read_signature(case.model_path)
    wanted = ports.inputs
    values = read_values(data_set, "input", [port.type for port in (*wanted, *ports.defaults)])
    if len(values) < len(wanted):
        name = wanted[len(values)].name
        raise CaseError(
            f"{data_set} gives {len(values)} of {len(wanted)} inputs: "
            f"add input_{len(values)}.pb for the model's input {name!r}"
        )
    for index, (port, value) in enumerate(zip(wanted, values, strict=False)):
        # What is in containers other runners let pass, and so do we.
        if port.type.kind == "tensor" and (problem := misfit(port.type, value)):
            raise CaseError(f"{data_set / f'input_{index}.pb'} does not fit input {port.name!r}: {problem}")
    return values


def read_outputs(case: Case, data_set: Path) -> tuple[Value, ...]:
    """The expected outputs that a data set holds (none, where the case has no ``output_*.pb``)."""
    return read_values(data_set, "output", [port.type for port in read_signature(case.model_path).outputs])


def misfit(wanted: ValueType, value: Value) -> str:
    """What is wrong with a value for a type; empty where it fits (symbols fit any dim, None any type)."""
    if wanted.element is not None:
        parts = value if isinstance(value, list) and wanted.kind == "sequence" else [value]
        return next(filter(None, (misfit(wanted.element, part) for part in parts)), "")
    return "" if wanted.kind != "tensor" or value is None or isinstance(value, list) else _tensor_misfit(wanted, value)


def _tensor_misfit(wanted: ValueType, value: Tensor) -> str:
    if wanted.element_type and wanted.element_type != value.element_type:
        return f"the model asks for {wanted.element_type}, the file holds {value.element_type}"
    if wanted.shape is None:
        return ""
    if len(wanted.shape) != len(value.shape):
        return f"the model asks for rank {len(wanted.shape)}, the file holds rank {len(value.shape)}"
    for index, (dim, found) in enumerate(zip(wanted.shape, value.shape, strict=True)):
        if isinstance(dim, int) and dim != found:
            return f"the model asks for {dim} in dim {index}, the file holds {found}"
    return ""


def read_record(case: Case) -> dict[str, Any]:
    """What case.json says; empty for a case that someone else made."""
    path = case.folder / RECORD
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CaseError(f"cannot read {path}: {error}") from None
    if not isinstance(record, dict):
        raise CaseError(f"{path} holds no JSON object")
    return record


def digest(case: Case) -> str:
    """sha256 (hex) of all that an execution reads: the model, its external data, the inputs.

    Not of ``case.json`` and the expected outputs, which no backend sees. External data is what else lies in the
    folder, where the model has the word by which it refers to such data.
    """
    total = hashlib.sha256()
    for name, path in sorted(_read_by_backends(case)):
        total.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb", buffering=0) as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def _read_by_backends(case: Case) -> Iterator[tuple[str, Path]]:
    yield MODEL, case.model_path
    for number, data_set in enumerate(case.data_sets):
        yield from _files(data_set, f"{number}/")
    if b"location" in case.model_path.read_bytes():
        apart = {MODEL, RECORD, case.model_path.name, *(path.name for path in case.data_sets)}
        with os.scandir(case.folder) as entries:
            for entry in entries:
                if entry.name not in apart and entry.is_dir(follow_symlinks=False):
                    if not Path(entry.path, MODEL).exists():  # else it is another case
                        yield from _files(Path(entry.path), f"{entry.name}/")
                elif entry.name not in apart and entry.is_file():
                    yield entry.name, Path(entry.path)


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file() and not _OUTPUT.match(entry.name):
                yield prefix + entry.name, Path(entry.path)


# --- writing ------------------------------------------------------------------------------------------------


def open_root(root: Path) -> Path:
    """Make the root where it is missing, clear what a killed run left, and return it.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    cases = root / CASES
    try:
        cases.mkdir(parents=True, exist_ok=True)
        if not os.access(cases, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        clean_root(root)
    except OSError as error:
        raise _storage_error(root, error) from None
    return root


def clean_root(root: Path) -> int:
    """Remove half-written cases of runs that are gone; return how many there were."""
    count = 0
    for entry in os.scandir(root / CASES):
        if entry.name.startswith(_PART) and not _alive(entry.name):
            shutil.rmtree(entry.path, ignore_errors=True)
            count += 1
    return count


def _alive(part: str) -> bool:
    """Whether the process that wrote ``.part-PID-ID`` still runs; it is not ours to remove then."""
    try:
        os.kill(int(part.removeprefix(_PART).partition("-")[0]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def write_case(
    root: Path, name: str, model: bytes, data_sets: Sequence[DataSet], record: Mapping[str, Any],
    files: Mapping[str, bytes] | None = None,
) -> Case:  # fmt: skip
    """Write a case, whole or not at all; one of the same id is replaced.

    The bytes depend on the arguments alone. ``record`` becomes case.json: compact, keys sorted. ``files`` lie beside
    the model, which refers to them: external data by its place in the folder.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    ports = signature(model)
    part = f"{root}/{CASES}/{_PART}{os.getpid()}-{name}"
    folder = f"{root}/{CASES}/{name}"
    try:
        os.mkdir(part)
        _write(f"{part}/{MODEL}", model)
        for location, content in (files or {}).items():
            os.makedirs(os.path.dirname(f"{part}/{location}"), exist_ok=True)
            _write(f"{part}/{location}", content)
        for index, data_set in enumerate(data_sets):
            place = f"{part}/test_data_set_{index}"
            os.mkdir(place)
            _write_values(place, "input", ports.inputs + ports.defaults, data_set.inputs)
            _write_values(place, "output", ports.outputs, data_set.outputs)
        _write(f"{part}/{RECORD}", json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        _move(part, folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise _storage_error(root, error) from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    path = Path(folder)
    return Case(name, path, path / MODEL, tuple(path / f"test_data_set_{i}" for i in range(len(data_sets))))


def _write_values(place: str, role: Role, ports: Sequence[Port], values: Mapping[str, Value]) -> None:
    names = [port.name for port in ports]
    if list(values) != names[: len(values)]:
        raise ValueError(f"the {role}s {list(values)} are not those of the model, {names}")
    for index, (port, value) in enumerate(zip(ports, values.values(), strict=False)):
        _write(f"{place}/{role}_{index}.pb", encode_value(port.name, value, port.type.kind))


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _move(part: str, folder: str) -> None:
    try:
        os.rename(part, folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        old = f"{part}.old"
        os.rename(folder, old)
        os.rename(part, folder)
        shutil.rmtree(old)


def _storage_error(root: Path, error: OSError) -> StorageError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    remedy = "free some space or give another --root" if full else "give a --root that you may write to"
    return StorageError(f"cannot write to {root}: {error.strerror}; {remedy}")
