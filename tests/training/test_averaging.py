"""Weight averages against a loop written by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jlrun.training.averaging import NoAverage, WeightAverage


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(dtype)


def step(model: nn.Module) -> None:
    """Change weights and statistics as a training step does."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    model.train()(torch.randn(5, 3, dtype=next(model.parameters()).dtype))


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_it_is_the_recursion(decay: float) -> None:
    model, average = network(), WeightAverage(decay)
    history = []
    for _ in range(7):
        step(model)
        average.update(model)
        history.append(copied(model))
    expected = dict(history[0])
    for t, weights in enumerate(history[1:], start=1):
        d = min(decay, 1 - (1 + t) ** (-2 / 3))
        for name in weights:
            if name.endswith("num_batches_tracked"):
                expected[name] = weights[name]
            else:
                expected[name] = d * expected[name] + (1 - d) * weights[name]
    with average.applied(model):
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-12, atol=1e-12)
    if decay == 0.999:  # still warming up: the average is not the last weights
        assert not torch.allclose(expected["0.weight"], history[-1]["0.weight"], atol=0.1)


def test_the_weights_come_back_exactly_even_after_an_error() -> None:
    model, average = network(), WeightAverage()
    for _ in range(3):
        step(model)
        average.update(model)
    before = copied(model)
    identities = [id(p) for p in model.parameters()]

    def fail() -> None:
        with average.applied(model):
            assert not torch.equal(model.state_dict()["0.weight"], before["0.weight"])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [id(p) for p in model.parameters()] == identities


def test_resumed_is_uninterrupted() -> None:
    model, whole = network(), WeightAverage(0.9)
    resumed = WeightAverage(0.9)
    for number in range(6):
        step(model)
        whole.update(model)
        if number == 2:
            resumed.load_state_dict(whole.state_dict())
        elif number > 2:
            resumed.update(model)
    one, two = whole.state_dict(), resumed.state_dict()
    assert one["steps"] == two["steps"] == 6
    assert all(torch.equal(tensor, two["average"][name]) for name, tensor in one["average"].items())


def test_what_is_loaded_is_a_copy() -> None:
    model, one, two = network(), WeightAverage(), WeightAverage()
    one.update(model)
    two.load_state_dict(one.state_dict())
    before = one.state_dict()["average"]["0.weight"].clone()
    step(model)
    two.update(model)
    assert torch.equal(one.state_dict()["average"]["0.weight"], before)


def test_half_precision_is_averaged_in_single() -> None:
    """1 − 0.999 of a unit is below the spacing of bfloat16, so nothing would ever move."""
    model, average = nn.Linear(1, 1, bias=False).to(torch.bfloat16), WeightAverage(0.999)
    average.load_state_dict({"steps": 10**9, "average": {"weight": torch.ones(1, 1)}})
    with torch.no_grad():
        model.weight.fill_(2.0)
    for _ in range(1000):
        average.update(model)
    found = average.state_dict()["average"]["weight"]
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(2 - 0.999**1000, rel=1e-4)
    with average.applied(model):
        assert model.weight.dtype == torch.bfloat16
        assert model.weight.item() == pytest.approx(2 - 0.999**1000, rel=1e-2)


@pytest.mark.parametrize("average", [NoAverage(), WeightAverage()])
def test_before_the_first_step_the_model_is_itself(average: NoAverage | WeightAverage) -> None:
    model = network()
    before = copied(model)
    with average.applied(model):
        assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_no_average_remembers_nothing() -> None:
    model, average = network(), NoAverage()
    average.update(model)
    average.load_state_dict(average.state_dict())
    step(model)
    last = copied(model)
    with average.applied(model):
        assert all(torch.equal(t, last[n]) for n, t in model.state_dict().items())
    assert average.state_dict() == {}
