"""The routes of `streamcam explain`: a picture, maps of its boxes, scores of masked copies."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Query, Response
from pydantic import BaseModel, Field

from streamcam.audit.scores import MEASURES
from streamcam.cam_methods import METHODS, PerturbationFormula
from streamcam.escapes import printable
from streamcam.explain.box_verdict import Trust
from streamcam.explain.counterfactual import Attempt, MaskedDetection
from streamcam.explain.displayed import displayed_heat, displayed_picture
from streamcam.explain.masking import FILLS, Fill
from streamcam.explain.method_worker import MethodView, Stage
from streamcam.explain.session import ExplainSession
from streamcam.service.http.auth import Access
from streamcam.types import Box, Detection
from streamcam.version import __version__

MOST_REGIONS = 50
"""Rectangles in one attempt."""
MOST_METHODS = 4
"""Methods that are compared: as many as fit beside each other."""

_NUMBERS = ("deletion", "insertion", "road")
"""The audit's measures that one box without a true one has."""

# What is made of one picture never changes, but the next session is at the same address.
_CACHED = {"cache-control": "private, max-age=0, must-revalidate"}

Share = Annotated[float, Field(ge=0, le=1)]
Edges: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in shares of the picture's width and height."""
Region: TypeAlias = tuple[Share, Share, Share, Share]
"""The same of a rectangle that is to be filled."""


class BoxAnswer(BaseModel):
    """A box that is detected in the picture, or in a masked copy of it."""

    label: str
    score: float = Field(description="0..1.")
    box: Edges


class MethodAnswer(BaseModel):
    """A method that the detector has."""

    name: str
    label: str
    meaning: str = Field(description="What its map shows.")
    passes: bool = Field(description="Whether it takes a forward pass for each channel.")


class FillAnswer(BaseModel):
    name: Fill
    meaning: str


class SessionAnswer(BaseModel):
    """What is looked at, and what can be done with it."""

    version: str
    source: str
    time: float | None = Field(description="Seconds of the video; null at its beginning.")
    width: int
    height: int
    model: str
    device: str
    confidence: float = Field(description="Score from which a detection counts, 0..1.")
    boxes: list[BoxAnswer] = Field(description="The most confident first.")
    methods: list[MethodAnswer]
    chosen: list[str] = Field(description="Methods that the command named.")
    fills: list[FillAnswer]
    measures: dict[str, str] = Field(description="What the audit's numbers mean, by name.")


class WantedRequest(BaseModel):
    """What is to be made in the background; what was wanted before is given up."""

    box: int = Field(ge=0, description="Number of the box, from 0.")
    methods: list[str] = Field(max_length=MOST_METHODS)


class NumbersAnswer(BaseModel):
    """The audit's numbers of one map of one box."""

    deletion: float
    insertion: float
    road: float


class ViewAnswer(BaseModel):
    """What one method says of one box, as far as it is known."""

    method: str
    stage: Stage
    share: float = Field(description="Of the stage's forward passes, how much is done.")
    has_map: bool
    seconds: float | None = Field(description="Time that the map took.")
    energy: float | None = Field(description="Share of the map's heat inside the box.")
    lift: float | None = Field(description="The same over the box's share of the picture.")
    peak_inside: bool | None
    numbers: NumbersAnswer | None
    trust: Trust | None = Field(description="How it compares with random maps of the box.")
    verdict: str | None = Field(description="The same in words.")
    error: str | None


class AttemptRequest(BaseModel):
    """Regions to be filled, and the box whose score is followed."""

    box: int = Field(ge=0, description="Number of the box, from 0.")
    fill: Fill = Fill.BLUR
    regions: list[Region] = Field([], max_length=MOST_REGIONS)


class AttemptAnswer(BaseModel):
    """What became of the box in the masked copy."""

    score: float = Field(
        description="Of the best candidate of its class that overlaps it by half, also below the "
        "detector's threshold; 0 where there is none from 0.01 on."
    )
    unmasked: float = Field(description="Its score in the picture as it is.")
    detected: bool = Field(description="Whether the score reaches the threshold.")
    box: Edges | None = Field(description="Where the candidate lies.")
    lost: list[int] = Field(description="Boxes that are not reported any more, by number.")
    appeared: list[BoxAnswer] = Field(description="What is reported and was not before.")
    milliseconds: float


