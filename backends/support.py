"""What a backend runs, as it was probed with single-operator models: operator x element type, kept as data.

One file a backend, ``backends/support/NAME.json``, written by ``fuzz backends probe NAME``:

    {"backend": ..., "version": ..., "opset": ..., "operators": {OPERATOR: {ELEMENT_TYPE: "yes" | "partly" | "no"}}}

``yes``: every probe reached the end of the run stage; ``partly``: some did (an attribute or a rank is lacking). The
type is that of the first input. Operators that have a second type (Cast's other one, Gather's indices) have pairs too,
``"float,int16"``, which count for more; the entry of the first type alone is then for all pairs together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FOLDER", "Support", "load_support"]

FOLDER = Path(__file__).parent / "support"


@dataclass(frozen=True, slots=True)
class Support:
    """The table of one backend at one version, probed at one opset."""

    backend: str
    version: str
    opset: int
    operators: Mapping[str, Mapping[str, str]]

    def supports(self, operator: str, first: str, second: str = "") -> bool:
        """Whether every probe of this operator on this type, or pair of types, ran; False for what was never probed.

        Without a second type: whether it ran with some second one. Where no pairs were probed the first type decides.
        """
        found = self.operators.get(operator, {})
        pairs = {name: word for name, word in found.items() if name.startswith(f"{first},")}
        if not pairs:
            return found.get(first) == "yes"
        return pairs.get(f"{first},{second}") == "yes" if second else "yes" in pairs.values()

    def updated(self, other: Support) -> Support:
        """This table with what another one has probed anew. Raises ValueError where that is of another version."""
        if (self.version, self.opset) != (other.version, other.opset):
            raise ValueError(
                f"the table is of {self.backend} {self.version} at opset {self.opset}, not of {other.version} at "
                f"{other.opset}: probe all of it anew"
            )
        merged = {name: {**self.operators.get(name, {}), **types} for name, types in other.operators.items()}
        return Support(self.backend, self.version, self.opset, {**self.operators, **merged})

    def to_json(self) -> str:
        """The file's text: a line an operator, keys sorted."""
        rows = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(dict(sorted(self.operators[name].items())))}"
            for name in sorted(self.operators)
        )
        head = f'"backend": {json.dumps(self.backend)}, "version": {json.dumps(self.version)}, "opset": {self.opset}'
        return f'{{{head},\n "operators": {{\n{rows}\n}}}}\n'


def load_support(backend: str, folder: Path = FOLDER) -> Support | None:
    """The table of a backend, None where it was never probed. Raises ValueError for a file that is no table."""
    path = folder / f"{backend}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Support(data["backend"], data["version"], data["opset"], data["operators"])
