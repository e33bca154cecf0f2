"""Shapes: what is drawn, said and heard is what the labels say; held-out combinations stay out."""

from __future__ import annotations

import colorsys
import math
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from jlrun.config import checked
from jlrun.config.schema import Settings
from jlrun.data.dataset import Dataset
from jlrun.data.datasets.shape_captions import OBJECTS, TEMPLATES, TEXT_SPEC, WORDS
from jlrun.data.datasets.shape_media import (
    AUDIO_SPEC,
    CROSS_HALF_WIDTH,
    DETUNING,
    PITCHES_HZ,
    RHYTHM_SHARE,
    RHYTHMS,
    RING_INNER_RADIUS,
    RMS,
    SHAPES,
    SQUARE_HALF_SIDE,
    coverage,
    hsv_to_rgb,
)
from jlrun.data.datasets.shapes import CENTRES, HUES, RADII, load_shapes
from jlrun.data.reading.inputs import tokens
from jlrun.data.rows import Rows
from jlrun.data.splits import Subset, make_splits
from jlrun.errors import UserError

NO_HISS = (200.0, 200.0)
COLOURS = tuple(HUES)


@pytest.fixture(scope="module")
def clear() -> Dataset:
    """Scenes without noise."""
    return load_shapes(num_train=360, num_test=36, size=48, noise=0, snr_db=NO_HISS)


