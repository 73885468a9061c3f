"""A trained network in a file: safetensors, whose header says what it is made of. Nothing in it runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from corpus.graphs.computation import GraphError
from corpus.predictor.network import Network, NetworkError, Settings
from corpus.predictor.target import Target
from corpus.predictor.training import Fitted

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load", "save"]

_KEY, _VERSION = "predictor", 1


def save(fitted: Fitted, path: Path) -> None:
    """Write a network, whole or not at all; the same bytes for the same network. Raises OSError."""
    from safetensors.torch import save as packed

    header = {
        "version": _VERSION, "settings": fitted.network.settings.to_json(), "target": fitted.target.to_json(),
        "epochs": fitted.epochs, "families": list(fitted.families),
    }  # fmt: skip
    tensors = {name: tensor.contiguous() for name, tensor in sorted(fitted.network.state_dict().items())}
    # One entry: several would stand in whatever order a hash gives them.
    content = packed(tensors, {_KEY: json.dumps(header, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path) -> Fitted:
    """What `save` wrote. Raises NetworkError, of one line, where the file is anything else, and OSError."""
    from safetensors import SafetensorError, safe_open

    path.stat()  # which file is missing is said by the system, not by the library
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
            if not isinstance(header, dict) or header.get("version") != _VERSION:
                raise NetworkError(f"{path} is no predictor: train one with `fuzz corpus predict`")
            network = Network(Settings.from_json(header["settings"]))
            target, epochs = Target.from_json(header["target"]), int(header["epochs"])
            families = tuple(map(str, header["families"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as problem:
        if isinstance(problem, GraphError | NetworkError):
            raise NetworkError(f"{path}: {problem}") from None
        raise NetworkError(f"{path} is no predictor, or a broken one") from None
    wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}
    if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != wanted:
        raise NetworkError(f"{path}: its weights are not those of the network that its header tells of")
    network.load_state_dict(tensors)
    return Fitted(network, target, epochs, families)
