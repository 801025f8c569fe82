"""Looking back on the page: a day's timeline, its player, the calendar."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from streamcam.service.http.records_digest import Digest, DigestCache
from tests.service.http.browsing import Open, wait_until
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.conftest import Serve
from tests.service.http.fake_status import FakeStatus
from tests.service.http.segments import write_segment

DAY = datetime(2026, 3, 1, tzinfo=UTC)
DARK, MIDDLE, LIGHT = 40, 120, 200
NINE, NINE_AFTER, EVENING = "20260301T090000", "20260301T090002", "20260301T180000"
"""Two segments of two seconds without a gap between them, and one after nine hours."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    nine = DAY.replace(hour=9)
    write_segment(folder, nine, 2, ["person", "person"], lift=8, grey=DARK)
    write_segment(folder, nine + timedelta(seconds=2), 2, ["car"], lift=1, grey=MIDDLE)
    write_segment(folder, DAY.replace(hour=18), 2, ["person"], grey=LIGHT)
    write_segment(folder, datetime(2026, 2, 27, 2, tzinfo=UTC), 2, ["cat"], grey=LIGHT)
    write_segment(folder, datetime(2026, 2, 20, 12, tzinfo=UTC), 2, ["dog"], grey=DARK)
    return folder


@pytest.fixture
def url(fake: FakeStatus, serve: Serve, recorded: Path) -> str:
    fake.add("front")
    fake.recorded["front"] = recorded
    return f"{serve(fake).url}/#/camera/front"


def strip(page: Page) -> Locator:
    return page.get_by_role("slider", name="Position")


def at(page: Page, hours: float) -> tuple[float, float]:
    """Return where an hour of the whole day is on the screen."""
    strip(page).scroll_into_view_if_needed()
    place = strip(page).bounding_box()
    assert place is not None
    return place["x"] + place["width"] * hours / 24, place["y"] + 10


def shown(page: Page) -> int:
    """Return how bright the player's picture is."""
    script = """v => { const c = document.createElement("canvas"); const d = c.getContext("2d");
        d.drawImage(v, 0, 0, 1, 1); return d.getImageData(0, 0, 1, 1).data[0]; }"""
    found: int = page.locator("video").evaluate(script)
    return found


def until_shown(page: Page, grey: int, moment: str) -> None:
    expect(page.locator("#reading b")).to_have_text(moment)
    wait_until(page, lambda: abs(shown(page) - grey) < 15, f"{grey} is shown, not {shown(page)}")


def test_the_latest_day_is_opened_at_its_last_segment(url: str, visit: Open) -> None:
    page = visit(url, timezone_id="UTC")
    expect(page.get_by_role("heading", name="Sunday, 1 March 2026")).to_be_visible()
    until_shown(page, LIGHT, "18:00:00")
    expect(page.locator("#reading")).to_contain_text("person 1 (lift 2.0) · flicker 0.250")
    assert page.url.endswith(f"#/camera/front/{EVENING}")
    labels = page.locator(".labels li")
    expect(labels).to_have_text(["person30", "car10"])
    expect(page.get_by_role("link", name="records")).to_have_attribute(
        "href", f"/api/cameras/front/recordings/{EVENING}/records"
    )


def test_a_click_and_a_drag_show_the_moment(url: str, visit: Open) -> None:
    page = visit(url, timezone_id="UTC")
    until_shown(page, LIGHT, "18:00:00")
    # In a gap: what was recorded next.
    page.mouse.click(*at(page, 8))
    page.mouse.move(5, 5)
    until_shown(page, DARK, "09:00:00")
    assert page.url.endswith(NINE)
    page.mouse.move(*at(page, 10))
    expect(page.locator("#reading")).to_contain_text("not recorded")
    expect(strip(page)).to_have_attribute("title", re.compile(r"2026-03-01 (09:59|10:00):\d\d UTC"))
    page.mouse.down()
    page.mouse.move(*at(page, 12), steps=5)
    page.mouse.move(*at(page, 16.5), steps=5)
    page.mouse.up()
    page.mouse.move(5, 5)
    until_shown(page, LIGHT, "18:00:00")
    assert page.url.endswith(EVENING)


