"""External data of a foreign model: only regular files inside the model's own folder, only bytes that exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.graph import graphs, required_inputs
from backends.protocol import InvalidCase

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_external_data(model: bytes, folder: str | None) -> None:
    """Raise `InvalidCase` where the model refers to data outside of its folder, or to bytes that are not there."""
    # An entry of external data names its file under the key "location": without the word there is none, and the
    # model need not be parsed twice.
    if b"location" not in model:
        return
    for tensor in _tensors(_parse(model)):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in entries:
            _check(entries, folder)


def read_model(model: bytes, folder: str | None) -> Any:
    """Parse a model whose external data `check_external_data` has passed, and take that data in.

    Raises `InvalidCase` where it is no ONNX model.
    """
    parsed = _parse(model)
    if b"location" in model and folder is not None:
        from onnx.external_data_helper import load_external_data_for_model

        load_external_data_for_model(parsed, folder)
        for tensor in _tensors(parsed):  # as it was before the data lay elsewhere
            if not tensor.external_data:
                tensor.ClearField("data_location")
    return parsed


def read_inputs(model: bytes) -> list[int]:
    """Which of the inputs without a default are read, by their positions among these: by a node, or as an output."""
    graph = _parse(model).graph
    read = {output.name for inner in graphs(graph) for output in inner.output}
    read |= {name for inner in graphs(graph) for node in inner.node for name in node.input}
    return [position for position, port in enumerate(required_inputs(graph)) if port.name in read]


def required_number(model: bytes) -> int:
    """How many inputs have no default."""
    return len(required_inputs(_parse(model).graph))


def _parse(model: bytes) -> Any:
    import onnx

    try:
        parsed = onnx.load_model_from_string(model)
    except Exception as problem:
        raise InvalidCase("the file is no readable ONNX model") from problem
    if not parsed.HasField("graph"):
        raise InvalidCase("the file is no ONNX model: it has no graph")
    return parsed


def _check(entries: dict[str, str], folder: str | None) -> None:
    location = entries["location"]
    if folder is None:
        raise InvalidCase(f"external data in {location!r}, but the model lies in no folder")
    base = Path(folder).resolve()
    path = (base / location).resolve()
    if Path(location).is_absolute() or not path.is_relative_to(base):
        raise InvalidCase(f"external data in {location!r} is outside of the model's folder: refused")
    if not path.is_file():
        raise InvalidCase(f"external data in {location!r} is missing or no regular file")
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", "0"))
    except ValueError as problem:
        raise InvalidCase(f"external data in {location!r} has an offset or length that is no number") from problem
    if offset < 0 or length < 0 or offset + length > path.stat().st_size:
        raise InvalidCase(f"external data in {location!r} ends before the bytes that the model asks for")


def _tensors(message: Any) -> Iterator[Any]:
    """Every TensorProto below a protobuf message: initializers, attributes, subgraphs, functions, sparse parts."""
    pending = [message]
    while pending:
        current = pending.pop()
        if current.DESCRIPTOR.name == "TensorProto":
            yield current
            continue
        for descriptor, content in current.ListFields():
            if descriptor.message_type is not None:
                pending.extend([content] if hasattr(content, "DESCRIPTOR") else content)
