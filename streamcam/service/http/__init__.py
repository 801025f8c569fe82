"""The HTTP server: health, metrics, the API, and the live page."""
