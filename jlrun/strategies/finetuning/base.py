"""Base class of the ways of fine-tuning."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.training.parameter_rules import BODY, HEADS, ParameterRule

# Names of parameters, in blocks from the input to the features.
Blocks = Sequence[Sequence[str]]
BatchNormMode = Literal["train", "freeze"]
PATTERN = "finetune.parameters"  # config path of the pattern that some ways have


@dataclass(frozen=True)
class TuningStage:
    """A phase of fine-tuning.

    Attributes:
        name: of the phase.
        epochs: at least 1.
        rules: how parameters train in it.
    """

    name: str
    epochs: int
    rules: tuple[ParameterRule, ...]


class Finetuning(ABC):
    """Divides the epochs on the target into phases, and chooses what trains in each.

    ``batch_norm``: ``freeze`` keeps the statistics of all BatchNorm layers of the source and
    normalises by them; ``train`` lets those that train adapt to the target. With small batches the
    choice matters. ``wise_ft``: whether to report models between the weights before and after
    fine-tuning (`jlrun.models.interpolation`).
    """

    batch_norm: BatchNormMode
    wise_ft: bool

    @abstractmethod
    def stages(self, epochs: int, blocks: Blocks) -> tuple[TuningStage, ...]:
        """Return the phases, whose epochs add up to ``epochs`` (or to one each, if there are more).

        Args:
            epochs: to be divided.
            blocks: of the body (`jlrun.models.blocks.blocks`).
        """

    def begin(self, model: JointModel) -> None:
        """Change the model before any training, for example by adapters."""
        return


def check_pattern(pattern: str) -> None:
    """Check a pattern of the user's.

    Raises:
        UserError: if it is not a regular expression.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise UserError.of(PATTERN, f"'{pattern}' is not a regular expression: {error}") from error


def exactly(names: Sequence[str]) -> str:
    """Return a pattern that matches the given parameter names, and only these."""
    return "^(" + "|".join(re.escape(name) for name in names) + ")$"


def within_body(pattern: str) -> str:
    """Return a pattern that is found in the names of the body's parameters that ``pattern`` is."""
    return rf"^(?=body\.).*(?:{pattern})"


def layered(blocks: Blocks, lr: float, decay: float, least: float) -> tuple[ParameterRule, ...]:
    """Return a rule for each block: ``lr`` · decay^(blocks above it, the head's counted).

    The decay of Clark et al., "ELECTRA", ICLR 2020, and Bao et al., "BEiT", ICLR 2022. Of a decay
    of 1 one rule is made.

    Args:
        blocks: of the body, from the input up.
        lr: factor of the learning rate of the block below the heads, before its decay.
        decay: factor from each block to the one below.
        least: no factor of the learning rate is smaller, unless ``lr`` is 0.
    """
    if decay == 1 or lr == 0:
        return (ParameterRule("body", BODY, lr),)
    count = len(blocks)
    return tuple(
        ParameterRule(f"body/{i}", exactly(names), max(lr * decay ** (count - i), least))
        for i, names in enumerate(blocks)
    )


def heads(lr: float) -> ParameterRule:
    """Return the rule of the heads."""
    return ParameterRule("head", HEADS, lr)


def divided(epochs: int, share: float) -> tuple[int, int]:
    """Divide ``epochs`` in two: about ``share`` of them, and the rest; at least one each."""
    first = min(max(1, math.floor(share * epochs + 0.5)), max(1, epochs - 1))
    return first, max(1, epochs - first)