def columns(rows: Rows | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    assert rows is not None
    batch = rows.fetch(torch.arange(len(rows)))
    return dict(batch.inputs), dict(batch.targets)


def sentences(text: Tensor) -> list[str]:
    return [" ".join(TEXT_SPEC.vocabulary[i - 2] for i in row if i) for row in text.tolist()]


def objects(rows: Rows | None) -> set[str]:
    return {OBJECTS[i] for i in columns(rows)[1]["object"].tolist()}


# Of the circle about them, of radius 1. That of the star, whose inner pentagon has the radius
# cos(72°) / cos(36°): ten triangles of two sides and the angle of 36° between them.
AREAS = {
    "circle": math.pi,
    "cross": 8 * CROSS_HALF_WIDTH - 4 * CROSS_HALF_WIDTH**2,
    "ring": math.pi * (1 - RING_INNER_RADIUS**2),
    "square": 4 * SQUARE_HALF_SIDE**2,
    "star": 5 * math.sin(math.pi / 5) * math.cos(2 * math.pi / 5) / math.cos(math.pi / 5),
    "triangle": 3 * math.sqrt(3) / 4,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_cover_their_area(shape: str) -> None:
    radius = torch.tensor([0.1, 0.3])
    centre = torch.tensor([[0.5, 0.5], [0.4, 0.55]])
    covered = coverage(torch.full((2,), SHAPES.index(shape)), centre, radius, 64)
    assert covered.shape == (2, 1, 64, 64)
    area = covered.mean(dim=(1, 2, 3)) / radius.square()
    assert area.tolist() == pytest.approx([AREAS[shape]] * 2, rel=0.03)


def test_triangles_and_stars_point_up() -> None:
    both = torch.tensor([SHAPES.index("triangle"), SHAPES.index("star")])
    covered = coverage(both, torch.full((2, 2), 0.5), torch.full((2,), 0.45), 32)[:, 0]
    assert torch.allclose(covered, covered.flip(2))  # left and right
    tops = [int(image.amax(dim=1).nonzero()[0]) for image in covered]
    bottoms = [31 - int(image.amax(dim=1).nonzero()[-1]) for image in covered]
    # The tips are 1.6 pixels below the edge, and that of the star is too narrow to be seen at once.
    assert tops == [1, 2]
    # The base is half a radius below the centre; two tips of the star are at cos(36°) of it.
    assert bottoms == [8, int(16 - 32 * 0.45 * math.cos(math.pi / 5))]


def test_colours_are_those_of_colorsys() -> None:
    hue, saturation, value = torch.rand(3, 50, generator=torch.Generator().manual_seed(0))
    ours = hsv_to_rgb(360 * hue, saturation, value)
    rows = zip(hue.tolist(), saturation.tolist(), value.tolist(), strict=True)
    assert torch.allclose(ours, torch.tensor([colorsys.hsv_to_rgb(*row) for row in rows]))


def test_an_image_shows_colour_position_and_size(clear: Dataset) -> None:
    inputs, targets = columns(clear.train)
    images = inputs["image"].double() / 255
    colourful = images.amax(dim=1) - images.amin(dim=1)
    at = (torch.arange(48) + 0.5) / 48
    for row in range(len(images)):
        weight = colourful[row] / colourful[row].max()
        peak = int(weight.argmax())
        hue = 360 * colorsys.rgb_to_hsv(*images[row].flatten(1)[:, peak].tolist())[0]
        off = [abs((hue - other + 180) % 360 - 180) for other in HUES.values()]
        assert int(np.argmin(off)) == int(targets["colour"][row])
        centre = torch.stack([(weight * at).sum(), (weight * at[:, None]).sum()]) / weight.sum()
        away = [math.dist(centre.tolist(), other) for other in CENTRES.values()]
        assert int(np.argmin(away)) == int(targets["position"][row])
        area = AREAS[SHAPES[int(targets["shape"][row])]]
        radius = math.sqrt(float(weight.mean()) / area)
        smallest, largest = list(RADII.values())[int(targets["size"][row])]
        assert 0.94 * smallest < radius < 1.04 * largest


def test_noise_is_as_strong_as_asked_for(clear: Dataset) -> None:
    noisy = load_shapes(num_train=36, num_test=1, size=48, noise=0.1, snr_db=NO_HISS)
    clean = columns(clear.train)[0]["image"][:36].double()
    changed = (columns(noisy.train)[0]["image"].double() - clean)[clean.clamp(80, 160) == clean]
    assert float(changed.std()) / 255 == pytest.approx(0.1, rel=0.02)


def test_a_caption_says_every_attribute_and_no_other(clear: Dataset) -> None:
    inputs, targets = columns(clear.train)
    assert inputs["text"].unique().min() == 0  # padding
    assert not (inputs["text"] == 1).any()  # no unknown word
    for row, sentence in enumerate(sentences(inputs["text"])):
        for attribute, words in WORDS.items():
            said = [
                i
                for i, options in enumerate(words.values())
                if any(f" {option} " in f" {sentence} " for option in options)
            ]
            assert said == [int(targets[attribute][row])], sentence


def test_captions_vary(clear: Dataset) -> None:
    inputs, _ = columns(clear.train)
    said = sentences(inputs["text"])
    words = {word for sentence in said for word in sentence.split()}
    assert words == set(TEXT_SPEC.vocabulary)
    assert len(set(said)) > 0.8 * len(said)
    beginnings = {re.split(r" ?{", template)[0] for template in TEMPLATES}
    assert {"in the", "the", "this picture shows a", "a", ""} == beginnings
    assert max(len(sentence.split()) for sentence in said) <= TEXT_SPEC.length


def test_captions_have_the_right_article(clear: Dataset) -> None:
    said = " | ".join(sentences(columns(clear.train)[0]["text"]))
    assert re.search(r"\ban [aeiou]", said)
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", said)


def test_a_caption_is_read_alike_when_it_is_predicted_from(clear: Dataset) -> None:
    text = columns(clear.train)[0]["text"]
    again = [tokens(sentence.capitalize(), TEXT_SPEC) for sentence in sentences(text)]
    assert torch.equal(torch.stack(again), text)


def test_captions_may_say_some_attributes_alone() -> None:
    whole = load_shapes(num_train=400, num_test=1)
    some = load_shapes(num_train=400, num_test=1, mentioned=0.5)
    (inputs, targets), (all_mentioned, _) = columns(some.train), columns(whole.train)
    for modality in ("image", "audio"):
        assert torch.equal(inputs[modality], all_mentioned[modality])
    said = sentences(inputs["text"])
    counts = dict.fromkeys(WORDS, 0)
    for row, sentence in enumerate(said):
        for attribute, words in WORDS.items():
            options = words[list(words)[int(targets[attribute][row])]]
            others = {o for name in words for o in words[name]} - {*options}
            counts[attribute] += any(o in sentence for o in options)
            assert not any(f" {o} " in f" {sentence} " for o in others)
    assert all(abs(count - 200) < 50 for count in counts.values())
    assert "a picture" in said
    nothing = load_shapes(num_train=4, num_test=1, mentioned=0.0)
    assert sentences(columns(nothing.train)[0]["text"]) == ["a picture"] * 4


def test_the_vocabulary_is_fixed() -> None:
    few = load_shapes(num_train=1, num_test=1, held_out=5, seed=3)
    assert few.modalities["text"] == TEXT_SPEC
    assert len(TEXT_SPEC.vocabulary) == 54
    longest = "this picture shows a red disc that is small and in the top left"
    assert TEXT_SPEC.length == len(longest.split())


def test_pitch_tells_the_colour_and_rhythm_the_shape(clear: Dataset) -> None:
    inputs, targets = columns(clear.train)
    sound = inputs["audio"].double()
    spectrum = torch.fft.rfft(sound * torch.hann_window(sound.shape[1]), n=2**15).abs()
    hertz = torch.fft.rfftfreq(2**15, 1 / AUDIO_SPEC.sample_rate)
    # The overtone is as strong as the tone: below 1100 Hz, the strongest of the lower pitches
    # may be either, so they are told apart by the power at both.
    pitches = torch.tensor(list(PITCHES_HZ.values()))
    near = (hertz[None] - pitches[:, None]).abs() < 1.2 * DETUNING * pitches[:, None]
    near_overtone = (hertz[None] - 2 * pitches[:, None]).abs() < 2.4 * DETUNING * pitches[:, None]
    peaks = torch.stack([spectrum[:, band].amax(dim=1) for band in near], dim=1)
    overtones = torch.stack([spectrum[:, band].amax(dim=1) for band in near_overtone], dim=1)
    heard = torch.minimum(peaks, overtones).argmax(dim=1)
    assert torch.equal(heard, targets["colour"])
    on = torch.nn.functional.max_pool1d(sound.abs()[:, None], 17, 1, 8)[:, 0] > 1e-3
    share = on.double().mean(dim=1)
    beats = torch.tensor([rhythm.count("1") for rhythm in RHYTHMS.values()])[targets["shape"]]
    assert (share - RHYTHM_SHARE * beats / 8).abs().max() < 0.04
    starts = (on[:, 1:] & ~on[:, :-1]).sum(dim=1) + on[:, 0]
    runs = torch.tensor([len(rhythm.replace("0", " ").split()) for rhythm in RHYTHMS.values()])
    assert torch.equal(starts, runs[targets["shape"]])
    assert len({*RHYTHMS.values()}) == len(RHYTHMS)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_sounds_are_equally_loud_and_as_noisy_as_asked_for(snr_db: float) -> None:
    dataset = load_shapes(num_train=36, num_test=1, snr_db=(snr_db, snr_db))
    inputs, targets = columns(dataset.train)
    sound = inputs["audio"].double()
    assert sound.square().mean(dim=1).sqrt().tolist() == pytest.approx([RMS] * 36, rel=0.02)
    clean = columns(load_shapes(num_train=36, num_test=1, snr_db=NO_HISS).train)[0]["audio"]
    share_of_tone = torch.cosine_similarity(sound, clean.double()).square()
    beats = torch.tensor([rhythm.count("1") for rhythm in RHYTHMS.values()])[targets["shape"]]
    ratio = 10 ** (snr_db / 10) * RHYTHM_SHARE * beats / 8
    assert torch.allclose(share_of_tone, (ratio / (1 + ratio)).double(), atol=0.06)


def test_rows_are_of_all_objects_in_turn_and_labels_agree(clear: Dataset) -> None:
    targets = columns(clear.train)[1]
    assert targets["object"].bincount().tolist() == [10] * 36
    for row in range(36):
        colour, shape = OBJECTS[int(targets["object"][row])].split()
        assert COLOURS.index(colour) == int(targets["colour"][row])
        assert SHAPES.index(shape) == int(targets["shape"][row])


def test_a_row_does_not_depend_on_the_number_of_rows() -> None:
    few, many = (load_shapes(num_train=n, num_test=n) for n in (40, 300))
    for rows in ("train", "test"):
        (some, labels), (all_, all_labels) = (columns(getattr(d, rows)) for d in (few, many))
        assert all(torch.equal(x, all_[name][:40]) for name, x in some.items())
        assert all(torch.equal(y, all_labels[name][:40]) for name, y in labels.items())


def test_the_size_of_images_changes_nothing_else() -> None:
    small, large = (columns(load_shapes(20, 1, size=size).train) for size in (16, 40))
    assert small[0]["image"].shape == (20, 3, 16, 16)
    assert large[0]["image"].shape == (20, 3, 40, 40)
    assert all(torch.equal(small[0][name], large[0][name]) for name in ("text", "audio"))
    assert all(torch.equal(y, large[1][name]) for name, y in small[1].items())


def test_training_and_test_rows_differ() -> None:
    dataset = load_shapes(num_train=36, num_test=36)
    train, test = columns(dataset.train)[0], columns(dataset.test)[0]
    assert not any(torch.equal(x, test["image"][0]) for x in train["image"])


@pytest.mark.parametrize("held_out", [["red circle", "blue star"], 6, 18])
def test_held_out_combinations_are_in_no_training_or_validation_row(
    held_out: list[str] | int,
) -> None:
    dataset = load_shapes(200, 100, size=16, held_out=held_out, test="held_out")
    out = objects(dataset.test)
    assert len(out) == (held_out if isinstance(held_out, int) else 2)
    assert objects(dataset.train) == set(OBJECTS) - out
    splits = make_splits(dataset, Subset(), seed=0)
    trained = {*splits.train.targets["object"].tolist(), *splits.val.targets["object"].tolist()}
    assert not {OBJECTS[i] for i in trained} & out
    assert dataset.classes["object"] == OBJECTS
    assert {word for name in objects(dataset.train) for word in name.split()} == {
        *COLOURS,
        *SHAPES,
    }


def test_which_combinations_the_test_rows_have() -> None:
    everything, seen, held_out = (
        objects(load_shapes(40, 100, size=16, held_out=8, test=test).test)
        for test in ("all", "seen", "held_out")
    )
    assert everything == set(OBJECTS)
    assert seen | held_out == everything
    assert not seen & held_out
    assert len(held_out) == 8


def test_the_seed_draws_what_is_held_out() -> None:
    drawn = [
        frozenset(objects(load_shapes(1, 20, 16, held_out=5, test="held_out", seed=seed).test))
        for seed in (0, 0, 1, 2)
    ]
    assert drawn[0] == drawn[1]
    assert len({*drawn}) == 3


@pytest.mark.parametrize("seed", range(20))
def test_half_of_the_combinations_can_be_held_out_with_any_seed(seed: int) -> None:
    from jlrun.data.datasets.shape_captions import held_out_objects

    assert len(held_out_objects(18, seed)) == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": ["red circel"]}, r"held_out: there is no 'red circel'.*'red circle'"),
        ({"held_out": ["red ring", "red ring"]}, "'red ring' is named twice"),
        ({"held_out": [f"red {s}" for s in SHAPES]}, "no training row would be 'red'"),
        ({"held_out": [f"{c} star" for c in COLOURS]}, "no training row would be 'star'"),
        ({"test": "held_out"}, "test: 'held_out', but none are; set held_out"),
    ],
)
def test_what_can_not_be_held_out(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_shapes(num_train=1, num_test=1, **options)


def test_the_main_task_is_first_and_its_classes_can_be_chosen() -> None:
    dataset = load_shapes(72, 72, size=16, main="object")
    assert list(dataset.classes) == ["object", "shape", "colour", "size", "position"]
    assert list(dataset.classes) == list(dataset.train.targets)
    chosen = Subset(classes=["red circle", "blue star"], val_fraction=0.5)
    splits = make_splits(dataset, chosen, seed=0)
    assert splits.classes["object"] == ("red circle", "blue star")
    assert splits.test.targets["object"].tolist() == [0, 1, 0, 1]


def test_combinations_are_named_on_the_command_line() -> None:
    overrides = ["mode=multitask", "dataset=shapes", "modalities=[image]", "dataset.main=object"]
    wanted = "dataset.held_out=[red circle,blue star]"
    node = Settings.parse(checked([*overrides, wanted]).config).dataset
    assert node is not None
    assert node["held_out"] == ["red circle", "blue star"]


@pytest.mark.parametrize("wrong", ["held_out=19", "test=unseen", "main=texture", "size=8"])
def test_values_out_of_range_are_found_before_work(wrong: str) -> None:
    with pytest.raises(UserError, match=f"dataset.{wrong.partition('=')[0]}"):
        checked(["mode=multitask", "dataset=shapes", "modalities=[image]", f"dataset.{wrong}"])
