"""Audio-visual digits: a blurred image of a digit and the same digit, spoken in noise."""

# N rows, K components, L samples

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS
from jlrun.data.datasets.fsdd import LAST_TEST_INDEX, SAMPLE_RATE, load_fsdd
from jlrun.data.datasets.torchvision_sets import load_torchvision
from jlrun.data.rows import Rows, TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec, Spec
from jlrun.data.strata import draw_share
from jlrun.errors import UserError
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt
from jlrun.seeding import derive_seed

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

VAL_SHARE = 0.2  # of training images, and of training clips
RMS = 0.2
_ROWS_AT_ONCE = 4096
FEWEST_CLIPS = 2  # of a digit and speaker: one to train, one to validate


def load_av_digits(
    root: str,
    num_components: PositiveInt = 4,
    snr_db: tuple[float, float] = (-18.0, -8.0),
    seconds: PositiveFloat = 0.5,
    num_train: PositiveInt | None = 4000,
    num_val: PositiveInt | None = 1000,
    num_test: PositiveInt | None = 2000,
    missing_image: Fraction = 0.0,
    missing_audio: Fraction = 0.0,
    seed: int = 0,
    download: bool = True,
    modalities: Sequence[str] | None = None,
) -> Dataset:
    """Return digits of MNIST, each paired with a recording of the same digit.

    Similar to AV-MNIST (Vielzeuf et al., "CentralNet", ECCV workshop 2018), but with other noise
    and pairs: figures on that set are not comparable with these. Images keep their
    first principal components, fitted to MNIST's training images; recordings are those of the Free
    Spoken Digit Dataset in white noise, whose strength is drawn for each row. The official test
    split pairs MNIST's test images with recordings 0 to 4. A fifth of the training images
    (stratified) and of the training recordings (of each digit and speaker) makes the validation
    split: no image and no recording is in two splits. Within a split each image is in one row, and
    recordings in about equally many, each time in other noise.

    Args:
        root: the folder above ``MNIST/raw`` and ``fsdd`` (as `load_torchvision` and `load_fsdd`
            take them).
        num_components: K; fewer make images harder to distinguish.
        snr_db: lowest and highest signal-to-noise ratio of a recording while it lasts, in decibels.
        seconds: length that recordings are cut to, or padded to; noise fills all of it.
        num_train: training rows, drawn from the images; None: one for each image.
        num_val: validation rows, likewise.
        num_test: test rows, likewise.
        missing_image: share of the rows, of all splits, that have no image.
        missing_audio: share of the rows that have no sound; no row lacks both.
        seed: of the division, the pairs, the noise and the missing modalities.
        download: whether to download missing files of MNIST.
        modalities: those in use; others are paired and left out. None: all.

    Returns:
        image uint8 ``(1, 28, 28)``, audio float32 ``(8000 * seconds,)``; tasks ``digit`` and
        ``speaker`` (of the recording), int64.

    Raises:
        UserError: for files that are missing or damaged, a digit without recordings, more rows
            than images, or shares of missing modalities above 1 in sum.
    """
    if missing_image + missing_audio > 1:
        message = f"{missing_image} and missing_audio={missing_audio} add up to more than 1"
        raise UserError.of("dataset.missing_image", message)
    mnist = load_torchvision("MNIST", root, download)
    fsdd = load_fsdd(root, seconds)
    assert mnist.test is not None
    if fsdd.test is None:
        raise UserError.of(
            f"data_root={root}", f"no recordings with an index up to {LAST_TEST_INDEX}, to test on"
        )
    images, clips, speakers = _images(mnist.train), _clips(fsdd.train), fsdd.classes["speaker"]
    train_images, val_images = _divided(images, images.digit, _generator(seed, "images"))
    train_clips, val_clips = _divided(clips, _voices(clips, speakers), _generator(seed, "clips"))
    specs: dict[str, Spec] = {
        "image": ImageSpec(1, *images.content.shape[2:], mean=(), std=()),
        "audio": AudioSpec(clips.content.shape[1], SAMPLE_RATE),
    }
    used = {m: spec for m, spec in specs.items() if modalities is None or m in modalities}
    components = fitted_components(images.content, num_components) if "image" in used else None

    def rows(split: str, images: _Part, clips: _Part, count: int | None) -> TensorRows:
        generator = _generator(seed, split)
        chosen = _chosen(images, count, f"dataset.num_{split}", generator)
        partners = _partners(chosen.digit, clips, split, generator)
        sounds = _in_noise(partners.content, snr_db, generator)
        inputs = {"audio": sounds} if "audio" in used else {}
        if components is not None:
            inputs = {"image": kept(components, chosen.content), **inputs}
        present = _present(len(sounds), missing_image, missing_audio, generator)
        return TensorRows(
            inputs,
            {"digit": chosen.digit, "speaker": partners.speaker},
            {m: mask for m, mask in present.items() if m in used},
        )

    return Dataset(
        train=rows("train", train_images, train_clips, num_train),
        val=rows("val", val_images, val_clips, num_val),
        test=rows("test", _images(mnist.test), _clips(fsdd.test), num_test),
        modalities=used,
        classes={"digit": DIGITS, "speaker": speakers},
    )


