"""`streamcam explain` over HTTP: who may ask, and what is answered."""

import cv2
import numpy as np
import pytest

from streamcam.cam_methods import METHODS
from streamcam.errors import StreamcamError
from streamcam.explain.session import ExplainSession
from streamcam.render.heat import enlarge
from streamcam.service.http.explain_server import ExplainServer
from tests.explain.drawn_street import number_of
from tests.explain.drawn_street import session as session
from tests.jobs.conftest import eventually
from tests.service.http.explain_visits import Guest
from tests.service.http.explain_visits import explained as explained
from tests.service.http.explain_visits import guest as guest

PATHS = (
    "/api/session",
    "/api/picture",
    "/api/fillings/blur",
    "/api/boxes/0/methods?method=gradcam",
)


def test_nothing_is_answered_without_the_token(guest: Guest) -> None:
    for path in (*PATHS, "/"):
        assert guest(path).status == 401, path
        assert guest(path, authorization="Bearer wrong").status == 401, path
        assert guest.known(path).status == 200, path
    assert guest("/", accept="text/html").headers["location"] == "/login"
    refused = guest("/login?token=wrong", accept="text/html")
    assert refused.status == 401
    assert "set-cookie" not in refused.headers
    assert "Open the whole address" in refused.text


def test_the_printed_address_lets_a_browser_in(guest: Guest, explained: ExplainServer) -> None:
    entered = guest(explained.entrance.removeprefix(guest.url))
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert guest.token not in cookie
    # Browsers send the cookies of a machine to all of its ports: this one replaces no other.
    assert not cookie.startswith("streamcam=")
    assert guest("/api/session", cookie=cookie.partition(";")[0]).status == 200


def test_other_names_and_other_sites_are_refused(guest: Guest) -> None:
    assert guest.known("/api/session", host="evil.example").status == 421
    body = {"box": 0, "regions": []}
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert guest.known("/api/attempts", "POST", body, **headers).status == 403
        assert guest.known("/api/wanted", "PUT", {"box": 0, "methods": []}, **headers).status == 403
    assert guest.known("/api/attempts", "POST", body, origin=guest.url).status == 200


def test_the_page_allows_no_scripts_of_others(guest: Guest) -> None:
    page = guest.known("/", accept="text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert "style=" not in page.text
    assert "http" not in page.text
    assert page.text.count("<script") == page.text.count('<script type="module" src="/static/')


def test_the_session_tells_boxes_in_shares_and_all_methods(
    guest: Guest, session: ExplainSession
) -> None:
    told = guest.known("/api/session").json
    assert (told["width"], told["height"], told["time"]) == (384, 216, 1.0)
    assert told["confidence"] == session.engine.confidence
    assert [one["name"] for one in told["methods"]] == list(METHODS)
    assert [one["name"] for one in told["methods"] if one["passes"]] == ["ablationcam", "scorecam"]
    assert told["methods"][0]["meaning"] == METHODS["eigencam"].meaning
    assert told["chosen"] == ["layercam"]
    assert set(told["measures"]) == {"deletion", "insertion", "road"}
    for one, detection in zip(told["boxes"], session.result.detections, strict=True):
        assert one["label"] == detection.label
        pixels = np.multiply(one["box"], [384, 216, 384, 216])
        np.testing.assert_allclose(pixels, detection.box, atol=1e-3)


def test_pictures_and_fillings_are_those_of_the_session(
    guest: Guest, session: ExplainSession
) -> None:
    frame = session.result.frame.picture
    for path, expected in (
        ("/api/picture", frame),
        *((f"/api/fillings/{fill}", filled) for fill, filled in session.pictures.fillings.items()),
    ):
        answer = guest.known(path)
        assert answer.headers["content-type"] == "image/jpeg"
        shown = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None
        assert np.abs(shown[..., ::-1].astype(int) - expected).mean() < 4


def test_a_map_is_transparent_where_it_is_cold(guest: Guest, session: ExplainSession) -> None:
    person = number_of(session, "person")
    assert guest.known(f"/api/boxes/{person}/maps/layercam").status == 404
    wanted = {"box": person, "methods": ["layercam"]}
    assert guest.known("/api/wanted", "PUT", wanted).status == 204
    path = f"/api/boxes/{person}/methods?method=layercam"
    eventually(lambda: guest.known(path).json[0]["has_map"], "a map", within=60)
    answer = guest.known(f"/api/boxes/{person}/maps/layercam")
    assert answer.headers["content-type"] == "image/png"
    shown = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    assert shown.shape == (216, 384, 4)
    (view,) = session.views(person, ["layercam"])
    assert view.heat is not None
    levels = enlarge(view.heat, 384, 216)
    assert (shown[levels < 25, 3] == 0).all()
    assert (shown[levels > 192, 3] == 255).all()
    guest.known("/api/wanted", "PUT", {"box": 0, "methods": []})


def test_an_attempt_is_answered(guest: Guest, session: ExplainSession) -> None:
    person = number_of(session, "person")
    box = guest.known("/api/session").json["boxes"][person]["box"]
    body = {"box": person, "fill": "mean", "regions": [box]}
    told = guest.known("/api/attempts", "POST", body).json
    assert told["score"] < 0.3 < 0.5 < told["unmasked"]
    assert person in told["lost"]
    assert not told["detected"]
    assert told["milliseconds"] > 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"box": 0, "regions": [[0, 0, 1.5, 1]]}, 422),
        ({"box": 0, "regions": [[0, 0, "NaN", 1]]}, 422),
        ({"box": 0, "regions": [[0, 0, 1]]}, 422),
        ({"box": 0, "regions": [[0, 0, 1, 1]] * 51}, 422),
        ({"box": 0, "fill": "noise", "regions": []}, 422),
        ({"box": -1, "regions": []}, 422),
        ({"box": 999, "regions": []}, 404),
        ({}, 422),
    ],
)
def test_bad_attempts_are_refused(guest: Guest, body: dict[str, object], status: int) -> None:
    assert guest.known("/api/attempts", "POST", body).status == status


def test_what_there_is_not_is_not_found(guest: Guest) -> None:
    assert guest.known("/api/boxes/0/methods?method=gradcamm").status == 404
    assert guest.known("/api/boxes/999/methods?method=gradcam").status == 404
    assert guest.known("/api/boxes/0/maps/nothing").status == 404
    assert guest.known("/api/fillings/noise").status == 422
    many = {"box": 0, "methods": list(METHODS)[:5]}
    assert guest.known("/api/wanted", "PUT", many).status == 422
    assert guest.known("/openapi.json").status == 404


def test_a_port_that_is_taken_is_an_error_with_a_hint(
    session: ExplainSession, explained: ExplainServer
) -> None:
    port = int(explained.url.rpartition(":")[2])
    with pytest.raises(StreamcamError, match=f"cannot listen on 127.0.0.1:{port}") as caught:
        ExplainServer(session, port).start()
    assert "choose another --port" in (caught.value.hint or "")
