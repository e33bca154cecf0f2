"""Only named parts of the body."""

from __future__ import annotations

import re

from jlrun.errors import UserError
from jlrun.ranges import NonNegativeFloat, PositiveFloat
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
from jlrun.training.parameter_rules import BODY, ParameterRule


class Surgical(Finetuning):
    """The parts of the body whose parameters a pattern is found in, and the heads.

    Lee et al., "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts", ICLR 2023: the
    first blocks where the inputs changed, the last ones where the labels did. ``parameters=bias``
    is BitFit (Ben Zaken et al., ACL 2022).

    Args:
        parameters: regular expression, searched in the names of the body's parameters, for example
            ``layer1``.
        body_lr, head_lr: multiply the learning rate of what trains.
        batch_norm, wise_ft: see `Finetuning`; what is frozen keeps its BatchNorm statistics.

    Raises:
        UserError: if the pattern is not a regular expression, or matches no parameter.
    """

    def __init__(
        self,
        parameters: str = "convolutions",
        body_lr: PositiveFloat = 1.0,
        head_lr: NonNegativeFloat = 1.0,
        batch_norm: BatchNormMode = "train",
        wise_ft: bool = False,
    ) -> None:
        check_pattern(parameters)
        self._parameters, self._body_lr, self._head_lr = parameters, body_lr, head_lr
        self.batch_norm, self.wise_ft = batch_norm, wise_ft

    def stages(self, epochs: int, blocks: Blocks) -> tuple[TuningStage, ...]:
        names = [name for block in blocks for name in block]
        if not any(re.search(self._parameters, name) for name in names):
            some = ", ".join(block[0] for block in blocks if block)
            raise UserError.of(
                PATTERN,
                f"'{self._parameters}' matches no parameter of the body; its blocks begin with "
                f"{some}",
            )
        rules = (
            # The pattern is about the body: a head's name may match it by chance.
            ParameterRule("body", within_body(self._parameters), self._body_lr),
            ParameterRule("frozen", BODY, 0.0),
            heads(self._head_lr),
        )
        return (TuningStage("finetune", epochs, rules),)
