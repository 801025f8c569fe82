"""Sources in object storage and on web servers: the same frames as of files, and fewer bytes."""

import http.server
import io
import threading
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamcam.errors import NotMediaError, SourceError, SourceUnavailableError, UsageError
from streamcam.pipeline.stream import Sampler
from streamcam.sinks.registry import is_result
from streamcam.sources import remote_folder
from streamcam.sources.inputs import Inputs, expand, open_source
from streamcam.sources.limits import Limits
from tests.media import numbered, textured, write_video
from tests.servers.s3 import S3Server
from tests.sources.selectors import Everything


def stems(*specs: str) -> list[str]:
    return [entry.stem for entry in expand(specs, is_result)]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_frames_are_those_of_the_file(s3: S3Server, tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"clip.{ending}", textured(20))
    url = s3.put(f"remote/{path.name}", path)
    local, remote = open_source(str(path)), open_source(url)
    assert remote.info.id == url
    assert (remote.info.duration, remote.info.frame_count) == (
        local.info.duration,
        local.info.frame_count,
    )
    pairs = list(zip(local.frames(Everything()), remote.frames(Everything()), strict=True))
    assert len(pairs) == 20
    for ours, theirs in pairs:
        assert (ours.pts, ours.time) == (theirs.pts, theirs.time)
        np.testing.assert_array_equal(ours.picture, theirs.picture)
    remote.close()
    local.close()


def test_the_beginning_of_a_video_takes_a_part_of_its_bytes(s3: S3Server, tmp_path: Path) -> None:
    """Its index is at the end, where a muxer puts it that is not told otherwise."""
    options = {"preset": "ultrafast", "crf": "0", "g": "25"}
    noise = np.random.default_rng(1).integers(0, 255, (100, 240, 320, 3), np.uint8)
    path = write_video(tmp_path / "long.mp4", noise, options=options)
    assert path.stat().st_size > 14_000_000
    content = path.read_bytes()
    assert content.index(b"moov") > content.index(b"mdat")
    url = s3.put("remote/long.mp4", path)
    s3.forget()
    source = open_source(url)
    assert len(list(source.frames(Sampler(max_fps=5, end=1.0)))) == 5
    source.close()
    read = sum(one.sent for one in s3.requests("GET", "long.mp4"))
    assert read < 0.6 * path.stat().st_size
    s3.delete("remote/long.mp4")


def test_a_picture_is_fetched_whole(s3: S3Server) -> None:
    encoded = io.BytesIO()
    picture = Image.fromarray(textured(1)[0])
    picture.save(encoded, "PNG")
    url = s3.put("remote/picture.png", encoded.getvalue())
    source = open_source(url)
    assert source.info.still
    (frame,) = source.frames(Everything())
    np.testing.assert_array_equal(frame.picture, np.asarray(picture))
    with pytest.raises(SourceError, match=r"picture\.png: 128x96 pixels"):
        open_source(url, Limits(picture_pixels=12_000))
    with pytest.raises(SourceError, match=r"more than a picture of limits\.picture_pixels needs"):
        open_source(url, Limits(picture_pixels=100))


def test_a_prefix_gives_its_media_as_a_folder_does(s3: S3Server) -> None:
    names = ("clip10.mp4", "clip2.mp4", "a b/x.jpg", ".hidden/x.mp4", "notes.txt", "sub/")
    for name in (*names, "clip2.heatmap.mp4", "clip2.mkv", "sub/x.jpg", "../up.mp4"):
        s3.put(f"tree/{name}", b"x")
    expected = ["a b/x", "clip2.mkv", "clip2.mp4", "clip10", "sub/x"]
    assert stems(s3.url("tree")) == stems(s3.url("tree/")) == expected
    assert stems(s3.url("tree/clip2.mp4"), s3.url("tree/sub/x.jpg")) == ["clip2", "x"]
    assert stems(s3.url("tree/../../up.mp4")) == ["up"]
    assert expand([s3.url("tree/../up.mp4")])[0].longer_stems[1:] == (
        "__/up.mp4",
        "archive/tree/__/up.mp4",
    )
    assert stems(s3.url("tree/sub/x.jpg"), s3.url("tree/a b/x.jpg")) == ["sub/x.jpg", "a b/x.jpg"]
    assert not s3.requests("GET", "tree/clip2.mkv")


