"""Results in object storage: made on this machine, uploaded whole, the manifest last.

Several machines may write the same results, since storage has no locks. Under the same engine key
they write the same bytes, and nothing is lost but time. Under different ones files of both may
stand side by side for a while; the manifest tells the versions of its files (entity tags), so that
such results never count as complete, and are made again.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from streamcam.pipeline.result_folder import ResultFolder
from streamcam.sinks.manifest import Manifest, parse_manifest
from streamcam.sinks.registry import remove_results, remove_unfinished
from streamcam.storage.object_store import (
    delete_object,
    find_object,
    find_version,
    find_versions,
    put_object,
)
from streamcam.storage.scratch import scratch_folder
from streamcam.urls import StorageUrl

_LARGEST_MANIFEST = 16 << 20
"""Bytes; ordinary ones have 3,000."""


class RemoteResultFolder(ResultFolder):
    """Results below a prefix; their files are made in the process's scratch folder.

    What was read is remembered: nothing keeps others from writing, so that reading it again would
    tell no more.
    """

    in_place = False

    def __init__(self, url: StorageUrl) -> None:
        self._url = url
        # Two prefixes may have results of the same name.
        name = hashlib.blake2b(str(url).encode(), digest_size=8).hexdigest()
        self.path = scratch_folder() / name
        self._read: dict[str, Manifest | None] = {}

    def read(self, stem: str) -> Manifest | None:
        if stem not in self._read:
            path = self.manifest_path(stem)
            content = find_object(str(self.place_of(path)), _LARGEST_MANIFEST)
            self._read[stem] = (
                None if content is None else parse_manifest(content, path, self._is_in_place)
            )
        return self._read[stem]

    def place_of(self, path: Path) -> StorageUrl:
        return self._url / path.absolute().relative_to(self.path).as_posix()

    def withdraw(self, stem: str) -> None:
        if self.read(stem) is not None:
            delete_object(str(self.place_of(self.manifest_path(stem))))

    def store(self, stem: str, outputs: Mapping[str, Path]) -> Mapping[str, str]:
        versions = {kind: self._upload(path) for kind, path in outputs.items()}
        previous = self._read.get(stem)
        if previous is not None:
            for path in set(previous.outputs.values()) - set(outputs.values()):
                self._delete(path)
        return versions

    def commit(self, manifest: Path) -> None:
        put_object(manifest, str(self.place_of(manifest)))

    def release(self, stem: str) -> None:
        self._read.clear()
        remove_results(self.path, stem)
        remove_unfinished(self.path, stem)

    def _is_in_place(self, path: Path, version: str | None) -> bool:
        """Whether a result is the one that its manifest tells of."""
        url = str(self.place_of(path))
        found = find_version(url)
        if found is None:
            versions = find_versions(url)
            found = _digest(versions) if versions else None
        return found is not None and version in (None, found)

    def _upload(self, path: Path) -> str:
        """Store a file, or all files of a folder; return what tells others from them."""
        url = self.place_of(path)
        if path.is_file():
            return put_object(path, str(url)).version
        versions = {
            file.name: put_object(file, str(url / file.name)).version
            for file in sorted(path.iterdir())
        }
        for name in set(find_versions(str(url))) - set(versions):
            delete_object(str(url / name))
        return _digest(versions)

    def _delete(self, path: Path) -> None:
        url = self.place_of(path)
        for name in find_versions(str(url)):
            delete_object(str(url / name))
        delete_object(str(url))


def upload_folder(folder: Path, url: StorageUrl) -> None:
    """Store all files below a folder; raises `SinkError`."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        put_object(file, str(url / file.relative_to(folder).as_posix()))


def _digest(versions: Mapping[str, str]) -> str:
    text = "\n".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
