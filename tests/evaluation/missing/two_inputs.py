"""Rows of two modalities, some of which lack one or both, and a model of them."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.rows import TensorRows
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.evaluation.missing.scoring import ScoredModel
from jlrun.evaluation.scores import Predict, predictor
from jlrun.models.fusions import Fusion, Gated
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from tests.toy import CPU, SPEC, TASKS, ToyEncoder, toy_objectives

MODALITIES = ("left", "right")
ROWS = 50


def rows(
    present: dict[str, Tensor] | None = None,
    labelled: dict[str, Tensor] | None = None,
    seed: int = 0,
) -> TensorRows:
    x = torch.randn(2, ROWS, 4, generator=torch.Generator().manual_seed(seed))
    targets = {"sign": (x.sum(dim=(0, 2)) > 0).long(), "largest": x.sum(dim=0).argmax(dim=1)}
    return TensorRows(dict(zip(MODALITIES, x, strict=True)), targets, present, labelled)


def stream(of: TensorRows, name: str = "dataset") -> Stream:
    return Stream(
        name,
        of,
        specs=dict.fromkeys(MODALITIES, SPEC),
        batch_size=16,
        seed=0,
        device=CPU,
        memory_budget=10**6,
    )


def model(make_fusion: type[Fusion] = Gated) -> JointModel:
    torch.manual_seed(0)
    encoders = {m: ToyEncoder() for m in MODALITIES}
    names = tuple(spec.name for spec in TASKS)
    body = Hard(lambda: Trunk(encoders, make_fusion(dict.fromkeys(MODALITIES, 6))), names)
    heads = {
        spec.name: body.build_head(lambda width, n=spec.num_outputs: Linear(width, n))
        for spec in TASKS
    }
    return JointModel(body, heads)


def predict(of: JointModel | None = None) -> Predict:
    return predictor(of or model(), Engine(CPU))


def scored_model(train: TensorRows) -> ScoredModel:
    objectives = toy_objectives()
    return ScoredModel(MODALITIES, objectives, objectives, {"dataset": stream(train)})
