"""A model of three modalities, small enough to look into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec, Spec, TextSpec
from jlrun.data.streams import Stream
from jlrun.models.encoders import BagOfEmbeddings
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Concat, Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.objective.terms.cross_modal import add_spaces
from jlrun.tasks import Multiclass, TaskSpec
from tests.toy import CPU, hard_model

WAVE = AudioSpec(num_samples=4, sample_rate=8000)
TEXT = TextSpec(("red", "blue", "circle", "star", "a"), length=3)
SPECS: dict[str, Spec] = {"audio": WAVE, "series": WAVE, "text": TEXT}
COLOUR = TaskSpec("colour", Multiclass(), ("red", "blue"))

SomeTerm = TypeVar("SomeTerm", bound=Term)


class Plain(Encoder):
    """A layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(4, width)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh()


def model_of(*terms: Term, names: Sequence[str] = ("audio", "series", "text")) -> JointModel:
    torch.manual_seed(0)
    made: dict[str, Encoder] = {
        "audio": Plain(5),
        "series": Plain(6),
        "text": BagOfEmbeddings(TEXT, width=7),
    }
    encoders = {name: made[name] for name in names}
    widths = {name: encoder.out_features for name, encoder in encoders.items()}
    fusion = Concat(widths) if len(widths) > 1 else Single(widths)
    model = hard_model(encoders, fusion, {"colour": Linear(fusion.out_features, 2)})
    add_spaces(model, terms)
    return model


def rows_of(count: int, seed: int = 0, repeated: bool = False) -> TensorRows:
    """Return rows; with ``repeated`` texts, they say the colour alone."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.arange(count) % 2
    words = torch.randint(4, 7, (count, 2), generator=generator)
    words = torch.zeros_like(words) if repeated else words
    x = torch.randn(count, 4, generator=generator) + colour[:, None]
    inputs = {
        "audio": x,
        "series": x.flip(1) * 0.9,
        "text": torch.cat([colour[:, None] + 2, words], 1),
    }
    return TensorRows(inputs, {"colour": colour})


def stream_of(rows: TensorRows, name: str = "dataset") -> Stream:
    return Stream(name, rows, specs=SPECS, batch_size=8, seed=0, device=CPU, memory_budget=10**6)


def begun(term: SomeTerm, model: JointModel, rows: TensorRows | None = None) -> SomeTerm:
    torch.manual_seed(1)
    stream = stream_of(rows or rows_of(16))
    term.begin_phase(PhaseStart(model, {}, {}, {stream.name: stream}, 10))
    return term


def view_of(model: nn.Module, *batches: Batch) -> StepView:
    """Return a step without outputs, as in a phase of terms alone."""
    return StepView(model, {f"stream{i}": batch for i, batch in enumerate(batches)}, {}, 0.5)


def batch_of(
    count: int = 8,
    seed: int = 0,
    absent: Mapping[str, Sequence[int]] | None = None,
    repeated: bool = False,
) -> Batch:
    """Return rows, of which some lack modalities: modality -> numbers of the rows."""
    batch = rows_of(count, seed, repeated).fetch(torch.arange(count))
    present = {}
    for modality, numbers in (absent or {}).items():
        present[modality] = torch.ones(count, dtype=torch.bool)
        present[modality][list(numbers)] = False
    return Batch(batch.inputs, batch.targets, present)
