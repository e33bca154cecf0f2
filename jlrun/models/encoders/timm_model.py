"""Encoder: any model of timm."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError, did_you_mean
from jlrun.extras import import_extra
from jlrun.models.encoders.base import Encoder, Tokens
from jlrun.models.encoders.pretrained import ColourInput, load_file
from jlrun.models.module_state import running_statistics
from jlrun.models.weight_files import LoadReport
from jlrun.models.weight_files.reading import first_line
from jlrun.ranges import PositiveInt

WHERE = "backbone.image"
SMALLEST_SIDE = 32
PUBLISHED = "pretrained"


class Timm(Encoder):
    """Model of timm without its classifier.

    Gray images are repeated to three channels; images of another number of channels pass a learned
    1×1 convolution. Images are enlarged to 32 pixels, or to the one size that the model takes. With
    pretrained weights, pixels are normalised as in pretraining, independent of the data set's own
    statistics. A batch of one is normalised by the running statistics of BatchNorm.

    Args:
        spec: images of shape ``(C, H, W)``, from 1×1 up.
        name: of the model, for example ``resnet18`` or ``resnet18.a1_in1k``.
        weights: null, ``pretrained`` (downloaded once), or a local file (``.safetensors``,
            ``.pth``, ``.pt``, ``.bin``), the folder of a run, or an export.
        resize: side in pixels that images are resized to; null: their own, or what the model takes.

    Attributes:
        img_size: the image size passed to timm, for models of a fixed size.

    Raises:
        UserError: if timm is not installed, has no such model, its weights can't be had or don't
            fit, or the model can't take images of that size.
    """

    def __init__(
        self,
        spec: ImageSpec,
        name: str = "resnet18",
        weights: str | None = None,
        resize: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        timm = import_extra("timm", "timm", WHERE)
        if not timm.is_model(name):
            hint = did_you_mean(name, timm.list_models())
            raise UserError.of(f"{WHERE}.name", f"'{name}' is not a model of timm.{hint}")
        published = timm.get_pretrained_cfg(name)
        self.size = _size(spec, published, resize)
        is_fixed = published is not None and published.fixed_input_size
        self.img_size = resize if is_fixed else None
        self.network: Any = _create(timm, name, weights == PUBLISHED, self.img_size)
        self.load_report: LoadReport | None = None
        if weights not in (None, PUBLISHED):
            self.load_report = load_file(self.network, name, Path(str(weights)).expanduser())
        moments = None
        if weights is not None:
            moments = self.network.pretrained_cfg["mean"], self.network.pretrained_cfg["std"]
        self.input = ColourInput(spec, self.size, moments)
        self.out_features = int(
            getattr(self.network, "head_hidden_size", None) or self.network.num_features
        )
        self._shape = _shape(self.network, name, self.size)

    def forward(self, x: Tensor) -> Tensor:
        with self._norms(x):
            return self.network(self.input(x))

    @property
    def token_features(self) -> int:
        return self._shape[0] if self._is_channels_first else self._shape[-1]

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the positions of the last maps, or a transformer's tokens."""
        with self._norms(x):
            found = self.network.forward_features(self.input(x))
        if self._is_channels_first:
            return Tokens(found.flatten(2).mT)
        return Tokens(found.flatten(1, -2))

    def pool(self, tokens: Tokens) -> Tensor:
        maps = tokens.values.mT if self._is_channels_first else tokens.values
        with self._norms(maps):
            return self.network.forward_head(maps.reshape(maps.shape[0], *self._shape))

    @property
    def _is_channels_first(self) -> bool:
        return len(self._shape) == 3 and getattr(self.network, "output_fmt", None) != "NHWC"

    def _norms(self, x: Tensor) -> AbstractContextManager[None]:
        alone = self.training and len(x) == 1
        return running_statistics(self.network) if alone else nullcontext()


def _size(spec: ImageSpec, published: Any, resize: int | None) -> tuple[int, int]:
    """Return height and width that images are brought to."""
    if resize is not None:
        return resize, resize
    if published is not None and published.fixed_input_size:
        _, height, width = published.input_size
        return height, width
    enlarge = max(1.0, SMALLEST_SIDE / min(spec.height, spec.width))
    return round(spec.height * enlarge), round(spec.width * enlarge)


def _create(timm: Any, name: str, pretrained: bool, img_size: int | None) -> Any:
    options = {} if img_size is None else {"img_size": img_size}
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except TypeError as error:
        raise UserError.of(
            f"{WHERE}.resize", f"{name} takes images of one size only; leave resize out"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        where = f"{WHERE}.weights" if pretrained else WHERE
        raise UserError.of(
            where, f"the model {name} of timm can't be had ({first_line(error)})"
        ) from error


def _shape(network: Any, name: str, size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of a row of the output of ``forward_features``.

    Nothing is computed: only shapes pass through a copy on the meta device.
    """
    copy = deepcopy(network).to("meta").eval()
    try:
        with torch.no_grad():
            found = copy.forward_features(torch.empty(1, 3, *size, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError.of(
            f"{WHERE}.resize",
            f"{name} can't take images of {size[0]}×{size[1]} pixels ({first_line(error)}); set "
            "it, for example to 224",
        ) from error
    return tuple(found.shape[1:])
