"""Zones, lines and ignore regions are drawn on the picture and saved, in a real browser."""

import tomllib
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.service.http.browsing import Open, shows, wait_until
from tests.service.http.browsing import browser as browser
from tests.service.http.browsing import visit as visit
from tests.service.http.conftest import TOKEN, Serve
from tests.service.http.fake_status import coloured
from tests.service.http.test_page import RED
from tests.service.http.test_region_routes import CONFIG, Edited
from tests.service.http.test_region_routes import change as change

SKY = [0, 0, 1, 0.2]
SHARE = 0.003
"""Of the picture's width: a pixel or two."""


def open_editor(change: Edited, visit: Open, **options: Any) -> Page:
    change.fake.add("front").write(coloured(RED))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    page = visit(f"{change.ask.url}/#/camera/front", extra_http_headers=headers, **options)
    page.get_by_role("link", name="Zones").click()
    wait_until(page, lambda: shows(page, "front", RED), "the picture is shown")
    expect(page.locator(".figure")).to_have_count(1)
    return page


def spot(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the picture is in the window."""
    place = page.locator(".drawing").bounding_box()
    assert place is not None
    return place["x"] + x * place["width"], place["y"] + y * place["height"]


def draw(page: Page, kind: str, *points: tuple[float, float]) -> None:
    page.get_by_role("button", name=f"+ {kind}").click()
    for x, y in points:
        page.mouse.click(*spot(page, x, y))


def save(page: Page) -> None:
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".news")).to_have_text("Saved, and in force.")


def saved(change: Edited) -> dict[str, Any]:
    camera: dict[str, Any] = tomllib.loads(change.file.read_text())["camera"][0]
    return camera


def test_a_region_is_drawn_looked_at_and_saved(change: Edited, visit: Open) -> None:
    page = open_editor(change, visit)
    expect(page.get_by_role("button", name="Review changes")).to_be_disabled()
    draw(page, "Ignore region", (0.5, 0.4), (0.8, 0.4), (0.6, 0.9))
    page.mouse.dblclick(*spot(page, 0.6, 0.9))
    expect(page.locator(".shapes .name")).to_have_text(["Ignore region 1", "Ignore region 2"])
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator("dialog del")).to_have_text("-ignore = [[0, 0, 1, 0.2]]")
    expect(page.locator("dialog ins")).to_contain_text("+ignore = [[0, 0, 1, 0.2], [0.")
    assert change.file.read_text() == CONFIG
    expect(page.locator("dialog")).not_to_contain_text("hunter2")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".news")).to_have_text("Saved, and in force.")
    first, second = saved(change)["ignore"]
    assert first == SKY
    assert second == pytest.approx([0.5, 0.4, 0.8, 0.4, 0.6, 0.9], abs=SHARE)
    assert "password" in change.file.read_text()
    expect(page.get_by_role("button", name="Review changes")).to_be_disabled()


def test_all_of_it_works_by_keyboard(change: Edited, visit: Open) -> None:
    page = open_editor(change, visit)
    page.get_by_role("button", name="+ Ignore region").focus()
    page.keyboard.press("Enter")
    # From the middle: a step is half a percent, with shift five.
    for key in ("Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Space", "Enter"):
        page.keyboard.press(key)
    points = page.get_by_role("button", name="Ignore region 2, point")
    expect(points).to_have_count(3)
    points.nth(2).focus()
    for key in ("ArrowLeft", "ArrowUp", "Insert", "Delete", "Delete"):
        page.keyboard.press(key)
    # A point was added and removed; the last three stay.
    expect(points).to_have_count(3)
    page.keyboard.press("Escape")
    expect(points).to_have_count(0)
    page.get_by_role("button", name="Ignore region 1, 4 points").focus()
    page.keyboard.press("Delete")
    save(page)
    assert saved(change)["ignore"] == [[0.5, 0.5, 0.55, 0.5, 0.545, 0.545]]


def test_points_and_shapes_are_dragged_and_every_step_undone(change: Edited, visit: Open) -> None:
    page = open_editor(change, visit)

    def drag(*way: tuple[float, float]) -> None:
        page.mouse.move(*spot(page, *way[0]))
        page.mouse.down()
        for point in way[1:]:
            page.mouse.move(*spot(page, *point), steps=3)
        page.mouse.up()

    drag((0.3, 0.1), (0.3, 0.3), (0.3, 0.4))  # the whole, downwards
    drag((0.5, 0.5), (0.5, 0.8))  # the middle of its lower edge: a new point
    drag((1, 0.5), (0.8, 0.6))
    label = "Ignore region 1, point"
    expect(page.get_by_role("button", name=label)).to_have_count(5)
    save(page)
    (region,) = saved(change)["ignore"]
    wanted = [0, 0.3, 1, 0.3, 0.8, 0.6, 0.5, 0.8, 0, 0.5]
    assert region == pytest.approx(wanted, abs=SHARE * 2)
    for _ in range(3):
        page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name=label)).to_have_count(4)
    save(page)
    assert change.file.read_text() == CONFIG.replace("[0, 0, 1, 0.2]", "[0.0, 0.0, 1.0, 0.2]")


def test_zones_and_lines_have_names_and_lines_a_direction(change: Edited, visit: Open) -> None:
    page = open_editor(change, visit)
    draw(page, "Zone", (0.1, 0.5), (0.3, 0.5), (0.35, 0.9), (0.1, 0.8))
    page.mouse.click(*spot(page, 0.1, 0.5))
    page.get_by_label("Zone's name").fill("\u202e<b>door</b>")
    draw(page, "Line", (0.5, 0.9), (0.9, 0.6))
    page.get_by_label("Line's name").fill("gate")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Count the other way").click()
    expect(page.locator(".drawing text")).to_have_text(
        ["Ignore region 1", "\\u202e<b>door</b>", "in", "gate"]
    )
    page.get_by_label("Zone's name").fill("")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".news")).to_contain_text("zones.0.name: must be 1 to 64 characters")
    page.get_by_label("Zone's name").fill("the <b>door</b>")
    page.keyboard.press("Tab")
    save(page)
    (zone,), (line,) = saved(change)["zones"], saved(change)["lines"]
    assert (zone["name"], line["name"]) == ("the <b>door</b>", "gate")
    assert zone["points"] == pytest.approx([0.1, 0.5, 0.3, 0.5, 0.35, 0.9, 0.1, 0.8], abs=SHARE)
    assert line["points"] == pytest.approx([0.9, 0.6, 0.5, 0.9], abs=SHARE)
    # What is saved is what is shown after the page is loaded again.
    page.reload()
    expect(page.get_by_label("Zone's name")).to_have_value("the <b>door</b>")
    expect(page.locator(".figure")).to_have_count(3)


def test_a_finger_draws_on_a_phone(change: Edited, visit: Open) -> None:
    phone = {"width": 390, "height": 844}
    page = open_editor(change, visit, viewport=phone, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="+ Ignore region").tap()
    for point in ((0.2, 0.4), (0.6, 0.4), (0.6, 0.9), (0.2, 0.9)):
        page.touchscreen.tap(*spot(page, *point))
    page.get_by_role("button", name="Finish").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    save(page)
    _, region = saved(change)["ignore"]
    # A box would be four numbers: a finger is not that exact.
    assert region[:2] == pytest.approx([0.2, 0.4], abs=0.01)
    assert region[-2:] == pytest.approx([0.2, 0.9] if len(region) == 8 else [0.6, 0.9], abs=0.01)


def test_unsaved_changes_stay_while_the_page_is_open(change: Edited, visit: Open) -> None:
    page = open_editor(change, visit)
    page.get_by_role("button", name="Remove Ignore region 1").click()
    page.keyboard.press("Escape")
    expect(page.locator("article.tile")).to_have_count(1)
    page.go_back()
    expect(page.get_by_text("No zones, lines or ignore regions.")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".shapes .name")).to_have_text(["Ignore region 1"])
    assert change.file.read_text() == CONFIG


def test_a_file_that_changes_meanwhile_is_looked_at_again(change: Edited, visit: Open) -> None:
    page = open_editor(change, visit)
    page.get_by_role("button", name="Remove Ignore region 1").click()
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("button", name="Save")).to_be_focused()
    mine = CONFIG + "max_fps = 2\n"
    change.file.write_text(mine)
    page.keyboard.press("Enter")
    expect(page.locator(".news")).to_contain_text("was changed meanwhile")
    assert change.file.read_text() == mine
    save(page)
    assert saved(change) == {**saved(change), "max_fps": 2}
    assert "ignore" not in saved(change)


def test_without_a_token_zones_are_shown_only(change: Edited, serve: Serve, visit: Open) -> None:
    change.fake.add("front")
    page = visit(f"{serve(change.fake).url}/#/zones/front")
    expect(page.locator(".obstacle")).to_contain_text("changes need a token: set http.token_file")
    expect(page.locator(".figure")).to_have_count(1)
    assert page.locator("button:visible", has_text="Ignore").count() == 0
    expect(page.get_by_role("button", name="Review changes")).to_be_hidden()
