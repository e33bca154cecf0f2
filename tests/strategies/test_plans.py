"""What each trainer plans: phases, heads, budgets, baselines, gains."""

import math
from dataclasses import replace

import pytest

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.sampling import All, Proportional, RoundRobin, Sampling, Uniform
from jlrun.errors import UserError
from jlrun.evaluation.scores import SplitScores
from jlrun.evaluation.validators import InformationMaximization
from jlrun.strategies import multimodal, multitask, transfer
from jlrun.strategies.finetuning import LPFT, Full, Gradual, Surgical
from jlrun.strategies.gain import mean_primary, relative_gain
from jlrun.strategies.plan_context import PlanContext
from jlrun.tasks import Binary, Depth, Multiclass, Regression, Segmentation, TaskSpec
from jlrun.training.parameter_rules import ParameterRule
from tests.toy import TASKS, toy_recipe, toy_rows, toy_stream

DIGIT = TaskSpec("digit", Multiclass(), ("0", "1"))


def feed(name: str, count: int = 40, tasks: tuple[TaskSpec, ...] = TASKS) -> LabelledStreams:
    stream = toy_stream(name, toy_rows(count))
    return LabelledStreams(name, stream, stream, stream, stream, tasks)


def domains(
    *sources: LabelledStreams, target: LabelledStreams, **weights: float
) -> transfer.Domains:
    return transfer.Domains(sources, target, weights)


def context(baselines: bool = True, modalities: tuple[str, ...] = ("x",)) -> PlanContext:
    return PlanContext(recipe=toy_recipe(), modalities=modalities, epochs=10, baselines=baselines)


FULL = Full(body_lr=0.5, head_lr=2.0)


def test_finetune_pretrains_on_the_source_then_tunes_on_the_target() -> None:
    between = domains(feed("source"), target=feed("target", 16))
    plan = transfer.plan_finetune(between, FULL, context(), pretrain_epochs=3)
    pretrain, finetune = plan.fits[0].phases
    assert (list(pretrain.train), pretrain.epochs) == (["source"], 3)
    assert (list(finetune.train), finetune.epochs) == (["target"], 10)
    assert {rule.group: rule.lr for rule in finetune.rules} == {"body": 0.5, "head": 2.0}
    assert [o.label for o in pretrain.objectives] == ["source.sign", "source.largest"]


def test_scratch_does_as_many_steps_as_both_phases() -> None:
    between = domains(feed("source"), target=feed("target", 16))
    plan = transfer.plan_finetune(between, FULL, context(), pretrain_epochs=3)
    main, scratch = plan.fits
    budget = sum(phase.num_steps for phase in main.phases)
    assert scratch.phases[0].num_steps >= budget
    assert scratch.phases[0].epochs == math.ceil(budget / 2)


def test_a_task_of_the_same_name_and_classes_keeps_its_head_and_another_gets_a_new_one() -> None:
    source = feed("source", tasks=(DIGIT, TaskSpec("label", Multiclass(), ("cat", "dog"))))
    target = feed("target", tasks=(DIGIT, TaskSpec("label", Multiclass(), ("car", "ship"))))
    between = domains(source, target=target)
    assert between.heads == {"source": {"digit": "digit", "label": "source_label"}}
    plan = transfer.plan_finetune(between, FULL, context(), pretrain_epochs=3)
    assert set(plan.fits[0].heads) == {"digit", "label", "source_label"}
    assert [o.label for o in plan.ensembles[0].scored] == ["digit"]


def test_joint_weighs_the_target_by_lambda_and_selects_on_it() -> None:
    between = domains(feed("source"), target=feed("target", 16))
    (phase,) = transfer.plan_joint(between, 0.3, context()).fits[0].phases
    assert [o.scale for o in phase.objectives] == [1.0, 1.0, 0.3, 0.3]
    assert [o.ramped for o in phase.objectives] == [False, False, True, True]
    assert {o.stream for o in phase.selection} == {"target"}
    assert phase.steps_per_epoch == 5  # of the longer stream


def test_multitask_has_one_equal_fit_per_task() -> None:
    plan = multitask.plan((feed("dataset"),), context())
    assert [fit.name for fit in plan.fits] == ["main", "single_task/sign", "single_task/largest"]
    assert len({fit.phases[0].num_steps for fit in plan.fits}) == 1


