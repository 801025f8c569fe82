"""What a user may set: typed, bounded, unknown keys refused; file < environment < flag."""

from streamcam.config.loading import load_settings
from streamcam.config.settings import Settings

__all__ = ["Settings", "load_settings"]
