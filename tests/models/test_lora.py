"""Adapters change nothing at first, train alone, and merge without a trace."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from jlrun.errors import UserError
from jlrun.models.lora import LoRALinear, add_lora, is_lora_parameter, merge_lora

EVERYTHING = ""


LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (4, 6)),
    "linear without bias": (lambda: nn.Linear(6, 5, bias=False), (4, 6)),
    "convolution 1d": (lambda: nn.Conv1d(4, 6, 3, stride=2), (2, 4, 9)),
    "convolution 2d": (lambda: nn.Conv2d(4, 6, 3, padding=1, dilation=2), (2, 4, 7, 8)),
    "convolution 3d": (lambda: nn.Conv3d(2, 3, 2, bias=False), (2, 2, 4, 4, 4)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 7, 8)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), (2, 4, 5, 5)),
    "circular padding": (
        lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
        (2, 4, 7, 8),
    ),
}


def randomise(model: nn.Module) -> None:
    """Give adapters values as after training."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if is_lora_parameter(name):
                parameter.normal_()


def attention(x: Tensor) -> nn.Module:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.mix(x, x, x)[0]

    return Mixer().to(x.dtype)


@pytest.mark.parametrize("layer", LAYERS)
def test_outputs_at_first_are_those_without_adapters(layer: str) -> None:
    make, shape = LAYERS[layer]
    model = nn.Sequential(make())
    x = torch.randn(shape)
    before = model(x)
    add_lora(model, rank=2, pattern=EVERYTHING, dropout=0.5)
    assert torch.equal(model.eval()(x), before)
    torch.testing.assert_close(model.train()(x), before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_weight_is_w_plus_scaled_b_a(layer: str) -> None:
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    model = make().double()
    x = torch.randn(shape, dtype=torch.float64)
    add_lora(model, rank=2, alpha=3.0, pattern=EVERYTHING)
    randomise(model)
    oracle = make().double()
    state = dict(model.state_dict())
    a, b = state.pop("lora_a"), state.pop("lora_b")
    state["weight"] = state["weight"] + 1.5 * (b @ a).view(state["weight"].shape)
    oracle.load_state_dict(state)
    torch.testing.assert_close(model(x), oracle(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("layer", [*LAYERS, "attention"])
def test_merging_keeps_outputs_and_restores_layers(
    layer: str, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    x = torch.randn(LAYERS.get(layer, (None, (2, 5, 8)))[1], dtype=dtype)
    model = attention(x) if layer == "attention" else nn.Sequential(LAYERS[layer][0]().to(dtype))
    plain = copy.deepcopy(model)
    names = add_lora(model, rank=2, pattern=EVERYTHING)
    randomise(model)
    adapted = model.eval()(x)
    assert merge_lora(model) == names
    torch.testing.assert_close(model(x), adapted, rtol=tolerance, atol=tolerance)
    assert [type(m) for m in model.modules()] == [type(m) for m in plain.modules()]
    assert list(model.state_dict()) == list(plain.state_dict())
    for ours, theirs in zip(model.modules(), plain.modules(), strict=True):
        assert vars(ours).keys() == vars(theirs).keys()
    assert merge_lora(model) == ()


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_fast_paths_of_transformers_see_the_adapters(train: bool, grad: bool) -> None:
    """In evaluation without gradients PyTorch's layer reads weights and calls no inner layer."""
    torch.manual_seed(0)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).double()
    names = add_lora(layer, rank=2, pattern=EVERYTHING)
    assert set(names) == {
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
    }
    randomise(layer)
    with torch.set_grad_enabled(grad):
        adapted = layer.train(train)(x)
    merge_lora(layer)
    torch.testing.assert_close(layer.train()(x), adapted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layer", [*LAYERS, "attention"])
def test_gradients_are_right(layer: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(LAYERS.get(layer, (None, (1, 3, 8)))[1], dtype=torch.float64)
    model = attention(x) if layer == "attention" else LAYERS[layer][0]().double()
    add_lora(model, rank=2, pattern=EVERYTHING)
    randomise(model)
    adapters = {n: p for n, p in model.named_parameters() if is_lora_parameter(n)}

    def outputs(*values: Tensor) -> Tensor:
        return functional_call(model, dict(zip(adapters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(outputs, tuple(adapters.values()), fast_mode=True)


def small_network() -> nn.Module:
    body = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 4 * 4, 6)
    )
    return nn.ModuleDict({"body": body, "heads": nn.ModuleDict({"digit": nn.Linear(6, 2)})})


def test_pattern_chooses_and_names_of_weights_stay() -> None:
    model = small_network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert add_lora(model, rank=2) == ("body.0.weight", "body.3.weight")
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
    added = set(state) - set(before)
    assert added == {f"body.{i}.lora_{x}" for i in (0, 3) for x in "ab"}
    assert {n for n, _ in model.named_parameters() if is_lora_parameter(n)} == added
    assert all(is_lora_parameter(name) for name in added)
    assert not any(is_lora_parameter(name) for name in before)
    missing, unexpected = model.load_state_dict(before, strict=False)
    assert set(missing) == added
    assert not unexpected


def test_adding_again_adapts_other_layers_only() -> None:
    model = small_network()
    add_lora(model, rank=2)
    assert add_lora(model, rank=2, pattern=EVERYTHING) == ("heads.digit.weight",)


def test_training_adapters_alone_changes_the_merged_weight_by_a_matrix_of_that_rank() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 7).double()
    before = model.weight.detach().clone()
    add_lora(model, rank=2, pattern=EVERYTHING)
    adapters = [p for n, p in model.named_parameters() if is_lora_parameter(n)]
    optimizer = torch.optim.SGD(adapters, lr=0.1)
    x, y = torch.randn(16, 8).double(), torch.randn(16, 7).double()
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    merge_lora(model)
    singular = torch.linalg.svdvals(model.weight.detach() - before)
    assert singular[1] > 1e-3
    assert singular[2] < 1e-12


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(nn.Linear(3, 9), 3), (nn.Linear(9, 2), 2), (nn.Conv2d(4, 40, 3, groups=4), 9)],
)
def test_rank_is_at_most_that_of_the_layer(layer: nn.Module, expected: int) -> None:
    add_lora(layer, rank=16, pattern=EVERYTHING)
    state = layer.state_dict()
    assert state["lora_a"].shape[0] == state["lora_b"].shape[1] == expected


def test_dropout_hides_inputs_from_the_adapter_only() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(50, 3)
    x = torch.ones(400, 50)
    plain = layer(x)
    add_lora(layer, rank=2, pattern=EVERYTHING, dropout=0.5)
    randomise(layer)
    change = layer.eval()(x) - plain
    noisy = layer.train()(x) - plain
    assert noisy.std(dim=0).min() > 0.1
    error = (noisy.mean(dim=0) - change[0]).abs()
    assert (error < 5 * noisy.std(dim=0) / 400**0.5).all()  # unbiased
    with torch.no_grad():
        layer.get_parameter("lora_b").zero_()
    torch.testing.assert_close(layer(x), plain)


def test_copies_are_independent_and_survive_pickling() -> None:
    torch.manual_seed(0)
    model = small_network()
    add_lora(model, rank=2)
    randomise(model)
    x = torch.randn(2, 3, 6, 6)
    body = model.get_submodule("body").eval()
    other = copy.deepcopy(body)
    loaded = pickle.loads(pickle.dumps(body))
    before = body(x)
    assert torch.equal(other(x), before)
    assert torch.equal(loaded(x), before)
    merge_lora(other)
    randomise(other)
    assert torch.equal(body(x), before)
    assert isinstance(body.get_submodule("3"), LoRALinear)


def test_state_loads_into_another_model_with_adapters() -> None:
    torch.manual_seed(0)
    one, two = small_network(), small_network()
    add_lora(one, rank=2)
    add_lora(two, rank=2)
    randomise(one)
    two.load_state_dict(one.state_dict())
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(one.get_submodule("body")(x), two.get_submodule("body")(x))


def test_adapters_follow_the_layer_to_another_type() -> None:
    layer = nn.Linear(4, 3).double()
    add_lora(layer, rank=2, pattern=EVERYTHING)
    assert all(p.dtype == torch.float64 for p in layer.parameters())
    layer.to(torch.bfloat16)
    assert all(p.dtype == torch.bfloat16 for p in layer.parameters())
    assert layer(torch.randn(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    merge_lora(layer)
    assert layer.weight.dtype == torch.bfloat16


def test_works_under_bfloat16_autocast() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    add_lora(layer, rank=2, pattern=EVERYTHING, dropout=0.2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(torch.randn(2, 3, 4, 4)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_attention_of_other_widths_adapts_its_output_only() -> None:
    layer = nn.MultiheadAttention(8, 2, kdim=4, vdim=6)
    assert add_lora(layer, rank=2, pattern=EVERYTHING) == ("out_proj.weight",)


class Doubling(nn.Linear):
    """A layer of a user's own, whose forward means something else."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def test_subclasses_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2), Doubling(2, 2))
    assert add_lora(model, pattern=EVERYTHING) == ("0.weight",)


def test_shared_weights_are_left_alone() -> None:
    """Merged, the change would reach the other layer too."""
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5))
    model[2].weight = model[0].weight
    assert add_lora(model, pattern=EVERYTHING) == ("1.weight",)


def test_a_weight_put_in_by_a_functional_call_is_adapted_too() -> None:
    layer, other = nn.Linear(4, 3), nn.Linear(4, 3)
    x = torch.randn(2, 4)
    plain = layer(x)
    add_lora(layer, rank=2, pattern=EVERYTHING)
    randomise(layer)
    change = layer(x) - plain
    found = functional_call(layer, {"weight": other.weight, "bias": other.bias}, (x,))
    torch.testing.assert_close(found, other(x) + change)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "^nowhere"}, "lora.pattern: '^nowhere' matches no weight .*'body.0.weight'"),
        ({"pattern": "("}, r"lora.pattern: '\(' is not a regular expression"),
        ({"rank": 0}, "lora.rank: 0"),
        ({"dropout": 1.0}, "lora.dropout: 1"),
    ],
)
def test_mistakes_are_explained(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("'^", r"'\^")):
        add_lora(small_network(), **options)  # pyright: ignore[reportArgumentType]


def test_model_without_layers() -> None:
    with pytest.raises(UserError, match="has no linear"):
        add_lora(nn.BatchNorm1d(3))
