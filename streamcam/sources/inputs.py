"""From what a person names to the sources that are read and the names of their results."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamcam.demo.source import DemoSource
from streamcam.errors import SourceError
from streamcam.files import readable
from streamcam.media_errors import opening
from streamcam.sources.base import Source
from streamcam.sources.file import FileSource
from streamcam.sources.image import ImageSource, is_picture

# fmt: off
VIDEO_ENDINGS = frozenset((
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265",
    ".hevc", ".ivf", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe",
    ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm",
    ".wmv", ".y4m",
))
PICTURE_ENDINGS = frozenset((
    ".apng", ".avif", ".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
))
SOUND_ENDINGS = frozenset((
    ".aac", ".ac3", ".aif", ".aiff", ".amr", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg",
    ".opus", ".wav", ".wma",
))
# fmt: on
"""What counts as media inside a folder; a file that is named is always tried.

Containers of sound are tried too: some hold a video, and those that do not are refused with that
reason instead of being passed over in silence.
"""

_ENDINGS = VIDEO_ENDINGS | PICTURE_ENDINGS | SOUND_ENDINGS

_OUR_ENDINGS = (
    *(".heatmap.mp4", ".heatmap.jpg", ".detections.jsonl", ".manifest.json", ".part"),
    *(".maps.npz", ".map.png"),
)
_URL = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One input of a run.

    Attributes:
        spec: What to open: a path or a URL; for `open_source` only, it may hold a password.
        stem: Name of its results, below the output folder and without ending, e.g. "dir/clip".
    """

    spec: str
    stem: str

    @property
    def id(self) -> str:
        """The input's name for people and records, without credentials."""
        return redacted(self.spec)


def open_source(spec: str) -> Source:
    """Open a path, a `file://` URL or a `demo://` scene.

    Raises:
        SourceError: It cannot be explained; the subclass tells why.
    """
    scheme = _scheme(spec)
    if scheme == "demo":
        return DemoSource(spec)
    if scheme not in (None, "file"):
        raise SourceError(
            f"{redacted(spec)}: {scheme} streams cannot be read as files",
            hint="Name files, folders or demo:// scenes; live streams are not supported yet.",
        )
    path = _path(spec)
    if _is_folder(path):
        raise _folder_error(path)
    return ImageSource(path) if is_picture(path) else FileSource(path)


def expand(specs: Sequence[str]) -> list[Entry]:
    """List the inputs of a run: folders give the media in them, recursively, naturally sorted.

    Results of a folder's files mirror the tree below the folder. Results of a single file keep
    the folders of a relative path; those of an absolute one only its name. Where names would
    clash the file's ending is kept, then its folder, then all of its path.

    What is named twice is listed once. Nothing is opened: what is missing, or a folder without
    media, is an entry that fails to open.
    """
    inputs: dict[str, tuple[str, tuple[str, ...]]] = {}
    for spec in specs:
        for found, names in _inputs(spec):
            inputs.setdefault(names[-1], (found, names))
    stems = _distinct([names for _, names in inputs.values()])
    return [Entry(spec, stem) for (spec, _), stem in zip(inputs.values(), stems, strict=True)]


def redacted(spec: str) -> str:
    """Return a path, or a URL without user, password and query; options of a scene stay."""
    scheme = _scheme(spec)
    if scheme in (None, "file", "demo"):
        return readable(spec)
    parts = urlsplit(spec)
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _inputs(spec: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a spec stands for, each with names for its results.

    The shortest come first; the last one is unmistakable.
    """
    scheme = _scheme(spec)
    if scheme not in (None, "file"):
        parts = urlsplit(spec)
        name = parts.netloc.rpartition("@")[2] or scheme or ""
        yield spec, (_tame(name), _tame(f"{name}{parts.path}?{parts.query}"))
        return
    path = _path(spec)
    found = list(_media(path, set())) if spec and _is_folder(path) else []
    for file in found:
        yield str(file), _names(file, file.relative_to(path), path)
    if not found:
        outside = path.is_absolute() or ".." in path.parts or not path.name
        shown = Path(path.name.strip(".") or "source") if outside else path
        yield str(path), _names(path, shown, path.parent)


def _names(file: Path, shown: Path, above: Path) -> tuple[str, ...]:
    whole = file.resolve()
    return (
        shown.with_suffix("").as_posix(),
        shown.as_posix(),
        (above.resolve().name / shown).as_posix(),
        whole.relative_to(whole.anchor).as_posix(),
    )


def _media(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield a folder's media; links are followed, but into no folder twice.

    A folder that may not be read stands for itself, to fail when it is opened.
    """
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        children = sorted(folder.iterdir(), key=_natural)
    except OSError:
        yield folder
        return
    for child in children:
        if child.name.startswith("."):
            continue
        if _is_folder(child):
            yield from _media(child, seen)
        elif is_media(child):
            yield child


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False


def is_media(path: Path) -> bool:
    """Tell by its name whether a file in a folder is one to explain, and no result of ours."""
    known = path.suffix.lower() in _ENDINGS
    return known and not path.name.startswith(".") and not path.name.endswith(_OUR_ENDINGS)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Return a key that sorts clip2 before clip10."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def _distinct(candidates: Sequence[tuple[str, ...]]) -> list[str]:
    """Choose for each the first of its names that no other one has."""
    levels = [0] * len(candidates)
    while True:
        names = [options[level] for options, level in zip(candidates, levels, strict=True)]
        counts = Counter(names)
        clashing = [
            place
            for place, name in enumerate(names)
            if counts[name] > 1 and levels[place] < len(candidates[place]) - 1
        ]
        if not clashing:
            return names
        for place in clashing:
            levels[place] += 1


def _scheme(spec: str) -> str | None:
    match = _URL.match(spec)
    return match[1].lower() if match else None


def _path(spec: str) -> Path:
    return Path(unquote(urlsplit(spec).path)) if _scheme(spec) == "file" else Path(spec)


def _tame(name: str) -> str:
    """Return a name that is safe as a file's."""
    return re.sub(r"[^\w.=-]+", "-", name).strip("-.") or "source"


def _folder_error(folder: Path) -> SourceError:
    with opening(str(folder)):
        next(folder.iterdir(), None)
    if next(_media(folder, set()), None) is not None:
        return SourceError(f"{folder}: is a folder", hint="Name the files in it.")
    return SourceError(
        f"{folder}: no video or picture in this folder",
        hint="Files in folders are known by their endings, such as .mp4 or .jpg.",
    )
