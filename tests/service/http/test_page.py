"""The live page in a real browser."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from playwright.sync_api import Route, expect

from streamcam.config.schema import HttpSettings
from streamcam.jobs.store import JobStore
from streamcam.service.http.server import HttpServer
from streamcam.service.metrics import Metrics
from streamcam.types import CameraState
from tests.jobs.conftest import arrive, eventually
from tests.service.http.browsing import (
    Open,
    shows,
    tile,
    wait_until,
)
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.conftest import TOKEN, FinishedJobs, Serve
from tests.service.http.fake_status import NO_FILE, FakeStatus, coloured
from tests.test_escapes import ACTING, HOSTILE

RED, GREEN = [220, 20, 20], [20, 220, 20]
GREY = re.compile(r"grayscale\(1\)")
MANY = 12
"""Cameras: twice the connections that a browser opens to one server."""


def test_every_cameras_picture_moves(fake: FakeStatus, serve: Serve, visit: Open) -> None:
    sinks = {f"cam{index}": fake.add(f"cam{index}") for index in range(MANY)}
    page = visit(serve(fake).url, viewport={"width": 1920, "height": 1080})
    expect(page.locator("article.tile")).to_have_count(MANY)
    for wanted in (RED, GREEN, RED):
        for sink in sinks.values():
            sink.write(coloured(wanted))
        for name in sinks:
            wait_until(page, lambda n=name, w=wanted: shows(page, n, w), f"{name} {wanted}")
    expect(tile(page, "cam3")).to_have_attribute("data-look", "live")
    expect(tile(page, "cam3").locator(".numbers")).to_have_text("5.0 fps · 180 ms")
    expect(tile(page, "cam3").locator(".chip")).to_have_text("person3.2")


def test_a_dead_camera_is_never_shown_as_live(fake: FakeStatus, serve: Serve, visit: Open) -> None:
    fake.add("front").write(coloured(RED))
    fake.add("yard").write(coloured(RED))
    page = visit(serve(fake).url)
    for name in ("front", "yard"):
        wait_until(page, lambda n=name: shows(page, n, RED), "it is shown")
    fake.change("front", CameraState.BACKING_OFF)
    fake.change("yard", CameraState.STALLED)
    for name, look, word in (("front", "offline", "Offline 1 min"), ("yard", "stalled", "Stalled")):
        expect(tile(page, name)).to_have_attribute("data-look", look)
        expect(tile(page, name).locator(".badge")).to_contain_text(word)
        expect(tile(page, name).locator(".note")).to_contain_text("s old")
        expect(tile(page, name).locator(".found")).to_contain_text("no answer from 10.0.0.5")
        expect(tile(page, name).locator("canvas")).to_have_css("filter", GREY)
    fake.change("front", CameraState.LIVE)
    fake.previews["front"].write(coloured(GREEN))
    expect(tile(page, "front")).to_have_attribute("data-look", "live")
    expect(tile(page, "front").locator("canvas")).to_have_css("filter", "none")
    # Nothing new comes, whatever the status says.
    expect(tile(page, "front")).to_have_attribute("data-look", "old")
    expect(tile(page, "front").locator("canvas")).to_have_css("filter", GREY)


def test_before_the_server_has_answered_nothing_is_claimed_of_cameras(
    fake: FakeStatus, serve: Serve, visit: Open
) -> None:
    page = visit(serve(fake).url)
    waiting: list[Route] = []
    page.route("**/api/status", lambda route: waiting.append(route))
    page.reload()
    wait_until(page, lambda: waiting, "the status is asked for")
    expect(page.get_by_text("No cameras are set up.")).to_be_hidden()
    expect(page.locator("#service")).to_have_text("Connecting…")
    page.unroute("**/api/status")
    expect(page.get_by_text("No cameras are set up.")).to_be_visible()


def test_cameras_come_and_go(fake: FakeStatus, serve: Serve, visit: Open) -> None:
    page = visit(serve(fake).url)
    expect(page.get_by_text("No cameras are set up.")).to_be_visible()
    fake.add("front")
    fake.add("yard")
    expect(page.locator("article.tile h2")).to_have_text(["front", "yard"])
    fake.remove("front")
    expect(page.locator("article.tile h2")).to_have_text(["yard"])


def test_a_server_that_has_ended_is_shown(fake: FakeStatus, serve: Serve, visit: Open) -> None:
    sink = fake.add("front")
    for _ in range(3):
        sink.write(coloured(RED))
    server = HttpServer(fake, Metrics(), HttpSettings(port=0), NO_FILE)
    server.start()
    try:
        page = visit(server.url)
        wait_until(page, lambda: shows(page, "front", RED), "it is shown")
    finally:
        server.stop()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    expect(tile(page, "front")).to_have_attribute("data-look", "gone")
    expect(tile(page, "front").locator(".badge")).to_have_text("No answer")
    # It comes back, and counts its pictures from one again.
    fake.add("front").write(coloured(GREEN))
    serve(fake, port=urlsplit(server.url).port)
    wait_until(page, lambda: shows(page, "front", GREEN), "it is shown again")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_pictures_are_encoded_only_for_a_page_that_is_there(
    fake: FakeStatus, serve: Serve, visit: Open
) -> None:
    sink = fake.add("front")
    page = visit(serve(fake).url)
    sink.write(coloured(RED))
    wait_until(page, lambda: shows(page, "front", RED), "it is shown")
    page.close()
    eventually(lambda: not fake.is_watched("front"), "nobody watches")
    before = sink.encodings
    for _ in range(20):
        sink.write(coloured(GREEN))
    assert sink.encodings == before


def test_a_video_is_played_beside_its_timeline(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve, visit: Open
) -> None:
    page = visit(f"{serve(fake_with_jobs).url}/#/")
    card = page.get_by_role("link", name="street.mp4")
    expect(card.locator("img")).to_have_js_property("naturalWidth", 320)
    card.click()
    strip = page.get_by_role("slider", name="Position")
    place = strip.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + place["width"] * 0.5, place["y"] + 10)
    video = page.locator("video")
    wait_until(page, lambda: video.evaluate("v => v.readyState >= 2 && !v.seeking"), "it seeks")
    at = video.evaluate("v => v.currentTime")
    assert at == pytest.approx(4, abs=0.1)
    page.mouse.move(5, 5)
    expect(page.locator("#reading")).to_contain_text(words(finished, at))
    expect(strip).to_have_attribute("aria-valuenow", f"{at:.1f}")
    bounds = strip.evaluate("s => [s.ariaValueMin, s.ariaValueMax].map(Number)")
    assert bounds == [0, pytest.approx(video.evaluate("v => v.duration"), abs=0.1)]
    page.get_by_role("button", name="Zoom in").click()
    place = strip.bounding_box()
    assert place is not None
    # Five of eight seconds are shown, around the playhead.
    page.mouse.click(place["x"] + 1, place["y"] + 10)
    assert video.evaluate("v => v.currentTime") == pytest.approx(1.5, abs=0.1)
    expect(page.get_by_role("definition").first).to_have_text("nano")


def test_a_file_name_can_neither_be_markup_nor_reverse_the_page(
    store: JobStore, tmp_path: Path, serve: Serve, visit: Open
) -> None:
    arrive(store, tmp_path, f"{HOSTILE}.mp4")
    page = visit(f"{serve(FakeStatus(store)).url}/#/")
    card = page.locator(".file")
    expect(card).to_contain_text(r"d\u202ee\u2066f\u200f[red]g:smile:<b>h.mp4")
    assert not ACTING.search(card.inner_text())
    assert not ACTING.search(page.locator(".files").inner_html())


def words(finished: FinishedJobs, at: float) -> str:
    """Return the label and the number of what was found first at a moment."""
    lines = (finished.output / "street.detections.jsonl").read_bytes().splitlines()
    record = orjson.loads(lines[int(at * 5 + 1e-6)])
    labels = [detection["label"] for detection in record["detections"]]
    return f"{labels[0]} {labels.count(labels[0])} (lift "


def test_the_player_follows_the_keyboard(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve, visit: Open
) -> None:
    size = {"width": 800, "height": 500}
    page = visit(f"{serve(fake_with_jobs).url}/#/file/{finished.video}", viewport=size)
    video = page.locator("video")
    strip = page.get_by_role("slider", name="Position")
    strip.focus()
    scrolled = page.evaluate("scrollY")

    def at() -> float:
        found: float = video.evaluate("v => v.currentTime")
        return found

    wait_until(page, lambda: video.evaluate("v => v.duration > 7"), "it is there")
    for key, expected in (
        *(("ArrowRight", 5.0), ("Shift+ArrowRight", 6.0), ("ArrowLeft", 1.0), (".", 1.2)),
        *(("Shift+ArrowLeft", 0.2), ("Home", 0.0)),
    ):
        page.keyboard.press(key)
        assert at() == pytest.approx(expected, abs=0.01), key
    page.keyboard.press("Space")
    wait_until(page, lambda: at() > 0.2, "it plays")
    assert page.evaluate("scrollY") == scrolled > 0
    video.focus()
    page.keyboard.press("Space")
    wait_until(page, lambda: video.evaluate("v => v.paused"), "it stops")
    page.keyboard.press("End")
    assert at() == pytest.approx(video.evaluate("v => v.duration"), abs=0.01)


def test_everything_can_be_reached_by_keyboard(fake: FakeStatus, serve: Serve, visit: Open) -> None:
    fake.add("front")
    page = visit(serve(fake).url)
    expect(page.locator("article.tile")).to_have_count(1)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring == "solid", reached[-1]
        if page.evaluate("document.activeElement.classList.contains('screen')"):
            break
    bar = ["streamcam", "Cameras", "Events", "Files", "API", "Wall"]
    assert reached[:7] == ["Skip to content", *bar]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("front")
    page.keyboard.press("Escape")
    expect(page.locator("article.tile")).to_have_count(1)
    page.keyboard.press("f")
    expect(page.locator(".bar")).to_be_hidden()
    page.keyboard.press("f")
    expect(page.locator(".bar")).to_be_visible()


def test_a_failed_file_shows_the_reason(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve, visit: Open
) -> None:
    page = visit(f"{serve(fake_with_jobs).url}/#/file/{finished.broken}")
    expect(page.locator(".fault")).to_contain_text("not a video or picture")


def test_a_cameras_view_shows_details(fake: FakeStatus, serve: Serve, visit: Open) -> None:
    fake.add("front").write(coloured(RED))
    page = visit(f"{serve(fake).url}/#/camera/front")
    wait_until(page, lambda: shows(page, "front", RED), "it is shown")
    row = page.locator("tbody tr")
    expect(row.locator("th, td")).to_have_text(["person", "88 %", "3.2", "30 %", "inside"])
    expect(page.get_by_role("definition").first).to_have_text("5.0 of 25.0 fps explained")
    expect(page.get_by_text("publishing: the server refused it")).to_be_visible()
    # Nothing is recorded of it.
    expect(page.locator(".recordings")).to_be_hidden()


def test_a_phone_needs_no_sideways_scrolling(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve, visit: Open
) -> None:
    for index in range(3):
        fake_with_jobs.add(f"cam{index}").write(coloured(RED))
    url = serve(fake_with_jobs).url
    page = visit(url, viewport={"width": 390, "height": 844}, color_scheme="light")
    for address, there in (
        *(("#/", "article.tile"), ("#/files", ".file img"), ("#/files/failed", ".file .fault")),
        *(("#/camera/cam1", "tbody th"), (f"#/file/{finished.video}", ".strip canvas")),
    ):
        page.goto(f"{url}/{address}")
        expect(page.locator(there).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
    page.goto(f"{url}/docs")
    expect(page.get_by_text("/api/cameras/{name}/picture")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_with_a_token_the_page_asks_for_it(
    fake: FakeStatus, serve: Serve, visit: Open, token_file: Path
) -> None:
    fake.add("front").write(coloured(RED))
    page = visit(serve(fake, token_file=token_file).url)
    page.get_by_label("Token").fill("something else")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    wait_until(page, lambda: shows(page, "front", RED), "it is shown")
