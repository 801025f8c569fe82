"""The street of cameras, lent to the files of watched folders."""

from streamcam.config import Settings
from streamcam.pipeline.cameras.engines import FILES, Engines
from streamcam.pipeline.street import Street
from streamcam.sinks.manifest import EngineFacts


class FilesStreet:
    """Lets files share a street and its engines with cameras; see `OpensStreet`.

    Args:
        settings: Which detector files get.
        street: The street, open.
        engines: Its engines.
    """

    def __init__(self, settings: Settings, street: Street, engines: Engines) -> None:
        self._settings = settings
        self._street = street
        self._engines = engines

    def street(self) -> Street:
        """Return the street, with the files' detector loaded.

        Raises:
            StreamcamError: It cannot be loaded.
        """
        self._engines.assign(FILES, self._settings)
        return self._street

    def facts(self) -> EngineFacts:
        """Return what results are made with."""
        return self._engines.facts(FILES)

    def __exit__(self, *exception: object) -> None:
        self._engines.release(FILES)
