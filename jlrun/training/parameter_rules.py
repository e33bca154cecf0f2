"""Parameter rules: which parameters train, and at which learning rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ParameterRule:
    """Rule for the training of all parameters whose names match a pattern.

    Attributes:
        group: name of the group in ``train/lr/<group>``.
        pattern: regular expression, searched in parameter names such as ``heads.digit.weight``.
        lr: multiplies the optimizer's learning rate; 0 freezes, BatchNorm statistics included.
    """

    group: str
    pattern: str
    lr: float = 1.0

    def matches(self, name: str) -> bool:
        """Return whether the rule is about the parameter called ``name``."""
        return re.search(self.pattern, name) is not None


def rule_for(name: str, rules: Sequence[ParameterRule]) -> ParameterRule:
    """Return the first of ``rules`` about a parameter; without any, it trains as it is."""
    return next((rule for rule in rules if rule.matches(name)), ParameterRule("rest", ""))


BODY = r"^body\."


HEADS = r"^heads\."


ADAPTERS = r"\.lora_[ab]$"


def body_and_head(body_lr: float = 1.0, head_lr: float = 1.0) -> tuple[ParameterRule, ...]:
    """Return the rules most plans need; adapters (`jlrun.models.lora`) stay as they are."""
    return (
        ParameterRule("adapters", ADAPTERS, 0.0),
        ParameterRule("body", BODY, body_lr),
        ParameterRule("head", HEADS, head_lr),
    )
