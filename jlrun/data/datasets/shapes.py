"""Shapes: scenes of one coloured shape with a caption and a sound, made without a download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Generator, Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.shape_captions import (
    OBJECTS,
    TEXT_SPEC,
    WORDS,
    caption,
    held_out_objects,
    remark,
)
from jlrun.data.datasets.shape_media import (
    AUDIO_SPEC,
    PITCHES_HZ,
    RHYTHMS,
    SHAPES,
    beeps,
    coverage,
    hsv_to_rgb,
)
from jlrun.data.reading.texts import tokenize
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec, Spec
from jlrun.errors import UserError
from jlrun.ranges import NonNegativeFloat, PositiveInt, Probability
from jlrun.seeding import derive_seed

HUES = {"red": 0, "yellow": 55, "green": 120, "cyan": 180, "blue": 230, "purple": 290}  # degrees
HUE_JITTER = 8.0  # either way
RADII = {"small": (0.12, 0.15), "medium": (0.18, 0.22), "large": (0.26, 0.30)}  # of the width
CENTRES = {  # x, y
    "top left": (0.32, 0.32),
    "top right": (0.68, 0.32),
    "bottom left": (0.32, 0.68),
    "bottom right": (0.68, 0.68),
    "centre": (0.5, 0.5),
}
CENTRE_JITTER = 0.02  # either way
CLASSES = {attribute: tuple(words) for attribute, words in WORDS.items()} | {"object": OBJECTS}
assert (*RHYTHMS,) == SHAPES == CLASSES["shape"]
assert (*HUES,) == (*PITCHES_HZ,) == CLASSES["colour"]
assert ((*RADII,), (*CENTRES,)) == (CLASSES["size"], CLASSES["position"])

# What is drawn for a row, in this order: each a number in [0, 1).
DRAWS = (
    *("size", "position", "x", "y", "radius", "hue", "saturation", "value", "background"),
    *("template", "word shape", "word colour", "word size", "word position"),
    *("detune", "phase", "overtone phase", "start", "snr"),
)
_ROWS_AT_ONCE = 256


def load_shapes(
    num_train: PositiveInt = 6_000,
    num_test: PositiveInt = 1_500,
    size: Annotated[int, Ge(16), Le(256)] = 32,
    noise: NonNegativeFloat = 0.05,
    snr_db: tuple[float, float] = (-5.0, 10.0),
    mentioned: Probability = 1.0,
    held_out: list[str] | Annotated[int, Ge(0), Le(18)] = 0,
    test: Literal["all", "seen", "held_out"] = "all",
    main: Literal["shape", "colour", "size", "position", "object"] = "shape",
    seed: int = 0,
    modalities: Sequence[str] | None = None,
) -> Dataset:
    """Return images of a shape, captions that describe them, and sounds.

    A scene has one of 6 shapes, 6 colours, 3 sizes and 5 positions. Its ``image`` shows it on gray;
    its ``text`` mentions all four, in one of many wordings; its ``audio`` is a beep whose rhythm
    stands for the shape and whose pitch for the colour. The 36 combinations of colour and shape
    alternate; all else is drawn from a separate seed for each row, so that it does not depend on
    the number of rows. Held-out combinations are in no training or validation row, but keep their
    place among the classes: scores on them measure compositional generalisation, or zero-shot
    learning.

    Args:
        num_train: rows for training and validation.
        num_test: rows of the test split.
        size: height and width of the images in pixels.
        noise: standard deviation of Gaussian noise on the pixels, where white is 1.
        snr_db: lowest and highest power of the beeps over that of the white noise, in decibels.
        mentioned: probability with which a caption mentions an attribute. Below 1, captions are
            lists of words, and no modality gives all answers away.
        held_out: combinations like ``red circle``, or how many are drawn. Every colour and every
            shape stays in the training rows.
        test: which combinations the test rows have.
        main: the task whose classes can be chosen by name, and of which there are shots.
        seed: of all draws.
        modalities: those in use; others are not made. None: all.

    Returns:
        image uint8 ``(3, size, size)``, text int64 ``(14,)``, audio float32 ``(2048,)`` at 8 kHz;
        tasks ``shape``, ``colour``, ``size``, ``position`` and ``object`` (colour and shape as one
        class), int64; the main one first.

    Raises:
        UserError: for a combination that is unknown, named twice or leaves a colour or shape
            without training rows; for test rows of held-out combinations where none are.
    """
    without = held_out_objects(held_out, seed)
    seen = [i for i in range(len(OBJECTS)) if i not in without]
    if test == "held_out" and not without:
        raise UserError.of("test", "'held_out', but none are; set held_out, such as held_out=6")
    tested = {"all": list(range(len(OBJECTS))), "seen": seen, "held_out": sorted(without)}[test]
    image = ImageSpec(3, size, size, mean=(), std=())
    specs: dict[str, Spec] = {"image": image, "text": TEXT_SPEC, "audio": AUDIO_SPEC}
    used = {m: spec for m, spec in specs.items() if modalities is None or m in modalities}
    making = _Making(size, noise, snr_db, mentioned, main, seed, tuple(used))
    return Dataset(
        train=making.rows("train", num_train, seen),
        test=making.rows("test", num_test, tested),
        modalities=used,
        classes={task: CLASSES[task] for task in _tasks(main)},
    )


def _tasks(main: str) -> tuple[str, ...]:
    return (main, *(task for task in CLASSES if task != main))


class _Making:
    """Generator of rows with given combinations."""

    def __init__(
        self,
        size: int,
        noise: float,
        snr_db: tuple[float, float],
        mentioned: float,
        main: str,
        seed: int,
        modalities: Sequence[str],
    ) -> None:
        self._size = size
        self._noise = noise
        self._snr_db = snr_db
        self._mentioned = mentioned
        self._main = main
        self._seed = seed
        self._modalities = modalities

    def rows(self, split: str, count: int, objects: Sequence[int]) -> TensorRows:
        chunks = [
            self._chunk(split, some, torch.tensor(objects)[some % len(objects)])
            for some in torch.arange(count).split(_ROWS_AT_ONCE)
        ]
        inputs, targets = (
            {name: torch.cat([columns[name] for columns in group]) for name in group[0]}
            for group in zip(*chunks, strict=True)
        )
        return TensorRows(inputs, {task: targets[task] for task in _tasks(self._main)})

    def _chunk(
        self, split: str, indices: Tensor, objects: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        uniform, hiss, grain = self._draw(split, indices)
        draws = dict(zip(DRAWS, uniform.T, strict=True))
        targets = _targets(objects, draws)
        make = {
            "image": lambda: self._images(targets, draws, grain),
            "text": lambda: _texts(targets, draws, self._say(split, indices)),
            "audio": lambda: beeps(targets["shape"], targets["colour"], draws, hiss, self._snr_db),
        }
        return {modality: make[modality]() for modality in self._modalities}, targets

    def _images(
        self, targets: dict[str, Tensor], draws: dict[str, Tensor], grain: Tensor
    ) -> Tensor:
        image = _picture(targets, draws, self._size) + self._noise * grain
        return (255 * image).round().clamp(0, 255).to(torch.uint8)

    def _say(self, split: str, indices: Tensor) -> list[list[str]] | None:
        """Return for each row the attributes that its caption mentions; None: all of them."""
        if self._mentioned == 1:
            return None
        mentions, generator = [], Generator()
        for index in indices.tolist():
            generator.manual_seed(derive_seed(self._seed, "shapes", "told", split, index))
            drawn = torch.rand(len(WORDS), generator=generator).tolist()
            mentions.append(
                [a for a, draw in zip(WORDS, drawn, strict=True) if draw < self._mentioned]
            )
        return mentions

    def _draw(self, split: str, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return numbers in [0, 1), ``(N, len(DRAWS))``, and noise for sounds and for images."""
        count = len(indices)
        uniform = torch.empty(count, len(DRAWS))
        hiss = torch.empty(count, AUDIO_SPEC.num_samples)
        grain = torch.empty(count, 3, self._size, self._size)
        generator = Generator()
        for row, index in enumerate(indices.tolist()):
            generator.manual_seed(derive_seed(self._seed, "shapes", split, index))
            uniform[row].uniform_(generator=generator)
            hiss[row].normal_(generator=generator)
            grain[row].normal_(generator=generator)
        return uniform, hiss, grain


