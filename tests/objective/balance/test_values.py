"""Each balance against a closed form, its paper's rule, or another library."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel, encoder_parameters
from jlrun.models.module_state import evaluating
from jlrun.objective.balance import MMPareto, Pareto
from jlrun.objective.balance import agm as agm_module
from jlrun.objective.balance import ogm_ge as ogm_module
from jlrun.objective.balance.agm import logits_by_modality, shapley_values
from jlrun.objective.balance.encoder_gradients import flat
from jlrun.objective.balance.gradient_blend import GradientBlend, blended
from jlrun.objective.balance.mmpareto import rescaled
from jlrun.objective.balance.ogm_ge import is_separable, own_logits
from jlrun.objective.balance.pmr import PMR, Prototypes, ratios
from jlrun.objective.balance.unimodal import right_probability
from jlrun.objective.labelled_rows import usable
from jlrun.objective.weightings import MGDA, CAGrad, Equal, PCGrad, SDMGrad, TaskGradients
from jlrun.tasks import Binary, Multiclass, Multilabel
from jlrun.training.learner import Learner
from jlrun.training.loop import _between_epochs
from jlrun.training.plan import Phase
from jlrun.training.spans import PhaseRun
from jlrun.training.state import PhaseState
from tests.objective.balance.small import MODALITIES, TASKS, batch, begun, model, phase, step
from tests.objective.weightings.gramians import weights_of
from tests.toy import toy_surroundings

LARGEST = (TASKS[1],)


def gradients(learner: Learner, modality: str) -> Tensor:
    parameters = encoder_parameters(learner.model, modality)
    return flat([p.grad for p in parameters], parameters)


# --- uniform -----------------------------------------------------------------------------------


def test_uniform_adds_the_mean_losses_of_linear_heads_over_rows_with_the_modality() -> None:
    plain, the_phase = phase(), phase("uniform", weight=0.5)
    learner = begun(the_phase, model())
    heads = learner.balance.get_submodule("heads.heads")
    given, expected = batch(), 0.0
    outputs = learner.model(given)
    for modality in MODALITIES:
        for o in the_phase.objectives:
            rows = usable(o, given, modality)
            logits = heads.get_submodule(f"{modality}.{o.head}")(outputs.features[modality][rows])
            expected += 0.5 * o.spec.task.loss(logits, given.targets[o.spec.column][rows]).mean()
    without = step(begun(plain, model()), plain, given)
    stats = step(learner, the_phase, given)
    torch.testing.assert_close(stats.total_loss, without.total_loss + expected)


# --- ogm_ge ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.6, 0.3], [1 - math.tanh(0.3 * 2), 1.0]),
        ([0.2, 0.2], [1.0, 1.0]),
        # Of three, against the mean of the two others: 0.6 / 0.2, 0.3 / 0.35, 0.1 / 0.45.
        ([0.6, 0.3, 0.1], [1 - math.tanh(0.3 * 3), 1.0, 1.0]),
        ([0.6, math.nan], [1.0, 1.0]),
        ([0.6, math.nan, 0.3], [1 - math.tanh(0.3 * 2), 1.0, 1.0]),
    ],
)
def test_ogm_coefficients_are_those_of_the_paper(
    scores: list[float], expected: list[float]
) -> None:
    found = ogm_module.coefficients(torch.tensor(scores), 0.3)
    torch.testing.assert_close(found, torch.tensor(expected))


def concat_scores(the_model: JointModel, given: Batch) -> Tensor:
    """s_m of the paper's eq. 8 by hand: softmax of W_m f_m + b/2."""
    head, features = the_model.heads["largest"], the_model(given).features
    assert isinstance(head, torch.nn.Linear)
    weights = {"x": head.weight[:, :6], "y": head.weight[:, 6:]}
    scores = []
    for modality in MODALITIES:
        rows = given.labelled["largest"] & given.present[modality]
        logits = features[modality] @ weights[modality].T + head.bias / 2
        right = logits.softmax(dim=1)[torch.arange(given.size), given.targets["largest"]]
        scores.append(right[rows].mean())
    return torch.stack(scores)