def test_objects_are_known_by_their_entity_tag(s3: S3Server) -> None:
    url = s3.put("remote/tag.mp4", b"one")
    (entry,) = expand([url])
    first = entry.fingerprint()
    s3.put("remote/tag.mp4", b"two")
    second = entry.fingerprint()
    s3.put("remote/tag.mp4", b"one")
    assert first == entry.fingerprint() != second
    assert not s3.requests("GET", "tag.mp4")
    s3.delete("remote/tag.mp4")
    assert entry.fingerprint() is None


def test_what_cannot_be_read_says_why(s3: S3Server) -> None:
    empty, text = s3.put("remote/empty.mp4", b""), s3.put("remote/text.mp4", b"no video" * 99)
    with pytest.raises(SourceUnavailableError, match=r"none\.mp4: there is no such object"):
        open_source(s3.url("remote/none.mp4"))
    with pytest.raises(SourceUnavailableError, match="there is no such"):
        expand(["s3://no-such-bucket/videos/"])
    with pytest.raises(SourceError, match="no video or picture below this prefix"):
        open_source(s3.url("nothing/"))
    with pytest.raises(NotMediaError, match="is empty"):
        open_source(empty)
    with pytest.raises(NotMediaError, match="not a video or picture"):
        open_source(text)
    with pytest.raises(UsageError, match="s3://bucket/x: holds credentials") as raised:
        expand(["s3://KEY:secret@bucket/x"])
    assert "AWS_ACCESS_KEY_ID" in str(raised.value.hint)
    with pytest.raises(UsageError, match="gs:// needs gcsfs") as raised:
        open_source("gs://bucket/x.mp4")
    assert raised.value.hint == "pip install 'streamcam[gcs]'"


def test_names_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def children(url: str) -> tuple[list[str], list[str]]:
        if url.endswith("/many"):
            return [f"day{number}" for number in range(8)], []
        return [], [f"camera-north-{number}.mp4" for number in range(1000)]

    monkeypatch.setattr(remote_folder, "children", children)
    assert len(Inputs(["s3://bucket/many"])) == 8000  # Python's own table of names has grown now
    tracemalloc.start()
    inputs = Inputs(["s3://bucket/many"])
    first = next(iter(inputs))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (first.spec, first.stem) == (
        "s3://bucket/many/day0/camera-north-0.mp4",
        "day0/camera-north-0",
    )
    assert held < 400_000


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files with entity tags, and parts of them, as web servers do."""

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        first, last = self.headers.get("Range", "=0-").partition("=")[2].split("-")
        part = content[int(first) : int(last or len(content)) + 1]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Serve the test's folder; give its URL."""
    handler = partial(RangeHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_web_server_gives_videos_too_and_secrets_are_not_shown(web: str, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    write_video(tmp_path / "a b" / "clip.mp4", numbered(4))
    (entry,) = expand([f"{web}/a%20b/clip.mp4?signature=secret"])
    assert entry.stem == "clip"
    assert entry.id == f"{web}/a%20b/clip.mp4"
    assert all("secret" not in name for name in entry.longer_stems)
    source = open_source(entry.spec)
    assert source.info.id == entry.id
    assert len(list(source.frames(Everything()))) == 4
    source.close()
    assert entry.fingerprint() is not None
    with pytest.raises(SourceUnavailableError) as raised:
        open_source(f"{web}/none.mp4?signature=secret")
    assert "secret" not in str(raised.value)
