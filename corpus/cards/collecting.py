"""Cards from the Hugging Face hub, and dumps of papers-with-code from its mirror there.

    <folder>/models/cards.jsonl     a line a model: {modelId, card, tags, pipeline_tag, modified}
    <folder>/datasets/cards.jsonl   a line a dataset: {id, card, tags, modified}
    <folder>/tasks/tasks.json       the hub's tasks with their descriptions
    <folder>/papers-with-code/      datasets.json.gz, evaluation-tables.json.gz, as published last
    <folder>/evaluations.jsonl      a line a result: {model, task, dataset, configuration, metric, value}

`corpus.cards.layouts` and `corpus.cards.catalogue` read these. A run goes on where it was ended. Requests
that the hub turns down for their number wait as long as it asks (huggingface_hub's own back-off).
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.cards.card import parse
from corpus.cards.catalogue import slug_of
from corpus.cards.reading import CARD_BYTES, CardsError, Problem, json_lines
from corpus.file import write_json, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["KINDS", "Collected", "Wanted", "collect"]

KINDS = ("tasks", "papers-with-code", "datasets", "models")
_MIRROR = "pwc-archive/files"
_DUMPS = re.compile(r"(?:^|[-_/])(?:datasets|evaluation-tables)\.json(?:\.gz)?$")
_LIST = {"models": "list_models", "datasets": "list_datasets"}
_KEY = {"models": "modelId", "datasets": "id"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the hub is asked for; ``limit``: so many models and datasets, most downloaded first; None: all."""

    kinds: tuple[str, ...] = KINDS
    search: str | None = None
    author: str | None = None
    tags: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(slots=True)
class Collected:
    """How much came, was there before and has not changed, has no card or one that is not shown to everybody."""

    fetched: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    without: dict[str, int] = field(default_factory=dict)
    evaluations: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def collect(folder: Path, wanted: Wanted, progress: Callable[[int], None] = lambda _: None) -> Collected:
    """Fetch what is wanted into a folder; each card is kept as soon as it is there.

    Raises:
        CardsError: no network, or the hub does not answer; what was fetched is kept.
        OSError: the folder cannot be written.
    """
    result = Collected()
    with _answering():
        _probe()
        for kind in KINDS:
            if kind not in wanted.kinds:
                continue
            if kind == "tasks":
                result.fetched[kind] = _tasks(folder / kind)
            elif kind == "papers-with-code":
                result.fetched[kind] = _dumps(folder / kind)
            else:
                _cards(folder / kind / "cards.jsonl", kind, wanted, result, progress)
    if (folder / "models" / "cards.jsonl").is_file():
        rows = _evaluations(folder / "models" / "cards.jsonl")
        result.evaluations = write_lines(folder / "evaluations.jsonl", rows)
    return result


@contextmanager
def _answering() -> Iterator[None]:
    """What the hub or the network refuses, as one line."""
    from httpx2 import HTTPError, HTTPStatusError
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    again = "what was fetched is kept, the same command goes on"
    try:
        yield
    except OfflineModeIsEnabled:
        raise CardsError("HF_HUB_OFFLINE is set: unset it to fetch cards, or match a folder of them") from None
    except HfHubHTTPError as problem:
        status = problem.response.status_code
        raise CardsError(f"{constants.ENDPOINT} answers {status} ({_line(problem)}); {again}") from None
    except HTTPStatusError as problem:
        status = problem.response.status_code
        raise CardsError(f"{constants.ENDPOINT} answers {status} to {problem.request.url}; {again}") from None
    except HTTPError as problem:
        why = f"{constants.ENDPOINT} cannot be reached ({_line(problem)}): a network is needed to fetch cards"
        raise CardsError(f"{why}; {again}") from None
    except (ConnectionError, TimeoutError) as problem:
        raise CardsError(f"{constants.ENDPOINT} cannot be reached ({_line(problem)}); {again}") from None


def _probe() -> None:
    """Ask once, without waiting and asking again: without a network that is told at once, and once."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        _get("/api/tasks", retries=0)
    finally:
        logging.set_verbosity(before)


def _get(path: str, retries: int = 5) -> Any:
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

    address = constants.ENDPOINT + path
    response = http_backoff("GET", address, max_retries=retries, headers=build_hf_headers(), timeout=30)
    hf_raise_for_status(response)
    return response.json()


# --- tasks and dumps --------------------------------------------------------------------------------------------------


def _tasks(folder: Path) -> int:
    """The hub's tasks as evaluation tables without results."""
    found = _get("/api/tasks")
    rows = [
        {"task": str(one.get("label") or name), "description": str(one.get("summary") or ""), "datasets": [],
         "synonyms": [name] if slug_of(str(one.get("label") or name)) != name else []}
        for name, one in sorted(found.items()) if isinstance(one, dict)
    ]  # fmt: skip
    write_json(folder / "tasks.json", rows)
    return len(rows)


