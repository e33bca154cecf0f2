"""Context that every strategy builds its plan from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import Need
from jlrun.objective.weightings import Equal
from jlrun.objective.weightings.base import GradientOptions
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Recipe

# Changes a model before any training: weights from elsewhere, adapters.
Begin = Callable[[JointModel], None]


@dataclass(frozen=True)
class PlanContext:
    """Collaborators of a plan, built from the config.

    Attributes:
        recipe: how every phase optimises.
        modalities: those in use.
        epochs: of the main phase.
        baselines: whether baselines are trained.
        pretrained: whether encoders begin with weights that were learned elsewhere.
        needs: what the terms need of a phase to act in it.
        held_out: share of the training rows that the balance measures instead.
        blocks: heads of a model -> names of its body's parameters, in blocks from the input up.
    """

    recipe: Recipe
    modalities: tuple[str, ...]
    epochs: int
    baselines: bool
    pretrained: bool = False
    needs: frozenset[Need | None] = frozenset()
    held_out: float = 0.0
    blocks: Callable[[Mapping[str, TaskSpec]], Sequence[Sequence[str]]] = lambda heads: ()

    def plain_recipe(self) -> Recipe:
        """Return the recipe with equal weights, and without terms that need more than labels."""
        plain = {n: t for n, t in self.recipe.terms.items() if t.kind.needs is None}
        return replace(
            self.recipe,
            make_weighting=Equal,
            terms=plain,
            gradient_options=GradientOptions(),
        )

    def terms_between_modalities(self) -> frozenset[str]:
        """Return the parts of a config that do not matter to a model of one modality.

        That is, if all terms are between modalities.
        """
        return frozenset({"terms", "pretraining"} if self.needs == {"several modalities"} else ())

    def terms_without_effect(self) -> frozenset[str]:
        """Return ``terms`` if all of them need more than labelled rows of one data set."""
        return frozenset() if None in self.needs else frozenset({"terms"})


def one_after_the_other(*steps: Begin | None) -> Begin:
    """Return what changes a model by each of ``steps``, in order."""
    present = [step for step in steps if step is not None]

    def begin(model: JointModel) -> None:
        for step in present:
            step(model)

    return begin
