"""Input transforms: from raw rows to normalised floats of a model's sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.errors import UserError
from jlrun.wording import counted

# Luma of ITU-R BT.601, as in Pillow's conversion to "L".
LUMA = (0.299, 0.587, 0.114)


def to_unit(batch: Batch) -> Batch:
    """Turn uint8 images into float32 in [0, 1]; all else stays."""
    return replace(batch, inputs={m: as_unit(x) for m, x in batch.inputs.items()})


def as_unit(x: Tensor) -> Tensor:
    """Return an input as `to_unit` does."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


class InputTransform:
    """Transform of a data set's modalities, and only these, into the inputs of a model.

    Args:
        specs: modality -> spec of the rows.
        model_specs: modality -> spec of the model; where absent, that of the rows.
        device: of the batches.
        channels_last: whether images have the channels-last memory format.

    Raises:
        UserError: if images or audio can't be converted.
    """

    def __init__(
        self,
        specs: Mapping[str, Spec],
        model_specs: Mapping[str, Spec],
        device: torch.device,
        channels_last: bool = False,
    ) -> None:
        self._specs = dict(specs)
        self._targets = {m: model_specs.get(m, spec) for m, spec in specs.items()}
        self._channels_last = channels_last
        self._device = device
        self._statistics: dict[str, tuple[Tensor, Tensor]] = {}
        for modality, spec in specs.items():
            _check(modality, spec, self._targets[modality])
            target = self._targets[modality]
            if isinstance(spec, ImageSpec) and spec.mean:
                self._statistics[modality] = _statistics(spec, target, device, channels_last)
            elif isinstance(target, TabularSpec | SeriesSpec):
                self._statistics[modality] = _moments(target, device)

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch of floats (`to_unit`) as the model takes it."""
        inputs = self.of_inputs(batch.inputs)
        views = tuple(self.of_inputs(view) for view in batch.views)
        return replace(batch, inputs=inputs, present=self.of_present(batch.present), views=views)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that the model takes."""
        return tuple(self._specs)

    @property
    def kept_channels_last(self) -> tuple[str, ...]:
        """Modalities whose rows are best kept channels-last, as the model takes them.

        Those of images on a processor that are neither resized nor converted: there a pixel of all
        channels is copied at once, of bytes instead of floats.
        """
        if not self._channels_last or self._device.type != "cpu":
            return ()
        return tuple(
            m
            for m, spec in self._specs.items()
            if isinstance(spec, ImageSpec) and _shape(spec) == _shape(self._targets[m])
        )

    def of_present(self, present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the masks of these modalities."""
        return {m: mask for m, mask in present.items() if m in self._specs}

    def of_inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs of a batch as the model takes them."""
        return {m: self._transform(m, inputs[m]) for m in self._specs}

    def _transform(self, modality: str, x: Tensor) -> Tensor:
        target = self._targets[modality]
        if isinstance(target, AudioSpec):
            return fit_length(x, target.num_samples)
        if isinstance(target, TabularSpec | SeriesSpec):
            mean, std = self._statistics[modality]
            return ((x - mean) / std).float()
        if not isinstance(target, ImageSpec):
            return x
        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        x = resize(to_channels(x, target.channels), target.height, target.width)
        x = x.contiguous(memory_format=layout)
        if modality in self._statistics:
            mean, std = self._statistics[modality]
            x = (x - mean).div_(std)
        return x


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Convert ``(B, C, H, W)`` to ``channels``: gray is repeated, colour weighted to its luma."""
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    luma = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return (images * luma.view(3, 1, 1)).sum(dim=1, keepdim=True)


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resize ``(B, C, H, W)`` bilinearly, with antialiasing."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(
        images, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )


def fit_length(waves: Tensor, num_samples: int) -> Tensor:
    """Cut ``(B, L)`` at the end, or pad it with silence there, to ``num_samples``."""
    missing = num_samples - waves.shape[1]
    return F.pad(waves, (0, missing)) if missing > 0 else waves[:, :num_samples]


def _shape(spec: Spec) -> tuple[int, ...]:
    return (spec.channels, spec.height, spec.width) if isinstance(spec, ImageSpec) else ()


def _statistics(
    spec: ImageSpec, target: Spec, device: torch.device, channels_last: bool
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the converted channels, ``(C, 1, 1)`` each.

    Of channels-last images they are ``(1, C, H, W)``, channels-last: three numbers at a time are
    too few for a processor. The deviation of luma treats the colours as fully correlated, nearly
    true of natural images.
    """
    assert isinstance(target, ImageSpec)
    mean = to_channels(torch.tensor(spec.mean).view(1, -1, 1, 1), target.channels)[0]
    std = to_channels(torch.tensor(spec.std).view(1, -1, 1, 1), target.channels)[0]
    if channels_last:
        whole = (1, target.channels, target.height, target.width)
        mean, std = (
            x.expand(whole).contiguous(memory_format=torch.channels_last) for x in (mean, std)
        )
    return mean.to(device), std.to(device)


def _moments(spec: TabularSpec | SeriesSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the last axis; categories stay as they are.

    In float64: numbers far from 0 are centred before they are rounded.
    """
    categories = len(spec.categories) if isinstance(spec, TabularSpec) else 0
    dtype = torch.float64 if device.type != "mps" else torch.float32
    mean = torch.tensor([*spec.mean, *[0.0] * categories], dtype=dtype)
    std = torch.tensor([*spec.std, *[1.0] * categories], dtype=dtype)
    return mean.to(device), std.to(device)


def _check(modality: str, spec: Spec, target: Spec) -> None:
    if type(spec) is not type(target):
        kinds = f"{type(spec).__name__} and {type(target).__name__}"
        raise UserError.of(modality, f"data set and model differ in kind ({kinds}); rename one")
    match spec, target:
        case ImageSpec(channels=found), ImageSpec(channels=wanted):
            if found != wanted and {found, wanted} != {1, 3}:
                raise UserError.of(
                    modality,
                    f"images of {counted(found, 'channel')} for a model of {wanted}; "
                    "only gray (1) and RGB (3) convert into each other",
                )
        case AudioSpec(sample_rate=found), AudioSpec(sample_rate=wanted):
            if found != wanted:
                raise UserError.of(
                    modality,
                    f"audio at {found} Hz for a model at {wanted} Hz; "
                    "resample one data set to the rate of the other",
                )
        case TextSpec(), TextSpec():
            if _ids(spec) != _ids(target):
                raise UserError.of(
                    modality, "data set and model differ in vocabulary or length of texts"
                )
        case TabularSpec(), TabularSpec():
            if (spec.numbers, spec.categories) != (target.numbers, target.categories):
                raise UserError.of(modality, "data set and model differ in their columns")
            if spec.levels != target.levels:
                raise UserError.of(modality, "data set and model differ in levels of categories")
        case SeriesSpec(length=length, channels=channels), SeriesSpec():
            if (length, channels) != (target.length, target.channels):
                raise UserError.of(modality, "data set and model differ in the shape of series")
        case _:
            pass


def _ids(spec: TextSpec) -> tuple[object, ...]:
    """Return what the token ids of texts depend on."""
    return spec.vocabulary, spec.length, spec.unit, spec.tokenizer, spec.trained
