"""The verbs that read the folder of a run."""

from __future__ import annotations

from pathlib import Path

SMALL = [
    *("backbone.image.channels=[4]", "backbone.image.hidden=8", "engine.threads=1", "epochs=1"),
    *("recorder.figures=false", "recorder.tensorboard=false", "recorder.progress=none"),
    "baselines=false",
]
DIGITS = ["mode=multitask", "dataset=digits", "dataset.limit=120", *SMALL]
TARGET = ["mode=transfer", "dataset@target=digits", "target.limit=120", *SMALL]


def commands(run: Path) -> dict[str, list[str]]:
    """Return verb -> arguments."""
    around = run.parent
    output = [f"hydra.run.dir={around / 'other'}"]
    distill = ["terms=[distill]", f"terms.distill.run={run}"]
    return {
        "predict": [
            *("predict", str(run), "--input", str(around / "input.npz")),
            *("--output", str(around / "out.csv")),
        ],
        "export": ["export", str(run), "--output", str(around / "exported")],
        "rank": ["rank", *DIGITS, "--runs", str(run)],
        "distill": [*DIGITS, *distill, *output],
        "evaluate": ["evaluate", str(run)],
        "soup": ["soup", str(run), str(around / "twin"), "--output", str(around / "soup")],
        "resume": ["resume", str(run)],
        "source.run": [*TARGET, f"source.run={run}", *output],
    }


# Those that build what model.json describes.
BUILDING = ("predict", "export", "rank", "distill")
# Those that read config.yaml.
READING = ("predict", "export", "rank", "distill", "evaluate", "soup", "resume")
