"""First the heads, then everything."""

from __future__ import annotations

from jlrun.ranges import PositiveFloat, PositiveShare, ProperShare
from jlrun.strategies.finetuning.base import (
    BatchNormMode,
    Blocks,
    Finetuning,
    TuningStage,
    divided,
    heads,
    layered,
)


class LPFT(Finetuning):
    """Linear probing, then full fine-tuning from the heads that it found.

    Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022. Differs from it in: the probe is trained by the same
    optimizer for a share of the epochs, instead of to its optimum.

    Args:
        probe_share: share of the epochs for the heads alone.
        body_lr, head_lr: multiply the learning rate of the second phase.
        layer_decay: further factor from each block of the body to the one below it; 1: none.
        batch_norm, wise_ft: see `Finetuning`; while probing, BatchNorm is frozen with the body.
    """

    def __init__(
        self,
        probe_share: ProperShare = 0.2,
        body_lr: PositiveFloat = 1.0,
        head_lr: PositiveFloat = 1.0,
        layer_decay: PositiveShare = 1.0,
        batch_norm: BatchNormMode = "train",
        wise_ft: bool = False,
    ) -> None:
        self._probe_share, self._layer_decay = probe_share, layer_decay
        self._body_lr, self._head_lr = body_lr, head_lr
        self.batch_norm, self.wise_ft = batch_norm, wise_ft

    def stages(self, epochs: int, blocks: Blocks) -> tuple[TuningStage, ...]:
        probe, tune = divided(epochs, self._probe_share)
        body = layered(blocks, self._body_lr, self._layer_decay, 0.0)
        return (
            TuningStage("probe", probe, (*layered(blocks, 0.0, 1.0, 0.0), heads(1.0))),
            TuningStage("finetune", tune, (*body, heads(self._head_lr))),
        )
