"""A real browser, and what is seen in it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.jobs.conftest import eventually

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WAIT = 15_000
"""Milliseconds after which what should be seen is not."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here: {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


Open: TypeAlias = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens pages, and finds fault with any that complain or ask elsewhere."""
    faults: list[str] = []
    contexts = []

    def start(url: str, **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT)
        origin = "/".join(url.split("/")[:3])
        page.on("request", lambda r: None if r.url.startswith(origin) else faults.append(r.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if _is_fault(line) else None)
        page.goto(url)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not faults


def _is_fault(line: Any) -> bool:
    # A server that was stopped, a token that is still missing, and refusals are expected.
    known = ("ERR_CONNECTION", "401 (", "403 (", "404 (", "409 (", "422 (", "503 (")
    return line.type == "error" and not any(word in line.text for word in known)


def tile(page: Page, camera: str) -> Any:
    return page.locator(f"article[data-camera={camera}]")


def colour(page: Page, camera: str) -> list[int]:
    """Return the colour of a camera's picture near its upper right corner."""
    script = "c => [...c.getContext('2d').getImageData(c.width - 20, 20, 1, 1).data].slice(0, 3)"
    found: list[int] = page.locator(f"canvas[data-camera={camera}]").evaluate(script)
    return found


def shows(page: Page, camera: str, wanted: Sequence[int]) -> bool:
    return max(abs(a - b) for a, b in zip(colour(page, camera), wanted, strict=True)) < 30


def wait_until(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition while the page lives on."""
    eventually(lambda: page.wait_for_timeout(20) or condition(), what, within=WAIT / 1000)
