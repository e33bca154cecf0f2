"""Build everything a run needs from its settings: data, model, recipe and plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from jlrun.data.file_checks import check_files
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.specs import Spec
from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel
from jlrun.models.warm_start import PretrainedInit
from jlrun.runs.auto_dropout import AUTO, auto_dropout
from jlrun.runs.balance_notes import notes_on_balance
from jlrun.runs.building import (
    also_carried,
    body_blocks,
    held_out_by_balance,
    make_engine,
    make_model,
    make_recipe,
    other_modalities,
)
from jlrun.runs.datasets import LoadedData, load_data
from jlrun.runs.fingerprints import Fingerprint, fingerprint_of
from jlrun.runs.saved_model import SavedTeachers
from jlrun.runs.settings import RecipeSettings, RunSettings
from jlrun.runs.stream_maker import StreamMaker
from jlrun.runs.target_tasks import check_labels, named_as_target, notes_on_target
from jlrun.seeding import seed_everything
from jlrun.strategies.plan_parts import PlanContext
from jlrun.strategies.plans import PRETRAINING, make_plan
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Fit, Plan, Recipe
from jlrun.training.prepared import prepare_to_train

_PRETRAINING_EPOCHS = 20  # by default, in jlrun's configuration


@dataclass(frozen=True)
class Assembly:
    """Everything that `assemble` builds.

    Attributes:
        settings: of the run.
        engine: where and how to compute.
        data: the data sets, loaded and divided.
        labelled: their streams, for the records.
        plan: what to train and score.
        start: the weights from elsewhere that the main model begins with; None: there are none.
        uses_pool: whether rows are learned from without their labels.
        notes: lines on how data sets were brought together.
    """

    settings: RunSettings
    engine: Engine
    data: LoadedData
    labelled: tuple[LabelledStreams, ...]
    plan: Plan
    start: PretrainedInit | None
    uses_pool: bool
    notes: tuple[str, ...]

    @property
    def reads_again(self) -> bool:
        """Whether some rows are read anew in every epoch, and there are several."""
        if sum(phase.epochs for fit in self.plan.fits for phase in fit.phases) < 2:
            return False
        pools = (each.pool for each in self.labelled if self.uses_pool)
        splits = (split for each in self.labelled for split in (each.train, each.val, each.test))
        return not all(stream.in_memory for stream in (*splits, *pools))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Fingerprint of the rows of each split."""
        return fingerprint_of(self.settings.data.nodes, self.data.splits, self.uses_pool)

    @property
    def specs(self) -> Mapping[str, Spec]:
        """Modality -> what the model takes."""
        return self.data.specs

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks that results are about; in transfer those of the target."""
        return tuple(objective.spec for objective in self.plan.fits[0].scored)

    @property
    def leading(self) -> LabelledStreams:
        """The data set that results are about: the target, or the first."""
        name = self.settings.data.leading
        return next(streams for streams in self.labelled if streams.name == name)

    def new_model(self, fit: Fit) -> JointModel:
        """Return the model of a fit as it is before any training, on the device."""
        seed_everything(self.settings.seed, "model")
        model = make_model(self.settings.model, self.specs, fit.modalities, fit.heads, fit.shares)
        fit.begin(model)
        return prepare_to_train(model, self.engine)


def assemble(settings: RunSettings, known: Mapping[str, Spec] | None = None) -> Assembly:
    """Load the data and build the plan; nothing is written.

    Args:
        settings: of the run.
        known: modality -> spec of a trained model that data sets take over; None: nothing.

    Raises:
        UserError: for whatever is wrong with the data, or with values that only data can show.
    """
    engine, teachers = make_engine(settings.engine), SavedTeachers()
    start = PretrainedInit.of(settings.start)
    others = other_modalities(settings.recipe.terms, teachers)
    learned = {} if start is None else start.specs()
    data = load_data(settings.data, learned if known is None else known, others)
    if known is not None:
        data = data.normalised_as(known, settings.data.leading)
    chosen, on_dropout = _with_dropout(settings, data)
    recipe = make_recipe(chosen, data.modalities, teachers)
    context = _context(settings, data, recipe)
    uses_pool = settings.data.hides_target_labels or bool(context.needs & PRETRAINING)
    if uses_pool:
        check_files(each.pool for each in data.splits.values())
    offered = [each.modalities for each in data.splits.values()]
    carried = {**data.specs, **also_carried(others, offered)}
    streams = StreamMaker(settings.data, engine, data.splits, carried)
    with_views = "views" in context.needs
    in_all_phases = with_views and settings.strategy.pretraining.epochs == 0
    loaded = [streams.labelled(name, with_views=in_all_phases) for name in settings.data.nodes]
    labelled = named_as_target(loaded, data.matching)
    check_labels(settings.data.strategy, labelled)
    unlabelled = partial(streams.unlabelled, with_views=with_views)
    plan = make_plan(settings.strategy, labelled, context, start, unlabelled)
    notes = notes_on_target(settings.data.strategy, plan, labelled, data.matching)
    balanced = (line for each in labelled for line in notes_on_balance(each, data.splits))
    notes = (*on_dropout, *balanced, *notes, *_idle_pretraining(settings, context))
    return Assembly(settings, engine, data, labelled, plan, start, uses_pool, notes)


def _idle_pretraining(settings: RunSettings, context: PlanContext) -> Iterator[str]:
    """Yield a line if the user set epochs of a pretraining that there is not."""
    epochs = settings.strategy.pretraining.epochs
    if not context.needs & PRETRAINING and epochs not in (0, _PRETRAINING_EPOCHS):
        yield (
            f"pretraining.epochs={epochs} has no effect: no term learns from inputs alone, as "
            "terms=[simclr] does; the source of a transfer has pretrain_epochs"
        )


def _with_dropout(settings: RunSettings, data: LoadedData) -> tuple[RecipeSettings, list[str]]:
    """Return the recipe with rates of modality dropout, and lines on what the data decided."""
    if settings.recipe.modality_dropout != AUTO:
        return settings.recipe, []
    rates, line = auto_dropout(data.splits, settings.data.leading, data.modalities)
    return replace(settings.recipe, modality_dropout=rates), [line]


def _context(settings: RunSettings, data: LoadedData, recipe: Recipe) -> PlanContext:
    encoders = (settings.model.encoder(modality) for modality in data.modalities)
    return PlanContext(
        recipe=recipe,
        modalities=data.modalities,
        epochs=settings.strategy.epochs,
        baselines=settings.strategy.baselines,
        pretrained=any(encoder.get("weights") for encoder in encoders),
        needs=frozenset(maker.kind.needs for maker in recipe.terms.values()),
        held_out=held_out_by_balance(settings.recipe.balance),
        blocks=partial(body_blocks, settings.model, data.specs, data.modalities),
    )
