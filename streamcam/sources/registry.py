"""The kinds of sources that can be read to their end: how each is recognised and opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from streamcam.demo.source import DemoSource
from streamcam.errors import SourceError, StreamcamError
from streamcam.fingerprint import fingerprint_of_text
from streamcam.sources.base import FiniteSource
from streamcam.sources.file import FileSource
from streamcam.sources.image import ImageSource, is_image, is_remote_image
from streamcam.sources.limits import Limits
from streamcam.storage.object_reader import RemoteObject
from streamcam.storage.object_store import shown_url, stat_object
from streamcam.storage.services import OBJECT_SCHEMES, SERVICES
from streamcam.urls import scheme_of

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265",
    ".hevc", ".ivf", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe",
    ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm",
    ".wmv", ".y4m",
))
IMAGE_SUFFIXES = frozenset((
    ".apng", ".avif", ".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
))
# Some containers of sound hold a video; those that do not are refused with that reason instead of
# being passed over in silence.
SOUND_SUFFIXES = frozenset((
    ".aac", ".ac3", ".aif", ".aiff", ".amr", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg",
    ".opus", ".wav", ".wma",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of source.

    Attributes:
        open: Opens a URL of `scheme`, or the path of a file, within limits.
        scheme: Scheme of its URLs, e.g. "demo" for `demo://street`; None for files.
        public_url: Whether its URLs hold no credentials, so that they are shown whole.
        fingerprint: Returns a digest of what a URL leads to; None where that is not known.
        suffixes: Endings by which files inside a folder are known to be inputs, in lower case.
        accepts: Whether a file is of this kind, judged by its content; None to judge by `suffixes`.
    """

    open: Callable[[str, Limits], FiniteSource]
    scheme: str | None = None
    public_url: bool = False
    fingerprint: Callable[[str], str | None] = lambda _: None
    suffixes: frozenset[str] = frozenset()
    accepts: Callable[[Path], bool] | None = None

    def recognises(self, location: str) -> bool:
        scheme = scheme_of(location)
        if scheme is not None or self.scheme is not None:
            return scheme == self.scheme
        path = Path(location)
        return self.accepts(path) if self.accepts else path.suffix.lower() in self.suffixes


def open_remote(url: str, limits: Limits) -> FiniteSource:
    """Open an object: a picture is fetched whole, of a video what is needed of it.

    Raises:
        SourceError: See `FileSource`, `ImageSource` and `RemoteObject`.
        UsageError: What its storage needs is not installed.
    """
    if url.endswith("/"):
        raise SourceError(
            f"{shown_url(url)}: no video or picture below this prefix",
            hint="Objects below prefixes are known by their endings, such as .mp4 or .jpg.",
        )
    content = RemoteObject(url)
    if is_remote_image(content):
        return ImageSource(content, limits)
    return FileSource(content, limits)


def remote_fingerprint(url: str) -> str | None:
    """Return a digest of an object's size and entity tag; None where it has none, or is away.

    The object is not read. What the tag changes with is up to the service: on S3 the content, and
    for large objects the parts that it was uploaded in.
    """
    try:
        return stat_object(url).fingerprint
    except StreamcamError:
        return None


SOURCES: tuple[SourceKind, ...] = (
    SourceKind(
        lambda url, _: DemoSource(url),
        scheme="demo",
        public_url=True,
        fingerprint=fingerprint_of_text,
    ),
    *(
        SourceKind(
            open_remote,
            scheme=scheme,
            public_url=scheme in OBJECT_SCHEMES,
            fingerprint=remote_fingerprint,
        )
        for scheme in SERVICES
    ),
    SourceKind(ImageSource, suffixes=IMAGE_SUFFIXES, accepts=is_image),
    # The last one: FFmpeg tries whatever no other kind recognises.
    SourceKind(FileSource, suffixes=VIDEO_SUFFIXES | SOUND_SUFFIXES, accepts=lambda _: True),
)
"""All kinds; the first that recognises an input opens it."""


def kind_of(location: str) -> SourceKind | None:
    """Return the kind of a URL or of the path of a file, None for URLs of no kind."""
    return next((kind for kind in SOURCES if kind.recognises(location)), None)


def known_suffix(path: PurePath) -> bool:
    """Return whether a file counts as an input by its ending."""
    return any(path.suffix.lower() in kind.suffixes for kind in SOURCES)
