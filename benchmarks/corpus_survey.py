"""Which models of the corpus build and run offline, how they are made small, and how long that takes.

    python benchmarks/corpus_survey.py                       all families: some twenty minutes on one core
    python benchmarks/corpus_survey.py timm --only resnet18  one family, one model of it

Runs each script with each way of making the model small, in turn, until one runs, and writes that to the table beside
the script. What was tried lies in build/survey, a line a model: the same command goes on from there. `--again` starts
anew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus import parameters
from corpus.catalogue import MODELS
from corpus.family import Member, load, save
from corpus.preparation import prepare
from corpus.shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAMILIES = {
    "transformers": "transformers/transformers.py", "timm": "timm/timm.py", "torchvision": "torchvision/torchvision.py",
    "vision": "torch_hub/vision.py", "hub": "torch_hub/hub.py", "diffusers": "diffusers/diffusers.py",
    "graphs": "graph_convolutions/graph_convolutions.py",
}  # fmt: skip
LIMIT = 45  # seconds that a model has, all ways together
MEMORY = 12 << 30
LARGEST = 150_000_000  # parameters of what is tried
SMALL_SECONDS, SMALL_PARAMETERS = 5.0, 60_000_000  # what counts as small; detection does not
TASKS = (
    ({"pixel_values", "input_ids"}, "Multimodal"), ({"input_features", "input_ids"}, "Multimodal"),
    ({"input_values", "input_ids"}, "Multimodal"), ({"pixel_values"}, "Computer_Vision"),
    ({"input_features"}, "Audio"), ({"input_values"}, "Audio"), ({"past_values"}, "Time_Series"),
)  # fmt: skip
GENERATIVE = (
    "gpt",
    "llama",
    "mistral",
    "mixtral",
    "qwen",
    "gemma",
    "falcon",
    "mamba",
    "phi",
    "opt",
    "bloom",
    "deepseek",
)


# --- what there is, and the ways to try it ----------------------------------------------------------------------------


def names(family: str) -> dict[str, Member]:
    """Every model that the library of a family has, with what is known before it is run."""
    if family == "transformers":
        from transformers.models.auto import configuration_auto, modeling_auto

        both = set(modeling_auto.MODEL_MAPPING_NAMES) & set(configuration_auto.CONFIG_MAPPING_NAMES)
        return {name: Member(name) for name in sorted(both)}
    if family == "timm":
        return timm_members()
    if family in {"torchvision", "vision"}:
        import torchvision

        found = {}
        for name in torchvision.models.list_models():
            special = kind(name) in {"segmentation", "detection", "video", "optical_flow"}
            if kind(name) != "quantization" and special == (family == "torchvision"):
                found[name] = Member(name)
        return found
    return dict(load(MODELS / FAMILIES[family]))


def kind(name: str) -> str:
    """The module of torchvision that a model is from; nothing for models of other libraries."""
    import torchvision

    if name not in torchvision.models.list_models():
        return ""
    return torchvision.models.get_model_builder(name).__module__.split(".")[2]


def timm_members() -> dict[str, Member]:
    """All names of timm with their parameters, counted without making them."""
    import timm
    import torch

    found = {}
    for name in timm.list_models():
        count = None
        with contextlib.suppress(Exception), torch.device("meta"):
            count = sum(parameter.numel() for parameter in timm.create_model(name).parameters())
        found[name] = Member(name, parameters=count)
    return found


def tried(family: str, members: Mapping[str, Member]) -> list[str]:
    """Which of them are run: all that need no network, but of timm the smallest of each family."""
    if family != "timm":
        return [name for name, member in members.items() if "network" not in member.labels.get("test_group", ())]
    import timm

    smallest: dict[str, str] = {}
    for name in sorted(members, key=lambda name: (members[name].parameters or 1 << 60, name)):
        smallest.setdefault(timm.models.model_entrypoint(name).__module__, name)
    return sorted({*smallest.values(), "resnet18"})


def ways(family: str, member: Member) -> Iterator[Member]:
    """Rows to try, the smallest first."""
    known = dict(member.build)
    if family == "transformers":
        for way, side in (("small", 0), ("divided", 0), ("small", 224), ("shallow", 0), ("published", 224)):
            if fits(member.name, way):
                size = {"height": side, "width": side} if side else {}
                yield Member(member.name, member.labels, size, {"config": way})
    elif family in {"diffusers", "graphs"}:
        yield Member(member.name, member.labels, {}, known)
    else:
        sides = {"torchvision": (64, 128, 224, 256)}.get(family, (64, 96, 128, 224, 240, 256, 288, 299, 336, 384))
        frames = [{"frames": 16}] if kind(member.name) == "video" else [{}]
        for side in sides:
            fixed = [{}, {"img_size": side}] if family == "timm" else frames
            for extra in fixed:
                yield Member(member.name, member.labels, {"height": side, "width": side}, known | extra)


def fits(name: str, way: str) -> bool:
    """Whether a type of transformers is small enough to be tried; it is counted without being made."""
    import torch
    import transformers

    kind = transformers.CONFIG_MAPPING[name]
    try:
        with torch.device("meta"):
            model = transformers.AutoModel.from_config(kind.from_dict(shrink(kind().to_dict(), way, 224)))
    except TimeoutError:
        raise
    except Exception:  # noqa: BLE001 - not every type can be made so, and the script tells what is wrong with it
        return way in {"small", "divided"}
    return sum(parameter.numel() for parameter in model.parameters()) < LARGEST


# --- one model -----------------------------------------------------------------------------------------------------


def examine(family: str, member: Member) -> Member:
    """The first way that runs, with what it took; or the member with its problem."""
    problem = "no way to try"
    for row in ways(family, member):
        start = time.perf_counter()
        try:
            ran = run(family, row)
        except TimeoutError:
            problem = f"takes more than {LIMIT} seconds"
            break
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a script fails with is its problem
            problem = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            continue
        return described(family, row, ran, round(time.perf_counter() - start, 2))
    return Member(member.name, member.labels, build=member.build, parameters=member.parameters, problem=problem)


def run(family: str, row: Member) -> dict[str, Any]:
    """Run a script as `--model NAME` would, were this the row of its table."""
    kept, argv = parameters.load, sys.argv
    parameters.load = lambda _: {row.name: row}  # type: ignore[assignment]
    sys.argv = [FAMILIES[family], "--model", row.name]
    try:
        import torch

        with torch.no_grad():
            return runpy.run_path(str(MODELS / FAMILIES[family]), run_name="__main__")
    finally:
        parameters.load, sys.argv = kept, argv


def described(family: str, row: Member, ran: Mapping[str, Any], seconds: float) -> Member:
    """The row of a model that ran."""
    count = sum(parameter.numel() for parameter in ran["model"].parameters())
    labels = dict(row.labels)
    small = seconds <= SMALL_SECONDS and count <= SMALL_PARAMETERS and kind(row.name) != "detection"
    labels["test_group"] = ("small",) if small else ("large",)
    build = dict(row.build)
    if family == "transformers":
        build["inputs"] = dict(ran["rule"])
        labels["task"] = (task(row.name, set(ran["rule"])),)
    return Member(row.name, labels, row.arguments, build, count, seconds)


def task(name: str, given: set[str]) -> str:
    """What a model of transformers is for, by what it takes."""
    found = next((kind for needs, kind in TASKS if needs <= given), "NLP")
    return "Generative_AI" if found == "NLP" and any(name.startswith(word) for word in GENERATIVE) else found


# --- all of them ---------------------------------------------------------------------------------------------------


def child(family: str, journal: Path, only: list[str]) -> None:
    """Examine what the journal lacks, a line before and after each."""
    import resource

    def late(*_: object) -> None:
        raise TimeoutError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, late)
    prepare()
    members = names(family)
    with contextlib.suppress(Exception, SystemExit):
        # What is imported then counts for no model.
        run(family, next(ways(family, members[(only or tried(family, members))[0]])))
    done = {line["name"] for line in read(journal)}
    with journal.open("a", encoding="utf-8") as file:
        for name in only or tried(family, members):
            if name in done and not only:
                continue
            file.write(json.dumps({"name": name, "problem": "ends the process"}) + "\n")
            file.flush()
            signal.alarm(LIMIT)
            try:
                found = examine(family, members[name])
            except TimeoutError:  # between two ways
                found = Member(name, members[name].labels, problem=f"takes more than {LIMIT} seconds")
            signal.alarm(0)
            file.write(json.dumps({"name": name, **row_of(found)}) + "\n")
            file.flush()
            print(f"{name:40} {found.seconds or ''} {found.problem}", flush=True)
    merge(family, members, journal)


def row_of(member: Member) -> dict[str, Any]:
    """A member as a line of the journal."""
    return {
        "labels": {key: list(values) for key, values in member.labels.items()}, "arguments": dict(member.arguments),
        "build": dict(member.build), "parameters": member.parameters, "seconds": member.seconds,
        "problem": member.problem,
    }  # fmt: skip


def read(journal: Path) -> list[dict[str, Any]]:
    """Its lines; a torn last one is none."""
    if not journal.exists():
        return []
    lines = []
    for line in journal.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def merge(family: str, members: Mapping[str, Member], journal: Path) -> None:
    """Write the table: what was examined, and the names that were not."""
    table, kept = dict(members), ("arguments", "build", "parameters", "seconds")
    for line in read(journal):
        fields = {key: line[key] for key in kept if line.get(key) is not None}
        labels = {key: tuple(values) for key, values in line.get("labels", {}).items()}
        table[line["name"]] = Member(line["name"], labels, problem=line.get("problem", ""), **fields)
    save(MODELS / FAMILIES[family], table)
    runs = sum(1 for member in table.values() if member.seconds is not None)
    print(f"{family}: {runs} of {len(table)} run, {sum(1 for m in table.values() if m.problem)} do not", flush=True)


def main() -> None:
    """Examine families, each in processes of its own, until none of its models is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES], default=[])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--dir", type=Path, default=Path("build/survey"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    for family in asked.families or FAMILIES:
        journal = asked.dir / f"{family}.jsonl"
        if asked.child:
            child(family, journal, asked.only)
            continue
        if asked.again:
            journal.unlink(missing_ok=True)
        command = [sys.executable, __file__, family, "--child", "--dir", str(asked.dir), "--only", *asked.only]
        before = -1
        while subprocess.run(command, env=os.environ, check=False).returncode and len(read(journal)) > before:
            before = len(read(journal))
            print(f"{family}: a model ended the process; going on after it", flush=True)


if __name__ == "__main__":
    main()
