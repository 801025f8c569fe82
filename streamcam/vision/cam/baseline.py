"""What a network shows where there is nothing to see."""

import numpy as np
import torch

from streamcam.vision.cam.eigencam import Candidates, EigenCam
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cam.stabilizer import above_background, natural_sign, top_of
from streamcam.vision.devices import device_errors
from streamcam.vision.models.torchvision import Detector

# Large enough for every detector's coarsest level to have a few cells.
_GREY_SIDE = 320
_GREYS = (0, 128, 255)

# Where a network shows more than this for an empty picture (SSD300 with random weights: 0.66, along
# the border), the level says nothing about scenes any more.
_MOST_QUIET = 0.25


def quiet_level(detector: Detector, cam: EigenCam) -> float:
    """How far the map of an empty picture rises above its background: networks see its edges.

    The least of a black, a grey and a white one: a network may take one of them for something (an
    early state of nano saw a thing along the top of every mid-grey picture).
    """
    square = (_GREY_SIDE, _GREY_SIDE)
    with device_errors(), torch.inference_mode():
        levels = detector.levels_of_greys(_GREY_SIDE, _GREYS)
        found = cam(levels, [Letterbox(square, square, square)] * len(_GREYS), [None] * len(_GREYS))
    return float(np.clip(min(_rise(candidates) for candidates in found), 0, _MOST_QUIET))


def _rise(candidates: Candidates) -> float:
    direction = candidates.directions[0].cpu().numpy()
    projection = candidates.maps[0].cpu().numpy()
    projection *= natural_sign(direction, projection)
    return top_of(above_background(projection))
