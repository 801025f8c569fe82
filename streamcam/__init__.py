"""streamcam shows what an object detector looks at, in pictures, videos and streams."""

from typing import TYPE_CHECKING

from streamcam.version import __version__

__all__ = ["Explainer", "__version__"]

if TYPE_CHECKING:
    from streamcam.explainer import Explainer


def __getattr__(name: str) -> object:
    """Import `Explainer` on first use, so that `import streamcam` stays free of torch."""
    if name == "Explainer":
        from streamcam.explainer import Explainer

        return Explainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
