"""Which models there are to run: the scripts of a folder, and the families that stand in tables beside them.

Only first lines and tables are read, so that a list of thousands is there at once and needs none of their libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from corpus.family import load
from corpus.labels import matches, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from corpus.labels import Labels

__all__ = ["MODELS", "CatalogueError", "Entry", "entries", "find", "select"]

MODELS = Path(__file__).parent / "models"
"""The corpora that come with the project, a folder each."""

SEPARATOR = "::"
"""Between a script and a model of its family."""


class CatalogueError(ValueError):
    """A name of a model that there is none of; one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be named: a script, or one of the family that a script stands for.

    ``path`` is relative to the folder that was listed, with slashes, and ends with ``::NAME`` for one of a family.
    ``problem`` is why it does not run, as a survey found (benchmarks/corpus_survey.py); empty where it does.
    """

    name: str
    corpus: str
    path: str
    labels: Labels
    script: Path
    member: str = ""
    problem: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the script is to be given for this model."""
        return ("--model", self.member) if self.member else ()


def entries(root: Path = MODELS, *, problems: bool = False) -> tuple[Entry, ...]:
    """All models of a folder of scripts, or of one script, sorted by path.

    A file whose name begins with ``_`` is no script. A script in no subfolder belongs to the corpus that is named
    like the folder.

    Args:
        root: a folder, or a script.
        problems: those that are known not to run, in place of those that may.

    Raises:
        LabelsError, FamilyError: a first line or a table that cannot be read.
        OSError: the folder, or a file in it, cannot be read.
    """
    root = root.resolve()
    base = MODELS.resolve() if root.is_relative_to(MODELS.resolve()) else root.parent if root.is_file() else root
    scripts = [root] if root.is_file() else [p for p in sorted(root.rglob("*.py")) if not p.name.startswith("_")]
    found = (entry for script in scripts for entry in _of_script(script, base))
    return tuple(entry for entry in found if bool(entry.problem) == problems)


def select(
    entries: Sequence[Entry], globs: Sequence[str] = (), labels: Labels = MappingProxyType({})
) -> tuple[Entry, ...]:
    """Those that one of the globs names (all, where there is none) and that have the labels, in the order given.

    A glob goes by the path or an end of it that begins at a folder or a file (``timm.py::res*``), by the script alone
    (``timm/*.py``), by the corpus, or by the name.
    """
    return tuple(
        entry for entry in entries
        if (not globs or any(named(entry, glob) for glob in globs)) and matches(entry.labels, labels)
    )  # fmt: skip


def find(
    texts: Sequence[str] = (), labels: Labels = MappingProxyType({}), *, problems: bool = False
) -> tuple[Entry, ...]:
    """The models that texts name: globs over what comes with the project, or paths of the user's own scripts.

    A text is a glob of `select`, a script, or a folder of scripts; behind a script may stand ``::`` and a glob of the
    models of its family. Without any text it is all that comes with the project.

    Args:
        texts: what is asked for; each must name something.
        labels: what all of them must have.
        problems: as `entries`.

    Raises:
        CatalogueError: a text names nothing.
        LabelsError, FamilyError, OSError: as `entries`.
    """
    own = entries(problems=problems)
    found: dict[tuple[Path, str], Entry] = {}
    for text in texts or ("*",):
        named = _named_by(text, own, problems)
        if not named:
            raise CatalogueError(f"nothing is named like {text!r}{_near(text, own)}")
        found |= {(entry.script, entry.member): entry for entry in named}
    return select(tuple(found.values()), (), labels)


def _named_by(text: str, own: Sequence[Entry], problems: bool) -> tuple[Entry, ...]:
    """A script on disk, else a glob, else a folder on disk."""
    script, separator, member = text.partition(SEPARATOR)
    path = Path(script).expanduser()
    if path.is_file():
        return tuple(
            entry for entry in entries(path, problems=problems) if not separator or fnmatchcase(entry.member, member)
        )
    return select(own, (text,)) or (entries(path, problems=problems) if path.is_dir() and not separator else ())


def _near(text: str, own: Iterable[Entry]) -> str:
    from difflib import get_close_matches

    known = {entry.name: None for entry in own} | {entry.corpus: None for entry in own}
    close = get_close_matches(text.rpartition(SEPARATOR)[2], list(known), 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{hint}: `fuzz corpus list` shows all names; a folder or a script of your own is named by its path"


def named(entry: Entry, glob: str) -> bool:
    """Whether a glob names this model."""
    script = entry.path.partition(SEPARATOR)[0]
    if SEPARATOR in glob:
        return fnmatchcase(entry.path, glob) or fnmatchcase(entry.path, f"*/{glob}")
    return any(fnmatchcase(text, glob) for text in (script, script.rpartition("/")[2], entry.corpus, entry.name))


def _of_script(script: Path, root: Path) -> Iterator[Entry]:
    path = script.relative_to(root)
    corpus = path.parts[0] if len(path.parts) > 1 else root.resolve().name
    common = read(script)
    members = load(script)
    for name, member in members.items():
        labels = MappingProxyType({**common, "name": (name,), **member.labels})
        yield Entry(name, corpus, f"{path.as_posix()}{SEPARATOR}{name}", labels, script, name, member.problem)
    if not members:
        (name, *_) = common.get("name", (script.stem,))
        yield Entry(name, corpus, path.as_posix(), common, script)
