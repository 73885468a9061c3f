"""The table of hazards as a page of the documentation."""

from __future__ import annotations

from abstract.hazards.arithmetic import NARROW_OVERFLOW, WIDE_OVERFLOW
from abstract.hazards.groups import GROUPS
from abstract.hazards.hazard import Hazard, Says, Treatment

__all__ = ["page"]

_HEAD = """# What the specification leaves open

Made by `fuzz hazards --markdown > docs/hazards.md` from the tables in `abstract/hazards/`; do not edit it by hand.

A difference between two implementations is a bug only where ONNX's text fixes the result. Each row below is a condition
under which it does not, or under which implementations are known to disagree though it does. Versions are those of the
operator, not of the opset. What the text says was looked up in the schemas of the installed onnx, where a test looks it
up again.

| treatment | meaning |
|---|---|
| avoid | the generator never makes it; in a model from elsewhere the elements that it reaches are not judged |
| mask | it may be generated; the elements that it reaches are not judged |
| properties | only shape, type and number of outputs are compared |
| compare | fixed by the text, or by what all implementations do within the error bound: a difference is reported |

*May stop* marks what an implementation may refuse, trap on or never come back from: a crash, a refusal or a timeout
there is undecidable, not a finding. *Seen* marks what the reference detects as it runs a model. `fuzz check MODEL`
shows the hazards of one model on its inputs. Hazards inside of the bodies of Loop, Scan, If and functions are not
detected.
"""

_COLUMNS = """\
| hazard | operators | versions | condition | the text | treatment | may stop | seen |
|---|---|---|---|---|---|---|---|"""


def page() -> str:
    """The whole page in Markdown."""
    parts = [_HEAD]
    for title, rows in GROUPS:
        parts.extend((f"\n## {title}\n", _COLUMNS, *map(_row, rows)))
    every = [row for _, group in GROUPS for row in group]
    silent = sum(row.says is Says.SILENT for row in every)
    compared = sum(row.treatment is Treatment.COMPARE for row in every)
    parts.append(f"\n{len(every)} rows; of {silent} the text is silent; {compared} are compared all the same.")
    return "\n".join(parts) + "\n"


def _row(row: Hazard) -> str:
    seen = row.detect is not None or row in (NARROW_OVERFLOW, WIDE_OVERFLOW)
    cells = (
        f"`{row.id}`", ", ".join(row.operators), row.versions(), row.condition, f"{row.says.value} ({row.place})",
        row.treatment.value, "yes" if row.stops else "", "yes" if seen else "",
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
