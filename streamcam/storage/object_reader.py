"""An object in storage as a file: blocks of it are fetched as they are needed, and shared."""

import io
from collections import OrderedDict
from threading import Event, Lock
from typing import Any, BinaryIO, cast

from streamcam.errors import SourceError
from streamcam.storage.object_store import repeated, shown_url, stat_object
from streamcam.storage.services import file_system
from streamcam.storage.storage_errors import reading_object

BLOCK = 1 << 18
"""Bytes of a block: the smallest range that is fetched."""

MOST_AHEAD = 16
"""Blocks that are fetched at once where reading goes on straight: 4 MiB."""

_HELD = 64
"""Blocks that are held for each object: 16 MiB."""


class RemoteObject:
    """An object that several readers read: each block is fetched once while one of them is near.

    FFmpeg reads a video from several places: its index at the end, then pictures and, through a
    second reader, the sound. Ranges grow from one block to `MOST_AHEAD` while blocks are asked for
    one after another, so that few bytes are read beyond what is needed, and few requests made.

    Attributes:
        url: With all that is needed to open it; `name` is its name for people.
        size: Bytes.

    Raises:
        SourceUnavailableError: It is not there, or the storage does not answer.
        SourceError: The server does not tell its size, or gives no ranges of it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = shown_url(url)
        size = stat_object(url).size
        if size is None:
            raise SourceError(
                f"{self.name}: the server does not tell its size",
                hint=f"For a live stream: streamcam live {self.name}",
            )
        self.size = size
        self._file = self._open()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()
        self._expected = 0
        self._ahead = 1
        self._interrupted = Event()

    def reader(self) -> BinaryIO:
        """Return the object as a file, opened at its beginning."""
        return cast("BinaryIO", ObjectReader(self))

    def interrupt(self) -> None:
        """Make reads return nothing more. From any thread."""
        self._interrupted.set()

    def read(self) -> bytes:
        """Return the whole content."""
        return b"".join(self.block(number) for number in range(-(-self.size // BLOCK)))

    def block(self, number: int) -> bytes:
        """Return a block, fetched with those that follow it where it is not held.

        Raises:
            SourceUnavailableError: It cannot be fetched.
        """
        with self._lock:
            if number not in self._blocks:
                if self._interrupted.is_set():
                    return b""
                self._fetch_from(number)
            self._blocks.move_to_end(number)
            return self._blocks[number]

    def _open(self) -> Any:  # noqa: ANN401 - fsspec has no types
        path = self.url if self.url.startswith("http") else self.url.partition("://")[2]
        with reading_object(self.url, self.name):
            # It checks, where the service can, that all ranges are of the same version.
            opened = repeated(
                lambda: file_system(self.url).open(path, "rb", cache_type="none", block_size=BLOCK)
            )
        if not opened.seekable():
            raise SourceError(
                f"{self.name}: the server gives no parts of files",
                hint="Download it first, and name the file.",
            )
        return opened

    def _fetch_from(self, number: int) -> None:
        self._ahead = min(2 * self._ahead, MOST_AHEAD) if number == self._expected else 1
        start = number * BLOCK
        last = min(number + self._ahead, 1 + (self.size - 1) // BLOCK)
        held = next((n for n in range(number + 1, last) if n in self._blocks), last)
        with reading_object(self.url, self.name):
            content = self._fetch(start, min(held * BLOCK, self.size))
        for place in range(number, held):
            offset = place * BLOCK - start
            self._blocks[place] = content[offset : offset + BLOCK]
        self._expected = held
        while len(self._blocks) > _HELD:
            self._blocks.popitem(last=False)

    def _fetch(self, start: int, end: int) -> bytes:
        def attempt() -> bytes:
            self._file.seek(start)
            content: bytes = self._file.read(end - start)
            if len(content) != end - start:
                raise ConnectionError(f"{len(content)} of {end - start} bytes came")
            return content

        return repeated(attempt)


class ObjectReader(io.RawIOBase):
    """Reads a `RemoteObject` from a place of its own; for FFmpeg and Pillow."""

    def __init__(self, content: RemoteObject) -> None:
        super().__init__()
        self._content = content
        self._place = 0
        # FFmpeg takes it for the file's name, whose ending tells formats that have no mark.
        self.name = content.url.partition("?")[0]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._content.size}
        self._place = max(0, base[whence] + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill a buffer up to the end of a block at most; return the number of bytes."""
        wanted = memoryview(buffer).cast("B")
        if self._place >= self._content.size or not len(wanted):
            return 0
        number, offset = divmod(self._place, BLOCK)
        part = self._content.block(number)[offset : offset + len(wanted)]
        wanted[: len(part)] = part
        self._place += len(part)
        return len(part)
