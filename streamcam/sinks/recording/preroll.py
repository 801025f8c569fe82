"""What led to a detection: the last seconds, encoded, in case that something is found."""

from collections import deque

from streamcam.sinks.recording.segment import Entry


class PreRoll:
    """Holds the last entries back, in whole groups of pictures.

    Args:
        seconds: How far back it must reach. It reaches up to one group further, because a video
            can begin only where a group does.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._groups: deque[list[Entry]] = deque()

    def push(self, entry: Entry) -> None:
        """Hold an entry back, and forget what is too old; the first one must be an entry point."""
        if entry.is_entry_point:
            self._groups.append([])
        self._groups[-1].append(entry)
        self._forget(entry.time)

    def take(self, time: float) -> list[Entry]:
        """Return what came in the seconds before a moment, and forget it all."""
        self._forget(time)
        taken = [entry for group in self._groups for entry in group]
        self._groups.clear()
        return taken

    def _forget(self, time: float) -> None:
        while len(self._groups) > 1 and self._groups[1][0].time <= time - self._seconds:
            self._groups.popleft()
