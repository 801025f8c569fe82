"""An RTSP server as a process: what `tests.servers.rtsp` starts, with the system's own Python.

Reads what to serve as JSON from its argument, says its port on stdout, and serves until it is
ended. It imports nothing of this project: the interpreter that knows GStreamer is not ours.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402

ROLE = "user"
PR_SET_PDEATHSIG = 1
RTSP_TRANSPORTS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
}


class Relay:
    """Hands what is published on to those who play it, coded pictures as they came."""

    def __init__(self) -> None:
        self._sources: list[GstApp.AppSrc] = []

    def published(self, _factory: Any, media: Any) -> None:
        """Listen to a publisher's stream."""
        tap = media.get_element().get_by_name("tap")
        tap.connect("new-sample", self._pass_on)

    def played(self, _factory: Any, media: Any) -> None:
        """Feed a stream that somebody plays, as long as it is played."""
        source = media.get_element().get_by_name("source")
        media.connect("unprepared", lambda _media: self._sources.remove(source))
        self._sources.append(source)

    def _pass_on(self, tap: Any) -> Gst.FlowReturn:
        sample = tap.emit("pull-sample")
        for source in list(self._sources):
            source.set_property("caps", sample.get_caps())
            # Its clock is not the publisher's: the source stamps what it gets.
            buffer = sample.get_buffer().copy_deep()
            buffer.pts = buffer.dts = Gst.CLOCK_TIME_NONE
            source.emit("push-buffer", buffer)
        return Gst.FlowReturn.OK


def factory(
    launch: str, transports: list[str], on_media: Callable[..., None] | None = None
) -> GstRtspServer.RTSPMediaFactory:
    """Return what makes a stream, one for each client."""
    made = GstRtspServer.RTSPMediaFactory()
    made.set_launch(launch)
    protocols = GstRtsp.RTSPLowerTrans(0)
    for transport in transports:
        protocols |= RTSP_TRANSPORTS[transport]
    made.set_protocols(protocols)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(ROLE, permission, True)
    made.set_permissions(permissions)
    if on_media is not None:
        made.connect("media-configure", on_media)
    return made


def guard(scheme: str, user: str, password: str) -> GstRtspServer.RTSPAuth:
    """Return what asks for user and password."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    if scheme == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def main() -> None:
    """Serve."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    order = json.loads(sys.argv[1])
    if os.getppid() != order["parent"]:
        return
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(order["port"]))
    # A thread for each client: one that waits for a stream to begin would hold up its publisher.
    server.get_thread_pool().set_max_threads(-1)
    mounts = server.get_mount_points()
    for path, stream in order["streams"].items():
        made = factory(stream["launch"], order["transports"])
        made.set_shared(stream["shared"])
        mounts.add_factory(f"/{path}", made)
    for path, launches in order["published"].items():
        relay = Relay()
        take = factory(launches["take"], order["transports"], relay.published)
        take.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        mounts.add_factory(f"/{path}", take)
        give = factory(launches["give"], order["transports"], relay.played)
        mounts.add_factory(f"/{path}/play", give)
    if order["password"] is not None:
        server.set_auth(guard(order["scheme"], order["user"], order["password"]))
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    if server.attach(None) == 0:
        sys.exit(f"port {order['port']} is taken")
    print(server.get_bound_port(), flush=True)  # noqa: T201 - what the parent waits for
    loop.run()


main()
