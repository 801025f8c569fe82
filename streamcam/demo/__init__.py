"""A small drawn street with moving people, vehicles and animals, and its true boxes."""

from streamcam.demo.scene import CLASS_IDS, LEAST_VISIBLE, DemoScene, TrueObject

__all__ = ["CLASS_IDS", "LEAST_VISIBLE", "DemoScene", "TrueObject"]
