"""How a detector makes the most of a CPU that decodes, draws and encodes beside it."""

from streamcam.vision.devices import torch_threads
from streamcam.vision.models.torchvision import Detector

# nano has 2.3 million weights and ssdlite320 3.4: their convolutions are over so soon that calling
# other threads for them costs as much as it saves. One frame of nano takes 12 ms in one thread and
# 19 in two; of a batch of eight each takes 8.2 and 5.9, which keeps 8 % more of both cores busy.
# The next larger ones, of 19 million and more, gain from every core.
_FEW_WEIGHTS = 5_000_000

# So many of a small network's share of the cores leave the rest to everything else.
_SHARE = 4

# A million pixels give a ResNet-50 levels of 33 MB, which fit no cache, and which the allocator
# takes from the system anew: 330 ms a frame one by one, 490 ms four by four. A MobileNet's 60,000
# to 150,000 gain from several at once.
_MANY_PIXELS = 500_000


def threads_for(detector: Detector) -> int:
    """How many threads torch should compute with while it looks."""
    if detector.device.type != "cpu" or detector.weights > _FEW_WEIGHTS:
        return torch_threads()
    return max(1, torch_threads() // _SHARE)


def fills_a_cpu(detector: Detector) -> bool:
    """Whether a single picture is work enough for all cores of a CPU, and for its caches."""
    return detector.device.type == "cpu" and detector.pixels > _MANY_PIXELS
