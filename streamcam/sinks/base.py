"""The base class of sinks, and what a sink is made from: the same for files and for cameras."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from streamcam.clock import Clock
from streamcam.files import PART
from streamcam.types import Item, Picture, SourceInfo

MAX_NAME = 255
"""Bytes in a file name on ext4, XFS, Btrfs and APFS."""

_RESERVED = 17
"""Bytes kept free for an ending, so that all results of a source share the stem."""

_DIGEST = 8


class SinkSettings(BaseModel):
    """A sink's settings: immutable, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What decides how results look: under the same key, a source has the same results.

    Attributes:
        parts: The model, the digest of its weights, and every setting that changes results, by
            dotted name, as plain JSON values.
    """

    parts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the parts as compact JSON, sorted by name; 64 hexadecimal digits."""
        text = json.dumps(self.parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Provenance:
    """The model, method and settings behind maps and boxes.

    Attributes:
        classes: The detector's labels, in the order of the class ids.
        device: The device it ran on, e.g. "cpu" or "cuda:0 (NVIDIA L4)".
        weights_sha256: Digest of the weights in hexadecimal, None where unknown.
        settings: The user's settings, as plain JSON values.
        quantization: What the int8 model was made of, as plain JSON values; None for a float one.
        key: What of all this changes results.
    """

    model: str
    classes: tuple[str, ...]
    method: str
    device: str
    weights_sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] | None = None
    key: EngineKey = field(default_factory=lambda: EngineKey({}))


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A kind of file, or of folder, that is written for a source.

    Attributes:
        kind: Names it in reports, manifests and URLs, e.g. "video".
        ending: Ends its name, e.g. ".heatmap.mp4".
        media_type: Its MIME type; None for what is not offered over HTTP.
    """

    kind: str
    ending: str
    title: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class SinkTarget:
    """One source, and where its results go.

    Attributes:
        source: The source. Of a camera only `id` and `live` are set: its size is known from its
            first picture.
        folder: The output folder; of a camera its own folder in it.
        stem: The source's name below that folder, without an ending, e.g. "dir/clip".
        provenance: Returns the model, method and settings; may be called once there is a result.
    """

    source: SourceInfo
    folder: Path
    stem: str
    provenance: Callable[[], Provenance]
    clock: Clock = field(default_factory=Clock)

    def path(self, file: ResultFile) -> Path:
        return result_path(self.folder, self.stem, file.ending)


class Sink(ABC, Generic[S]):
    """Takes one source's results in order and publishes them at the end, or not at all.

    Nothing is visible under its final name before `finish`; the recording of a camera publishes a
    complete segment at a time. All calls come from one thread, but for `error`. The constructor
    opens nothing: files and connections are opened by the first `write`. Every method may raise
    `SinkError`; a camera's sink that raised is aborted, and created again after a pause.

    Attributes:
        settings_type: Its settings, the table `[sinks.NAME]` of the configuration.
        result_file: The file (or folder) that it makes for each source, None for other results.
        needs_picture: Whether `write` must be given the annotated picture.
    """

    settings_type: ClassVar[type[BaseModel]] = SinkSettings
    result_file: ClassVar[ResultFile | None] = None
    needs_picture: bool = False

    @classmethod
    def create(cls, target: SinkTarget, settings: S) -> Self:
        """Create the sink for one source; `settings` is an instance of `settings_type`."""
        return cls(target, settings)  # type: ignore[call-arg]

    @classmethod
    def uses_picture(cls, settings: S) -> bool:  # noqa: ARG003
        """Return what `needs_picture` will be with these settings."""
        return cls.needs_picture

    @classmethod
    def recover(cls, target: SinkTarget) -> None:
        """Complete what a killed process left of a camera's results. Called before any frame."""

    @abstractmethod
    def write(self, item: Item, picture: Picture | None) -> None:
        """Take one item.

        Args:
            item: An explained frame (`FrameResult`); in a full-rate video also frames in between
                (`Frame`), which only video sinks use.
            picture: The annotated picture, RGB, uint8, [height, width, 3]; None where
                `needs_picture` is false. It is shared with other sinks and must not be changed.
        """

    @abstractmethod
    def finish(self) -> Path | None:
        """Complete, sync and publish what was written, and return the path of a file."""

    @abstractmethod
    def abort(self) -> None:
        """Discard unpublished output and close everything. Idempotent.

        Sinks of cameras publish what is complete: it cannot be had again.
        """

    @property
    def error(self) -> str | None:
        """What is wrong at this moment although `write` raises nothing. From any thread."""
        return None


class FileSink(Sink[SinkSettings]):
    """A sink of one file, or one folder, that has no settings."""

    result_file: ClassVar[ResultFile]

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @classmethod
    def create(cls, target: SinkTarget, settings: SinkSettings) -> Self:  # noqa: ARG003
        return cls(target.path(cls.result_file))


def result_path(folder: Path, stem: str, ending: str) -> Path:
    """Name a result of a source, e.g. `folder/dir/clip.heatmap.mp4` for the stem "dir/clip".

    A stem too long for a file name is truncated, and bytes that are not UTF-8 are replaced; a
    digest of the whole stem keeps such names distinct.
    """
    *above, name = stem.split("/")
    return folder.joinpath(*map(_clean, above), _fit(_clean(name), len(ending)) + ending)


def _clean(name: str) -> str:
    encoded = os.fsencode(name)
    text = encoded.decode("utf-8", "replace")
    return name if text == name else f"{text}~{_digest(encoded)}"


def _fit(name: str, ending: int) -> str:
    encoded = os.fsencode(name)
    available = MAX_NAME - len(PART) - max(ending, _RESERVED)
    if len(encoded) <= available:
        return name
    beginning = encoded[: available - _DIGEST - 1].decode("utf-8", "ignore")
    return f"{beginning}~{_digest(encoded)}"


def _digest(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()[:_DIGEST]
