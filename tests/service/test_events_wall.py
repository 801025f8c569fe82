"""A zone is drawn in the page of a real service; events in it appear on the wall, with clips."""

import tomllib
from pathlib import Path

from playwright.sync_api import expect

from tests.service.http.browsing import Open, wait_until
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.conftest import TOKEN
from tests.service.running import PATIENCE, Service

CONFIG = """
# The street, as it is drawn.
[model]
confidence = 0.3
[live]
max_fps = 5.0
segment = "2s"
[[camera]]
name = "street"
url = "demo://street?width=640&height=360"  # no camera is needed
[camera.events]
min_seconds = "600ms"
zones = ["road"]
pre_roll = "1s"
post_roll = "1s"
[[camera.zones]]
name = "road"
points = [0.0, 0.9, 0.1, 1.0]  # a corner
"""
PATIENTLY = PATIENCE * 1000
"""Milliseconds."""


def test_events_of_a_zone_that_was_drawn_in_the_page(tmp_path: Path, visit: Open) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with Service(tmp_path, CONFIG, STREAMCAM_HTTP_TOKEN_FILE=str(token)) as service:
        page = visit(service.url)
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="street").click(timeout=PATIENTLY)
        page.get_by_role("link", name="Zones").click()
        # Its points are moved by keyboard: to a box of most of the picture.
        page.get_by_role("button", name="Zone road, 4 points").focus(timeout=PATIENTLY)
        page.get_by_role("button", name="Zone road, point 1").focus()
        for _ in range(14):
            page.keyboard.press("Shift+ArrowUp")
        page.get_by_role("button", name="Zone road, point 3").focus()
        for _ in range(19):
            page.keyboard.press("Shift+ArrowRight")
        page.get_by_role("button", name="Zone road, point 2").focus()
        for key in (*["Shift+ArrowUp"] * 14, *["Shift+ArrowRight"] * 19):
            page.keyboard.press(key)
        page.get_by_role("button", name="Review changes").click()
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".news")).to_have_text("Saved, and in force.", timeout=PATIENTLY)
        text = service.config.read_text()
        assert "# no camera is needed" in text
        (zone,) = tomllib.loads(text)["camera"][0]["zones"]
        assert zone == {"name": "road", "points": [0.0, 0.2, 1.0, 1.0]}

        page.goto(f"{service.url}/#/events?zone=road")
        cards = page.locator(".event[data-clip=ready]")
        expect(cards.first).to_be_visible(timeout=PATIENTLY)
        expect(cards.first.locator(".zone-chip")).to_have_text("road")
        cards.first.locator("a").click()
        video = page.locator("dialog video")
        # The first events have no time before them: the camera has just reconnected.
        wait_until(page, lambda: video.evaluate("v => v.duration > 1"), "its clip is there")
        expect(page.get_by_role("slider", name="Position")).to_be_visible()
        page.get_by_role("link", name="In the recording").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("street")
        wait_until(page, lambda: page.locator("video").evaluate("v => v.duration > 1"), "it plays")
