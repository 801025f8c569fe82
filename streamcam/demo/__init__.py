"""A small drawn street with moving people, vehicles and animals, and its true boxes."""

from streamcam.demo.scene import CLASS_IDS, MIN_VISIBLE, DemoScene

__all__ = ["CLASS_IDS", "MIN_VISIBLE", "DemoScene"]
