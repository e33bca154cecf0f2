"""Figures of a run show the rows of its test split as people read them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jlrun


def houses(rows: int = 120) -> pd.DataFrame:
    """Flats with a price and a word of their own, which no vocabulary has."""
    area = np.random.default_rng(0).uniform(30, 200, rows).round()
    texts = [f"flat number{i} with a balcony" for i in range(rows)]
    kinds = ["large" if a > 115 else "small" for a in area]
    return pd.DataFrame({"area": area, "about": texts, "price": area * 5000, "kind": kinds})


def test_prices_and_words_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = jlrun.run(
        [
            "mode=multitask",
            "dataset.targets=[price,kind]",
            "epochs=1",
            "baselines=false",
            "recorder.figure_format=svg",
            "recorder.progress=none",
            f"hydra.run.dir={tmp_path}/run",
        ],
        dataset=houses(),
    )
    assert {"curves", "samples_predictions", "regression_price", "confusion_kind"} <= {*run.figures}
    samples = run.figure("samples/predictions")
    samples.save(tmp_path / "samples.svg")
    text = (tmp_path / "samples.svg").read_text(encoding="utf-8")
    assert "smallest to largest target" in text
    assert re.search(r"flat number\d+ with a balcony", text), "words that no vocabulary has"
    largest = run.predictions["price_true"].max()
    assert f"true: {largest:,.0f}" in text
    with pytest.raises(ValueError, match=r"name it so"):
        samples.save(tmp_path / "samples.png")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [(("target.shots",), True), (("target.classes",), False)],
)
def test_shots_are_variants_of_one_problem(overrides: tuple[str], expected: bool) -> None:
    from jlrun.runs.sweeps.records import JobRecord, group_by_overrides
    from jlrun.runs.sweeps.summary import scored_problem

    (key,) = overrides
    jobs = [JobRecord(f"{n}", "completed", (f"{key}={n}",), 0, {}) for n in (1, 2)]
    problems = {scored_problem(group) for group in group_by_overrides(jobs)}
    assert (len(problems) == 1) == expected
