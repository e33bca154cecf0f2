"""Properties every weighting has; a new YAML in conf/weighting joins by itself."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from jlrun.config.build import build
from jlrun.config.groups import gradient_keys
from jlrun.config.slots import WEIGHTING
from jlrun.objective.weightings import (
    GradientWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    Weighting,
)

FOLDER = Path(__file__).parents[3] / "conf" / "weighting"
FILES = [file for file in sorted(FOLDER.glob("*.yaml")) if not file.stem.startswith("_")]
NODES = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
TASKS = ("a", "b", "c")
ROWS = 6
# One draw per task: permuting the tasks does not permute what is drawn.
RANDOM = {"random", "pcgrad", "gradvac", "graddrop"}
ORDERED = RANDOM | {"ldc"}  # compares each task with the one after it


def all_but(names: set[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name in NODES if name not in names])


def made(name: str, tasks: tuple[str, ...] = TASKS) -> Weighting:
    skipped = {"defaults", *gradient_keys()}
    node = {key: value for key, value in NODES[name].items() if key not in skipped}
    return build(node, WEIGHTING, tasks)


def problem(dtype: torch.dtype = torch.float32, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Inputs ``(ROWS, 5)`` and heads ``(3, 5)`` of three quadratic tasks."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 5, generator=generator, dtype=dtype)
    return x * scale, torch.randn(3, 5, generator=generator, dtype=dtype)


def shared_weight(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.eye(5, dtype=dtype).requires_grad_()


def task_losses(weight: Tensor, x: Tensor, heads: Tensor, active: Tensor) -> Tensor:
    values = ((x @ weight @ heads.T - 1) ** 2).mean(dim=0)
    return torch.where(active, values, values.detach() * 0)


def update(
    weighting: Weighting,
    x: Tensor,
    heads: Tensor,
    active: Tensor | None = None,
    tasks: tuple[str, ...] = TASKS,
    seed: int = 0,
) -> Tensor:
    """Return what takes the place of the gradient of the sum, ``(25,)``."""
    active = torch.ones(len(heads)).bool() if active is None else active
    weight = shared_weight(x.dtype)
    values = task_losses(weight, x, heads, active)
    torch.manual_seed(seed)
    if isinstance(weighting, LossWeighting):
        total = weighting(TaskLosses(tasks, values, active))
        assert total.shape == ()
        (gradient,) = torch.autograd.grad(total, weight, retain_graph=True)
        for parameter in weighting.parameters():
            (parameter.grad,) = torch.autograd.grad(total, parameter, retain_graph=True)
        weighting.after_step(lambda: task_losses(weight - 0.01 * gradient, x, heads, active))
        return gradient.flatten()
    assert isinstance(weighting, GradientWeighting)
    parts = x.chunk(weighting.num_samples)
    samples = tuple(jacobian(weight, part, heads, active) for part in parts)
    with torch.no_grad():
        found = weighting(TaskGradients(tasks, values.detach(), active, samples))
    weighting.after_step(lambda: task_losses(weight.detach(), x, heads, active))
    return found


def jacobian(weight: Tensor, x: Tensor, heads: Tensor, active: Tensor) -> Tensor:
    values = task_losses(weight, x, heads, active)
    rows = [torch.autograd.grad(v, weight, retain_graph=True)[0] for v in values]
    return torch.stack(rows).flatten(1)


@pytest.fixture(params=NODES, ids=list(NODES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_update_is_finite_and_not_zero(name: str) -> None:
    found = update(made(name), *problem())
    assert torch.isfinite(found).all()
    assert bool(found.any())


def test_weights_are_recorded_for_each_task(name: str) -> None:
    weighting = made(name)
    update(weighting, *problem())
    assert weighting.last_weights.shape == (len(TASKS),)
    assert torch.isfinite(weighting.last_weights).all()


def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    weighting = made(name)
    update(weighting, *problem())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in weighting.parameters())


def test_float64_stays_float64(name: str) -> None:
    assert update(made(name).double(), *problem(torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_badly_scaled_inputs_stay_finite(name: str, scale: float) -> None:
    found = update(made(name), *problem(scale=scale))
    assert torch.isfinite(found).all()


def test_losses_of_zero_stay_finite(name: str) -> None:
    weighting, weight = made(name), torch.zeros(5, requires_grad=True)
    active = torch.ones(3).bool()
    for _ in range(3):
        values = (weight**2).sum() * torch.ones(3)
        if isinstance(weighting, LossWeighting):
            total = weighting(TaskLosses(TASKS, values, active))
            found = torch.autograd.grad(total, weight)[0]
        else:
            assert isinstance(weighting, GradientWeighting)
            samples = (torch.zeros(3, 5),) * weighting.num_samples
            found = weighting(TaskGradients(TASKS, values.detach(), active, samples))
        assert torch.isfinite(found).all()
        weighting.after_step(lambda: torch.zeros(3))
        weighting.end_epoch()
    assert_state_is_finite(name, weighting)


def assert_state_is_finite(name: str, weighting: Weighting) -> None:
    """Check the state; what is NaN at the start, as it is not known yet, may stay so."""
    start = made(name).state_dict()
    for key, value in weighting.state_dict().items():
        unknown = value.isnan() if start[key].isnan().any() else torch.zeros(()).bool()
        assert bool((torch.isfinite(value) | unknown).all()), key


@all_but(RANDOM)  # they draw a number for each task
def test_a_task_without_labels_does_not_move_the_others(name: str) -> None:
    x, heads = problem()
    found = update(made(name), x, heads, torch.tensor([True, False, True]), seed=3)
    alone = update(made(name, ("a", "c")), x, heads[[0, 2]], tasks=("a", "c"), seed=3)
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-6)


def test_no_task_with_labels_is_no_update(name: str) -> None:
    found = update(made(name), *problem(), torch.zeros(3).bool())
    assert torch.isfinite(found).all()
    assert not bool(found.any())


def test_a_task_that_is_missing_for_a_while_leaves_a_finite_state(name: str) -> None:
    weighting, (x, heads) = made(name), problem()
    for step in range(9):
        active = torch.tensor([True, step % 3 == 0, step < 3])
        assert torch.isfinite(update(weighting, x, heads, active, seed=step)).all()
        if step % 2:
            weighting.end_epoch()
    assert_state_is_finite(name, weighting)


def test_one_task_is_the_task_itself_up_to_a_factor(name: str) -> None:
    x, heads = problem()
    found = update(made(name, ("a",)), x, heads[:1], tasks=("a",))
    rows = x.chunk(3)[2] if name == "sdmgrad" else x  # which moves along its third sample alone
    own = jacobian(shared_weight(), rows, heads[:1], torch.ones(1).bool())[0]
    cosine = torch.nn.functional.cosine_similarity(found, own, dim=0)
    torch.testing.assert_close(cosine, torch.ones(()), atol=1e-5, rtol=0)


def test_state_goes_on_after_a_round_trip(name: str) -> None:
    x, heads = problem()

    def train(weighting: Weighting, epochs: range) -> list[Tensor]:
        updates = []
        for epoch in epochs:
            for step in range(2):
                updates.append(
                    update(weighting, x * (1 + epoch / 4), heads, seed=10 * epoch + step)
                )
            weighting.end_epoch()
        return updates

    whole, first, second = made(name), made(name), made(name)
    expected = train(whole, range(7))
    train(first, range(3))
    second.load_state_dict(first.state_dict())
    for ours, theirs in zip(train(second, range(3, 7)), expected[6:], strict=True):
        assert torch.equal(ours, theirs)


@all_but(ORDERED)
def test_order_of_tasks_does_not_matter(name: str) -> None:
    (x, heads), order = problem(), [2, 0, 1]
    tasks = tuple(TASKS[i] for i in order)
    weighting, other = made(name), made(name, tasks)
    for step in range(3):
        one = update(weighting, x, heads, seed=step)
        two = update(other, x, heads[order], tasks=tasks, seed=step)
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
        weighting.end_epoch()
        other.end_epoch()
