"""Scores on small inputs with known values."""

import math

import pytest
import torch
from scipy.stats import rankdata

from jlrun.evaluation.scores import Prediction, Scorer, ensemble
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec
from jlrun.tasks.classification import class_log_odds
from jlrun.tasks.metrics.accumulators import regression_scores
from jlrun.tasks.metrics.ranks import auroc, average_ranks, median

NAMES = ("a", "b", "c")


def scored(
    task: Task, logits: torch.Tensor, target: torch.Tensor, classes: tuple[str, ...] = ()
) -> dict[str, float]:
    scorer = Scorer(TaskSpec("t", task, classes))
    scorer.update(target, Prediction.of(task, logits))
    return scorer.compute()


@pytest.mark.parametrize(
    ("target", "predicted", "expected"),
    [
        ([0.003, 0.001, 0.002], [0.001, 0.002, 0.003], -2.0),
        ([10000, 10001, 10002, 10003], [10000, 10001, 10002, 10002], 0.8),
        ([1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3], [1e6 + 1.5] * 4, 0.0),
        ([1e-200, 2e-200, 3e-200], [1e-200, 2e-200, 4e-200], 0.5),
        ([1e200, 2e200, 3e200], [1e200, 2e200, 4e200], 0.5),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], 1.0),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.2], 0.0),
        ([1.0], [1.0], math.nan),
    ],
)
def test_r2(target: list[float], predicted: list[float], expected: float) -> None:
    y, p = (torch.tensor(v, dtype=torch.float64) for v in (target, predicted))
    found = scored(Regression(), p[:, None], y)
    assert found["r2"] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_errors_are_in_the_unit_of_the_target() -> None:
    y = 1.7e9 + torch.tensor([0.0, 10.0, 20.0, 30.0]).double()
    logits = torch.tensor([[-1.0], [0.0], [1.0], [-1.0]])
    found = scored(Regression().in_units(1.7e9 + 10, 10.0), logits, y)
    expected = {"mae": 7.5, "rmse": 15.0, "median_error": 0.0, "r2": -0.8}
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_balanced_accuracy_is_over_classes_that_occur() -> None:
    logits = 5 * torch.eye(3)[torch.tensor([0, 0, 1, 2])]
    found = scored(Multiclass(), logits, torch.tensor([0, 0, 1, 1]), NAMES)
    assert found["mean_class_accuracy"] == 0.75


def test_labels_without_positives_are_left_out_and_counted() -> None:
    logits = torch.tensor([[9.0, -9, -9], [-9, 9, -9]])
    found = scored(Multilabel(), logits, torch.tensor([[1.0, 0, 0], [0, 1, 0]]), NAMES)
    assert (found["macro_f1"], found["labels_left_out"]) == (1.0, 1.0)
    all_occur = scored(Multilabel(), logits, torch.tensor([[1.0, 1, 0], [0, 1, 1]]), NAMES)
    assert "labels_left_out" not in all_occur


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_confident_models_are_ranked_by_logits(scale: float) -> None:
    z, y = scale * torch.tensor([17.0, 18, 19, 20, -1]), torch.tensor([0, 1, 0, 1, 0])
    for task, logits in ((Binary(), z[:, None]), (Multiclass(), torch.stack([-z, z], 1) / 2)):
        assert scored(task, logits, y, ("no", "yes"))["auroc"] == pytest.approx(5 / 6)
    labels = scored(
        Multilabel(), torch.stack([z, -z], 1), torch.stack([y, 1 - y], 1).float(), NAMES[:2]
    )
    assert labels["auroc"] == pytest.approx(5 / 6)


