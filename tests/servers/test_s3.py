from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.servers.s3 import S3Server


def test_objects_are_kept_listed_and_counted(s3_server: S3Server, tmp_path: Path) -> None:
    s3_server.forget()
    assert s3_server.put("videos/a b.mp4", b"0123456789") == "s3://archive/videos/a b.mp4"
    assert s3_server.get("videos/a b.mp4") == b"0123456789"
    assert s3_server.keys("videos/") == ["videos/a b.mp4"]
    folder = s3_server.download("videos/", tmp_path)
    assert (folder / "a b.mp4").read_bytes() == b"0123456789"
    gets = s3_server.requests("GET", "a b.mp4")
    assert [(one.status, one.sent) for one in gets] == [(200, 10)] * 2
    s3_server.delete("videos/a b.mp4")
    assert s3_server.keys("videos/") == s3_server.unfinished_uploads() == []


def test_it_refuses_as_often_as_asked_to(s3_server: S3Server) -> None:
    s3_server.put("refused/one", b"1")
    s3_server.refuse("GET", 2, path="refused/")
    for _ in range(2):
        with pytest.raises(HTTPError, match="503"):
            s3_server.get("refused/one")
    assert s3_server.get("refused/one") == b"1"
    s3_server.delete("refused/one")
