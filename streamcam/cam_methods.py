"""The CAM methods: name, label, legend, meaning and formula of each, in one list.

A method is added by one entry of `METHODS`; configuration, options, the legend of the video, the
audit and the engine all read that list. Configuration, command line and rendering must not import
torch, so this module does not. What runs a formula is in `streamcam.vision.methods`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from streamcam.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

EIGENCAM = "eigencam"

_EPSILON = 1e-6

TensorFunction: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"


@dataclass(frozen=True, slots=True)
class GradientFormula:
    """A map from activations and gradients.

    Attributes:
        combine: Takes one image's activations of one level, float32 [channels, rows, columns], and
            the gradients of each target's logit, [targets, channels, rows, columns]. Returns
            [targets, rows, columns] without ReLU; with `orientation`, [targets, channels, rows,
            columns], whose first principal component is the map.
        per_cell: True if a value is one cell's share of the score, so that levels whose cells
            differ in size are comparable only by area. False if the channels' weights are sums over
            the whole level, and so comparable as they are.
        orientation: Takes a projection on the first principal component, [rows * columns], and the
            combined values, [rows * columns, channels]. Returns a number that is negative if the
            component's sign must be reversed.
    """

    combine: TensorFunction
    per_cell: bool = True
    orientation: TensorFunction | None = None


@dataclass(frozen=True, slots=True)
class PerturbationFormula:
    """Weights of the channels from scores of repeated forward passes.

    Attributes:
        perturb: What each pass changes. "activations": one channel is set to 0 behind the backbone.
            "image": the input is multiplied by one channel's magnitude, scaled to 0..1.
        weigh: Takes the unchanged scores, float32 [groups], and those of the passes, [channels,
            groups], both 0..1. Returns weights, [channels, groups].
    """

    perturb: Literal["activations", "image"]
    weigh: TensorFunction


@dataclass(frozen=True, slots=True)
class CamMethod:
    """One CAM method.

    Attributes:
        label: Its name as its paper writes it.
        meaning: What the map shows, one sentence without a full stop, for help and documentation.
        legend: The same in a few words under the video; ever shorter, for small frames.
        formula: None for EigenCAM, which has no target.
    """

    name: str
    label: str
    meaning: str
    legend: tuple[str, ...] = ("",)
    formula: GradientFormula | PerturbationFormula | None = None

    @property
    def replays(self) -> bool:
        """Whether it computes boxes from feature maps, its own or changed ones."""
        if isinstance(self.formula, PerturbationFormula):
            return self.formula.perturb == "activations"
        return self.formula is not None

    @property
    def gradient_formula(self) -> GradientFormula | None:
        return self.formula if isinstance(self.formula, GradientFormula) else None


def method_label(name: str) -> str:
    """Return a method's label; of an unknown method its name."""
    return METHODS[name].label if name in METHODS else name


def find_method(name: str) -> CamMethod:
    """Return the method of a name; raises `UsageError` where there is none."""
    if name not in METHODS:
        hint = did_you_mean(name, METHODS) or f"Known: {', '.join(METHODS)}."
        raise UsageError(f"there is no method {name!r}", hint=hint)
    return METHODS[name]


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channels weighted by mean gradients (Selvaraju et al. 2017, arXiv:1610.02391)."""
    return _weighted_sum(activations, gradients.mean(dim=(2, 3)))


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Weighted positive gradients (Chattopadhay et al. 2018, arXiv:1710.11063)."""
    square = gradients.square()
    sums = activations.sum(dim=(1, 2))[None, :, None, None]
    alpha = square / (2 * square + sums * square * gradients + _EPSILON)
    alpha = alpha.masked_fill(gradients == 0, 0)
    return _weighted_sum(activations, (gradients.clamp(min=0) * alpha).sum(dim=(2, 3)))


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each point weighted by its own gradient (Draelos and Carin 2020, arXiv:2011.08891)."""
    return (gradients * activations).sum(dim=1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each point weighted by its own positive gradient (Jiang et al. 2021, IEEE TIP 30)."""
    return (gradients.clamp(min=0) * activations).sum(dim=1)


