"""Temperatures, reliability and thresholds against closed forms and other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from jlrun.evaluation.reliability import reliability
from jlrun.evaluation.temperature import Tempered, fit_temperature, tempered
from jlrun.evaluation.temperature import log_loss as our_log_loss
from jlrun.evaluation.thresholds import Criterion, best_threshold, decided_scores, tune_thresholds
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal
from jlrun.tasks.classification import deciding_by

N = 4000
KINDS: dict[str, tuple[Tempered, int]] = {
    "multiclass": (Multiclass(), 4),
    "binary": (Binary(), 1),
    "multilabel": (Multilabel(), 3),
    "ordinal": (Ordinal(), 3),
}


def simulated(name: str, factor: float) -> RowPredictions:
    """Rows drawn from the probabilities of some logits, predicted by ``factor`` times these."""
    outputs = KINDS[name][1]
    generator = torch.Generator().manual_seed(4)
    logits = 1.5 * torch.randn(N, outputs, generator=generator).double()
    true = probabilities(name, logits)
    if name == "multilabel":
        target = (torch.rand(true.shape, generator=generator) < true).float()
    else:
        target = true.multinomial(1, generator=generator)[:, 0]
    return RowPredictions(probabilities(name, factor * logits), target)


def probabilities(name: str, logits: torch.Tensor) -> torch.Tensor:
    """Return those of the kind; of classes in an order from log-odds of P(y > k) that fall."""
    if name != "ordinal":
        return KINDS[name][0].probabilities(logits)
    above = logits.sort(dim=1, descending=True).values.sigmoid()
    ones = torch.ones(len(above), 1)
    return torch.cat([ones, above], dim=1) - torch.cat([above, 0 * ones], dim=1)


@pytest.mark.parametrize("name", KINDS)
def test_the_temperature_takes_a_factor_of_the_logits_back(name: str) -> None:
    task, rows = KINDS[name][0], simulated(name, factor=3.0)
    temperature = fit_temperature(task, rows)
    assert temperature == pytest.approx(3, rel=0.1)
    after = RowPredictions(tempered(task, rows.probabilities, temperature), rows.target)
    assert our_log_loss(task, after) < our_log_loss(task, rows)
    assert reliability(task, after).ece < 0.03 < reliability(task, rows).ece
    assert torch.equal(task.decide(after.probabilities), task.decide(rows.probabilities))


@pytest.mark.parametrize("name", KINDS)
def test_tempered_probabilities_are_those_of_divided_logits(name: str) -> None:
    found = tempered(KINDS[name][0], simulated(name, 3.0).probabilities, 3.0)
    torch.testing.assert_close(found, simulated(name, 1.0).probabilities)


@pytest.mark.parametrize("temperature", [0.25, 3.0])
def test_no_grade_gets_a_probability_of_0(temperature: float) -> None:
    """Grade 1 has next to none, so that P(y > 0) and P(y > 1) are equal as numbers."""
    p = torch.tensor([[0.6, 1e-30, 0.1, 0.3]]).double()
    odds, far = math.log(0.4 / 0.6) / temperature, math.log(0.3 / 0.7) / temperature
    found = tempered(Ordinal(), p, temperature)[0]
    middle = 1e-30 / (0.4 * 0.6)  # g of the log-odds, to first order
    high, top = 1 / (1 + math.exp(-odds)), 1 / (1 + math.exp(-far))
    wanted = [1 - high, middle / temperature * high * (1 - high), high - top, top]
    assert found.tolist() == pytest.approx(wanted, rel=1e-6)


def test_the_calibration_error_is_that_of_torchmetrics() -> None:
    rows = simulated("multiclass", 2.0)
    theirs = multiclass_calibration_error(rows.probabilities, rows.target, 4, n_bins=15)
    ours = reliability(Multiclass(), rows)
    assert ours.ece == pytest.approx(float(theirs), abs=1e-6)
    assert ours.log_loss == pytest.approx(log_loss(rows.target, rows.probabilities))
    assert ours.rows.sum() == N
    rows = simulated("binary", 2.0)
    theirs = binary_calibration_error(rows.probabilities[:, 1].contiguous(), rows.target, n_bins=15)
    assert reliability(Binary(), rows).ece == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("criterion", ["f1", "balanced_accuracy"])
def test_no_other_threshold_is_better(criterion: Criterion) -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(60).round(2)
    positive = rng.random(60) < 0.5 * scores
    score = {"f1": f1_score, "balanced_accuracy": balanced_accuracy_score}[criterion]
    found = best_threshold(scores, positive, criterion)
    best = max(score(positive, scores > limit) for limit in np.linspace(0, 1, 401))
    assert score(positive, scores > found) == pytest.approx(best)


def test_a_threshold_without_evidence_stays_at_one_half() -> None:
    p = torch.tensor([[0.2, 0.9], [0.3, 0.1], [0.4, 0.8]])
    labels = RowPredictions(p, torch.tensor([[0.0, 1], [0, 0], [0, 1]]))
    assert tune_thresholds(Multilabel(), labels, "f1") == (0.5, 0.5)  # never; right already


def test_tuned_tasks_decide_by_their_thresholds() -> None:
    rows = simulated("binary", 1.0)
    tuned = deciding_by(Binary(), tune_thresholds(Binary(), rows, "f1"))
    predicted = tuned.decide(rows.probabilities)
    assert tuned.thresholds[0] < 0.5
    scores = decided_scores(tuned, rows)["f1"](np.ones((1, N)))
    assert scores[0] == pytest.approx(f1_score(rows.target, predicted))
    assert scores[0] > f1_score(rows.target, Binary().decide(rows.probabilities))
    limits = deciding_by(Multilabel(), (0.2, 0.5, 0.9))
    assert limits.decide(torch.tensor([[0.3, 0.3, 0.8]])).tolist() == [[1, 0, 0]]