def test_a_segment_follows_the_other_and_over_gaps(url: str, visit: Open) -> None:
    page = visit(f"{url}/{NINE}", timezone_id="UTC")
    until_shown(page, DARK, "09:00:00")
    page.get_by_label("Speed").select_option("2")
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url.rsplit("/", 1)[-1]))
    page.get_by_role("button", name="Play").click()
    wait_until(page, lambda: page.url.endswith(EVENING), "the last segment is played")
    # At the end of the last one it stops.
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert page.locator("video").evaluate("v => [v.ended, v.playbackRate]") == [True, 2]
    assert seen == [NINE_AFTER, EVENING]


def test_today_goes_on_as_it_is_recorded(
    fake: FakeStatus, serve: Serve, visit: Open, tmp_path: Path
) -> None:
    fake.add("front")
    fake.recorded["front"] = tmp_path
    noon = DAY.replace(hour=12)
    write_segment(tmp_path, noon, 1, ["person"], grey=DARK)
    url = serve(fake).url
    page = visit(url, timezone_id="UTC")
    page.clock.install(time=noon + timedelta(minutes=2))
    page.goto(f"{url}/#/camera/front")
    until_shown(page, DARK, "12:00:00")
    page.get_by_role("button", name="Play").click()
    video = page.locator("video")
    wait_until(page, lambda: video.evaluate("v => v.ended"), "it is at the end")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    name = write_segment(tmp_path, noon + timedelta(minutes=1), 1, ["car"], grey=LIGHT)
    page.clock.fast_forward(20_000)
    wait_until(page, lambda: page.url.endswith(name), "it goes on")
    expect(page.locator(".labels li")).to_have_text(["person5", "car5"])


def test_the_keyboard_goes_over_gaps_both_ways(url: str, visit: Open) -> None:
    page = visit(f"{url}/{NINE}", timezone_id="UTC")
    until_shown(page, DARK, "09:00:00")
    strip(page).focus()
    expect(strip(page)).to_have_attribute(
        "aria-valuetext", "09:00:00: person 2 (lift 8.0) · flicker 0.250"
    )
    for key, grey, moment in (
        *(("Shift+ArrowRight", DARK, "09:00:01"), ("Shift+ArrowRight", MIDDLE, "09:00:02")),
        *(("ArrowRight", LIGHT, "18:00:00"), ("ArrowLeft", MIDDLE, "09:00:03")),
        *(("Home", DARK, "09:00:00"), ("PageDown", LIGHT, "18:00:00")),
        *(("Home", DARK, "09:00:00"), ("End", LIGHT, "18:00:02")),
    ):
        page.keyboard.press(key)
        until_shown(page, grey, moment)
    page.keyboard.press("Home")
    expect(page.locator("#reading")).to_contain_text("09:00:00 person 2 (lift 8.0) · flicker")
    for _ in range(4):
        page.keyboard.press(".")
    page.keyboard.press(",")
    expect(strip(page)).to_have_attribute(
        "aria-valuenow", f"{DAY.timestamp() + 9 * 3600 + 0.6:.1f}"
    )
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    wait_until(page, lambda: page.url.endswith(EVENING), "it plays")


def pixel(page: Page, hours: float, above: int) -> list[int]:
    """Return a colour of the timeline's canvas, at an hour, some pixels above its lower edge."""
    script = """(c, [share, above]) => [...c.getContext("2d").getImageData(
        Math.round(c.width * share), c.height - above, 1, 1).data].slice(0, 3)"""
    found: list[int] = page.locator(".strip canvas").evaluate(script, [hours / 24, above])
    return found


