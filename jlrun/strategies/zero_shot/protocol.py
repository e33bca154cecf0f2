"""Protocol of zero-shot scores: the unified protocol, calibrated stacking, and its curve.

Per-class means and harmonic mean: Xian et al., "Zero-Shot Learning: A Comprehensive Evaluation of
the Good, the Bad and the Ugly", TPAMI 2019. Calibrated stacking, the seen-unseen curve, its area:
Chao et al., "An Empirical Study and Analysis of Generalized Zero-Shot Learning for Object
Recognition in the Wild", ECCV 2016. Differs from them in: nothing.
"""

# U, S accuracy on rows of unseen and of seen classes;  γ bias, taken off scores of seen classes

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from jlrun.strategies.zero_shot.classes import ClassSplit


@dataclass(frozen=True)
class Scored:
    """Rows with a score for each class.

    Attributes:
        scores: ``(N, K)``, the larger the likelier.
        target: int64 ``(N,)``; rows of classes outside the split are left out.
        split: which classes are seen.
    """

    scores: Tensor
    target: Tensor
    split: ClassSplit

    def zsl_accuracy(self) -> float | None:
        """Mean over unseen classes of the accuracy if no other class could be predicted.

        None without a row of an unseen class.
        """
        return _mean_class_accuracy(self._best_unseen.right, self.target, self.split.unseen)

    def generalised(self, bias: float = 0.0) -> tuple[float | None, float | None]:
        """Return U and S, both over all labels; None for classes that have no row.

        Args:
            bias: γ, taken from the scores of seen classes (calibrated stacking). A tie between a
                seen and an unseen class goes to the unseen one.
        """
        as_seen = self._lead > bias
        unseen_right = self._best_unseen.right & ~as_seen
        seen_right = self._best_seen.right & as_seen
        return (
            _mean_class_accuracy(unseen_right, self.target, self.split.unseen),
            _mean_class_accuracy(seen_right, self.target, self.split.seen),
        )

    def curve(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return U and S, float64 ``(J + 1,)`` each, for all biases, and the J where they change.

        Entry j holds for biases from the j-th ascending change on, up to the next one (the change
        itself included); the first for those below all. U never falls, S never rises. Both kinds
        of classes need a row.
        """
        order = self._lead.argsort()
        changes, counts = self._lead[order].unique_consecutive(return_counts=True)
        last = counts.cumsum(0) - 1
        gains = (self._weights(self.split.unseen) * self._best_unseen.right)[order].cumsum(0)[last]
        kept = (self._weights(self.split.seen) * self._best_seen.right)[order].cumsum(0)
        losses, total = kept[last], kept[-1]
        zero = gains.new_zeros(1)
        return torch.cat([zero, gains]), total - torch.cat([zero, losses]), changes

    def ausuc(self) -> float | None:
        """Area under S over U as the bias changes; None unless both kinds of classes have rows."""
        if not self._has_both:
            return None
        u, s, _ = self.curve()
        return float(torch.trapezoid(s, u))

    def summary(self) -> dict[str, float]:
        """Return the scores without a bias, by name; those that cannot be measured are left out."""
        unseen, seen = self.generalised()
        found = {
            "harmonic_mean": harmonic_mean(unseen, seen),
            "unseen_accuracy": unseen,
            "seen_accuracy": seen,
            "zsl_accuracy": self.zsl_accuracy(),
            "ausuc": self.ausuc(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def spread(self) -> float:
        """Standard deviation of scores within rows, over rows of seen classes: their unit."""
        rows = self.scores[self.split.is_seen(self.target)].double()
        columns = rows[:, [*self.split.seen, *self.split.unseen]]
        return float((columns - columns.mean(dim=1, keepdim=True)).square().mean().sqrt())

    @property
    def _has_both(self) -> bool:
        seen, unseen = self.split.seen, self.split.unseen
        return all(
            bool(torch.isin(self.target, self.target.new_tensor(c)).any()) for c in (seen, unseen)
        )

    @cached_property
    def _best_seen(self) -> _Best:
        return _best(self.scores, self.target, self.split.seen)

    @cached_property
    def _best_unseen(self) -> _Best:
        return _best(self.scores, self.target, self.split.unseen)

    @cached_property
    def _lead(self) -> Tensor:
        """By how much the best seen class leads the best unseen one, float64 ``(N,)``."""
        return self._best_seen.score - self._best_unseen.score

    def _weights(self, classes: Sequence[int]) -> Tensor:
        """Return what a row counts in the mean over ``classes``, float64 ``(N,)``."""
        counts = torch.bincount(self.target, minlength=self.scores.shape[1])
        chosen = torch.zeros(len(counts), dtype=torch.float64)
        chosen[list(classes)] = 1.0
        occurring = (chosen * (counts > 0)).sum()
        return (chosen / counts.clamp(min=1) / occurring.clamp(min=1))[self.target]


def best_bias(scored: Scored) -> float:
    """Return the γ with the largest harmonic mean, in the middle of the biases that have it.

    Of several such ranges the one nearest to 0 counts. 0 if no bias is of any use: where either
    kind of classes has no row, or none is ever right.
    """
    if not scored._has_both:
        return 0.0
    u, s, changes = scored.curve()
    h = torch.where(u + s > 0, 2 * u * s / (u + s).clamp(min=1e-12), 0.0)
    best = h.max()
    if best <= 0 or len(changes) < 2:
        return 0.0
    # At either end one of both is 0, so that a best range has two borders.
    positions = (h >= best - 1e-12).nonzero().flatten()
    positions = positions[(positions > 0) & (positions < len(changes))]
    middles = (changes[positions - 1] + changes[positions]) / 2
    return float(middles[middles.abs().argmin()]) if len(middles) else 0.0


def harmonic_mean(unseen: float | None, seen: float | None) -> float | None:
    """Return 2US / (U + S); 0 if both are 0, None if one is not known."""
    if unseen is None or seen is None:
        return None
    return 2 * unseen * seen / (unseen + seen) if unseen + seen > 0 else 0.0


def chance(split: ClassSplit) -> dict[str, float]:
    """Return what guessing among equally likely classes is expected to score, by name.

    Guessing a seen class with probability p has S = p / S₀ and U = (1 − p) / U₀ for S₀ seen and U₀
    unseen classes: the area under that line is 1 / (2 S₀ U₀).
    """
    seen, unseen = len(split.seen), len(split.unseen)
    among_all = 1 / (seen + unseen)
    return {
        "harmonic_mean": among_all,
        "unseen_accuracy": among_all,
        "seen_accuracy": among_all,
        "zsl_accuracy": 1 / unseen,
        "ausuc": 1 / (2 * seen * unseen),
    }


def report(scored: Scored, bias: float | None) -> dict[str, object]:
    """Return the scores of test rows, calibrated with ``bias`` too, and those of chance.

    Args:
        scored: all test rows.
        bias: γ, chosen without them; None: it was not chosen.
    """
    content: dict[str, object] = {
        "unseen_classes": list(scored.split.unseen_names),
        "seen_classes": list(scored.split.seen_names),
        **scored.summary(),
        "calibrated": None,
        "chance": chance(scored.split),
    }
    if bias is not None:
        unseen, seen = scored.generalised(bias)
        content["calibrated"] = {
            "bias": bias,
            "harmonic_mean": harmonic_mean(unseen, seen),
            "unseen_accuracy": unseen,
            "seen_accuracy": seen,
        }
    return content


@dataclass(frozen=True)
class _Best:
    score: Tensor  # float64 (N,)
    right: Tensor  # Bool (N,)


def _best(scores: Tensor, target: Tensor, classes: Sequence[int]) -> _Best:
    value, position = scores[:, list(classes)].double().max(dim=1)
    return _Best(value, target.new_tensor(list(classes))[position] == target)


def _mean_class_accuracy(right: Tensor, target: Tensor, classes: Sequence[int]) -> float | None:
    shares = [right[target == c].double().mean() for c in classes if bool((target == c).any())]
    return float(torch.stack(shares).mean()) if shares else None
