"""Which datasets and tasks there are: dumps of papers-with-code, folders of descriptions, dataset cards of the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.cards.card import Card, parse
from corpus.cards.names import Spelling, Spellings, key_of
from corpus.cards.reading import CardsError, Problem, files, json_lines, mappings, read_json, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Catalogue", "Dataset", "Task", "load", "own", "slug_of"]

_OWN = Path(__file__).with_name("data")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: its slug (papers-with-code's name in addresses), names, what it is, what it is used for.

    ``spellings``: other ways to write its name, and its variants. ``hub``: where a hub has it, as ``name``,
    ``owner/name``, or either with ``/viewer/configuration``. ``part_of``: the slug of a collection that it belongs to.
    ``tasks``: slugs.
    """

    slug: str
    name: str
    full_name: str = ""
    description: str = ""
    spellings: tuple[str, ...] = ()
    hub: tuple[str, ...] = ()
    part_of: str = ""
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its slug, name, description, other names."""

    slug: str
    name: str
    description: str = ""
    synonyms: tuple[str, ...] = ()


@dataclass(slots=True)
class Catalogue:
    """Datasets and tasks by slug, and what they are found by."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spellings: Spellings = field(default_factory=Spellings)
    hub: dict[tuple[str, str], str] = field(default_factory=dict)
    measured: list[tuple[str, str, str]] = field(default_factory=list)
    """Of evaluation tables, which know no slugs of datasets: name, description, the task's slug."""

    def add_dataset(self, dataset: Dataset) -> None:
        """Take a dataset, or what more is known of one that is there."""
        before = self.datasets.get(dataset.slug)
        self.datasets[dataset.slug] = dataset if before is None else _joined(before, dataset)

    def add_task(self, task: Task) -> None:
        """Take a task; of one that is there, a description that it lacks."""
        before = self.tasks.get(task.slug)
        if before is None:
            self.tasks[task.slug] = task
        elif not before.description or not before.synonyms:
            self.tasks[task.slug] = replace(
                before,
                description=before.description or task.description,
                synonyms=before.synonyms or task.synonyms,
            )

    def ready(self) -> None:
        """Build what names are found by: names first, then full names, spellings, and last what the hub calls it."""
        for names in (
            lambda one: (one.name, one.slug), lambda one: (one.full_name,), lambda one: one.spellings,
            lambda one: tuple(_bare(name) for name in one.hub if "/viewer/" not in name),
        ):  # fmt: skip
            for dataset in self.datasets.values():
                for name in names(dataset):
                    self.spellings.add(name, dataset.slug)
        for dataset in self.datasets.values():
            for name in dataset.hub:
                plain, _, configuration = name.partition("/viewer/")
                self.hub.setdefault((plain.casefold(), configuration.casefold()), dataset.slug)

    def on_hub(self, identifier: str, configuration: str = "") -> str | None:
        """The slug of a dataset by what a hub calls it; a configuration that is not known is no obstacle."""
        name, part = identifier.strip().casefold(), configuration.strip().casefold()
        for one in (name, _bare(name)):
            for other in dict.fromkeys((part, "")):
                if slug := self.hub.get((one, other)):
                    return slug
        return None

    def dataset_named(self, name: str) -> Spelling | None:
        """The dataset that a name is one of."""
        return self.spellings.exactly(name)

    def tasks_of_datasets(self) -> dict[str, tuple[str, ...]]:
        """The dataset → task map: the tasks, as slugs, that each dataset is used for; datasets without one too."""
        return {slug: dataset.tasks for slug, dataset in sorted(self.datasets.items())}


