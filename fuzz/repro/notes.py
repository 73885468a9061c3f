"""``NOTES.md``: a finding in the form that the project's tracker asks for, ready to be read once more and sent."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import onnx.printer

from backends.tensor import Tensor, to_numpy
from fuzz.execute.target import backend_of
from fuzz.judge.verdict import Word
from fuzz.repro.evidence import platform_text
from fuzz.triage.blamed import NOBODY, Blamed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.tensor import Value
    from fuzz.execute.target import Target
    from fuzz.repro.due import Due
    from fuzz.repro.evidence import Evidence
    from fuzz.repro.trackers import Tracker
    from fuzz.triage.candidate import Candidate

__all__ = ["PARTS", "Finding", "expected_reason", "notes", "summary"]

_LONG = 6000
_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """All that a report says.

    Attributes:
        pattern: the operators and types that are left.
        script: the text of ``repro.py``, empty where there is none.
        says: what that printed when it was run by itself.
        why_none: why there is none.
        versions: of Python and packages.
        install: what to type before the script runs.
        blamed: what `fuzz blame` has found of it, where that was asked on the same target.
        history: since which release it fails, where `fuzz bisect` was asked.
    """

    case: Candidate
    target: Target
    called: str
    evidence: Evidence
    pattern: str
    script: str
    says: str
    why_none: str
    versions: Mapping[str, str]
    install: str
    blamed: Blamed = NOBODY
    history: str = ""

    @property
    def word(self) -> str:
        """The verdict."""
        return self.evidence.last.signature.word


def notes(finding: Finding, tracker: Tracker) -> str:
    """The whole text: a title, then the headings of the tracker's form."""
    parts = []
    for heading, names in tracker.sections:
        texts = [PARTS[name](finding) for name in names.split()]
        parts.append("\n\n".join([heading, *filter(None, texts)]))
    where = f"For {tracker.name}: {tracker.address}".removesuffix(": ")
    return f"<!-- {where} -->\n\n# {tracker.title}{summary(finding)}\n\n" + "\n\n".join(parts) + "\n"


def summary(finding: Finding) -> str:
    """What is wrong, in one sentence."""
    version = f" {finding.target.version}" if finding.target.version else ""
    set_to = ", ".join(f"{key}={value}" for key, value in finding.target.options)
    subject = f"{finding.called}{version}{f' ({set_to})' if set_to else ''}"
    what = _operators(finding.pattern)
    good = next((r.what for r in finding.evidence.rulings if r.right and ":" in r.what and _own(finding, r.what)), "")
    right = finding.blamed.setting or good.partition(":")[2]
    setting = f", and is right with {right}" if right else ""
    return f"{subject} {_deed(finding)} {what}{setting}"


def _own(finding: Finding, text: str) -> bool:
    return backend_of(text) == finding.target.backend


def _operators(pattern: str) -> str:
    return pattern if len(pattern) <= 80 else f"{pattern[:77]}..."


def _deed(finding: Finding) -> str:
    """What the target does, as a verb."""
    seen = finding.evidence.last.signature
    if finding.word == Word.WRONG:
        return f"gives {_SYMPTOMS.get(seen.symptom, f'a wrong {seen.symptom}')} for"
    if finding.word == Word.CRASH:
        return f"dies ({seen.message or 'a signal'}) of"
    return _DEEDS.get(finding.word, f"is {finding.word} on")


_SYMPTOMS: Mapping[str, str] = {
    "value": "a wrong number", "not finite": "NaN or an infinity for a number (or the reverse)",
    "count": "a wrong number of outputs",
}  # fmt: skip
_DEEDS: Mapping[str, str] = {
    Word.REJECTED: "refuses the valid model", Word.TIMEOUT: "does not come to an end with",
    Word.OOM: "takes all memory for", Word.NONDETERMINISTIC: "answers otherwise from run to run for",
}  # fmt: skip


# --- the parts ------------------------------------------------------------------------------------------------------