def products(activations: Tensor, gradients: Tensor) -> Tensor:
    """Activations times gradients, as `EigenGradCAM` of pytorch_grad_cam."""
    return gradients * activations


def magnitude_products(activations: Tensor, gradients: Tensor) -> Tensor:
    """Activations times the gradients' magnitudes (Seg-Eigen-CAM, doi.org/10.3390/app15137562)."""
    return gradients.abs() * activations


def towards_score(projection: Tensor, values: Tensor) -> Tensor:
    """The map grows with what raises the score; in pytorch_grad_cam the sign is arbitrary."""
    return (projection * values.sum(dim=-1)).sum()


def towards_extreme(projection: Tensor, values: Tensor) -> Tensor:  # noqa: ARG001
    """The larger extreme is positive, as the paper on Seg-Eigen-CAM says."""
    return projection.max() + projection.min()


def score_loss(unchanged: Tensor, scores: Tensor) -> Tensor:
    """Share of the score that is lost without a channel; 1 if the box vanishes.

    Desai and Ramaswamy 2020, WACV. Channels are set to 0, as in the paper; pytorch_grad_cam's
    `AblationLayerFasterRCNN` sets them to -1000, by which two in five of nano's channels make a box
    vanish.
    """
    return (unchanged - scores) / unchanged.clamp(min=_EPSILON)


def score_softmax(unchanged: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG001
    """Softmax of the scores over the channels (Score-CAM, Wang et al. 2020, CVPRW)."""
    return scores.softmax(dim=0)


def _weighted_sum(activations: Tensor, weights: Tensor) -> Tensor:
    return (weights @ activations.flatten(1)).view(-1, *activations.shape[1:])


_COMMON_PATTERN = (
    "strongest common pattern of the activations, not the cause of each box",
    "strongest common pattern, not the cause of each box",
    "common pattern, not box causes",
    "not each box's cause",
    "",
)
# Methods that weight each point by itself point at causes.
_POINTS = ("what spoke for the explained boxes", "what spoke for the boxes", "")
# Methods that weight whole channels show where these respond, on other objects too.
_CHANNELS = (
    "channels that the explained boxes need, wherever they respond",
    "channels that the boxes need",
    "",
)

METHODS: dict[str, CamMethod] = {
    method.name: method
    for method in (
        CamMethod(
            EIGENCAM,
            "EigenCAM",
            "the strongest common pattern of the activations, the same for every class",
            _COMMON_PATTERN,
        ),
        CamMethod(
            "eigengradcam",
            "EigenGradCAM",
            "the main pattern of activations times gradients",
            _POINTS,
            GradientFormula(products, orientation=towards_score),
        ),
        CamMethod(
            "gradcam",
            "Grad-CAM",
            "the channels that raise the score on average, wherever they respond",
            _CHANNELS,
            GradientFormula(gradcam),
        ),
        CamMethod(
            "gradcam++",
            "Grad-CAM++",
            "the same, each channel weighted by its positive gradients",
            _CHANNELS,
            GradientFormula(gradcam_plus_plus, per_cell=False),
        ),
        CamMethod(
            "hirescam",
            "HiResCAM",
            "each point's linear share in the score, negative gradients subtracted",
            _POINTS,
            GradientFormula(hirescam),
        ),
        CamMethod(
            "layercam",
            "LayerCAM",
            "the points whose activations raise the score, by their own positive gradients",
            _POINTS,
            GradientFormula(layercam),
        ),
        CamMethod(
            "ablationcam",
            "Ablation-CAM",
            "the channels without which the score falls, one forward pass for each",
            _CHANNELS,
            PerturbationFormula("activations", score_loss),
        ),
        CamMethod(
            "scorecam",
            "Score-CAM",
            "the channels whose places alone keep the score up, one forward pass for each",
            _CHANNELS,
            PerturbationFormula("image", score_softmax),
        ),
        CamMethod(
            "segeigencam",
            "Seg-Eigen-CAM",
            "the main pattern of activations times the gradients' magnitudes",
            _POINTS,
            GradientFormula(magnitude_products, orientation=towards_extreme),
        ),
    )
}
"""Every method by name, in the order in which people see them."""
