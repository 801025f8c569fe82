"""How fast streamcam is, compared with the published recipe and the detector alone."""