def _model(finding: Finding) -> str:
    text = onnx.printer.to_text(finding.case.proto())
    if len(text) > _LONG:
        return "The model is in `model.onnx`; it is too long to be shown here."
    body = "\n".join(line.rstrip() for line in text.strip().splitlines())
    told = "The model in ONNX's text form (`onnx.parser.parse_model` reads it; `model.onnx` is the same):"
    return f"{told}\n\n```\n{body}\n```"


def _inputs(finding: Finding) -> str:
    lines = []
    for number, feed in enumerate(finding.case.feeds):
        behind = f" (data set {number})" if len(finding.case.feeds) > 1 else ""
        lines += [f"- `{name}`{behind}: {_value(value)}" for name, value in feed.items()]
    return "Inputs:\n\n" + "\n".join(lines) if lines else "It has no inputs."


def _value(value: Value) -> str:
    if isinstance(value, Tensor):
        array = to_numpy(value)
        shown = str(array.tolist()) if array.size <= _SHOWN else f"in `test_data_set_0`, {array.size} elements"
        return f"{value.element_type}, shape {list(value.shape)}: {shown}"
    return "absent" if value is None else f"a list of {len(value)}: {'; '.join(map(_value, value))}"


def _expected(finding: Finding) -> str:
    verdict = finding.evidence.last.verdict
    if finding.word == Word.WRONG and verdict is not None and verdict.index is not None:
        place = f"`{verdict.output}{list(verdict.index)}`"
        within = f", within {verdict.bound:.3g}" if verdict.bound else " exactly"
        text = f"Expected: {place} = {verdict.expected}{within}."
        return f"{text} {expected_reason(finding)}"
    shown = _due(finding.evidence.due[0]) if finding.evidence.due else ""
    return "\n\n".join(filter(None, (f"Expected: the model runs. {expected_reason(finding)}", shown)))


def _due(found: Sequence[Due]) -> str:
    lines = []
    for due in found:
        if due.value is not None:
            shown = str(due.value.tolist()) if due.value.size <= _SHOWN else f"{due.value.size} elements"
            lines.append(f"- `{due.name}`: {due.kind}, shape {list(due.value.shape)}: {shown}")
    return "\n".join(lines)


def expected_reason(finding: Finding) -> str:
    """Why that is due, in a sentence or two."""
    if finding.word == Word.NONDETERMINISTIC:
        return "The same model, inputs and settings must give the same bytes on one thread."
    text = "Each node was computed in float64 as ONNX's text says"
    if finding.word == Word.WRONG:
        return f"{text}, and the error carried along that rounding in the declared types may cost at most."
    return (
        f"ONNX's checker accepts the model with full checks and strict shape inference. {text}, which is defined here."
    )


def _got(finding: Finding) -> str:
    last, verdict = finding.evidence.last, finding.evidence.last.verdict
    if finding.word == Word.WRONG and verdict is not None:
        if verdict.index is None:
            return f"Got: {verdict.message}"
        ratio = f", {verdict.bound_ratio:.3g} times the bound" if verdict.bound_ratio else ""
        return f"Got: {verdict.actual}{ratio}."
    stage = f" at the stage {last.signature.stage}" if last.signature.stage else ""
    said = "" if verdict is None else verdict.message or last.said
    return f"Got: {finding.word}{stage}." + (f"\n\n```\n{_cut(said or last.said)}\n```" if said or last.said else "")


def _cut(text: str) -> str:
    return text.strip().replace("```", "'''")[:2000]


# Readers know another reference than the one that says what is due.
_CALLED = MappingProxyType({"reference": "ONNX's own evaluator (`onnx.reference`)"})


def _ruled_out(finding: Finding) -> str:
    lines = ["- a fresh process: it fails there alike"]
    for ruling in finding.evidence.rulings:
        said = f" ({ruling.said})" if ruling.said else ""
        lines.append(f"- {_CALLED.get(ruling.what, ruling.what)}: {ruling.verdict}{said}")
    if finding.blamed.told:
        lines.append(f"- switches of {finding.called}: {finding.blamed.told}")
    if finding.history:
        lines.append(f"- releases of {finding.called}: {finding.history}")
    return "What was ruled out, with the same model and inputs:\n\n" + "\n".join(lines)


