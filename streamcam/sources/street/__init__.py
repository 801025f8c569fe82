"""A small drawn street with moving people, vehicles and animals, and its true boxes."""

from streamcam.sources.street.scene import CLASS_IDS, LEAST_VISIBLE, Street, TrueObject

__all__ = ["CLASS_IDS", "LEAST_VISIBLE", "Street", "TrueObject"]
