"""From the top down, one part of the body after the other."""

from __future__ import annotations

from jlrun.ranges import PositiveFloat, PositiveInt
from jlrun.strategies.finetuning.base import (
    BatchNormMode,
    Blocks,
    Finetuning,
    TuningStage,
    exactly,
    heads,
)
from jlrun.training.parameter_rules import BODY, ParameterRule


class Gradual(Finetuning):
    """Gradual unfreezing: the heads, then with each phase another part of the body below them.

    Howard & Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018,
    section 3.3. Differs from it in: every phase has the same share of the epochs and a schedule of
    its own for the learning rate, and blocks are put together where there are more than phases.

    Args:
        phases: at most; the last one trains everything.
        body_lr, head_lr: multiply the learning rate of what is not frozen.
        batch_norm, wise_ft: see `Finetuning`; what is frozen keeps its BatchNorm statistics.
    """

    def __init__(
        self,
        phases: PositiveInt = 4,
        body_lr: PositiveFloat = 1.0,
        head_lr: PositiveFloat = 1.0,
        batch_norm: BatchNormMode = "train",
        wise_ft: bool = False,
    ) -> None:
        self._phases, self._body_lr, self._head_lr = phases, body_lr, head_lr
        self.batch_norm, self.wise_ft = batch_norm, wise_ft

    def stages(self, epochs: int, blocks: Blocks) -> tuple[TuningStage, ...]:
        count = min(self._phases, len(blocks) + 1, epochs)
        ends = [epochs * (i + 1) // count for i in range(count)]
        return tuple(
            TuningStage(
                f"unfreeze_{i}" if i < count - 1 else "finetune",
                end - start,
                self._rules(blocks, i, count),
            )
            for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
        )

    def _rules(self, blocks: Blocks, phase: int, count: int) -> tuple[ParameterRule, ...]:
        """Return the rules of a phase: the first of ``count`` trains no block, the last all."""
        if phase == count - 1:
            return (ParameterRule("body", BODY, self._body_lr), heads(self._head_lr))
        trained = len(blocks) * phase // max(count - 1, 1)
        frozen = [name for block in blocks[: len(blocks) - trained] for name in block]
        return (
            ParameterRule("frozen", exactly(frozen), 0.0),
            ParameterRule("body", BODY, self._body_lr),
            heads(self._head_lr),
        )
