"""A session over the drawn street, with the built-in detector at a small size."""

from collections.abc import Iterator

import pytest

from streamcam.config import Settings
from streamcam.config.schema import ModelSettings
from streamcam.explain.session import ExplainSession, open_session
from streamcam.types import Box

SCENE = "demo://street?seconds=4&seed=1&width=384&height=216"
SETTINGS = Settings(model=ModelSettings(imgsz=416, precision="fp32", device="cpu"))


@pytest.fixture(scope="module")
def session() -> Iterator[ExplainSession]:
    with open_session(SETTINGS, SCENE, at=1.0) as opened:
        yield opened


def number_of(session: ExplainSession, label: str) -> int:
    """Return the number of the most confident box of a class."""
    return next(i for i, one in enumerate(session.result.detections) if one.label == label)


def box_of(session: ExplainSession, label: str) -> Box:
    return session.result.detections[number_of(session, label)].box
