"""Shards on two GPUs, by the command as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SMALL = ["mode=multitask", "epochs=1", "backbone/image=vit", "backbone.image.depth=2"]
SMALL += ["optimizer=sgd", "baselines=false", "recorder.figures=false", "engine.device=cuda"]


def losses(folder: Path, *more: str) -> list[float]:
    """Return the validation losses of a run on two GPUs."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "jlrun"]
    command = [*torchrun, *SMALL, f"hydra.run.dir={folder}", *more]
    subprocess.run(command, check=True, timeout=600)
    scores = json.loads((folder / "result.json").read_text())["val"]
    return [metrics["loss"] for metrics in scores.values()]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("more", "tolerance"),
    [
        (["engine.checkpoint_activations=true"], 1e-4),
        (["engine.offload=true", "terms=l2", "engine.clip_norm=1", "ema=0.9"], 1e-4),
        (["engine.precision=bf16"], 2e-2),
    ],
)
def test_shards_equal_whole_models(tmp_path: Path, more: list[str], tolerance: float) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    plain = [each for each in more if "offload" not in each]
    whole = losses(tmp_path / "ddp", *plain)
    sharded = losses(tmp_path / "fsdp", "engine.parallel=fsdp", *more)
    assert sharded == pytest.approx(whole, rel=tolerance)
