"""The teacher of BYOL, and what is predicted of it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import StepView
from jlrun.objective.terms.self_supervised import BYOL
from jlrun.objective.terms.self_supervised.byol import teacher_momentum
from tests.objective.terms.self_supervised.phase import (
    begun,
    image_model,
    rows_of,
    step_view,
    stream_of,
)

STREAM = stream_of("dataset", rows_of("image", 24))


def byol(model: JointModel, momentum: float = 0.9) -> BYOL:
    return begun(BYOL(momentum=momentum, hidden=8, out_features=5), model, STREAM)


def test_momentum_goes_to_one_along_half_a_cosine() -> None:
    """Section 3.3: 1 − (1 − τ₀) (cos(π k / K) + 1) / 2."""
    assert teacher_momentum(0.99, 0) == pytest.approx(0.99)
    assert teacher_momentum(0.99, 0.5) == pytest.approx(0.995)
    assert teacher_momentum(0.99, 1) == 1
    assert teacher_momentum(0.9, 0.25) == pytest.approx(1 - 0.05 * (1 + math.sqrt(0.5)))


def test_it_is_the_negative_cosine_of_lightly_in_both_directions() -> None:
    """Theirs is −cos, averaged over both directions; the paper's sum of 2 − 2 cos is 4 + 4 × it.

    Here each view is passed alone, which is the same for a model and heads without BatchNorm.
    """
    loss = pytest.importorskip("lightly.loss")
    model = image_model("mlp").double()
    term = byol(model)
    term.projector = nn.Linear(6, 5).double()
    term.predictor = nn.Linear(5, 5).double()
    term.teacher_projector = nn.Linear(6, 5).double()
    batch = step_view(model, STREAM).batches["dataset"]
    views = tuple({"image": v["image"].double()} for v in batch.views)
    batch = Batch(views[0], views=views)
    found = term(StepView(model, {"dataset": batch}, {}, 0.0))

    def predicted(i: int) -> Tensor:
        return term.predictor(term.projector(model.encode(batch.view(i))))

    def target(i: int) -> Tensor:
        return term.teacher_projector(term.teacher.encode(batch.view(i))).detach()

    negative_cosine = loss.NegativeCosineSimilarity()
    both = negative_cosine(predicted(0), target(1)) + negative_cosine(predicted(1), target(0))
    torch.testing.assert_close(found, 4 + 4 * both / 2, rtol=1e-9, atol=1e-9)


def test_a_perfect_prediction_costs_nothing_and_the_opposite_eight() -> None:
    model = image_model("mlp")
    term = byol(model)
    view = step_view(model, STREAM)
    batch = view.batches["dataset"]
    same = Batch(batch.inputs, views=(batch.views[0], batch.views[0]))
    term.predictor = nn.Identity()
    view = StepView(model, {"dataset": same}, {}, 0.0)
    assert term(view).item() == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        for layer in (term.projector[-1].weight, term.projector[-1].bias):  # pyright: ignore
            layer.neg_()
    assert term(view).item() == pytest.approx(8, abs=1e-5)


def test_the_teacher_begins_as_a_copy_without_gradients_or_heads() -> None:
    model = image_model()
    term = byol(model)
    assert term.teacher.body.state_dict().keys() == model.body.state_dict().keys()
    for name, x in model.body.state_dict().items():
        assert torch.equal(term.teacher.body.state_dict()[name], x)
    assert list(term.teacher.heads.parameters()) == []
    trained = {n for n, p in term.named_parameters() if p.requires_grad}
    assert {n.split(".")[0] for n in trained} == {"projector", "predictor"}
    before = copy.deepcopy(model.state_dict())
    term(step_view(model, STREAM)).backward()
    assert all(p.grad is None for p in term.teacher.parameters())
    assert all(p.grad is None for p in term.teacher_projector.parameters())
    parameters = dict(model.named_parameters())
    assert all(torch.equal(parameters[n], before[n]) for n in parameters)


def test_the_teacher_follows_after_each_step_as_written_by_hand() -> None:
    model = image_model().double()
    term = byol(model, momentum=0.8)
    expected = {n: p.detach().clone() for n, p in model.body.named_parameters()}
    expected_projector = [p.detach().clone() for p in term.projector.parameters()]
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        with torch.no_grad():
            for p in (*model.parameters(), *term.projector.parameters()):
                p += 0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
            for b in model.buffers():
                if b.is_floating_point():
                    b += 1
        term.after_step(model, step / 4)
        tau = 1 - 0.2 * (math.cos(math.pi * step / 4) + 1) / 2
        for name, p in model.body.named_parameters():
            expected[name] = tau * expected[name] + (1 - tau) * p.detach()
        expected_projector = [
            tau * old + (1 - tau) * new.detach()
            for old, new in zip(expected_projector, term.projector.parameters(), strict=True)
        ]
    found = dict(term.teacher.body.named_parameters())
    for name, x in expected.items():
        torch.testing.assert_close(found[name].detach(), x, rtol=1e-12, atol=1e-12)
    for p, x in zip(term.teacher_projector.parameters(), expected_projector, strict=True):
        torch.testing.assert_close(p.detach(), x, rtol=1e-12, atol=1e-12)
    buffers = zip(model.body.buffers(), term.teacher.body.buffers(), strict=True)
    assert all(torch.equal(own, copied) for own, copied in buffers)


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_the_ends_of_the_momentum(momentum: float) -> None:
    model = image_model()
    term = byol(model, momentum)
    start = [p.clone() for p in term.teacher.parameters()]
    with torch.no_grad():
        for p in model.parameters():
            p += 1
    term.after_step(model, 0.0)
    expected = list(model.body.parameters()) if momentum == 0 else start
    for p, x in zip(term.teacher.parameters(), expected, strict=True):
        assert torch.equal(p, x)


def test_the_teacher_is_in_the_modes_of_the_model() -> None:
    model = image_model()
    term = byol(model)
    view = step_view(model, STREAM)
    model.train()
    term(view)
    assert all(module.training for module in term.teacher.body.modules())
    encoder = model.body.trunk.encoders["image"]
    encoder.eval()  # as a frozen part
    term(view)
    assert not any(m.training for m in term.teacher.body.trunk.encoders["image"].modules())
    assert term.teacher.body.trunk.fusion.training


def _train(term: BYOL, model: JointModel, steps: range, optimizer: torch.optim.Optimizer) -> None:
    for step in steps:
        batches = {"dataset": next(STREAM.batches(step, step + 1))}
        optimizer.zero_grad()
        torch.manual_seed(step)
        term(StepView(model, batches, {}, step / 6)).backward()
        optimizer.step()
        term.after_step(model, step / 6)


def _learner() -> tuple[JointModel, BYOL, torch.optim.Optimizer]:
    model = image_model()
    term = byol(model)
    trained = [p for p in (*model.body.parameters(), *term.parameters()) if p.requires_grad]
    return model, term, torch.optim.SGD(trained, lr=0.1, momentum=0.9)


def test_resumed_is_uninterrupted() -> None:
    model, term, optimizer = _learner()
    _train(term, model, range(3), optimizer)
    kept = copy.deepcopy((model.state_dict(), term.state_dict(), optimizer.state_dict()))
    _train(term, model, range(3, 6), optimizer)

    again = image_model()
    again.load_state_dict(kept[0])
    resumed = begun(BYOL(momentum=0.9, hidden=8, out_features=5), again, STREAM, seed=7)
    resumed.load_state_dict(kept[1])
    trained = [p for p in (*again.body.parameters(), *resumed.parameters()) if p.requires_grad]
    other = torch.optim.SGD(trained, lr=0.1, momentum=0.9)
    other.load_state_dict(kept[2])
    _train(resumed, again, range(3, 6), other)
    for name, x in {**model.state_dict(), **term.state_dict()}.items():
        assert torch.equal({**again.state_dict(), **resumed.state_dict()}[name], x), name
