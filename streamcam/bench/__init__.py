"""The wiring of a benchmark: the same frames the published way, bare, and by streamcam."""