def test_gaps_and_what_was_found_can_be_seen(
    fake: FakeStatus, serve: Serve, visit: Open, tmp_path: Path
) -> None:
    fake.add("front")
    fake.recorded["front"] = tmp_path
    for hour, lift in ((6, 1.0), (12, 8.0)):
        for part in range(6):
            write_segment(
                tmp_path, DAY.replace(hour=hour, minute=part * 10), 600, ["person"], lift=lift
            )
    page = visit(f"{serve(fake).url}/#/camera/front", timezone_id="UTC")
    expect(page.locator(".labels li")).to_have_count(1)
    line, axis = 19, 20
    wait_until(page, lambda: any(pixel(page, 6.5, line)), "it is drawn")
    recorded, gap = pixel(page, 6.5, line), pixel(page, 10.5, line)
    assert recorded != gap
    assert pixel(page, 12.5, line) == recorded
    assert pixel(page, 18.5, line) == gap
    # In the colour of its boxes, as high as it is focused.
    blue = [86, 180, 233]
    assert pixel(page, 12.5, axis + 4) == pixel(page, 6.5, axis + 4) == blue
    assert pixel(page, 12.5, axis + 18) == blue
    assert pixel(page, 6.5, axis + 18) != blue


def test_what_is_not_read_yet_is_not_called_a_gap(
    fake: FakeStatus, serve: Serve, visit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add("front")
    fake.recorded["front"] = tmp_path
    for hour in (6, 12):
        write_segment(tmp_path, DAY.replace(hour=hour), 3600, ["person"])
    # Only the latest is read, however often it is asked for.
    read = DigestCache.read

    def read_noon(cache: DigestCache, path: Path, seconds: float) -> Digest | None:
        return read(cache, path, seconds) if path.parent.name == "12" else None

    monkeypatch.setattr(DigestCache, "read", read_noon)
    page = visit(f"{serve(fake).url}/#/camera/front", timezone_id="UTC")
    expect(page.locator(".labels li")).to_have_count(1)
    words = page.locator("#reading span")
    for hour, text in ((6.5, "not read yet"), (12.5, "person 1"), (18, "not recorded")):
        page.mouse.move(*at(page, hour))
        expect(words).to_contain_text(text)
    monkeypatch.undo()
    page.mouse.move(*at(page, 6.5))
    expect(words).to_contain_text("person 1")
    page.mouse.move(*at(page, 3))
    expect(words).to_have_text("not recorded")


def test_days_are_those_of_the_reader(url: str, visit: Open) -> None:
    page = visit(f"{url}/20260227T020000", timezone_id="America/New_York")
    until_shown(page, LIGHT, "21:00:00")
    expect(page.get_by_role("heading", name="Thursday, 26 February 2026")).to_be_visible()
    expect(page.get_by_text("America/New_York, GMT-5")).to_have_attribute(
        "title", "2026-02-26 05:00 UTC to 2026-02-27 05:00 UTC"
    )
    expect(page.locator("#reading")).to_have_attribute("title", "2026-02-27 02:00:00 UTC")
    days = page.locator(".calendar td button")
    expect(days).to_have_text(["20", "26"])
    page.get_by_role("button", name="Day after").click()
    until_shown(page, LIGHT, "13:00:00")
    expect(page.get_by_role("button", name="Day after")).to_be_disabled()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 8, tzinfo=UTC), 23),
        ("Europe/Berlin", datetime(2025, 10, 26, 8, tzinfo=UTC), 25),
        ("Asia/Kolkata", datetime(2026, 3, 1, 18, 45, tzinfo=UTC), 24),
    ],
)
def test_days_of_other_lengths_and_half_hours(
    fake: FakeStatus,
    serve: Serve,
    visit: Open,
    tmp_path: Path,
    zone: str,
    day: datetime,
    hours: int,
) -> None:
    fake.add("front")
    fake.recorded["front"] = tmp_path
    write_segment(tmp_path, day, 2, ["cat"])
    page = visit(f"{serve(fake).url}/#/camera/front", timezone_id=zone)
    expect(page.locator(".labels li")).to_have_count(1)
    bounds = strip(page).evaluate("s => s.ariaValueMax - s.ariaValueMin")
    assert bounds == hours * 3600
    chosen = page.locator(".calendar [aria-current=date]")
    expect(chosen).to_have_text("2" if zone == "Asia/Kolkata" else str(day.day))


