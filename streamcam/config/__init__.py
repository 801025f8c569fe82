"""What a user may set: typed, bounded, unknown keys refused; file < environment < flag."""

from streamcam.config.load import load_settings
from streamcam.config.schema import Settings

__all__ = ["Settings", "load_settings"]
