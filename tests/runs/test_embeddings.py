"""What a run records for TensorBoard alone, where it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jlrun
from jlrun.errors import UserError
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel

QUIET = (
    *("mode=multitask", "dataset.limit=60", "epochs=1", "engine.threads=1", "baselines=false"),
    *("recorder.progress=none", "recorder.figures=false"),
)


def test_curves_of_classes_and_features_of_validation_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[torch.Tensor] = []
    encode = JointModel.encode

    def seen(model: JointModel, *given: object) -> torch.Tensor:
        encoded.append(encode(model, *given))  # pyright: ignore[reportArgumentType]
        best = checkpoints.load_tensors(tmp_path / "checkpoints/best")
        assert all(torch.equal(best[name], x) for name, x in model.state_dict().items())
        return encoded[-1]

    monkeypatch.setattr(JointModel, "encode", seen)
    options = ("recorder.pr_curves=true", "recorder.embeddings=true", f"hydra.run.dir={tmp_path}")
    jlrun.run([*QUIET, *options])
    events = EventAccumulator(str(tmp_path / "tb")).Reload()
    curves = {tag for tag in events.Tags()["tensors"] if tag.startswith("pr/")}
    assert curves == {"pr/parity/odd", *(f"pr/digit/{digit}" for digit in range(10))}
    features = torch.frombuffer(
        bytearray((tmp_path / "tb/embeddings/fused_features.bytes").read_bytes()),
        dtype=torch.float32,
    )
    assert torch.equal(features, torch.cat(encoded).flatten())
    labels = (tmp_path / "tb/embeddings/fused_features.tsv").read_text().splitlines()
    splits = (tmp_path / "splits.csv").read_text().splitlines()
    assert labels[0] == "digit\tparity"
    assert (
        len(labels) - 1 == sum(line.endswith(",val") for line in splits) == len(torch.cat(encoded))
    )


def test_they_are_refused_where_nothing_would_show_them() -> None:
    options = ("recorder.tensorboard=false", "recorder.pr_curves=true", "recorder.embeddings=true")
    with pytest.raises(UserError) as caught:
        jlrun.run([*QUIET, *options])
    expected = "true is for TensorBoard alone: set recorder.tensorboard=true"
    assert [(p.where, p.message) for p in caught.value.problems] == [
        ("recorder.pr_curves", expected),
        ("recorder.embeddings", expected),
    ]
