"""What each trainer plans: phases, heads, budgets, baselines, gains."""

import math
from dataclasses import replace

import pytest

from jlrun.data.sampling import All, Proportional, RoundRobin, Sampling, Uniform
from jlrun.phase import SplitScores
from jlrun.tasks import Binary, Depth, Multiclass, Regression, Segmentation, TaskSpec
from jlrun.trainers import multimodal, multitask, transfer
from jlrun.trainers.gain import mean_primary, relative_gain
from jlrun.trainers.parts import Feed, Parts
from tests.toy import TASKS, toy_recipe, toy_rows, toy_stream

DIGIT = TaskSpec("digit", Multiclass(), ("0", "1"))


def feed(name: str, count: int = 40, tasks: tuple[TaskSpec, ...] = TASKS) -> Feed:
    stream = toy_stream(name, toy_rows(count))
    return Feed(name, stream, stream, stream, tasks)


def parts(baselines: bool = True, modalities: tuple[str, ...] = ("x",)) -> Parts:
    return Parts(recipe=toy_recipe(), modalities=modalities, epochs=10, baselines=baselines)


FINETUNE = transfer.Finetune(pretrain_epochs=3, body_lr=0.5, head_lr=2.0)


def test_finetune_pretrains_on_the_source_then_tunes_on_the_target() -> None:
    plan = transfer.plan_finetune(feed("source"), feed("target", 16), FINETUNE, parts())
    pretrain, finetune = plan.fits[0].phases
    assert (list(pretrain.train), pretrain.epochs) == (["source"], 3)
    assert (list(finetune.train), finetune.epochs) == (["target"], 10)
    assert {rule.group: rule.lr for rule in finetune.rules} == {"body": 0.5, "head": 2.0}
    assert [o.label for o in pretrain.objectives] == ["source.sign", "source.largest"]


def test_scratch_does_as_many_steps_as_both_phases() -> None:
    plan = transfer.plan_finetune(feed("source"), feed("target", 16), FINETUNE, parts())
    main, scratch = plan.fits
    budget = sum(phase.num_steps for phase in main.phases)
    assert scratch.phases[0].num_steps >= budget
    assert scratch.phases[0].epochs == math.ceil(budget / 2)


def test_a_task_of_the_same_name_and_classes_keeps_its_head_and_another_gets_a_new_one() -> None:
    source = feed("source", tasks=(DIGIT, TaskSpec("label", Multiclass(), ("cat", "dog"))))
    target = feed("target", tasks=(DIGIT, TaskSpec("label", Multiclass(), ("car", "ship"))))
    assert transfer.source_heads(source, target) == {"digit": "digit", "label": "source_label"}
    plan = transfer.plan_finetune(source, target, FINETUNE, parts())
    assert set(plan.fits[0].heads) == {"digit", "label", "source_label"}
    assert [o.label for o in plan.reused[0].scored] == ["digit"]


def test_joint_weighs_the_target_by_lambda_and_selects_on_it() -> None:
    plan = transfer.plan_joint(feed("source"), feed("target", 16), 0.3, parts())
    (phase,) = plan.fits[0].phases
    assert [o.scale for o in phase.objectives] == [1.0, 1.0, 0.3, 0.3]
    assert {o.stream for o in phase.selection} == {"target"}
    assert phase.steps_per_epoch == 5  # of the longer stream


def test_multitask_has_one_equal_fit_per_task() -> None:
    plan = multitask.plan((feed("dataset"),), parts())
    assert [fit.name for fit in plan.fits] == ["main", "single_task/sign", "single_task/largest"]
    assert len({fit.phases[0].num_steps for fit in plan.fits}) == 1


def test_a_single_task_has_nothing_to_be_compared_with() -> None:
    plan = multitask.plan((feed("dataset", tasks=TASKS[:1]),), parts())
    assert len(plan.fits) == 1
    assert plan.compare({"main": SplitScores({}, {})}).gain is None


def test_multimodal_has_one_fit_per_modality_and_their_ensemble() -> None:
    plan = multimodal.plan(feed("dataset"), parts(modalities=("image", "audio")))
    assert [fit.name for fit in plan.fits] == ["main", "image", "audio"]
    assert [fit.modalities for fit in plan.fits] == [("image", "audio"), ("image",), ("audio",)]
    assert plan.reused[0].members == (("image", "best"), ("audio", "best"))


def test_the_best_single_modality_is_chosen_on_validation_not_on_test() -> None:
    data = feed("dataset", tasks=(DIGIT,))
    plan = multimodal.plan(data, parts(modalities=("image", "audio")))

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
        multitask.plan((feed("dataset"),), parts(baselines=False)),
        multimodal.plan(feed("dataset"), replace(parts(False), modalities=("a", "b"))),
        transfer.plan_joint(feed("source"), feed("target"), 1.0, parts(baselines=False)),
    ):
        assert len(plan.fits) == 1
        assert plan.reused == ()


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


def several() -> tuple[Feed, Feed]:
    """40 and 16 rows in batches of 8: 5 and 2 batches; both have a column ``sign``."""
    left = tuple(replace(s, name=f"left.{s.name}", target=s.name) for s in TASKS)
    right = (replace(TASKS[0], name="right", target="sign"),)
    return feed("datasets.left", 40, left), feed("datasets.right", 16, right)


def test_several_data_sets_have_a_stream_each_and_labels_of_their_own() -> None:
    main = multitask.plan(several(), parts()).fits[0]
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
    plan = multitask.plan(several(), parts(), sampling)
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
    plan = multitask.plan(several(), parts())
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
