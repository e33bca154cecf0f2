"""LwF: the source's heads keep their predictions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.objective.terms.base import (
    TARGET,
    PhaseStart,
    StepView,
    Term,
    check_heads,
    precise,
    total,
)
from jlrun.objective.terms.transfer.distill import divergence
from jlrun.objective.terms.transfer.frozen import FrozenModel, own_source_heads
from jlrun.ranges import NonNegativeFloat, PositiveFloat


class LwF(Term):
    """R = Σ_heads mean_rows T² KL(p⁰ ‖ p): predictions on the target stay those of the start.

    p⁰ are the predictions of the source's heads, on the target's inputs, with the weights that the
    phase starts from; no input of the source is needed. Eq. (2) and (3) of Li & Hoiem,
    "Learning without Forgetting", ECCV 2016. Differs from it in: the divergence in the place of the
    cross-entropy, which has the same gradient and is 0 at the start, and the factor T² of Hinton et
    al. The heads of the source train; new heads have no warm-up.

    Args:
        weight: strength of the term (the paper's λ_o).
        temperature: T, above 1 small probabilities count more.
        tasks: heads to keep; null means those of the sources alone (``source_<task>``). A head that
            source and target share has to be named.
    """

    needs = "learned weights"
    start: FrozenModel

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        temperature: PositiveFloat = 2.0,
        tasks: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature
        self.tasks = tasks
        self._heads: tuple[str, ...] = ()

    def check(self, model: nn.Module) -> None:
        check_heads(model, self.tasks)

    def begin_phase(self, start: PhaseStart) -> None:
        """Copy the model, and find the heads to keep.

        Raises:
            UserError: if none is named, and the sources have none of their own.
        """
        self.start = FrozenModel(start.model)
        self._heads = tuple(self.tasks or own_source_heads(start))
        if TARGET in start.observed and not self._heads:
            raise UserError.of(
                "terms.lwf.tasks",
                "null: the sources have no head of their own. Name the shared heads to keep: "
                f"terms.lwf.tasks=[{','.join(start.observed[TARGET])}]",
            )

    def forward(self, view: StepView) -> Tensor:
        logits = view.outputs[TARGET].logits if TARGET in view.outputs else {}
        heads = [head for head in self._heads if head in logits]
        first = self.start(view.batches[TARGET], heads).logits if heads else {}
        divergences = (
            divergence(view.tasks[head], logits[head], first[head], self.temperature).mean()
            for head in heads
        )
        return precise(total(divergences, view))
