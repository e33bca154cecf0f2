"""What every trainer turns into a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jlrun.data.streams import Stream
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import Need, Term
from jlrun.objective.weightings import Equal
from jlrun.objective.weightings.gradient_options import GradientRoute
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Objective, Recipe


@dataclass(frozen=True)
class Feed:
    """The streams of one data set's splits, and the tasks they are labelled for.

    Attributes:
        name: its path in the config, such as ``dataset`` or ``datasets.mnist``.
        train, val, test: the splits.
        pool: all training rows without labels, whatever the number of shots.
        tasks: the tasks in use, the main one first.
    """

    name: str
    train: Stream
    val: Stream
    test: Stream
    pool: Stream
    tasks: tuple[TaskSpec, ...]

    def num_test_rows(self) -> dict[str, int]:
        """Return task -> labelled rows of the test split."""
        return self.num_labels("test")

    def num_labels(self, split: Literal["train", "val", "test"]) -> dict[str, int]:
        """Return task -> labelled rows of a split."""
        rows = getattr(self, split).rows
        return {
            spec.name: int(rows.labelled[spec.column].sum())
            if spec.column in rows.labelled
            else len(rows)
            for spec in self.tasks
        }

    def objectives(
        self, heads: Mapping[str, str] | None = None, prefix: str = "", scale: float = 1.0
    ) -> tuple[Objective, ...]:
        """Return an objective per task.

        Args:
            heads: task -> head; a task without an entry has that of `head_name`.
            prefix: of the labels.
            scale: constant factor of the losses.
        """
        return tuple(
            Objective(
                label=f"{prefix}{spec.name}",
                stream=self.name,
                spec=spec,
                head=(heads or {}).get(spec.name, head_name(spec)),
                scale=scale,
            )
            for spec in self.tasks
        )


def head_name(spec: TaskSpec) -> str:
    """Return what a task's own head is called: its name; names of modules have no dots."""
    return spec.name.replace(".", "/")


# Changes a model before any training: weights from elsewhere, adapters.
Begin = Callable[[JointModel], None]


@dataclass(frozen=True)
class Parts:
    """Collaborators of a plan, built from the config.

    Attributes:
        recipe: how every phase optimises.
        modalities: those in use.
        epochs: of the main phase.
        baselines: whether baselines are trained.
        pretrained: whether encoders begin with weights that were learned elsewhere.
        needs: what the terms need of a phase to act in it.
        blocks: heads of a model -> names of its body's parameters, in blocks from the input up.
    """

    recipe: Recipe
    modalities: tuple[str, ...]
    epochs: int
    baselines: bool
    pretrained: bool = False
    needs: frozenset[Need | None] = frozenset()
    blocks: Callable[[Mapping[str, TaskSpec]], Sequence[Sequence[str]]] = lambda heads: ()

    def plain_recipe(self) -> Recipe:
        """Return the recipe with equal weights, and without terms that need more than labels."""

        def make_terms() -> dict[str, Term]:
            made = self.recipe.make_terms()
            return {name: t for name, t in made.items() if getattr(t, "needs", None) is None}

        return replace(
            self.recipe, make_weighting=Equal, make_terms=make_terms, route=GradientRoute()
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
