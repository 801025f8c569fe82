"""torchvision's preparation of pictures, for bytes, and with its geometry kept."""

from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from streamcam.vision.geometry import Placement, placements


class BytesTransform(GeneralizedRCNNTransform):  # type: ignore[misc]
    """What `GeneralizedRCNNTransform` does to pictures of floats, done to pictures of bytes.

    torchvision scales and normalises every pixel before it shrinks the picture. Both are linear and
    the weights of the resize sum to one, so the same numbers (to rounding) come out when the small
    picture is normalised: for 1080p that leaves a fifth of the work.

    Attributes:
        placed: How the last batch's pictures lie on the canvas.
    """

    placed: list[Placement]

    @classmethod
    def like(cls, other: GeneralizedRCNNTransform) -> "BytesTransform":
        """The same sizes and statistics, for values 0..255, evaluating."""
        transform = cls(
            other.min_size,
            other.max_size,
            [255 * mean for mean in other.image_mean],
            [255 * std for std in other.image_std],
            size_divisible=other.size_divisible,
            fixed_size=other.fixed_size,
        )
        # While training, torchvision would leave the boxes in the canvas's coordinates.
        transform.eval()
        return transform

    def forward(self, images: list[Tensor], targets: None = None) -> tuple[ImageList, None]:
        """Resize, normalise and pad uint8 pictures [3, height, width] of any sizes."""
        prepared = [self.normalize(self.resize(image.float())[0]) for image in images]
        batch = self.batch_images(prepared, size_divisible=self.size_divisible)
        resized = [(image.shape[1], image.shape[2]) for image in prepared]
        originals = [(image.shape[1], image.shape[2]) for image in images]
        self.placed = placements(originals, resized, (batch.shape[2], batch.shape[3]))
        return ImageList(batch, resized), targets