def slug_of(name: str) -> str:
    """The slug of a name: small letters and digits with hyphens between."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")


def own() -> Catalogue:
    """The catalogue that ships with the project: datasets and tasks that cards name most, in our own words."""
    return load([_OWN])


def load(sources: Sequence[Path]) -> Catalogue:
    """The catalogue of dumps and folders; what the shipped one knows of the spellings of the same datasets is added.

    A source is a dump of papers-with-code (``datasets.json``, ``evaluation-tables.json``, gzip'd or not, or JSON
    lines), a folder of such, a folder of descriptions (a file each, named by its slug, with the name in the first line;
    below ``dataset_desc`` or ``task_desc``), or a folder of dataset cards (``owner/name/README.md``).

    Raises:
        CardsError: a source that is not there; one of which nothing can be read.
    """
    catalogue = Catalogue()
    for source in sources:
        before = len(catalogue.datasets) + len(catalogue.tasks)
        _read(catalogue, source)
        if len(catalogue.datasets) + len(catalogue.tasks) == before:
            why = f": {catalogue.problems[-1].text}" if catalogue.problems else ""
            raise CardsError(
                f"{source} holds no datasets or tasks{why}: dumps of papers-with-code, folders of descriptions and of "
                "dataset cards are read"
            )
    _place(catalogue)
    if list(sources) != [_OWN]:
        _lend(catalogue, own())
    catalogue.ready()
    return catalogue


def _place(catalogue: Catalogue) -> None:
    """Give what evaluation tables measure on to the datasets of these names, else to new ones."""
    slugs = _slugs(catalogue)
    for name, description, task in catalogue.measured:
        key = key_of(name)
        slug = slugs.setdefault(key, slug_of(name)) if key else ""
        if slug:
            catalogue.add_dataset(Dataset(slug, name, description=description, tasks=(task,)))


def _slugs(catalogue: Catalogue) -> dict[str, str]:
    return {key_of(one.name): slug for slug, one in reversed(catalogue.datasets.items())}


def _lend(catalogue: Catalogue, shipped: Catalogue) -> None:
    """Add spellings, places on the hub and descriptions of tasks from the shipped catalogue to what is there."""
    slugs = _slugs(catalogue)
    for dataset in shipped.datasets.values():
        names = (dataset.name, dataset.full_name, *(one for one in dataset.spellings if len(one) >= 4))
        slug = next((slugs[key] for key in map(key_of, names) if key in slugs), None)
        slug = dataset.slug if dataset.slug in catalogue.datasets else slug
        if slug:
            part = dataset.part_of if dataset.part_of in catalogue.datasets else ""
            catalogue.add_dataset(replace(dataset, slug=slug, part_of=part, tasks=(), description=""))
    for task in shipped.tasks.values():
        if task.slug in catalogue.tasks:
            catalogue.add_task(task)


def _joined(one: Dataset, more: Dataset) -> Dataset:
    return replace(
        one,
        full_name=one.full_name or more.full_name, description=one.description or more.description,
        spellings=_merged(one.spellings, (more.name, *more.spellings)), hub=_merged(one.hub, more.hub),
        part_of=one.part_of or more.part_of, tasks=_merged(one.tasks, more.tasks),
    )  # fmt: skip


def _merged(one: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *more)))


# --- sources ---------------------------------------------------------------------------------------------------------


def _read(catalogue: Catalogue, source: Path) -> None:
    if source.is_dir():
        for found in files(source):
            if isinstance(found, Problem):
                catalogue.problems.append(found)
                continue
            parts = found.relative_to(source).parts
            # What begins with a point is of tools: git's, what downloads keep beside themselves.
            if any(part.startswith(".") for part in parts):
                continue
            try:
                _read_file(catalogue, found, parts, source)
            except CardsError as problem:
                catalogue.problems.append(Problem(str(found), str(problem)))
    elif source.is_file():
        _read_file(catalogue, source, (source.name,), source.parent)
    else:
        raise CardsError(f"{source} is not there: name a dump of papers-with-code or a folder of descriptions")


def _read_file(catalogue: Catalogue, path: Path, parts: tuple[str, ...], source: Path) -> None:
    name = path.name.removesuffix(".gz")
    if name.endswith(".json"):
        content = read_json(path)
        rows = content if isinstance(content, list) else [content]
        for row in rows:
            _take(catalogue, row)
    elif name.endswith((".jsonl", ".ndjson")):
        for _, row in json_lines(path):
            if isinstance(row, Problem):
                catalogue.problems.append(row)
            else:
                _take(catalogue, row)
    elif name in {"README.md", "readme.md"} and len(parts) > 1:
        _take_card(catalogue, parse("/".join(parts[:-1][-2:]), read_text(path).text))
    elif "." not in name[-5:] or name.endswith((".txt", ".md")):
        _take_description(catalogue, path, (source.name, *parts))


def _take(catalogue: Catalogue, row: Any) -> None:
    """A row of a dump: papers-with-code's of a dataset or task, else what the hub says of a dataset."""
    if not isinstance(row, dict):
        return
    if isinstance(row.get("task"), str) and isinstance(row.get("datasets"), list):
        _take_table(catalogue, row)
    elif isinstance(row.get("name"), str) and row["name"].strip() and "id" not in row:
        _take_dataset(catalogue, row)
    elif isinstance(row.get("id"), str) and isinstance(row.get("card"), str):
        card = parse(row["id"], row["card"])
        _take_card(catalogue, replace(card, tags=_merged(card.tags, _strings(row.get("tags")))))


