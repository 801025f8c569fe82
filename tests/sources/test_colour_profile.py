"""Pictures with ICC profiles are shown as browsers show them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from streamcam.sources.inputs import open_source
from streamcam.types import Picture
from tests.media import flat
from tests.sources.selectors import Everything

COLOUR, SHOWN = (200, 100, 50), (215, 93, 31)
"""RGB of Display P3, and the same colour in sRGB (CSS Color 4's `color(display-p3 ...)`)."""

# Display P3's primaries, adapted to D50 by Bradford's method, as profiles hold them.
DISPLAY_P3 = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def display_p3_profile() -> bytes:
    """Return sRGB's profile with other primaries: Display P3 has the same curve."""
    profile = bytearray(srgb_profile())
    (count,) = struct.unpack_from(">I", profile, 128)
    for index in range(count):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if tag in DISPLAY_P3:
            fixed = (round(value * 65536) for value in DISPLAY_P3[tag])
            struct.pack_into(">3i", profile, offset + 8, *fixed)
    return bytes(profile)


def shown(path: Path) -> Picture:
    source = open_source(str(path))
    picture = next(source.frames(Everything())).picture
    source.close()
    assert picture.shape == (30, 40, 3)
    assert picture.dtype == np.uint8
    return picture


def close_to(picture: Picture, colour: tuple[int, ...], tolerance: int) -> bool:
    return bool(np.abs(picture.astype(int) - colour).max() <= tolerance)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif"])
def test_display_p3(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    image = Image.fromarray(flat(40, 30, COLOUR))
    image.save(path, icc_profile=display_p3_profile(), quality=100)
    assert close_to(shown(path), SHOWN, 5)


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_palettes_and_transparency(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.png"
    image = Image.fromarray(flat(40, 30, COLOUR)).convert(mode, palette=Image.Palette.ADAPTIVE)
    image.save(path, icc_profile=display_p3_profile())
    assert close_to(shown(path), SHOWN, 5)


def test_srgb_is_kept_to_the_bit(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path, icc_profile=srgb_profile())
    np.testing.assert_array_equal(shown(path), pixels)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "1", "I;16", "CMYK"])
def test_useless_profiles_are_ignored(tmp_path: Path, mode: str) -> None:
    """Damaged ones, and those for other channels."""
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    grey = Image.fromarray(flat(40, 30, (255, 255, 255)))
    image = grey.convert("I;16" if mode == "I;16" else mode)
    profile = b"no profile" if mode == "RGB" else display_p3_profile()
    image.save(path, icc_profile=profile)
    plain = tmp_path / f"plain{path.suffix}"
    image.save(plain)
    np.testing.assert_array_equal(shown(path), shown(plain))
