"""Groups of pictures that nobody wants, and that need no decoding."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

# A group is held in memory, compressed, until it is clear whether it is wanted. Encoders put key
# frames every 250 frames or closer by default; a longer group is decoded, wanted or not.
MOST_HELD = 600


class Gops:
    """Holds packets back until it is clear that they, or what follows, must be decoded.

    A group goes undecoded when the key frame after it is not wanted any earlier, and no picture
    after that key frame in the file is shown before it (such pictures refer to the group).
    """

    def __init__(self) -> None:
        self._held: list[Packet[VideoStream]] = []
        self._next_key: int | None = None

    def push(
        self, packet: Packet[VideoStream], due: float
    ) -> tuple[int, list[Packet[VideoStream]]]:
        """Take the next packet of the stream.

        Args:
            packet: The packet.
            due: Ticks before which no picture is wanted.

        Returns:
            How many packets, all before the following ones, need no decoding; and the packets to
            be decoded now.
        """
        self._held.append(packet)
        if packet.pts is None or packet.dts is None:
            return 0, self.release()
        if len(self._held) == 1:
            return 0, [] if _hides(packet, due) else self.release()
        if self._next_key is not None:
            return self._judge(self._next_key, due)
        if packet.is_keyframe:
            self._next_key = len(self._held) - 1
        elif packet.dts >= due or len(self._held) > MOST_HELD:
            return 0, self.release()
        return 0, []

    def release(self) -> list[Packet[VideoStream]]:
        """Return all that is held back; it must be decoded."""
        held, self._held, self._next_key = self._held, [], None
        return held

    def _judge(self, boundary: int, due: float) -> tuple[int, list[Packet[VideoStream]]]:
        """Decide upon the first group; behind it are a key frame and the packet that follows."""
        group, (key, after) = self._held[:boundary], self._held[boundary:]
        shown = _time(key)
        closed = _time(after) > shown and all(_time(packet) < shown for packet in group)
        if not closed or shown > due:
            return 0, self.release()
        self._held = [key, after]
        self._next_key = 1 if after.is_keyframe else None
        return boundary, [] if _hides(key, due) else self.release()


def _hides(packet: Packet[VideoStream], due: float) -> bool:
    """Whether the group that begins here may turn out to be unwanted."""
    return bool(packet.is_keyframe) and _time(packet) < due


def _time(packet: Packet[VideoStream]) -> int:
    assert packet.pts is not None
    return packet.pts
