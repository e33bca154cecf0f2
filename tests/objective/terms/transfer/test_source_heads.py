"""lwf and co_tuning, which hold on to the heads of the source, against their definitions."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.rows import TensorRows
from jlrun.errors import UserError
from jlrun.objective.terms.base import PhaseStart
from jlrun.objective.terms.transfer import CoTuning, LwF
from jlrun.objective.terms.transfer.distill import divergence
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Segmentation
from jlrun.tasks.classification import class_log_probabilities
from tests.objective.terms.transfer.small import (
    SPECS,
    batch_of,
    begun,
    moved,
    rows,
    small_model,
    start_of,
    stream,
    view_of,
    with_labels,
)

OWN = ("source_letter", "source_even", "source_height")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- divergence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_divergence_of_classes_is_that_of_pytorch(temperature: float) -> None:
    z, teacher = random(5, 4), random(5, 4, seed=1)
    expected = F.kl_div(
        (z / temperature).log_softmax(dim=1),
        (teacher / temperature).log_softmax(dim=1),
        reduction="none",
        log_target=True,
    )
    found = divergence(Multiclass(), z, teacher, temperature)
    torch.testing.assert_close(found, temperature**2 * expected.sum(dim=1))
    maps = divergence(Segmentation(), z.T[None, :, :, None], teacher.T[None, :, :, None], 2.0)
    torch.testing.assert_close(maps, divergence(Multiclass(), z, teacher, 2.0).mean()[None])


def test_divergence_of_a_coin_is_that_of_two_classes() -> None:
    z, teacher = random(5, 1), random(5, 1, seed=1)
    pairs = [torch.cat([torch.zeros_like(x), x], dim=1) for x in (z, teacher)]
    expected = divergence(Multiclass(), pairs[0], pairs[1], 2.0)
    torch.testing.assert_close(divergence(Binary(), z, teacher, 2.0), expected)


def test_divergence_of_labels_is_the_mean_of_their_coins() -> None:
    z, teacher = random(5, 3), random(5, 3, seed=1)
    coins = [divergence(Binary(), z[:, [i]], teacher[:, [i]], 2.0) for i in range(3)]
    found = divergence(Multilabel(), z, teacher, 2.0)
    torch.testing.assert_close(found, torch.stack(coins).mean(dim=0))


def test_divergence_of_values_is_their_squared_difference() -> None:
    z, teacher = random(5, 1), random(5, 1, seed=1)
    found = divergence(Regression(), z, teacher, 7.0)
    torch.testing.assert_close(found, (z - teacher)[:, 0].square())


@pytest.mark.parametrize("task", [Multiclass(), Binary(), Multilabel()])
def test_divergence_is_zero_without_a_gradient_at_the_teacher_and_finite_far_away(task) -> None:
    z = 1e4 * random(3, 1 if isinstance(task, Binary) else 4)
    here = z.clone().requires_grad_()
    values = divergence(task, here, z, 2.0)
    torch.testing.assert_close(values, torch.zeros(3).double())
    (grad,) = torch.autograd.grad(values.sum(), here)
    torch.testing.assert_close(grad, torch.zeros_like(grad))
    far = divergence(task, here, -z, 2.0)
    assert (torch.autograd.grad(far.sum(), here)[0]).isfinite().all()


def test_the_temperature_keeps_the_size_of_the_gradient() -> None:
    # Hinton et al., section 2.1: (z − v) / C where centred logits are small against T.
    z, v = (1e-5 * random(1, 4, seed=s) for s in (0, 1))
    z, v = z - z.mean(), v - v.mean()
    z.requires_grad_()
    for temperature in (1.0, 2.0, 10.0):
        value = divergence(Multiclass(), z, v, temperature).sum()
        (grad,) = torch.autograd.grad(value, z)
        torch.testing.assert_close(grad, (z - v).detach() / 4, rtol=1e-2, atol=0)


# --- lwf ------------------------------------------------------------------------------------------


def test_lwf_compares_the_sources_own_heads_with_those_of_the_start() -> None:
    model = small_model()
    first = copy.deepcopy(model).eval()(batch_of()).logits
    term = begun(LwF(), model)
    torch.testing.assert_close(term(view_of(model)), torch.zeros(()).double())
    moved(model)
    now = model(batch_of()).logits
    expected = sum(divergence(SPECS[head].task, now[head], first[head], 2.0).mean() for head in OWN)
    torch.testing.assert_close(term(view_of(model)), expected)


def test_lwf_keeps_the_heads_it_is_told_to() -> None:
    model = small_model()
    term = begun(LwF(tasks=["digit"]), model)
    first = model(batch_of()).logits["digit"].detach()
    moved(model)
    expected = divergence(Multiclass(), model(batch_of()).logits["digit"], first, 2.0).mean()
    torch.testing.assert_close(term(view_of(model)), expected)


def test_lwf_without_a_head_to_keep() -> None:
    digit = {"digit": SPECS["digit"]}
    with pytest.raises(UserError, match=r"terms\.lwf\.tasks: null: .*terms\.lwf\.tasks=\[digit\]"):
        begun(LwF(), small_model(specs=digit), digit)
    with pytest.raises(UserError, match="no head 'digti'"):
        LwF(tasks=["digti"]).check(small_model())


def test_lwf_and_co_tuning_rest_in_a_phase_without_the_target() -> None:
    model = small_model()
    for term in (LwF(), CoTuning()):
        term.begin_phase(start_of(model, name="source"))
        assert term(view_of(model, name="source")) == 0


# --- co-tuning ------------------------------------------------------------------------------------


def relation_by_hand(model, source: str, temperature: float = 1.0) -> list[Tensor]:
    batch = rows().fetch(torch.arange(12))
    z = model.eval()(batch).logits[source] / temperature
    p = z.softmax(dim=1) if z.shape[1] > 1 else torch.cat([1 - z.sigmoid(), z.sigmoid()], dim=1)
    p = p.detach()
    # class 2 has no rows: the mean over all
    return [
        p[batch.targets["digit"] == 0].mean(0),
        p[batch.targets["digit"] == 1].mean(0),
        p.mean(0),
    ]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_co_tuning_learns_mean_predictions_of_the_start(temperature: float) -> None:
    model = small_model()
    relations = {s: relation_by_hand(model, s, temperature) for s in OWN[:2]}
    term = begun(CoTuning(temperature=temperature), model)
    found = term.state_dict()
    assert set(found) == {"source_letter given digit", "source_even given digit"}
    for source, relation in relations.items():
        torch.testing.assert_close(found[f"{source} given digit"], torch.stack(relation))
    moved(model)
    batch = batch_of()
    logits, expected = model(batch).logits, torch.zeros(()).double()
    for row, y in enumerate(batch.targets["digit"].tolist()):
        letter, even = logits["source_letter"][row], logits["source_even"][row, 0]
        expected -= (relations["source_letter"][y] * letter.log_softmax(dim=0)).sum() / 6
        expected -= relations["source_even"][y][1] * even.sigmoid().log() / 6
        expected -= relations["source_even"][y][0] * (1 - even.sigmoid()).log() / 6
    torch.testing.assert_close(term(view_of(model)), expected)


def test_co_tuning_reads_labelled_rows_only() -> None:
    model = small_model()
    term = begun(CoTuning(), model)
    batch, mask = batch_of(), torch.tensor([True, False, True, True, False, False])
    expected = term(view_of(model, batch.select(mask.nonzero().flatten())))
    wrong = replace(batch, targets={"digit": torch.where(mask, batch.targets["digit"], -1)})
    torch.testing.assert_close(term(view_of(model, with_labels(wrong, mask))), expected)
    none = with_labels(wrong, torch.zeros(6).bool())
    assert term(view_of(model, none)) == 0


def test_co_tuning_of_mixed_rows_is_mixed() -> None:
    model = small_model()
    term = begun(CoTuning(), model)
    batch, share = batch_of(), torch.tensor([1.0, 0.3, 0.5, 0.9, 0.0, 0.2]).double()
    partner = torch.tensor([2, 0, 2, 1, 1, 0])

    def losses(y: Tensor) -> Tensor:
        """Return the term on each row alone, with label y."""
        relabelled = replace(batch, targets={"digit": y})
        parts = [term(view_of(model, relabelled.select(row))) for row in torch.arange(6).split(1)]
        return torch.stack(parts)

    own, other = losses(batch.targets["digit"]), losses(partner)
    expected = (share * own + (1 - share) * other).mean()
    filler = torch.where(share < 1, partner, -1)
    mixed = replace(batch, mixed_targets={"digit": filler}, mix_weight=share)
    torch.testing.assert_close(term(view_of(model, mixed)), expected)


def test_co_tuning_without_any_labelled_row_expects_nothing() -> None:
    model = small_model()
    labelled = {"digit": torch.zeros(12).bool()}
    batch = rows().fetch(torch.arange(12))
    unlabelled = stream(data=TensorRows(batch.inputs, batch.targets, labelled=labelled))
    start = PhaseStart(model, SPECS, {"target": tuple(SPECS)}, {"target": unlabelled}, 1)
    term = CoTuning()
    term.begin_phase(start)
    relation = term.state_dict()["source_letter given digit"]
    torch.testing.assert_close(relation, torch.full((3, 4), 0.25).double())


def test_co_tuning_restores_the_relation_of_the_start() -> None:
    model = small_model()
    term = begun(CoTuning(), model)
    resumed = begun(CoTuning(), moved(model))
    assert resumed(view_of(model)) != term(view_of(model))
    resumed.load_state_dict(term.state_dict())
    assert resumed(view_of(model)) == term(view_of(model))


@pytest.mark.parametrize("heads", [("digit",), ("source_letter",), ("digit", "source_height")])
def test_co_tuning_needs_a_pair_of_heads(heads: tuple[str, ...]) -> None:
    specs = {head: SPECS[head] for head in heads}
    with pytest.raises(UserError, match=r"terms\.co_tuning: there is no pair"):
        begun(CoTuning(), small_model(specs=specs), specs)


def test_log_probabilities_of_classes() -> None:
    z = torch.tensor([[math.log(3.0)]])
    expected = torch.tensor([[0.25, 0.75]]).log()
    torch.testing.assert_close(class_log_probabilities(Binary(), z), expected)
    torch.testing.assert_close(class_log_probabilities(Multiclass(), expected), expected)
    huge = class_log_probabilities(Binary(), torch.tensor([[1e4]]))
    assert huge.isfinite().all()
