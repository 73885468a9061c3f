"""What tells one bug from another: the verdict, the stage, what was said or how the answer differs, native frames.

While a model is reduced, its structure changes: ``Signature`` holds what must not. Of a reduced model the operators and
element types that are left belong to the bug as well: ``pattern`` names them; of a wrong answer ``fuzz.triage.extent``
says how far the bug reaches. ``identity`` is what findings are compared by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstract.dtypes import BY_CODE
from backends.graph import graphs
from fuzz.judge.crash import crash_frames, fatal_signal, normalised
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx

    from fuzz.execute.attempt import Attempt
    from fuzz.judge.verdict import Verdict

__all__ = ["Signature", "blamed", "element_types", "identity", "pattern", "signature_of"]

_REASON_LENGTH = 400
_LISTED = re.compile(r" \((in|out)puts are [^()]*\)")
"""What else a model has is none of the message: without it, inputs that do not matter can go."""
_OPERATOR = r"(?:op_type: ?|Op \(|while running )({})(?![A-Za-z0-9])"
_TAKEN = re.compile(r"\b(?:N|NAME)\b(?:[\s,;x*]+(?:N|NAME)\b)*")
_LEADING = re.compile(
    r"^(\w+(Error|Exception): )?(Exception from \S+|Traceback \(most recent call last\)):$"
    r"|unconverted_ops_report|^FrontEnd API failed with|^Model wasn't fully converted|^-- .* with a message:$"
)
"""Lines that say where something was told, and not what."""
_SYMPTOMS = (
    ("shape ", "shape"), ("element type ", "element type"), ("a sequence", "container"),
    ("a tensor where", "container"), ("one side is an absent", "container"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signature:
    """How something fails, in words that stay the same while its model gets smaller.

    ``symptom`` is, of a wrong answer, what is wrong of it (value, not finite, shape, element type, container, count);
    ``message`` what the target said, without what changes from model to model; ``frames`` the innermost native or
    Python frames of a crash.
    """

    word: str
    stage: str = ""
    symptom: str = ""
    message: str = ""
    frames: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = (self.word, f"at {self.stage}" if self.stage else "", self.symptom and f"({self.symptom})")
        text = " ".join(filter(None, parts))
        said = " < ".join(filter(None, (self.message, *self.frames)))
        return f"{text}: {said}" if said else text

    def to_json(self) -> dict[str, Any]:
        """As files and ``--json`` have it."""
        return {
            "word": self.word, "stage": self.stage, "symptom": self.symptom, "message": self.message,
            "frames": list(self.frames),
        }  # fmt: skip

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Signature:
        """What ``to_json`` gave."""
        return cls(**{**fields, "frames": tuple(fields["frames"])})


def signature_of(verdict: Verdict, attempt: Attempt, names: Iterable[str] = ()) -> Signature:
    """The signature of what a target did; ``names`` are those of the model, which a message may repeat."""
    word = Word(verdict.verdict)
    stage = attempt.stage.value if attempt.stage is not None else ""
    match word:
        case Word.WRONG:
            return Signature(word, symptom=_symptom(verdict))
        case Word.CRASH:
            return Signature(word, stage, message=fatal_signal(attempt.message), frames=crash_frames(attempt.stderr))
        case Word.REJECTED | Word.ERROR | Word.UNSUPPORTED:
            return Signature(word, stage, message=_said(attempt.message, names))
        case Word.TIMEOUT | Word.OOM:
            return Signature(word, stage)
    return Signature(word)


def _symptom(verdict: Verdict) -> str:
    message = verdict.message
    for beginning, symptom in _SYMPTOMS:
        if message.startswith(beginning):
            return symptom
    if re.match(r"\d+ outputs where", message):
        return "count"
    return "not finite" if _odd(verdict.actual) != _odd(verdict.expected) else "value"


def _odd(number: float | str | None) -> bool:
    """Whether it is NaN or an infinity, which a verdict holds as text."""
    return number in {"nan", "inf", "-inf"}


def _said(message: str, names: Iterable[str]) -> str:
    """What a message tells, without the model's names, numbers, paths; of lists of such things one is left.

    Names go before anything is cut off, and as identifiers as well, which is how compilers spell them.
    """
    text = _LISTED.sub("", _telling(message))
    spelled = {spelling for name in names for spelling in (name, re.sub(r"\W", "_", name))}
    for name in sorted(spelled, key=lambda n: (-len(n), n)):
        if len(name) > 1 and name in text:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "NAME", text)
    return _TAKEN.sub("N", normalised(text[:_REASON_LENGTH]))


def _telling(message: str) -> str:
    """The first line that is more than a place or a heading; what only leads to the next line, with that one."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    telling = [line for line in lines if not _LEADING.search(line)] or lines[:1]
    return " ".join(telling[: 2 if telling and telling[0].endswith(":") else 1])


def pattern(proto: onnx.ModelProto, dtypes: Mapping[str, str]) -> str:
    """The operators of a model, each with the element types that it reads, and who feeds whom.

    Nodes are told by what they are, not by their order in the file: two models of one structure have one text.
    ``dtypes`` are the element types of values by name.
    """
    texts: dict[str, str] = {}
    read: set[str] = set()
    for node in proto.graph.node:
        if node.op_type == "Constant":
            continue
        operands = [texts.get(name) or dtypes.get(name, "?") for name in node.input if name]
        inside = sorted({n.op_type for a in node.attribute for g in _bodies(a) for n in g.node})
        name = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        body = f"{{{','.join(inside)}}}" if inside else ""
        text = f"{name}{body}({','.join(_once(operands))})"
        texts.update(dict.fromkeys(node.output, text))
        read.update(node.input)
    ends = {texts[n] for node in proto.graph.node for n in node.output if n in texts and not read & set(node.output)}
    return "; ".join(sorted(ends))


def blamed(message: str, proto: onnx.ModelProto) -> str:
    """The operators of a model that a refusal puts itself down to, in its own words; empty where it names none."""
    held = {node.op_type for graph in graphs(proto.graph) for node in graph.node}
    found = re.findall(_OPERATOR.format("|".join(map(re.escape, sorted(held)))), message) if held else []
    return "; ".join(sorted(set(found)))


def _once(operands: list[str]) -> list[str]:
    """Operands of the same kind, one after another, are named once: Concat of three is Concat of two."""
    return [text for at, text in enumerate(operands) if not at or operands[at - 1] != text]


def _bodies(attribute: onnx.AttributeProto) -> Iterable[onnx.GraphProto]:
    for graph in (attribute.g, *attribute.graphs):
        yield from graphs(graph)


def identity(target: str, signature: Signature, reduced: str, reach: str = "") -> str:
    """What findings are compared by: the same text, the same bug.

    ``reach`` is the extent of a wrong answer in words, where that is known: it then stands for operators and types, and
    for what is wrong of the one answer that was reduced.
    """
    backend = target.partition(":")[0].partition("=")[0]
    return f"{backend} | {signature.word} | {reach}" if reach else f"{backend} | {signature} | {reduced}"


def element_types(proto: onnx.ModelProto) -> dict[str, str]:
    """The element types that a model declares, by name: of inputs, initializers, outputs and what else it tells."""
    found = {t.name: BY_CODE[t.data_type].name for t in proto.graph.initializer if t.data_type in BY_CODE}
    for info in (*proto.graph.value_info, *proto.graph.output, *proto.graph.input):
        code = info.type.tensor_type.elem_type
        if code in BY_CODE:
            found[info.name] = BY_CODE[code].name
    return found
