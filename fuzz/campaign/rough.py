"""What a failing answer is taken for before it is reduced: a key that costs one more run at the most.

Answers that fail alike at the same operator are most likely one bug, so that few of them need to be reduced
(``fuzz/campaign/schedule.py``). The key says the target, the signature, and of a wrong answer the operator at which it
first parts from the reference with all values exposed, and how it is wrong there; where that names one mistake whatever
the operator is (held in bfloat16), it stands alone. Of a refusal the key says the node that the message names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.contributed import qualified
from abstract.inference import infer_types
from abstract.program import parse
from backends.protocol import Outcome
from backends.tensor import Tensor, to_numpy
from fuzz.judge.divergence import expose, first_divergence
from fuzz.judge.judge import reference_values
from fuzz.judge.verdict import Word
from fuzz.triage.candidate import names_in
from fuzz.triage.relation import ANYWHERE, relation
from fuzz.triage.signature import element_types, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.tensor import Value
    from fuzz.execute.attempt import Attempt
    from fuzz.judge.divergence import Exposed
    from fuzz.judge.judge import Sample
    from fuzz.judge.verdict import Verdict

__all__ = ["rough_key", "site", "sites_of"]

_FEWEST = 4  # elements of a value: fewer may be wrong in some way by chance


def rough_key(
    target: str, model: bytes, samples: Sequence[Sample], verdict: Verdict, attempt: Attempt,
    run: Callable[[bytes], Attempt],
) -> tuple[str, str]:  # fmt: skip
    """The key of a failing answer, and the site where it seems to begin (``site``), empty where nothing tells.

    ``run`` makes the target run another model on the same inputs.
    """
    proto = onnx.ModelProto.FromString(model)
    signature = signature_of(verdict, attempt, names_in(proto))
    if verdict.verdict == Word.WRONG:
        node, how = _first_wrong(target, proto, samples, run)
        node = node or _maker(proto, verdict.output)
    else:
        node, how = _named(proto, attempt.message) if verdict.verdict == Word.REJECTED else None, ""
    where = "" if node is None else site(node, _types(proto))
    # Types are left out where the answer says how it is wrong: findings are told apart by operators then.
    what = how if how in ANYWHERE else f"{where.partition(':')[0]} {how}" if how else where
    return f"{target} | {signature} | {what}", where


def site(node: onnx.NodeProto, dtypes: Mapping[str, str]) -> str:
    """An operator and the element type of its first operand, as ``Conv:float``; the type is empty where unknown."""
    operands = [name for name in (*node.input[:1], *node.output[:1]) if name]
    return f"{qualified(node.domain, node.op_type)}:{dtypes.get(operands[0], '') if operands else ''}"


def sites_of(model: bytes) -> str:
    """The site of the last node of a reduced model, of which the others are the context; empty where there is none."""
    proto = onnx.ModelProto.FromString(model)
    nodes = [node for node in proto.graph.node if node.op_type != "Constant"]
    return site(nodes[-1], _types(proto)) if nodes else ""


def _types(proto: onnx.ModelProto) -> dict[str, str]:
    try:
        inferred = infer_types(proto)
    except Exception:  # noqa: BLE001 - then only what the model declares is known
        inferred = proto
    return {**element_types(inferred), **element_types(proto)}


def _first_wrong(
    target: str, proto: onnx.ModelProto, samples: Sequence[Sample], run: Callable[[bytes], Attempt]
) -> tuple[onnx.NodeProto | None, str]:
    """The first node that is wrong with all values exposed, and how; None where none is, or we cannot tell."""
    try:
        exposed = expose(proto.SerializeToString(deterministic=True))
        attempt = run(exposed.model)
        if attempt.outcome is not Outcome.OK:
            return None, ""
        for sample, outputs in zip(samples, attempt.outputs, strict=False):
            found = first_divergence(exposed, sample.inputs, outputs, target)
            if found.output:
                got = outputs[exposed.names.index(found.output)]
                return _maker(proto, found.output), _how(exposed, found.output, got, sample, target)
    except Exception:  # noqa: BLE001 - a key is a guess; what cannot be guessed is reduced
        return None, ""
    return None, ""


def _how(exposed: Exposed, name: str, got: Value, sample: Sample, target: str) -> str:
    """How a value relates to what is due; empty where it is no tensor, or too small to tell."""
    program = parse(onnx.ModelProto.FromString(exposed.model))
    due = reference_values(program, sample.inputs, target)[name].value
    if not isinstance(got, Tensor) or not isinstance(due, np.ndarray) or due.size < _FEWEST:
        return ""
    own, have = program.dtypes.get(name), to_numpy(got)
    return "" if own is None or own.numpy != have.dtype else relation(due.astype(own.numpy), have)


def _maker(proto: onnx.ModelProto, name: str | None) -> onnx.NodeProto | None:
    return next((node for node in proto.graph.node if name and name in node.output), None)


def _named(proto: onnx.ModelProto, message: str) -> onnx.NodeProto | None:
    """The first node whose name, or else whose output's name, a message repeats."""
    words = set(re.findall(r"[\w./:-]+", message))
    words |= {word.strip(".:") for word in words}
    by_name = (node for node in proto.graph.node if node.name and node.name in words)
    by_output = (node for node in proto.graph.node if words.intersection(node.output))
    return next(by_name, None) or next(by_output, None)