def test_a_single_task_has_nothing_to_be_compared_with() -> None:
    plan = multitask.plan((feed("dataset", tasks=TASKS[:1]),), context())
    assert len(plan.fits) == 1
    assert plan.compare({"main": SplitScores({}, {})}).gain is None


def test_multimodal_has_one_fit_per_modality_and_their_ensemble() -> None:
    plan = multimodal.plan(feed("dataset"), context(modalities=("image", "audio")))
    assert [fit.name for fit in plan.fits] == ["main", "image", "audio"]
    assert [fit.modalities for fit in plan.fits] == [("image", "audio"), ("image",), ("audio",)]
    assert plan.ensembles[0].members == (("image", "best"), ("audio", "best"))


def test_only_the_fused_model_loses_modalities_in_training() -> None:
    recipe = replace(toy_recipe(), modality_dropout=ModalityDropout({"image": 0.5}))
    both = replace(context(modalities=("image", "audio")), recipe=recipe)
    main, *alone = multimodal.plan(feed("dataset"), both).fits
    assert main.phases[0].recipe.modality_dropout.acts
    for fit in alone:
        assert not fit.phases[0].recipe.modality_dropout.acts
        assert fit.independent_of is not None
        assert "modality_dropout" in fit.independent_of


def test_the_best_single_modality_is_chosen_on_validation_not_on_test() -> None:
    data = feed("dataset", tasks=(DIGIT,))
    plan = multimodal.plan(data, context(modalities=("image", "audio")))

    def scores(val: float, test: float) -> SplitScores:
        return SplitScores({"digit": {"accuracy": val}}, {"digit": {"accuracy": test}})

    gain = plan.compare(
        {
            "main": scores(0.9, 0.9),
            "image": scores(0.8, 0.5),
            "audio": scores(0.7, 0.95),
            "ensemble": scores(0.8, 0.8),
        }
    ).gain
    assert gain is not None
    assert gain["against"] == "image"
    assert gain["per_task"] == pytest.approx({"digit": 80.0})


def test_without_baselines_only_the_joint_model_is_trained() -> None:
    for plan in (
        multitask.plan((feed("dataset"),), context(baselines=False)),
        multimodal.plan(feed("dataset"), replace(context(False), modalities=("a", "b"))),
        transfer.plan_joint(
            domains(feed("source"), target=feed("target")), 1.0, context(baselines=False)
        ),
    ):
        assert len(plan.fits) == 1
        assert plan.ensembles == ()


def test_delta_m_is_the_mean_relative_gain_larger_is_better() -> None:
    tasks = (DIGIT, TaskSpec("parity", Binary(), ("0", "1")), TaskSpec("age", Regression(), ()))
    main = {"digit": {"accuracy": 0.9}, "parity": {"accuracy": 0.4}, "age": {"r2": -0.5}}
    base = {"digit": {"accuracy": 0.75}, "parity": {"accuracy": 0.5}, "age": {"r2": -1.0}}
    gain = relative_gain(main, base, tasks, {"digit": 400, "parity": 400})
    assert gain["per_task"] == pytest.approx({"digit": 20.0, "parity": -20.0, "age": 50.0})
    assert gain["delta_m_percent"] == pytest.approx(50 / 3)
    assert gain["negative_transfer"] == ["parity"]
    error = 100 * math.sqrt((0.9 * 0.1 + 0.75 * 0.25) / 400) / 0.75
    assert gain["standard_error"]["digit"] == pytest.approx(error)
    assert "age" not in gain["standard_error"]


def test_scores_that_are_missing_or_not_numbers_are_left_out_of_the_gain() -> None:
    tasks = (DIGIT, TaskSpec("age", Regression(), ()))
    for nothing in ({}, {"r2": float("nan")}, {"r2": None}):
        main, base = {"digit": {"accuracy": 0.9}, "age": {"r2": 0.1}}, {"digit": {"accuracy": 0.8}}
        gain = relative_gain(main, {**base, "age": nothing}, tasks, {"digit": 10, "age": 10})  # pyright: ignore
        assert gain["delta_m_percent"] == pytest.approx(12.5)
        assert mean_primary({**base, "age": nothing}, tasks) == pytest.approx(0.8)  # pyright: ignore


