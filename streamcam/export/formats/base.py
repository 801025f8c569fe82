"""What every format offers, and what they share: class numbers, and files written bit by bit."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, ClassVar

import orjson

from streamcam.escapes import printable
from streamcam.export.exported_frame import ExportedFrame

_IN_MEMORY = 1 << 22
"""Bytes of a part of a file that are held in memory; longer parts wait on the disk."""


class ClassNumbers:
    """Numbers of classes: the models' own lists first, then what else records hold.

    Args:
        lists: The labels of each model, in its own order. Labels of the same name are one class.
    """

    def __init__(self, lists: Iterable[Sequence[str]]) -> None:
        labels = (printable(label) for labels in lists for label in labels)
        self._numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}

    @property
    def labels(self) -> list[str]:
        return list(self._numbers)

    def number(self, label: str) -> int:
        """Return the number of a class, from 0; one that is not known gets the next."""
        return self._numbers.setdefault(label, len(self._numbers))


class AnnotationFormat(ABC):
    """Writes the annotations of an export in a tool's own form, frame by frame.

    Args:
        folder: The export's folder while it is written; pictures lie in `pictures` in it, maps in
            `maps`.
        name: The export's name: that of the folder when it is published.
        classes: Grows while frames are added.

    Attributes:
        title: The format's name for people.
        files: What it writes, in words.
    """

    title: ClassVar[str]
    files: ClassVar[str]
    pictures: ClassVar[str] = "images"
    maps: ClassVar[str] = "maps"

    def __init__(self, folder: Path, name: str, classes: ClassNumbers) -> None:
        self._folder = folder
        self._name = name
        self._classes = classes
        self._opened = ExitStack()

    def collected(self, separator: bytes = b",\n") -> "Collected":
        """Return where bits of a file are collected, until `close` is called."""
        made = Collected(separator)
        self._opened.callback(made.close)
        return made

    def close(self) -> None:
        """Forget what is not written. Idempotent."""
        self._opened.close()

    @abstractmethod
    def add(self, frame: ExportedFrame) -> None:
        """Take a frame whose picture is written."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is written when all frames are known."""


class Collected:
    """Content that is collected bit by bit, and may be more than fits into memory.

    Args:
        separator: Stands between two bits.
    """

    def __init__(self, separator: bytes) -> None:
        self._separator = separator
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self.count = 0

    def add(self, content: bytes) -> None:
        if self.count:
            self._file.write(self._separator)
        self._file.write(content)
        self.count += 1

    def blocks(self) -> Iterable[bytes]:
        """Yield all that was added."""
        self._file.seek(0)
        while block := self._file.read(_IN_MEMORY):
            yield block

    def close(self) -> None:
        self._file.close()


def write_document(path: Path, parts: Iterable[bytes | Collected]) -> None:
    """Write a file of several parts."""
    with path.open("wb") as file:
        for part in parts:
            for block in [part] if isinstance(part, bytes) else part.blocks():
                file.write(block)


def json_object(**members: Any) -> Iterable[bytes | Collected]:  # noqa: ANN401 - any plain value
    """Yield the parts of a JSON object; collected members are items of an array."""
    for place, (name, value) in enumerate(members.items()):
        yield (b",\n" if place else b"{") + orjson.dumps(name) + b": "
        if isinstance(value, Collected):
            yield b"[\n"
            yield value
            yield b"]"
        else:
            yield orjson.dumps(value)
    yield b"}\n"
