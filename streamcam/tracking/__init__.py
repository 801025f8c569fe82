"""Which detections belong to one object, and how objects pass zones and lines."""
