"""Live sources: cameras and streams, each connection read by a process of its own."""

from streamcam.sources.live.capture_connection import Address, Timeouts
from streamcam.sources.live.live_source import LiveSource, LiveStatus

__all__ = ["Address", "LiveSource", "LiveStatus", "Timeouts"]
