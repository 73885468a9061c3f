"""A scene as a page of its own: moved and scaled with pointer and keys, its nodes searched; it loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.collection.drawing.svg import svg
from fuzz.report.document import document
from fuzz.report.markup import text

if TYPE_CHECKING:
    from fuzz.collection.drawing.scene import Scene

__all__ = ["view"]


def view(scene: Scene, name: str) -> str:
    """The HTML of the page. The same scene, the same text."""
    body = (
        f"<header><h1>{text(scene.told)}</h1>",
        '<input id="search" type="search" placeholder="Search nodes; Enter: next" aria-label="Search nodes">',
        '<output id="found" for="search"></output>',
        '<button id="out" aria-label="Smaller">−</button><button id="in" aria-label="Larger">+</button>',
        '<button id="fit" title="0">All</button></header>',
        f'<main id="view" tabindex="0">{svg(scene)}</main>',
    )
    return document(name, body, ["view.css"], "view.js", "fuzz.collection.drawing")
