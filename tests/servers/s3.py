"""A real S3 server (moto's) on loopback, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote
from urllib.request import Request, urlopen

BUCKET = "archive"

_XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"

# Any will do: the server does not check them, but it wants to see some.
_ACCESS_KEY, _SECRET_KEY = "AKIAFORTESTSONLY", "secret-for-tests-only"
_AUTHORIZATION = f"AWS4-HMAC-SHA256 Credential={_ACCESS_KEY}/20260101/us-east-1/s3/aws4_request"


@dataclass(frozen=True)
class S3Request:
    """A request that the server answered.

    Attributes:
        path: Bucket and key, e.g. "/archive/videos/clip.mp4".
        range: The wanted bytes, e.g. "bytes=0-99"; "" for all.
        sent: Bytes of the answer's body.
    """

    method: str
    path: str
    query: str
    range: str
    status: int
    sent: int


class S3Server:
    """An S3 server with the bucket `BUCKET`, in memory; a context manager.

    Attributes:
        port: Where it listens, at 127.0.0.1.
    """

    def __init__(self) -> None:
        self.port = 0
        self._folder = Path(tempfile.mkdtemp(prefix="s3-"))
        self._notes = self._folder / "requests.jsonl"
        self._read = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.servers.moto_s3", str(self._notes)]
        self._process = subprocess.Popen(
            [*command, str(os.getpid())],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._call("PUT", f"/{BUCKET}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder)

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return the variables by which S3 clients find the server; `port` is that of a proxy."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            # Without it, credentials would be looked for in the machine's cloud.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def url(self, key: str = "") -> str:
        """Return e.g. "s3://archive/videos/clip.mp4"."""
        return f"s3://{BUCKET}/{key}"

    def put(self, key: str, content: bytes | Path) -> str:
        """Store an object, and return its URL."""
        body = content.read_bytes() if isinstance(content, Path) else content
        self._call("PUT", f"/{BUCKET}/{quote(key)}", body)
        return self.url(key)

    def get(self, key: str) -> bytes:
        return self._call("GET", f"/{BUCKET}/{quote(key)}")

    def delete(self, key: str) -> None:
        self._call("DELETE", f"/{BUCKET}/{quote(key)}")

    def keys(self, prefix: str = "") -> list[str]:
        """Return the names of all objects below a prefix, sorted; at most 1000."""
        listing = self._call("GET", f"/{BUCKET}?list-type=2&prefix={quote(prefix)}")
        found = ET.fromstring(listing).iter(f"{_XML}Key")
        return sorted(key.text or "" for key in found)

    def download(self, prefix: str, folder: Path) -> Path:
        """Copy all objects below a prefix into a folder, and return it."""
        for key in self.keys(prefix):
            path = folder / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(key))
        return folder

    def unfinished_uploads(self) -> list[str]:
        """Return the keys of multipart uploads that were begun and not completed."""
        listing = self._call("GET", f"/{BUCKET}?uploads")
        return [key.text or "" for key in ET.fromstring(listing).iter(f"{_XML}Key")]

    def refuse(self, method: str, count: int, *, path: str = "/", status: int = 503) -> None:
        """Answer the next `count` requests of a method with an error; `path` is part of theirs."""
        order = {"method": method, "count": count, "path": path, "status": status}
        self._call("POST", "/refuse", json.dumps(order).encode())

    def requests(self, method: str = "", key: str = "") -> list[S3Request]:
        """Return the requests since the last `forget`, of a method, whose path contains `key`."""
        lines = self._notes.read_text().splitlines()[self._read :]
        found = [S3Request(**json.loads(line)) for line in lines]
        return [one for one in found if one.method.startswith(method) and key in one.path]

    def forget(self) -> None:
        """Begin a new list of requests."""
        self._read = len(self._notes.read_text().splitlines())

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": _AUTHORIZATION, "Content-Type": "application/octet-stream"}
        url = f"http://127.0.0.1:{self.port}{path}"
        with urlopen(Request(url, body, headers, method=method), timeout=60) as answer:
            content: bytes = answer.read()
            return content
