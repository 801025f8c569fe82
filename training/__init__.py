"""Training and evaluation of ``nano``, the detector that ships with streamcam."""
