"""Properties every weighting has; a new YAML in conf/weighting joins by itself."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from jlrun.config.build import build
from jlrun.weightings import TaskLosses, Weighting

FOLDER = Path(__file__).parents[2] / "conf" / "weighting"
NODES = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}
TASKS = ("a", "b", "c")


def losses_of(z: Tensor, heads: Tensor, active: Tensor | None = None) -> TaskLosses:
    """Three quadratic losses on shared features ``z (B, D)``; ``heads (T, D)``."""
    values = ((z @ heads.T - 1) ** 2).mean(dim=0)
    active = torch.ones(len(heads), dtype=torch.bool) if active is None else active
    values = torch.where(active, values, values.detach() * 0)
    return TaskLosses(TASKS[: len(heads)], values, active, taps=(z,), shared=(z,))


def features(rows: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 5, generator=generator, dtype=dtype).requires_grad_()


def heads(dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(3, 5, generator=generator, dtype=dtype)


@pytest.fixture(params=NODES, ids=list(NODES))
def node(request: pytest.FixtureRequest) -> dict:
    return NODES[request.param]


def made(node: dict, tasks: tuple[str, ...] = TASKS) -> Weighting:
    return build(node, tasks)


def test_total_is_a_finite_scalar_whose_gradient_reaches_the_features(node: dict) -> None:
    z = features()
    total = made(node)(losses_of(z, heads()))
    total.backward()
    assert total.shape == ()
    assert torch.isfinite(total)
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()
    assert bool(z.grad.any())


def test_weights_are_recorded_for_each_task(node: dict) -> None:
    weighting = made(node)
    weighting(losses_of(features(), heads()))
    assert weighting.last_weights.shape == (len(TASKS),)
    assert bool((weighting.last_weights >= 0).all())


def test_every_parameter_gets_a_gradient(node: dict) -> None:
    weighting = made(node)
    weighting(losses_of(features(), heads())).backward()
    assert all(p.grad is not None for p in weighting.parameters())


def test_float64_stays_float64(node: dict) -> None:
    weighting = made(node).double()
    assert weighting(losses_of(features(dtype=torch.float64), heads(torch.float64))).dtype == (
        torch.float64
    )


def test_equal_losses_of_zero_stay_finite(node: dict) -> None:
    z = torch.zeros(2, 5, requires_grad=True)
    values = (z**2).sum() * torch.ones(3)
    losses = TaskLosses(TASKS, values, torch.ones(3).bool(), taps=(z,), shared=(z,))
    total = made(node)(losses)
    total.backward()
    assert torch.isfinite(total)
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_a_task_without_labels_does_not_move_the_others(node: dict) -> None:
    active = torch.tensor([True, False, True])
    z = features()
    torch.manual_seed(0)
    made(node)(losses_of(z, heads(), active)).backward()
    other = features()
    torch.manual_seed(0)
    rest = heads()[[0, 2]]
    made(node, ("a", "c"))(
        TaskLosses(
            ("a", "c"),
            ((other @ rest.T - 1) ** 2).mean(dim=0),
            torch.ones(2).bool(),
            taps=(other,),
            shared=(other,),
        )
    ).backward()
    torch.testing.assert_close(z.grad, other.grad)


def test_one_task_is_the_task_itself_up_to_a_factor(node: dict) -> None:
    z, other = features(), features()
    made(node, ("a",))(losses_of(z, heads()[:1])).backward()
    losses_of(other, heads()[:1]).values.sum().backward()
    assert z.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(
        nn.functional.normalize(z.grad.flatten(), dim=0),
        nn.functional.normalize(other.grad.flatten(), dim=0),
    )


def test_state_goes_on_after_a_round_trip(node: dict) -> None:
    def train(weighting: Weighting, epochs: range) -> list[float]:
        totals = []
        for epoch in epochs:
            torch.manual_seed(epoch)
            total = weighting(losses_of(features() * (1 + epoch), heads()))
            totals.append(float(total.detach()))
            weighting.end_epoch()
        return totals

    whole, first, second = made(node), made(node), made(node)
    expected = train(whole, range(6))
    train(first, range(3))
    second.load_state_dict(first.state_dict())
    assert train(second, range(3, 6)) == expected[3:]


def test_order_of_tasks_does_not_matter(node: dict) -> None:
    if NODES["pcgrad"] is node:
        pytest.skip("PCGrad projects in a random order")
    z, other = features(), features()
    made(node)(losses_of(z, heads())).backward()
    made(node)(losses_of(other, heads().flip(0))).backward()
    torch.testing.assert_close(z.grad, other.grad)
