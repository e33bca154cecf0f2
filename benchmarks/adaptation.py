"""Every adaptation term on digits: labelled sources, an unlabelled target.

    python benchmarks/adaptation.py OUT [--mnist ROOT] [--seeds 0 1 2 3 4] [--methods mcc dann …]

Two pairs: printed digits → handwritten digits (scikit-learn's), and, with ``--mnist``, MNIST → the
same. Runs go to OUT, and what is complete there is not run again. *selected* is the epoch that
information maximisation on the target chose, without labels; *last* the last epoch; *oracle* the
best one on the test split itself, which nobody has in practice.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments import run, spread, table

COMMON = (
    "mode=transfer",
    "strategy=adapt",
    "tasks=[digit]",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.progress=none",
)
METHODS = {
    "dann": "[dann]",
    "cdan": "[cdan]",
    "mmd": "[mmd]",
    "jan": "[jan]",
    "coral": "[coral]",
    "mcc": "[mcc]",
    "mdd": "[mdd]",
    "entropy": "[entropy]",
    "fixmatch": "[fixmatch]",
    "fixmatch + mcc": "[fixmatch,mcc]",
}
NORMALISED = "backbone.image.batch_norm=true"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("out", type=Path)
    parse.add_argument("--mnist", type=Path, help="folder that holds MNIST/raw")
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parse.add_argument("--methods", nargs="+", default=list(METHODS))
    parsed = parse.parse_args()
    pairs = {"printed digits → digits": ("printed", ())}
    if parsed.mnist is not None:
        mnist = ("dataset@source=mnist", f"source.root={parsed.mnist}", "source.limit=2000")
        pairs["MNIST → digits"] = ("mnist", mnist)
    for title, (short, overrides) in pairs.items():
        results = {
            name: [
                one(parsed.out, short, seed, name, (*overrides, f"terms={METHODS[name]}"))
                for seed in parsed.seeds
            ]
            for name in parsed.methods
        }
        print(f"## {title}\n\n{report(results)}\n")
        normalised = {
            "adabn": [
                one(parsed.out, short, seed, "adabn", (*overrides, "terms=[adabn]", NORMALISED))
                for seed in parsed.seeds
            ]
        }
        print(f"The same with BatchNorm in the network:\n\n{report(normalised)}\n")


def one(out: Path, pair: str, seed: int, method: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    cache = f"baselines_cache={out / 'cache'}"
    folder = out / pair / f"seed{seed}" / method.replace(" ", "")
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
