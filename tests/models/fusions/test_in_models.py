"""Every fusion in a model: it trains with holes in the data, and tasks share it in any way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from jlrun.config import checked
from jlrun.config.trust import also_trusting
from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec, TextSpec
from jlrun.models.fusions import TokenFusion
from jlrun.models.joint_model import JointModel
from jlrun.models.trunk import Trunk
from jlrun.runs.building import make_model
from jlrun.runs.settings import ModelSettings, RunSettings
from jlrun.tasks import Binary, Multiclass, TaskSpec
from tests.models.fusions.test_battery import SEVERAL, attending
from tests.models.sharing.small import NODES, squared
from tests.options import option_node

SPECS = {"image": ImageSpec(1, 4, 4, (0.5,), (0.5,)), "text": TextSpec(("a", "b", "c"), length=3)}
TASKS = {
    "sign": TaskSpec("sign", Binary(), ("minus", "plus")),
    "letter": TaskSpec("letter", Multiclass(), ("a", "b", "c")),
}
BACKBONE = {
    "image": {"_target_": "tests.models.fusions.encoders.Rows"},
    "text": {"_target_": "tests.models.fusions.encoders.Words"},
}
ROWS = 48
IMAGE_ABSENT, TEXT_ABSENT = slice(0, 12), slice(12, 24)


def batch() -> Batch:
    """Rows of which some lack a modality. Images say the sign, texts the letter they repeat."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(ROWS, 1, 4, 4, generator=generator)
    letter = torch.randint(3, (ROWS,), generator=generator)
    length = torch.randint(1, 4, (ROWS, 1), generator=generator)
    text = torch.where(torch.arange(3) < length, letter[:, None] + 2, 0)
    targets = {"sign": (image.sum(dim=(1, 2, 3)) > 0).long(), "letter": letter}
    present = {m: torch.ones(ROWS, dtype=torch.bool) for m in SPECS}
    present["image"][IMAGE_ABSENT] = False
    present["text"][TEXT_ABSENT] = False
    image[IMAGE_ABSENT] = torch.nan
    return Batch({"image": image, "text": text}, targets, present)


@pytest.fixture(autouse=True)
def _trusting_encoders_of_tests() -> Iterator[None]:
    with also_trusting(["tests"]):
        yield


@cache
def defaults() -> ModelSettings:
    return RunSettings.parse(checked(["mode=multimodal"]).config).model


def settings_with(fusion: Mapping[str, Any], sharing: Mapping[str, Any]) -> ModelSettings:
    small = {"hidden": [7]} if "hidden" in sharing else {}
    return replace(defaults(), fusion=fusion, sharing={**sharing, **small}, backbone=BACKBONE)


def model_with(option: str, sharing: str = "hard") -> JointModel:
    torch.manual_seed(0)
    settings = settings_with(option_node("fusion", option), NODES[sharing])
    model = make_model(settings, SPECS, list(SPECS), TASKS)
    model.body.begin_step(0.5)
    return model


def loss_of(model: JointModel, rows: Batch) -> Tensor:
    logits = model(rows).logits
    return torch.stack(
        [s.task.loss(logits[n], rows.targets[n]).mean() for n, s in TASKS.items()]
    ).sum()


@pytest.mark.parametrize("option", SEVERAL)
def test_it_learns_with_modalities_missing(option: str) -> None:
    model, rows = model_with(option), batch()
    assert model.body.trunk.pooled is False
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    # The tokens of an image are its pixels: a fusion that attends does not need its layers.
    unused = "encoders.image." if isinstance(model.body.trunk.fusion, TokenFusion) else "nothing"
    trained = [p for name, p in model.named_parameters() if unused not in name]
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(model, rows)
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    correct = (model.eval()(rows).logits["letter"].argmax(dim=1) == rows.targets["letter"]).float()
    assert float(correct[IMAGE_ABSENT].mean()) > 0.9  # from the text alone


@pytest.mark.parametrize("option", SEVERAL)
def test_a_modality_that_no_row_has_is_as_one_that_a_row_lacks(option: str) -> None:
    model, rows = model_with(option).eval(), batch()
    index = torch.arange(ROWS)[TEXT_ABSENT]
    alone = model(rows.select(index))
    expected = model(rows)
    torch.testing.assert_close(alone.fused, expected.fused[index], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sharing", NODES)
@pytest.mark.parametrize("option", SEVERAL)
def test_tasks_share_it_in_any_way(option: str, sharing: str) -> None:
    model, rows = model_with(option, sharing), batch()
    outputs = model.train()(rows)
    assert all(x.isfinite().all() for x in outputs.logits.values())
    squared(outputs.logits).backward()
    fusions = [m.fusion for m in model.modules() if isinstance(m, Trunk)]
    assert fusions
    parameters = [list(fusion.parameters()) for fusion in fusions]
    assert all(p.grad is not None and p.grad.isfinite().all() for ps in parameters for p in ps)
    reached = [[bool(p.grad.any()) for p in ps if p.grad is not None] for ps in parameters]
    # The branches of LTB are chosen by chance: each of a kind is on some way.
    enough = any if sharing == "ltb" else all
    assert all(enough(copies) for copies in zip(*reached, strict=True))
    model.eval()
    whole = model(rows).logits
    some = model(rows.select(torch.arange(20))).logits
    torch.testing.assert_close(some, {t: x[:20] for t, x in whole.items()}, rtol=1e-4, atol=1e-5)


@attending
@pytest.mark.parametrize("sharing", NODES)
def test_what_works_between_stages_pools(option: str, sharing: str) -> None:
    model = model_with(option, sharing)
    trunks = [m for m in model.modules() if isinstance(m, Trunk)]
    fusion = trunks[0].fusion
    assert isinstance(fusion, TokenFusion)
    staged = sharing in {"cross_stitch", "mtan", "ltb", "mixstyle"}
    assert {trunk.pooled for trunk in trunks} == {staged}
    widths = [layer[0].in_features for layer in fusion.embedding.layers.values()]  # pyright: ignore
    assert widths == ([6, 5] if staged else [4, 5])


@attending
def test_mixstyle_fuses_the_same_in_training_and_evaluation(option: str) -> None:
    model = model_with(option, "mixstyle")
    rows = replace(batch(), inputs={**batch().inputs, "image": torch.ones(ROWS, 1, 4, 4)})
    trained = model.train()(rows).fused
    torch.testing.assert_close(trained, model.eval()(rows).fused)
