"""How the values of a decoded frame stand for colours, in the codes of ITU-T H.273."""

from __future__ import annotations

from dataclasses import dataclass

from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from streamcam.errors import NotMediaError

UNSPECIFIED = 2
# Colour primaries, and of the first and third the matrix of the same standard.
BT709, DISPLAY_P3, BT2020 = 1, 12, 9
# Transfer characteristics; SDR stands for all that have no name here.
SDR, PQ, HLG = 1, 16, 18

_IDENTITY, _FCC, _BT470BG, _BT601, _SMPTE240M, _BT2020_CONSTANT = 0, 4, 5, 6, 7, 10
_DECODABLE = (BT709, _FCC, _BT470BG, _BT601, _SMPTE240M, BT2020, _BT2020_CONSTANT)
_NOT_DECODABLE = {8: "YCgCo", 11: "YDzDx", 14: "ICtCp", 15: "IPT", 16: "YCgCo", 17: "YCgCo"}
_HD_ROWS = 720


@dataclass(frozen=True, slots=True)
class ColourEncoding:
    """The meaning of a frame's values; what its file does not tell is filled in as players do.

    Attributes:
        transfer: `SDR`, `PQ` or `HLG`.
        primaries: `BT709` (or ones close to it), `BT2020` or `DISPLAY_P3`.
        matrix: Between RGB and YUV; the identity for RGB.
        full_range: Whether black and white are the smallest and the largest values.
    """

    transfer: int
    primaries: int
    matrix: int = BT2020
    full_range: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> ColourEncoding:
        hdr = frame.color_trc in (PQ, HLG)
        known = (BT709, BT2020, DISPLAY_P3)
        primaries = frame.color_primaries
        if primaries not in known:
            primaries = BT2020 if hdr else BT709
        rgb = frame.format.is_rgb
        return cls(
            transfer=frame.color_trc if hdr else SDR,
            primaries=primaries,
            matrix=_IDENTITY if rgb else _matrix(frame, primaries),
            full_range=rgb
            or frame.color_range == ColorRange.JPEG
            or frame.format.name.startswith("yuvj"),
        )

    @property
    def is_bt709(self) -> bool:
        """Whether RGB in this encoding is shown as it is."""
        return self.transfer == SDR and self.primaries == BT709


def _matrix(frame: VideoFrame, primaries: int) -> int:
    if frame.colorspace in _DECODABLE:
        return BT2020 if frame.colorspace == _BT2020_CONSTANT else frame.colorspace
    if primaries == BT2020:
        return BT2020
    # As players do: unlabelled video is BT.709 from HD on.
    return BT709 if frame.height >= _HD_ROWS else _BT601


def refuse_unknown_colours(frame: VideoFrame, name: str) -> None:
    """Raise `NotMediaError` for colours that are no YUV, as those of Dolby Vision's profile 5.

    Other profiles of Dolby Vision play as the HDR10, HLG or SDR that they are compatible with.
    """
    data = side_data(frame, Type.DOVI_RPU_BUFFER)
    if data is not None and _dolby_vision_rpu_profile(data) == 0:
        coding: str | None = "Dolby Vision without a compatible layer (profile 5)"
    else:
        coding = None if frame.format.is_rgb else _NOT_DECODABLE.get(frame.colorspace)
    if coding is not None:
        raise NotMediaError(
            f"{name}: its colours are {coding}, which cannot be decoded here",
            hint="Convert it to HDR10, HLG or BT.709 first.",
        )


def _dolby_vision_rpu_profile(data: bytes) -> int:
    """Return vdr_rpu_profile (ETSI GS CCM 001): 4 bits after a prefix, type and format."""
    return int.from_bytes(data[:5].ljust(5, b"\xff"), "big") >> 11 & 0xF


def side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    """Return one kind of a frame's side data, None where it has none or it cannot be read."""
    try:
        # Not by `frame.side_data`: that and the frame would refer to each other, and wait, with
        # 25 MB of a 4K frame in 10 bits, for a full garbage collection.
        data = SideDataContainer(frame).get(kind)  # type: ignore[call-arg]
    except ValueError:
        return None  # PyAV cannot list side data if one kind is newer than itself.
    return None if data is None else bytes(data)