def test_ogm_scales_the_gradient_of_the_encoder_that_is_ahead_and_nothing_else() -> None:
    plain, the_phase = phase("none", LARGEST), phase("ogm_ge", LARGEST, noise=False)
    before, learner = begun(plain, model(tasks=LARGEST)), begun(the_phase, model(tasks=LARGEST))
    s = concat_scores(learner.model, batch())
    k = torch.where(s > s.flip(0), 1 - (0.3 * s / s.flip(0)).tanh(), 1.0)
    assert sorted((k < 1).tolist()) == [False, True]
    step(before, plain, batch())
    stats = step(learner, the_phase, batch())
    for factor, modality in zip(k, MODALITIES, strict=True):
        torch.testing.assert_close(
            gradients(learner, modality), factor * gradients(before, modality)
        )
        torch.testing.assert_close(stats.readings[f"balance/{modality}"], factor)
    others = zip(learner.model.heads.parameters(), before.model.heads.parameters(), strict=True)
    for one, two in others:
        torch.testing.assert_close(one.grad, two.grad)


def test_ogm_noise_has_the_spread_of_each_gradient() -> None:
    plain, loud = phase(), phase("ogm_ge", alpha=0.0)
    clean = begun(plain, model())
    step(clean, plain, batch())
    reference = [p.grad for p in encoder_parameters(clean.model, "x")]
    draws = []
    for number in range(200):
        learner = begun(loud, model())
        step(learner, loud, batch(), number)
        draws.append([p.grad for p in encoder_parameters(learner.model, "x")])
    for i, grad in enumerate(reference):
        assert grad is not None
        noise = torch.stack([d[i] for d in draws]) - grad  # pyright: ignore
        torch.testing.assert_close(noise.std(), grad.std(correction=0), rtol=0.05, atol=0)
        assert float(noise.mean().abs()) < 0.1 * float(grad.std())


def test_ogm_heads_of_its_own_do_not_reach_the_encoders() -> None:
    plain, the_phase = phase(), phase("ogm_ge", alpha=0.0, noise=False)
    before, learner = begun(plain, model("gated")), begun(the_phase, model("gated"))
    assert not is_separable(learner.model, [spec.name for spec in TASKS])
    for number in range(3):
        step(before, plain, batch(seed=number), number)
        step(learner, the_phase, batch(seed=number), number)
    for name, tensor in before.model.state_dict().items():
        torch.testing.assert_close(learner.model.state_dict()[name], tensor, msg=name)


@pytest.mark.parametrize(("fusion", "divisor"), [("concat", 1), ("late", 2)])
def test_own_logits_make_up_those_of_the_model(fusion: str, divisor: int) -> None:
    the_model = model(fusion)
    assert is_separable(the_model, [spec.name for spec in TASKS])
    outputs = the_model(replace(batch(), present={}))
    for spec in TASKS:
        parts = [own_logits(the_model, spec.name, m, outputs.features[m]) for m in MODALITIES]
        torch.testing.assert_close(sum(parts) / divisor, outputs.logits[spec.name])


def test_probabilities_of_the_right_answer() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    p = right_probability(Multiclass(), logits, torch.tensor([1]))
    torch.testing.assert_close(p, logits.softmax(dim=1)[:, 1])
    no = right_probability(Binary(), torch.tensor([[2.0]]), torch.tensor([0]))
    torch.testing.assert_close(no, torch.sigmoid(torch.tensor([-2.0])))
    both = right_probability(Multilabel(), logits[:, :2], torch.tensor([[1.0, 0.0]]))
    expected = (torch.sigmoid(torch.tensor(1.0)) + torch.sigmoid(torch.tensor(-2.0))) / 2
    torch.testing.assert_close(both, expected[None])


# --- mmpareto ----------------------------------------------------------------------------------


