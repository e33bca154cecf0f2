"""The ways from losses to gradients: against each other, against autograd, against TorchJD."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms import Confidence, FeatureL2
from jlrun.objective.weightings import (
    DBMTL,
    MGDA,
    Equal,
    GradDrop,
    GradientWeighting,
    GramianWeighting,
    MoCo,
    Static,
    TaskGradients,
    TaskLosses,
    Weighting,
)
from jlrun.objective.weightings.base import GradientOptions
from jlrun.training.forward import StepForward
from jlrun.training.learner import Learner, build_learner
from jlrun.training.passes import num_samples, passes_of
from jlrun.training.plan import Phase
from jlrun.training.step import train_step
from tests.objective.weightings.test_battery import NODES, made
from tests.toy import CPU, TASKS, hard_model, toy_batch, toy_model, toy_phase, toy_recipe

MakeWeighting = Callable[[tuple[str, ...]], Weighting]


class Plain(GramianWeighting):
    """Every weight is 1: the sum, by the way of task gradients."""

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return torch.ones(len(gramian), dtype=gramian.dtype)


class Falling(GramianWeighting):
    """Weights 2 and ½, and a count of the times they were asked for."""

    asked = 0

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        self.asked += 1
        return torch.tensor([2.0, 0.5], dtype=gramian.dtype)


class Two(Static):
    """Weights 2 and ½, known before the step."""

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks, dict(zip(tasks, (2.0, 0.5), strict=True)))


class Asked(Two):
    """The same, with a scalar of its own."""

    asked = 0

    def forward(self, losses: TaskLosses) -> Tensor:
        self.asked += 1
        return super().forward(losses)


class SmoothEncoder(Encoder):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Tanh())
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def smooth_model(dtype: torch.dtype = torch.float64) -> JointModel:
    torch.manual_seed(0)
    heads = {spec.name: Linear(6, spec.num_outputs) for spec in TASKS}
    return hard_model({"x": SmoothEncoder()}, Single({"x": 6}), heads).to(dtype)


def double_batch(count: int = 12) -> Batch:
    batch = toy_batch(count)
    return replace(batch, inputs={"x": batch.inputs["x"].double()})


def phase_of(weighting: MakeWeighting, terms: bool = False, **gradient_options: object) -> Phase:
    made = {"confidence": Confidence(weight=0.3), "size": FeatureL2(weight=0.1)} if terms else {}
    recipe = replace(
        toy_recipe(weighting, lambda: made),
        gradient_options=GradientOptions(**gradient_options),  # pyright: ignore[reportArgumentType]
    )
    return toy_phase(recipe=recipe)


def gradients(
    weighting: MakeWeighting,
    *,
    accumulate: int = 1,
    batch: Batch | None = None,
    terms: bool = False,
    **gradient_options: object,
) -> dict[str, Tensor]:
    """Return the gradients of one step by parameter name."""
    phase, engine = (
        phase_of(weighting, terms, **gradient_options),
        Engine(CPU, accumulate=accumulate),
    )
    learner = build_learner(smooth_model(), phase, engine)
    batches = {"dataset": double_batch() if batch is None else batch}
    samples = num_samples(learner.weighting)
    passes_of(StepForward.of(learner, phase, engine, batches, 0.0, samples), 0).run()
    return {n: p.grad for n, p in learner.model.named_parameters() if p.grad is not None}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("unlabelled", [False, True])
@pytest.mark.parametrize("terms", [False, True])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_losses_with_known_weights_go_back_as_their_sum_does(
    accumulate: int, terms: bool, unlabelled: bool
) -> None:
    engine, batch = Engine(CPU, accumulate=accumulate), double_batch()
    if unlabelled:
        batch = replace(batch, labelled={"sign": torch.zeros(12).bool()})
    found = []
    for weighting in (Two, Asked):
        phase = phase_of(weighting, terms)
        learner = build_learner(smooth_model(), phase, engine)
        stats = train_step(learner, phase, {"dataset": batch}, engine, 0)
        parameters = learner.model.named_parameters()
        found.append(({n: p.grad for n, p in parameters if p.grad is not None}, stats))
        if isinstance(learner.weighting, Asked):
            assert learner.weighting.asked > 0  # what a subclass makes of the losses is heard
    (known, ours), (asked, theirs) = found
    assert_same(known, asked)
    torch.testing.assert_close(ours.packed, theirs.packed)


@pytest.mark.parametrize("terms", [False, True])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("head_grad", ["unweighted", "weighted"])
@pytest.mark.parametrize("source", ["features", "parameters"])
def test_weights_of_one_give_the_gradient_of_the_sum(
    source: str, head_grad: str, accumulate: int, terms: bool
) -> None:
    expected = gradients(Equal, terms=terms, accumulate=accumulate)
    found = gradients(
        Plain, terms=terms, accumulate=accumulate, gradients=source, head_grad=head_grad
    )
    assert_same(found, expected)


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_heads_follow_the_weights_only_if_asked(source: str) -> None:
    plain = gradients(Equal)
    unweighted = gradients(Falling, gradients=source)
    weighted = gradients(Falling, gradients=source, head_grad="weighted")
    for name in plain:
        factor = {"sign": 2.0, "largest": 0.5}.get(name.split(".")[1])
        if factor is not None:
            torch.testing.assert_close(unweighted[name], plain[name])
            torch.testing.assert_close(weighted[name], factor * plain[name])
        else:
            torch.testing.assert_close(weighted[name], unweighted[name])
            assert not torch.allclose(weighted[name], plain[name])


def torchjd_gradients(source: str) -> dict[str, Tensor]:
    from torchjd.aggregation import IMTLG as Oracle
    from torchjd.autojac import jac_to_grad, mtl_backward

    model, batch = smooth_model(), double_batch()
    z = model.body.trunk.encoders["x"](batch.inputs["x"])
    losses = [
        spec.task.loss(model.heads[spec.name](z).float(), batch.targets[spec.name]).mean()
        for spec in TASKS
    ]
    shared = list(model.body.parameters())
    if source == "parameters":
        mtl_backward(losses, features=z)
        jac_to_grad(shared, Oracle())
    else:
        for loss, spec in zip(losses, TASKS, strict=True):
            head = list(model.heads[spec.name].parameters())
            for p, g in zip(head, torch.autograd.grad(loss, head, retain_graph=True), strict=True):
                p.grad = g
        rows = [torch.autograd.grad(loss, z, retain_graph=True)[0].flatten() for loss in losses]
        z.backward(Oracle()(torch.stack(rows)).view_as(z))
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_gradients_are_those_of_torchjd(source: str) -> None:
    from jlrun.objective.weightings import IMTLG

    assert_same(gradients(IMTLG, gradients=source), torchjd_gradients(source))


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("source", ["features", "parameters"])
def test_three_parts_are_one_batch_for_every_weighting(name: str, source: str) -> None:
    weighting = made(name)
    if isinstance(weighting, GradientWeighting) and source not in weighting.sources:
        pytest.skip("needs gradients of the parameters")
    if not isinstance(weighting, GradientWeighting) and source == "parameters":
        pytest.skip("looks at losses only")
    trained = []
    for accumulate in (1, 3):
        phase = phase_of(lambda tasks: made(name, tasks), gradients=source)
        engine = Engine(CPU, accumulate=accumulate)
        learner = build_learner(smooth_model(), phase, engine)
        learner.weighting.double()
        learner.set_lr(0.1)
        for number in range(3):
            torch.manual_seed(number)
            train_step(learner, phase, {"dataset": double_batch()}, engine, number)
        trained.append({n: p.detach() for n, p in learner.model.named_parameters()})
    assert_same(*trained)


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_weights_are_solved_for_every_so_many_steps_only(source: str) -> None:
    phase = phase_of(Falling, gradients=source, update_every=3)
    learner = build_learner(smooth_model(), phase, Engine(CPU))
    learner.set_lr(0.1)
    seen = []
    for number in range(7):
        train_step(learner, phase, {"dataset": double_batch()}, Engine(CPU), number)
        seen.append(_falling(learner).asked)
    assert seen == [1, 1, 1, 2, 2, 2, 3]
    assert learner.weighting.last_weights.tolist() == [2.0, 0.5]


def _falling(learner: Learner) -> Falling:
    assert isinstance(learner.weighting, Falling)
    return learner.weighting


def test_reused_weights_give_the_gradient_that_solving_again_would() -> None:
    for source in ("features", "parameters"):
        found = []
        for number in (0, 1):
            phase = phase_of(Falling, terms=True, gradients=source, update_every=2)
            learner = build_learner(smooth_model(), phase, Engine(CPU))
            learner.weighting.last_weights = torch.tensor([2.0, 0.5])
            _falling(learner).last_active = torch.ones(2).bool()
            step = StepForward.of(learner, phase, Engine(CPU), {"dataset": double_batch()}, 0.0)
            passes_of(step, number).run()
            found.append({n: p.grad for n, p in learner.model.named_parameters()})
            assert _falling(learner).asked == 1 - number
        assert_same(*found)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_weights_are_solved_again_for_a_task_that_they_do_not_know(source: str) -> None:
    phase = phase_of(MGDA, gradients=source, update_every=2)
    learner = build_learner(smooth_model(), phase, Engine(CPU))
    learner.set_lr(0.1)
    for number, absent in enumerate(("sign", "largest") * 2):
        batch = replace(double_batch(), labelled={absent: torch.zeros(12).bool()})
        train_step(learner, phase, {"dataset": batch}, Engine(CPU), number)
        known = [0.0, 1.0] if absent == "sign" else [1.0, 0.0]
        assert learner.weighting.last_weights.tolist() == known
        assert all(p.grad is not None and p.grad.any() for p in learner.model.body.parameters())


@pytest.mark.parametrize("name", ["equal", "log", "famo", "pcgrad"])
def test_running_statistics_move_once_for_each_part(name: str) -> None:
    recipe = toy_recipe(lambda tasks: made(name, tasks))
    phase, engine = toy_phase(recipe=recipe), Engine(CPU, accumulate=2)
    learner = build_learner(toy_model(), phase, engine)
    train_step(learner, phase, {"dataset": toy_batch(12)}, engine, 0)
    counts = [b for n, b in learner.model.named_buffers() if n.endswith("num_batches_tracked")]
    assert [int(count) for count in counts] == [2]


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_rows_without_a_label_count_for_the_other_task(source: str) -> None:
    mask = torch.tensor([True, False] * 6)
    batch = replace(double_batch(), labelled={"sign": mask})
    found = gradients(Plain, batch=batch, gradients=source)
    assert_same(found, gradients(Equal, batch=batch))
    none = replace(batch, labelled={"sign": torch.zeros(12).bool()})
    found = gradients(MGDA, batch=none, gradients=source)
    assert all(torch.isfinite(tensor).all() for tensor in found.values())
    assert float(found["body.trunk.encoders.x.layers.0.weight"].abs().sum()) > 0


class Recording(GradientWeighting):
    """Keeps the samples it was given."""

    sources = ("parameters",)
    num_samples = 2
    seen: tuple[Tensor, ...] = ()

    def forward(self, gradients: TaskGradients) -> Tensor:
        Recording.seen = gradients.samples
        return gradients.jacobian.sum(dim=0)


def test_samples_are_the_gradients_of_parts_of_the_batch_and_their_mean_is_that_of_all() -> None:
    found = gradients(Recording, accumulate=2, gradients="parameters")
    assert_same(found, gradients(Equal))
    first, second = double_batch().chunks(2)
    for part, sample in zip((first, second), Recording.seen, strict=True):
        alone = gradients(Plain, batch=part, gradients="parameters")
        names = [name for name in alone if name.startswith("body")]
        flat = torch.cat([alone[name].flatten() for name in names])
        torch.testing.assert_close(sample.sum(dim=0), flat, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_half_precision_and_clipping(source: str) -> None:
    engine = Engine(CPU, precision="bf16", clip_norm=0.01, accumulate=2)
    phase = phase_of(MGDA, gradients=source)
    learner = build_learner(smooth_model(torch.float32), phase, engine)
    learner.set_lr(0.1)
    stats = train_step(learner, phase, {"dataset": toy_batch(12)}, engine, 0)
    assert torch.isfinite(stats.total_loss)
    norm = torch.stack([p.grad.norm() for p in learner.parameters if p.grad is not None]).norm()
    assert float(norm) <= 0.01001 < float(stats.grad_norm)


def test_gradients_that_are_not_finite_leave_the_state_alone() -> None:
    batch = double_batch()
    batch.inputs["x"][0, 0] = float("nan")
    phase = phase_of(lambda tasks: DBMTL(tasks, beta=0.9), gradients="parameters")
    learner = build_learner(smooth_model(), phase, Engine(CPU))
    before = {k: v.clone() for k, v in learner.weighting.state_dict().items()}
    passes_of(StepForward.of(learner, phase, Engine(CPU), {"dataset": batch}, 0.0), 0).run()
    after = learner.weighting.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_features_of_other_rows_are_refused_where_gradients_are_compared() -> None:
    with pytest.raises(UserError, match=r"weighting.gradients=parameters"):
        GradientOptions("features").check(MoCo(("a", "b")))
    with pytest.raises(UserError, match="no weights to use again"):
        GradientOptions(update_every=2).check(GradDrop(("a", "b")))
