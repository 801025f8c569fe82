"""The forms in which labelling tools take frames with pre-labels."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from streamcam.export.formats.base import AnnotationFormat
from streamcam.export.formats.coco import CocoFormat
from streamcam.export.formats.cvat import CvatFormat
from streamcam.export.formats.fiftyone import FiftyOneFormat
from streamcam.export.formats.label_studio import LabelStudioFormat
from streamcam.export.formats.yolo import YoloFormat


class Format(StrEnum):
    """Labelling tools and formats, by the names that users call them by."""

    COCO = "coco"
    YOLO = "yolo"
    FIFTYONE = "fiftyone"
    LABEL_STUDIO = "label-studio"
    CVAT = "cvat"


FORMATS: Mapping[Format, type[AnnotationFormat]] = MappingProxyType(
    {
        Format.COCO: CocoFormat,
        Format.YOLO: YoloFormat,
        Format.FIFTYONE: FiftyOneFormat,
        Format.LABEL_STUDIO: LabelStudioFormat,
        Format.CVAT: CvatFormat,
    }
)
