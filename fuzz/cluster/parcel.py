"""What came of a task, with the files of the findings that it shows: on its way from a node to the driver."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fuzz.campaign.exhibit import PART
from fuzz.campaign.trial import Exhibit, Trial
from fuzz.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Parcel", "pack", "unpack"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A result; ``folders`` are those of an exhibit's sightings, each the content of its files by their paths."""

    result: Trial | Exhibit
    folders: tuple[dict[str, bytes], ...] = ()

    @property
    def key(self) -> tuple[int, str]:
        """Names the task that it came of."""
        return self.result.key


def pack(result: Trial | Exhibit) -> Parcel:
    """Take the folders of an exhibit from this machine's disk. Raises StorageError."""
    if isinstance(result, Trial):
        return Parcel(result)
    try:
        folders = tuple(_taken(sighting.folder) for sighting in result.sightings)
    except OSError as error:
        raise StorageError(f"a finding cannot be sent: {error.filename}: {error.strerror}") from None
    return Parcel(result, folders)


def _taken(folder: Path) -> dict[str, bytes]:
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    shutil.rmtree(folder)
    return files


def unpack(parcel: Parcel, parts: Path, name: str) -> Trial | Exhibit:
    """Put the folders of an exhibit under ``parts``, for the store to take; ``name`` tells them from others there.

    Raises StorageError, also for a path that leads elsewhere.
    """
    if isinstance(parcel.result, Trial):
        return parcel.result
    sightings = []
    for number, (sighting, files) in enumerate(zip(parcel.result.sightings, parcel.folders, strict=True)):
        folder = parts / f"{PART}{name}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for path, content in files.items():
                place = folder / _inside(path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        except OSError as error:
            raise StorageError(f"cannot write {folder}: {error.strerror}; give another --root") from None
        sightings.append(replace(sighting, folder=folder))
    return replace(parcel.result, sightings=tuple(sightings))


def _inside(path: str) -> PurePosixPath:
    read = PurePosixPath(path)
    if read.is_absolute() or ".." in read.parts:
        raise StorageError(f"a node sent a file that lies outside of its finding: {path}")
    return read
