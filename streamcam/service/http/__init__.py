"""The HTTP server: health, metrics, the API, and the live page."""

from streamcam.service.http.server import HttpServer

__all__ = ["HttpServer"]