def _command(finding: Finding) -> str:
    if finding.why_none:
        return f"There is no script: {finding.why_none}."
    typed = f"```\n{finding.install}\npython repro.py\n```"
    return f"{typed}\n\nIt exits with 1 while the bug is there, and prints:\n\n```\n{_cut(finding.says)}\n```"


def _script(finding: Finding) -> str:
    if not finding.script:
        return ""
    if len(finding.script) > _LONG + _LONG:
        return "`repro.py`, which is attached, with the files beside it."
    return f"`repro.py`:\n\n```python\n{finding.script.rstrip()}\n```"


def _log(finding: Finding) -> str:
    return f"```\n{_cut(finding.says or finding.evidence.last.said or '(nothing)')}\n```"


def _versions(finding: Finding) -> str:
    return "\n".join(f"- {name} {version}" for name, version in finding.versions.items())


def _files(finding: Finding) -> str:
    del finding
    return "`model.onnx` (attached)."


_MACHINES = {"x86_64": "X64", "AMD64": "X64", "aarch64": "ARM64", "arm64": "ARM64"}


def _machine(finding: Finding) -> str:
    del finding
    return _MACHINES.get(platform.machine(), "Other / Unknown")


def _device(finding: Finding) -> str:
    name = {"onnxruntime": {"cpu": "Default CPU"}}.get(finding.target.backend, {})
    return name.get(finding.target.device, finding.target.device.upper())


def _kernel(release: str) -> str:
    """The number of a kernel's release without what its builder wrote behind it."""
    return re.split(r"[^\d.]", release, maxsplit=1)[0]


def _saying(text: str) -> Callable[[Finding], str]:
    return lambda _: text


PARTS: Mapping[str, Callable[[Finding], str]] = {
    "summary": lambda finding: f"{summary(finding)}.",
    "model": _model, "inputs": _inputs, "expected": _expected, "got": _got, "ruled_out": _ruled_out,
    "command": _command, "script": _script, "log": _log, "versions": _versions, "files": _files, "machine": _machine,
    "device": _device,
    "platform": lambda _: f"{platform_text()}.",
    "system": lambda _: platform.system(), "release": lambda _: _kernel(platform.release()),
    "version": lambda finding: f"{finding.called} {finding.target.version}",
    "python": lambda finding: finding.versions.get("python", ""),
    "urgency": _saying("None: found by random tests of the compiler, in no product."),
    "released": _saying("Released Package"), "python_api": _saying("Python"),
    "triage": _saying("* needs-triage\n* frontend:onnx"), "framework": _saying("ONNX"),
    "fuzzer": _saying(
        "The model was generated by a fuzzer and reduced. What is due was computed in float64, and the tolerance is an "
        "error bound for each element; no indices of equal extrema are compared."
    ),
    "collect_env": _saying("(Add what `python -m torch.utils.collect_env` prints.)"),
    "checklist": _saying(
        "- [x] I'm reporting an issue. It's not a question.\n"
        "- [ ] I checked the problem with the documentation, FAQ, open issues, Stack Overflow, etc., and have not "
        "found a solution.\n"
        "- [x] There is reproducer code and related data files such as images, videos, models, etc."
    ),
    "component": _saying("Compiler"), "bug": _saying("Bug"), "binary": _saying("binary"), "yes": _saying("Yes"),
    "nightly": _saying("No"), "others": _saying("Others"), "nothing": _saying("```json\n{}\n```"),
    "wheel": _saying("The wheel of the Python package."),
    "checked": _saying("No: `onnx.checker` accepts the model, which was made directly."),
}  # fmt: skip
"""What may stand under a heading, by the names that `fuzz.repro.trackers` uses."""
