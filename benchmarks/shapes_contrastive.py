"""Terms between modalities on shapes: images, captions and beeps, six of 36 combinations held out.

    python benchmarks/shapes_contrastive.py OUT [--seeds 0 1 2] [--methods clip siglip …]

``experiment=shapes_contrastive`` with each term: training on the other 30 combinations alone, then
retrieval among 1,500 test scenes, and images named by the words of their combination, of which all
36 can be chosen. Runs go to OUT, and what is complete there is not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import run, spread, table

COMMON = (
    "experiment=shapes_contrastive",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.tensorboard=false",
    "recorder.progress=none",
)
METHODS = ("clip", "siglip", "cmc", "vicreg_modalities")

Result = dict[str, Any]


def recall(one: str, other: str, k: int) -> Callable[[str, Result], float]:
    def find(term: str, result: Result) -> float:
        pairs = result["retrieval"][term]
        pair = pairs.get(f"{one}-{other}") or pairs[f"{other}-{one}"]
        return pair[f"{one} to {other}"][f"recall_at_{k}"]

    return find


def named(score: str) -> Callable[[str, Result], float]:
    return lambda term, r: r["shared_space"][term]["prompts"]["object"]["image"][score]


def linear(trained: str, tested: str) -> Callable[[str, Result], float]:
    return lambda term, r: r["shared_space"][term]["linear"]["shape"][trained][tested]


RETRIEVAL = {
    "image → text R@1": recall("image", "text", 1),
    "R@5": recall("image", "text", 5),
    "text → image R@1": recall("text", "image", 1),
    "R@5 ": recall("text", "image", 5),
    "image → audio R@10": recall("image", "audio", 10),
}
CLASSES = {
    "by name, all": named("accuracy"),
    "unseen combinations": named("unseen_accuracy"),
    "shape: image → image": linear("image", "image"),
    "image → text": linear("image", "text"),
    "image → audio": linear("image", "audio"),
    "audio → image": linear("audio", "image"),
}


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("out", type=Path)
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parse.add_argument("--methods", nargs="+", default=list(METHODS))
    parsed = parse.parse_args()
    results = {
        name: [one(parsed.out, name, seed) for seed in parsed.seeds] for name in parsed.methods
    }
    print(f"{report(results, RETRIEVAL)}\n\n{report(results, CLASSES)}")


def one(out: Path, term: str, seed: int) -> Result:
    return run(out / f"seed{seed}" / term, *COMMON, f"terms=[{term}]", f"seed={seed}")


def report(
    results: dict[str, list[Result]], columns: dict[str, Callable[[str, Result], float]]
) -> str:
    """Return a table with a row for each term, in percent."""
    rows = [
        [name, *(spread(find(name, result) for result in found) for find in columns.values())]
        for name, found in results.items()
    ]
    return table(["%", *columns], rows)


if __name__ == "__main__":
    main()