def _targets(objects: Tensor, draws: dict[str, Tensor]) -> dict[str, Tensor]:
    num_shapes = len(SHAPES)
    return {
        "shape": objects % num_shapes,
        "colour": objects // num_shapes,
        "size": (draws["size"] * len(RADII)).long(),
        "position": (draws["position"] * len(CENTRES)).long(),
        "object": objects,
    }


def _picture(targets: dict[str, Tensor], draws: dict[str, Tensor], size: int) -> Tensor:
    """Return images of the scenes without noise, ``(N, 3, size, size)`` in [0, 1]."""
    jitter = torch.stack([draws["x"], draws["y"]], dim=1) * 2 - 1
    centre = torch.tensor(list(CENTRES.values()))[targets["position"]] + CENTRE_JITTER * jitter
    smallest, largest = torch.tensor(list(RADII.values()))[targets["size"]].T
    radius = smallest + (largest - smallest) * draws["radius"]
    hue = torch.tensor(list(HUES.values()))[targets["colour"]]
    hue = hue + HUE_JITTER * (2 * draws["hue"] - 1)
    colour = hsv_to_rgb(hue, 0.75 + 0.25 * draws["saturation"], 0.8 + 0.2 * draws["value"])
    gray = 0.4 * draws["background"].view(-1, 1, 1, 1)
    covered = coverage(targets["shape"], centre, radius, size)
    return gray + covered * (colour[:, :, None, None] - gray)


def _texts(
    targets: dict[str, Tensor], draws: dict[str, Tensor], mentions: list[list[str]] | None
) -> Tensor:
    """Return a caption of each scene as token ids, ``(N, length)``."""
    columns = {attribute: targets[attribute].tolist() for attribute in WORDS}
    picks = {attribute: draws[f"word {attribute}"].tolist() for attribute in WORDS}
    picks["template"] = draws["template"].tolist()
    captions = []
    for row in range(len(targets["object"])):
        names = {
            attribute: CLASSES[attribute][labels[row]] for attribute, labels in columns.items()
        }
        wording = {name: numbers[row] for name, numbers in picks.items()}
        captions.append(
            caption(names, wording) if mentions is None else remark(names, wording, mentions[row])
        )
    return tokenize(captions, TEXT_SPEC)