def test_ensembles_of_confident_models_are_ranked_by_their_mean_odds() -> None:
    y, task = torch.tensor([0, 1, 0, 1, 0]), Binary()
    objective = [None]
    members = [
        lambda batch, objectives, z=z: [Prediction.of(task, torch.tensor(z)[:, None])]
        for z in ([40.0, 41, 42, 43, -1], [44.0, 45, 46, 47, -1])
    ]
    from jlrun.data.batch import Batch

    batch = Batch({"x": torch.zeros(5, 1)})
    (found,) = ensemble(members, [("x",), ("x",)])(batch, objective)  # pyright: ignore
    assert found.log_odds is not None
    # log of the mean of 1 − p = exp(−z) over both, where p is near 1.
    expected = -torch.logaddexp(
        -torch.tensor([40.0, 41, 42, 43]), -torch.tensor([44.0, 45, 46, 47])
    )
    torch.testing.assert_close(
        found.log_odds[:4, 1], (expected + math.log(2)).double(), rtol=1e-5, atol=0
    )
    scorer = Scorer(TaskSpec("t", task, ("no", "yes")))
    scorer.update(y, found)
    assert scorer.compute()["auroc"] == pytest.approx(5 / 6)


def test_log_odds_are_those_of_the_softmax() -> None:
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(class_log_odds(z), z.softmax(1).logit(), rtol=1e-10, atol=1e-10)
    far = class_log_odds(torch.tensor([[500.0, 0.0, 1.0], [0.0, 0.0, -900.0]]).double())
    close = [500 - math.log(1 + math.e), -500.0, -499.0]
    assert far[0].tolist() == pytest.approx(close)
    assert far[1].tolist() == pytest.approx([0.0, 0.0, -900 - math.log(2)])


def test_the_order_of_rows_decides_nothing() -> None:
    scores, positive = torch.tensor([1.0, 1, 1, 0, 0]), torch.tensor([1, 0, 1, 1, 0]).bool()
    for seed in range(5):
        order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
        assert auroc(scores[order], positive[order]) == pytest.approx(3.5 / 6)


def test_ranks_of_columns_are_those_of_scipy() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (0, 1, 2, 3, 10, 200):
        x = torch.randint(0, max(2, count // 2), (count, 7), generator=generator).double()
        expected = rankdata(x.numpy(), axis=0) if count else x.numpy()
        assert average_ranks(x).numpy().tolist() == expected.tolist()


def test_the_median_of_an_even_number_is_between_both() -> None:
    assert median(torch.tensor([4, 1, 2, 10])) == 3.0
    assert math.isnan(median(torch.tensor([])))


def test_predictions_that_are_not_finite_have_no_score_and_no_warning() -> None:
    p = torch.tensor([math.nan, 1.0])
    found = regression_scores(p, torch.tensor([0.0, 1.0]))
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("task", "primary"),
    [
        (Multiclass(metric="weighted_f1"), "weighted_f1"),
        (Binary(metric="auroc"), "auroc"),
        (Multilabel(metric="weighted_f1"), "weighted_f1"),
        (Regression(metric="rmse"), "rmse"),
        (Regression(), "r2"),
    ],
)
def test_the_primary_metric_is_chosen(task: Task, primary: str) -> None:
    assert task.primary == primary
    assert task.compared == (() if primary == "r2" else (primary,))
    several = isinstance(task, Multilabel)
    classes = NAMES[:2] if not isinstance(task, Regression) else ()
    target = torch.eye(2) if several else torch.tensor([0, 1])
    logits = torch.randn(2, task.num_outputs(classes))
    target = target.float() if isinstance(task, Regression) else target
    assert primary in scored(task, logits, target, classes)


@pytest.mark.parametrize(
    ("task", "logits", "target"),
    [
        (Multiclass(), [[math.nan, 1.0, 2.0], [1.0, 2.0, 3.0]], [0, 2]),
        (Multiclass(), [[math.inf, 1.0, 2.0], [1.0, 2.0, 3.0]], [0, 2]),
        (Binary(), [[math.nan], [2.0]], [0, 1]),
        (Multilabel(), [[math.nan, -9.0, -9.0], [9.0, 9.0, 9.0]], [[0.0, 0, 0], [1, 1, 1]]),
    ],
)
def test_predictions_that_are_no_number_have_no_score(
    task: Task, logits: list[list[float]], target: list[object]
) -> None:
    found = scored(task, torch.tensor(logits), torch.tensor(target), NAMES)
    assert all(math.isnan(value) for value in found.values())


def test_an_infinite_error_is_one() -> None:
    y = torch.tensor([1.0, 2.0]).double()
    found = regression_scores(torch.tensor([math.inf, 2.0]).double(), y)
    assert found["mae"] == found["rmse"] == math.inf
    assert found["median_error"] == math.inf
