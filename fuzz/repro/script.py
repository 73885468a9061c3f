"""The text of ``repro.py``: one file, the backend's public interface, exit code 1 while the bug is there."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from textwrap import indent, wrap
from typing import TYPE_CHECKING

from backends.registry import NO_TELEMETRY
from fuzz.judge.verdict import Word
from fuzz.repro.recipe import NoRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fuzz.repro.recipe import Recipe

__all__ = ["KINDS", "Content", "Kind", "Subject", "script"]


class Kind(enum.Enum):
    """How a bug shows, and with it what a script does."""

    ANSWER = "answer"
    REFUSAL = "refusal"
    DEATH = "death"
    TIME = "time"
    MEMORY = "memory"
    CHANGE = "change"


KINDS: Mapping[str, Kind] = {
    Word.WRONG: Kind.ANSWER, Word.REJECTED: Kind.REFUSAL, Word.CRASH: Kind.DEATH, Word.TIMEOUT: Kind.TIME,
    Word.OOM: Kind.MEMORY, Word.NONDETERMINISTIC: Kind.CHANGE,
}  # fmt: skip
"""What is shown of each verdict that is a finding; of `slow` nothing is: a time depends on the machine."""


@dataclass(frozen=True, slots=True)
class Content:
    """How a script comes by a model and its inputs.

    Attributes:
        model: source of the lines that set MODEL.
        sets: source of the inputs of each data set: a dictionary.
        due: source of what is due, for each data set and each tensor: a tuple.
        listed: whether an output is a sequence.
        files: what must lie beside the script for all that, by path.
    """

    model: str
    sets: tuple[str, ...]
    due: tuple[tuple[str, ...], ...]
    listed: bool
    files: Mapping[str, bytes]

    @property
    def beside(self) -> bool:
        """Whether the script reads files."""
        return "read(" in "".join((self.model, *self.sets, *(row for rows in self.due for row in rows)))


@dataclass(frozen=True, slots=True)
class Subject:
    """What a script is about: a title in one line, the verdict, what to install, the limits that were exceeded."""

    title: str
    word: str
    install: str
    seconds: float
    memory: int
    environment: tuple[tuple[str, str], ...] = ()


def script(subject: Subject, recipe: Recipe, content: Content) -> str:
    """The script. Raises NoRecipe where there is none for such a verdict."""
    kind = KINDS.get(subject.word)
    if kind is None:
        raise NoRecipe(f"a script cannot show that something is {subject.word}: it depends on the machine")
    parts = [
        _head(subject, recipe, content, kind), _READ if content.beside else "", content.model, _inputs(content),
        _due(content), recipe.build, _fault(content), _calls(content),
        _MAIN[kind].format(seconds=f"{subject.seconds:g}", memory=subject.memory >> 20),
        'if __name__ == "__main__":\n    sys.exit(main())',
    ]  # fmt: skip
    return "\n\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _head(subject: Subject, recipe: Recipe, content: Content, kind: Kind) -> str:
    """What the script says of itself, and its imports; without a package it ends with 2."""
    beside = "It reads model.onnx and test_data_set_* beside it.\n" if content.beside else ""
    text = (
        f'"""{_paragraph(subject.title)}\n\n{indent(subject.install, "    ")}\n    python repro.py\n\n{beside}'
        "Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.\n"
        '"""\n'
    )
    written = (content.model, recipe.build, recipe.before, _MAIN[kind], *content.sets, *map("".join, content.due))
    body = "\n".join((_READ if content.beside else "", *written))
    silent = NO_TELEMETRY.items() if "import onnxruntime" in recipe.imports else ()
    variables = (*silent, *recipe.environment, *subject.environment)
    used = set(re.findall(r"(?<![\w.])(\w+(?:\.util)?)\.", body)) | {"sys"} | ({"os"} if variables else set())
    standard = [name for name in _STANDARD if name in used]
    found = recipe.imports.split("\n")
    plain = [line for line in found if line.removeprefix("import ") in _STANDARD]
    theirs = [line for line in found if line not in plain]
    names = dict.fromkeys(sorted((*(f"import {name}" for name in standard), *plain), key=str.lower))
    text += "\n" + "\n".join(names)
    text += "\n" if variables else ""
    text += "".join(f'\nos.environ["{name}"] = "{value}"' for name, value in variables)
    always = ["import numpy as np", "import onnx"]
    always += [f"import {name}" for name in ("onnx.numpy_helper", "onnx.parser", "ml_dtypes") if f"{name}." in body]
    tried = "\n".join(dict.fromkeys((*always, *([recipe.before] if recipe.before else []), *theirs)))
    return f"{text}\n\ntry:\n{indent(tried, '    ')}\n{_MISSING}"


