"""The process that encodes and sends for `publish.PublishSink`."""

from contextlib import suppress

import av
from av.container import OutputContainer

from streamcam.errors import SinkError
from streamcam.media_errors import FOREIGN, reason
from streamcam.sinks.encoder import EncoderSettings, LiveEncoder
from streamcam.urls import Redactor, redacted_url
from streamcam.worker_process import Message, ParentProcess

_OPTIONS = {
    # UDP loses packets, and few firewalls let it through.
    "rtsp": {"rtsp_transport": "tcp"},
    # A live stream has no length that could be noted in the end.
    "flv": {"flvflags": "no_duration_filesize"},
    "mpegts": {"flush_packets": "1"},
}


def main() -> None:
    """Run the parent's task, and report errors to it."""
    parent = ParentProcess.connect()
    with suppress(EOFError, OSError):
        try:
            _publish(parent, parent.task)
        except SinkError as error:
            parent.send({"error": error.message})
        except FOREIGN as error:
            parent.send({"error": Redactor(parent.task["url"])(reason(error))})


def _publish(parent: ParentProcess, order: Message) -> None:
    """Send pictures until the parent has no more."""
    parent.send({"started": True})

    def connect() -> OutputContainer:
        options = _OPTIONS[order["format"]]
        return av.open(order["url"], "w", format=order["format"], container_options=options)

    width, height = order["width"], order["height"]
    settings = EncoderSettings(encoder=order["encoder"], threads=order["threads"])
    encoder = LiveEncoder((width, height), settings, redacted_url(order["url"]), connect)
    parent.send({"connected": True})
    first: float | None = None
    while "time" in (message := parent.receive(None) or {}):
        first = message["time"] if first is None else first
        picture = parent.picture.get(width, height)
        encoder.container.mux(encoder.encode(picture, message["time"] - first, key=False))
        parent.send({"taken": True})
    encoder.container.mux(encoder.flush())
    encoder.close()


if __name__ == "__main__":
    main()
