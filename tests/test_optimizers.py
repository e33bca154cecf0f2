"""Optimizers take the steps of PyTorch's own code to the last digit, and without its compiler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from jlrun.optimizers import (
    MAX_TOGETHER,
    keep_out_of_compile,
    load_optimizer,
    stepper,
    update_together,
)

Make = Callable[..., torch.optim.Optimizer]
MAKERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((17, 5), (17,), (3, 17), ())
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def gradients(step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(p.shape, generator=generator) for p in parameters()]


def trained(make: Make, kernel: str | None) -> list[nn.Parameter]:
    """Return parameters after a few steps, in which one has no gradient at first.

    Args:
        make: makes the optimizer.
        kernel: ``ours``, ``fused``, or None: PyTorch's plain loop.
    """
    found = parameters()
    groups = [{"params": found[:1], "name": "body"}, {"params": found[1:2], "name": "head"}]
    optimizer = make([*groups, {"params": found[2:], "weight_decay": 0.3}])
    if kernel == "ours":
        update_together(optimizer)
    step = stepper(optimizer) if kernel == "ours" else optimizer.step
    for group in optimizer.param_groups if kernel == "fused" else ():
        group["fused"] = True
    for number in range(5):
        for parameter, gradient in zip(found, gradients(number), strict=True):
            parameter.grad = gradient
        if number < 2 and kernel != "fused":
            found[3].grad = None
        step()
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 2]
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_steps_are_those_of_pytorch(name: str) -> None:
    pairs = zip(trained(MAKERS[name], "ours"), trained(MAKERS[name], None), strict=True)
    for ours, theirs in pairs:
        if name in ("rmsprop", "adagrad"):
            assert torch.equal(ours, theirs)
        else:  # fused: in another order of rounding
            torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_fused_steps_are_those_of_pytorchs_fused_kernel_to_the_last_digit(name: str) -> None:
    pairs = list(zip(trained(MAKERS[name], "ours"), trained(MAKERS[name], "fused"), strict=True))
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs[:3])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_steps_follow_rates_and_states_that_change_between_them(name: str) -> None:
    results = []
    for ours in (True, False):
        found, others = parameters(), parameters()
        optimizer = MAKERS[name]([{"params": found[:2]}, {"params": found[2:]}])
        other = MAKERS[name]([{"params": others[:2]}, {"params": others[2:]}])
        for each in (optimizer, other):
            for group in each.param_groups:
                group["fused"] = True
        step = stepper(optimizer) if ours else optimizer.step
        for number in range(8):
            pairs = zip(found, others, gradients(number), strict=True)
            for parameter, another, gradient in pairs:
                parameter.grad, another.grad = gradient, -gradient
            optimizer.param_groups[0]["lr"] = 0.01 / (number + 1)
            optimizer.param_groups[1]["lr"] = 0.01 if number > 2 else 0.01 / (number + 1)
            other.step()
            if number == 4:  # what another one remembers, in the place of its own
                optimizer.load_state_dict(other.state_dict())
            if number == 6:
                for parameter, state in list(optimizer.state.items()):
                    optimizer.state[parameter] = {n: x.clone() for n, x in state.items()}
                optimizer.param_groups[1]["weight_decay"] = 0.7
            step()
        results.append(found)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True))


def test_what_the_config_sets_and_large_parameters_are_left_alone() -> None:
    asked = torch.optim.AdamW(parameters(), foreach=False)
    large = torch.optim.RMSprop([nn.Parameter(torch.zeros(MAX_TOGETHER + 1))])
    small = torch.optim.RMSprop(parameters())
    damped = torch.optim.SGD(parameters(), momentum=0.9, dampening=0.5)
    strided = torch.optim.AdamW([nn.Parameter(torch.zeros(4, 4)[:, :2])])
    fused = torch.optim.AdamW(parameters())
    optimizers = (asked, large, small, damped, strided, fused)
    for optimizer in optimizers:
        update_together(optimizer)
    found = [optimizer.param_groups[0] for optimizer in optimizers]
    assert [g["foreach"] for g in found] == [False, None, True, True, True, None]
    assert [g.get("fused") for g in found] == [None, None, None, None, None, True]


@pytest.mark.parametrize("name", MAKERS)
def test_gradients_of_other_strides_are_those_of_their_weights(name: str) -> None:
    results = []
    for ours in (True, False):
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(8, 4, 3, 3, generator=generator)
        found = nn.Parameter(weight.to(memory_format=torch.channels_last))
        optimizer = MAKERS[name]([found])
        if ours:
            update_together(optimizer)
        step = stepper(optimizer) if ours else optimizer.step
        for _ in range(3):
            found.grad = torch.randn(8, 4, 3, 3, generator=generator)
            step()
        results.append(found.detach())
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


class Twice(torch.optim.SGD):
    """Optimizer of a user, who has made its step another one."""

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        super().step(closure)
        return super().step(closure)


def test_step_of_an_optimizer_of_others_is_its_own() -> None:
    found = parameters()
    before = [p.detach().clone() for p in found]
    for parameter, gradient in zip(found, gradients(0), strict=True):
        parameter.grad = gradient
    stepper(Twice(found, lr=0.5))()
    for now, old, gradient in zip(found, before, gradients(0), strict=True):
        torch.testing.assert_close(now.detach(), old - gradient)


def test_optimizers_import_no_compiler() -> None:
    code = """
import sys, torch
from jlrun.optimizers import keep_out_of_compile, stepper
keep_out_of_compile()
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.AdamW([parameter])
parameter.grad = torch.ones(2)
stepper(optimizer)()
optimizer.load_state_dict(optimizer.state_dict())
assert float(parameter[0]) < 1
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_keeping_out_of_compile_twice_changes_nothing() -> None:
    keep_out_of_compile()
    keep_out_of_compile()
    optimizer = torch.optim.SGD(parameters(), lr=0.1)
    assert len(optimizer.state_dict()["param_groups"]) == 1


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_state_with_other_strides_is_loaded_as_the_parameter_lies(name: str) -> None:
    gradient = torch.arange(24.0).reshape(2, 3, 2, 2)

    def resumed(fused: bool) -> Tensor:
        last = nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
        before = MAKERS[name]([last])
        last.grad = gradient.to(memory_format=torch.channels_last)
        before.step()
        weight = nn.Parameter(last.detach().clone(memory_format=torch.contiguous_format))
        optimizer = MAKERS[name]([weight])
        load_optimizer(optimizer, before.state_dict())
        optimizer.param_groups[0]["fused"] = fused
        weight.grad = gradient.flip(0).contiguous()
        stepper(optimizer)()
        return weight.detach()

    torch.testing.assert_close(resumed(True), resumed(False), rtol=2e-6, atol=1e-7)
