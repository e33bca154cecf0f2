"""Every fusion, and every way to balance modalities, on blurred and spoken digits.

    python benchmarks/av_digits.py OUT --data ROOT [--seeds 0 1 2] [--fusions concat gated …]
                                   [--balances ogm_ge …] [--balanced FUSION] [--set KEY=VALUE …]

ROOT holds ``MNIST/raw`` and ``fsdd``. Each modality alone, their ensemble, and every fusion learn
with the settings of ``experiment=av_digits``: the same encoders, rate and epochs (fusions that
attend are of width 64). The rate was chosen on validation rows of seed 0, of single modalities too:
0.0015 to 0.006 for the sound, 0.001 and 0.003 for the image. Balance methods have the fusion that
``--balanced`` names. A seed draws the division, the pairs and the noise as well as the run. Runs go
to OUT, and what is complete there is not run again; the models of one modality are trained once for
each seed. Weights are selected on validation rows. *gain* is the mean over tasks of the relative
gain over the ensemble.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from experiments import run, spread, table

CONF = Path(__file__).parents[1] / "conf"
TASKS = ("digit", "speaker")
ALONE = ("image", "audio")
COMMON = (
    "experiment=av_digits",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.tensorboard=false",
    "recorder.progress=none",
)
# Of transformers, half the default width: the table is made on one core.
NARROW = dict.fromkeys(("bottleneck", "cross_attention", "transformer"), ("fusion.width=64",))


def main() -> None:
    parse = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("out", type=Path)
    parse.add_argument("--data", type=Path, required=True, help="holds MNIST/raw and fsdd")
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parse.add_argument("--fusions", nargs="*", default=options("fusion"))
    parse.add_argument("--balances", nargs="*", default=options("balance"))
    parse.add_argument("--balanced", default="concat", help="the fusion of the balance methods")
    parse.add_argument("--set", nargs="*", default=[], help="further overrides of all runs")
    parsed = parse.parse_args()
    methods = {name: (f"fusion={name}", *NARROW.get(name, ())) for name in parsed.fusions}
    methods |= {
        f"{parsed.balanced}, balance={name}": (f"fusion={parsed.balanced}", f"balance={name}")
        for name in parsed.balances
    }
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    for seed in parsed.seeds:
        for name, overrides in methods.items():
            chosen = (*overrides, f"data_root={parsed.data}", *parsed.set)
            results[name].append(one(parsed.out, seed, name, chosen))
    print(report(results))


def options(group: str) -> list[str]:
    """Return the options of a group but ``none``."""
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return [name for name in names if name != "none" and not name.startswith("_")]


def one(out: Path, seed: int, method: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    folder = out / f"seed{seed}" / re.sub(r"\W+", "_", method)
    cache = f"baselines_cache={out / 'cache'}"
    return run(folder, *COMMON, *overrides, f"seed={seed}", f"dataset.seed={seed}", cache)


def report(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return a table with a row for each modality, their ensemble, and each method."""
    runs = next(iter(results.values()))

    def accuracies(scores: list[Any]) -> list[str]:
        return [spread(score[task]["accuracy"] for score in scores) for task in TASKS]

    def gains(found: list[dict[str, Any]]) -> str:
        return spread(run["gain"]["over_ensemble"]["delta_m_percent"] / 100 for run in found)

    def seconds(found: list[dict[str, Any]]) -> str:
        return f"{sum(run['cost']['train_seconds'] for run in found) / len(found):.0f}"

    baselines = [
        [name, *accuracies([run["baselines"][name] for run in runs]), "", ""]
        for name in (*ALONE, "ensemble")
    ]
    rows = [
        [name, *accuracies([run["test"] for run in found]), gains(found), seconds(found)]
        for name, found in results.items()
    ]
    header = ["test accuracy %", *TASKS, "gain over ensemble %", "training s"]
    return table(header, [*baselines, *rows])


if __name__ == "__main__":
    main()
