"""The audio of a media file, copied or transcoded into an MP4."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard

from streamcam.types import SourceInfo

logger = logging.getLogger(__name__)

COPIED = frozenset({"aac", "mp3", "alac", "opus", "flac"})
"""Codecs that MP4 carries and common players know in it; others become AAC. MP4 carries AC-3 too,
but browsers do not play it, and one damaged packet of it makes the muxer give up the whole file."""

_AAC_RATES = frozenset(
    {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
)
_DEFAULT_RATE = 48000
_BIT_RATE = 64_000
"""Bits a second for each channel: AAC's usual 128 kbit/s for stereo."""

DAMAGE = (av.FFmpegError, ValueError, IndexError)
"""What PyAV raises about damaged media: values out of range, text that cannot be decoded, a stream
that was not announced."""

_LEAD_IN = 1
"""Seconds before the start from which packets are read: decoders need a few to synchronise."""

_MAX_GAP = 60
"""Seconds of missing audio that transcoding fills with silence. After a longer gap the rest is
dropped: a damaged timestamp might have to be filled with days of silence."""


class _NoAudioError(Exception):
    """A media file without an audio stream."""


class AudioTrack:
    """The best audio stream of a media file, from a given time on.

    Damaged audio never costs the video: it is logged once, and what can be read is kept.

    Args:
        start: Seconds on the file's own clock at which the video begins.
        shift: Seconds to add to every time.
        name: The medium's, for people.
    """

    def __init__(
        self, medium: Path | BinaryIO, start: Fraction, shift: Fraction, name: str
    ) -> None:
        self._name = name
        self._start = start
        self._shift = shift
        self._warned = False
        # An absolute path cannot be taken for a URL by FFmpeg, whatever its name.
        opened = str(medium.absolute()) if isinstance(medium, Path) else medium
        self._container: InputContainer = av.open(opened, "r")
        try:
            self._input = self._select()
        except BaseException:
            self._container.close()
            raise

    @classmethod
    def of(cls, source: SourceInfo, start: Fraction, shift: Fraction) -> "AudioTrack | None":
        """Open a source's audio; None where it has none that can be read."""
        medium = source.path if source.reopen is None else source.reopen()
        if medium is None:
            return None
        try:
            return cls(medium, start, shift, source.id)
        except _NoAudioError:
            return None
        except DAMAGE as error:
            logger.warning("%s: its audio is left out: %s", source.id, error)
            return None

    def attach(self, container: OutputContainer) -> None:
        """Add an audio stream to a container whose header is not yet written."""
        copied = self._input.codec_context.codec.canonical_name in COPIED
        if copied:
            self._output = container.add_stream_from_template(self._input)
        else:
            self._output = _add_aac(container, self._input)
        self._target = container
        self._packets = self._copied() if copied else self._transcoded()
        self._next: Packet[Any] | None = None
        self._ended = False

    def advance(self, until: Fraction) -> None:
        """Mux the packets that begin before `until`, in seconds on the written file's clock."""
        while not self._ended:
            packet = self._next or self._read()
            if packet is None:
                return
            if _begin(packet) >= until:
                self._next = packet
                return
            self._next = None
            self._mux(packet)

    def close(self) -> None:
        self._ended = True
        self._container.close()

    def _select(self) -> AudioStream:
        stream = self._container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise _NoAudioError
        # None, unlike PyAV's annotation says, where FFmpeg has no decoder.
        context = getattr(stream, "codec_context", None)
        if context is None or not context.sample_rate or not context.channels:
            raise ValueError("its format is not known")
        for other in self._container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        return stream

    def _read(self) -> "Packet[Any] | None":
        try:
            return next(self._packets)
        except StopIteration:
            self._ended = True
        except DAMAGE as error:
            self._damaged(error)
            self._ended = True
        return None

    def _mux(self, packet: "Packet[Any]") -> None:
        packet.stream = self._output
        try:
            self._target.mux(packet)
        except OSError:
            raise
        except DAMAGE as error:
            self._damaged(error)

    def _copied(self) -> "Iterator[Packet[Any]]":
        self._seek()
        for packet in self._container.demux(self._input):
            if packet.pts is None or packet.is_corrupt:
                continue
            # One packet more than is audible: decoders need it to start cleanly.
            if _begin(packet) + (packet.duration or 0) * packet.time_base >= self._start:
                yield self._shifted(packet)

    def _transcoded(self) -> "Iterator[Packet[Any]]":
        self._seek()
        context = self._output.codec_context
        # "async" fills gaps with silence, so that what follows them stays in sync.
        resampler = av.AudioResampler("fltp", context.layout, context.rate, options={"async": "1"})
        for frame in self._decoded():
            for part in resampler.resample(frame):
                yield from map(self._shifted, self._output.encode(part))
        for part in resampler.resample(None):
            yield from map(self._shifted, self._output.encode(part))
        yield from map(self._shifted, self._output.encode(None))

    def _decoded(self) -> Iterator[av.AudioFrame]:
        reached: Fraction | None = None
        for packet in self._container.demux(self._input):
            for frame in self._decode(packet):
                end = _begin(frame) + Fraction(frame.samples, frame.sample_rate)
                if reached is not None and _begin(frame) > reached + _MAX_GAP:
                    raise ValueError(f"a gap of more than {_MAX_GAP} s")
                if end > self._start:
                    reached = end
                    yield frame

    def _decode(self, packet: "Packet[Any]") -> list[av.AudioFrame]:
        try:
            return self._input.decode(packet)
        except DAMAGE as error:
            if _begin(packet) >= self._start:  # before it, decoding began amid the stream
                self._damaged(error)
            return []

    def _shifted(self, packet: "Packet[Any]") -> "Packet[Any]":
        ticks = round(self._shift / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        return packet

    def _seek(self) -> None:
        """Skip what lies well before the start, where the file is seekable."""
        target = self._start - _LEAD_IN
        if target > 0 and self._input.time_base is not None:
            with suppress(av.FFmpegError):
                self._container.seek(int(target / self._input.time_base), stream=self._input)

    def _damaged(self, error: Exception) -> None:
        if not self._warned:
            logger.warning("%s: some of its audio is damaged and left out: %s", self._name, error)
        self._warned = True


def _begin(timed: "Packet[Any] | av.AudioFrame") -> Fraction:
    """Return when a packet or frame begins, in seconds; 0 without a timestamp."""
    if timed.pts is None or timed.time_base is None:
        return Fraction(0)
    return timed.pts * timed.time_base


def _add_aac(container: OutputContainer, source: AudioStream) -> AudioStream:
    context = source.codec_context
    rate = context.sample_rate if context.sample_rate in _AAC_RATES else _DEFAULT_RATE
    channels = min(context.channels, 2)
    stream = container.add_stream("aac", rate=rate)
    stream.codec_context.layout = "mono" if channels == 1 else "stereo"
    stream.codec_context.bit_rate = _BIT_RATE * channels
    return stream
