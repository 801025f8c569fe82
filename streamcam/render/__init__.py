"""Results and pictures in, annotated pictures out."""
