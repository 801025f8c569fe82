"""Whether a CPU's bfloat16 units make a detector faster, found out by trying."""

import time
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.threads import threads_for
from streamcam.vision.devices import computing_threads
from streamcam.vision.models.torchvision import Detector, Levels
from streamcam.vision.models.torchvision_transform import Prepared

# A tenth of the pixels that a ResNet-50 sees of a video frame: all that is tried here takes 0.9 of
# its forwards in float32 (most of it the thousand proposals); with nano 0.2 s.
_SIDE = 320

# The first run chooses and loads the CPU's kernels.
_RUNS = 2

# bfloat16 stays unless float32 is quicker by this much, so that two ways that are equally quick do
# not take turns from start to start. With units for it bfloat16 took 0.5 to 0.9 of the time.
_CLEARLY = 0.9

# Relative error of a pyramid's level that bfloat16 may have. Its eight bits of mantissa give one or
# two per cent after fifty layers; more means that a network cancels large numbers, and its boxes
# would be others.
_MOST_ERROR = 0.05


def bfloat16_pays(detector: Detector) -> bool:
    """Try a detector on a CPU in bfloat16, which it was made for, and in float32.

    Boxes and maps follow from the activations, which are compared; what makes boxes of them is in
    float32 anyway.

    Returns:
        Whether bfloat16 is to be used: it agrees, and is not clearly slower.
    """
    canvas = _scene()
    half = detector.levels(canvas)
    with detector.in_float32():
        full = detector.levels(canvas)
    if not _agree(full, half):
        return False
    with computing_threads(threads_for(detector)):
        times = {
            dtype: _seconds(detector, canvas, dtype) for dtype in (torch.float32, torch.bfloat16)
        }
    return times[torch.float32] >= _CLEARLY * times[torch.bfloat16]


def _scene() -> Tensor:
    """A normalised picture of soft blobs, always the same."""
    draw = torch.Generator().manual_seed(0)
    blobs = torch.randn((1, 3, _SIDE // 16, _SIDE // 16), generator=draw)
    return nn.functional.interpolate(blobs, size=(_SIDE, _SIDE), mode="bilinear")


def _seconds(detector: Detector, canvas: Tensor, dtype: torch.dtype) -> float:
    """What one look takes of the processor, preparation left out.

    Not of the clock: whatever else the machine does would decide. At the detector's own confidence:
    what the thousand weakest boxes of a thousand proposals take is nobody's time.
    """
    square = (_SIDE, _SIDE)
    prepared = Prepared(canvas, [Letterbox(square, square, square)])
    times = []
    with detector.in_float32() if dtype == torch.float32 else nullcontext():
        for _ in range(_RUNS):
            begun = time.process_time()
            detector.look(prepared)
            times.append(time.process_time() - begun)
    return min(times)


def _agree(full: Levels, half: Levels) -> bool:
    """Whether no level differs by more than rounding; what is not a number never agrees."""
    return all(
        bool((half[name].float() - level).norm() <= _MOST_ERROR * level.norm())
        for name, level in full.items()
    )
