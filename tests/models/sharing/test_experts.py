"""Experts and gates against the formulas of their papers, written out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jlrun.models.sharing import PLE, DSelectK, MMoE
from jlrun.models.sharing.dselect_k import SelectionGate, smooth_step
from jlrun.models.sharing.mmoe import Experts, Gate, mix
from jlrun.models.trunk import Trunk
from tests.models.sharing.small import batch_of, small_model, trunk_of

TASKS = ("digit", "parity")
ROWS = {"x": "numbers"}


def trunk() -> Trunk:
    return trunk_of({"x": "mlp"})


def features(count: int = 3) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(2))


def expert(module: nn.Module, x: Tensor) -> Tensor:
    """Return relu(Wx + b) of an expert of one layer."""
    weight, bias = module.parameters()
    return (x @ weight.T + bias).clamp(min=0)


def shares(gate: nn.Module, x: Tensor) -> Tensor:
    """Return exp(Vx) over its sum."""
    (v,) = gate.parameters()
    scores = (x @ v.T).exp()
    return scores / scores.sum(dim=1, keepdim=True)


def weighted(gate: Tensor, outputs: list[Tensor]) -> Tensor:
    return sum((gate[:, i : i + 1] * y for i, y in enumerate(outputs)), torch.zeros(()))


def test_mmoe_is_the_papers_equations() -> None:
    body, x = MMoE(trunk, TASKS, num_experts=3, hidden=(4,)), features()
    found = body.distribute(x, TASKS)
    for task in TASKS:
        outputs = [expert(e, x) for e in body.experts.experts]
        torch.testing.assert_close(found[task], weighted(shares(body.gates[task], x), outputs))


def test_mmoe_with_given_weights() -> None:
    """Two experts x and 2x of one positive number, gate scores 0 and ln 3: ¼·x + ¾·2x = 1.75 x."""
    experts, gate = Experts(2, 1, (1,)), Gate(1, 2)
    with torch.no_grad():
        for factor, module in zip((1.0, 2.0), experts.experts, strict=True):
            weight, bias = module.parameters()
            weight.fill_(factor)
            bias.zero_()
        gate.scores.weight.copy_(torch.tensor([[0.0], [math.log(3)]]))
    x = torch.ones(1, 1)
    torch.testing.assert_close(mix(gate(x), experts(x)), torch.tensor([[1.75]]))


def test_cgc_mixes_own_and_shared_experts() -> None:
    body, x = PLE(trunk, TASKS, levels=1, shared_experts=2, task_experts=1, hidden=(4,)), features()
    (level,) = body.levels
    found = body.distribute(x, TASKS)
    for task in TASKS:
        outputs = [expert(e, x) for e in (*level.own[task].experts, *level.shared.experts)]  # pyright: ignore
        torch.testing.assert_close(found[task], weighted(shares(level.gates[task], x), outputs))  # pyright: ignore
    assert level.shared_gate is None


def test_ple_by_hand() -> None:
    body, x = PLE(trunk, TASKS, levels=2, shared_experts=1, task_experts=2, hidden=(4,)), features()
    first, second = body.levels
    found = body.distribute(x, TASKS)

    def outputs(level: Any, group: str, y: Tensor) -> list[Tensor]:
        experts = level.shared if group == "shared" else level.own[group]
        return [expert(e, y) for e in experts.experts]

    of_all = [y for group in (*TASKS, "shared") for y in outputs(first, group, x)]
    shared = weighted(shares(first.shared_gate, x), of_all)  # pyright: ignore
    for task in TASKS:
        own = weighted(
            shares(first.gates[task], x),  # pyright: ignore
            [*outputs(first, task, x), *outputs(first, "shared", x)],
        )
        expected = weighted(
            shares(second.gates[task], own),  # pyright: ignore
            [*outputs(second, task, own), *outputs(second, "shared", shared)],
        )
        torch.testing.assert_close(found[task], expected)


def test_experts_read_every_pixel_of_maps_and_gates_their_mean() -> None:
    body, maps = MMoE(trunk, TASKS, hidden=(4,)), torch.randn(2, 5, 3, 2)
    found = body.distribute(maps, TASKS)["digit"]
    gate = shares(body.gates["digit"], maps.mean(dim=(2, 3)))
    pixel = weighted(gate, [expert(e, maps[:, :, 2, 1]) for e in body.experts.experts])
    assert found.shape == (2, 4, 3, 2)
    torch.testing.assert_close(found[:, :, 2, 1], pixel)


def test_experts_without_layers_pass_on_what_they_read() -> None:
    body, x = MMoE(trunk, TASKS, hidden=()), features()
    torch.testing.assert_close(body.distribute(x, TASKS)["digit"], x)
    assert body.out_features == 5


@pytest.mark.parametrize("gamma", [0.5, 1.0, 4.0])
def test_the_smooth_step_is_one_polynomial_between_two_constants(gamma: float) -> None:
    """Its value and slope fit at ±γ/2; by hand S(γ/4) = −1/32 + 3/8 + 1/2 = 27/32."""
    t = torch.tensor([-9.0, -gamma / 2, 0.0, gamma / 4, gamma / 2, 9.0], requires_grad=True)
    value = smooth_step(t, gamma)
    torch.testing.assert_close(value, torch.tensor([0.0, 0.0, 0.5, 27 / 32, 1.0, 1.0]))
    (slope,) = torch.autograd.grad(value.sum(), t)
    expected = torch.tensor([0.0, 0.0, 1.5 / gamma, 1.125 / gamma, 0.0, 0.0])
    torch.testing.assert_close(slope, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("number", range(4))
def test_a_binary_code_selects_the_expert_of_its_number(number: int) -> None:
    gate = SelectionGate(0, num_experts=4, num_selectors=1, gamma=1.0)
    with torch.no_grad():
        gate.z.copy_(torch.tensor([[5.0 if number >> bit & 1 else -5.0 for bit in range(2)]]))
    found, selections = gate(torch.zeros(2, 3))
    expected = torch.nn.functional.one_hot(torch.tensor([number, number]), 4).float()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(selections[:, 0], expected)


def test_selectors_are_mixed_by_their_scores() -> None:
    """Codes 01 and 10 with scores 0 and ln 3: a quarter of expert 1, three of expert 2."""
    gate = SelectionGate(0, num_experts=4, num_selectors=2, gamma=1.0)
    with torch.no_grad():
        gate.z.copy_(torch.tensor([[5.0, -5.0], [-5.0, 5.0]]))
        gate.scores.copy_(torch.tensor([0.0, math.log(3)]))
    found, _ = gate(torch.zeros(1, 3))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.25, 0.75, 0.0]]))


def body_with(gates: str, num_experts: int = 4) -> DSelectK:
    return DSelectK(
        trunk,
        TASKS,
        num_experts=num_experts,
        gates=gates,  # pyright: ignore
        entropy=0.5,
        hidden=(4,),
    )


def penalty_of(body: DSelectK) -> float:
    penalty = body.penalty()
    assert penalty is not None
    return float(penalty.detach())


def set_codes(body: DSelectK, value: float) -> None:
    with torch.no_grad():
        for gate in body.gates.values():
            gate.z.fill_(value)  # pyright: ignore


def test_the_entropy_is_that_of_the_selections() -> None:
    """Codes of 0 select four experts alike: ln 4 for each of 2 selectors of 2 tasks, times ½."""
    body = body_with("static")
    set_codes(body, 0.0)
    body.distribute(features(), TASKS)
    assert penalty_of(body) == pytest.approx(0.5 * 4 * math.log(4), rel=1e-4)
    assert body.penalty() is None
    set_codes(body, 5.0)
    body.distribute(features(), TASKS)
    assert penalty_of(body) == pytest.approx(0.0, abs=1e-5)


def test_numbers_without_an_expert_are_kept_off() -> None:
    """Three experts, codes of 0: r = ¼ each, entropy ¾ ln 4, and 1 / ¾ is added."""
    body = body_with("static", num_experts=3)
    set_codes(body, 0.0)
    body.distribute(features(), TASKS)
    expected = 0.5 * 4 * (0.75 * math.log(4) + 4 / 3)
    assert penalty_of(body) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("num_experts", [1, 2, 3, 5])
def test_any_number_of_experts(num_experts: int) -> None:
    body = body_with("per_example", num_experts)
    assert body.distribute(features(), TASKS)["digit"].shape == (3, 4)
    penalty = body.penalty()
    assert penalty is not None
    penalty.backward()
    codes = [gate.read_codes.weight.grad for gate in body.gates.values()]  # pyright: ignore
    assert all(grad is not None and grad.isfinite().all() and grad.any() for grad in codes)
    # The penalty is about what the selectors select, and not about how they are mixed.
    scores = [gate.read_scores.weight.grad for gate in body.gates.values()]  # pyright: ignore
    assert all(grad is None for grad in scores)


def test_gates_per_example_differ_between_rows_and_static_ones_do_not() -> None:
    x = features()
    for gates, differ in (("per_example", True), ("static", False)):
        found = body_with(gates).gates["digit"](x)[0]
        assert bool((found[0] != found[1]).any()) == differ


def test_the_penalty_makes_gates_sparse() -> None:
    """The point of the entropy (section 3.2): descending on it alone ends at one expert each."""
    torch.manual_seed(0)
    body = body_with("static")
    optimizer = torch.optim.Adam(body.gates.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        body.distribute(features(), TASKS)
        penalty = body.penalty()
        assert penalty is not None
        penalty.backward()
        optimizer.step()
    used = body.gates["digit"](features())[0] > 1e-3
    assert 1 <= int(used[0].sum()) <= 2


def test_evaluation_and_terms_of_no_step_leave_nothing_behind() -> None:
    model = small_model("dselect_k", ROWS, tasks=("sign", "largest"))
    model.eval()(_numbers())
    assert model.body.penalty() is None
    model.train()(_numbers())
    model.body.begin_step(0.1)
    assert model.body.penalty() is None


def _numbers() -> Any:
    from tests.toy import toy_batch

    return toy_batch()


def test_gates_read_features_and_not_the_input() -> None:
    """Parameters above the trunk are as many for large images as for small ones."""
    sizes = []
    for encoder in ("lenet", "audio_cnn"):
        model = small_model("mmoe", {"x": encoder})
        own = [p.numel() for n, p in model.body.named_parameters() if not n.startswith("trunk.")]
        sizes.append(sum(own))
        assert model(batch_of({"x": encoder})).logits["digit"].shape == (5, 3)
    assert sizes[0] == sizes[1]


def test_node_of_cgc_is_one_level() -> None:
    node: Mapping[str, Any] = {"_target_": "jlrun.models.sharing.PLE", "levels": 1}
    model = small_model(node, ROWS, tasks=("sign",))
    assert len(model.body.levels) == 1  # pyright: ignore
