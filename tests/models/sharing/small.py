"""Small models that tasks share in any way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from jlrun.config.build import build
from jlrun.config.slots import SHARING
from jlrun.data.batch import Batch
from jlrun.data.specs import AudioSpec, ImageSpec, TextSpec
from jlrun.models.encoders import CNN, MLP, AudioCNN, BagOfEmbeddings, Encoder, LeNet, Torchvision
from jlrun.models.encoders.base import Stage
from jlrun.models.fusions import Single
from jlrun.models.fusions.base import Fusion
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Sharing
from jlrun.models.trunk import Trunk

FOLDER = Path(__file__).parents[3] / "conf" / "sharing"
NODES = {p.stem: yaml.safe_load(p.read_text()) for p in sorted(FOLDER.glob("*.yaml"))}

TASKS = ("digit", "parity", "size")
NUM_OUTPUTS = {"digit": 3, "parity": 1, "size": 2, "sign": 1, "largest": 4}

IMAGE = ImageSpec(1, 6, 6, (0.5,), (0.5,))
AUDIO = AudioSpec(num_samples=200, sample_rate=2000)
TEXT = TextSpec(("one", "two", "three"), length=4)


class Numbers(Encoder):
    """Two layers on the four numbers of `tests.toy`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.second = nn.Sequential(nn.Linear(8, 6), nn.Tanh())
        self.out_features = 6

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))

    def stages(self) -> Sequence[Stage]:
        return (Stage(self.first, 8), Stage(self.second, 6))


ENCODERS: Mapping[str, Callable[[], Encoder]] = {
    "cnn": lambda: CNN(IMAGE, channels=[4, 6], hidden=8, dropout=0.1),
    "lenet": lambda: LeNet(IMAGE, hidden=8),
    "mlp": lambda: MLP(IMAGE, hidden=[8, 5]),
    "pixels": lambda: MLP(IMAGE, hidden=[]),
    "resnet18": lambda: Torchvision(IMAGE, "resnet18"),
    "audio_cnn": lambda: AudioCNN(AUDIO, num_mels=8, channels=[4, 6], hidden=8),
    "numbers": Numbers,
    "words": lambda: BagOfEmbeddings(TEXT, width=8),
}
FAST = tuple(name for name in ENCODERS if name not in {"resnet18", "pixels", "numbers"})


def inputs(encoder: str, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if encoder == "words":
        return torch.randint(TEXT.num_tokens, (count, TEXT.length), generator=generator)
    shape = (AUDIO.num_samples,) if encoder == "audio_cnn" else (1, 6, 6)
    return torch.randn(count, *shape, generator=generator)


def batch_of(encoders: Mapping[str, str], count: int = 5, seed: int = 0) -> Batch:
    return Batch({m: inputs(encoder, count, seed) for m, encoder in encoders.items()})


def trunk_of(
    encoders: Mapping[str, str], fusion: Callable[[Mapping[str, int]], Fusion] = Single
) -> Trunk:
    made = {modality: ENCODERS[name]() for modality, name in encoders.items()}
    return Trunk(made, fusion({m: encoder.out_features for m, encoder in made.items()}))


def small_model(
    option: str | Mapping[str, Any],
    encoders: Mapping[str, str],
    fusion: Callable[[Mapping[str, int]], Fusion] = Single,
    tasks: tuple[str, ...] = TASKS,
    seed: int = 0,
) -> JointModel:
    """Return a model that shares as a YAML, or a node, says."""
    torch.manual_seed(seed)
    node = NODES[option] if isinstance(option, str) else option
    if "hidden" in node:
        node = {**node, "hidden": [7]}
    body: Sharing = build(node, SHARING, lambda: trunk_of(encoders, fusion), tasks)
    heads = {
        task: body.build_head(lambda width, n=NUM_OUTPUTS[task]: Linear(width, n)) for task in tasks
    }
    model = JointModel(body, heads)
    body.begin_step(0.5)
    return model


def squared(logits: Mapping[str, Tensor]) -> Tensor:
    """Return a loss in which every task counts."""
    return torch.stack([(x - 0.3).square().mean() for x in logits.values()]).sum()
