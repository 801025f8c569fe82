"""Where frames come in: files, pictures, and the demo scene. The only readers of media."""

from streamcam.sources.inputs import Entry, expand, is_media, open_source, redacted

__all__ = ["Entry", "expand", "is_media", "open_source", "redacted"]
