"""The head of DeepLabV3, for dense tasks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.models.module_state import running_statistics
from jlrun.ranges import Fraction, PositiveInt


class ASPP(nn.Module):
    """Logit maps ``(B, out_features, h, w)`` of maps ``(B, in_features, h, w)``.

    Atrous spatial pyramid pooling, section 3.3 of Chen et al., "Rethinking Atrous Convolution for
    Semantic Image Segmentation", 2017: a 1×1 convolution, one 3×3 convolution per rate and the
    mean over the image, side by side, projected by a 1×1 convolution; then a 3×3 and a 1×1
    convolution. The rates are those for output stride 8. Differs from it in: dropout and the last
    3×3 convolution, as in torchvision.

    In a batch of one image, the mean over the image is normalised by the running statistics of
    BatchNorm, as it has none of its own; so is everything if its map is a single pixel.

    Args:
        in_features: channels of the maps.
        out_features: channels of the logits.
        rates: dilation of each 3×3 convolution, in pixels of the maps.
        channels: of every layer in between.
        dropout: share of the projected values that are dropped in training.

    Raises:
        UserError: if the features are no maps.
    """

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        rates: Sequence[PositiveInt] = (12, 24, 36),
        channels: PositiveInt = 256,
        dropout: Fraction = 0.5,
    ) -> None:
        super().__init__()
        # torchvision takes a while to import, and other heads do without it.
        from torchvision.models.segmentation.deeplabv3 import ASPP

        self.pyramid = ASPP(in_features, list(rates), channels)
        self.pyramid.project[-1] = nn.Dropout(dropout)
        self.output = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, out_features, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        check_maps(features)
        if not self.training or len(features) > 1:
            return self.output(self.pyramid(features))
        single_pixel = features.shape[2:].numel() == 1
        with running_statistics(self if single_pixel else self.pyramid.convs[-1]):
            return self.output(self.pyramid(features))


def check_maps(features: Tensor) -> None:
    """Check that features are maps ``(B, C, h, w)``.

    Raises:
        UserError: if they are vectors, as other encoders than those of dense tasks yield them.
    """
    if features.ndim != 4:
        raise UserError.of(
            "heads",
            f"aspp reads maps, but the backbone yields a vector of {features.shape[-1]} for each "
            "row. Use backbone/image=dilated_resnet for dense tasks, or heads=linear for others",
        )
