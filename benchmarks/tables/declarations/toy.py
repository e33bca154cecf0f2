"""The toy problem of two losses: how often a weighting finds the front, each with its own rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.mtl_toy import FRONT_X1, FRONT_X2, Pair, follow, make_weighting, on_front
from benchmarks.tables.declarations.weightings import RATES, SHARES
from benchmarks.tables.declared import Cell, Outside, Result, Score, Source, Table

STEPS = 20_000
FAR = 1e6  # where a way ends whose update is not finite
# Row -> option, and settings; the logarithm of a loss below 0 is none, so that log has no row.
METHODS: Mapping[str, tuple[str, tuple[tuple[str, Any], ...]]] = {
    "equal": ("equal", ()),
    "db_mtl": ("db_mtl", (("beta", 0.9),)),
    "db_mtl, no average": ("db_mtl", (("beta", 0.0),)),
    "fairgrad": ("fairgrad", ()),
    "nash": ("nash", ()),
    "uncertainty": ("uncertainty", ()),
}


def end(seed: int, data: Path, weighting: str, settings: Any, rate: float) -> Result:
    """Follow a weighting from a start that the seed draws, and say how far from the front it ends.

    A way whose update is not finite ends far away.
    """
    torch.set_num_threads(1)
    start: Pair = tuple(np.random.default_rng(seed).uniform(-10, 10, 2).tolist())
    chosen = make_weighting(weighting, {k: dict(v) if k == "weights" else v for k, v in settings})
    try:
        x1, x2 = follow(chosen, start, STEPS, rate).end
    except ValueError:
        return {"test": {"front": {"distance": FAR, "reached": 0.0, "middle": 0.0}}}
    beyond = max(abs(x1) - FRONT_X1, 0.0)
    reached = on_front((x1, x2))
    scores = {
        "distance": math.hypot(beyond, x2 - FRONT_X2),
        "reached": float(reached),
        "middle": float(reached and abs(x1) <= FRONT_X1 / 2),
    }
    return {"test": {"front": scores}, "start": start, "end": (x1, x2)}


def score(name: str, sign: int = 1) -> Score:
    """Return what is read of an end."""
    return lambda result: sign * result["test"]["front"][name]


def choices(
    option: str, settings: tuple[tuple[str, Any], ...], told: str = ""
) -> dict[str, Source]:
    """Return the runs of a method, one for each rate."""
    common = (("weighting", option), ("settings", settings))
    return {f"{told}lr {rate}": Outside(end, (*common, ("rate", float(rate)))) for rate in RATES}


def rows() -> dict[str, dict[str, Source]]:
    """Return row -> its choices."""
    fixed: dict[str, Source] = {}
    for a, b in SHARES[2]:
        weights = (("f1", a), ("f2", b))
        fixed |= choices("static", (("weights", weights),), f"{a} : {b}, ")
    found = {name: choices(*method) for name, method in METHODS.items()}
    return {"equal": found.pop("equal"), "fixed": fixed, **found}


TABLES = (
    Table(
        "weightings_toy",
        "The toy problem of two losses: does a weighting help?",
        f"""The problem of [mtl_toy.md](mtl_toy.md), of which both losses have valleys that no
gradient leads out of: the share of twenty starts, drawn from the square of side 20 around 0, from
which {STEPS:,} steps of Adam end on the Pareto front, and on its middle half, where neither loss
has it all. Each row had the rates 1e-3, 3e-3, 1e-2 and 3e-2, *fixed* each of them with four
weightings; the choice that came nearest to the front from two other starts was then used. A seed is
a start, nothing else is random.""",
        tuple(
            Cell(row, column, own, score(name), judged=score("distance", -1))
            for row, own in rows().items()
            for column, name in (("on the front", "reached"), ("on its middle half", "middle"))
        ),
        conclusion="""With a rate of its own the plain sum ends on the front from every start, as
do the weightings of gradients, but for one start of db_mtl with its average: that it stays in a
valley from one start in five with the published rate of 1e-3 is that rate. What a weighting decides
is where on the front: the sum ends near one side, and so does a fixed weighting that was chosen by
the distance from the front; db_mtl, fairgrad and nash end in its middle half from 40 to 60 percent
of the starts. uncertainty is worse: losses below 0 make its weights grow without bound.""",
        seeds=tuple(range(20)),
        tuning_seeds=(100, 101),
        chosen_by="Mean distance from the front, below 0,",
        reference="equal",
        unit="% of starts",
        digits=0,
    ),
)