def test_delta_m_averages_over_the_metrics_of_a_task_then_over_tasks() -> None:
    tasks = (TaskSpec("parts", Segmentation(), ("a", "b")), TaskSpec("depth", Depth(), ()))
    base = {
        "parts": {"miou": 0.5, "pixel_accuracy": 0.8},
        "depth": {"abs_err": 0.5, "rel_err": 0.2, "within_1.25": 0.6},
    }
    main = {
        "parts": {"miou": 0.6, "pixel_accuracy": 0.8},
        "depth": {"abs_err": 0.6, "rel_err": 0.18, "within_1.25": 0.9},
    }
    gain = relative_gain(main, base, tasks, {"parts": 4, "depth": 4})
    assert gain["per_metric"]["parts"] == pytest.approx({"miou": 20, "pixel_accuracy": 0})
    assert gain["per_metric"]["depth"] == pytest.approx({"abs_err": -20, "rel_err": 10})
    assert gain["per_task"] == pytest.approx({"parts": 10, "depth": -5})
    assert gain["delta_m_percent"] == pytest.approx(2.5)
    assert gain["negative_transfer"] == ["depth"]
    assert gain["standard_error"] == {}


def several() -> tuple[LabelledStreams, LabelledStreams]:
    """40 and 16 rows in batches of 8: 5 and 2 batches; both have a column ``sign``."""
    left = tuple(replace(s, name=f"left.{s.name}", target=s.name) for s in TASKS)
    right = (replace(TASKS[0], name="right", target="sign"),)
    return feed("datasets.left", 40, left), feed("datasets.right", 16, right)


def test_several_data_sets_have_a_stream_each_and_labels_of_their_own() -> None:
    main = multitask.plan(several(), context()).fits[0]
    (phase,) = main.phases
    assert list(phase.train) == list(phase.val) == ["datasets.left", "datasets.right"]
    assert [(o.label, o.stream, o.spec.column) for o in main.scored] == [
        ("left.sign", "datasets.left", "sign"),
        ("left.largest", "datasets.left", "largest"),
        ("right", "datasets.right", "sign"),
    ]
    assert list(main.heads) == ["left/sign", "left/largest", "right"]


@pytest.mark.parametrize(
    ("sampling", "joint", "left", "right"),
    [(All(), 5, 5, 5), (RoundRobin(), 10, 5, 5), (Proportional(), 7, 5, 2), (Uniform(), 7, 4, 3)],
)
def test_a_baseline_takes_as_many_batches_of_its_data_set_as_the_joint_model(
    sampling: Sampling, joint: int, left: int, right: int
) -> None:
    plan = multitask.plan(several(), context(), sampling)
    steps = {fit.name: fit.phases[0].steps_per_epoch for fit in plan.fits}
    assert steps == {
        "main": joint,
        "single_task/left.sign": left,
        "single_task/left.largest": left,
        "single_task/right": right,
    }
    assert {fit.phases[0].epochs for fit in plan.fits} == {10}
    assert [list(fit.phases[0].train) for fit in plan.fits[1:]] == [
        ["datasets.left"],
        ["datasets.left"],
        ["datasets.right"],
    ]


def test_the_gain_over_several_data_sets_counts_the_rows_of_each() -> None:
    plan = multitask.plan(several(), context())
    scores = {
        fit.name: SplitScores({}, {o.label: {"accuracy": 0.5} for o in fit.scored})
        for fit in plan.fits
    }
    gain = plan.compare(scores).gain
    assert gain is not None
    assert gain["per_task"] == {"left.sign": 0.0, "left.largest": 0.0, "right": 0.0}
    error = {
        task: 100 * math.sqrt(0.5 / rows) / 0.5 for task, rows in (("left.sign", 40), ("right", 16))
    }
    found = gain["standard_error"]
    assert isinstance(found, dict)
    assert {task: found[task] for task in error} == pytest.approx(error)


def test_the_weights_of_a_run_or_file_take_the_place_of_pretraining() -> None:
    begun = []
    plan = transfer.plan_finetune(
        domains(target=feed("target")), FULL, context(), pretrain_epochs=3, start=begun.append
    )
    (phase,) = plan.fits[0].phases
    assert phase.learned
    assert plan.ensembles == ()
    plan.fits[0].begin("model")  # pyright: ignore
    assert begun == ["model"]


def test_what_phases_offer_to_terms() -> None:
    first, second = feed("sources.a"), feed("sources.b")
    adapted = transfer.plan_adapt(domains(first, second, target=feed("target")), ADAPT, context())
    pretrain, adapt = adapted.fits[0].phases
    assert pretrain.offers == {"several sources"}
    assert adapt.offers == {"learned weights", "several sources", "target"}
    source_only = next(fit for fit in adapted.fits if fit.name == "source_only")
    assert source_only.phases[0].offers == {"several sources"} | {"learned weights"}


