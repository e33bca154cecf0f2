"""Statistics of the target in BatchNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.adaptation import AdaBN
from jlrun.objective.terms.adaptation.adabn import estimate_batch_norm
from tests.objective.terms.adaptation.domains import (
    DIGIT,
    begun,
    drawn_view,
    number,
    rows,
    small_model,
    stream,
)

HEADS = ("digit",)


def normed() -> tuple[JointModel, nn.BatchNorm2d]:
    model = small_model(norm=True, specs=DIGIT).eval()
    (norm,) = (m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    return model, norm


def with_a_second_layer(model: JointModel) -> nn.BatchNorm2d:
    """Put a convolution with BatchNorm on top of the convolutions, and return the latter."""
    second = nn.BatchNorm2d(3)
    encoder = cast(Any, model.body).trunk.encoders["image"]
    encoder.convolutions.append(nn.Sequential(nn.Conv2d(3, 3, 1), second).double())
    model.eval()
    return second


def statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return copies of the running mean and variance."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean.clone(), norm.running_var.clone()


def seen_by(model: JointModel, norm: nn.Module, batches: Sequence[Batch]) -> Tensor:
    """Return what a layer sees, ``(C, values)``."""
    seen: list[Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    for batch in batches:
        model(batch)
    hook.remove()
    return torch.cat(seen).transpose(0, 1).flatten(1)


@pytest.mark.parametrize("sizes", [(13,), (5, 5, 3), (2, 11)])
def test_mean_and_variance_of_all_rows_whatever_the_batches(sizes: tuple[int, ...]) -> None:
    model, norm = normed()
    index = torch.arange(13).split(list(sizes))
    batches = [rows(13, 2).fetch(i) for i in index]
    x = seen_by(model, norm, batches)
    estimate_batch_norm(model, batches, HEADS)
    torch.testing.assert_close(statistics(norm), (x.mean(dim=1), x.var(dim=1)))


def test_one_batch_is_what_pytorch_estimates() -> None:
    (model, norm), (other, reference) = normed(), normed()
    batch = rows(13, 2).fetch(torch.arange(13))
    estimate_batch_norm(model, [batch], HEADS)
    reference.momentum = None  # a cumulative average
    reference.reset_running_stats()
    other.train()(batch)
    torch.testing.assert_close(statistics(norm), statistics(reference))


def test_layers_above_see_rows_normalised_by_their_batch() -> None:
    model, norm = normed()
    second = with_a_second_layer(model)
    batches = [rows(12, 2).fetch(i) for i in torch.arange(12).split(6)]
    estimate_batch_norm(model, batches, HEADS)
    norm.train()
    x = seen_by(model, second, batches)
    torch.testing.assert_close(statistics(second), (x.mean(dim=1), x.var(dim=1)))


def test_all_else_stays() -> None:
    model, norm = normed()
    idle = nn.BatchNorm1d(2)  # of an encoder that the target doesn't use
    model.add_module("idle", idle)
    model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    term = begun(AdaBN(), specs=DIGIT, model=model)
    term.before_evaluation(model, {"target": stream("target")})
    changed = {n for n, x in model.state_dict().items() if not torch.equal(x, before[n])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var"}
    assert len(changed) == 2
    assert norm.track_running_stats
    assert not any(module.training for module in model.modules())
    assert not norm._forward_pre_hooks


def test_modes_come_back_after_an_error() -> None:
    model, norm = normed()
    with pytest.raises(KeyError):
        estimate_batch_norm(model, [rows(4, 0).fetch(torch.arange(4))], ("missing",))
    assert norm.track_running_stats
    assert not norm.training
    assert not norm._forward_pre_hooks


def test_it_is_always_the_same_and_of_the_target_alone() -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model, norm = normed()
        term = begun(AdaBN(), specs=DIGIT, model=model)
        for _ in range(2):
            term.before_evaluation(model, {"target": stream("target"), "source": stream("source")})
            found.append(torch.stack(statistics(norm)))
    assert all(torch.equal(other, found[0]) for other in found)


def test_a_last_row_alone_is_left_out() -> None:
    # 11 rows in batches of 5: the last of the order would have no variance in a flat layer.
    model, norm = normed()
    data = rows(11, 3)
    target = stream("target", data=data)
    begun(AdaBN(), specs=DIGIT, model=model).before_evaluation(model, {"target": target})
    x = seen_by(model, norm, [data.fetch(target.order(0)[:10])])
    torch.testing.assert_close(statistics(norm)[0], x.mean(dim=1))


def test_rows_in_the_order_of_their_classes_are_mixed() -> None:
    """Batches of one class each would tell the layers above that there are no differences."""
    model, _ = normed()
    second = with_a_second_layer(model)
    x = rows(40, 0).fetch(torch.arange(40)).inputs["image"]
    shades = torch.linspace(0, 8, 4, dtype=torch.float64).repeat_interleave(10)
    data = TensorRows({"image": 0.1 * x + shades[:, None, None, None]}, {})
    target = stream("target", data=data, batch_size=10)
    begun(AdaBN(), specs=DIGIT, model=model).before_evaluation(model, {"target": target})
    mixed = statistics(second)[1]
    estimate_batch_norm(model, list(target.sweep()), HEADS)  # a class at a time
    by_class = statistics(second)[1]
    estimate_batch_norm(model, [data.fetch(torch.arange(40))], HEADS)
    at_once = statistics(second)[1]
    assert ((mixed / at_once).log().abs() < 0.15).all()
    assert ((by_class / at_once).log().abs() > 0.25).all()


def test_it_trains_nothing() -> None:
    term = begun(AdaBN())
    assert number(term(drawn_view())) == 0
    assert not term.state_dict()


def test_a_model_without_batch_norm_is_refused() -> None:
    AdaBN().check(small_model(norm=True))
    with pytest.raises(UserError, match=r"terms\.adabn: the model has no BatchNorm"):
        AdaBN().check(small_model())