def _dumps(folder: Path) -> int:
    """The newest dumps of the mirror; a download that was ended goes on."""
    from huggingface_hub import HfApi, hf_hub_download

    names = [name for name in HfApi().list_repo_files(_MIRROR, repo_type="dataset") if _DUMPS.search(name)]
    if not names:
        raise CardsError(
            f"the mirror {_MIRROR} holds no dumps of datasets and evaluation tables any more: name the others alone"
        )
    for name in sorted(names):
        hf_hub_download(_MIRROR, name, repo_type="dataset", local_dir=folder)
    return len(names)


# --- cards ------------------------------------------------------------------------------------------------------------


def _cards(
    path: Path, kind: str, wanted: Wanted, result: Collected, progress: Callable[[int], None]
) -> None:
    """Fetch the cards of a listing that are not there, or have changed since."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = _kept(path, _KEY[kind])
    counts = {"fetched": 0, "before": 0, "without": 0}
    try:
        with path.open("a", encoding="utf-8") as file:
            for one in _listing(kind, wanted):
                progress(1)
                modified = str(one.last_modified or "")
                if known.get(one.id) == modified:
                    counts["before"] += 1
                    continue
                row = {_KEY[kind]: one.id, "tags": list(one.tags or ()), "modified": modified, **_readme(one.id, kind)}
                if getattr(one, "pipeline_tag", None):
                    row["pipeline_tag"] = one.pipeline_tag
                file.write(json.dumps(row, sort_keys=True) + "\n")
                file.flush()
                counts["fetched" if row["card"] else "without"] += 1
    finally:
        for name, count in counts.items():
            getattr(result, name)[kind] = count
    _kept(path, _KEY[kind])


def _listing(kind: str, wanted: Wanted) -> Iterable[Any]:
    """What the hub has, those that are loaded most first; the pages are fetched as they are needed."""
    from huggingface_hub import HfApi

    expand = ["tags", "lastModified", *(["pipeline_tag"] if kind == "models" else [])]
    listing: Iterable[Any] = getattr(HfApi(), _LIST[kind])(
        search=wanted.search, author=wanted.author, filter=list(wanted.tags) or None, sort="downloads",
        limit=wanted.limit, expand=expand,
    )  # fmt: skip
    return listing


def _readme(name: str, kind: str) -> dict[str, Any]:
    """The text of a repository's card, its first 256 KiB; an empty one, and why, where there is none."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, http_stream_backoff

    address = hf_hub_url(name, "README.md", repo_type="dataset" if kind == "datasets" else None)
    with http_stream_backoff("GET", address, headers=build_hf_headers(), timeout=30, follow_redirects=True) as response:
        if response.status_code in {401, 403, 404, 410, 451}:
            return {"card": "", "absent": response.status_code}
        response.raise_for_status()
        data = b""
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > CARD_BYTES:
                return {"card": data[:CARD_BYTES].decode("utf-8", errors="ignore"), "cut": True}
    return {"card": data.decode("utf-8", errors="replace")}


def _kept(path: Path, key: str) -> dict[str, str]:
    """When what is there was modified, by name; lines that a kill has cut, or that a later one replaces, go."""
    if not path.is_file():
        return {}
    last: dict[str, tuple[int, str]] = {}
    lines = 0
    for number, row in json_lines(path):
        lines += 1
        if not isinstance(row, Problem) and isinstance(row.get(key), str):
            last[row[key]] = (number, str(row.get("modified", "")))
    if lines != len(last):
        keep = {number for number, _ in last.values()}
        write_lines(path, (row for number, row in json_lines(path) if number in keep and not isinstance(row, Problem)))
    return {name: modified for name, (_, modified) in last.items()}


def _evaluations(path: Path) -> Iterator[Mapping[str, Any]]:
    for _, row in json_lines(path):
        if isinstance(row, Problem) or not isinstance(row.get("card"), str):
            continue
        for one in parse(str(row.get("modelId")), row["card"]).results:
            for metric, value in one.metrics or (("", ""),):
                yield {"model": row["modelId"], "task": one.task, "dataset": one.identifier or one.name,
                       "configuration": one.configuration, "metric": metric, "value": value}  # fmt: skip


def _line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:160] or type(problem).__name__
