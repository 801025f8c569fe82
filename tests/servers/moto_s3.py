"""moto's S3 server as a process: what `tests.servers.s3` starts.

Says its port on stdout, and serves until it is ended. It notes every request as a line of JSON in
the file that its first argument names, and refuses requests as `/refuse` was told to.
"""

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

PR_SET_PDEATHSIG = 1

WsgiApp: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class NotingApp:
    """Passes requests on, notes them, and refuses some.

    `POST /refuse` takes a JSON object: `count` requests of `method` whose path contains `path` are
    answered with `status`.
    """

    def __init__(self, app: WsgiApp, notes: Path) -> None:
        self._app = app
        self._notes = notes.open("a", buffering=1)
        self._lock = threading.Lock()
        self._refused = {"count": 0, "method": "", "path": "", "status": 503}

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/refuse":
            with self._lock:
                size = int(environ["CONTENT_LENGTH"])
                self._refused |= json.loads(environ["wsgi.input"].read(size))
            start_response("204 No Content", [])
            return []
        status = self._refusal(environ)
        if status is None:
            return self._passed_on(environ, start_response)
        self._note(environ, status, 0)
        # Unread, a body would be taken for the connection's next request.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(f"{status} Refused", [("Content-Length", "0")])
        return []

    def _passed_on(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            sent = int({k.lower(): v for k, v in headers}.get("content-length", 0))
            self._note(environ, int(status.split()[0]), sent)
            return start_response(status, headers, *rest)

        return self._app(environ, start)

    def _refusal(self, environ: dict[str, Any]) -> int | None:
        with self._lock:
            wanted = self._refused
            fits = environ["REQUEST_METHOD"] == wanted["method"]
            if not (wanted["count"] and fits and str(wanted["path"]) in environ["PATH_INFO"]):
                return None
            wanted["count"] = int(wanted["count"]) - 1
            return int(wanted["status"])

    def _note(self, environ: dict[str, Any], status: int, sent: int) -> None:
        note = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ.get("QUERY_STRING", ""),
            "range": environ.get("HTTP_RANGE", ""),
            "status": status,
            "sent": 0 if environ["REQUEST_METHOD"] == "HEAD" else sent,
        }
        with self._lock:
            self._notes.write(json.dumps(note) + "\n")


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open, as S3 does, and prints nothing."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        """Leave that to the notes."""


def main() -> None:
    """Serve."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        return
    app = NotingApp(DomainDispatcherApplication(create_backend_app), Path(sys.argv[1]))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    print(server.server_port, flush=True)  # noqa: T201 - what the parent waits for
    server.serve_forever()


if __name__ == "__main__":
    main()
