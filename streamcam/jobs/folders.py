"""The watched folders, and which of the files in them are inputs."""

import fnmatch
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamcam.errors import UsageError
from streamcam.sinks.registry import is_result
from streamcam.sources.inputs import is_media

_TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", "~")
_DIGEST = 8


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is watched.

    Attributes:
        path: Absolute, links resolved.
        shelf: Where its results go below the output folder; empty when it is the only one.
    """

    path: Path
    shelf: str

    def stems(self, file: Path) -> list[str]:
        """Name a file's results: its place in the folder; the ending, a digest tell twins apart."""
        place = file.relative_to(self.path)
        digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:_DIGEST]
        names = (place.with_suffix(""), place, place.with_name(f"{place.name}~{digest}"))
        return [f"{self.shelf}/{name}".lstrip("/") for name in names]


def resolve_folders(paths: Sequence[Path], *, recursive: bool) -> list[Folder]:
    """Make folders of what a person named; each once.

    Raises:
        UsageError: One is a file, or lies inside another one.
    """
    resolved = list(dict.fromkeys(path.resolve() for path in paths))
    for path in resolved:
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is no folder", hint="Single files belong to `streamcam run`.")
        above = next((other for other in resolved if other in path.parents), None)
        if recursive and above is not None:
            raise UsageError(
                f"{path} lies inside {above}, which is watched with all its folders",
                hint="Name the outer one only, or add --no-recursive.",
            )
    return [Folder(path, shelf) for path, shelf in zip(resolved, _shelves(resolved), strict=True)]


def _shelves(paths: Sequence[Path]) -> list[str]:
    """Return each path's shortest tail that no other one has; nothing for a single path."""
    if len(paths) == 1:
        return [""]
    shelves = []
    for path in paths:
        tails = ["/".join(path.parts[-length:]) for length in range(1, len(path.parts) + 1)]
        others = [f"/{other.as_posix().lstrip('/')}" for other in paths if other != path]
        unique = (t for t in tails if not any(other.endswith(f"/{t}") for other in others))
        shelves.append(next(unique, tails[-1]).lstrip("/"))
    return shelves


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files below a folder are inputs.

    Attributes:
        recursive: Whether those in folders below count too.
        include: Patterns for names or paths; empty for whatever is named like media.
        exclude: Patterns for names or paths that never are inputs.
        ignored: Folders of our own: results, state, explained sources.
    """

    recursive: bool = True
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ignored: Sequence[Path] = ()

    def wants_file(self, folder: Path, file: Path) -> bool:
        """Tell by its name whether a file below a folder is an input."""
        if is_temporary(file.name) or is_result(file):
            return False
        place = file.relative_to(folder)
        if self.exclude and _matches(place, self.exclude):
            return False
        return _matches(place, self.include) if self.include else is_media(file)

    def wants_folder(self, folder: Path, below: Path) -> bool:
        """Tell whether the files of a folder below a watched one, and its folders', count."""
        if below == folder:
            return True
        if not self.recursive or below.name.startswith(".") or below in self.ignored:
            return False
        return not (self.exclude and _matches(below.relative_to(folder), self.exclude))

    def reaches_folder(self, folder: Path, below: Path) -> bool:
        """Tell whether a folder counts by its name and by those of all on the way to it."""
        if not below.is_relative_to(folder):
            return False
        depth = len(below.relative_to(folder).parts)
        return all(self.wants_folder(folder, p) for p in (below, *below.parents)[:depth])

    def reaches_file(self, folder: Path, file: Path) -> bool:
        """Tell whether a file is an input by its name and by those of the folders above it."""
        return self.reaches_folder(folder, file.parent) and self.wants_file(folder, file)


def is_temporary(name: str) -> bool:
    """Tell whether a name is one that programs give to files that are not finished."""
    return name.startswith((".", "~")) or name.lower().endswith(_TEMPORARY)


def scan(
    folder: Path, below: Path, selection: Selection, on_error: Callable[[Path, OSError], None]
) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the inputs in a folder and below: regular files, and links to them.

    Links to folders are not followed, so there are no loops. Nothing is opened.

    Args:
        folder: The watched folder.
        below: Where to begin: the folder itself, or one in it.
        selection: Which files count.
        on_error: Is told of folders that cannot be read.
    """
    waiting = [below]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as listing:
                entries = list(listing)
        except OSError as error:
            on_error(place, error)
            continue
        for entry in entries:
            path = Path(entry.path)
            if _is_folder(entry):
                if selection.wants_folder(folder, path):
                    waiting.append(path)
            elif selection.wants_file(folder, path):
                result = regular(entry)
                if result is not None:
                    yield path, result


def regular(entry: "os.DirEntry[str] | Path") -> os.stat_result | None:
    """Return the stat of a regular file or of a link to one; None for anything else."""
    try:
        result = entry.stat()
    except OSError:
        return None
    return result if stat.S_ISREG(result.st_mode) else None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _matches(place: Path, patterns: Sequence[str]) -> bool:
    text = place.as_posix()
    return any(
        fnmatch.fnmatchcase(text, pattern) or fnmatch.fnmatchcase(place.name, pattern)
        for pattern in patterns
    )