class ExplainRoutes:
    """The routes of one session."""

    def __init__(self, session: ExplainSession, access: Access, chosen: Sequence[str]) -> None:
        self._session = session
        self._chosen = chosen
        self._boxes = session.result.detections
        self._height, self._width = session.result.frame.picture.shape[:2]
        self._picture = displayed_picture(session.result.frame.picture)
        self.router = APIRouter(prefix="/api")
        self.router.get("/session")(self.session)
        self.router.get("/picture", response_class=Response)(self.picture)
        self.router.get("/fillings/{fill}", response_class=Response)(self.filling)
        self.router.get("/boxes/{box}/methods")(self.views)
        self.router.get("/boxes/{box}/maps/{method}", response_class=Response)(self.heat)
        # They change nothing but what the engine is busy with: no foreign page may do that.
        change = [Depends(access.check_change)]
        self.router.put("/wanted", dependencies=change, status_code=204)(self.want)
        self.router.post("/attempts", dependencies=change)(self.attempt)

    def session(self) -> SessionAnswer:
        """What is looked at: the picture, its boxes, the methods."""
        session, frame = self._session, self._session.result.frame
        return SessionAnswer(
            version=__version__,
            source=printable(frame.source),
            time=frame.time if frame.time > 0 else None,
            width=self._width,
            height=self._height,
            model=printable(session.engine.model),
            device=session.engine.device,
            confidence=session.engine.confidence,
            boxes=[self._box_answer(one) for one in self._boxes],
            methods=[_method_answer(name) for name in session.methods],
            chosen=list(self._chosen),
            fills=[FillAnswer(name=name, meaning=meaning) for name, meaning in FILLS.items()],
            measures={name: MEASURES[name].meaning for name in _NUMBERS},
        )

    def picture(self) -> Response:
        """The picture as it is."""
        return Response(self._picture, media_type="image/jpeg", headers=_CACHED)

    def filling(self, fill: Fill) -> Response:
        """The picture, filled all over: what a masked region shows."""
        content = displayed_picture(self._session.pictures.fillings[fill])
        return Response(content, media_type="image/jpeg", headers=_CACHED)

    def want(self, request: WantedRequest) -> None:
        """Make maps of a box, and measure them, in the background."""
        self._session.want(self._known_box(request.box), self._known_methods(request.methods))

    def views(self, box: int, method: Annotated[list[str], Query()]) -> list[ViewAnswer]:
        """What methods say of a box so far."""
        views = self._session.views(self._known_box(box), self._known_methods(method))
        return [_view_answer(view) for view in views]

    def heat(self, box: int, method: str) -> Response:
        """A map as a PNG that is laid over the picture."""
        (view,) = self._session.views(self._known_box(box), self._known_methods([method]))
        if view.heat is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such map yet")
        content = displayed_heat(view.heat, self._width, self._height)
        return Response(content, media_type="image/png", headers=_CACHED)

    def attempt(self, request: AttemptRequest) -> AttemptAnswer:
        """Fill regions of the picture, detect again, and follow a box's score."""
        regions = [self._pixels(region) for region in request.regions]
        found = self._session.attempt(self._known_box(request.box), regions, request.fill)
        return self._attempt_answer(found)

    def _known_box(self, number: int) -> int:
        if number >= len(self._boxes) or number < 0:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such box")
        return number

    def _known_methods(self, names: Sequence[str]) -> Sequence[str]:
        for name in names:
            if name not in self._session.methods:
                raise HTTPException(HTTPStatus.NOT_FOUND, "the detector has no such method")
        return names

    def _attempt_answer(self, found: Attempt) -> AttemptAnswer:
        return AttemptAnswer(
            score=found.score,
            unmasked=found.unmasked,
            detected=found.detected,
            box=None if found.box is None else self._shares(found.box),
            lost=list(found.lost),
            appeared=[self._box_answer(one) for one in found.appeared],
            milliseconds=found.seconds * 1000,
        )

    def _box_answer(self, found: Detection | MaskedDetection) -> BoxAnswer:
        score = found.score if isinstance(found, MaskedDetection) else found.confidence
        return BoxAnswer(label=printable(found.label), score=score, box=self._shares(found.box))

    def _shares(self, box: Box) -> Edges:
        x1, y1, x2, y2 = box
        return x1 / self._width, y1 / self._height, x2 / self._width, y2 / self._height

    def _pixels(self, region: Region) -> Box:
        left, top, right, bottom = region
        return left * self._width, top * self._height, right * self._width, bottom * self._height


def _method_answer(name: str) -> MethodAnswer:
    method = METHODS[name]
    return MethodAnswer(
        name=name,
        label=method.label,
        meaning=method.meaning,
        passes=isinstance(method.formula, PerturbationFormula),
    )


def _view_answer(view: MethodView) -> ViewAnswer:
    measured, focus = view.faithfulness, view.focus
    numbers = None
    if measured is not None:
        numbers = NumbersAnswer(**{name: getattr(measured, name) for name in _NUMBERS})
    return ViewAnswer(
        method=view.method,
        stage=view.stage,
        share=view.share,
        has_map=view.heat is not None,
        seconds=view.seconds,
        energy=None if focus is None else focus.energy,
        lift=None if focus is None else focus.lift,
        peak_inside=None if focus is None else focus.peak_inside,
        numbers=numbers,
        trust=view.trust,
        verdict=view.verdict,
        error=view.error,
    )
