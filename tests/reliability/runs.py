"""The run that faults happen to, and what of it must be the same afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.toy import TIMED

SMALL = (
    "seed=3",
    "epochs=3",
    "dataset.limit=48",
    "batch_size=16",
    "baselines=false",
    "backbone/image=mlp",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.progress=none",
    "recorder.checkpoint_seconds=0",
    "recorder.log_every=1",
)


def train(folder: str) -> list[str]:
    """Return the command that trains the run into a folder."""
    return ["mode=multitask", *SMALL, f"hydra.run.dir={folder}"]


def outcome(run: Path) -> dict[str, object]:
    """Return what must be the same, bit for bit, however a run was interrupted."""
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed", result["status"]
    numbers = (run / "metrics.csv").read_text().splitlines()
    return {
        **{k: v for k, v in result.items() if k not in ("cost", "overrides")},
        "steps": result["cost"]["steps"],
        "weights": (run / "checkpoints/best/model.safetensors").read_bytes(),
        "numbers": [line for line in numbers if not any(tag in line for tag in TIMED)],
        "curves": curves(run / "tb"),
    }


def curves(folder: Path) -> list[tuple[str, int]]:
    """Return tag and step of what an event file holds, without times: its numbers in their order,
    then the rest, which a run that goes on writes anew, sorted and each once."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

    (file,) = folder.iterdir()
    events = map(Event.FromString, RawEventFileLoader(str(file)).Load())
    values = [(v, e.step) for e in events for v in e.summary.value if "per_second" not in v.tag]
    numbers = [(v.tag, step) for v, step in values if v.HasField("simple_value")]
    return numbers + sorted({(v.tag, s) for v, s in values if not v.HasField("simple_value")})


def write_inputs(file: Path) -> None:
    """Write images to predict."""
    np.save(file, np.random.default_rng(0).integers(0, 255, (3, 8, 8), dtype=np.uint8))
