"""The events wall in a real browser: what it lists, filters, plays, and takes out."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from streamcam.events.event import Event, Suspicion
from streamcam.events.event_store import ClipState
from streamcam.sinks.pictures import write_still
from streamcam.sinks.recording.naming import CLIP, CLIP_RECORDS, HEAT_STILL, STILL
from tests.events.test_event_store import event
from tests.service.http.browsing import Open, wait_until
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.conftest import TOKEN, FinishedJobs, Serve
from tests.service.http.test_event_routes import Kept
from tests.service.http.test_event_routes import kept as kept
from tests.test_escapes import HOSTILE

DAY = 86400.0
HOT, PLAIN = [220, 60, 20], [40, 90, 200]
ELSEWHERE = {"timezone_id": "Pacific/Auckland"}
"""Where it is 1 a.m. on the second of March when the first event begins: on another day."""


@pytest.fixture
def wall(kept: Kept, finished: FinishedJobs) -> dict[str, Event]:
    """Four events, the last of them still going on; one has a clip."""
    off = (Suspicion.OFF_OBJECT, Suspicion.FLICKERING)
    made = {
        "dog": event(-DAY, "yard", "dog", ("gate",)),
        "suspect": event(10, "yard", "person", ("door",), *off),
        "car": event(20, "street", "car"),
        "now": event(30, "yard", "person", running=True),
    }
    for each in made.values():
        kept.put(each, ClipState.PENDING if each.end is None else ClipState.NONE, "not recorded")
        for ending, colour in ((HEAT_STILL, HOT), (STILL, PLAIN)):
            write_still(kept.file(each, ending), np.full((180, 320, 3), colour, np.uint8))
    give_clip(kept, made["car"], finished.output)
    return made


def give_clip(kept: Kept, made: Event, folder: Path) -> None:
    shutil.copy(folder / "street.heatmap.mp4", kept.file(made, CLIP))
    shutil.copy(folder / "street.detections.jsonl", kept.file(made, CLIP_RECORDS))
    begin = datetime.fromtimestamp(made.began - 2, UTC).isoformat()
    kept.store.set_clip(made.id, ClipState.READY, begin=begin)


def open_wall(kept: Kept, serve: Serve, visit: Open, address: str = "", **options: Any) -> Page:
    server = serve(kept.fake, token_file=options.pop("token_file", None))
    return visit(f"{server.url}/{address or '#/events'}", **options)


def listed(page: Page, *names: str) -> None:
    expect(page.locator(".event .what b")).to_have_text(list(names))


def colour(image: Locator) -> list[int]:
    script = """i => { const c = document.createElement("canvas").getContext("2d");
        c.drawImage(i, 0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); }"""
    found: list[int] = image.evaluate(script)
    return found


def is_colour(image: Locator, wanted: list[int]) -> bool:
    loaded: bool = image.evaluate("i => i.complete && i.naturalWidth > 0")
    return loaded and max(abs(a - b) for a, b in zip(colour(image), wanted, strict=True)) < 12


@pytest.mark.usefixtures("wall")
def test_events_are_listed_by_day_the_newest_first(kept: Kept, serve: Serve, visit: Open) -> None:
    page = open_wall(kept, serve, visit, **ELSEWHERE)
    listed(page, "person", "car", "person", "dog")
    days = page.locator(".day")
    expect(days).to_have_text(["Sunday, March 2, 2025", "Saturday, March 1, 2025"])
    running, car, suspect, _ = page.locator(".event").all()
    expect(running.locator(".length")).to_contain_text("now")
    expect(car.locator(".length")).to_have_text("0:00")
    expect(car.locator(".mark")).to_be_hidden()
    expect(suspect.locator(".mark")).to_have_text("suspect")
    expect(suspect.locator(".chip")).to_have_text(["90 %", "lift1.5", "door"])
    expect(suspect.locator("time")).to_have_attribute("datetime", "2025-03-01T12:00:10Z")
    wait_until(page, lambda: is_colour(car.locator("img").first, HOT), "the picture with heat")
    car.hover()
    wait_until(page, lambda: is_colour(car.locator(".other"), PLAIN), "the one without")
    expect(car.locator(".other")).to_have_css("opacity", "1")
    page.get_by_label("Heat").uncheck()
    wait_until(page, lambda: is_colour(car.locator("img").first, PLAIN), "the picture alone")


@pytest.mark.usefixtures("wall")
def test_filters_are_in_the_address(kept: Kept, serve: Serve, visit: Open) -> None:
    page = open_wall(kept, serve, visit, **ELSEWHERE)
    listed(page, "person", "car", "person", "dog")
    page.get_by_label("camera").select_option("yard")
    listed(page, "person", "person", "dog")
    page.get_by_label("Day").fill("2025-03-01")
    listed(page, "dog")
    page.get_by_label("Day").fill("2025-03-02")
    listed(page, "person", "person")
    page.get_by_label("zone").select_option("door")
    listed(page, "person")
    assert page.url.endswith("#/events?camera=yard&zone=door&day=2025-03-02")
    page.reload()
    listed(page, "person")
    expect(page.get_by_label("camera")).to_have_value("yard")
    page.get_by_label("class").select_option("car")
    expect(page.get_by_text("No events fit.")).to_be_visible()
    page.get_by_role("link", name="Reset").click()
    listed(page, "person", "car", "person", "dog")
    page.get_by_label("Which").select_option("Suspects")
    listed(page, "person")
    page.go_back()
    listed(page, "person", "car", "person", "dog")


def test_new_events_appear_and_running_ones_end(
    kept: Kept, wall: dict[str, Event], serve: Serve, visit: Open
) -> None:
    page = open_wall(kept, serve, visit)
    listed(page, "person", "car", "person", "dog")
    first = page.locator(".event").first
    expect(first).to_have_attribute("data-running", "true")
    end = replace(wall["now"].begin, time=wall["now"].begin.time + 75)
    kept.put(replace(wall["now"], end=end, label="person"), ClipState.PENDING)
    kept.put(event(40, "yard", "cat"))
    listed(page, "cat", "person", "car", "person", "dog")
    ended = page.locator(".event").nth(1)
    expect(ended).to_have_attribute("data-running", "false")
    expect(ended.locator(".length")).to_have_text("1:15")
    kept.store.dismiss(wall["car"].id)
    listed(page, "cat", "person", "person", "dog")


def test_older_events_come_as_one_scrolls(kept: Kept, serve: Serve, visit: Open) -> None:
    made = [kept.put(event(n * 60.0, label=f"number {n}")) for n in range(120)]
    page = open_wall(kept, serve, visit, viewport={"width": 900, "height": 500})
    cards = page.locator(".event")
    expect(cards).to_have_count(48)
    page.mouse.wheel(0, 20000)
    expect(cards).to_have_count(96)
    page.mouse.wheel(0, 20000)
    expect(cards).to_have_count(120)
    expect(cards.last.locator(".what b")).to_have_text("number 0")
    # So many new ones at once that a page does not hold them: none is left out.
    for n in range(120, 180):
        kept.put(event(n * 60.0, label=f"number {n}"))
    expect(cards.first.locator(".what b")).to_have_text("number 179")
    page.mouse.wheel(0, 20000)
    page.mouse.wheel(0, 20000)
    wait_until(page, lambda: cards.count() >= 96, "older ones")
    names = page.locator(".event .what b").all_inner_texts()
    assert names == [f"number {n}" for n in range(179, 179 - len(names), -1)]
    assert len(made) == 120


def test_an_event_plays_and_tells_what_is_known(
    kept: Kept, wall: dict[str, Event], serve: Serve, visit: Open
) -> None:
    page = open_wall(kept, serve, visit)
    page.get_by_role("link", name="car, street").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("car")
    video = dialog.locator("video")
    wait_until(page, lambda: video.evaluate("v => v.duration > 7"), "its clip is there")
    expect(dialog.get_by_role("slider", name="Position")).to_be_visible()
    expect(dialog.locator("dd").nth(2)).to_have_text("90 % at best")
    expect(dialog.locator("dd").nth(3)).to_have_text(
        "lift 1.5 on average, 0.5 at least; 1 is chance"
    )
    assert page.url.endswith(f"#/event/{wall['car'].id}")
    page.keyboard.press("j")
    expect(dialog.locator(".suspicion")).to_have_text(
        "May be a false alarm: the map lay off the object in 25 % of its frames; "
        "it was found and lost again and again."
    )
    expect(dialog.locator(".best")).to_contain_text("There is no clip: not recorded.")
    wait_until(page, lambda: is_colour(dialog.locator(".best img"), HOT), "its best frame")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    wait_until(page, lambda: page.url.endswith("#/events"), "the list's own address")
    listed(page, "person", "car", "person", "dog")


def test_a_link_leads_to_an_event_whose_clip_comes_later(
    kept: Kept, wall: dict[str, Event], finished: FinishedJobs, serve: Serve, visit: Open
) -> None:
    now = wall["now"]
    page = open_wall(kept, serve, visit, f"#event={now.id}")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".best")).to_contain_text("It lasts; its clip is cut when it is over.")
    kept.put(replace(now, end=now.begin), ClipState.PENDING)
    expect(dialog.locator(".best")).to_contain_text("as soon as its recording is complete")
    give_clip(kept, now, finished.output)
    video = dialog.locator("video")
    wait_until(page, lambda: video.evaluate("v => v.duration > 7"), "its clip is there")
    page.goto(f"{page.url.split('#')[0]}#event=1.000000-aaaaaa")
    expect(dialog).to_contain_text("This event cannot be shown: no such event.")


def test_a_false_alarm_is_dismissed_and_restored(
    kept: Kept, wall: dict[str, Event], serve: Serve, visit: Open, token_file: Path
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    page = open_wall(kept, serve, visit, token_file=token_file, extra_http_headers=headers)
    page.get_by_role("link", name="person, yard").last.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="False alarm").click()
    # The next one is shown, to be judged too.
    expect(dialog.get_by_role("heading")).to_have_text("dog")
    stored = kept.store.get(wall["suspect"].id)
    assert stored is not None
    assert stored.dismissed
    page.keyboard.press("Escape")
    listed(page, "person", "car", "dog")
    page.get_by_label("Which").select_option("Dismissed")
    listed(page, "person")
    page.locator(".event a").click()
    dialog.get_by_role("button", name="No false alarm").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("No events fit.")).to_be_visible()
    page.get_by_role("link", name="Reset").click()
    listed(page, "person", "car", "person", "dog")


def test_without_a_token_it_is_told_why_nothing_is_dismissed(
    kept: Kept, wall: dict[str, Event], serve: Serve, visit: Open
) -> None:
    page = open_wall(kept, serve, visit, f"#/event/{wall['car'].id}")
    page.get_by_role("button", name="False alarm").click()
    expect(page.locator("dialog .fault")).to_have_text("changes need a token: set http.token_file")


def test_a_phone_shows_what_is_hostile_as_text(kept: Kept, serve: Serve, visit: Open) -> None:
    made = kept.put(event(0, "yard", HOSTILE, (HOSTILE,)), note=HOSTILE)
    phone = {"width": 390, "height": 844}
    page = open_wall(kept, serve, visit, viewport=phone)
    expect(page.locator(".event")).to_contain_text(r"d\u202ee\u2066f\u200f[red]g:smile:<b>h")
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    page.locator(".event a").click()
    expect(page.locator(".best")).to_contain_text("<b>h")
    assert page.locator("dialog").evaluate("d => d.scrollWidth <= d.clientWidth")
    assert kept.store.get(made.id) is not None


def test_no_events_and_no_answer_are_told(kept: Kept, serve: Serve, visit: Open) -> None:
    page = open_wall(kept, serve, visit)
    expect(page.get_by_text("No events yet: a camera with a table [camera.events]")).to_be_visible()
    page.route("**/api/events?*", lambda route: route.fulfill(status=503, json={"detail": "busy"}))
    expect(page.get_by_text("The events cannot be read: busy")).to_be_visible()
    page.unroute("**/api/events?*")
    kept.put(event(0))
    expect(page.locator(".event")).to_have_count(1)