def fitted_components(images: Tensor, count: int) -> PCA:
    """Return the first ``count`` principal components of images, uint8 ``(N, C, H, W)``.

    There are no more of them than images.

    Raises:
        UserError: if there are more components than pixels.
    """
    from sklearn.decomposition import PCA

    size = images[0].numel()
    if count > size:
        message = f"{count}, but an image has {size} pixels; use {size} or less"
        raise UserError.of("dataset.num_components", message)
    components = PCA(min(count, len(images)), svd_solver="covariance_eigh")
    with np.errstate(invalid="ignore"):  # equal images have no variance to be explained
        return components.fit(images.flatten(1).double().numpy())


def kept(components: PCA, images: Tensor) -> Tensor:
    """Return images, uint8 ``(N, C, H, W)``, projected onto the mean and the components."""
    chunks = []
    for chunk in images.flatten(1).split(_ROWS_AT_ONCE):
        scores = components.transform(chunk.double().numpy())
        pixels = torch.from_numpy(components.inverse_transform(scores))
        chunks.append(pixels.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(chunks).view(images.shape)


@dataclass(frozen=True)
class _Part:
    """Images ``(N, 1, 28, 28)`` or recordings ``(N, L)``; images have the speaker -1."""

    content: Tensor
    digit: Tensor
    speaker: Tensor

    def select(self, rows: Tensor) -> _Part:
        return _Part(self.content[rows], self.digit[rows], self.speaker[rows])


def _images(rows: Rows) -> _Part:
    batch = rows.fetch(torch.arange(len(rows)))
    digit = batch.targets["digit"]
    return _Part(batch.inputs["image"], digit, torch.full_like(digit, -1))


def _clips(rows: Rows) -> _Part:
    batch = rows.fetch(torch.arange(len(rows)))
    return _Part(batch.inputs["audio"], batch.targets["digit"], batch.targets["speaker"])


def _voices(clips: _Part, speakers: tuple[str, ...]) -> Tensor:
    """Return a number for each digit and speaker.

    Raises:
        UserError: if one has a single recording.
    """
    voices = clips.speaker * len(DIGITS) + clips.digit
    names, counts = voices.unique(return_counts=True)
    few = names[counts < FEWEST_CLIPS]
    if len(few):
        speaker, digit = divmod(int(few[0]), len(DIGITS))
        raise UserError.of(
            "dataset.root",
            f"{speakers[speaker]} has one recording of {digit} with an index above "
            f"{LAST_TEST_INDEX}; expected {FEWEST_CLIPS} or more, to train and to validate",
        )
    return voices


def _divided(part: _Part, strata: Tensor, generator: Generator) -> tuple[_Part, _Part]:
    """Return rows to train on and rows to validate on, disjoint."""
    count = max(1, round(VAL_SHARE * len(strata)))
    val = draw_share(strata.unique(return_inverse=True)[1], count, generator)
    kept = torch.ones(len(strata), dtype=torch.bool)
    kept[val] = False
    return part.select(kept.nonzero().flatten()), part.select(val)


def _chosen(images: _Part, count: int | None, where: str, generator: Generator) -> _Part:
    """Return ``count`` images in random order, each digit keeping its share."""
    total = len(images.digit)
    if count is not None and count > total:
        raise UserError.of(where, f"{count}, but there are {total} images; use {total} or null")
    drawn = draw_share(images.digit, total if count is None else count, generator)
    return images.select(drawn[torch.randperm(len(drawn), generator=generator)])


def _partners(digit: Tensor, clips: _Part, split: str, generator: Generator) -> _Part:
    """Return a recording for each digit, each of a digit's about equally often."""
    chosen = torch.zeros_like(digit)
    for value in digit.unique().tolist():
        rows, offered = (digit == value).nonzero().flatten(), (clips.digit == value).nonzero()
        if not len(offered):
            raise UserError.of("dataset.root", f"no recording of {value} for the {split} split")
        rounds = -(-len(rows) // len(offered))
        orders = [torch.randperm(len(offered), generator=generator) for _ in range(rounds)]
        chosen[rows] = offered.flatten()[torch.cat(orders)[: len(rows)]]
    return clips.select(chosen)


def _in_noise(clips: Tensor, snr_db: tuple[float, float], generator: Generator) -> Tensor:
    """Return recordings ``(N, L)`` in white noise, brought to one loudness and to [-1, 1]."""
    low, high = snr_db
    decibels = low + (high - low) * torch.rand(len(clips), 1, generator=generator)
    sample = torch.arange(1, clips.shape[1] + 1)
    length = torch.where(clips != 0, sample, 0).amax(dim=1, keepdim=True).clamp(min=1)
    power = clips.square().sum(dim=1, keepdim=True) / length
    noise = torch.randn(clips.shape, generator=generator)
    sound = clips + noise * (power * 10 ** (-decibels / 10)).sqrt()
    level = sound.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-8)
    return (sound * RMS / level).clamp(-1, 1)


def _present(
    count: int, missing_image: float, missing_audio: float, generator: Generator
) -> dict[str, Tensor]:
    """Return modality -> Bool ``(N,)``, of those that some rows may lack."""
    place = torch.rand(count, generator=generator)
    has = {"image": place >= missing_image, "audio": place < 1 - missing_audio}
    return {m: has[m] for m, s in (("image", missing_image), ("audio", missing_audio)) if s > 0}


def _generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "av_digits", name))
