"""`make campaign-valid`: 100,000 models over all settings, before the checker, the shape rules and ONNX Runtime.

python benchmarks/campaign_valid.py run      generate and check, a chunk after the other; goes on where it was
python benchmarks/campaign_valid.py report   docs/campaigns/valid.{json,md} from the chunks

Every model goes through ONNX's strict checker and its shape inference (strict, with data propagation), and through ONNX
Runtime without optimisation, in a worker of its own. What that says of a model is sorted by its text without names and
numbers; ``_KNOWN`` has what a person found out about each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from figure import clock, commit, machine, write_json
from generation import problem

from abstract.schema import newest_opset
from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.execute.start import start_worker
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
from fuzz.generate.choices import Seeded
from fuzz.generate.opsets import mixed
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support
from fuzz.pool import process_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fuzz.execute.worker import Worker

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
CHUNK = 250
_LIMITS = Limits(60.0, 4 << 30)
_ALL = Settings(bait=("all",), structure=("all",))
SETTINGS: Mapping[str, Settings] = {
    "default": mixed(_ALL),
    "dynamic": mixed(replace(_ALL, dynamic=True)),
    "1-40 nodes, static and dynamic": mixed(replace(_ALL, nodes=(1, 40), dynamic=None)),
    "opset 13": replace(_ALL, opset=13),
    "opset 17": replace(_ALL, opset=17, dynamic=None),
    "opset 21": replace(_ALL, opset=21),
    "newest opset": replace(_ALL, opset=newest_opset(), dynamic=None),
    "float and int64 alone": mixed(replace(_ALL, dtypes=("float", "int64"), dynamic=None)),
    "com.microsoft beside": mixed(replace(_ALL, domains=("com.microsoft",))),
    "one node": mixed(Settings(nodes=(1, 1), dynamic=None)),
}

# What is said of valid models (patterns), and why; docs/disputes.md has most. The rest is looked at one by one.
_KNOWN: Mapping[str, str] = {
    r"batch_size > 0 was false|q_sequence_length > 0 was false": "Attention of no batch, or of no queries",
    r"must have a non null shape": "com.microsoft.EmbedLayerNormalization: inference wants to know shapes",
    r"size attribute in UnfoldTensor": "com.microsoft.UnfoldTensor in a function: inference does not see its size",
    r"Op \(Sub\) \[ShapeInferenceError\] Incompatible":
    "com.microsoft.Attention: a width of 0 is inferred where nothing is known of the bias",
    r"NumDimensions\(\) == 4 was false": "LRN of other than four axes, which the schema has",
    r"size_ % 2 == 1 was false": "LRN of an even size, which the formula has",
    r"The only subscript labels allowed": "Einsum without a right-hand side: capitals are labels too",
    r"hidden_size": "RNN, GRU, LSTM without hidden_size, which is optional",
    r"NegativeLogLikelihoodLoss": "SoftmaxCrossEntropyLoss of bfloat16: the body of the function lacks the type",
    r"operator \(Where\) in node \(\)": "Clip of bfloat16 before opset 16: the body of the function lacks the type",
    r"zero point must be a (scalar|valid)": "zero points by row, which MatMulInteger and QLinearMatMul have",
    r"InsertedPrecisionFreeCast": "a Cast of ONNX Runtime's own making has the wrong type",
    r"Only N can be zero": "pools of tensors without elements",
    r"The dimension with value zero exceeds|cannot be reshaped .*Input shape:\{([^}]*,)?0[,}]":
    "the function's body (GroupNormalization, SoftmaxCrossEntropyLoss) reshapes nothing: 0 is read as 'the same'",
    r"Single dimension value must be greater": "StringNormalizer of no strings",
    r"IsPrimitiveDataType<T>\(dtype_\) was false": "QuantizeLinear with a scale of another float type",
    r"inconsistent q_sequence_length": "Attention with a mask that broadcasts",
    r"inconsistent total_sequence_length": "Attention with a mask shorter than the keys",
    r"(q_num_heads|head_size) > 0 was false": "Attention of no heads, or of heads of no size",
    r"Optype \(Add\) bound to different types":
    "Attention: the function's body adds a mask of its own, of float, to one of another type",
    r"output arg \(\w+\) of node \(\) does not match":
    "Attention with softmax_precision: the function's body gives the scores in that type",
    r"has no data attributes": "a model's own function that is called Constant",
    r"Type '(tensor\((float[48]|u?int[24]\))|optional).* of input parameter .* in node \(\w*call":
    "a function that calls another, of a type of 8 bits and fewer or an optional",
    r"must be topologically sorted|Op \(Loop\) \[TypeInferenceError\] Graph attribute inferencing failed: Node \(\) Op":
    "SequenceMap with a function (HardSwish, LeakyRelu) in its body: the Loop made of both reads what is not there",
    r"Invalid tensor data type 0": "com.microsoft.MultiHeadAttention with a past inside a function",
    r"Axes input is null|input count mismatch": "an optional last input left out by an empty name, as by a call",
    r"left operand cannot broadcast": "MatMul and its kin of a stack of no matrices",
    r"Input X must be 4D": "DeformConv of other than two axes",
    r"spatial dimensions must be non-empty": "GridSample of an empty picture, which is all padding",
    r"Unexpected mode of 3": "Pad of an empty tensor, mode wrap",
    r"Invalid input shape: \{([^}]*,)?0[,}]": "Conv and its kin of an empty picture, auto_pad SAME",
    r"must be at least 1, got 0": "LayerNormalization, RMSNormalization of nothing",
    r"dim0_offset < dim0_size was false": "Scan of no step",
    r"Currently do not support dims higher than 2": "Constant of a sparse_value that is an output of the graph",
    r"DoTransposeImpl": "Einsum of an empty tensor",
    r"num_input_channels: 0|shape from first output\{([^}]*,)?0[,}]":
    "a reduction of an empty tensor over a negative axis had the wrong shape before",
    r"stopped after": "Conv of no maps does not end: a finding",
    r"the worker died": "no refusal but a crash: a finding, see below",
}
# What was found in the run of one commit alone: mended since, or told by the models of single seeds.
_EMPTY = {
    r"size of scale != input channel count 4 vs. 2|idx=2 must be within":
    "a reduction of an empty tensor over a negative axis had the wrong shape before",
}  # fmt: skip
_WORKER = {r"Numpy_type": "**ours**, mended: the worker gave values of types that numpy lacks in place of defaults"}
_FOUND: Mapping[str, Mapping[str, str]] = {
    "e5907a2": {
        r"is not iterable": "**ours**, mended: text that CenterCropPad pads with numbers",
        r"unsupported type: tensor\(float6e2m3": "**ours**, mended: Shape of a type that the version lacks",
        r"Attempting to broadcast an axis":
        "**ours**, mended: Unique of equal numbers that are inexact, which elsewhere are not equal",
        r"window input must have rank|differ in rank: \(3\) vs|differ in dimension":
        "ONNX's inference, kept clear of since (docs/disputes.md)",
        r"Input shape mismatch|num_dims does not match|must have the same length|invalid expand shape|Indices dim=1"
        r"|is not equal to kernel channels|size of scale != input channel|'Cubic' mode only|pads_data.size\(\) ==":
        "a reduction of an empty tensor over a negative axis had the wrong shape before",
        **_EMPTY,
    },
    "d523d06": {
        r"out of bounds for uint": "**ours**, mended: bounds of Clip that the type does not hold",
        r"operands could not be broadcast": "**ours**, mended: overflow of constants was asked before their shapes",
        **_EMPTY, **_WORKER,
    },
    "7912019274": {
        r"has unsupported type|Invalid tensor data type 2[78]":
        "**ours**, mended: a type that the operator's version lacks",
        r"cannot reshape array|shape rule of Reshape": "**ours**, mended: Reshape merges axes of an empty tensor",
        r"fmod attribute must be true": "**ours**, mended: Mod of floats without fmod",
        r"axis must be in|Unexpected axis": "**ours**, mended: an axis that the tensor has not got",
        r"ufunc|out of bounds for uint":
        "**ours**, mended: bounds of Clip that the type does not hold, text of negative numbers cast to unsigned ones",
        r"RoiAlign node.*SafeIntOnOverflow":
        "**ours**, mended: a region that ends before it starts, which is left open",
        r"differ in rank: \(0\) vs|Negative dimension value|requested k elements|Target shape product":
        "ONNX's inference of Attention; what it lacks is said now",
        r"input 'sizes' \(0\)|differ in rank: \(3\) vs \(2\)":
        "ONNX's propagation through Slice behind a function; no longer made",
        r"Integer overflow in Mul": "ONNX's propagation refuses what wraps; no longer made",
        **_EMPTY, **_WORKER,
    },
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """So many seeds under one of the settings."""

    setting: str
    first: int

    def seeds(self) -> range:
        """Its seeds; no two chunks share one."""
        return range(self.first, self.first + CHUNK)


def chunks(total: int) -> Iterator[Chunk]:
    """The settings in turns."""
    names = list(SETTINGS)
    for index in range(total // CHUNK):
        yield Chunk(names[index % len(names)], index * CHUNK)


def work(chunk: Chunk) -> dict[str, Any]:
    """All models of a chunk; what each problem says, with its first seeds."""
    settings = SETTINGS[chunk.setting]
    supports = joint_support(settings.targets)
    outcomes: Counter[str] = Counter()
    told: dict[str, list[int]] = {}
    nodes = 0
    worker = start_worker(parse_target("onnxruntime:opt=0"), _LIMITS, Event())
    try:
        with clock() as spent:
            for seed in chunk.seeds():
                try:
                    made = generate_case(Seeded(seed), settings, supports)
                except Exception as bug:  # noqa: BLE001 - what the campaign is there to find
                    told.setdefault(f"generator: {type(bug).__name__}: {bug}", []).append(seed)
                    continue
                nodes += made.nodes
                refused = problem(made)
                if refused:
                    told.setdefault(f"checker: {refused}", []).append(seed)
                values = [list(s.inputs.values()) for s in made.data_sets]
                if not worker.alive or worker.bloated:
                    worker.close()
                    worker = start_worker(parse_target("onnxruntime:opt=0"), _LIMITS, Event())
                said, message = _asked(worker, made.model, values)
                outcomes[said.value] += 1
                if said not in (Outcome.OK, Outcome.UNSUPPORTED):
                    told.setdefault(f"onnxruntime {said.value}: {message}", []).append(seed)
    finally:
        worker.close()
    return {
        "setting": chunk.setting, "first": chunk.first, "models": CHUNK, "nodes": nodes, "outcomes": outcomes,
        "told": told, "cpu": spent.cpu,
    }  # fmt: skip


def _asked(worker: Worker, model: bytes, values: Sequence[Any]) -> tuple[Outcome, str]:
    attempt = worker.execute(encode(Frame("execute", {"folder": None}, values, model)))
    return attempt.outcome, attempt.message


def run(total: int, folder: Path, jobs: int) -> None:
    """Work through what is not done yet; one line of JSON a chunk."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "chunks.jsonl"
    have = {(row["setting"], row["first"]) for row in _rows(folder)}
    left = [chunk for chunk in chunks(total) if (chunk.setting, chunk.first) not in have]
    with process_pool(jobs) as pool, done.open("a", encoding="utf-8") as out:
        for count, row in enumerate(pool.map(work, left), 1):
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(f"\r{(len(have) + count) * CHUNK:,} of {total:,} models", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _rows(folder: Path) -> list[dict[str, Any]]:
    file = folder / "chunks.jsonl"
    if not file.exists():
        return []
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # the last one, where the machine went down while it was written
            continue
    return rows


def _kind(message: str) -> str:
    """A message without names and numbers."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\b[nvxwcb]\d+\w*|0x[0-9a-f]+|-?\d+(\.\d+)?(e-?\d+)?", "_", message)
    return " ".join(text.split())[:200]


_HEAD = """# Campaign: are the models valid?

{made}, commit {commit:.10}; `make campaign-valid` makes this page. onnx {onnx}, onnxruntime {onnxruntime}, numpy
{numpy}, Python {python}. {cpu:,.0f} s CPU.

{models:,} models with {nodes:,} nodes: {checker} refused by ONNX's strict checker or shape inference, {generator} that
the generator failed on. ONNX Runtime without optimisation: {outcomes}.

| settings | models | ok | unsupported | other |
|---|---:|---:|---:|---:|
{settings}

## What was said otherwise

| models | first seeds | what | why |
|---:|---|---|---|
{told}
"""


def report(folder: Path, docs: Path, made_at: str) -> int:
    """Write valid.json and valid.md of a run of a commit.

    Exit status 1 where nobody looked at the reason of a refusal.
    """
    reasons = {**_KNOWN, **next((of for start, of in _FOUND.items() if made_at.startswith(start)), {})}
    rows = _rows(folder)
    outcomes: Counter[str] = Counter()
    by_setting: dict[str, Counter[str]] = {}
    kinds: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for row in rows:
        outcomes.update(row["outcomes"])
        by_setting.setdefault(row["setting"], Counter()).update({**row["outcomes"], "models": row["models"]})
        for message, seeds in row["told"].items():
            for seed in seeds:
                kind = (_kind(message), _why(message, reasons))
                kinds.setdefault(kind, []).append((row["setting"], seed, message))
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": made_at, "machine": machine(),
        "models": sum(row["models"] for row in rows), "nodes": sum(row["nodes"] for row in rows),
        "cpu": sum(row["cpu"] for row in rows), "outcomes": outcomes,
        "checker": sum(len(found) for (kind, _), found in kinds.items() if kind.startswith("checker")),
        "generator": sum(len(found) for (kind, _), found in kinds.items() if kind.startswith("generator")),
        "settings": by_setting,
        "told": [
            {"kind": kind, "models": len(found), "example": found[0][2], "setting": found[0][0],
             "seeds": [seed for _, seed, _ in found[:3]], "why": why}
            for (kind, why), found in sorted(kinds.items(), key=lambda item: -len(item[1]))
        ],
    }  # fmt: skip
    write_json(docs / "valid.json", result)
    (docs / "valid.md").write_text(_page(result), encoding="utf-8")
    unknown = [row for row in result["told"] if not row["why"]]
    print(f"{result['models']:,} models, {len(unknown)} kinds of refusal that nobody looked at")
    return 1 if unknown else 0


def _why(message: str, reasons: Mapping[str, str]) -> str:
    return next((why for pattern, why in reasons.items() if re.search(pattern, message, re.DOTALL)), "")


def _page(result: Mapping[str, Any]) -> str:
    settings = []
    for name, counts in result["settings"].items():
        other = counts["models"] - counts.get("ok", 0) - counts.get("unsupported", 0)
        numbers = (counts["models"], counts.get("ok", 0), counts.get("unsupported", 0), other)
        settings.append(f"| {name} | " + " | ".join(f"{n:,}" for n in numbers) + " |")
    told = [
        f"| {row['models']:,} | {row['setting']}: {', '.join(map(str, row['seeds']))} "
        f"| {row['kind'].replace('|', '/')} | {row['why'] or '**not looked at**'} |"
        for row in result["told"]
    ]
    said = ", ".join(f"{count:,} {name}" for name, count in result["outcomes"].items() if count)
    return _HEAD.format(
        **{**result["machine"], **result, "outcomes": said, "settings": "\n".join(settings), "told": "\n".join(told)}
    )


def main() -> int:
    """Run or report."""
    parser = argparse.ArgumentParser(description="Are the models valid?")
    parser.add_argument("action", choices=("run", "report"))
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="models (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes")
    parser.add_argument("--place", default="build/campaign-valid", metavar="DIR", help="where chunks go")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where the report goes")
    parser.add_argument("--commit", default="", metavar="C", help="of which commit the chunks are (default: this one)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.action == "run":
        run(options.count, Path(options.place), options.jobs)
        return 0
    return report(Path(options.place), Path(options.docs), options.commit or commit())


if __name__ == "__main__":
    sys.exit(main())
