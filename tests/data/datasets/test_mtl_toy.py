from __future__ import annotations

import math

import pytest
import torch

from jlrun.data.datasets.mtl_toy import ToyTask, load_mtl_toy, toy_losses


def at(*points: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(points, dtype=torch.float64)


def test_losses_by_hand() -> None:
    # Below 0 only the bowls count: at (7, −8) that of f₁ is −20, that of f₂ 14²/10 − 20.
    c = math.tanh(4.0)
    # Above only the valleys; far up tanh is 1: |½(−x₁ − 7) + 1| and |½(3 − x₁) + 1|.
    far = at((7.0, -8.0), (-7.0, -8.0), (-3.0, 40.0))
    expected = [
        [-2.0 * c, -0.4 * c],
        [-0.04 * c, -20.0 * c],
        [0.1 * (math.log(1.0) + 6), math.log(4.0) + 6],
    ]
    torch.testing.assert_close(toy_losses(far), torch.tensor(expected, dtype=torch.float64))


def test_losses_are_finite_in_the_valleys() -> None:
    # the bottoms of both, where the logarithms' arguments are 0
    bottoms = at((-5.0, 40.0), (5.0, 40.0)).requires_grad_()
    losses = toy_losses(bottoms)
    assert losses[0, 0].item() == pytest.approx(0.1 * (math.log(5e-6) + 6))
    assert losses[1, 1].item() == pytest.approx(math.log(5e-6) + 6)
    losses.sum().backward()
    assert bottoms.grad is not None
    assert bottoms.grad.isfinite().all()


def test_the_start_at_zero_has_a_slope() -> None:
    origin = torch.zeros(2, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(toy_losses, origin)
    assert isinstance(jacobian, torch.Tensor)
    assert (jacobian[:, 1] > 0.5).all()


def test_the_front_is_where_gradients_oppose_each_other() -> None:
    for x1, x2 in ((-5.0, -8.397), (0.0, -8.355), (5.0, -8.397)):
        point = at((x1, x2))[0]
        first, second = torch.autograd.functional.jacobian(toy_losses, point)
        cosine = torch.nn.functional.cosine_similarity(first, second, dim=0)
        assert cosine.item() == pytest.approx(-1, abs=1e-6)


def test_rows_say_nothing() -> None:
    dataset = load_mtl_toy(steps_per_epoch=7)
    assert dataset.val is not None
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (7, 1, 1)
    batch = dataset.train.fetch(torch.arange(7))
    assert not batch.inputs["point"].any()
    assert set(batch.targets) == set(dataset.classes) == {"f1", "f2"}


def test_a_task_scores_the_point_whatever_the_target() -> None:
    points, target = torch.tensor([[1.0, -2.0], [3.0, -4.0]]), torch.tensor([5.0, 6.0])
    for i, name in enumerate(("f1", "f2")):
        task = ToyTask(name)  # pyright: ignore[reportArgumentType]
        expected = toy_losses(points)[:, i]
        torch.testing.assert_close(task.loss(points, target), expected)
        metrics = task.metrics(())
        for metric in metrics.values():
            metric.update(task.probabilities(points), target)
        found = {key: float(metric.compute()) for key, metric in metrics.items()}
        assert found == {"x1": 2.0, "x2": -3.0}
