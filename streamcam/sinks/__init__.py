"""Where results leave: video, pictures, records, the manifest, and segments of cameras."""

from streamcam.sinks.base import Sink
from streamcam.sinks.encoder import VideoSettings, nvenc_works
from streamcam.sinks.jsonl import JsonlSink
from streamcam.sinks.manifest import EngineFacts, Manifest, read_manifest, write_manifest
from streamcam.sinks.names import Outputs, is_output, outputs
from streamcam.sinks.recovery import recover
from streamcam.sinks.segments import SegmentSettings, SegmentSink
from streamcam.sinks.still import StillSink
from streamcam.sinks.video import VideoSink

__all__ = [
    "EngineFacts",
    "JsonlSink",
    "Manifest",
    "Outputs",
    "SegmentSettings",
    "SegmentSink",
    "Sink",
    "StillSink",
    "VideoSettings",
    "VideoSink",
    "is_output",
    "nvenc_works",
    "outputs",
    "read_manifest",
    "recover",
    "write_manifest",
]
