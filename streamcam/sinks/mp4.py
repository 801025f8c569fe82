"""An MP4 file being written: H.264 frames in, and the sound that belongs to them."""

import logging
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from streamcam.errors import SinkError
from streamcam.files import WholeFile
from streamcam.sinks.audio import Sound
from streamcam.sinks.encoder import EncoderName, EncoderSettings, add_video_stream, encoders

logger = logging.getLogger(__name__)

_LEAST_TIMESCALE = 10_000


def timescale(time_base: Fraction) -> int:
    """Return how many units a second an MP4 counts in to keep a time base, as FFmpeg finds it."""
    units = time_base.denominator
    while units < _LEAST_TIMESCALE:
        units *= 2
    return units


class Mp4Writer:
    """Encodes and muxes. Every method may raise `SinkError` and `av.FFmpegError`.

    Args:
        path: The file to write, whatever its ending.
        size: Width and height of the coded pictures, both even.
        time_base: Of the frames' timestamps; kept exactly, as is a beginning after zero.
        rate: Mean frames a second where known.
        settings: How frames are encoded.
        sound: Muxed along with the frames, where there is some; closed with the file.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        time_base: Fraction,
        rate: Fraction | None,
        settings: EncoderSettings,
        sound: Sound | None,
    ) -> None:
        self._path = path
        self._size = size
        self._time_base = time_base
        self._rate = rate
        self._threads = settings.threads
        self._sound = sound
        self._open_first_that_works(encoders(settings))

    def write(self, frame: av.VideoFrame) -> None:
        """Encode a frame that has its `pts`, `time_base` and `duration`."""
        self._mux(self._stream.encode(frame))

    def close(self, end: Fraction) -> None:
        """Complete the file; sound from `end` on, in seconds, is left out."""
        self._mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.advance(end)
            self._sound.close()
        self._container.close()
        self._file.close()

    def discard(self) -> None:
        """Let go of the file, which is left incomplete."""
        if self._sound is not None:
            self._sound.close()
        # PyAV does not try to complete what is written to a closed file.
        self._file.close()
        with suppress(av.FFmpegError):
            self._container.close()

    def _mux(self, packets: "list[Packet[Any]]") -> None:
        for packet in packets:
            if self._sound is not None and packet.pts is not None:
                self._sound.advance(packet.pts * packet.time_base)
            self._container.mux(packet)

    def _open_first_that_works(self, names: tuple[EncoderName, ...]) -> None:
        """Give up NVENC (too small, too many sessions) or the sound rather than the video."""
        sounds = (self._sound, None) if self._sound is not None else (None,)
        attempts = [(name, sound) for sound in sounds for name in names]
        for name, sound in attempts:
            if sound is None and self._sound is not None:
                self._sound.close()
                self._sound = None
            try:
                self._open(name, sound)
            except (SinkError, av.FFmpegError, ValueError) as error:
                if (name, sound) == attempts[-1]:
                    raise
                way = f"{name} with sound" if sound else name
                logger.warning("%s: not written with %s: %s", self._path.stem, way, error)
            else:
                return

    def _open(self, encoder: EncoderName, sound: Sound | None) -> None:
        # A file of ours: one that FFmpeg opens stays open when its header cannot be written.
        self._file = WholeFile(self._path, "wb")
        try:
            self._begin(encoder, sound)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, encoder: EncoderName, sound: Sound | None) -> None:
        self._container = av.open(
            self._file,
            "w",
            format="mp4",
            # The index is moved to the front by reading what follows it again.
            io_open=lambda *_: self._path.open("rb"),
            container_options={
                "movflags": "+faststart",
                # Edit lists, which tell when pictures and sound begin, count in it: in the usual
                # milliseconds a beginning after zero would be rounded.
                "movie_timescale": str(timescale(self._time_base)),
            },
        )
        self._stream = add_video_stream(
            self._container, encoder, self._size, self._time_base, self._rate, self._threads
        )
        if sound is not None:
            sound.attach(self._container)
        self._container.start_encoding()
