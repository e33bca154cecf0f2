"""The phase of self-supervised terms before a plan: what it learns from, and what follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.augmentation.views import Views
from jlrun.data.batch import Batch
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.evaluation.retrieval.ranks import RECALL
from jlrun.evaluation.selectors import ByRepresentation
from jlrun.models import checkpoints
from jlrun.objective.terms import Term
from jlrun.objective.terms.cross_modal import CLIP
from jlrun.objective.terms.self_supervised import SimCLR
from jlrun.objective.weightings import PCGrad
from jlrun.strategies import multimodal, multitask, transfer
from jlrun.strategies.plan_parts import PlanContext
from jlrun.strategies.pretraining import (
    SELF_SUPERVISED,
    between_modalities,
    only_pretraining,
    with_pretraining,
)
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder, FitResult
from jlrun.training.learner import build_learner
from jlrun.training.plan import Comparison, Plan, Recipe
from tests.toy import (
    CPU,
    SPEC,
    TASKS,
    toy_model,
    toy_recipe,
    toy_rows,
    toy_stream,
    toy_surroundings,
)


def feed(name: str, seed: int = 0) -> LabelledStreams:
    train, val, test = (toy_stream(name, toy_rows(24, seed + i)) for i in range(3))
    return LabelledStreams(name, train, val, test, train, TASKS)


def with_views(name: str, seed: int = 0, labelled: bool = False) -> Stream:
    return Stream(
        name,
        toy_rows(24, seed),
        specs={"x": SPEC},
        batch_size=8,
        seed=0,
        device=CPU,
        memory_budget=10**6,
        views=Views(),
        labelled=labelled,
    )


def simclr() -> Mapping[str, Term]:
    return {"simclr": SimCLR(hidden=8, out_features=4)}


def recipe() -> Recipe:
    return replace(toy_recipe(PCGrad, terms=simclr), patience=1)


def plan_of(epochs: int = 2, name: str = "dataset") -> Plan:
    context = PlanContext(recipe(), ("x",), 2, baselines=True, needs=frozenset({"views"}))
    plan = multitask.plan((feed(name),), context)
    return with_pretraining(plan, (feed(name),), {name: with_views(name)}, epochs, recipe())


def run(plan: Plan, path: Path, number: int = 0) -> FitResult:
    around = toy_surroundings()
    return FitRun(plan.fits[number], toy_model(), FitFolder(path, 0.0), around).run(
        plan.val, plan.test
    )


def test_it_comes_before_the_main_fit_alone() -> None:
    plan = plan_of()
    main, *others = plan.fits
    assert [phase.name for phase in main.phases] == [SELF_SUPERVISED, "train"]
    assert [phase.learned for phase in main.phases] == [False, True]
    assert others
    assert all(phase.name == "train" and not phase.learned for f in others for phase in f.phases)
    (before, _) = main.phases
    assert (before.objectives, before.selection, dict(before.val)) == ((), (), {})
    assert before.recipe.patience is None, "there is no score to wait for"
    assert before.offers == {"views"}


def test_the_terms_act_there_and_nowhere_else() -> None:
    before, after = plan_of().fits[0].phases
    acting = [list(build_learner(toy_model(), p, Engine(CPU)).terms) for p in (before, after)]
    assert acting == [["simclr"], []]


def test_all_phases_of_transfer_follow_it() -> None:
    context = PlanContext(recipe(), ("x",), 2, baselines=False)
    domains = transfer.Domains((feed("source"),), feed("target", 10))
    from jlrun.strategies.finetuning import LPFT

    plan = transfer.plan_finetune(domains, LPFT(), context, pretrain_epochs=1)
    chosen = {"target": with_views("target")}
    phases = with_pretraining(plan, (feed("target"),), chosen, 1, recipe()).fits[0].phases
    assert [p.name for p in phases] == [SELF_SUPERVISED, "pretrain", "probe", "finetune"]
    assert [p.learned for p in phases] == [False, True, True, True]


def test_it_trains_the_body_and_leaves_the_heads(tmp_path: Path) -> None:
    plan = plan_of()
    result = run(plan, tmp_path)
    new, kept = toy_model().state_dict(), checkpoints.load_tensors(tmp_path / SELF_SUPERVISED)
    changed = {name for name, tensor in kept.items() if not torch.equal(tensor, new[name])}
    assert {name.split(".")[0] for name in changed} == {"body"}
    assert result.steps == 2 * 3 + 2 * 3
    assert result.selected["phase"] == "train"


def test_its_last_weights_are_carried_over(tmp_path: Path) -> None:
    plan = plan_of(epochs=3)
    run(plan, tmp_path)
    saved = checkpoints.load_state(tmp_path / SELF_SUPERVISED)["selected"]
    assert (saved["epoch"], saved["score"], saved["criterion"]) == (3, 3.0, "epoch")


def test_labels_are_not_in_its_batches_and_change_nothing(tmp_path: Path) -> None:
    """The body after it is the same whatever the labels; they only tell what features are worth."""
    seen: list[Batch] = list(plan_of().fits[0].phases[0].train["dataset"].batches(0, 3))
    assert all(not batch.targets and len(batch.views) == 2 for batch in seen)
    kept = []
    for turned in (False, True):
        plan, rows = plan_of(), toy_rows(24)
        if turned:
            rows.targets["sign"].copy_(1 - rows.targets["sign"])  # pyright: ignore
        phase = replace(
            plan.fits[0].phases[0],
            selector=ByRepresentation((replace(feed("dataset"), train=toy_stream(rows=rows)),)),
        )
        fit = replace(plan.fits[0], phases=(phase, plan.fits[0].phases[1]))
        run(replace(plan, fits=(fit,)), tmp_path / str(turned))
        kept.append(checkpoints.load_tensors(tmp_path / str(turned) / SELF_SUPERVISED))
    assert all(torch.equal(tensor, kept[1][name]) for name, tensor in kept[0].items())


@pytest.mark.parametrize("number", [1, 2])
def test_baselines_are_what_they_are_without_it(number: int, tmp_path: Path) -> None:
    plan = plan_of()
    context = PlanContext(recipe(), ("x",), 2, baselines=True, needs=frozenset({"views"}))
    alone = multitask.plan((feed("dataset"),), context)
    one = run(plan, tmp_path / "with", number)
    two = run(alone, tmp_path / "without", number)
    assert one.test == two.test


def test_rows_keep_all_modalities_while_nothing_is_supervised() -> None:
    recipe = replace(toy_recipe(terms=simclr), modality_dropout=ModalityDropout({"x": 0.5}))
    data = feed("dataset")
    plan = multitask.plan((data,), PlanContext(recipe, ("x",), epochs=1, baselines=False))
    streams = {"dataset": with_views("dataset")}
    before, after = with_pretraining(plan, (data,), streams, 1, recipe).fits[0].phases
    assert not before.recipe.modality_dropout.acts
    assert after.recipe.modality_dropout.acts


def across_plan(
    baselines: bool = True, epochs: int = 2
) -> tuple[Plan, tuple[LabelledStreams, ...]]:
    """Return a multimodal plan, of two modalities and one at a time, with a phase before it."""

    def terms() -> Mapping[str, Term]:
        return {"clip": CLIP(out_features=4)}

    needs = frozenset({"several modalities"})
    own = toy_recipe(terms=terms)
    context = PlanContext(own, ("x", "y"), 2, baselines, needs=needs)
    data = feed("dataset")
    plan = multimodal.plan(data, context)
    if epochs:
        plan = with_pretraining(plan, (data,), {"dataset": data.train}, epochs, own)
    return plan, (data,)


def test_terms_between_modalities_act_in_the_phase_before() -> None:
    plan, _ = across_plan()
    main, *others = plan.fits
    assert [phase.offers for phase in main.phases] == [
        {"several modalities"},
        {"learned weights"},
    ]
    assert [fit.modalities for fit in others] == [("x",), ("y",)]
    assert all(not phase.offers for fit in others for phase in fit.phases)
    assert main.phases[0].selector.criterion == RECALL


def test_beside_the_tasks_they_act_wherever_there_are_several_modalities() -> None:
    main, *others = between_modalities(across_plan(epochs=0)[0]).fits
    assert [phase.offers for phase in main.phases] == [{"several modalities"}]
    assert all(not phase.offers for fit in others for phase in fit.phases)


def test_single_modalities_do_not_depend_on_terms_between_them() -> None:
    plan, _ = across_plan()
    assert all({"terms", "pretraining"} <= (fit.independent_of or set()) for fit in plan.fits[1:])
    mixed = PlanContext(
        recipe(), ("x", "y"), 2, True, needs=frozenset({"several modalities", None})
    )
    assert not mixed.terms_between_modalities()


def test_the_phase_can_be_all_there_is() -> None:
    plan = only_pretraining(across_plan()[0])
    (main,) = plan.fits
    assert [phase.name for phase in main.phases] == [SELF_SUPERVISED]
    assert (main.scored, plan.ensembles) == ((), ())
    assert plan.compare({}) == Comparison({}, None)