def two_losses(the_model: JointModel, learner: Learner, given: Batch) -> dict[str, list[Tensor]]:
    """Modality -> flat gradients of L_mm and L_m by its encoder, by autograd alone."""
    outputs = the_model(given)
    heads = learner.balance.get_submodule("heads.heads")
    rows = given.labelled["largest"]
    target = given.targets["largest"]
    multimodal = F.cross_entropy(outputs.logits["largest"][rows], target[rows])
    found = {}
    for modality in MODALITIES:
        mine = rows & given.present[modality]
        logits = heads.get_submodule(f"{modality}.largest")(outputs.features[modality])
        own = F.cross_entropy(logits[mine], target[mine])
        parameters = encoder_parameters(the_model, modality)
        found[modality] = [
            flat(torch.autograd.grad(loss, parameters, retain_graph=True), parameters)
            for loss in (multimodal, own)
        ]
    return found


def numpy_mmpareto(first: np.ndarray, second: np.ndarray, gamma: float) -> np.ndarray:
    """Algorithm 1 of the paper for two gradients, with their closed-form shortest combination."""
    if first @ second >= 0:
        alpha = 0.5
    else:
        difference = first - second
        alpha = np.clip(second @ (second - first) / (difference @ difference), 0, 1)
    update = 2 * alpha * first + 2 * (1 - alpha) * second
    least = np.linalg.norm(first + second)
    return gamma * update * max(1.0, least / np.linalg.norm(update))


@pytest.mark.parametrize(("factor", "conflict"), [(1.0, True), (-20.0, False)])
def test_mmpareto_is_the_papers_algorithm(factor: float, conflict: bool) -> None:
    the_phase = phase("mmpareto", LARGEST)
    learner = begun(the_phase, model("gated", LARGEST))
    with torch.no_grad():  # heads as they were drawn pull against the multimodal loss
        for modality in MODALITIES:
            weight = learner.balance.get_parameter(f"heads.heads.{modality}.largest.weight")
            weight.mul_(factor)
    expected = two_losses(learner.model, learner, batch())
    conflicts = [float(a @ b) < 0 for a, b in expected.values()]
    assert conflicts == [conflict] * 2
    stats = step(learner, the_phase, batch())
    for modality, (first, second) in expected.items():
        wanted = numpy_mmpareto(first.double().numpy(), second.double().numpy(), 1.5)
        found = gradients(learner, modality).double()
        torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=1e-4, atol=1e-7)
        assert float(found.norm()) >= 1.5 * 0.999 * float((first + second).norm())
        cosine = F.cosine_similarity(first, second, dim=0)
        torch.testing.assert_close(stats.readings[f"balance/{modality}/cosine"].float(), cosine)


