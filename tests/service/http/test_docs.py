"""docs/live-page.md tells of every route and every metric, and of no others."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streamcam.service.metrics import Metrics
from tests.service.http.conftest import Serve
from tests.service.http.fake_status import FakeStatus

PAGE = (Path(__file__).parents[3] / "docs" / "live-page.md").read_text(encoding="utf-8")


def test_every_route_is_documented(fake: FakeStatus, serve: Serve) -> None:
    answer = set(re.findall(r"^\| `(/[^`]+)`", PAGE, re.MULTILINE))
    assert answer == set(serve(fake)("/openapi.json").json["paths"])


def test_every_metric_is_documented() -> None:
    answer = set(re.findall(r"^\| `(streamcam_\w+)`", PAGE, re.MULTILINE))
    families = text_string_to_metric_families(Metrics().text(FakeStatus()).decode())
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    assert answer == {name for name in names if not name.endswith("_created")}
