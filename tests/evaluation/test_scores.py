"""Scores against scikit-learn, which is not what computes them."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn import metrics as oracle

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.evaluation.scores import Prediction, ensemble, evaluate, mean_loss, mean_score
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec
from jlrun.tasks.objective import Objective
from tests.toy import toy_stream

ROWS = 60
NAMES = ("a", "b", "c")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def scored(
    task: Task,
    classes: tuple[str, ...],
    logits: torch.Tensor,
    target: torch.Tensor,
    labelled: torch.Tensor | None = None,
) -> dict[str, float]:
    """Scores of given logits, evaluated in batches of 8."""
    objective = Objective("y", "dataset", TaskSpec("y", task, classes), "y")
    x = torch.arange(len(target)).float()[:, None].expand(-1, 4)
    rows = TensorRows({"x": x}, {"y": target}, labelled={} if labelled is None else {"y": labelled})

    def predict(batch: Batch, objectives: list[Objective]) -> list[Prediction]:
        own = logits[batch.inputs["x"][:, 0].long()]
        return [Prediction.of(task, own)]

    return evaluate(predict, [objective], {"dataset": toy_stream(rows=rows)}).get("y", {})  # pyright: ignore[reportArgumentType]


def test_multiclass() -> None:
    logits = random(ROWS, 3)
    target = torch.randint(0, 3, (ROWS,), generator=torch.Generator().manual_seed(1))
    found = scored(Multiclass(), NAMES, logits, target)
    y, p = target.numpy(), logits.double().softmax(1).numpy()
    assert found == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(y, p.argmax(1)),
            "mean_class_accuracy": oracle.balanced_accuracy_score(y, p.argmax(1)),
            "macro_f1": oracle.f1_score(y, p.argmax(1), average="macro"),
            "weighted_f1": oracle.f1_score(y, p.argmax(1), average="weighted"),
            "auroc": oracle.roc_auc_score(y, p, multi_class="ovr"),
            "loss": oracle.log_loss(y, p),
        },
        rel=1e-5,
    )


def test_binary() -> None:
    logits, target = random(ROWS, 1), (random(ROWS, seed=1) > 0.3).long()
    found = scored(Binary(), ("no", "yes"), logits, target)
    y, p = target.numpy(), logits[:, 0].double().sigmoid().numpy()
    assert found == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(y, p > 0.5),
            "mean_class_accuracy": oracle.balanced_accuracy_score(y, p > 0.5),
            "macro_f1": oracle.f1_score(y, p > 0.5, average="macro"),
            "weighted_f1": oracle.f1_score(y, p > 0.5, average="weighted"),
            "auroc": oracle.roc_auc_score(y, p),
            "loss": oracle.log_loss(y, p),
        },
        rel=1e-5,
    )


def test_multilabel() -> None:
    logits, target = random(ROWS, 3), (random(ROWS, 3, seed=1) > 0).float()
    found = scored(Multilabel(), NAMES, logits, target)
    y, p = target.numpy(), logits.double().sigmoid().numpy()
    assert found == pytest.approx(
        {
            "accuracy": float(((p > 0.5) == y).mean()),
            "macro_f1": oracle.f1_score(y, p > 0.5, average="macro"),
            "weighted_f1": oracle.f1_score(y, p > 0.5, average="weighted"),
            "auroc": oracle.roc_auc_score(y, p, average="macro"),
            "loss": -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)),
        },
        rel=1e-5,
    )


def test_regression() -> None:
    logits, target = random(ROWS, 1), random(ROWS, seed=1)
    found = scored(Regression(), (), logits, target)
    y, p = target.numpy(), logits[:, 0].numpy()
    assert found == pytest.approx(
        {
            "mae": oracle.mean_absolute_error(y, p),
            "rmse": oracle.root_mean_squared_error(y, p),
            "median_error": oracle.median_absolute_error(y, p),
            "r2": oracle.r2_score(y, p),
            "spearman": spearmanr(y, p).statistic,
            "loss": oracle.mean_squared_error(y, p),
        },
        rel=1e-4,
    )


def test_a_class_that_does_not_occur_does_not_lower_auroc() -> None:
    target = torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[2.0, 0.0, 0.0], [2, 0, 0], [0, 2, 0], [0, 2, 0]])
    assert scored(Multiclass(), NAMES, logits, target)["auroc"] == 1.0


def test_rows_without_a_label_do_not_count() -> None:
    logits = random(ROWS, 3)
    target = torch.randint(0, 3, (ROWS,), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(ROWS) % 3 > 0
    hidden = target.masked_fill(~mask, -1)
    found = scored(Multiclass(), NAMES, logits, hidden, mask)
    assert found == pytest.approx(scored(Multiclass(), NAMES, logits[mask], target[mask]))


def test_a_task_without_labels_has_no_scores() -> None:
    target = torch.zeros(ROWS, dtype=torch.long)
    assert scored(Multiclass(), NAMES, random(ROWS, 3), target, torch.zeros(ROWS).bool()) == {}


def test_an_ensemble_is_the_mean_of_probabilities_and_has_no_loss() -> None:
    first, second = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.2, 0.8]])
    members = [lambda batch, objectives, p=p: [Prediction(p, p)] for p in (first, second)]
    batch = Batch({"x": torch.zeros(1, 4)})
    (prediction,) = ensemble(members, [("x",), ("x",)])(batch, [])
    torch.testing.assert_close(prediction.probabilities, torch.tensor([[0.55, 0.45]]))
    assert prediction.logits is None


def test_members_of_an_ensemble_have_no_say_on_rows_that_they_see_nothing_of() -> None:
    members = [
        lambda batch, objectives, p=p: [Prediction(p.expand(3, 2), None)]
        for p in (torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.8]))
    ]
    mask = {"a": torch.tensor([True, True, False]), "b": torch.tensor([True, False, False])}
    batch = Batch({"a": torch.zeros(3, 1), "b": torch.zeros(3, 1)}, present=mask)
    (prediction,) = ensemble(members, [("a",), ("b",)])(batch, [])
    expected = torch.tensor([[0.55, 0.45], [0.9, 0.1], [0.55, 0.45]])
    torch.testing.assert_close(prediction.probabilities, expected)


def test_means_over_tasks_use_each_tasks_primary_metric() -> None:
    objectives = [
        Objective("a", "dataset", TaskSpec("a", Multiclass(), NAMES), "a"),
        Objective("b", "dataset", TaskSpec("b", Regression(), ()), "b"),
    ]
    scores = {"a": {"accuracy": 0.8, "loss": 1.0}, "b": {"r2": 0.4, "mae": 9.0, "loss": 3.0}}
    assert mean_score(scores, objectives) == pytest.approx(0.6)
    assert mean_loss(scores, objectives) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("task", "classes", "targets", "complaint"),
    [
        (Multiclass(), NAMES, torch.tensor([0, 3]), "1 label outside 0..2, for example 3"),
        (Binary(), ("no", "yes"), torch.tensor([-1, 1]), "outside 0..1"),
        (Multilabel(), NAMES, torch.tensor([[0.0, 0.5, 1.0]]), "must be 0 or 1"),
        (Multilabel(), NAMES, torch.tensor([[0.0, 1.0]]), "expected 3 labels"),
        (Regression(), (), torch.tensor([float("nan")]), "finite"),
    ],
)
def test_targets_out_of_range_are_told(
    task: Task, classes: tuple[str, ...], targets: torch.Tensor, complaint: str
) -> None:
    assert complaint in task.invalid(targets, classes)
