"""Live sources: cameras and streams, each connection read by a process of its own."""

from streamcam.sources.live.address import Address
from streamcam.sources.live.source import LiveSource, Report
from streamcam.sources.live.stall import Timeouts

__all__ = ["Address", "LiveSource", "Report", "Timeouts"]
