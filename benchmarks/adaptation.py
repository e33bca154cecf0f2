"""Every adaptation term on digits: labelled sources, an unlabelled target.

    python benchmarks/adaptation.py OUT [--mnist ROOT] [--seeds 0 1 2 3 4] [--methods mcc dann …]

Printed digits → handwritten digits (scikit-learn's), or, with ``--mnist``, 2,400 images of MNIST →
the same, all 8 × 8 pixels. Runs go to OUT, and what is complete there is not run again. *selected*
is the epoch that information maximisation on the target chose, without labels; *last* the last
epoch; *oracle* the best one on the test split itself, which nobody has in practice.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from experiments import run, spread, table

COMMON = (
    "mode=transfer",
    "strategy=adapt",
    "tasks=[digit]",
    "epochs=50",
    "adapt.batch_norm=split",
    "optimizer.lr=3e-3",
    "backbone.image.channels=[32,64]",
    "backbone.image.hidden=256",
    "backbone.image.batch_norm=true",
    *(
        f"{data}.augment.{change}"
        for data in ("source", "target")
        for change in ("shift=0.06", "rotate=10")
    ),
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.tensorboard=false",
    "recorder.progress=none",
)
METHODS = {
    "adabn": "[adabn]",
    "dann, 2 × 256 hidden": "[dann] terms.dann.hidden=256",
    "cdan, 2 × 256 hidden": "[cdan] terms.cdan.hidden=256",
    "mmd": "[mmd]",
    "jan": "[jan]",
    "coral": "[coral]",
    "mcc": "[mcc]",
    "mdd": "[mdd]",
    "entropy": "[entropy]",
    "fixmatch": "[fixmatch]",
    "fixmatch + mcc": "[fixmatch,mcc]",
    "cdan + mcc, 2 × 256 hidden": "[cdan,mcc] terms.cdan.hidden=256",
}


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("out", type=Path)
    parse.add_argument("--mnist", type=Path, help="folder that holds MNIST/raw: MNIST → digits")
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parse.add_argument("--methods", nargs="+", default=list(METHODS))
    parsed = parse.parse_args()
    title, short, overrides = "printed digits → digits", "printed", ()
    if parsed.mnist is not None:
        title, short = "MNIST → digits", "mnist"
        overrides = ("dataset@source=mnist", f"source.root={parsed.mnist}", "source.limit=2400")
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in parsed.methods}
    for seed in parsed.seeds:
        for name, found in results.items():
            terms = f"terms={METHODS[name]}".split()
            found.append(one(parsed.out, short, seed, name, (*overrides, *terms)))
    print(f"## {title}\n\n{report(results)}")


def one(out: Path, pair: str, seed: int, method: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    cache = f"baselines_cache={out / 'cache'}"
    folder = out / pair / f"seed{seed}" / re.sub(r"\W+", "_", method)
    return run(folder, *COMMON, *overrides, f"seed={seed}", cache)


def report(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return a table with a row for each method, between the two baselines."""
    runs = next(iter(results.values()))

    def accuracies(scores: list[Any]) -> list[float]:
        return [score["digit"]["accuracy"] for score in scores]

    def baseline(name: str) -> list[str]:
        found = accuracies([run["baselines"][name] for run in runs])
        return [name.replace("_", " "), spread(found), "", "", ""]

    rows = []
    for name, found in results.items():
        columns = [[run[key] for run in found] for key in ("test", "last", "oracle")]
        closed = [run["gain"]["gap_closed_percent"]["digit"] / 100 for run in found]
        rows.append([name, *(spread(accuracies(c)) for c in columns), spread(closed)])
    header = ["test accuracy %", "selected", "last", "oracle", "gap closed %"]
    return table(header, [baseline("source_only"), *rows, baseline("target_supervised")])


if __name__ == "__main__":
    main()