_READ = '''
def read(path):
    """What lies beside this script: a model, a tensor, or a list of tensors."""
    data = (pathlib.Path(__file__).parent / path).read_bytes()
    if path.endswith(".onnx"):
        return onnx.load_model_from_string(data)
    if "/list_" in path:
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(data))
'''
_STANDARD = (
    "ctypes",
    "importlib.util",
    "os",
    "pathlib",
    "re",
    "signal",
    "subprocess",
    "sys",
    "tempfile",
    "time",
    "types",
)
_MISSING = """except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)"""


def _paragraph(text: str) -> str:
    return "\n".join(wrap(text.replace("\\", "/").replace('"""', "'''"), 100))


def _inputs(content: Content) -> str:
    if len(content.sets) == 1:
        return f"INPUTS = {content.sets[0]}"
    listed = ",\n".join(indent(each, "    ") for each in content.sets)
    return f"# Run one after another, compiled once.\nSETS = [\n{listed},\n]\nINPUTS = SETS[0]"


# --- what is due ----------------------------------------------------------------------------------------------------

_DUE_TEXT = """# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to."""


def _due(content: Content) -> str:
    """DUE: for each tensor its name, type, value and tolerance."""
    if len(content.due) == 1:
        return f"{_DUE_TEXT}\nDUE = [\n{_rows(content.due[0])}\n]"
    listed = "\n".join(f"    [\n{indent(_rows(each), '    ')}\n    ]," for each in content.due)
    return f"{_DUE_TEXT}\nDUES = [\n{listed}\n]\nDUE = DUES[0]"


def _rows(found: Sequence[str]) -> str:
    return "\n".join(f"    {row}," for row in found)


_ABSENT = """    if due is None:
        return "" if got is None else f"{name} is an absent optional, got {got}"
    if got is None:
        return f"{name} is absent"
"""
_NUMBERS = """    with np.errstate(all="ignore"):
        held = got.astype(due.dtype)
        same = (held == due) | ((held != held) & (due != due))  # NaN is due where NaN is
        far = np.where(same, 0, np.abs(held.astype(WIDE) - due.astype(WIDE)))
        wrong = ~same & (~(far <= tolerance) | np.equal(tolerance, 0)) & np.isfinite(tolerance)
"""
_TEXTS = """    far, wrong = np.ones(due.shape), got.astype(object) != due
"""
_FAULT = '''
def fault(name, kind, due, tolerance, got):
    """What is wrong of an output, in a line; empty where nothing is."""
ABSENT    got = np.asarray(got)
    if KIND != kind:
        return f"{name} has the element type {kind}, got {got.dtype.name}"
    if got.shape != due.shape:
        return f"{name} has the shape {list(due.shape)}, got {list(got.shape)}"
COMPARE    if not wrong.any():
        return ""
    worst = np.where(wrong, np.nan_to_num(far / np.maximum(tolerance, 1e-300), nan=np.inf), -1)
    at = np.unravel_index(int(np.argmax(worst)), due.shape)
    place = f"{name}{list(map(int, at))}" if due.ndim else name
    allowed = np.broadcast_to(tolerance, due.shape)[at]
    whole = f"; all of it: {got.tolist()} where {due.tolist()} is due" if 1 < due.size <= 16 else ""
    return (f"{place}: expected {due[at]}, got {got[at]}, tolerance {allowed:.3g}; "
            f"{int(wrong.sum())} of {due.size} elements are wrong{whole}")
'''


def _fault(content: Content) -> str:
    """The comparison of one tensor, as long as what is due asks for."""
    rows = "".join(row for each in content.due for row in each)
    texts, absent = '"object"' in rows, "None, None)" in rows
    compare = _NUMBERS.replace("WIDE", "complex" if '"complex' in rows else "float")
    if texts:
        compare = f'    if kind == "object":\n{indent(_TEXTS, "    ")}    else:\n{indent(compare, "    ")}'
    kind = '(got.dtype.name if got.dtype.kind not in "OUS" else "object")' if texts else "got.dtype.name"
    return _FAULT.replace("ABSENT", _ABSENT if absent else "").replace("KIND", kind).replace("COMPARE", compare)


