"""The daemon: what keeps streamcam at work for months."""
