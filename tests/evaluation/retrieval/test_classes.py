"""Classifiers in a shared space, at cases that can be worked out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.engine import Engine
from jlrun.evaluation.retrieval.classes import (
    by_class_vectors,
    centroid_accuracies,
    class_vectors,
    knn_accuracies,
    linear_accuracies,
    modality_gap,
)
from jlrun.evaluation.retrieval.embedded import Embedded, embed
from jlrun.objective.terms.cross_modal import CLIP
from tests.objective.terms.cross_modal.three import TEXT, model_of, rows_of, stream_of
from tests.toy import CPU


def rows(gap: float = 0.0, count: int = 60, seed: int = 0) -> Embedded:
    """Return three classes in two modalities, which a constant sets apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = torch.eye(3, 5)[labels]
    vectors = {}
    for i, modality in enumerate(("image", "text")):
        off = torch.zeros(5)
        off[4] = gap * (1 - 2 * i)
        noise = 0.1 * torch.randn(count, 5, generator=generator)
        vectors[modality] = F.normalize(centres + off + noise, dim=1)
    present = {m: torch.ones(count).bool() for m in vectors}
    return Embedded(vectors, present, {"digit": labels}, torch.full((count,), -1))


def test_the_gap_is_the_distance_of_the_centroids() -> None:
    vectors = {
        "image": torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        "text": torch.tensor([[0.0, 1.0]] * 2),
    }
    present = {m: torch.ones(2).bool() for m in vectors}
    found = modality_gap(Embedded(vectors, present, {}, torch.zeros(2)), "image", "text")
    assert found == pytest.approx(math.sqrt(2))
    assert modality_gap(rows(), "image", "text") < 0.1
    assert modality_gap(rows(gap=2.0), "image", "text") > 1


def test_a_classifier_goes_from_one_modality_to_the_other() -> None:
    """Across a gap too, as each modality is standardised by itself."""
    for gap in (0.0, 2.0):
        found = linear_accuracies(rows(gap), rows(gap, seed=1), "digit")
        assert found.keys() == {"image", "text"}
        assert all(value == 1 for row in found.values() for value in row.values())


def test_centroids_and_neighbours_of_clear_classes_are_right() -> None:
    train, test = rows(), rows(seed=1)
    assert centroid_accuracies(train, test, "digit") == {
        "image": {"image": 1.0, "text": 1.0},
        "text": {"image": 1.0, "text": 1.0},
    }
    assert knn_accuracies(train, test, "digit") == {"image": 1.0, "text": 1.0}


def test_labels_that_say_nothing_are_found_by_chance() -> None:
    train, test = rows(count=300), rows(count=300, seed=1)
    generator = torch.Generator().manual_seed(0)
    train.labels["digit"].copy_(torch.randint(0, 3, (300,), generator=generator))  # pyright: ignore
    found = linear_accuracies(train, test, "digit")
    assert all(abs(v - 1 / 3) < 0.15 for row in found.values() for v in row.values())


def test_unlabelled_rows_count_nowhere() -> None:
    train, test = rows(), rows(seed=1)
    test.labels["digit"][::2] = -1  # pyright: ignore
    assert len(test.labelled("image", "digit")[1]) == 30
    assert knn_accuracies(train, test, "digit")["image"] == 1.0


def test_unseen_classes_are_told_apart_from_seen_ones() -> None:
    """Class 2 was never seen: its rows are taken for 0 among all, and right among the unseen."""
    classes = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    vectors = F.normalize(torch.tensor([[1.0, 0.1], [-1.0, 0.2], [1.0, 0.9], [0.1, 1.0]]), dim=1)
    labels = torch.tensor([0, 1, 2, 2])
    found = by_class_vectors(vectors, labels, classes, unseen=[2])
    assert found == pytest.approx(
        {
            "accuracy": 0.75,
            "chance": 1 / 3,
            "unseen_accuracy": 0.5,
            "among_unseen": 1.0,
            "chance_among_unseen": 1.0,
            "seen_accuracy": 1.0,
        }
    )
    assert "unseen_accuracy" not in by_class_vectors(vectors, labels, classes)


def prompts(classes: tuple[str, ...], templates: tuple[str, ...]) -> dict[str, Tensor]:
    model = model_of(CLIP(out_features=4)).eval()
    return class_vectors(model, Engine(CPU), ("text", TEXT), classes, templates)


def test_a_class_is_the_mean_of_its_sentences() -> None:
    model = model_of(CLIP(out_features=4)).eval()
    space = model.space("clip")
    assert space is not None
    encoder = model.body.trunk.encoders["text"]  # pyright: ignore
    # red is 2, blue 3, a 6: "red", "a red"
    sentences = torch.tensor([[[2, 0, 0], [3, 0, 0]], [[6, 2, 0], [6, 3, 0]]])
    each = [F.normalize(space({"text": encoder(x)})["text"], dim=1) for x in sentences]
    expected = F.normalize((each[0] + each[1]) / 2, dim=1)
    found = prompts(("red", "blue"), ("{}", "a {}"))
    torch.testing.assert_close(found["clip"], expected.detach())


def test_classes_that_the_tokenizer_can_not_tell_apart_have_no_vectors() -> None:
    assert prompts(("seven", "eight"), ("a {}",)) == {}
    assert prompts(("red", "eight"), ("a {}",)) != {}


def test_rows_are_embedded_in_their_order_whatever_the_batches() -> None:
    model = model_of(CLIP(out_features=4))
    stream = stream_of(rows_of(20))
    found = embed(model, Engine(CPU), stream)["clip"]
    batch = next(iter(stream.sweep(20)))
    whole = model.spaces["clip"](model.features(batch))
    for modality in ("audio", "series", "text"):
        expected = F.normalize(whole[modality], dim=1).detach()
        torch.testing.assert_close(found.vectors[modality], expected)
    assert torch.equal(found.labels["colour"], batch.targets["colour"])
    assert not model.training
