"""l2_sp, delta and bss against their definitions in float64."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from jlrun.errors import UserError
from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.base import StepView
from jlrun.objective.terms.transfer import BSS, DELTA, L2SP
from jlrun.objective.terms.transfer.frozen import FrozenModel
from tests.objective.terms.transfer.small import SPECS, batch_of, begun, moved, small_model, view_of

# --- frozen copies --------------------------------------------------------------------------------


def test_a_frozen_copy_keeps_its_mode_and_its_weights() -> None:
    model = small_model(norm=True)
    holder = nn.ModuleDict({"start": FrozenModel(model)}).train()
    expected = copy.deepcopy(model).eval()(batch_of()).fused
    moved(model)
    assert not any(module.training for module in holder["start"].modules())
    assert not any(p.requires_grad for p in holder.parameters())
    found = holder["start"](batch_of())
    torch.testing.assert_close(found.fused, expected, rtol=0, atol=0)
    assert not found.fused.requires_grad


# --- l2_sp ----------------------------------------------------------------------------------------


def test_l2_sp_is_half_the_squared_distance_and_half_the_square_of_what_is_new() -> None:
    model = small_model()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    term = begun(L2SP(new_ratio=0.3), model)
    moved(model)
    parameters = dict(model.named_parameters())
    old = [n for n in parameters if n.startswith("body.")]
    new = [n for n in parameters if n.startswith("heads.")]
    expected = sum((parameters[n] - before[n]).square().sum() for n in old) / 2
    expected = expected + 0.3 * sum(parameters[n].square().sum() for n in new) / 2
    value = term(view_of(model))
    torch.testing.assert_close(value, expected)
    grads = torch.autograd.grad(value, list(parameters.values()))
    for (name, p), grad in zip(parameters.items(), grads, strict=True):
        wanted = p - before[name] if name in old else 0.3 * p
        torch.testing.assert_close(grad, wanted.detach())


def test_l2_sp_leaves_frozen_parameters_and_heads_of_other_phases_alone() -> None:
    model = small_model()
    term = begun(L2SP(), model)
    moved(model)
    model.body.requires_grad_(False)
    view = view_of(model, specs={"digit": SPECS["digit"]})
    head = model.heads["digit"]
    expected = sum(p.square().sum() for p in head.parameters()) / 2
    torch.testing.assert_close(term(view), expected)


def test_l2_sp_counts_what_a_pattern_names_as_carried_over() -> None:
    model = small_model()
    term = begun(L2SP(parameters="^body|^heads.digit"), model)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    moved(model)
    parameters = dict(model.named_parameters())
    new = {n for n in parameters if n.startswith("heads.source")}
    expected = sum((p - before[n] * (n not in new)).square().sum() for n, p in parameters.items())
    torch.testing.assert_close(term(view_of(model)), expected / 2)


def test_l2_sp_refuses_patterns_that_match_nothing_or_are_none() -> None:
    with pytest.raises(UserError, match=r"terms.l2_sp.parameters: 'bodi' matches no parameter"):
        L2SP(parameters="bodi").check(small_model())
    with pytest.raises(UserError, match="is not a regular expression"):
        L2SP(parameters="(")


def test_l2_sp_goes_on_from_its_first_weights_after_a_resume() -> None:
    model = small_model()
    term = begun(L2SP(), model)
    moved(model)
    expected = term(view_of(model))
    resumed = begun(L2SP(), model)  # with weights of the middle of the phase
    assert resumed(view_of(model)) != expected
    resumed.load_state_dict(term.state_dict())
    torch.testing.assert_close(resumed(view_of(model)), expected, rtol=0, atol=0)


# --- delta ----------------------------------------------------------------------------------------


def maps_by_hand(model: nn.Module) -> list[Tensor]:
    encoder = model.get_submodule("body.trunk.encoders.image")
    x = batch_of().inputs["image"]
    maps = encoder.get_submodule("convolutions")(x)
    return [maps, encoder.get_submodule("hidden")(maps)]


@pytest.mark.parametrize("stages", ["all", "last"])
def test_delta_is_half_the_squared_distance_of_maps(stages: str) -> None:
    model = small_model()
    first = [m.detach() for m in maps_by_hand(model)]
    term = begun(DELTA(stages=stages), model)  # pyright: ignore[reportArgumentType]
    assert term(view_of(model)) == 0
    moved(model)
    conv, hidden = (a - b for a, b in zip(maps_by_hand(model), first, strict=True))
    expected = hidden.square().sum(dim=1).mean() / 2
    if stages == "all":
        expected = expected + conv.square().mean(dim=(2, 3)).sum(dim=1).mean() / 2
    torch.testing.assert_close(term(view_of(model)), expected)


def test_delta_has_the_gradient_of_finite_differences() -> None:
    model = small_model()
    term = begun(DELTA(), model)
    moved(model)
    name = "body.trunk.encoders.image.convolutions.0.weight"
    weight = model.get_parameter(name)

    class Value(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return term(view_of(self.model))

    value = Value()
    assert torch.autograd.gradcheck(
        lambda w: functional_call(value, {f"model.{name}": w}), weight.detach().requires_grad_()
    )


@pytest.mark.parametrize("momentum", [0.1, None])
def test_deltas_own_pass_leaves_running_statistics_as_they_are(momentum: float | None) -> None:
    model = small_model(norm=True)
    norm = model.get_submodule("body.trunk.encoders.image.convolutions.4")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.momentum = momentum
    term = begun(DELTA(), model)
    model.train()
    view = view_of(model)
    before = {n: b.clone() for n, b in model.named_buffers()}
    value = term(view)
    torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)
    assert norm.momentum == momentum
    assert norm.training
    assert value > 0  # statistics of the batch here, running ones at the start
    value.backward()


def test_delta_counts_only_rows_that_have_the_modality() -> None:
    model = small_model()
    for stages in ("all", "last"):
        term = begun(DELTA(stages=stages), model)
        moved(model)
        batch = batch_of(6)
        mask = torch.tensor([True, False, True, True, False, True])
        found = term(view_of(model, replace(batch, present={"image": mask})))
        expected = term(view_of(model, batch.select(mask.nonzero().flatten())))
        torch.testing.assert_close(found, expected)


# --- bss ------------------------------------------------------------------------------------------


def spectral(features: Tensor, k: int = 1) -> Tensor:
    outputs = {"target": Outputs({}, features, {})}
    return BSS(k=k)(StepView(nn.Identity(), {}, outputs, 0.0))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (1, 3)])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_bss_is_the_sum_of_the_smallest_squared_singular_values(
    shape: tuple[int, int], k: int
) -> None:
    torch.manual_seed(0)
    features = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    expected = torch.linalg.svdvals(features).square()[-k:].sum()
    torch.testing.assert_close(spectral(features, k), expected)
    assert torch.autograd.gradcheck(lambda f: spectral(f, k), features)
    found = torch.autograd.grad(spectral(features, k), features)
    torch.testing.assert_close(found, torch.autograd.grad(expected, features))


@pytest.mark.parametrize("features", [torch.eye(4), torch.zeros(4, 3), torch.ones(5, 3)])
def test_bss_has_a_finite_gradient_where_singular_values_repeat(features: Tensor) -> None:
    features = features.double().requires_grad_()
    value = spectral(features, 2)
    torch.testing.assert_close(value, torch.linalg.svdvals(features).square()[-2:].sum())
    (grad,) = torch.autograd.grad(value, features)
    assert grad.isfinite().all()
    # 2 σ u vᵀ summed: its squared norm is 4 Σ σ²
    torch.testing.assert_close(grad.square().sum(), 4 * value)


def test_bss_shrinks_feeble_directions_and_leaves_the_others() -> None:
    u, v = (torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0] for _ in range(2))
    s = torch.tensor([4.0, 3.0, 0.5, 0.1], dtype=torch.float64)
    features = (u * s @ v.T).requires_grad_()
    (grad,) = torch.autograd.grad(spectral(features, 2), features)
    after = torch.linalg.svdvals(features - 0.25 * grad)
    expected = torch.tensor([4.0, 3.0, 0.25, 0.05], dtype=torch.float64)
    torch.testing.assert_close(after, expected)


def test_bss_of_what_is_not_finite_is_not_finite() -> None:
    assert not spectral(torch.full((3, 2), float("nan"))).isfinite()


def test_bss_refuses_maps() -> None:
    with pytest.raises(UserError, match=r"terms\.bss: the features are maps"):
        spectral(torch.zeros(2, 3, 4, 4))
