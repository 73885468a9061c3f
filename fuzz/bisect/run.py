"""Findings taken through versions of their backends."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fuzz.bisect.answer import Answer, State, skipped
from fuzz.bisect.inquiry import Inquiry, Subject, subject_of
from fuzz.bisect.releases import in_order
from fuzz.bisect.search import search
from fuzz.errors import CaseError, TargetError
from fuzz.execute.environment import normal
from fuzz.execute.variant import varied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from fuzz.bisect.record import Record
    from fuzz.execute.target import Target

__all__ = ["Heard", "Ready", "bisect", "survey"]


class Ready(Protocol):
    """Gives the target of a text, its environment made where it is missing. Raises TargetError."""

    def __call__(self, text: str) -> Target:
        """Do it."""


class Heard(Protocol):
    """Is told each answer as it comes."""

    def __call__(self, record: Record, version: str, answer: Answer) -> None:
        """Hear it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    record: Record
    subject: Subject


def bisect(
    record: Record, versions: Sequence[str], known: str | None, inquiry: Inquiry, ready: Ready, hear: Heard
) -> None:
    """Find where a stretch of bad versions begins and ends; the answers go into the record.

    Args:
        record: of the finding.
        versions: what may be asked, oldest first.
        known: the version on which the finding was seen; None where nobody knows.
        inquiry: asks.
        ready: makes targets.
        hear: is told each answer.

    Raises:
        TargetError: no version of the finding's own can be had, and nothing says how it fails.
        StorageError: an answer cannot be written.
    """
    prepared: list[_Asked] = []

    def ask(place: int) -> State:
        version = versions[place]
        if record.known(version) is None and not prepared:
            prepared.extend(_prepared([record], lambda _: known, inquiry, ready, hear))
        answer = record.known(version)
        if answer is None:
            answer = _one(prepared[0], version, inquiry, ready)
            record.note(version, answer)
            hear(record, version, answer)
        return answer.state

    at = versions.index(normal(known)) if known is not None and normal(known) in versions else None
    search(ask, len(versions), at)


def _one(asked: _Asked, version: str, inquiry: Inquiry, ready: Ready) -> Answer:
    target = _target(asked.record, version, ready)
    if isinstance(target, Answer):
        return target
    return next(answer for _, answer in inquiry.ask(target, [asked.subject]))


def _target(record: Record, version: str, ready: Ready) -> Target | Answer:
    """A version's target, or why it cannot be had."""
    try:
        return ready(varied(record.finding.target, version=version))
    except TargetError as problem:
        return Answer(State.SKIP, skipped(f"cannot be had: {problem}").said, passing=True)


def _prepared(
    records: Sequence[Record], known: Callable[[Record], str | None], inquiry: Inquiry, ready: Ready, hear: Heard
) -> list[_Asked]:
    """Findings as they are asked about; each was asked where it was found, which tells what its plain form is worth."""
    groups: dict[str, list[tuple[Record, Subject]]] = {}
    for record in records:
        version = known(record)
        text = varied(record.finding.target, version=version) if version else record.finding.target
        groups.setdefault(text, []).append((record, _subject(record, text, inquiry, ready)))
    found = []
    for text, members in groups.items():
        target = ready(text)
        holders = {record.finding.folder: record for record, _ in members}
        for subject, answer in inquiry.confirm(target, [subject for _, subject in members]):
            record = holders[subject.finding.folder]
            if target.version and record.known(normal(target.version)) is None:
                record.note(normal(target.version), answer)
                hear(record, normal(target.version), answer)
            found.append(_Asked(record, subject))
    return found


def _subject(record: Record, text: str, inquiry: Inquiry, ready: Ready) -> Subject:
    """How it fails is written beside it, or seen on the target that it is said to fail on."""
    finding = record.finding
    signature = finding.signature
    if signature is None:
        seen = inquiry.observe(finding.case, ready(text))
        if not seen.finding:
            raise CaseError(f"{finding.name} does not fail on {text}: it is {seen.problem or seen.signature}")
        signature = seen.signature
    return subject_of(finding, signature)


def survey(
    records: Sequence[Record], versions: Callable[[Record], Iterable[str]], known: Callable[[Record], str | None],
    inquiry: Inquiry, ready: Ready, hear: Heard, jobs: int = 1,
) -> None:  # fmt: skip
    """Ask all given versions about all findings, ``jobs`` versions at a time; environments are made one by one.

    Raises as `bisect` does, and Interrupted.
    """
    due = {r.finding.folder: [v for v in versions(r) if r.known(normal(v)) is None] for r in records}
    asked = _prepared([r for r in records if due[r.finding.folder]], known, inquiry, ready, hear)
    with ThreadPoolExecutor(jobs, thread_name_prefix="bisect") as threads:
        try:
            running: set[Future[None]] = set()
            for texts in _groups(asked, due):
                target = _shared(texts, ready, hear)
                if target is None:
                    continue
                if len(running) >= jobs:
                    running = _one_done(running)
                running.add(threads.submit(_group, texts, target, inquiry, hear))
            while running:
                running = _one_done(running)
        except BaseException:
            inquiry.stop()
            threads.shutdown(cancel_futures=True)
            raise


@dataclass(frozen=True, slots=True)
class _Group:
    """A version of one target's text, and all that it is to be asked."""

    text: str
    version: str
    asked: tuple[_Asked, ...]


def _groups(asked: Sequence[_Asked], due: Mapping[Path, list[str]]) -> Iterator[_Group]:
    groups: dict[tuple[str, str], list[_Asked]] = {}
    for each in asked:
        for version in due[each.record.finding.folder]:
            if each.record.known(version) is None:
                text = varied(each.record.finding.target, version=version)
                groups.setdefault((text, version), []).append(each)
    ranks = {version: rank for rank, version in enumerate(in_order({version for _, version in groups}))}
    for text, version in sorted(groups, key=lambda key: (key[0].partition("=")[0], ranks[key[1]], key[0])):
        yield _Group(text, version, tuple(groups[text, version]))


def _shared(group: _Group, ready: Ready, hear: Heard) -> Target | None:
    """The group's target; where it cannot be had that is the answer to all."""
    found = _target(group.asked[0].record, group.version, ready)
    if not isinstance(found, Answer):
        return found
    for each in group.asked:
        each.record.note(group.version, found)
        hear(each.record, group.version, found)
    return None


def _group(group: _Group, target: Target, inquiry: Inquiry, hear: Heard) -> None:
    records = {each.subject.finding.folder: each.record for each in group.asked}
    for subject, answer in inquiry.ask(target, [each.subject for each in group.asked]):
        record = records[subject.finding.folder]
        record.note(group.version, answer)
        hear(record, group.version, answer)


def _one_done(running: set[Future[None]]) -> set[Future[None]]:
    done, rest = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return set(rest)
