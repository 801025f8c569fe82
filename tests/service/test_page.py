"""The live page of a real service: cameras, a file, the player, and a camera that dies."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.media import flat, write_video
from tests.servers import rtsp
from tests.servers.rtsp import RtspServer, ServedStream
from tests.service.http.browsing import WAIT, Open, colour, shows, tile, wait_until
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.test_page import GREY
from tests.service.running import Service

GREEN = [30, 200, 60]
CONFIG = """
[live]
max_fps = 5.0
segment = "3s"
[watch]
settle = "200ms"
[render]
legend = false
timestamp = false
[[folder]]
path = "{folder}/in"
[[camera]]
name = "street"
url = "demo://street?width=320&height=180"
[[camera]]
name = "green"
url = "{url}"
"""
SECONDS = 12
"""Of the file that is explained while somebody looks."""
REFUSED = "does not answer: connection refused"


@dataclass
class Watched:
    service: Service
    camera: RtspServer


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    rtsp.require()
    folder = tmp_path_factory.mktemp("watched")
    with RtspServer({"cam": ServedStream(pictures=[flat(320, 240, GREEN)], rate=10)}) as camera:
        config = CONFIG.format(folder=folder, url=camera.url())
        with Service(folder, config) as service:
            service.until_ready()
            yield Watched(service, camera)


def is_lively(page: Page, camera: str) -> bool:
    """Tell whether a camera's picture changes."""
    script = "c => c.toDataURL()"
    canvas = page.locator(f"canvas[data-camera={camera}]")
    first = canvas.evaluate(script)
    wait_until(page, lambda: canvas.evaluate(script) != first, f"{camera} moves")
    return True


def test_a_camera_dies_before_the_watchers_eyes_and_returns(watched: Watched, visit: Open) -> None:
    page = visit(watched.service.url, viewport={"width": 1920, "height": 1080})
    wait_until(page, lambda: shows(page, "green", GREEN), f"green: {colour(page, 'green')}")
    assert is_lively(page, "street")
    for name in ("street", "green"):
        expect(tile(page, name)).to_have_attribute("data-look", "live")
    watched.camera.kill()
    expect(tile(page, "green")).to_have_attribute("data-look", "offline")
    expect(tile(page, "green").locator("canvas")).to_have_css("filter", GREY)
    expect(tile(page, "green").locator(".note")).to_contain_text("old")
    expect(tile(page, "green").locator(".found")).to_have_text(
        "does not answer: connection refused"
    )
    expect(page.locator(".bar")).to_contain_text("camera green is backing off")
    assert is_lively(page, "street")
    watched.camera.restart()
    expect(tile(page, "green")).to_have_attribute("data-look", "live")
    expect(tile(page, "green").locator("canvas")).to_have_css("filter", "none")
    assert shows(page, "green", GREEN)


def test_a_new_file_is_explained_and_played(watched: Watched, visit: Open, tmp_path: Path) -> None:
    page = visit(watched.service.url)
    pictures = [flat(320, 180, [index * 4, 100, 100]) for index in range(SECONDS * 5)]
    shutil.move(write_video(tmp_path / "clip.mp4", pictures, rate=5), watched.service.incoming)
    expect(page.locator(".file", has_text="clip.mp4")).to_contain_text("done", timeout=WAIT)
    page.get_by_role("link", name="clip.mp4").click()
    strip = page.get_by_role("slider", name="Position")
    place = strip.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + place["width"] * 0.75, place["y"] + 10)
    video = page.locator("video")
    wait_until(page, lambda: video.evaluate("v => v.readyState >= 2 && !v.seeking"), "it seeks")
    at = video.evaluate("v => v.currentTime")
    assert at == pytest.approx(0.75 * SECONDS, abs=0.3)
    # What is on the screen is that moment's picture.
    script = """v => { const c = document.createElement("canvas"); const d = c.getContext("2d");
        d.drawImage(v, 0, 0, 1, 1); return d.getImageData(0, 0, 1, 1).data[0]; }"""
    assert video.evaluate(script) == pytest.approx(at * 5 * 4, abs=14)


def test_a_recording_is_found_and_played(watched: Watched, visit: Open) -> None:
    folder = watched.service.output / "street"
    watched.service.until(lambda: list(folder.rglob("*.mp4")))
    first = min(folder.rglob("*.mp4"))
    phone = {"width": 390, "height": 844}
    page = visit(f"{watched.service.url}/#/camera/street", viewport=phone, timezone_id="UTC")
    video = page.locator("video")
    wait_until(page, lambda: video.evaluate("v => v.duration > 2"), "the latest is there")
    page.get_by_role("slider", name="Position").focus()
    page.keyboard.press("Home")
    moment = f"{first.parent.name}:{first.stem.replace('-', ':')}"
    expect(page.locator("#reading b")).to_have_text(moment)
    wait_until(page, lambda: video.evaluate("v => v.duration > 2"), "the first is there")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
