"""What building the engine leaves behind in the process."""

import json
import subprocess
import sys

import pytest

BUILD_TWICE = """
import gc, json, sys
if sys.argv[1] == "off":
    gc.disable()
from streamcam.config import load_settings
from streamcam.pipeline.engine_provider import build_engine

frozen = []
for _ in range(2):
    build_engine(load_settings()).close()
    frozen.append(gc.get_freeze_count())
print(json.dumps([gc.isenabled(), *frozen]))
"""


@pytest.mark.parametrize("collects", [True, False])
def test_what_is_imported_is_never_collected_and_the_rest_as_before(collects: bool) -> None:
    command = [sys.executable, "-c", BUILD_TWICE, "on" if collects else "off"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    enabled, first, second = json.loads(done.stdout)
    assert enabled is collects
    assert first > 100_000
    # A few of the frozen objects may have gone by reference count; none were added.
    assert second <= first
