"""Ways from the losses of a step to gradients; each owns the step's forward and backward passes.

- `WeightedPasses`: a `LossWeighting` whose weights are known; one backward pass from each loss with
  its weight.
- `ScalarPasses`: any other `LossWeighting` makes one scalar of the losses; one backward pass.
- `FeaturePasses`: a `GradientWeighting` combines the gradients of all tasks with respect to the
  shared features. The graph is cut there, each loss goes back to the cut, and the update goes back
  through the trunk once.
- `ParameterPasses`: a `GradientWeighting` combines those with respect to the shared parameters.
  Each loss goes back all the way.

Gradients of a step's micro-batches add up; only then is the update solved for.
"""

from __future__ import annotations

from jlrun.objective.weightings.base import GradientWeighting, LossWeighting, Weighting
from jlrun.training.forward import StepForward
from jlrun.training.passes.base import Passes
from jlrun.training.passes.features import FeaturePasses, takes_features
from jlrun.training.passes.parameters import ParameterPasses
from jlrun.training.passes.scalar import ScalarPasses
from jlrun.training.passes.weighted import WeightedPasses

__all__ = ["Passes", "num_samples", "passes_of", "takes_features"]


def passes_of(forward: StepForward, number: int) -> Passes:
    """Return the passes that the step's weighting needs.

    Args:
        forward: the step's forward passes.
        number: of the step in its phase, from 0.
    """
    weighting = forward.learner.weighting
    if isinstance(weighting, LossWeighting):
        kind = WeightedPasses if WeightedPasses.suit(forward) else ScalarPasses
        return kind(forward, weighting)
    assert isinstance(weighting, GradientWeighting)
    kind = FeaturePasses if takes_features(forward) else ParameterPasses
    return kind(forward, weighting, number)


def num_samples(weighting: Weighting) -> int:
    """Return the number of equal shares of a batch whose gradients the weighting compares."""
    return weighting.num_samples if isinstance(weighting, GradientWeighting) else 1
