"""LoRA: adapters of low rank next to frozen weights."""

from __future__ import annotations

from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import add_lora
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from jlrun.strategies.finetuning.base import (
    PATTERN,
    BatchNormMode,
    Blocks,
    Finetuning,
    TuningStage,
    check_pattern,
    heads,
    within_body,
)
from jlrun.training.parameter_rules import ADAPTERS, BODY, ParameterRule


class LoRA(Finetuning):
    """The body is frozen, and each of its Linear and Conv layers W gets a trained update (α/r) B A.

    Hu et al., "LoRA", ICLR 2022, on all layers, as advised by Dettmers et al., "QLoRA", NeurIPS
    2023. The adapters are in the model from its beginning, at zero, and train on the target only.
    `jlrun export` folds them into the weights.

    Args:
        rank: r, of the update; at most what the layer allows.
        alpha: α.
        dropout: share of the inputs of A that are dropped in training.
        parameters: regular expression, searched in the names of the body's layers; "": all.
        lora_lr, head_lr: multiply the learning rate.
        batch_norm, wise_ft: see `Finetuning`; the body's BatchNorm is frozen with it.

    Raises:
        UserError: if the pattern is not a regular expression.
    """

    def __init__(
        self,
        rank: PositiveInt = 16,
        alpha: PositiveFloat = 32.0,
        dropout: Fraction = 0.0,
        parameters: str = "",
        lora_lr: PositiveFloat = 1.0,
        head_lr: NonNegativeFloat = 1.0,
        batch_norm: BatchNormMode = "train",
        wise_ft: bool = False,
    ) -> None:
        check_pattern(parameters)
        self._rank, self._alpha, self._dropout = rank, alpha, dropout
        self._parameters, self._lora_lr, self._head_lr = parameters, lora_lr, head_lr
        self.batch_norm, self.wise_ft = batch_norm, wise_ft

    def stages(self, epochs: int, blocks: Blocks) -> tuple[TuningStage, ...]:
        rules = (
            ParameterRule("lora", ADAPTERS, self._lora_lr),
            ParameterRule("frozen", BODY, 0.0),
            heads(self._head_lr),
        )
        return (TuningStage("finetune", epochs, rules),)

    def begin(self, model: JointModel) -> None:
        """Add the adapters.

        Raises:
            UserError: if the pattern matches no layer of the body.
        """
        pattern = within_body(self._parameters)
        try:
            add_lora(
                model, rank=self._rank, alpha=self._alpha, pattern=pattern, dropout=self._dropout
            )
        except UserError as error:
            raise UserError.of(
                PATTERN,
                f"'{self._parameters}' matches no weight of a linear, convolution or attention "
                "layer of the body",
            ) from error
