"""Full fine-tuning and linear probing: the whole model trains, or the heads alone."""

from __future__ import annotations

from jlrun.ranges import NonNegativeFloat, PositiveShare
from jlrun.strategies.finetuning.base import (
    BatchNormMode,
    Blocks,
    Finetuning,
    TuningStage,
    heads,
    layered,
)


class Full(Finetuning):
    """One phase; learning rates differ by layer.

    Args:
        body_lr, head_lr: multiply the learning rate; 0 freezes, BatchNorm statistics included.
        layer_decay: further factor from each block of the body to the one below it; 1: none.
        least_lr: the smallest factor that the decay leads to.
        batch_norm, wise_ft: see `Finetuning`.

    Raises:
        ValueError: if nothing would train.
    """

    def __init__(
        self,
        body_lr: NonNegativeFloat = 1.0,
        head_lr: NonNegativeFloat = 1.0,
        layer_decay: PositiveShare = 1.0,
        least_lr: NonNegativeFloat = 0.0,
        batch_norm: BatchNormMode = "train",
        wise_ft: bool = False,
    ) -> None:
        if body_lr == head_lr == 0:
            raise ValueError("body_lr and head_lr are both 0: nothing would train")
        self._body_lr, self._head_lr = body_lr, head_lr
        self._layer_decay, self._least_lr = layer_decay, least_lr
        self.batch_norm, self.wise_ft = batch_norm, wise_ft

    def stages(self, epochs: int, blocks: Blocks) -> tuple[TuningStage, ...]:
        body = layered(blocks, self._body_lr, self._layer_decay, self._least_lr)
        return (TuningStage("finetune", epochs, (*body, heads(self._head_lr))),)
