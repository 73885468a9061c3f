"""The single passes that a backend can leave out, by the names that its option `disable` takes, kept as data.

One file a backend, ``backends/passes/NAME.json``, written by ``fuzz backends passes NAME --write``:

    {"backend": ..., "version": ..., "passes": [NAME, ...]}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER", "Passes", "load_passes"]

FOLDER = Path(__file__).parent / "passes"


@dataclass(frozen=True, slots=True)
class Passes:
    """What one version of a backend can leave out, sorted."""

    backend: str
    version: str
    names: tuple[str, ...]

    def to_json(self) -> str:
        """The file's text: a line a name."""
        names = ",\n".join(f"  {json.dumps(name)}" for name in self.names)
        head = f'"backend": {json.dumps(self.backend)}, "version": {json.dumps(self.version)}'
        return f'{{{head}, "passes": [\n{names}\n]}}\n'


def load_passes(backend: str, folder: Path = FOLDER) -> Passes | None:
    """The passes of a backend, None where nobody wrote them down. Raises ValueError for a file that is no table."""
    path = folder / f"{backend}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Passes(data["backend"], data["version"], tuple(data["passes"]))
