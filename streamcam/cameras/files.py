"""The cameras' pipeline, shared with the files of watched folders."""

from streamcam.cameras.engines import FILES, Engines
from streamcam.config import Settings
from streamcam.pipeline.inference import Inference
from streamcam.sinks.manifest import Provenance


class SharedEngineProvider:
    """Lets files share the cameras' pipeline and engines; see `EngineProvider`.

    Args:
        settings: Which detector files get.
        pipeline: The pipeline, open.
        engines: Its engines.
    """

    def __init__(self, settings: Settings, pipeline: Inference, engines: Engines) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._engines = engines

    def pipeline(self) -> Inference:
        """Return the pipeline, with the files' detector loaded.

        Raises:
            StreamcamError: It cannot be loaded.
        """
        self._engines.assign(FILES, self._settings)
        return self._pipeline

    def provenance(self) -> Provenance:
        """Return what results are made with."""
        return self._engines.provenance(FILES)

    def close(self) -> None:
        self._engines.release(FILES)
