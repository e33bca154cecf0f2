"""Task gradients of a training step, made by hand."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from jlrun.objective.weightings import TaskGradients, Weighting


def step(
    *samples: Tensor, losses: Sequence[float] | None = None, active: Sequence[bool] | None = None
) -> TaskGradients:
    """Tasks a, b, …; by default with the losses 1 and all active."""
    count, first = len(samples[0]), samples[0]
    mask = torch.tensor([True] * count if active is None else active)
    values = torch.tensor([1.0] * count if losses is None else losses).to(first)
    return TaskGradients(tuple("abcdef"[:count]), values, mask, samples)


def random_jacobians(count: int, shape: tuple[int, int] = (3, 5), seed: int = 0) -> list[Tensor]:
    """Jacobians in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


Make = Callable[[tuple[str, ...]], Weighting]


def assert_inactive_is_absent(make: Make, steps: Sequence[TaskGradients]) -> None:
    """The update with b inactive is that of a weighting without b.

    Args:
        make: task names -> weighting.
        steps: of the tasks a, b and c.
    """
    whole = make(("a", "b", "c")).double()
    rest = make(("a", "c")).double()
    keep, active = torch.tensor([0, 2]), torch.tensor([True, False, True])
    for given in steps:
        masked = tuple(sample * active[:, None] for sample in given.samples)
        update = whole(TaskGradients(given.names, given.losses * active, active, masked))
        small = TaskGradients(
            ("a", "c"),
            given.losses[keep],
            torch.ones(2).bool(),
            tuple(sample[keep] for sample in given.samples),
        )
        torch.testing.assert_close(update, rest(small))


def assert_goes_on_after_a_round_trip(make: Make, steps: Sequence[TaskGradients]) -> None:
    """State loaded in the middle continues exactly as if nothing had happened."""
    whole, second = make(("a", "b", "c")).double(), make(("a", "b", "c")).double()
    middle = len(steps) // 2
    for given in steps[:middle]:
        whole(given)
    second.load_state_dict({key: value.clone() for key, value in whole.state_dict().items()})
    for given in steps[middle:]:
        torch.manual_seed(0)
        expected = whole(given)
        torch.manual_seed(0)
        assert torch.equal(second(given), expected)