def test_the_calendar_leads_to_other_days_and_months(url: str, visit: Open) -> None:
    page = visit(url, timezone_id="UTC")
    until_shown(page, LIGHT, "18:00:00")
    calendar = page.get_by_role("group", name="Days with recordings")
    expect(calendar.locator("td button")).to_have_text(["1"])
    expect(calendar.get_by_role("button", name="Month after")).to_be_disabled()
    calendar.get_by_role("button", name="Month before").click()
    expect(calendar.get_by_role("heading")).to_have_text("February 2026")
    expect(calendar.get_by_role("button", name="Month before")).to_be_disabled()
    calendar.get_by_role("button", name="Friday, 27 February 2026, recorded").press("Enter")
    until_shown(page, LIGHT, "02:00:00")
    expect(calendar.locator("[aria-current=date]")).to_have_text("27")
    # Arrows lead to the next recorded day in their direction, and move nothing else.
    for key, day in (("ArrowUp", "20"), ("ArrowRight", "27"), ("ArrowLeft", "20")):
        page.keyboard.press(key)
        expect(calendar.locator(":focus")).to_have_text(day)
    until_shown(page, LIGHT, "02:00:00")
    page.get_by_role("button", name="Day before").click()
    until_shown(page, DARK, "12:00:00")
    expect(page.get_by_role("button", name="Day before")).to_be_disabled()


def span(page: Page) -> list[str]:
    """Return what times can be pointed at: the first and the last."""
    ends = []
    place = strip(page).bounding_box()
    assert place is not None
    for share in (0.001, 0.999):
        page.mouse.move(place["x"] + place["width"] * share, place["y"] + 5)
        ends.append(page.locator(".pointer").inner_text())
    return ends


def test_it_is_zoomed_by_wheel_keys_and_buttons_and_then_finer(url: str, visit: Open) -> None:
    page = visit(f"{url}/{NINE}", timezone_id="UTC")
    until_shown(page, DARK, "09:00:00")
    reading = page.locator("#reading")
    expect(reading).to_contain_text("09:00:00 person 2 (lift 8.0) · flicker")
    strip(page).focus()
    for _ in range(11):
        page.keyboard.press("+")
    # A minute is left, in seconds; the day is told in minutes.
    first, last = span(page)
    assert (first, last) == ("08:59:37", "09:00:37")
    page.mouse.move(*at(page, 24 * (0.375 + 2.9 / 60)))
    expect(reading).to_contain_text("09:00:02 car 1 (lift 1.0) · flicker")
    page.mouse.wheel(0, 300)
    wait_until(page, lambda: span(page) != [first, last], "the wheel zooms out")
    page.get_by_role("button", name="Show all").click()
    assert [end[:5] for end in span(page)] == ["00:01", "23:58"]
    page.get_by_role("button", name="Zoom in").click()
    assert [end[:5] for end in span(page)] == ["04:30", "16:29"]
    page.mouse.move(*at(page, 12))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 200)
    page.keyboard.up("Shift")
    wait_until(page, lambda: span(page)[0] > "05:30", "the wheel moves it with shift")


Touch = Callable[..., None]


def fingers(page: Page) -> Touch:
    """Return a function that touches the timeline at hours of the whole day."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *hours: float) -> None:
        places = [at(page, hour) for hour in hours]
        points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return touch


def test_one_finger_seeks_and_two_zoom(url: str, visit: Open) -> None:
    phone = {"width": 390, "height": 844}
    page = visit(f"{url}/{NINE}", timezone_id="UTC", has_touch=True, viewport=phone)
    until_shown(page, DARK, "09:00:00")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    touch = fingers(page)
    touch("touchStart", 17)
    touch("touchEnd")
    until_shown(page, LIGHT, "18:00:00")
    touch("touchStart", 16)
    touch("touchStart", 16, 20)
    touch("touchMove", 2, 22)
    touch("touchEnd")
    # What was four hours is 20 hours wide now, and 18:00 is in the middle of it.
    head = page.locator(".playhead")
    wait_until(
        page,
        lambda: head.evaluate("h => parseFloat(h.style.left)") == pytest.approx(50, abs=1),
        "it is zoomed",
    )
