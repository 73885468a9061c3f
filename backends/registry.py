"""The table of backends: every row of the project, and those of plug-ins. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING

from backends.entry import Entry
from backends.rows import accelerators, compilers, edge, frameworks, gone, runtimes, tensorflow, tools

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BACKENDS", "NO_TELEMETRY", "ONE_THREAD", "installed_version", "is_installed"]

_ENTRIES = (
    *runtimes.ROWS, *compilers.ROWS, *frameworks.ROWS, *tools.ROWS, *edge.ROWS, *tensorflow.ROWS, *accelerators.ROWS,
    *gone.ROWS,
)  # fmt: skip
# Each worker starts with these: one thread everywhere, so that a result depends on nothing but the case.
ONE_THREAD: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TVM_NUM_THREADS", "NPROC", "PJRT_NPROC"), "1"
    )
)
# And with these: no runtime tells its makers what models it is given. ONNX Runtime 1.31 does so unless it is told not
# to, from whatever tool it runs in, and keeps a file in the user's cache for it.
NO_TELEMETRY: Mapping[str, str] = MappingProxyType({"ORT_DISABLE_TELEMETRY": "1"})


class _Table(Mapping[str, Entry]):
    """The backends of the project, and those of plug-ins, which are looked for when something is first asked."""

    @cached_property
    def _rows(self) -> Mapping[str, Entry]:
        from backends.plugin import plugins

        own = {entry.name: entry for entry in _ENTRIES}
        return {**own, **plugins(own)}

    def __getitem__(self, name: str) -> Entry:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


BACKENDS: Mapping[str, Entry] = _Table()


def is_installed(distribution: str) -> bool:
    """Whether this environment has a distribution."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def installed_version(entry: Entry) -> str | None:
    """The version of a backend in this environment, None where it is not installed. Imports nothing of it."""
    return next((metadata.version(name) for name in entry.distributions if is_installed(name)), None)
