"""MixStyle against its definition in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Beta

from jlrun.data.batch import Batch
from jlrun.models.sharing import Hard, MixStyle
from jlrun.models.sharing.mixstyle import EPSILON, mix_styles
from tests.models.sharing.small import TASKS, batch_of, inputs, trunk_of

CNN = {"image": "cnn"}


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(x: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Return what section 3.2 of the paper says, channel by channel."""
    mixed = torch.empty_like(x)
    for i, j in enumerate(partner.tolist()):
        for c in range(x.shape[1]):
            (mean, other_mean), (std, other_std) = (
                [f(x[k, c]) for k in (i, j)]
                for f in (torch.mean, lambda y: (y.var(correction=0) + EPSILON).sqrt())
            )
            gamma = share[i] * std + (1 - share[i]) * other_std
            beta = share[i] * mean + (1 - share[i]) * other_mean
            mixed[i, c] = gamma * (x[i, c] - mean) / std + beta
    return mixed


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (4, 2, 7)])
def test_the_definition(shape: tuple[int, ...]) -> None:
    x, partner = maps(*shape), torch.tensor([2, 0, 3, 1])
    share = torch.tensor([0.0, 0.3, 0.9, 1.0]).double()
    found = mix_styles(x, partner, share)
    torch.testing.assert_close(found, by_hand(x, partner, share))
    # the first row takes on its partner's style, the last keeps its own
    positions = tuple(range(2, x.ndim))
    for statistic in (torch.mean, torch.std):
        torch.testing.assert_close(
            statistic(found[0], dim=[d - 1 for d in positions]),
            statistic(x[2], dim=[d - 1 for d in positions]),
            rtol=1e-5,
            atol=1e-5,
        )
    torch.testing.assert_close(found[3], x[3])


def test_statistics_have_no_gradient() -> None:
    x, partner, share = (
        maps(3, 2, 4, 4).requires_grad_(),
        torch.tensor([1, 2, 0]),
        maps(3).sigmoid(),
    )
    (grad,) = torch.autograd.grad(mix_styles(x, partner, share).sum(), x)
    std = (x.detach().var(dim=(2, 3), correction=0, keepdim=True) + EPSILON).sqrt()
    s = share.view(3, 1, 1, 1)
    gamma = (s * std + (1 - s) * std[partner]) / std
    torch.testing.assert_close(grad, gamma.expand_as(x))


def test_constant_maps_stay_finite() -> None:
    x = torch.ones(2, 3, 4, 4)
    x[1] = maps(3, 4, 4).float()
    found = mix_styles(x, torch.tensor([1, 0]), torch.tensor([0.0, 0.5]))
    assert found.isfinite().all()


def made(p: float = 1.0, stages: tuple[int, ...] = (1, 2), seed: int = 0) -> MixStyle:
    torch.manual_seed(seed)
    body = MixStyle(lambda: trunk_of(CNN), TASKS, p=p, alpha=0.1, stages=stages)
    for module in body.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return body.double()


def doubled(count: int = 5) -> Batch:
    return Batch({"image": inputs("cnn", count).double()})


def hard() -> Hard:
    torch.manual_seed(0)
    return Hard(lambda: trunk_of(CNN), TASKS).double()


def test_it_has_the_names_and_the_outputs_of_hard_sharing() -> None:
    body, plain = made().eval(), hard().eval()
    plain.load_state_dict(body.state_dict())
    expected, found = plain(doubled(), TASKS).fused, body(doubled(), TASKS).fused
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("keys", [{"p": 0.0}, {"stages": (3, 9)}, {"stages": ()}])
def test_without_mixing_training_is_that_of_hard_sharing(keys: dict) -> None:
    body = made(**keys).train()
    evaluated = made(**keys).eval()
    torch.testing.assert_close(body(doubled(), TASKS).fused, evaluated(doubled(), TASKS).fused)


def test_styles_are_mixed_after_the_named_stages() -> None:
    body, batch = made(stages=(2,)).train(), doubled()
    torch.manual_seed(7)
    found = body(batch, TASKS).fused
    torch.manual_seed(7)
    torch.rand(())
    share, partner = Beta(0.1, 0.1).sample((5,)), torch.randperm(5)
    one, two, rest = body.trunk.stages("image")
    expected = rest.run(by_hand(two.run(one.run(batch.inputs["image"])), partner, share.double()))
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, made().eval()(batch, TASKS).fused)


def test_it_mixes_in_a_share_of_the_steps() -> None:
    body, batch = made(p=0.5, stages=(1,)).train(), doubled()
    plain = body.eval()(batch, TASKS).fused
    body.train()
    torch.manual_seed(0)
    same = [torch.allclose(body(batch, TASKS).fused, plain) for _ in range(60)]
    assert 15 < sum(same) < 45


def test_one_row_has_nobody_to_take_a_style_from() -> None:
    body = made().train()
    expected = made().eval()(doubled(1), TASKS).fused
    torch.testing.assert_close(body(doubled(1), TASKS).fused, expected)


def test_only_rows_that_have_the_modality_lend_their_style() -> None:
    body = made(stages=(1,)).train()
    batch, mask = doubled(), torch.tensor([True, False, True, True, False])
    filler = batch.inputs["image"].clone()
    filler[~mask] = 100.0
    found = []
    for x in (batch.inputs["image"], filler):
        torch.manual_seed(3)
        found.append(body(Batch({"image": x}, present={"image": mask}), TASKS).fused)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_vectors_have_no_style() -> None:
    torch.manual_seed(0)
    body = MixStyle(lambda: trunk_of({"x": "words"}), TASKS, p=1.0).train()
    batch = batch_of({"x": "words"})
    trained = body(batch, TASKS).fused
    torch.testing.assert_close(trained, body.eval()(batch, TASKS).fused)
