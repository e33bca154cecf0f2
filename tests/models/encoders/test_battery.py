"""Every option of ``conf/backbone`` passes the same checks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jlrun.config.build import build
from jlrun.config.slots import ENCODER
from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.models.encoders import DilatedResNet
from jlrun.models.encoders.base import Encoder, Tokens
from tests.models.encoders.tiny_bert import SUBWORDS, tiny_bert
from tests.options import option_node

CONF = Path(__file__).parents[3] / "conf" / "backbone"
# Slow for their size; the others stand for them when only fast tests run.
LARGE = {
    "convnext_tiny",
    "dilated_resnet",
    "efficientnet_v2_s",
    "resnet34",
    "resnet50",
    "swin_t",
    "vit_b_16",
}
DENSE = DilatedResNet  # yields maps
OWN = ["cnn", "lenet", "mlp"]


def options(modality: str) -> list[str]:
    return sorted(p.stem for p in (CONF / modality).glob("*.yaml") if p.stem[0] != "_")


def image_spec(channels: int, height: int, width: int) -> ImageSpec:
    return ImageSpec(channels, height, width, (0.5,) * channels, (0.25,) * channels)


# Options that need an extra, or a model from elsewhere.
EXTRAS = {"timm": "timm", "huggingface": "transformers"}


def make(modality: str, option: str, spec: Spec) -> Encoder:
    if option in EXTRAS:
        pytest.importorskip(EXTRAS[option])
    torch.manual_seed(0)
    node = option_node(f"backbone/{modality}", option)
    if option == "huggingface":
        folder = Path(tempfile.mkdtemp())
        tiny_bert(folder)
        node["name"] = str(folder)
        # Its texts are in subwords of its own tokenizer.
        spec = TextSpec(tuple(SUBWORDS[2:]), 1, "subword", str(folder))
    return build(node, ENCODER, spec)


def rows(spec: Spec, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    match spec:
        case ImageSpec():
            shape = (count, spec.channels, spec.height, spec.width)
            return torch.randn(shape, generator=generator)
        case AudioSpec():
            return torch.rand(count, spec.num_samples, generator=generator) - 0.5
        case TextSpec():
            return torch.randint(spec.num_tokens, (count, spec.length), generator=generator)
        case TabularSpec():
            return cells(spec, count, generator)
        case SeriesSpec():
            x = torch.randn(count, spec.length, spec.channels, generator=generator)
            x[torch.rand(x.shape, generator=generator) < 0.2] = torch.nan
            x[0, spec.length // 2 + 1 :] = torch.nan  # a shorter series
            return x


def cells(spec: TabularSpec, count: int, generator: torch.Generator) -> Tensor:
    numbers = torch.randn(count, len(spec.numbers), generator=generator)
    numbers[torch.rand(numbers.shape, generator=generator) < 0.2] = torch.nan
    levels = [
        torch.randint(len(names) + 1, (count, 1), generator=generator).float()
        for names in spec.levels
    ]
    return torch.cat([numbers, *levels], dim=1)


def check(encoder: Encoder, spec: Spec) -> None:
    """Run the battery on an encoder of a spec."""
    check_shapes_and_gradients(encoder, spec)
    check_state_round_trip(encoder, spec)
    check_rows_are_independent(encoder, spec)
    check_tokens(encoder, spec)
    check_padding(encoder, spec)
    check_float64(encoder, spec)


def check_shapes_and_gradients(encoder: Encoder, spec: Spec) -> None:
    for count in (1, 3):
        encoder.train().zero_grad(set_to_none=True)
        features = encoder(rows(spec, count))
        assert features.shape[:2] == (count, encoder.out_features)
        assert features.ndim == (4 if isinstance(encoder, DENSE) else 2)
        assert features.isfinite().all()
        features.sum().backward()
        without = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
        assert not without, without
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@torch.no_grad()
def check_state_round_trip(encoder: Encoder, spec: Spec) -> None:
    x = rows(spec, 2)
    encoder.eval()
    before = encoder(x)
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    for parameter in encoder.parameters():
        parameter.add_(1.0)
    # a plain dict, as read from safetensors: no metadata of PyTorch's own
    encoder.load_state_dict(state)
    torch.testing.assert_close(encoder(x), before, rtol=0, atol=0)


@torch.no_grad()
def check_rows_are_independent(encoder: Encoder, spec: Spec) -> None:
    x = rows(spec, 3)
    encoder.eval()
    torch.testing.assert_close(encoder(x[1:2]), encoder(x)[1:2], rtol=1e-3, atol=1e-3)


def check_tokens(encoder: Encoder, spec: Spec) -> None:
    """Pooled tokens are the features, in training too, and every parameter learns through both."""
    for count, training in ((1, True), (3, True), (1, False), (3, False)):
        encoder.train(training).zero_grad(set_to_none=True)
        x = rows(spec, count)
        torch.manual_seed(1)
        features = encoder(x)
        torch.manual_seed(1)
        tokens = encoder.encode_tokens(x)
        length = tokens.values.shape[1]
        assert tokens.values.shape == (count, length, encoder.token_features)
        assert tokens.values.isfinite().all()
        if tokens.padding is not None:
            assert tokens.padding.shape == (count, length)
            assert tokens.padding.dtype == torch.bool
            assert not tokens.padding.all(dim=1).any()
        pooled = encoder.pool(tokens)
        torch.testing.assert_close(pooled, features, rtol=1e-4, atol=1e-5)
        pooled.sum().backward()
        without = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
        assert not without, without


@torch.no_grad()
def check_padding(encoder: Encoder, spec: Spec) -> None:
    """A text or series has the features that it has without the padding behind it."""
    if not isinstance(spec, TextSpec | SeriesSpec) or spec.length < 2:
        return
    x, length = rows(spec, 3), spec.length // 2
    x[:, length:] = 0 if isinstance(spec, TextSpec) else torch.nan
    encoder.eval()
    torch.testing.assert_close(encoder(x), encoder(x[:, :length]), rtol=1e-4, atol=1e-5)
    tokens = encoder.encode_tokens(x)
    assert tokens.padding is not None
    noise = tokens.values + 100.0 * tokens.padding[:, :, None]
    torch.testing.assert_close(encoder.pool(Tokens(noise, tokens.padding)), encoder(x))


@torch.no_grad()
def check_float64(encoder: Encoder, spec: Spec) -> None:
    x = rows(spec, 2)
    encoder.eval()
    single = encoder(x)
    double = encoder.double()(x.double() if x.is_floating_point() else x)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=pytest.mark.slow if option in LARGE else ())
        for option in options("image")
    ],
)
def test_image(option: str) -> None:
    spec = image_spec(1, 8, 8)
    check(make("image", option, spec), spec)


@pytest.mark.parametrize("size", [(3, 1, 1), (1, 12, 12), (3, 32, 32), (4, 9, 17)], ids=str)
@pytest.mark.parametrize("option", [*OWN, "mobilenet_v3_small", "resnet18", "shufflenet_v2_x1_0"])
def test_image_of_size(option: str, size: tuple[int, int, int]) -> None:
    spec = image_spec(*size)
    check_shapes_and_gradients(make("image", option, spec), spec)


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 224, 224)], ids=str)
@pytest.mark.parametrize("option", OWN)
def test_large_image(option: str, size: tuple[int, int, int]) -> None:
    spec = image_spec(*size)
    check_shapes_and_gradients(make("image", option, spec), spec)


@pytest.mark.parametrize("option", options("audio"))
@pytest.mark.parametrize(
    "spec", [AudioSpec(4000, 8000), AudioSpec(100, 8000), AudioSpec(8000, 44100)], ids=str
)
def test_audio(option: str, spec: AudioSpec) -> None:
    check(make("audio", option, spec), spec)


@pytest.mark.parametrize("option", options("text"))
@pytest.mark.parametrize(
    "spec",
    [
        TextSpec(("one", "two"), 1),
        TextSpec(("a",), 7),
        TextSpec(("a", "b"), 7, idf=(1.0, 2.0), pairs=((3, 2), (2, 2)), pair_idf=(1.5, 2.0)),
    ],
    ids=str,
)
def test_text(option: str, spec: TextSpec) -> None:
    check(make("text", option, spec), spec)


TABLES = {
    "numbers": TabularSpec(("a", "b", "c"), (0.0,) * 3, (1.0,) * 3),
    "categories": TabularSpec((), (), (), ("k",), (("x", "y"),)),
    "both": TabularSpec(("a",), (0.0,), (1.0,), ("k", "l"), (("x", "y"), ("u",))),
}


@pytest.mark.parametrize("option", options("tabular"))
@pytest.mark.parametrize("kind", TABLES)
def test_tabular(option: str, kind: str) -> None:
    check(make("tabular", option, TABLES[kind]), TABLES[kind])


@pytest.mark.parametrize("option", options("series"))
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (40, 2)], ids=str)
def test_series(option: str, shape: tuple[int, int]) -> None:
    length, channels = shape
    spec = SeriesSpec(length, channels, (0.0,) * channels, (1.0,) * channels)
    check(make("series", option, spec), spec)
