"""Plain modules from models of several modalities."""

from __future__ import annotations

import torch

from jlrun.data.specs import AudioSpec, ImageSpec
from jlrun.models.encoders import CNN
from jlrun.models.fusions import Concat
from jlrun.models.heads import Linear
from jlrun.runs.opened.plain_model import PlainModel
from tests.toy import SPEC, TASKS, ToyEncoder, hard_model

IMAGE = ImageSpec(channels=1, height=8, width=8, mean=(0.5,), std=(0.25,))


def plain_model() -> PlainModel:
    torch.manual_seed(0)
    encoders = {"image": CNN(IMAGE), "audio": ToyEncoder()}
    fusion = Concat({name: encoder.out_features for name, encoder in encoders.items()})
    heads = {task.name: Linear(fusion.out_features, task.num_outputs) for task in TASKS}
    specs: dict[str, ImageSpec | AudioSpec] = {"image": IMAGE, "audio": SPEC}
    return PlainModel(hard_model(encoders, fusion, heads), specs, {t.name: t for t in TASKS}).eval()


def test_a_modality_that_is_left_out_is_missing_whatever_it_holds() -> None:
    model, images, waves = plain_model(), torch.rand(3, 1, 8, 8), torch.randn(3, 4)
    nowhere = {"audio": torch.zeros(3, dtype=torch.bool)}
    left_out = model({"image": images})["largest"]
    absent = model({"image": images, "audio": waves}, present=nowhere)["largest"]
    there = model({"image": images, "audio": waves})["largest"]
    assert torch.equal(left_out, absent)
    assert not torch.allclose(left_out, there)


def test_bytes_are_images_in_the_unit_interval_of_any_size() -> None:
    model, images = plain_model(), torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    by_bytes = model.probabilities({"image": images})
    by_floats = model.probabilities({"image": images / 255})
    for task, found in by_bytes.items():
        assert torch.equal(found, by_floats[task])
        torch.testing.assert_close(found.sum(dim=1), torch.ones(3, dtype=torch.float64))
    larger = model({"image": images.repeat(1, 1, 2, 2)})
    assert {task: tuple(x.shape) for task, x in larger.items()} == {
        "sign": (3, 1),
        "largest": (3, 4),
    }
