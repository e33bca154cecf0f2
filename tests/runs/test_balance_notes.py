"""Classes that are balanced in training: which streams are, and the line that says so."""

from __future__ import annotations

from jlrun.config import checked
from jlrun.runs.assembly import assemble
from jlrun.runs.settings import RunSettings


def test_training_rows_are_balanced_and_the_shares_are_said() -> None:
    choice = ["mode=multitask", "tasks=[digit]", "dataset.classes=[1,2,3]", "dataset.limit=40"]
    quick = ["engine.device=cpu", "baselines=false", "dataset.balanced_by=parity"]
    assembly = assemble(RunSettings.parse(checked([*choice, *quick]).config))
    streams = assembly.leading
    kept = [streams.train.balanced_by, streams.val.balanced_by, streams.test.balanced_by]
    assert kept == ["parity", None, None]
    (note,) = assembly.notes
    parity = streams.train.rows.targets["parity"]
    assert "dataset: training batches have each class of parity at 50.0%, the rows even" in note
    assert f"odd {parity.double().mean():.1%}; probabilities are predicted for equal" in note
    drawn = parity[streams.train.order(3)]
    assert drawn.bincount().tolist() == [20, 20]
