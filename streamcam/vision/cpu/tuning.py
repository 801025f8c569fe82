"""Settings of a detector on a CPU: number of threads, single pictures or batches, bfloat16."""

import time
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.devices import computing_threads, torch_threads
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Levels, Network
from streamcam.vision.models.preprocess import NetworkInput
from streamcam.vision.models.torch_network import TorchNetwork

# Up to this size (ssdlite320 has 3.4 million weights) convolutions are so short that handing them
# to other threads costs as much as it saves: one frame of a network of 2.3 million took 12 ms in
# one thread and 19 in two. Larger ones gain from every core: with nano (3.8 million) a run explains
# 62 frames a second on two cores, 50 where its forward has one thread.
_SMALL_NETWORK_WEIGHTS = 3_500_000

# Small networks get a quarter of the cores; decoding, drawing and encoding need the rest.
_SMALL_NETWORK_SHARE = 4

# A million pixels give a ResNet-50 levels of 33 MB, which exceed every cache and are allocated anew
# from the system: 330 ms a frame one by one, 490 ms in batches of four. A MobileNet's 60,000 to
# 150,000 gain from batches.
_MIN_PIXELS_OF_ONE = 500_000

# The first run chooses and loads the CPU's kernels.
_RUNS = 2

# float32 is chosen only if it takes less than this share of bfloat16's time, so that the choice is
# the same at every start if both are equally fast. With hardware units bfloat16 took 0.5 to 0.9 of
# float32's time.
_MAX_TIME_SHARE = 0.9

# Maximum relative error of a pyramid's level in bfloat16. Its eight bits of mantissa give 1 to 2 %
# after fifty layers; more means that a network cancels large numbers, and its boxes would change.
_MAX_ERROR = 0.05


def threads_for(detector: Detector) -> int:
    """Number of threads torch should use for a detector's forward pass."""
    return threads_of_size(detector.device, detector.network.weight_count)


def threads_of_size(device: torch.device, weight_count: int) -> int:
    """Number of threads for the forward pass of a network with that many weights."""
    if device.type != "cpu" or weight_count > _SMALL_NETWORK_WEIGHTS:
        return torch_threads()
    return max(1, torch_threads() // _SMALL_NETWORK_SHARE)


def saturates_cpu(detector: Detector) -> bool:
    """Whether a single picture occupies all cores of a CPU, so that larger batches gain nothing."""
    return detector.device.type == "cpu" and detector.network.sizing.max_pixels > _MIN_PIXELS_OF_ONE


def prefers_bfloat16(detector: Detector, network: TorchNetwork) -> bool:
    """Compare a detector's network on a CPU, created for bfloat16, with itself in float32.

    The feature maps are compared; the heads that make boxes of them compute in float32 anyway.

    Returns:
        Whether bfloat16 should be used: its feature maps agree, and it is not clearly slower.
    """
    if not agrees_with_float32(network):
        return False
    canvas = _scene(network.sizing.trial_canvas)
    with computing_threads(threads_for(detector)):
        times = {
            dtype: _seconds(detector, network, canvas, dtype)
            for dtype in (torch.float32, torch.bfloat16)
        }
    return times[torch.float32] >= _MAX_TIME_SHARE * times[torch.bfloat16]


def agrees_with_float32(network: Network) -> bool:
    """Whether a network's feature maps of a trial are those in float32, to half precision."""
    canvas = _scene(network.sizing.trial_canvas)
    with torch.inference_mode():
        half = network.features(canvas)
        with network.in_float32():
            full = network.features(canvas)
    return _agree(full, half)


def _scene(size: Size) -> Tensor:
    """A normalised picture of smooth noise, always the same.

    On a trial canvas all trials take as long as 0.9 of a ResNet-50's forwards in float32 (most of
    it for the thousand proposals), 0.2 s with nano.
    """
    draw = torch.Generator().manual_seed(0)
    blobs = torch.randn((1, 3, size[0] // 16, size[1] // 16), generator=draw)
    return nn.functional.interpolate(blobs, size=size, mode="bilinear")


def _seconds(
    detector: Detector, network: TorchNetwork, canvas: Tensor, dtype: torch.dtype
) -> float:
    """CPU time of one forward pass, without preprocessing.

    Not wall-clock time, which depends on the machine's other load. At the detector's own
    confidence, so that post-processing takes as long as usual.
    """
    size = (canvas.shape[2], canvas.shape[3])
    inputs = NetworkInput(canvas, [Letterbox(size, size, size)])
    times = []
    with network.in_float32() if dtype == torch.float32 else nullcontext():
        for _ in range(_RUNS):
            start = time.process_time()
            detector.forward(inputs)
            times.append(time.process_time() - start)
    return min(times)


def _agree(full: Levels, half: Levels) -> bool:
    """Whether all levels are equal to rounding; not if any value is not a number."""
    return all(
        bool((half[name].float() - level).norm() <= _MAX_ERROR * level.norm())
        for name, level in full.items()
    )
