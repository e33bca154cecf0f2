"""Whether `jlrun study` says the truth about data whose truth is known.

    python benchmarks/study_truth.py --studies 10

Each study is of a new table of 1,500 rows with numbers and a column of words drawn at random, and
of 1,500 test rows:

- `rare` and `common` share a cause, a product of two numbers; `rare` is labelled in one training
  row of ten, `common` in all. `rare` should be better with `common`, which gains nothing from it.
- `other` follows from other numbers, and is labelled in all. `rare` may not be better with it.
- The words say nothing: all modalities should beat words alone on every task.

In studies of noise all targets are drawn at random: nothing may be called better or worse.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 1500
WORDS = [f"{a}{b}" for a in ("bar", "len", "mor", "tis", "quo") for b in ("a", "el", "in", "ux")]
TASKS = ("rare", "common", "other")
OVERRIDES = [
    "dataset=table",
    "backbone/tabular=mlp",
    "backbone.tabular.hidden=[32,32]",
    "heads=linear",
    "fusion=concat",
    "epochs=30",
    "optimizer.lr=0.01",
    "study.questions=[joint,modalities,pairs]",
    "study.budget=1000runs",
]


def table(generator: np.random.Generator, noise: bool, rare: float) -> pd.DataFrame:
    """Return rows, of which a share is labelled for ``rare``."""
    x = generator.normal(size=(ROWS, 8))

    def yes(score: np.ndarray) -> np.ndarray:
        drawn = generator.random(ROWS) < 0.5
        return drawn if noise else score + 0.2 * generator.normal(size=ROWS) > 0

    cause, others = x[:, 0] * x[:, 1] + 0.5 * x[:, 2], x[:, 3] * x[:, 4] + 0.5 * x[:, 5]
    words = generator.choice(WORDS, size=(ROWS, 6))
    frame = pd.DataFrame(x.round(4), columns=[f"x{i}" for i in range(8)])
    frame["words"] = [" ".join(row) for row in words]
    for name, score in zip(TASKS, (cause, cause, others), strict=True):
        frame[name] = np.where(yes(score), "yes", "no")
    frame.loc[generator.random(ROWS) >= rare, "rare"] = ""
    return frame


def study(seed: int, noise: bool) -> list[dict[str, object]]:
    """Return the comparisons of a study."""
    with tempfile.TemporaryDirectory() as folder:
        generator = np.random.default_rng(seed)
        for name, rare in (("train", 0.1), ("test", 1.0)):
            table(generator, noise, rare).to_csv(f"{folder}/{name}.csv", index=False)
        own = [f"dataset.path={folder}/train.csv", f"dataset.test_path={folder}/test.csv"]
        own.append(f"dataset.targets=[{','.join(TASKS)}]")
        where = f"study.dir={folder}/study"
        command = [sys.executable, "-m", "jlrun", "study", *OVERRIDES, *own, where]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(folder, "study/study.json").read_text())["comparisons"]


def verdicts(found: list[dict[str, object]]) -> dict[str, bool]:
    """Return statement -> whether the study said so."""
    call = {(str(c["question"]), str(c["task"]), str(c["what"])): c["call"] for c in found}
    return {
        "rare better with common": call["pairs", "rare", "common"] == "better",
        "common no different with rare": call["pairs", "common", "rare"] == "no difference",
        "rare not better with other": call["pairs", "rare", "other"] != "better",
        "all better than words alone": all(
            call["modalities", task, "text"] == "better" for task in TASKS
        ),
    }


def main() -> None:
    """Run the studies and print how often each statement was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10)
    count = parser.parse_args().studies
    said: dict[str, int] = {}
    for seed in range(count):
        found = verdicts(study(seed, noise=False))
        print(f"study {seed}: {found}", flush=True)
        for statement, right in found.items():
            said[statement] = said.get(statement, 0) + right
    quiet = 0
    for seed in range(count):
        called = [c for c in study(100 + seed, noise=True) if c["call"] in ("better", "worse")]
        print(f"noise {seed}: {len(called)} called better or worse", flush=True)
        quiet += not called
    for statement, times in {**said, "noise: no difference at all": quiet}.items():
        print(f"{statement}: {times} of {count}")


if __name__ == "__main__":
    main()
