"""The best constant prediction against frequencies, means and medians."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jlrun.evaluation.missing.constants import best_constant, constant_logits
from jlrun.tasks import Binary, Depth, Multiclass, Multilabel, Regression, Segmentation
from tests.evaluation.missing.two_inputs import rows, scored_model, stream


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_of_classes_it_is_their_frequencies() -> None:
    target = torch.tensor([0] * 5 + [1] * 8 + [3] * 7)
    found = Multiclass().probabilities(best_constant(Multiclass(), 4, target)[None])[0]
    assert found.tolist() == pytest.approx([0.25, 0.4, 0.0, 0.35], abs=1e-4)


def test_the_most_frequent_class_wins_by_one_row() -> None:
    target = torch.tensor([0, 1, 2] * 1000 + [1])
    assert int(best_constant(Multiclass(), 3, target).argmax()) == 1


def test_of_labels_it_is_their_frequencies() -> None:
    target = (draw(300, 3) < torch.tensor([0.2, 0.5, 0.9])).float()
    found = Multilabel().probabilities(best_constant(Multilabel(), 3, target)[None])[0]
    assert found.tolist() == pytest.approx(target.mean(dim=0).tolist(), abs=1e-5)
    binary = Binary().probabilities(best_constant(Binary(), 1, target[:, 0].long())[None])[0]
    assert float(binary[1]) == pytest.approx(float(target[:, 0].mean()), abs=1e-5)


def test_of_numbers_it_is_the_mean_whatever_their_unit() -> None:
    target = 1e4 + 300 * draw(200)
    assert float(best_constant(Regression(), 1, target)) == pytest.approx(float(target.mean()))


def test_of_maps_it_is_what_all_pixels_have_in_common() -> None:
    target = (draw(6, 5, 4) < 0.3).long()
    found = best_constant(Segmentation(), 2, target)
    assert found.shape == (2, 1, 1)
    share = float(target.float().mean())
    assert found.flatten().softmax(0)[1].item() == pytest.approx(share, abs=1e-5)
    depth = draw(4, 5, 5) + 1
    found = float(best_constant(Depth(), 1, depth))
    assert found == pytest.approx(float(depth.median()), abs=0.02)


def test_it_is_learned_from_labelled_rows_of_the_training_split() -> None:
    known = torch.arange(50) < 20
    train = rows(labelled={"largest": known})
    found = constant_logits(scored_model(train))
    counts = torch.bincount(train.targets["largest"][known], minlength=4) / 20
    assert found["largest"].softmax(0).tolist() == pytest.approx(counts.tolist(), abs=1e-4)
    assert set(found) == {"sign", "largest"}


def test_without_labels_or_a_taught_head_there_is_none() -> None:
    unlabelled = scored_model(rows(labelled={"largest": torch.zeros(50, dtype=torch.bool)}))
    assert set(constant_logits(unlabelled)) == {"sign"}
    untaught = replace(unlabelled, learned=unlabelled.learned[1:])
    assert constant_logits(untaught) == {}


def test_a_head_that_others_taught_knows_their_labels() -> None:
    """As in adaptation, where the target has none."""
    whole = scored_model(rows())
    source = tuple(replace(o, stream="source", label=f"source.{o.label}") for o in whole.learned)
    two = {"source": stream(rows(seed=5), "source"), **whole.train}
    adapted = replace(whole, learned=source, train=two)
    expected = best_constant(Multiclass(), 4, rows(seed=5).targets["largest"])
    torch.testing.assert_close(constant_logits(adapted)["largest"], expected)