def _take_dataset(catalogue: Catalogue, row: Mapping[str, Any]) -> None:
    name = " ".join(row["name"].split())
    slug = _last(row.get("url")) or slug_of(name)
    if not slug:
        return
    tasks = []
    for one in mappings(row.get("tasks")):
        label = _string(one.get("task"))
        task = _last(one.get("url")) or slug_of(label)
        if task:
            tasks.append(task)
            catalogue.add_task(Task(task, label or task))
    hub = (_after(_string(one.get("url")), "huggingface.co/datasets/") for one in mappings(row.get("data_loaders")))
    full_name, description = _string(row.get("full_name")), _string(row.get("description"))
    found = Dataset(slug, name, full_name, description, _strings(row.get("variants")), tuple(filter(None, hub)))
    catalogue.add_dataset(replace(found, part_of=_string(row.get("part_of")), tasks=_merged(tasks, ())))


def _take_table(catalogue: Catalogue, row: Mapping[str, Any]) -> None:
    """A task of the evaluation tables, the tasks below it, and the datasets that each is measured on."""
    pending = [row]
    while pending:
        one = pending.pop()
        name = _string(one.get("task"))
        slug = slug_of(name)
        if slug:
            catalogue.add_task(Task(slug, name, _string(one.get("description")), _strings(one.get("synonyms"))))
            for data in mappings(one.get("datasets")):
                catalogue.measured.append((_string(data.get("dataset")), _string(data.get("description")), slug))
        pending.extend(reversed(mappings(one.get("subtasks"))))


def _take_card(catalogue: Catalogue, card: Card) -> None:
    """A dataset's card on the hub: its tags and the first paragraph that is no heading."""
    prose = [block.strip() for block in re.split(r"\n\s*\n", card.body) if block.strip()]
    text = next((block for block in prose if block[0] not in "#<!-|[*`"), "")
    label = card.name.rpartition("/")[2]
    tasks = [tag.partition(":")[2] for tag in card.tags if tag.startswith("task_categories:")]
    for task in tasks:
        catalogue.add_task(Task(slug_of(task), task))
    catalogue.add_dataset(
        Dataset(slug_of(label), card.title or label, description=" ".join(text.split()), hub=(card.name,),
                tasks=tuple(map(slug_of, tasks)))
    )  # fmt: skip


def _take_description(catalogue: Catalogue, path: Path, parts: tuple[str, ...]) -> None:
    """A file of auto-model-development: the name in the first line, then the description."""
    slug = slug_of(path.name.removesuffix(".gz").removesuffix(".txt").removesuffix(".md"))
    name, _, text = read_text(path).text.strip().partition("\n")
    name = " ".join(name.split())
    if not slug or not name or len(name) > 200:
        return
    description = " ".join(text.split())
    folders = " ".join(parts[:-1])
    if "dataset_to_task" in folders:
        tasks = tuple(filter(None, (slug_of(line) for line in (name, *text.split("\n")))))
        catalogue.add_dataset(Dataset(slug, slug, tasks=tasks))
        for task in tasks:
            catalogue.add_task(Task(task, task))
    elif "task" in folders:
        catalogue.add_task(Task(slug, name, description))
    else:
        catalogue.add_dataset(Dataset(slug, name, description=description))


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(_string, value))) if isinstance(value, list) else ()


def _string(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _last(address: Any) -> str:
    return slug_of(_string(address).rstrip("/").rpartition("/")[2])


def _after(text: str, mark: str) -> str:
    return text.partition(mark)[2].strip("/")


def _bare(name: str) -> str:
    return name.rpartition("/")[2]
