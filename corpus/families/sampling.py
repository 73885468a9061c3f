"""Networks of a family built, exported and kept as computation graphs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from corpus.families.family import Architecture, Family
    from corpus.graphs.cache import Cache
    from corpus.graphs.computation import ComputationGraph

__all__ = ["Sampled", "case", "sample"]


@dataclass(slots=True)
class Sampled:
    """What a run did: names that were added, names that were there, why others were not made."""

    added: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def sample(  # noqa: PLR0913 - each is a choice of the user's
    family: Family, cache: Cache, result: Sampled, *, count: int, seed: int, full: bool = False,
    folder: Path | None = None, progress: Callable[[int], None] = lambda _: None,
) -> None:  # fmt: skip
    """Put the first networks that a seed draws into a cache, each as it is made; those that are there stay.

    A network is named like its architecture, with ``_full`` behind it where it is as published. With a ``folder`` each
    lies there as a test case too, and is made again where it does not. ``result`` is filled as the run goes. Raises
    OSError, GraphError of the cache.
    """
    there = cache.names(family.name)
    for number, architecture in enumerate(islice(family.samples(seed), count)):
        name = f"{architecture.name}_full" if full else architecture.name
        if name in there and (folder is None or (folder / name / "model.onnx").is_file()):
            result.kept.append(name)
        else:
            try:
                graph = _graph(family, architecture, name, full=full, folder=folder)
                labels: dict[str, float | str] = {"canonical": architecture.canonical, "seed": seed, "index": number}
                cache.append(family.name, [graph.labelled(labels)])
                result.added.append(name)
            except OSError:
                raise  # a full disk is full for the next one as well
            except Exception as problem:  # noqa: BLE001 - an exporter may raise anything; it is told
                result.failed[name] = f"{type(problem).__name__}: {str(problem).strip().partition(chr(10))[0][:200]}"
        progress(1)


def _graph(
    family: Family, architecture: Architecture, name: str, *, full: bool, folder: Path | None
) -> ComputationGraph:
    from corpus.graphs.onnx_graph import from_onnx

    module, image = family.build(architecture, small=not full)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) if folder is None else folder / name
        path = case(module, image, home)
        graph = from_onnx(path, name=name, family=family.name)
    flops = graph.flops()
    return graph.labelled({"parameters": graph.parameters(), **({} if flops is None else {"flops": flops})})


def case(module: nn.Module, image: Tensor, folder: Path) -> Path:
    """Write a network as a standard ONNX test case, with what eager PyTorch gives; the path of its model.

    A network whose output is near 0 is made alive before (`corpus.revive`). Raises what the exporter or ONNX's checker
    raises, and OSError.
    """
    import torch

    from abstract.inference import check_fully
    from corpus.export import export, translate
    from corpus.revive import is_dead, revive
    from corpus.tensors import to_proto

    with torch.no_grad():
        output = module(image)
        if is_dead(output):
            revive(module, lambda: module(image))
            output = module(image)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "part.onnx"
    model = translate(export(module, (image,), {}), part)
    check_fully(model)
    values = folder / "test_data_set_0"
    values.mkdir(exist_ok=True)
    ports = (("input_0", model.graph.input[0].name, image), ("output_0", model.graph.output[0].name, output))
    for file, port, tensor in ports:
        values.joinpath(f"{file}.pb").write_bytes(to_proto(tensor, port).SerializeToString(deterministic=True))
    return part.replace(folder / "model.onnx")
