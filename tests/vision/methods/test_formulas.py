"""Each formula equals pytorch_grad_cam's class on the same tensors."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import (
    EigenGradCAM,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    SegEigenCAM,
)
from torch import Tensor

from streamcam.cam_methods import METHODS
from streamcam.vision.methods.gradients import gradient_map

THEIRS = {
    "eigengradcam": EigenGradCAM,
    "gradcam": GradCAM,
    "gradcam++": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "layercam": LayerCAM,
    "segeigencam": SegEigenCAM,
}
SIGN_IS_OURS = {"eigengradcam"}


def tensors(targets: int = 3) -> tuple[Tensor, Tensor]:
    """Activations with a strong pattern, and gradients that differ by target."""
    generator = torch.Generator().manual_seed(3)
    activations = torch.randn(12, 9, 14, generator=generator)
    activations[:, 2:5, 3:7] += 4 * torch.rand(12, 1, 1, generator=generator)
    gradients = 0.1 * torch.randn(targets, 12, 9, 14, generator=generator)
    gradients[:, :, 2:5, 3:7] += torch.rand(targets, 12, 1, 1, generator=generator)
    gradients[:, 5] = 0
    return activations, gradients


def test_every_method_is_compared() -> None:
    assert set(THEIRS) == {name for name, method in METHODS.items() if method.gradient_formula}


@pytest.mark.parametrize("name", THEIRS)
def test_formulas_equal_those_of_pytorch_grad_cam(name: str) -> None:
    activations, gradients = tensors()
    ours = gradient_map(METHODS[name].formula, activations, gradients).numpy()
    cam = THEIRS[name](torch.nn.Conv2d(1, 1, 1), target_layers=[])
    for own, gradient in zip(ours, gradients, strict=True):
        theirs = cam.get_cam_image(
            None, None, None, activations[None].numpy(), gradient[None].numpy(), False
        )[0]
        if name in SIGN_IS_OURS:
            theirs = theirs * np.sign((theirs * own).sum())
        assert np.linalg.norm(own - theirs) <= 1e-4 * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", THEIRS)
def test_evidence_for_the_target_is_positive(name: str) -> None:
    """Never inverted, whatever sign the components happen to have."""
    for flip in (1, -1):
        activations, gradients = tensors()
        maps = gradient_map(METHODS[name].formula, flip * activations, flip * gradients)
        if name in ("gradcam++", "segeigencam", "layercam") and flip == -1:
            continue  # these take magnitudes or positive gradients only
        hot, cold = maps[:, 2:5, 3:7].mean(), maps[:, 6:, 8:].mean()
        assert hot > cold.abs()


@pytest.mark.parametrize("name", THEIRS)
def test_zero_gradients_give_zero_maps(name: str) -> None:
    activations, gradients = tensors()
    maps = gradient_map(METHODS[name].formula, activations, torch.zeros_like(gradients))
    assert torch.isfinite(maps).all()
    assert maps.abs().max() == 0
