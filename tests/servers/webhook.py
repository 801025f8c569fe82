"""A server that takes posts of webhooks."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class ReceivedPost:
    """A post; the names of its headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class WebhookServer:
    """Takes posts, and answers with the statuses it was given, then with 204; a context manager.

    Args:
        port: Where it listens on 127.0.0.1; 0: any free one.

    Attributes:
        posts: What it got, requests of redirections too.
        url: Where to post; its path and query hold secrets.
    """

    def __init__(self, *statuses: int, port: int = 0) -> None:
        self.posts: list[ReceivedPost] = []
        self._statuses = list(statuses)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        # The argument is how many seconds its end may take.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/s3cretPath?key=s3cretKey"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self._take(body)
                self.send_response(server._statuses.pop(0) if server._statuses else 204)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                self._take(b"")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def _take(self, body: bytes) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.posts.append(ReceivedPost(self.path, headers, body))

        return Handler
