"""Properties every balance has; a new YAML in conf/balance joins by itself."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jlrun.config.build import build
from jlrun.config.slots import SHARING
from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import Interrupted, UserError
from jlrun.models.fusions import Gated
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel, encoder_parameters
from jlrun.models.trunk import Trunk
from jlrun.objective.balance import NoBalance
from jlrun.objective.terms import FeatureL2
from jlrun.objective.weightings import PCGrad, Uncertainty
from jlrun.objective.weightings.base import GradientOptions
from jlrun.tasks import Depth, Multilabel, Regression, TaskSpec
from jlrun.training import fit as fitting
from jlrun.training.averaging import WeightAverage
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.learner import Learner, build_learner
from jlrun.training.parameter_rules import body_and_head
from jlrun.training.plan import Fit
from jlrun.training.step import train_step
from tests.objective.balance.small import (
    ACTING,
    FUSIONS,
    MODALITIES,
    OPTIONS,
    TASKS,
    SmoothEncoder,
    batch,
    begun,
    model,
    one_modality,
    phase,
    state_of,
    step,
    stream,
)
from tests.options import option_node
from tests.toy import CPU, StopAt, makers, never, toy_surroundings
from tests.training.test_resumed_terms import Numbers, assert_same

acting = pytest.mark.parametrize("option", ACTING)
each_fusion = pytest.mark.parametrize("fusion", FUSIONS)
NEEDS_CLASSES = {"ogm_ge", "agm", "pmr"}
NUMBER = TaskSpec("number", Regression(), ())
LABELS = TaskSpec("labels", Multilabel(), ("a", "b", "c"))


def all_finite(learner: Learner) -> bool:
    gradients = [p.grad for p in learner.parameters if p.grad is not None]
    return all(bool(t.isfinite().all()) for t in (*gradients, *state_of(learner).values()))


@acting
@each_fusion
def test_a_step_with_missing_rows_is_finite_and_reaches_every_parameter(
    option: str, fusion: str
) -> None:
    the_phase = phase(option)
    learner = begun(the_phase, model(fusion))
    for number in range(3):
        stats = step(learner, the_phase, batch(), number)
    assert bool(stats.total_loss.isfinite())
    assert all_finite(learner)
    for name, parameter in learner.model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name
    for name, parameter in learner.balance.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


@acting
def test_losses_or_coefficients_are_recorded_for_each_modality(option: str) -> None:
    the_phase = phase(option)
    stats = step(begun(the_phase, model()), the_phase, batch())
    for modality in MODALITIES:
        tags = [tag for tag in stats.readings if tag.startswith(f"balance/{modality}")]
        assert tags
        assert option == "uniform" or f"balance/{modality}" in tags
    assert all(value.shape == () and not value.requires_grad for value in stats.readings.values())


@acting
@each_fusion
@pytest.mark.parametrize("parts", [2, 5])
def test_micro_batches_equal_one_batch(option: str, fusion: str, parts: int) -> None:
    learners, readings = [], []
    for count in (1, parts):
        the_phase = phase(option)
        learner = begun(the_phase, model(fusion))
        for number in range(3):
            stats = step(learner, the_phase, batch(seed=number), number, count)
        learners.append(learner)
        readings.append({**stats.readings, "total": stats.total_loss})
    whole, split = map(state_of, learners)
    for name, tensor in whole.items():
        torch.testing.assert_close(split[name], tensor, equal_nan=True, msg=name)
    for tag, value in readings[0].items():
        torch.testing.assert_close(readings[1][tag], value, equal_nan=True, msg=tag)


@acting
@pytest.mark.parametrize("absent", [(), ("x",), ("y",)])
def test_a_batch_of_one_is_finite(option: str, absent: tuple[str, ...]) -> None:
    the_phase = phase(option)
    learner = begun(the_phase, model())
    present = {m: torch.tensor([m not in absent]) for m in MODALITIES}
    alone = replace(batch(1), present=present, labelled={})
    for number in range(2):
        step(learner, the_phase, alone, number)
    assert all_finite(learner)


@acting
@each_fusion
def test_a_modality_that_no_row_has_leaves_the_others_learning(option: str, fusion: str) -> None:
    the_phase = phase(option)
    learner = begun(the_phase, model(fusion))
    count = batch().size
    without = replace(batch(), present={"y": torch.zeros(count, dtype=torch.bool)})
    for number, given in enumerate((without, batch(), without)):
        step(learner, the_phase, given, number)
        assert all_finite(learner)
    gradients = [p.grad for p in encoder_parameters(learner.model, "x")]
    assert all(g is not None and bool(g.any()) for g in gradients)


@acting
def test_no_labels_at_all_are_finite_and_teach_nothing(option: str) -> None:
    the_phase = phase(option)
    learner = begun(the_phase, model())
    none = torch.zeros(batch().size, dtype=torch.bool)
    unlabelled = replace(batch(), labelled={spec.name: none for spec in TASKS})
    stats = step(learner, the_phase, unlabelled)
    assert float(stats.total_loss) == 0.0
    assert all_finite(learner)
    gradients = [p.grad for p in learner.model.parameters() if p.grad is not None]
    assert not any(bool(g.any()) for g in gradients)


@acting
def test_state_goes_on_after_a_round_trip(option: str) -> None:
    the_phase = phase(option)
    whole, second = begun(the_phase, model()), begun(the_phase, model())
    for number in range(3):
        step(whole, the_phase, batch(seed=number), number)
    second.model.load_state_dict(whole.model.state_dict())
    second.load_state_dict(deepcopy(whole.state_dict()))
    for learner in (whole, second):
        step(learner, the_phase, batch(seed=3), 3)
    expected = state_of(whole)
    for name, tensor in state_of(second).items():
        assert torch.equal(tensor.nan_to_num(), expected[name].nan_to_num()), name


@acting
def test_it_works_beside_terms_a_learned_weighting_and_bf16(option: str) -> None:
    recipe = {"make_weighting": Uncertainty, "terms": makers(lambda: {"f": FeatureL2(0.1)})}
    the_phase = phase(option, recipe=recipe)
    learner = begun(the_phase, model("gated"))
    rough = Engine(CPU, precision="bf16", accumulate=2)
    stats = train_step(learner, the_phase, {"dataset": batch()}, rough, 0)
    assert bool(stats.total_loss.isfinite())
    assert all_finite(learner)
    assert all(p.grad is not None for p in learner.weighting.parameters())


def with_loss_scale(learner: Learner, scale: float) -> Learner:
    """Return the learner with the scaler of fp16, in full precision."""
    scaler = Engine(CPU, precision="fp16").grad_scaler()
    scaler.update(scale)
    return replace(learner, scaler=scaler)


@acting
def test_a_loss_scale_changes_nothing(option: str) -> None:
    states = []
    for scale in (None, 2.0**10):
        the_phase = phase(option)
        learner = begun(the_phase, model("gated"))
        learner = learner if scale is None else with_loss_scale(learner, scale)
        for number in range(2):
            step(learner, the_phase, batch(seed=number), number, parts=2)
        states.append(state_of(learner))
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-4, atol=1e-6, msg=name)


@acting
def test_a_step_whose_gradients_overflow_is_skipped(option: str) -> None:
    the_phase = phase(option)
    large = tuple(replace(o, scale=1e6) for o in the_phase.objectives)
    the_phase = replace(the_phase, objectives=large)
    learner = with_loss_scale(begun(the_phase, model("gated")), 2.0**127)
    before = {n: p.detach().clone() for n, p in learner.model.named_parameters()}
    step(learner, the_phase, batch())
    assert all(torch.equal(p, before[n]) for n, p in learner.model.named_parameters())
    assert all(bool(t.isfinite().all()) for t in learner.balance.state_dict().values())


@acting
@pytest.mark.parametrize("source", ["features", "parameters"])
def test_weightings_of_task_gradients_work_or_are_refused(option: str, source: str) -> None:
    gradient_options = GradientOptions(gradients=source)  # pyright: ignore[reportArgumentType]
    the_phase = phase(
        option, recipe={"make_weighting": PCGrad, "gradient_options": gradient_options}
    )
    if option == "mmpareto":
        with pytest.raises(UserError, match="PCGrad both combine gradients") as found:
            begun(the_phase, model())
        assert len(found.value.problems) == 1
        return
    states = []
    for parts in (1, 3):
        learner = begun(the_phase, model())
        for number in range(2):
            step(learner, the_phase, batch(seed=number), number, parts)
        states.append(state_of(learner))
    assert all_finite(learner)
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, equal_nan=True, msg=name)
    assert all(p.grad is not None for p in learner.balance.parameters())


@acting
@pytest.mark.parametrize("sharing", ["soft", "cross_stitch", "mmoe", "mtan", "task_lora"])
def test_every_way_of_sharing_works(option: str, sharing: str) -> None:
    node = option_node("sharing", sharing)
    torch.manual_seed(0)

    def make_trunk() -> Trunk:
        return Trunk({"x": SmoothEncoder(6), "y": SmoothEncoder(5)}, Gated({"x": 6, "y": 5}))

    body = build(node, SHARING, make_trunk, tuple(spec.name for spec in TASKS))
    heads = {s.name: body.build_head(lambda w, s=s: Linear(w, s.num_outputs)) for s in TASKS}
    the_phase = phase(option)
    learner = begun(the_phase, JointModel(body, heads))
    for number in range(2):
        step(learner, the_phase, batch(seed=number), number, parts=2)
    assert all_finite(learner)
    for modality in MODALITIES:
        parameters = encoder_parameters(learner.model, modality)
        assert parameters
        assert any(p.grad is not None and bool(p.grad.any()) for p in parameters)


@acting
def test_frozen_encoders_stay_as_they_are(option: str) -> None:
    the_phase = replace(phase(option), rules=body_and_head(body_lr=0.0))
    learner = begun(the_phase, model("gated"))
    before = {n: t.clone() for n, t in learner.model.body.state_dict().items()}
    for number in range(2):
        step(learner, the_phase, batch(), number)
    after = learner.model.body.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@acting
def test_one_modality_and_phases_without_tasks_have_no_balance(option: str) -> None:
    assert isinstance(begun(phase(option), one_modality()).balance, NoBalance)
    without = replace(phase(option), objectives=(), selection=())
    assert isinstance(begun(without, model()).balance, NoBalance)


@acting
def test_tasks_of_pixels_are_refused_in_one_line(option: str) -> None:
    dense = (TaskSpec("depth", Depth(), ()),)
    with pytest.raises(UserError, match="'depth' has a target for each pixel") as found:
        begun(phase(option, dense), model(tasks=dense))
    assert [problem.where for problem in found.value.problems] == ["balance"]


def other_tasks(count: int = 12) -> Batch:
    x = batch(count)
    labels = (x.inputs["x"][:, :3] > 0).float()
    targets = {"number": x.inputs["x"].sum(dim=1), "labels": labels, "sign": x.targets["sign"]}
    return replace(x, targets=targets, labelled={})


@acting
def test_numbers_alone_work_or_are_refused_in_one_line(option: str) -> None:
    the_phase = phase(option, (NUMBER,))
    if option in NEEDS_CLASSES:
        with pytest.raises(UserError, match="class"):
            begun(the_phase, model(tasks=(NUMBER,)))
        return
    learner = begun(the_phase, model(tasks=(NUMBER,)))
    step(learner, the_phase, other_tasks())
    assert all_finite(learner)


@acting
def test_kinds_of_tasks_mix(option: str) -> None:
    tasks = (TASKS[0], NUMBER, LABELS)
    the_phase = phase(option, tasks)
    learner = begun(the_phase, model("late", tasks))
    for number in range(3):
        step(learner, the_phase, other_tasks(), number)
    assert all_finite(learner)


def test_none_is_a_step_as_it_was() -> None:
    states = []
    for option in ("none", None):
        the_phase = phase("none")
        if option is None:
            recipe = replace(the_phase.recipe, make_balance=NoBalance)
            the_phase = replace(the_phase, recipe=recipe)
        learner = begun(the_phase, model())
        stats = step(learner, the_phase, batch())
        assert stats.readings == {}
        states.append(state_of(learner))
    assert_same(*states)


# --- resume -------------------------------------------------------------------------------------


@pytest.fixture
def learners(monkeypatch: pytest.MonkeyPatch) -> list[Learner]:
    made: list[Learner] = []

    def keep(*arguments: Any) -> Learner:
        made.append(build_learner(*arguments))
        return made[-1]

    monkeypatch.setattr(fitting, "build_learner", keep)
    return made


def fit_of(option: str) -> Fit:
    changes = {"super_epochs": 1} if option == "gradient_blend" else {}
    recipe = {"make_average": lambda: WeightAverage(0.9)}
    the_phase = phase(option, recipe=recipe, epochs=3, **changes)
    heads = {spec.name: spec for spec in TASKS}
    return Fit("main", MODALITIES, heads, (the_phase,), the_phase.objectives)


def train(option: str, path: Path, stops: tuple[int, ...]) -> tuple[dict[str, Any], Numbers]:
    fit, recorder = fit_of(option), Numbers()
    for before, stop in pairwise((0, *stops)):
        around = toy_surroundings(StopAt(stop - before), recorder=recorder)
        with pytest.raises(Interrupted):
            FitRun(fit, model(dropout=0.2), FitFolder(path, 1e9), around).run({}, {})
    around = toy_surroundings(never, recorder=recorder)
    run = FitRun(fit, model(dropout=0.2), FitFolder(path, 1e9), around)
    result = asdict(run.run({"dataset": stream(seed=1)}, {"dataset": stream(seed=3)}))
    del result["seconds"]
    return result, recorder


@pytest.mark.parametrize("option", OPTIONS)
def test_a_resumed_run_is_the_uninterrupted_one(
    option: str, tmp_path: Path, learners: list[Learner]
) -> None:
    whole, numbers = train(option, tmp_path / "whole", ())
    first = learners[-1].state_dict()
    parts, again = train(option, tmp_path / "parts", (1, 6))
    assert_same(whole, parts, "result")
    assert_same(numbers.values, again.values, "values")
    assert_same(first, learners[-1].state_dict(), "learner")
    assert option == "none" or any("balance/x" in tag for _, _, tag in numbers.values)


@pytest.mark.parametrize("option", ["agm", "gradient_blend", "pmr", "uniform"])
def test_state_that_is_not_restored_is_noticed(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above, checked: without what it remembered, a run goes another way."""
    _, whole = train(option, tmp_path / "whole", ())
    restore = nn.Module.load_state_dict

    def forgetful(self: nn.Module, state: Mapping[str, Tensor], *rest: Any) -> Any:
        known = {"usual", "ratio", "weights"} | {n for n in state if n.startswith("heads.heads.")}
        if known & set(state) and type(self).__module__.startswith("jlrun.objective.balance"):
            return None
        return restore(self, state, *rest)

    monkeypatch.setattr(nn.Module, "load_state_dict", forgetful)
    _, parts = train(option, tmp_path / "parts", (6,))
    with pytest.raises(AssertionError):
        assert_same(whole.values, parts.values)
