"""Names of exported pictures: they tell the source and the frame, and no two are alike."""

import re
from itertools import count

from streamcam.export.original_pictures import Original, Record

# Exports go to other systems, and into URLs.
_UNSAFE = re.compile(r"[^\w.-]+")

_LONGEST = 120
"""Characters of a source's name; file systems take 255 bytes, of which a character has up to 4,
and the longest ending is `_000000-10.box-10.png`. What lies deeper is told by `frames.jsonl`."""


class ImageNames:
    """Hands out file names.

    `dir__clip_000060.jpg` of a video, `dir__photo.png` of a picture,
    `yard_20250301T120000.200.jpg` of a camera.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def free(self, source: str, record: Record, original: Original, ending: str) -> str:
        """Return a name that was not handed out before.

        It is made of the results' name, `source`, and of the frame's number; the ending is that of
        frames that are encoded again, and copied files keep their own.
        """
        base = _safe(source)
        if "time_utc" in record:  # a camera counts anew after a restart
            base = f"{base}_{re.sub(r'[-:Z]', '', record['time_utc'])}"
        elif original.file is None:
            base = f"{base}_{record['frame']:06}"
        if original.file is not None:
            ending = original.file.suffix.lower()
        names = (base if number == 1 else f"{base}-{number}" for number in count(1))
        # Stems differ too: annotations and maps are named after them. Some systems, and archives
        # for them, do not tell upper from lower case.
        stem = next(name for name in names if name.casefold() not in self._taken)
        self._taken.add(stem.casefold())
        return stem + ending


def _safe(source: str) -> str:
    """A source's name as part of a file's name: its end, as that tells files of a folder apart."""
    name = _UNSAFE.sub("-", source.replace("/", "__")).strip(".-") or "source"
    # Half of four bytes a character: two are what most scripts take.
    while len(name.encode()) > 2 * _LONGEST or len(name) > _LONGEST:
        name = name[1:]
    return name
