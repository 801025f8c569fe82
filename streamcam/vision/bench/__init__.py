"""What streamcam is measured against, and where its own engine's time goes."""
