"""Looks at a step: exact on quadratic losses, and without a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from jlrun.engine import Engine
from jlrun.objective.weightings import Static
from jlrun.objective.weightings.gramian import cosines_of
from jlrun.training.diagnosis.gradients import by_parameters, shared_parameters
from jlrun.training.diagnosis.measure import Diagnosis, GradientMeasurement, measure_gradients
from jlrun.training.diagnosis.tags import affinity_values, gradient_values
from jlrun.training.forward import StepForward
from jlrun.training.learner import Learner, build_learner
from jlrun.training.parameter_rules import body_and_head
from jlrun.training.plan import Phase
from jlrun.training.step import train_step
from tests.toy import CPU, toy_batch, toy_model, toy_phase, toy_recipe
from tests.training.diagnosis.toys import point_learner, point_phase

CENTRES = {"a": (3.0, 0.0), "b": (0.0, 4.0), "c": (-3.0, 0.0)}
START = (0.0, 1.0)
# g_i = θ − c_i with θ = (0, 1):
GRADIENTS = torch.tensor([[-3.0, 1.0], [0.0, -3.0], [3.0, 1.0]], dtype=torch.float64)
AFFINITY = Diagnosis(every=1, affinity=True)


def seen(
    learner: Learner,
    phase: Phase,
    what: Diagnosis = AFFINITY,
    engine: Engine | None = None,
    **changes: Any,
) -> GradientMeasurement:
    batches = {"dataset": replace(toy_batch(), **changes)}
    found = measure_gradients(learner, phase, batches, engine or Engine(CPU), 0, what)
    assert found is not None
    return found


def at_point(engine: Engine) -> GradientMeasurement:
    phase = point_phase(CENTRES)
    return seen(point_learner(phase, START), phase, engine=engine)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_cosines_norms_and_losses_are_those_of_the_closed_form(accumulate: int) -> None:
    found = at_point(Engine(CPU, accumulate=accumulate))
    torch.testing.assert_close(found.gramian, GRADIENTS @ GRADIENTS.T)
    assert found.losses is not None
    torch.testing.assert_close(found.losses, torch.tensor([5.0, 4.5, 5.0]))
    values = gradient_values(found.tasks, found.gramian, found.active)
    assert values == pytest.approx(
        {
            "gradient/norm/a": 10**0.5,
            "gradient/norm/b": 3.0,
            "gradient/norm/c": 10**0.5,
            "gradient/cosine/a-b": -(10**-0.5),
            "gradient/cosine/a-c": -0.8,
            "gradient/cosine/b-c": -(10**-0.5),
        }
    )


def expected_affinity(rate: float) -> Tensor:
    """Z_{i→j} = 1 − ‖g_j − η g_i‖² / ‖g_j‖², since θ − η g_i − c_j = g_j − η g_i."""
    ahead = GRADIENTS[None, :] - rate * GRADIENTS[:, None]
    return 1 - ahead.square().sum(dim=-1) / GRADIENTS.square().sum(dim=-1)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_affinity_is_that_of_the_closed_form(accumulate: int) -> None:
    found = at_point(Engine(CPU, accumulate=accumulate))
    assert found.affinity is not None
    torch.testing.assert_close(found.affinity, expected_affinity(0.1), rtol=1e-5, atol=1e-6)
    values = affinity_values(found.tasks, found.affinity)
    assert len(values) == 9
    # By hand: a step on a alone moves θ to (0.3, 0.9); c's loss goes from 5 to 5.85.
    assert values["affinity/a/c"] == pytest.approx(1 - 5.85 / 5, rel=1e-4)
    assert values["affinity/a/a"] == pytest.approx(1 - 0.9**2, rel=1e-4)


def test_affinity_takes_the_current_rate_of_each_parameter() -> None:
    phase = replace(point_phase(CENTRES), rules=body_and_head(body_lr=3.0))
    learner = point_learner(phase, START)
    learner.set_lr(0.5)
    found = seen(learner, phase)
    assert found.affinity is not None
    torch.testing.assert_close(found.affinity, expected_affinity(0.15), rtol=1e-5, atol=1e-6)


def test_only_shared_parameters_step_ahead() -> None:
    phase = toy_phase()
    learner = build_learner(toy_model(dropout=0.0), phase, Engine(CPU))
    learner.set_lr(1.0)
    found = seen(learner, phase)
    gradients, rows = found.jacobian, []
    assert gradients is not None
    for gradient in gradients:
        ahead = build_learner(toy_model(dropout=0.0), phase, Engine(CPU))
        shared = shared_parameters(ahead.model)
        vector = torch.nn.utils.parameters_to_vector(shared).detach()
        torch.nn.utils.vector_to_parameters(vector - 0.1 * gradient, shared)
        losses = train_step(ahead, phase, {"dataset": toy_batch()}, Engine(CPU), 0).task_losses
        rows.append(losses.detach())
    assert found.losses is not None
    assert found.affinity is not None
    torch.testing.assert_close(
        found.affinity, 1 - torch.stack(rows).double() / found.losses.double(), rtol=1e-4, atol=1e-6
    )


def test_gradients_of_a_scaled_objective_are_scaled_and_its_loss_is_not() -> None:
    phase = point_phase(CENTRES)
    halved = tuple(replace(o, scale=0.5) for o in phase.objectives)
    phase = replace(phase, objectives=halved)
    found = seen(point_learner(phase, START), phase)
    torch.testing.assert_close(found.gramian, GRADIENTS @ GRADIENTS.T / 4)
    assert found.losses is not None
    assert found.losses.tolist() == [5.0, 4.5, 5.0]
    assert found.affinity is not None
    torch.testing.assert_close(found.affinity, expected_affinity(0.05), rtol=1e-5, atol=1e-6)


def test_features_are_the_point_repeated() -> None:
    # Gradients at the features of B rows are (θ − c) / B each: the Gramian is 1/B of the point's.
    phase = point_phase(CENTRES)
    found = seen(point_learner(phase, START), phase, Diagnosis(every=1, gradients="features"))
    torch.testing.assert_close(found.gramian, GRADIENTS @ GRADIENTS.T / 8)
    assert (found.jacobian, found.affinity) == (None, None)
    assert found.descents(()) == {}


def test_several_streams_have_no_features_in_common() -> None:
    phase = toy_phase()
    first, second = phase.objectives
    phase = replace(phase, objectives=(first, replace(second, stream="other")))
    learner = build_learner(toy_model(), phase, Engine(CPU))
    batches = {"dataset": toy_batch(), "other": toy_batch(6, seed=1)}
    found = measure_gradients(learner, phase, batches, Engine(CPU), 0, Diagnosis(1, "features"))
    assert found is not None
    assert found.jacobian is not None
    assert float(found.gramian[0, 1]) != 0.0


def test_tasks_without_a_label_are_left_out() -> None:
    phase = toy_phase()
    learner = build_learner(toy_model(), phase, Engine(CPU))
    learner.set_lr(1.0)
    found = seen(learner, phase, labelled={"largest": torch.zeros(8).bool()})
    assert found.active.tolist() == [True, False]
    assert list(gradient_values(found.tasks, found.gramian, found.active)) == ["gradient/norm/sign"]
    assert found.affinity is not None
    assert list(affinity_values(found.tasks, found.affinity)) == ["affinity/sign/sign"]
    assert list(found.descents(shared_parameters(learner.model))) == ["sign"]


def test_gradients_are_on_the_device_of_the_parameters() -> None:
    engine = Engine(torch.device("meta"))
    phase = toy_phase()
    learner = build_learner(toy_model().to("meta"), phase, engine)
    batch = toy_batch().to(engine.device)
    step = StepForward.of(learner, phase, engine, {"dataset": batch}, 0.0)
    rows, losses = by_parameters(step, shared_parameters(learner.model))
    assert rows.device == losses.device == engine.device


def test_nothing_is_seen_of_one_task_or_of_a_frozen_body() -> None:
    phase = toy_phase()
    alone = replace(phase, objectives=phase.objectives[:1])
    frozen = replace(phase, rules=body_and_head(body_lr=0.0))
    for nothing in (alone, frozen):
        learner = build_learner(toy_model(), nothing, Engine(CPU))
        batches = {"dataset": toy_batch()}
        assert measure_gradients(learner, nothing, batches, Engine(CPU), 0, AFFINITY) is None


def test_the_update_goes_against_the_task_that_is_outweighed() -> None:
    weighting = {"a": 1.0, "b": 0.0, "c": 0.1}
    phase = point_phase(CENTRES)
    recipe = replace(phase.recipe, make_weighting=lambda tasks: Static(tasks, weighting))
    phase = replace(phase, recipe=recipe)
    learner = point_learner(phase, START)
    found = seen(learner, phase)
    train_step(learner, phase, {"dataset": toy_batch()}, Engine(CPU), 0)
    update = GRADIENTS[0] + 0.1 * GRADIENTS[2]
    expected = GRADIENTS @ update / (GRADIENTS.norm(dim=1) * update.norm())
    descents = found.descents(shared_parameters(learner.model))
    assert list(descents.values()) == pytest.approx(expected.tolist(), rel=1e-5)
    assert [task for task, cosine in descents.items() if cosine < 0] == ["b", "c"]


@pytest.mark.parametrize("source", ["features", "parameters"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_look_leaves_no_trace(source: str, accumulate: int) -> None:
    phase = toy_phase(recipe=toy_recipe())
    learner = build_learner(toy_model(), phase, Engine(CPU))
    learner.set_lr(1.0)
    engine = Engine(CPU, accumulate=accumulate)
    train_step(learner, phase, {"dataset": toy_batch()}, engine, 0)
    torch.manual_seed(7)
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    grads = {name: p.grad.clone() for name, p in learner.model.named_parameters()}  # type: ignore
    randomness = torch.get_rng_state()
    what = replace(AFFINITY, gradients=source)  # pyright: ignore[reportArgumentType]
    first = seen(learner, phase, what, engine)
    assert torch.equal(torch.get_rng_state(), randomness)
    for name, tensor in learner.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    for name, parameter in learner.model.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, grads[name]), name
    again = seen(learner, phase, what, engine)
    assert torch.equal(first.gramian, again.gramian)


def test_cosines_of_vanishing_gradients_are_zero() -> None:
    gramian = torch.tensor([[4.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert cosines_of(gramian).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_looks_are_due_at_the_end_of_each_interval() -> None:
    assert [n for n in range(10) if Diagnosis(every=3).due(n)] == [2, 5, 8]
    assert not any(Diagnosis().due(n) for n in range(10))
