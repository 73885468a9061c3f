"""The page docs/bait.md, made from the tables."""

from __future__ import annotations

from fuzz.generate.bait import PATTERNS
from fuzz.generate.bait.miss import MISSES

__all__ = ["page"]

_HEAD = """# Fusion bait

Made by `fuzz bait --markdown > docs/bait.md` from the tables in `fuzz/generate/bait/tables/`; do not edit it by hand.

A compiler's rewrite rules look for a few shapes of graph, which random models hold too seldom. `fuzz gen --bait` places
such shapes, each wired into what the model has already, and about half of them with one thing off: a *near-miss*,
after which the rewrite is mostly no longer right. Most wrong answers of optimisers are a match that was accepted
though one guard was missing.

    fuzz gen --bait all                    a fifth to four fifths of a model's turns, none in some models
    fuzz gen --bait matmul-add,attention   these patterns and themes alone
    fuzz gen --bait none

`case.json` keeps under `bait` what was placed: `{pattern, near_miss, at}`, where `at` names the last value of the
instance and `near_miss` is empty for the pattern as it stands. With `--for` those patterns are left out that hold an
operator that a target lacks; with `--opset` those that it has not.

## How a pattern is written

A row of a table is a name, a text, who rewrites it, and the element types that it is drawn on. The text is Python's
grammar:

- `Add(MatMul(x, W), B)` calls operators; `a, b = Split(x, ...)` names results, `;` separates statements.
- A name in lower case that nothing has bound is an operand: a value that the model has, or a new input. One in upper
  case is a constant. The same name is the same value. Where nothing says its shape, the operator's own row draws it.
- `x[n, c, 4]` says the shape: `n` and `c` are sizes, equal wherever they stand; `...` is any number of axes. `x[n]` on
  its own declares an operand ahead of its use.
- A number, or a list, is a constant of the type of what stands beside it, `uint8(128)` one of that type.
  `int8(W[k, n])` is an operand of that type, `scale(S[n])` one of small positive numbers.
- Keywords are attributes, and inputs that are attributes in all but name. `T` is the pattern's own element type, `b*s`
  a product of sizes, `y.shape[1]` a size of a value. `shuffled(x)` is a permutation of the axes of `x`, `inverse(p)`
  what undoes it, `where_in(a, p)` where axis `a` lies after it, `axis(x)` an axis, `pick(1, 2)` one of its arguments,
  `with_size(x, 1, n)` the shape of `x` with `n` at axis 1.
- `...` among the operands leaves the other attributes and optional operands to the operator's row.

To add one: a row in the table of its theme, citing pass and compiler as their source names them; the tests place every
row and each of its near-misses.

## Near-misses

| name | what is off |
|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    lines = [_HEAD.rstrip("\n")]
    lines += [f"| `{miss.name}` | {miss.purpose} |" for miss in MISSES.values()]
    theme = ""
    for row in PATTERNS.values():
        if row.theme != theme:
            theme = row.theme
            lines += ["", f"## {theme}", "", "| pattern | expression | rewritten by |", "|---|---|---|"]
        by = "; ".join(f"{r.compiler} {r.name}" for r in row.rewriters)
        lines.append(f"| `{row.name}` | `{row.text}` | {by} |")
    return "\n".join(lines) + "\n"
