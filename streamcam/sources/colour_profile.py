"""From the colours of an embedded ICC profile to sRGB, as every browser shows a picture."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from streamcam.types import Picture

# Profiles of sRGB differ in the last bits, and converting would only add noise.
_SAME_LEVELS = 2

_STEPS = range(0, 256, 51)
_PROBE = np.array([[(r, g, b) for r in _STEPS for g in _STEPS for b in _STEPS]], np.uint8)


def picture_in_srgb(picture: Picture, profile: bytes) -> Picture:
    """Convert a picture, RGB, uint8, [height, width, 3], from an ICC profile to sRGB."""
    transform = _transform_to_srgb(profile, "RGB")
    return picture if transform is None else np.array(transform.apply(Image.fromarray(picture)))


def in_srgb(image: Image.Image) -> Image.Image:
    """Convert an image from its ICC profile to sRGB; one without a profile, or of sRGB, is kept.

    A profile that is damaged, or meant for other channels than the image has, is ignored, as
    browsers do; so is that of an image of more than 8 bits a channel.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode == "P":
        image = image.convert("RGB")
    transform = _transform_to_srgb(profile, image.mode)
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=8)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion from a profile in an image mode, None where there is none to do."""
    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
        )
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    return None if _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode not in ("RGB", "RGBA"):
        return False
    probe = Image.fromarray(_PROBE).convert(mode)
    difference = np.asarray(transform.apply(probe)).astype(int) - np.asarray(probe)
    return bool(np.abs(difference).max() <= _SAME_LEVELS)
