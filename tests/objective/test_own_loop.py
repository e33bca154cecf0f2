"""`jlrun.objective.backward`: gradients of a user's own model by a weighting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.objective import backward
from jlrun.objective.weightings import (
    DWA,
    IMTLG,
    Equal,
    GradientWeighting,
    PCGrad,
    SDMGrad,
    TaskGradients,
    Uncertainty,
    Weighting,
)

TASKS = ("a", "b", "c")
WEIGHTS = torch.tensor([0.5, 2.0, -1.0], dtype=torch.float64)
# Ways of naming what tasks share: of a model and its features.
SHARED: dict[str, Callable[[nn.Module, Tensor], Tensor | Sequence[Tensor]]] = {
    "features": lambda trunk, features: features,
    "parameters": lambda trunk, features: list(trunk.parameters()),
}


class Known(GradientWeighting):
    """Σ w_i g_i of known weights."""

    def forward(self, gradients: TaskGradients) -> Tensor:
        self.last_weights = WEIGHTS.to(self.last_weights)
        return WEIGHTS @ gradients.jacobian


class Model:
    """Two layers that tasks share and a head for each, in float64, on fixed rows."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        kinds = {"dtype": torch.float64}
        self.trunk = nn.Sequential(nn.Linear(4, 6, **kinds), nn.Tanh(), nn.Linear(6, 5, **kinds))
        self.heads = nn.ModuleDict({task: nn.Linear(5, 1, **kinds) for task in TASKS})
        self.x = torch.randn(7, 4, **kinds)

    def losses(self, rows: slice = slice(None)) -> tuple[Tensor, dict[str, Tensor]]:
        features = self.trunk(self.x[rows])
        heads = enumerate(self.heads.items())
        return features, {task: (head(features) - i).square().mean() for i, (task, head) in heads}

    def gradients(self) -> dict[str, Tensor]:
        named = [*self.trunk.named_parameters("trunk"), *self.heads.named_parameters("heads")]
        return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in named}


def plain(weigh: Callable[[list[Tensor]], Tensor]) -> dict[str, Tensor]:
    """Return the gradients of a scalar of the losses."""
    model = Model()
    weigh(list(model.losses()[1].values())).backward()
    return model.gradients()


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("weighted_heads", [False, True])
def test_known_weights_give_the_gradient_of_the_weighted_sum(
    shared: str, weighted_heads: bool
) -> None:
    model = Model()
    features, losses = model.losses()
    places = SHARED[shared](model.trunk, features)
    backward(losses, Known(TASKS), places, weighted_heads=weighted_heads)
    found = model.gradients()
    weighted = plain(lambda losses: (WEIGHTS * torch.stack(losses)).sum())
    summed = plain(lambda losses: torch.stack(losses).sum())
    for name, gradient in found.items():
        of_heads = name.startswith("heads") and not weighted_heads
        torch.testing.assert_close(gradient, (summed if of_heads else weighted)[name])


def test_gradients_are_added_and_nothing_stays_behind() -> None:
    model = Model()
    for _ in range(2):
        features, losses = model.losses()
        backward(losses, Known(TASKS), features)
    twice = model.gradients()
    features, losses = model.losses()
    torch.stack(list(losses.values())).sum().backward()  # by no weighting: no hook is left
    summed, once = plain(lambda losses: torch.stack(losses).sum()), Model()
    backward(once.losses()[1], Known(TASKS), once.trunk.parameters())
    for name, gradient in once.gradients().items():
        torch.testing.assert_close(twice[name], 2 * gradient)
        torch.testing.assert_close(model.gradients()[name], 2 * gradient + summed[name])


def test_pcgrad_is_that_of_its_paper_for_two_tasks() -> None:
    """Algorithm 1 for g_a·g_b < 0: each loses its component along the other."""
    g = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    backward({"a": g[0] @ w, "b": g[1] @ w}, PCGrad(("a", "b")), [w])
    dot = g[0] @ g[1]
    expected = g[0] - dot / g[1].square().sum() * g[1] + g[1] - dot / g[0].square().sum() * g[0]
    assert w.grad is not None
    torch.testing.assert_close(w.grad, expected)


def test_it_is_the_backward_pass_of_torchjd() -> None:
    pytest.importorskip("torchjd", reason="needs torchjd")
    from torchjd.aggregation import IMTLG as TheirIMTLG
    from torchjd.autojac import jac_to_grad, mtl_backward

    ours, theirs = Model(), Model()
    backward(ours.losses()[1], IMTLG(TASKS), ours.trunk.parameters())
    features, losses = theirs.losses()
    mtl_backward(list(losses.values()), features=features)
    jac_to_grad(theirs.trunk.parameters(), TheirIMTLG())
    for name, gradient in ours.gradients().items():
        torch.testing.assert_close(gradient, theirs.gradients()[name], rtol=1e-5, atol=1e-7)


def test_losses_alone_go_back_once_and_teach_the_weighting() -> None:
    model, weighting = Model(), Uncertainty(TASKS).double()
    backward(model.losses()[1], weighting)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in weighting.parameters())
    model = Model()
    backward(model.losses()[1], Equal(TASKS), labelled={"b": False})
    expected = plain(lambda losses: losses[0] + losses[2])
    for name, gradient in model.gradients().items():
        torch.testing.assert_close(gradient, expected[name])


def test_samples_are_parts_of_a_batch() -> None:
    model = Model()
    parts = [model.losses(slice(i, i + 2))[1] for i in range(SDMGrad.num_samples)]
    backward(parts, SDMGrad(TASKS), model.trunk.parameters())
    assert all(gradient.isfinite().all() for gradient in model.gradients().values())
    with pytest.raises(UserError, match=f"SDMGrad compares {SDMGrad.num_samples} parts of a batch"):
        backward(parts[0], SDMGrad(TASKS), model.trunk.parameters())
    features, losses = model.losses()
    with pytest.raises(UserError, match="of different rows: pass the shared parameters"):
        backward([losses] * SDMGrad.num_samples, SDMGrad(TASKS), features)


@pytest.mark.parametrize(
    ("losses", "weighting", "message"),
    [
        ({"a": torch.ones(())}, PCGrad(("a", "b")), r"losses: are of a; the weighting has a, b"),
        ({"a": torch.ones(2)}, DWA(("a",)), r"losses\.a: expected a scalar tensor, not .* \(2,\)"),
        ({"a": torch.ones(())}, PCGrad(("a",)), "shared: PCGrad compares gradients of tasks: pass"),
    ],
)
def test_what_is_wrong_is_one_line(
    losses: dict[str, Tensor], weighting: Weighting, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        backward(losses, weighting)
    assert "\n" not in str(caught.value)
