"""What building the engine leaves behind in the process."""

import gc

import pytest

from streamcam.config import load_settings
from streamcam.pipeline.lazy import build_engine


@pytest.mark.parametrize("collects", [True, False])
def test_collecting_goes_on_as_before_without_what_was_imported(collects: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        gc.unfreeze()
        with build_engine(load_settings()):
            assert gc.isenabled() is collects
            assert gc.get_freeze_count() > 100_000
    finally:
        (gc.enable if before else gc.disable)()