ADAPT = transfer.Adaptation(
    validator=InformationMaximization(), pretrain_epochs=2, joined=True, oracle=True
)


def test_adaptation_learns_from_sources_and_only_looks_at_the_target() -> None:
    target = feed("target")
    plan = transfer.plan_adapt(domains(feed("source"), target=target), ADAPT, context())
    main, *baselines = plan.fits
    phase = main.phases[-1]
    assert {o.stream for o in phase.objectives} == {"source"}
    assert phase.train["target"] is target.pool
    assert {o.stream for o in phase.selection} == {"source"}
    assert {o.stream for o in phase.observed} == {"target"}
    assert [fit.name for fit in baselines] == ["source_only", "target_supervised"]
    assert all("target" not in phase.train for phase in baselines[0].phases)
    budget = sum(phase.num_steps for phase in main.phases)
    assert all(fit.phases[0].num_steps >= budget for fit in baselines)


def test_adaptation_without_a_common_task_is_refused() -> None:
    other = feed("source", tasks=(TaskSpec("label", Multiclass(), ("cat", "dog")),))
    with pytest.raises(UserError, match="no source has a task"):
        transfer.plan_adapt(domains(other, target=feed("target")), ADAPT, context())


def test_generalisation_never_sees_the_target() -> None:
    sources = (feed("sources.a"), feed("sources.b"))
    plan = transfer.plan_generalize(domains(*sources, target=feed("target")), ADAPT, context())
    for phase in plan.fits[0].phases:
        assert "target" not in {*phase.train, *phase.val}
        assert {o.stream for o in phase.selection} == {"sources.a", "sources.b"}


LEAVING_OUT = replace(ADAPT, leave_one_out=True)


def test_leaving_out_a_source_trains_as_long_without_it_and_scores_its_validation_rows() -> None:
    a, b, c = feed("sources.a", 40), feed("sources.b", 16), feed("sources.c", 24)
    plan = transfer.plan_generalize(domains(a, b, c, target=feed("target")), LEAVING_OUT, context())
    main, *others = plan.fits
    left_out = [fit for fit in others if fit.name.startswith("left_out/")]
    assert [fit.name for fit in left_out] == ["left_out/a", "left_out/b", "left_out/c"]
    without_a = left_out[0]
    for ours, theirs in zip(main.phases, without_a.phases, strict=True):
        assert {*theirs.train, *theirs.val} == {"sources.b", "sources.c"}
        assert {o.stream for o in (*theirs.objectives, *theirs.selection)} == {*theirs.train}
        # 40, 16 and 24 rows in batches of 8: 5 steps in a pass, and 3 without the longest source
        assert theirs.num_steps == 3 * math.ceil(ours.num_steps / 3)
        assert theirs.oracle == ()
    assert {o.stream for o in without_a.scored} == {"left_out/a"}
    assert [o.label for o in without_a.scored] == ["sign", "largest"]
    assert plan.test["left_out/a"] is a.val
    assert all(fit.independent_of is None for fit in left_out)  # nothing shares them


def test_the_mean_score_on_sources_left_out_is_what_sweeps_compare() -> None:
    sources = [feed(f"sources.{name}", tasks=(DIGIT,)) for name in "ab"]
    between = domains(*sources, target=feed("target", tasks=(DIGIT,)))
    plan = transfer.plan_generalize(between, LEAVING_OUT, context())
    found = {"main": 0.9, "source_only": 0.6, "target_supervised": 1.0}
    found |= {"left_out/a": 0.5, "left_out/b": 0.8}
    assert found.keys() == {fit.name for fit in plan.fits}
    scores = {k: SplitScores({}, {"digit": {"accuracy": value}}) for k, value in found.items()}
    comparison = plan.compare(scores)
    assert set(comparison.baselines) == {"source_only", "target_supervised"}
    assert comparison.objective == ("leave_one_domain_out/mean_score", pytest.approx(0.65))
    assert comparison.extra["leave_one_domain_out"] == {
        "a": {"digit": 0.5},
        "b": {"digit": 0.8},
        "mean": pytest.approx(0.65),
    }


