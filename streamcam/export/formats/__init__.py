"""The forms in which labelling tools take frames with pre-labels."""

from collections.abc import Mapping
from types import MappingProxyType

from streamcam.export.formats.base import AnnotationFormat
from streamcam.export.formats.coco import CocoFormat
from streamcam.export.formats.cvat import CvatFormat
from streamcam.export.formats.fiftyone import FiftyOneFormat
from streamcam.export.formats.label_studio import LabelStudioFormat
from streamcam.export.formats.yolo import YoloFormat

FORMATS: Mapping[str, type[AnnotationFormat]] = MappingProxyType(
    {
        "coco": CocoFormat,
        "yolo": YoloFormat,
        "fiftyone": FiftyOneFormat,
        "label-studio": LabelStudioFormat,
        "cvat": CvatFormat,
    }
)
"""The formats by the names that users call them by."""
