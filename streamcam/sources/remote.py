"""Videos and pictures in object storage and on web servers, read by ranges."""

from streamcam.errors import SourceError, StreamcamError
from streamcam.sources.base import FiniteSource
from streamcam.sources.file import FileSource
from streamcam.sources.image import ImageSource, is_remote_image
from streamcam.sources.limits import Limits
from streamcam.storage.object_reader import RemoteObject
from streamcam.storage.object_store import shown_url, stat_object


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