def _calls(content: Content) -> str:
    """``answers`` and ``faults``: one compiled model on all data sets, compared with what is due."""
    several = len(content.sets) > 1
    flat = (
        "[part for value in {0} for part in (value if isinstance(value, list) else [value])]"
        if content.listed
        else "{0}"
    )
    one = flat.format("run(INPUTS)")
    each = flat.format("run(inputs)")
    answers = f"[{each} for inputs in SETS]" if several else f"[{one}]"
    return f'''
def answers():
    """The outputs of each data set."""
    run = build(MODEL)
    return {answers}


def faults(given):
    """What is wrong of them, a line each."""
    found = []
    for due, outputs in zip({"DUES" if several else "[DUE]"}, given):
        if len(outputs) != len(due):
            found.append(f"{{len(due)}} outputs are due, got {{len(outputs)}}")
        found += filter(None, (fault(*row, got) for row, got in zip(due, outputs)))
    return found
'''


# --- what is done with it -------------------------------------------------------------------------------------------

_COMPARED = '''
def main():
    """Compute, compare, tell."""
    try:
        given = answers()
    except Exception as problem:
        print(f"TOLD: {{type(problem).__name__}}: {{problem}}")
        return STATUS
    found = faults(given)
    for line in found:
        print(f"BUG: {{line}}")
    if not found:
        print("ok: each element is what is due")
    return 1 if found else 0
'''
_HERE = '''
def here():
    """Compute and compare in this process: what it ends with is told by the one that has started it."""
    try:
        found = faults(answers())
    except MemoryError as problem:
        print(f"BUG: {{problem!r}}")
        return 1
    except Exception as problem:
        print(f"no longer as it was, but refused: {{type(problem).__name__}}: {{problem}}")
        return 2
    for line in found:
        print(f"BUG: {{line}}")
    if not found:
        print("ok: each element is what is due")
    return 1 if found else 0
'''
_DEATH = (
    _HERE
    + '''

def main():
    """Have another process compute, and tell what it dies of; three times, for memory is not always the same."""
    if "--here" in sys.argv:
        return here()
    status = 0
    for _ in range(3):
        status = subprocess.run([sys.executable, __file__, "--here"]).returncode
        if status not in (0, 1, 2):
            name = signal.Signals(-status).name if status < 0 else f"exit status {{status:#x}}"
            print(f"BUG: the process dies of it: {{name}}")
            return 1
    return status
'''
)
_TIME = (
    _HERE
    + '''

def main():
    """Have another process compute, and wait for it."""
    if "--here" in sys.argv:
        return here()
    try:
        return subprocess.run([sys.executable, __file__, "--here"], timeout={seconds}).returncode
    except subprocess.TimeoutExpired:
        print("BUG: it is not done after {seconds} seconds")
        return 1
'''
)
_MEMORY = (
    _HERE
    + '''

def main():
    """Have another process compute, and look how much memory it holds (on Linux)."""
    if "--here" in sys.argv:
        return here()
    child = subprocess.Popen([sys.executable, __file__, "--here"])
    while child.poll() is None:
        try:
            pages = int(pathlib.Path(f"/proc/{{child.pid}}/statm").read_text().split()[1])
        except (OSError, IndexError):
            pages = 0
        if pages * os.sysconf("SC_PAGESIZE") > {memory} << 20:
            child.kill()
            print("BUG: it holds more than {memory} MiB of memory")
            return 1
        time.sleep(0.05)
    return child.returncode
'''
)
_CHANGE = '''
def main():
    """Compute the same again and again, and compare bytes."""
    first = None
    for _ in range(4):
        run = build(MODEL)
        for _ in range(33):
            given = [np.asarray(output) for output in run(INPUTS)]
            first = given if first is None else first
            for (name, *_), one, other in zip(DUE, first, given):
                if one.shape != other.shape or one.tobytes() != other.tobytes():
                    print(f"BUG: {{name}} changes from run to run: {{one.tolist()}}, then {{other.tolist()}}")
                    return 1
    print("ok: the same bytes in 132 runs")
    return 0
'''
_MAIN: Mapping[Kind, str] = {
    Kind.ANSWER: _COMPARED.replace("TOLD", "cannot tell, it is refused").replace("STATUS", "2"),
    Kind.REFUSAL: _COMPARED.replace("TOLD", "BUG: the model is valid and is refused").replace("STATUS", "1"),
    Kind.DEATH: _DEATH,
    Kind.TIME: _TIME,
    Kind.MEMORY: _MEMORY,
    Kind.CHANGE: _CHANGE,
}
