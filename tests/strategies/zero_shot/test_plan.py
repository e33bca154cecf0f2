"""What a zero-shot run trains, scores and tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from jlrun.data.batch import Batch
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.strata import class_column
from jlrun.errors import UserError
from jlrun.evaluation.scores import Predict, Prediction
from jlrun.models.class_vectors import ClassVectors
from jlrun.models.fusions import Single
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView
from jlrun.strategies.plan_context import PlanContext
from jlrun.strategies.pretraining import SELF_SUPERVISED, with_pretraining
from jlrun.strategies.zero_shot import (
    CLIP,
    ESZSL,
    ClassSplit,
    ClosedForm,
    DeViSE,
    Method,
    SolveEszsl,
)
from jlrun.strategies.zero_shot.plan import ZeroShot, plan_zero_shot
from jlrun.tasks import Binary, Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.plan import Plan
from tests.toy import TASKS, ToyEncoder, hard_model, toy_recipe, toy_rows, toy_stream

CLASSES = ("0", "1", "2", "3")
SPLIT = ClassSplit(CLASSES, seen=(0, 1, 2), unseen=(3,))
VECTORS = ClassVectors(torch.tensor([[1.0, 0], [0, 1], [0, 0], [1, 1]]), ("x", "y"))
LARGEST = TASKS[1]


def feed(tasks: tuple[TaskSpec, ...] = (LARGEST,)) -> LabelledStreams:
    train, val, test = (toy_stream("target", toy_rows(120, seed)) for seed in range(3))
    kept = [s.take((s.rows.targets["largest"] != 3).nonzero().flatten()) for s in (train, val)]
    return LabelledStreams("target", *kept, test, kept[0], tasks)


def make(
    calibration: int = 1,
    method: Method | None = None,
    target: LabelledStreams | None = None,
    split: ClassSplit = SPLIT,
) -> Plan:
    zero_shot = ZeroShot(split, method or CLIP(), VECTORS, calibration)
    context = PlanContext(recipe=toy_recipe(), modalities=("x",), epochs=2, baselines=True)
    return plan_zero_shot(target or feed(), zero_shot, context)


def classes_of(stream: Any) -> set[int]:
    return set(class_column(stream.rows, "largest").tolist())


def test_no_phase_is_fed_an_unseen_class() -> None:
    main, *calibrating = make(calibration=2).fits
    assert [fit.name for fit in calibrating] == ["calibration/1", "calibration/2"]
    for fit in (main, *calibrating):
        (phase,) = fit.phases
        seen = {0, 1, 2} if fit is main else set(phase.objectives[0].spec.task.split.seen)  # pyright: ignore
        assert classes_of(phase.train["target"]) == classes_of(phase.val["target"]) == seen
    assert len(calibrating[0].phases[0].objectives[0].spec.task.split.seen) == 2  # pyright: ignore


def test_the_test_split_is_for_the_main_model_alone() -> None:
    target = feed()
    plan = make(target=target)
    assert plan.test["target"] is target.test
    (scored,) = plan.fits[1].scored
    assert plan.test[scored.stream] is plan.val[scored.stream] is target.val


def test_chance_stands_beside_the_scores() -> None:
    comparison = make().compare({})
    assert comparison.baselines["chance"]["largest"]["harmonic_mean"] == 0.25
    assert comparison.gain is None


def test_eszsl_is_solved_for_in_every_fit() -> None:
    for fit in make(method=ESZSL()).fits:
        term = fit.phases[0].recipe.terms["eszsl"].make()
        assert isinstance(term, SolveEszsl)
        assert term.split.seen == fit.phases[0].objectives[0].spec.task.split.seen  # pyright: ignore
    assert "eszsl" not in make().fits[0].phases[0].recipe.terms


def biased(scale: float, against: Sequence[int]) -> Predict:
    """Return scores that find the class, but for too little of those in ``against``."""

    def predict(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
        logits = batch.inputs["x"].clone()
        logits[:, list(against)] -= 2.0
        return [Prediction(logits.softmax(dim=1), scale * logits) for _ in objectives]

    return predict


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_bias_is_chosen_without_unseen_classes_and_in_the_unit_of_the_scores(
    scale: float,
) -> None:
    plan = make()
    pseudo = plan.fits[1].scored[0].spec.task.split.unseen  # pyright: ignore
    models = {"main": biased(scale, [3]), "calibration/1": biased(1.0, pseudo)}
    found = plan.report(models.__getitem__)["zero_shot"]
    assert isinstance(found, dict)
    # A bias of 2 would undo what was done; all rows are right then.
    assert found["calibrated"]["bias"] == pytest.approx(2 * scale, rel=0.35)
    assert found["harmonic_mean"] < 0.5
    assert found["calibrated"]["harmonic_mean"] > 0.85
    assert found["zsl_accuracy"] == 1.0
    assert found["unseen_classes"] == ["3"]
    assert found["attributes_without_contrast"] == []


def test_without_calibration_there_is_no_bias() -> None:
    plan = make(calibration=0)
    assert [fit.name for fit in plan.fits] == ["main"]
    found = plan.report(lambda name: biased(1.0, [3]))["zero_shot"]
    assert isinstance(found, dict)
    assert found["calibrated"] is None


def test_weights_from_elsewhere_leave_what_describes_the_classes() -> None:
    head = ClosedForm(
        6, 4, *CLASSES, attributes=dict(zip(CLASSES, VECTORS.values.tolist(), strict=True))
    )
    model = hard_model({"x": ToyEncoder()}, Single({"x": 6}), {"largest": head})
    before = head.class_vectors.clone()

    def start(model: JointModel) -> None:
        for tensor in model.state_dict().values():
            tensor.fill_(7)

    zero_shot = ZeroShot(SPLIT, CLIP(), VECTORS, 1)
    context = PlanContext(recipe=toy_recipe(), modalities=("x",), epochs=2, baselines=True)
    for fit in plan_zero_shot(feed(), zero_shot, context, start).fits:
        fit.begin(model)
        assert torch.equal(head.class_vectors, before)
        assert (head.classifier.weight == 7).all()
        assert fit.phases[0].learned


def test_of_two_seen_classes_none_is_spared() -> None:
    target = feed()
    rows = (target.train.rows.targets["largest"] < 2).nonzero().flatten()
    target = replace(target, train=target.train.take(rows))
    plan = make(2, target=target, split=ClassSplit(CLASSES, seen=(0, 1), unseen=(2, 3)))
    assert [fit.name for fit in plan.fits] == ["main"]


@pytest.mark.parametrize(
    ("tasks", "method", "message"),
    [
        (TASKS, CLIP(), r"tasks: .*one multiclass task, found sign \(binary\), largest"),
        (TASKS[:1], CLIP(), r"tasks: .*found sign \(binary\)"),
        (
            (TaskSpec("largest", Multiclass(0.1), CLASSES),),
            DeViSE(),
            r"target\.tasks\.largest\.label_smoothing: DeViSE ranks",
        ),
    ],
)
def test_unfit_tasks_are_told(tasks: tuple[TaskSpec, ...], method: Method, message: str) -> None:
    assert isinstance(TASKS[0].task, Binary)
    with pytest.raises(UserError, match=message):
        make(method=method, target=feed(tasks))


def test_a_self_supervised_phase_goes_before_calibrating_models_too() -> None:
    plan, stream = make(method=ESZSL()), feed().pool
    phased = with_pretraining(plan, (feed(),), {"target": stream}, 2, toy_recipe())
    for fit in phased.fits:
        assert [phase.name for phase in fit.phases] == [SELF_SUPERVISED, "train"]
        assert fit.phases[1].learned


def test_the_closed_form_rests_in_a_phase_without_its_head() -> None:
    term = make(method=ESZSL()).fits[0].phases[0].recipe.terms["eszsl"].make()
    model = hard_model({"x": ToyEncoder()}, Single({"x": 6}), {})
    term.begin_phase(PhaseStart(model, {}, {}, {"target": feed().pool}, 4))
    assert term(StepView(model, {}, {}, 0.0)).item() == 0
    term.before_evaluation(model, {})
