"""`make campaign-architectures`: two thousand small models of 42 types traced, their architectures kept, learnt.

python benchmarks/campaign_architectures.py run [--count N] [--types T ...]   goes on where it was, a round of all types
python benchmarks/campaign_architectures.py report   docs/campaigns/architectures.{json,md}

A model is the base model of its type, or the one with the usual head, in turn; its configuration is drawn
(corpus/architecture/variants.py), the same draws for all types, so that no type is known by its draws. Models are
exported by torch.export and traced; none is translated to ONNX or run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from figure import commit, machine, write_json

from corpus.architecture.check import check
from corpus.architecture.classifier import OTHERS, Settings, classes, cross_validate
from corpus.architecture.collection import line, read, write_vectors
from corpus.architecture.features import Vocabulary
from corpus.architecture.layers import of_trace
from corpus.architecture.noise import principal_components
from corpus.architecture.plots import distribution, scatter
from corpus.architecture.twins import grouped, pairs
from corpus.architecture.variants import draw, varied
from corpus.catalogue import MODELS
from corpus.families.draws import Draws
from corpus.family import load
from corpus.preparation import prepare
from corpus.shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corpus.architecture.collection import Sample
    from corpus.architecture.layers import Architecture

ROOT = Path(__file__).parents[1]
PLACE, DOCS = ROOT / "build" / "architectures", ROOT / "docs" / "campaigns"
SCRIPT = MODELS / "transformers" / "transformers.py"
EACH, ATTEMPTS, LENGTH, SAMPLES, IMAGE = 48, 6, 32, 6400, 32
"""Models of a type; variants that are tried for one; tokens, samples of sound, and rows of an image of the inputs."""
TYPES = (
    "albert", "bart", "beit", "bert", "bloom", "camembert", "convbert", "convnext", "data2vec-audio", "deberta-v2",
    "deit", "dinov2", "distilbert", "electra", "gpt2", "gpt_neo", "gpt_neox", "hubert", "layoutlm", "llama", "marian",
    "mbart", "mistral", "mobilebert", "mobilenet_v2", "mpnet", "opt", "pegasus", "poolformer", "qwen2", "regnet",
    "resnet", "roberta", "segformer", "squeezebert", "t5", "unispeech", "vit", "wav2vec2", "wavlm", "xlm-roberta",
    "xlnet",
)  # fmt: skip
KEYS = ("model_type", "architecture")
TARGETS = {"model_type": 0.92, "architecture": 0.75, "planted": 0.80}
PUBLISHED = {"model_type": "92.0 %", "architecture": "67.5 %"}
PLANTED, NOISE = 0.05, 0.05
"""Shares of models: with a wrong label, and filtered out by the Gaussian mixture."""
HEADS = ("CTC", "SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "CAUSAL_LM", "IMAGE_CLASSIFICATION")
"""The head that a type's second class has: the first of these that there is."""


