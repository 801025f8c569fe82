"""Explains Ultralytics' YOLO detectors with streamcam; see `streamcam_ultralytics.family`."""