def test_sources_that_cannot_be_left_out_are_refused() -> None:
    target, other = feed("target", tasks=(DIGIT,)), TaskSpec("label", Multiclass(), ("cat", "dog"))
    a, b = (feed(f"sources.{name}", tasks=(DIGIT,)) for name in "ab")
    unlike = feed("sources.c", tasks=(other,))

    def refused(match: str, *sources: LabelledStreams, needs: frozenset = frozenset()) -> None:
        with pytest.raises(UserError, match=match):
            transfer.plan_generalize(
                domains(*sources, target=target), LEAVING_OUT, replace(context(), needs=needs)
            )

    refused("at least 2 sources, found 1 source", a)
    refused("at least 3 sources, since a term compares", a, b, needs=frozenset({"several sources"}))
    refused("'a' can't be left out: no other source", a, unlike)
    refused("pretraining.epochs=0", a, b, needs=frozenset({"views"}))
    with pytest.raises(UserError, match="strategy=generalize"):
        transfer.plan_adapt(domains(a, target=target), LEAVING_OUT, context())


def test_the_share_of_the_gap_that_adaptation_closes() -> None:
    digits = (feed("source", tasks=(DIGIT,)), feed("target", tasks=(DIGIT,)))
    plan = transfer.plan_adapt(domains(digits[0], target=digits[1]), ADAPT, context())

    def scores(accuracy: float) -> SplitScores:
        return SplitScores({}, {"digit": {"accuracy": accuracy}})

    found = {"main": 0.9, "source_only": 0.6, "target_supervised": 1.0}
    gain = plan.compare({name: scores(value) for name, value in found.items()}).gain
    assert gain is not None
    assert gain["gap_closed_percent"] == pytest.approx({"digit": 75.0})
    assert gain["per_task"] == pytest.approx({"digit": 50.0})


def test_sources_whose_tasks_mean_the_same_share_a_head_and_have_weights() -> None:
    def cats(*classes: str) -> tuple[TaskSpec, ...]:
        return (TaskSpec("label", Multiclass(), classes),)

    a, b = feed("sources.a", tasks=cats("cat", "dog")), feed("sources.b", tasks=cats("cat", "dog"))
    c, target = feed("sources.c", tasks=cats("car", "ship")), feed("target", tasks=(DIGIT,))
    alike = domains(a, b, target=target, b=2.0)
    assert {heads["label"] for heads in alike.heads.values()} == {"source_label"}
    assert [(o.label, o.scale) for o in alike.on_sources()] == [("a.label", 1.0), ("b.label", 2.0)]
    unlike = domains(a, c, target=target)
    assert [heads["label"] for heads in unlike.heads.values()] == ["a_label", "c_label"]


BLOCKS = [["body.a.weight"], ["body.b.weight", "body.b.bias"], ["body.c.weight"]]
HEAD = "heads.digit.weight"


def rates(rules: tuple[ParameterRule, ...]) -> list[float]:
    """The factors of the first name of each block, and of the head."""
    names = [*(block[0] for block in BLOCKS), HEAD]
    return [next(rule.lr for rule in rules if rule.matches(name)) for name in names]


def test_layer_wise_decay_counts_from_the_head_and_has_a_floor() -> None:
    (stage,) = Full(layer_decay=0.5, least_lr=0.2).stages(3, BLOCKS)
    assert rates(stage.rules) == pytest.approx([0.2, 0.25, 0.5, 1.0])


def test_lp_ft_probes_first() -> None:
    probe, tune = LPFT(probe_share=0.2, body_lr=0.1).stages(10, BLOCKS)
    assert (probe.epochs, tune.epochs) == (2, 8)
    assert rates(probe.rules) == [0, 0, 0, 1]
    assert rates(tune.rules) == pytest.approx([0.1, 0.1, 0.1, 1])
    assert [s.epochs for s in LPFT().stages(1, BLOCKS)] == [1, 1]


def test_gradual_unfreezing_goes_from_the_top_down() -> None:
    stages = Gradual(phases=4).stages(10, BLOCKS)
    assert [rates(s.rules) for s in stages] == [
        [0, 0, 0, 1],
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [1, 1, 1, 1],
    ]
    assert sum(s.epochs for s in stages) == 10
    assert min(s.epochs for s in stages) >= 1
    assert len(Gradual(phases=9).stages(2, BLOCKS)) == 2


def test_surgical_trains_what_the_pattern_names_and_refuses_one_that_names_nothing() -> None:
    (stage,) = Surgical(parameters=r"\.b\.").stages(3, BLOCKS)
    assert rates(stage.rules) == [0, 1, 0, 1]
    with pytest.raises(UserError, match="matches no parameter"):
        Surgical(parameters="layer9").stages(3, BLOCKS)