def main() -> int:
    """Do one of the two; exit status 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description="Architectures of many small models, and what can be learnt of them.")
    parser.add_argument("action", choices=["run", "report"])
    parser.add_argument("--place", type=Path, default=PLACE, metavar="DIR")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR")
    parser.add_argument("--count", type=int, default=EACH, metavar="N", help=f"models of a type (default {EACH})")
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES, metavar="TYPE")
    options = parser.parse_args()
    if options.action == "run":
        return run(options.place, options.types, options.count)
    return report(options.place, options.docs)


def run(place: Path, types: tuple[str, ...], count: int) -> int:
    """Trace what is not there yet, one of each type in turn; what ended a run before is not tried again."""
    prepare()
    place.mkdir(parents=True, exist_ok=True)
    current = place / "current"
    if current.exists():
        name, _, index = current.read_text().rpartition("/")
        _keep(place, name, {"index": int(index), "problem": "it ended the process"}, "")
        current.unlink()
    done = {name: {row["index"] for row in _rows(place / f"{name}.done")} for name in types}
    for index in range(count):
        for name in types:
            if index in done[name]:
                continue
            current.write_text(f"{name}/{index}")
            start = time.perf_counter()
            try:
                text, row = _one(name, index)
            except KeyboardInterrupt:
                current.unlink()
                raise
            row["seconds"] = round(time.perf_counter() - start, 2)
            _keep(place, name, row, text)
            current.unlink()
            print(f"{name} {index}: {row.get('problem') or row['layers']} ({row['seconds']} s)", flush=True)
    return 0


def _keep(place: Path, name: str, row: dict[str, Any], text: str) -> None:
    """The model first: one that is there twice, since it was cut off between the two, is told apart by its name."""
    if text:
        with (place / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(text)
    with (place / f"{name}.done").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []


def _one(name: str, index: int) -> tuple[str, dict[str, Any]]:
    """The line of a model, and what became of it."""
    problem = ""
    for attempt in range(ATTEMPTS):
        try:
            kind, architecture = _traced(name, index, attempt)
        except Exception as why:  # noqa: BLE001 - whatever a configuration breaks: the next is tried
            problem = f"{type(why).__name__}: {' '.join(str(why).split())[:160]}"
            continue
        text = line(f"{name}/{index}", {"model_type": name, "architecture": kind}, architecture)
        return text, {"index": index, "attempt": attempt, "architecture": kind, "layers": len(architecture.layers)}
    return "", {"index": index, "problem": problem}


def _traced(name: str, index: int, attempt: int) -> tuple[str, Architecture]:
    """The class and the architecture of a model of a type; the last attempt has the plain configuration."""
    import torch
    import transformers

    from corpus.export import adjust, export
    from corpus.inputs import Sizes, make
    from corpus.trace import trace

    build = load(SCRIPT)[name].build
    kind = transformers.CONFIG_MAPPING[name]
    small = shrink(kind().to_dict(), build["config"], IMAGE)
    variant = draw(Draws(f"architecture/{index}/{attempt}"))
    config = kind.from_dict(small if attempt == ATTEMPTS - 1 else varied(small, variant))
    torch.manual_seed(0)
    model = _class(name, head=bool(index % 2))(config).eval()
    adjust(model)
    inputs = make(build["inputs"], Sizes(1, LENGTH, SAMPLES, 3, IMAGE, IMAGE), config)
    with torch.no_grad():
        return type(model).__name__, of_trace(trace(export(model, (), inputs)))


def _class(name: str, *, head: bool) -> Any:
    import transformers
    from transformers.models.auto import modeling_auto

    tables = [f"MODEL_FOR_{one}_MAPPING_NAMES" for one in HEADS] if head else ["MODEL_MAPPING_NAMES"]
    found = next(table[name] for one in tables if name in (table := getattr(modeling_auto, one)))
    return getattr(transformers, found if isinstance(found, str) else found[0])


def report(place: Path, docs: Path) -> int:
    """Write architectures.json and architectures.md, and the pictures beside them, of what is there."""
    samples = list({one.name: one for one in read(place)}.values())
    tries = [row for name in TYPES for row in _rows(place / f"{name}.done")]
    counts = [one.features.counts() for one in samples]
    labels = {key: [one.labels[key] for one in samples] for key in KEYS}
    result = {
        "models": len(samples), "failed": sum("problem" in row for row in tries),
        "types": len(set(labels["model_type"])), "architectures": len(set(labels["architecture"])),
        "minutes": round(sum(row["seconds"] for row in tries if "seconds" in row) / 60, 1),
        "features": Vocabulary.of(counts, least=2).length,
        **{key: _learnt(counts, labels[key], [one.name.rpartition("/")[2] for one in samples]) for key in KEYS},
        "planted": _planted(samples),
        "commit": commit(), "machine": machine(),
    }  # fmt: skip
    docs.mkdir(parents=True, exist_ok=True)
    write_json(docs / "architectures.json", result)
    (docs / "architectures.md").write_text(_page(result), encoding="utf-8")
    write_vectors(place / "architectures.npz", samples, Vocabulary.of(counts, least=2))
    inputs = np.log1p(Vocabulary.of(counts, least=2).matrix(counts))
    scatter(docs / "architectures-components.png", principal_components(inputs), labels["model_type"])
    sizes = [sum(n for text, n in one.features.parameters.items() if " " not in text) for one in samples]
    distribution(docs / "architectures-models.png", labels["model_type"], sizes)
    met = [result[key]["merged"]["mean"] >= TARGETS[key] for key in KEYS]
    met += [result["planted"][name] >= TARGETS["planted"] for name in ("recall", "precision")]
    return 0 if all(met) else 1


def _learnt(counts: Sequence[Mapping[str, int]], labels: Sequence[str], draws: Sequence[str]) -> dict[str, Any]:
    """Accuracy of the classifier with the published settings, of raw classes, merged ones, and filtered.

    Types share their draws, so that twins of two merged types may lie on both sides of a fold: ``strict`` is the
    accuracy where all models of a draw are in the same fold.
    """
    found = pairs(counts, labels)
    groups = grouped(found, labels)
    merged = classes([groups[label] for label in labels])
    return {
        "pairs": [pair.to_json() for pair in found], "groups": sorted({one for one in groups.values() if "|" in one}),
        "raw": _accuracy(counts, classes(labels), Settings()), "merged": _accuracy(counts, merged, Settings()),
        "strict": _accuracy(counts, merged, Settings(), draws),
        "filtered": _accuracy(counts, merged, Settings(noise=NOISE)),
    }  # fmt: skip


def _accuracy(
    counts: Sequence[Mapping[str, int]], labels: Sequence[str], settings: Settings, draws: Sequence[str] | None = None
) -> dict[str, Any]:
    names, folds = cross_validate(counts, labels, settings, together=draws)
    each = [round(fold.accuracy, 4) for fold in folds]
    return {"classes": len(names), "others": sum(label == OTHERS for label in labels),
            "folds": each, "mean": round(sum(each) / len(each), 4)}  # fmt: skip


def _planted(samples: Sequence[Sample]) -> dict[str, Any]:
    """Of wrong labels that are put on 5 % of the models, those found; of labels called suspect, those put there."""
    draws = Draws("planted labels")
    names = sorted({one.labels["model_type"] for one in samples})
    raw = [one.labels["model_type"] for one in samples]
    groups = grouped(pairs([one.features.counts() for one in samples], raw), raw)
    wrong: dict[str, str] = {}
    for place in draws.order(range(len(samples)))[: round(PLANTED * len(samples))]:
        true = samples[place].labels["model_type"]
        wrong[samples[place].name] = draws.pick([name for name in names if name != true])
    labelled = [
        replace(one, labels={**one.labels, "model_type": wrong.get(one.name, one.labels["model_type"])})
        for one in samples
    ]
    found = check(labelled, "model_type", Settings(batch=32))
    suspects = {one.name for one in found.suspects}
    apart = {one.name for one in samples
             if one.name in wrong and groups[wrong[one.name]] != groups[one.labels["model_type"]]}  # fmt: skip
    right = suspects & set(wrong)
    return {
        "planted": len(wrong), "told_apart": len(apart), "suspects": len(suspects), "found": len(right),
        "recall": round(len(suspects & apart) / len(apart), 4) if apart else 0.0,
        "precision": round(len(right) / len(suspects), 4) if suspects else 0.0,
    }  # fmt: skip


def _page(result: Mapping[str, Any]) -> str:
    rows = [
        f"| {key} | {way} | {one['classes']} | {one['mean']:.1%} | "
        f"{' '.join(f'{fold:.1%}' for fold in one['folds'])} | "
        f"{TARGETS[key]:.0%} | {PUBLISHED[key] if way == 'raw' else ''} |"
        for key in KEYS for way in ("raw", "merged", "strict", "filtered") for one in (result[key][way],)
    ]  # fmt: skip
    groups = [f"- {key}: {', '.join(group.split('|'))}" for key in KEYS for group in result[key]["groups"]]
    return PAGE.format(**result, rows="\n".join(rows), groups="\n".join(groups) or "- none", put=result["planted"])


PAGE = """# Architectures

{models:,} models of {types} types and {architectures} classes, drawn at random, exported and traced in {minutes}
minutes; {failed} draws could not be built. {features:,} n-grams that two models or more have.

`make campaign-architectures` makes this page; what the words mean is in [architectures](../architectures.md).

| label | classes | how many | right, mean of 5 folds | each fold | wanted, merged | published |
|---|---|---|---|---|---|---|
{rows}

Merged classes are those whose graphs are the same; strict: the same classes, all models of one draw in the same fold;
filtered: merged, without the 5 % that a Gaussian mixture finds least likely.

Taken as one, since their graphs are the same:

{groups}

Wrong labels put on {put[planted]} models, {put[told_apart]} of them of a class that can be told apart: {put[suspects]}
labels are called suspect, {put[found]} of these were put there. Recall {put[recall]:.1%}, precision
{put[precision]:.1%}.

![Models of each type](architectures-models.png)

![The first two principal components](architectures-components.png)
"""


if __name__ == "__main__":
    sys.exit(main())
