"""Models between the weights before and after fine-tuning, scored."""

# α share of the fine-tuned weights

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import Tensor

from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.evaluation.scores import Scores, evaluate, mean_score, predictor
from jlrun.models.interpolation import interpolate
from jlrun.models.joint_model import JointModel
from jlrun.training.plan import Fit, Plan

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Between:
    """A model between two, and its scores by label and metric.

    Attributes:
        alpha: 0 is before fine-tuning, 1 after.
        val_score: mean validation score of the target, by which one is selected.
        test: of the target.
        source: of the sources' test splits; empty if there are none.
        selected: whether it has the best validation score; the larger α of equal ones.
    """

    alpha: float
    val_score: float
    test: Scores
    source: Scores
    selected: bool = False

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


def wise_ft(
    model: JointModel,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    fit: Fit,
    plan: Plan,
    engine: Engine,
) -> list[Between]:
    """Return the curve of Wortsman et al., "Robust Fine-tuning of Zero-Shot Models", CVPR 2022.

    One test score belongs to the α that validation selects; the others are shown, not chosen from.

    Args:
        model: any weights; it is left with those of α = 1.
        before, after: name -> tensor.
        fit: what is scored.
        plan: its validation and test streams.
        engine: where and how to compute.
    """
    predict, source = predictor(model, engine), fit.also_scored.get("source", ())

    def scores(streams: Mapping[str, Stream], of_source: bool = False) -> Scores:
        return evaluate(predict, source if of_source else fit.scored, streams)

    found = []
    for alpha in ALPHAS:
        model.load_state_dict(interpolate(before, after, alpha))
        val = mean_score(scores(plan.val), fit.scored)
        found.append(Between(alpha, val, scores(plan.test), scores(plan.test, of_source=True)))
    best = max(found, key=lambda between: (between.val_score, between.alpha))
    return [Between(**{**vars(b), "selected": b is best}) for b in found]
