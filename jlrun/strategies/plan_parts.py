"""Parts that plans are made of: their context, and supervised fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from jlrun.data.labelled_streams import LabelledStreams, head_name
from jlrun.data.sampling import All, Sampling
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import Need
from jlrun.objective.weightings import Equal
from jlrun.objective.weightings.base import GradientOptions
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Fit, Phase, Recipe

# Changes a model before any training: weights from elsewhere, adapters.
Begin = Callable[[JointModel], None]
SCRATCH = "scratch"
SOURCE_ONLY = "source_only"
TARGET_SUPERVISED = "target_supervised"
# What the target alone is learned with: nothing is fine-tuned or aligned, and no source is seen;
# the length of other phases shows in the fit's own epochs.
TARGET_INDEPENDENT_OF = frozenset(
    {"source", "sources", "source_weights", "pretrain_epochs", "pretraining", "finetune"}
    | {"validator", "adapt", "oracle", "strategy"}
)


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


def supervised_fit(
    name: str,
    datasets: tuple[LabelledStreams, ...],
    *,
    modalities: tuple[str, ...],
    epochs: int,
    recipe: Recipe,
    sampling: Sampling | None = None,
    independent_of: frozenset[str] | None = None,
) -> Fit:
    """Return a fit that learns all tasks of ``datasets`` from ``modalities`` in one phase.

    ``sampling`` is that of `Phase`, ``independent_of`` that of `Fit`.
    """
    objectives = tuple(objective for dataset in datasets for objective in dataset.objectives())
    phase = Phase(
        name="train",
        train={dataset.name: dataset.train for dataset in datasets},
        val={dataset.name: dataset.val for dataset in datasets},
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=recipe,
        sampling=sampling or All(),
    )
    return Fit(
        name=name,
        modalities=modalities,
        heads={head_name(spec): spec for dataset in datasets for spec in dataset.tasks},
        phases=(phase,),
        scored=objectives,
        independent_of=independent_of,
    )


def on_target_alone(
    name: str,
    target: LabelledStreams,
    phases: Sequence[Phase],
    context: PlanContext,
    independent_of: frozenset[str],
) -> Fit:
    """Return a fit on the labelled target, from scratch, of as many steps as ``phases``.

    Terms that need more than the target have no part in it. If all are of that kind, it does not
    depend on them at all.
    """
    budget = sum(phase.num_steps for phase in phases)
    return supervised_fit(
        name,
        (target,),
        modalities=context.modalities,
        epochs=math.ceil(budget / target.train.steps_per_epoch),
        recipe=context.recipe,
        independent_of=independent_of | context.terms_without_effect(),
    )