def test_mmpareto_leaves_heads_and_fusion_the_plain_sum() -> None:
    plain, the_phase = phase("uniform"), phase("mmpareto")
    before, learner = begun(plain, model("gated")), begun(the_phase, model("gated"))
    sums = step(before, plain, batch())
    stats = step(learner, the_phase, batch())
    torch.testing.assert_close(stats.total_loss, sums.total_loss)
    encoders = {id(p) for m in MODALITIES for p in encoder_parameters(learner.model, m)}
    others = zip(learner.model.parameters(), before.model.parameters(), strict=True)
    for one, two in others:
        if id(one) not in encoders:
            torch.testing.assert_close(one.grad, two.grad)
    for one, two in zip(learner.balance.parameters(), before.balance.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_pareto_is_the_shortest_combination_only_where_gradients_conflict() -> None:
    torchjd = pytest.importorskip("torchjd.aggregation")
    jacobian = torch.tensor([[1.0, 0.2, 0.0], [-0.5, 1.5, 0.3]], dtype=torch.float64)
    agree = torch.tensor([[1.0, 0.2, 0.0], [0.5, 1.5, 0.3]], dtype=torch.float64)
    weights = weights_of(Pareto(("a", "b")), jacobian @ jacobian.T)
    reference = torchjd.MGDA(epsilon=1e-9, max_iters=100_000)(jacobian)
    torch.testing.assert_close(weights @ jacobian, reference, rtol=1e-4, atol=1e-6)
    assert weights_of(Pareto(("a", "b")), agree @ agree.T).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("weighting", [MGDA, PCGrad, CAGrad])
def test_any_weighting_of_gradients_combines_the_two(weighting: type) -> None:
    balance = lambda: MMPareto(weighting, gamma=1.0)  # noqa: E731
    the_phase = phase("none", LARGEST, recipe={"make_balance": balance})
    learner = begun(the_phase, model("gated", LARGEST))
    expected = two_losses(learner.model, learner, batch())
    step(learner, the_phase, batch())
    for modality, (first, second) in expected.items():
        torch.manual_seed(0)
        given = TaskGradients(
            ("a", "b"), torch.ones(2), torch.ones(2).bool(), (torch.stack([first, second]),)
        )
        wanted = rescaled(weighting(("a", "b"))(given), first + second)
        torch.testing.assert_close(gradients(learner, modality), wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("weighting", "said"), [(Equal, "Equal weighs losses"), (SDMGrad, "3 parts of a batch")]
)
def test_weightings_that_do_not_fit_are_refused(weighting: type, said: str) -> None:
    balance = lambda: MMPareto(weighting)  # noqa: E731
    with pytest.raises(UserError, match=said) as found:
        begun(phase("none", recipe={"make_balance": balance}), model())
    assert [problem.where for problem in found.value.problems] == ["balance.weighting"]


# --- gradient_blend ----------------------------------------------------------------------------


def test_blended_weights_are_gain_over_squared_overfitting() -> None:
    before = torch.tensor([[2.0, 2.0], [2.0, 2.1], [2.0, 2.0]])
    after = torch.tensor([[0.5, 1.5], [1.2, 1.6], [1.0, 2.3]])
    gain, excess = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([1.0, 0.3, 1.3])
    expected = gain / excess**2
    found = blended(before, after, torch.ones(3) / 3)
    torch.testing.assert_close(found, expected / expected.sum())


def test_weights_stay_where_every_loss_rose_and_are_finite_without_overfitting() -> None:
    before, risen = torch.full((2, 2), 1.0), torch.full((2, 2), 2.0)
    kept = torch.tensor([0.3, 0.7])
    assert torch.equal(blended(before, risen, kept), kept)
    fallen = torch.tensor([[0.5, 0.5], [0.0, 0.9]])
    assert bool(blended(before, fallen, kept).isfinite().all())


def held_losses(learner: Learner, the_phase: Phase) -> Tensor:
    """L_mm, L_x and L_y on training and held-out rows ``(3, 2)``, by hand."""
    heads = learner.balance.get_submodule("heads.heads")
    columns = []
    held = the_phase.held["dataset"]
    for rows in (the_phase.train["dataset"].sample(len(held.rows)), held):
        (given,) = rows.sweep(len(rows.rows))
        with torch.no_grad(), evaluating(learner.model):
            outputs = learner.model(given)
        column = torch.zeros(3)
        for o in the_phase.objectives:
            mask = given.labelled.get(o.spec.column, torch.ones(given.size).bool())
            target = given.targets[o.spec.column]
            column[0] += o.spec.task.loss(outputs.logits[o.head][mask], target[mask]).mean()
            for i, m in enumerate(MODALITIES, 1):
                mine = usable(o, given, m)
                logits = heads.get_submodule(f"{m}.{o.head}")(outputs.features[m][mine])
                column[i] += o.spec.task.loss(logits, target[mine]).mean()
        columns.append(column.detach())
    return torch.stack(columns, dim=1)


def test_a_super_epoch_weighs_losses_by_what_was_held_out() -> None:
    the_phase = phase("gradient_blend", super_epochs=2)
    learner = begun(the_phase, model())
    balance = learner.balance
    assert isinstance(balance, GradientBlend)
    run = PhaseRun("main", the_phase, learner, PhaseState(), 0, lambda force: None)
    view = _between_epochs(run, toy_surroundings())
    before = held_losses(learner, the_phase)
    balance.after_epoch(view, 0)
    torch.testing.assert_close(balance.weights, torch.full((3,), 1 / 3))
    for number in range(6):
        step(learner, the_phase, batch(seed=number), number)
    balance.after_epoch(view, 1)
    torch.testing.assert_close(balance.weights, torch.full((3,), 1 / 3))
    after = held_losses(learner, the_phase)
    balance.after_epoch(view, 2)
    torch.testing.assert_close(balance.weights, blended(before, after, torch.ones(3)))
    assert float(balance.weights.std()) > 0


def test_the_blended_loss_is_the_weighted_sum() -> None:
    the_phase = phase("gradient_blend", LARGEST)
    learner = begun(the_phase, model("gated", LARGEST))
    learner.balance.get_buffer("weights").copy_(torch.tensor([0.7, 0.1, 0.2]))
    given = two_losses(learner.model, learner, batch())
    step(learner, the_phase, batch())
    for w, (modality, (first, second)) in zip((0.1, 0.2), given.items(), strict=True):
        torch.testing.assert_close(gradients(learner, modality), 0.7 * first + w * second)


# --- agm ---------------------------------------------------------------------------------------


def test_shapley_values_of_two_are_the_papers() -> None:
    generator = torch.Generator().manual_seed(0)
    none, x, y, both = torch.randn(4, 3, generator=generator)
    found = shapley_values(torch.stack([none * 0, x, y, both]))
    torch.testing.assert_close(found[0], (both - y + x) / 2)
    torch.testing.assert_close(found.sum(dim=0), both)


def test_shapley_values_of_the_glove_game() -> None:
    """Player 0 has a left glove, 1 and 2 a right one each: 2/3, 1/6, 1/6 (Shapley, 1953)."""
    values = torch.zeros(8)
    values[[0b011, 0b101, 0b111]] = 1.0
    torch.testing.assert_close(shapley_values(values), torch.tensor([2 / 3, 1 / 6, 1 / 6]))


def test_responses_add_up_and_are_nothing_for_an_absent_modality() -> None:
    the_model, given = model("gated"), batch()
    the_model.eval()
    responses = logits_by_modality(the_model, given, ("sign", "largest"), MODALITIES)
    logits = the_model(given).logits
    for head, by_modality in responses.items():
        torch.testing.assert_close(by_modality.sum(dim=0), logits[head])
        for i, modality in enumerate(MODALITIES):
            assert not bool(by_modality[i][~given.present[modality]].any())


def test_agm_coefficients_are_those_of_the_paper() -> None:
    scores, usual = torch.tensor([-0.5, -1.5]), torch.tensor([-1.0, -1.2])
    found = agm_module.coefficients(scores, usual, 0.8)
    ratio, target = math.exp(1.0), math.exp(0.2)
    first = math.exp(-0.8 * (ratio - target))
    second = math.exp(-0.8 * (1 / ratio - 1 / target))
    torch.testing.assert_close(found, torch.tensor([first, second]))
    assert agm_module.coefficients(torch.tensor([1.0, math.nan]), usual, 1.0).tolist() == [1, 1]


def test_agm_scales_encoders_by_what_it_measured_and_remembers_the_mean() -> None:
    plain, the_phase = phase("none", LARGEST), phase("agm", LARGEST)
    before = begun(plain, model("gated", LARGEST))
    learner = begun(the_phase, model("gated", LARGEST))
    rows, scores = batch().labelled["largest"], []
    learner.model.eval()
    responses = logits_by_modality(learner.model, batch(), ("largest",), MODALITIES)["largest"]
    for i, m in enumerate(MODALITIES):
        mine = rows & batch().present[m]
        target = batch().targets["largest"][mine]
        scores.append(-F.cross_entropy(responses[i][mine], target))
    s = torch.stack(scores).detach()
    kappa = (-((s - s.flip(0)).exp() - 1)).exp()  # τ = 1 in the first step
    step(before, plain, batch())
    step(learner, the_phase, batch())
    for factor, m in zip(kappa, MODALITIES, strict=True):
        torch.testing.assert_close(gradients(learner, m), factor * gradients(before, m))
    torch.testing.assert_close(learner.balance.get_buffer("usual"), s)
    step(learner, the_phase, batch(), 1)
    assert learner.balance.get_buffer("num_steps").tolist() == [2, 2]


# --- pmr ---------------------------------------------------------------------------------------


def test_prototypes_begin_at_the_mean_and_follow_with_momentum() -> None:
    prototypes = Prototypes(3, 2)
    features, target = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([1, 1])
    prototypes.follow(**prototypes.sums(features, target), momentum=0.9)
    assert prototypes.known.tolist() == [False, True, False]
    torch.testing.assert_close(prototypes.centres[1], torch.tensor([2.0, 1.0]))
    prototypes.follow(**prototypes.sums(features[:1], target[:1]), momentum=0.9)
    torch.testing.assert_close(prototypes.centres[1], torch.tensor([1.9, 0.9]))


def test_prototypical_losses_are_of_euclidean_distances_to_known_classes() -> None:
    prototypes = Prototypes(3, 2)
    prototypes.centres = torch.tensor([[0.0, 0.0], [3.0, 4.0], [9.0, 9.0]])
    prototypes.known = torch.tensor([True, True, False])
    features = torch.tensor([[0.0, 0.0], [1.0, 1.0]], requires_grad=True)
    loss, entropy, right = prototypes(features, torch.tensor([0, 2]))
    p = torch.tensor([0.0, -5.0]).softmax(dim=0)
    torch.testing.assert_close(loss, -p[0].log())
    torch.testing.assert_close(entropy, -(p * p.log()).sum())
    torch.testing.assert_close(right, p[0])
    loss.backward()
    assert features.grad is not None
    assert bool(features.grad.isfinite().all())  # at distance 0 a norm has no gradient


@pytest.mark.parametrize("early", [True, False])
def test_pmr_draws_the_modality_that_is_behind_and_spreads_the_other(early: bool) -> None:
    the_phase = phase("pmr", LARGEST, entropy=0.5, entropy_share=0.3)
    learner = begun(the_phase, model("gated", LARGEST))
    balance = learner.balance
    assert isinstance(balance, PMR)
    step(learner, the_phase, batch(seed=1))  # prototypes of the classes
    balance.ratio = torch.tensor([1.25, 0.8])
    outputs, rows = learner.model(batch()), batch().labelled["largest"]
    parts = []
    for m in MODALITIES:
        mine = rows & batch().present[m]
        prototypes = balance.prototypes.get_submodule(f"{m}.largest")
        assert isinstance(prototypes, Prototypes)
        target = batch().targets["largest"][mine]
        loss, entropy, _ = prototypes(outputs.features[m][mine], target)
        count = prototypes.known[target].sum()
        parts.append((loss / count, entropy / count))
    multimodal = F.cross_entropy(outputs.logits["largest"][rows], batch().targets["largest"][rows])
    expected = multimodal + 0.25 * parts[1][0] - (0.5 * 0.25 * parts[0][1] if early else 0.0)
    stats = step(learner, the_phase, batch(), 1 if early else the_phase.num_steps // 2)
    torch.testing.assert_close(stats.total_loss, expected.detach())


def test_pmr_ratios_compare_with_the_mean_of_the_others() -> None:
    found = ratios(torch.tensor([0.6, 0.3, 0.1]))
    torch.testing.assert_close(found, torch.tensor([3.0, 0.3 / 0.35, 0.1 / 0.45]))
    assert ratios(torch.tensor([0.6, math.nan])).tolist() == [1, 1]
