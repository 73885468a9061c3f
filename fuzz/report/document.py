"""A page as a file of its own: everything inside of it, and a policy that lets it load or run nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from fuzz.report.markup import text

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ARROW", "document"]

ARROW = (
    '<svg class="sprite" aria-hidden="true"><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" '
    'markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></svg>'
)
"""What the pictures of graphs end their edges with; once a page."""


def document(
    title: str, body: Iterable[str], styles: Iterable[str], script: str, package: str = "fuzz.report"
) -> str:
    """The HTML of a page; ``styles`` and ``script`` are files of a package. The same arguments, the same bytes."""
    folder = files(package)
    style = "".join(folder.joinpath(name).read_text("utf-8") for name in styles)
    code = folder.joinpath(script).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>dnnfuzz: {text(title)}</title><style>{style}</style></head><body>",
            *body,
            f"<script>{code}</script></body></html>\n",
        )
    )
