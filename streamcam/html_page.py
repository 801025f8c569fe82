"""HTML pages that need no other file, no script and no network: their frame, style and pictures."""

import base64
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from streamcam.escapes import printable


def document(title: str, parts: Iterable[str]) -> str:
    """Return a page of these parts, which are HTML already; the title is any text."""
    style = files("streamcam").joinpath("html_page.css").read_text(encoding="utf-8")
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{style}</style>"
        f"<main>{''.join(parts)}</main></html>"
    )


def escaped(text: str) -> str:
    """Return a text of any origin as HTML, also in an attribute's quotes."""
    return escape(printable(text))


def bullets(sentences: Iterable[str]) -> str:
    """Return texts of any origin as a list."""
    return "<ul>" + "".join(f"<li>{escaped(sentence)}</li>" for sentence in sentences) + "</ul>"


def image(jpeg: bytes, description: str) -> str:
    """Return a JPEG as an element that holds it."""
    data = base64.b64encode(jpeg).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escaped(description)}">'
