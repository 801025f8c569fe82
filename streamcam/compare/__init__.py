"""Two detectors on the same frames: where they differ, and which is better at what."""
