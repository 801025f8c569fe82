"""Where the results of sources lie: a folder of this machine, or a prefix in object storage."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from streamcam.errors import UsageError
from streamcam.files import existing_ancestor
from streamcam.sinks.base import result_path
from streamcam.sinks.manifest import MANIFEST, Manifest, read_manifest
from streamcam.sinks.registry import remove_results
from streamcam.sources.registry import known_suffix
from streamcam.types import ResultPlace
from streamcam.urls import StorageUrl

_OUTPUT_HINT = "Name a folder; the files in it are named after their sources."


class ResultFolder(ABC):
    """The results of one source among those of others.

    Attributes:
        path: The local folder into which sinks write them.
        in_place: Whether that is where readers find them.
    """

    path: Path
    in_place: bool

    def manifest_path(self, stem: str) -> Path:
        return result_path(self.path, stem, MANIFEST.ending)

    @abstractmethod
    def read(self, stem: str) -> Manifest | None:
        """Read the manifest of a name; its paths lie in `path`.

        Raises:
            SinkError: The storage does not answer.
        """

    @abstractmethod
    def place_of(self, path: Path) -> ResultPlace:
        """Return where readers find what sinks write to `path`."""

    @abstractmethod
    def withdraw(self, stem: str) -> None:
        """Remove the manifest: from now on the files that it lists are replaced one by one.

        Raises:
            SinkError: The storage does not answer.
        """

    @abstractmethod
    def store(self, stem: str, outputs: Mapping[str, Path]) -> Mapping[str, str] | None:
        """Bring finished results to their place, and remove what is left of former ones.

        Returns their versions by kind, for the manifest; None where that has none.

        Raises:
            SinkError: They cannot be stored.
        """

    @abstractmethod
    def commit(self, manifest: Path) -> None:
        """Bring the manifest to its place: that makes the results complete; raises `SinkError`."""

    @abstractmethod
    def release(self, stem: str) -> None:
        """Remove what need not stay on this machine; idempotent."""


class LocalResultFolder(ResultFolder):
    """Results in a folder: what is written there is in its place."""

    in_place = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, stem: str) -> Manifest | None:
        return read_manifest(self.manifest_path(stem))

    def place_of(self, path: Path) -> ResultPlace:
        return path

    def withdraw(self, stem: str) -> None:
        with suppress(OSError):
            self.manifest_path(stem).unlink()

    def store(self, stem: str, outputs: Mapping[str, Path]) -> None:
        remove_results(self.path, stem, keep=outputs.values())

    def commit(self, manifest: Path) -> None:
        """It is there already."""

    def release(self, stem: str) -> None:
        """Everything stays."""


def result_folder(folder: Path | StorageUrl) -> ResultFolder:
    """Return the results' folder for the work on one source."""
    if isinstance(folder, Path):
        return LocalResultFolder(folder)
    from streamcam.pipeline.remote_result_folder import RemoteResultFolder

    return RemoteResultFolder(folder)


def check_output_folder(folder: Path | StorageUrl) -> None:
    """Raise an error where results cannot go.

    Raises:
        UsageError: It is a file, or is named like a video or picture, or what its storage needs is
            not installed.
        SinkError: There is no such bucket, or the storage does not answer.
    """
    if isinstance(folder, StorageUrl):
        from streamcam.storage.object_store import check_storage

        if known_suffix(Path(folder.name)):
            raise UsageError(
                f"--output: {folder} is named like a file; results need a prefix",
                hint=_OUTPUT_HINT,
            )
        check_storage(str(folder))
        return
    existing = existing_ancestor(folder)
    if not existing.is_dir():
        raise UsageError(
            f"--output: {existing} is a file; results need a folder", hint=_OUTPUT_HINT
        )
    if not folder.exists() and known_suffix(folder):
        raise UsageError(
            f"--output: {folder} is named like a file; results need a folder", hint=_OUTPUT_HINT
        )
