"""L2-SP: fine-tuned weights stay near their starting point."""

from __future__ import annotations

import re

from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.objective.terms.base import PhaseStart, StepView, Term, precise, total
from jlrun.ranges import NonNegativeFloat


class L2SP(Term):
    """R = ½ ‖w − w⁰‖² over what is carried over + ½ (β/α) ‖w‖² over what is new.

    w⁰ are the weights at the start of the phase. The penalty L2-SP of Li, Grandvalet & Davoine,
    "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML 2018. Differs
    from it in: nothing. All parameters count, biases and normalisation layers too; frozen ones,
    and heads that the phase doesn't compute, don't. Use it instead of weight decay, which
    pulls towards 0: ``optimizer.weight_decay=0``.

    Args:
        weight: strength α of the term.
        parameters: regular expression, searched in parameter names such as ``heads.digit.weight``:
            those that match are carried over, all others are new. ``^body|^heads.digit`` counts a
            head that source and target share as carried over.
        new_ratio: β/α, how strongly new parameters are pulled towards 0 relative to the others.

    Raises:
        UserError: if ``parameters`` is not a regular expression.
    """

    needs = "learned weights"

    def __init__(
        self,
        weight: NonNegativeFloat = 0.01,
        parameters: str = r"^body\.",
        new_ratio: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.pattern = parameters
        self.new_ratio = new_ratio
        self.start = nn.Module()
        try:
            self._expression = re.compile(parameters)
        except re.error as error:
            raise UserError.of(
                "terms.l2_sp.parameters", f"'{parameters}' is not a regular expression: {error}"
            ) from error

    def check(self, model: nn.Module) -> None:
        names = [name for name, _ in model.named_parameters()]
        if not any(map(self._carried_over, names)):
            raise UserError.of(
                "terms.l2_sp.parameters",
                f"'{self.pattern}' matches no parameter of the model. They are named such as "
                f"{names[0]} or {names[-1]}",
            )

    def begin_phase(self, start: PhaseStart) -> None:
        for name, parameter in start.model.named_parameters():
            if self._carried_over(name):
                self.start.register_buffer(_key(name), parameter.detach().clone())

    def forward(self, view: StepView) -> Tensor:
        named = {n: p for n, p in view.model.named_parameters() if p.requires_grad}
        old = [
            (precise(p) - self.start.get_buffer(_key(n))).square().sum()
            for n, p in named.items()
            if self._carried_over(n)
        ]
        new = [
            precise(p).square().sum()
            for n, p in named.items()
            if not self._carried_over(n) and _is_computed(n, view)
        ]
        return precise(total(old, view) + self.new_ratio * total(new, view)) / 2

    def _carried_over(self, name: str) -> bool:
        return self._expression.search(name) is not None


def _key(name: str) -> str:
    """Return the name of a parameter's buffer: names of buffers have no dots."""
    return name.replace(".", "/")


def _is_computed(name: str, view: StepView) -> bool:
    """Whether a parameter is of the body, or of a head that the phase computes."""
    part, _, rest = name.partition(".")
    return part != "heads" or rest.split(".")[0] in view.tasks
