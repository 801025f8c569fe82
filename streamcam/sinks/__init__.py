"""Where results leave: video, pictures, records, the manifest, and segments of cameras."""

from streamcam.sinks.base import Sink
from streamcam.sinks.encoder import VideoSettings, nvenc_works
from streamcam.sinks.jsonl import JsonlSink
from streamcam.sinks.manifest import EngineFacts, Manifest, read_manifest, write_manifest
from streamcam.sinks.names import Outputs, is_output, outputs
from streamcam.sinks.publish import PublishSink
from streamcam.sinks.recovery import recover
from streamcam.sinks.retention import Deleted, Retention, Swept
from streamcam.sinks.segments import SegmentSettings, SegmentSink
from streamcam.sinks.still import StillSink
from streamcam.sinks.video import VideoSink

__all__ = [
    "Deleted",
    "EngineFacts",
    "JsonlSink",
    "Manifest",
    "Outputs",
    "PublishSink",
    "Retention",
    "SegmentSettings",
    "SegmentSink",
    "Sink",
    "StillSink",
    "Swept",
    "VideoSettings",
    "VideoSink",
    "is_output",
    "nvenc_works",
    "outputs",
    "read_manifest",
    "recover",
    "write_manifest",
]
