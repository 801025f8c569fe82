"""Explained frames become annotated pictures: heat, boxes, labels, a legend."""

from streamcam.render.annotator import Annotator, annotate
from streamcam.render.style import COLORMAPS, Colormap, Style

__all__ = ["COLORMAPS", "Annotator", "Colormap", "Style", "annotate"]
