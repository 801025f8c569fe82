"""The page of `streamcam explain` in a real browser: by mouse, by touch, by keyboard alone."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from streamcam.explain.session import ExplainSession
from streamcam.service.http.explain_server import ExplainServer
from tests.explain.drawn_street import number_of
from tests.explain.drawn_street import session as session
from tests.service.http.browsing import Open, wait_until
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.explain_visits import explained as explained

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def enter(visit: Open, explained: ExplainServer) -> Open:
    def start(**options: Any) -> Page:
        page = visit(explained.entrance, **options)
        page.set_default_timeout(60_000)
        expect(page.locator("rect.box").first).to_be_attached(timeout=60_000)
        assert "token" not in page.url
        return page

    return start


def spot(page: Page, session: ExplainSession, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the frame, in its pixels, is in the window."""
    height, width = session.result.frame.picture.shape[:2]
    page.locator(".overlay").scroll_into_view_if_needed()
    place = page.locator(".overlay").bounding_box()
    assert place is not None
    return place["x"] + x / width * place["width"], place["y"] + y / height * place["height"]


def drag_over(page: Page, session: ExplainSession, box: tuple[float, ...]) -> None:
    page.mouse.move(*spot(page, session, box[0] - 2, box[1] - 2))
    page.mouse.down()
    page.mouse.move(*spot(page, session, (box[0] + box[2]) / 2, box[3]), steps=2)
    page.mouse.move(*spot(page, session, box[2] + 2, box[3] + 2))
    page.mouse.up()


def score(page: Page) -> int:
    text = page.locator(".number").inner_text().strip()
    if not text:
        return -1  # not known yet
    return 0 if text.startswith("<") else int(text.removesuffix(" %"))


def has_fallen(page: Page) -> None:
    """Wait until an attempt is in the table, and see that it says that the score has fallen."""
    row = page.locator(".history tbody tr").first
    expect(row).to_have_attribute("data-change", "fall", timeout=60_000)
    expect(page.locator(".score [role=status]")).to_contain_text("is not reported any more")


def test_a_box_is_clicked_explained_and_masked(enter: Open, session: ExplainSession) -> None:
    page = enter()
    person = number_of(session, "person")
    x1, y1, x2, y2 = session.result.detections[person].box
    other = next(i for i, _ in enumerate(session.result.detections) if i != person)
    page.locator("#boxes input").nth(other).check()
    page.mouse.click(*spot(page, session, (x1 + x2) / 2, (y1 + y2) / 2))
    expect(page.locator("#boxes input").nth(person)).to_be_checked()
    before = round(session.result.detections[person].confidence * 100)
    wait_until(page, lambda: score(page) == before, "the box's own score")
    page.get_by_label("HiResCAM").check()
    card = page.locator("article[data-method=hirescam]")
    expect(card.locator("image.heat")).to_have_attribute(
        "href", f"/api/boxes/{person}/maps/hirescam", timeout=60_000
    )
    card.get_by_role("radio").check()
    expect(page.locator("#stage img.heat")).to_be_visible()
    drag_over(page, session, (x1, y1, x2, y2))
    has_fallen(page)
    assert score(page) < before - 30
    expect(page.locator(f"rect.box[data-box='{person}']")).to_have_attribute("data-state", "lost")
    page.get_by_role("button", name="Undo").click()
    wait_until(page, lambda: score(page) == before, "the mask is gone")
    page.locator(".history").get_by_role("button").click()
    wait_until(page, lambda: score(page) < before - 30, "the attempt is shown again")
    page.locator("#fills").get_by_label("mean").check()
    expect(page.locator(".history tbody tr")).to_have_count(2, timeout=60_000)


def test_the_numbers_come_with_a_verdict(enter: Open) -> None:
    page = enter()
    card = page.locator("article[data-method=layercam]")
    expect(card.locator(".verdict")).to_contain_text("random maps", timeout=120_000)
    expect(card.locator("dt", has_text="deletion")).to_be_visible()
    expect(card.locator("progress")).to_be_hidden()
    page.get_by_text("What the numbers mean").click()
    expect(page.locator("#meanings")).to_contain_text("The hottest pixels are covered first")


def test_all_of_it_works_by_keyboard(enter: Open) -> None:
    page = enter()
    keys = page.keyboard
    page.locator("#boxes input").first.focus()
    keys.press("ArrowDown")
    expect(page.locator("#boxes input").nth(1)).to_be_checked()
    keys.press("ArrowUp")
    page.get_by_role("button", name="Add a mask").focus()
    keys.press("Enter")
    mask = page.locator("rect.mask")
    expect(mask).to_be_focused()
    name = mask.get_attribute("aria-label") or ""
    assert name.startswith("Mask 1: ")
    for _ in range(6):
        keys.press("ArrowLeft")
        keys.press("ArrowUp")
    for _ in range(14):
        keys.press("Shift+ArrowRight")
        keys.press("Shift+ArrowDown")
    expect(mask).to_be_focused()
    assert mask.get_attribute("aria-label") != name
    has_fallen(page)
    keys.press("Delete")
    expect(mask).to_have_count(0)
    keys.press("Control+z")
    expect(mask).to_have_count(1)


def test_masks_are_moved_and_resized_by_their_corners(enter: Open, session: ExplainSession) -> None:
    page = enter()
    drag_over(page, session, (100, 40, 140, 80))
    before = place_of_mask(page)
    page.mouse.move(*spot(page, session, 120, 60))
    page.mouse.down()
    page.mouse.move(*spot(page, session, 150, 60), steps=3)
    page.mouse.up()
    moved = place_of_mask(page)
    assert moved["x"] > before["x"] + 20
    assert moved["width"] == pytest.approx(before["width"], abs=1)
    page.mouse.move(moved["right"], moved["bottom"])
    page.mouse.down()
    page.mouse.move(moved["right"] + 50, moved["bottom"] + 10, steps=3)
    page.mouse.up()
    grown = place_of_mask(page)
    assert grown["width"] == pytest.approx(moved["width"] + 50, abs=2)
    assert (grown["x"], grown["y"]) == pytest.approx((moved["x"], moved["y"]), abs=1)


def place_of_mask(page: Page) -> dict[str, float]:
    """Return where the only mask is in the window: at once, since answers redraw it."""
    expect(page.locator("rect.mask")).to_have_count(1)
    script = "document.querySelector('rect.mask').getBoundingClientRect().toJSON()"
    place: dict[str, float] = page.evaluate(script)
    return place


def test_it_fits_a_phone(enter: Open) -> None:
    page = enter(**PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("rect.box").nth(1).tap(force=True)
    small = "[...document.querySelectorAll('.tools button, #choices label, #fills label')]"
    heights = page.evaluate(f"{small}.map(one => one.getBoundingClientRect().height)")
    assert min(heights) >= 36


def test_without_the_token_the_page_says_what_to_open(
    visit: Open, explained: ExplainServer
) -> None:
    page = visit(explained.url)
    expect(page.locator("main")).to_contain_text("Open the whole address")
