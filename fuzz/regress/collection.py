"""Cases as tests of pytest: an item for each case on each target, expected to fail as the expectations say."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest

from fuzz.apart import Apart
from fuzz.case import CASES, MODEL, Case, data_sets_of
from fuzz.errors import FuzzError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.regress.examiner import Examiner, prepared
from fuzz.regress.expectations import FILE, Expectations, read_expectations, read_text
from fuzz.regress.ruling import Result, State
from fuzz.regress.words import result_lines

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from fuzz.execute.target import Target

__all__ = ["CaseFile", "CaseItem", "Collection"]


class CaseFailed(Exception):
    """A case failed, and no entry expects it so; or it could not be judged."""

    def __init__(self, result: Result) -> None:
        super().__init__("\n".join(result_lines(result)))


class CaseFailedAsExpected(CaseFailed):
    """A case failed as an entry says."""


class HarnessFailed(Exception):
    """A case that cannot be read, or a target that does not start."""


class Collection:
    """What collects cases, and asks the targets; the plugin that `--fuzz-backend` brings."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        self._config = config
        self._files: dict[Path, Expectations] = {}
        self._stack = ExitStack()
        self._examiners: dict[Path | None, Examiner] = {}
        self._limits = Limits(option("fuzz_timeout"), option("fuzz_memory") << 20)
        self._apart: Apart | None = None
        try:
            self.targets = parse_targets(tuple(option("fuzz_backends")))
            given = option("fuzz_expectations")
            self._given = self._read(config.invocation_params.dir / given) if given else None
        except FuzzError as problem:
            raise pytest.UsageError(str(problem)) from None

    # --- pytest's hooks ---------------------------------------------------------------------------------------------

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.File | None:
        """A model is a case."""
        if file_path.name != MODEL:
            return None
        return cast("pytest.File", CaseFile.from_parent(parent, path=file_path, collection=self))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Nothing of our code: a skipped case is where its model is, and what fails to be set up says why alone."""
        report = yield
        if report.failed and call.excinfo is not None and isinstance(call.excinfo.value, HarnessFailed):
            report.longrepr = str(call.excinfo.value)
        if isinstance(item, CaseItem) and report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), 1, report.longrepr[2])
        return report

    def pytest_unconfigure(self) -> None:
        """End the workers, and the process that judges."""
        self._stack.close()

    # --- cases ------------------------------------------------------------------------------------------------------

    def case_of(self, model: Path) -> tuple[Case, Expectations]:
        """The case of a model, and what is expected of it. Raises UsageError for expectations that make no sense."""
        known = self._given or self._nearest(model.parent)
        folder, base = model.parent, self._base(model, known)
        name = folder.name if folder == base else folder.relative_to(base).as_posix()
        return Case(name, folder, model, data_sets_of(folder)), known

    def _base(self, model: Path, known: Expectations) -> Path:
        """The folder by which a case is named: that of the expectations beside it, else what pytest was asked for."""
        start = self._config.invocation_params.dir
        asked = [(start / str(arg).partition("::")[0]).resolve() for arg in self._config.args]
        wanted = [(start / known.path).resolve().parent] if known.path is not None and not self._given else []
        own = (self._config.rootpath, model.parent)
        base = next(path for path in (*wanted, *asked, *own) if model.is_relative_to(path) and path.is_dir())
        cases = base / CASES
        return cases if model.is_relative_to(cases) else base

    def _nearest(self, folder: Path) -> Expectations:
        """The expectations in the nearest folder above a case that has some, not above pytest's root folder."""
        for place in (folder, *folder.parents):
            if (place / FILE).is_file():
                return self._read(place / FILE)
            if place == self._config.rootpath:
                break
        return Expectations()

    def _read(self, path: Path) -> Expectations:
        """A file of expectations, which is called as people at the terminal would call it."""
        path, start = path.resolve(), self._config.invocation_params.dir.resolve()
        if path not in self._files:
            shown = path.relative_to(start) if path.is_relative_to(start) else path
            self._files[path] = read_expectations(shown, read_text(path))
        return self._files[path]

    # --- targets ----------------------------------------------------------------------------------------------------

    def examiner(self, known: Expectations) -> Examiner:
        """Who asks the targets under these expectations; made when the first test runs."""
        if self._apart is None:
            self._apart = self._stack.enter_context(Apart())
        if known.path not in self._examiners:
            asker = Examiner(known, self._limits, self._apart, threading.Event())
            self._examiners[known.path] = self._stack.enter_context(asker)
        return self._examiners[known.path]


class CaseFile(pytest.File):
    """A folder with a model: an item for each target."""

    def __init__(self, *, collection: Collection, **others: Any) -> None:
        super().__init__(**others)
        self._collection = collection

    def collect(self) -> Iterator[pytest.Item]:
        """The items, in the order of the targets given."""
        try:
            case, known = self._collection.case_of(self.path)
        except FuzzError as problem:
            raise self.CollectError(str(problem)) from None
        for target in self._collection.targets:
            name = f"{case.id}[{target.canonical}]"
            yield CaseItem.from_parent(
                self, name=name, case=case, target=target, known=known, collection=self._collection
            )


class CaseItem(pytest.Item):
    """A case on a target."""

    def __init__(
        self, *, case: Case, target: Target, known: Expectations, collection: Collection, **others: Any
    ) -> None:
        super().__init__(**others)
        self._case, self._target, self._known, self._collection = case, target, known, collection
        entries = known.of(case.id, target)
        if entries:
            # Which of the entries expects it, if any does, tells the exception; the first names the reason.
            entry = next((entry for entry in entries if entry.strict), entries[0])
            reason = f"{entry.place}: {entry.said}"
            self.add_marker(pytest.mark.xfail(reason=reason, strict=entry.strict, raises=CaseFailedAsExpected))

    def setup(self) -> None:
        """What keeps a case from being run is pytest's *error*, not a failure."""
        problem = prepared(self._case).problem
        if problem:
            raise HarnessFailed(problem)
        try:
            self._collection.examiner(self._known).ready(self._target)
        except FuzzError as error:
            raise HarnessFailed(str(error)) from None

    def runtest(self) -> None:
        """Ask the target, and judge."""
        try:
            result = self._collection.examiner(self._known).examine(self._case, self._target)
        except FuzzError as error:
            raise HarnessFailed(str(error)) from None
        if result.state is State.EXPECTED:
            raise CaseFailedAsExpected(result)
        if result.state in {State.FAILED, State.ERROR}:
            raise CaseFailed(result)
        if result.state is State.SILENT:
            pytest.skip("; ".join(result_lines(result)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Got and expected, as `fuzz diff` shows them; no traceback of ours."""
        if isinstance(excinfo.value, CaseFailed | HarnessFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the test is."""
        return self.path, None, self.name
