"""The street of cameras, lent to the files of watched folders."""

from streamcam.cameras.engines import FILES, Engines
from streamcam.config import Settings
from streamcam.pipeline.inference import InferencePipeline
from streamcam.sinks.manifest import Provenance


class SharedEngineProvider:
    """Lets files share a street and its engines with cameras; see `EngineProvider`.

    Args:
        settings: Which detector files get.
        street: The street, open.
        engines: Its engines.
    """

    def __init__(self, settings: Settings, street: InferencePipeline, engines: Engines) -> None:
        self._settings = settings
        self._street = street
        self._engines = engines

    def street(self) -> InferencePipeline:
        """Return the street, with the files' detector loaded.

        Raises:
            StreamcamError: It cannot be loaded.
        """
        self._engines.assign(FILES, self._settings)
        return self._street

    def facts(self) -> Provenance:
        """Return what results are made with."""
        return self._engines.facts(FILES)

    def __exit__(self, *exception: object) -> None:
        self._engines.release(FILES)
