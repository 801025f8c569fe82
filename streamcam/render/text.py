"""Text as masks and as boxes on a background, in the fonts that are installed."""

import importlib.util
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from streamcam.render.layer import Layer, Mask
from streamcam.render.style import Colour, text_colour
from streamcam.types import Picture

_FONT_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
)
_WIDE_FONTS = ("*CJK*", "*wqy*", "*DroidSansFallback*", "*unifont*", "*PingFang*", "NotoSans*")
"""Fonts for the scripts that DejaVu lacks, where the system has them."""

_BUILT_IN = ""
"""Stands for the font inside Pillow."""

_PROBE_SIZE = 20
_NO_CHARACTER = "\U0010ffff"
"""No font has it, so drawing it shows the font's sign for what it lacks."""


def text_box(
    texts: Sequence[str], size: int, gap: int, background: Colour, opacity: float = 1.0
) -> Layer:
    """Return a line of texts on a background.

    Args:
        texts: Parts of the line. Give recurring parts separately: each mask is cached.
        size: Of the font, in pixels.
        gap: Left and right of the texts, and twice as much between them, in pixels.
        background: Its colour; text on it is black or white.
        opacity: Of the background, 0..1; text is always opaque.
    """
    mask = _joined([text_mask(text, size) for text in texts], gap)
    premultiplied, inverse_alpha = _tables(background, opacity)
    return Layer(
        cv2.applyColorMap(mask, premultiplied),  # type: ignore[arg-type]
        cv2.applyColorMap(mask, inverse_alpha),  # type: ignore[arg-type]
    )


def _joined(masks: Sequence[Mask], gap: int) -> Mask:
    width = sum(mask.shape[1] + 2 * gap for mask in masks)
    line = np.zeros((masks[0].shape[0], width), np.uint8)
    x = gap
    for mask in masks:
        line[:, x : x + mask.shape[1]] = mask
        x += mask.shape[1] + 2 * gap
    return line


@lru_cache(maxsize=64)
def _tables(background: Colour, opacity: float) -> tuple[Picture, Picture]:
    """Return a layer's two values for each opacity of the text, uint8, [256, 1, 3]."""
    text = np.linspace(0, 1, 256)[:, None, None]
    colour = np.asarray(background) * opacity * (1 - text)
    premultiplied = colour + np.asarray(text_colour(background)) * text
    inverse_alpha = 255 * (1 - opacity) * (1 - text) * np.ones(3)
    return np.rint(premultiplied).astype(np.uint8), np.rint(inverse_alpha).astype(np.uint8)


@lru_cache(maxsize=512)
def text_mask(text: str, size: int) -> Mask:
    """Return a line of text as opacity, uint8, [height, width]; `size` of the font in pixels.

    All texts of one size have the same height and baseline, whatever their fonts. Cached: must not
    be written to.
    """
    usual = _font(_usual()[0], size)
    source = _source_for(text)
    font = usual if source is None else _font(source, size)
    ascent, descent = usual.getmetrics()
    width = max(1, round(font.getlength(text)))
    image = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(image).text((0, ascent), text, fill=255, font=font, anchor="ls")
    mask = np.asarray(image)
    mask.flags.writeable = False
    return mask


def drawable(text: str) -> bool:
    """Whether some font here has all of a text's characters."""
    return _source_for(text) is not None


@lru_cache(maxsize=1024)
def _source_for(text: str) -> str | None:
    # Looking through the system's folders takes a while, so it is left for texts that need it.
    lazily = (source for fonts in (_usual, _system_fonts) for source in fonts())
    return next((source for source in lazily if _covers(source, text)), None)


@cache
def _usual() -> tuple[str, ...]:
    """Return DejaVu Sans, which comes with matplotlib, and the font inside Pillow."""
    package = importlib.util.find_spec("matplotlib")
    folders = package.submodule_search_locations or () if package else ()
    files = (Path(folder, "mpl-data/fonts/ttf/DejaVuSans.ttf") for folder in folders)
    return (*(str(file) for file in files if file.is_file()), _BUILT_IN)


@cache
def _system_fonts() -> tuple[str, ...]:
    files = (
        file
        for pattern in _WIDE_FONTS
        for folder in _FONT_FOLDERS
        for ending in (".ttf", ".ttc", ".otf")
        for file in sorted(folder.rglob(pattern + ending))
    )
    return tuple(str(file) for file in files)


@lru_cache(maxsize=32)
def _font(source: str, size: int) -> ImageFont.FreeTypeFont:
    if source == _BUILT_IN:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
        return font
    return ImageFont.truetype(source, size)


def _covers(source: str, text: str) -> bool:
    return all(character.isspace() or _has(source, character) for character in text)


@lru_cache(maxsize=4096)
def _has(source: str, character: str) -> bool:
    try:
        font = _font(source, _PROBE_SIZE)
    except OSError:
        return False
    return bytes(font.getmask(character)) != bytes(font.getmask(_NO_CHARACTER))
