from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

from streamcam.render import text
from streamcam.render.text import drawable, text_mask

RARE = "\ue000"
"""A private character that STIX has, and DejaVu and the font inside Pillow do not."""


@pytest.fixture
def system_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let matplotlib's STIX stand for a font of the system with other metrics."""
    folder = Path(mpl.get_data_path(), "fonts/ttf")
    monkeypatch.setattr(text, "_FONT_FOLDERS", (Path("/missing"), folder))
    monkeypatch.setattr(text, "_WIDE_FONTS", ("STIXNonUni",))
    forget()
    yield
    forget()


def forget() -> None:
    for remembered in (text._system_fonts, text._source_for, text.text_mask):
        remembered.cache_clear()


@pytest.mark.usefixtures("system_font")
def test_a_character_that_the_usual_fonts_lack_comes_from_the_system() -> None:
    assert drawable(RARE)
    assert text_mask(RARE, 20).max() > 200


@pytest.mark.usefixtures("system_font")
def test_all_texts_of_a_size_have_one_height_whatever_their_fonts() -> None:
    assert {text_mask(shown, 20).shape[0] for shown in ("person", RARE, "велосипед")} == {24}


def test_a_character_that_no_font_has_cannot_be_drawn() -> None:
    assert not drawable("person \U0010fffe")


def test_spaces_can_be_drawn() -> None:
    assert drawable(" ")
    assert text_mask(" ", 20).max() == 0
    assert text_mask("", 20).shape[1] >= 1


@pytest.mark.parametrize("size", [11, 14, 28, 57])
def test_text_grows_with_its_size(size: int) -> None:
    height, width = text_mask("person 87 %", size).shape
    assert size < height < 1.3 * size
    assert 4.5 * size < width < 7.5 * size
