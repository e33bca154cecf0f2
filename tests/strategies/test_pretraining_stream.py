"""What a self-supervised phase is shown: all training rows, and only labels that are in use."""

from __future__ import annotations

import pytest
import torch

from jlrun.config import checked
from jlrun.data.streams import Stream
from jlrun.objective.terms.self_supervised import SupCon
from jlrun.runs.assembly import assemble
from jlrun.runs.settings import RunSettings

QUICK = ["engine.threads=1", "engine.device=cpu", "baselines=false", "pretraining.views.flip=0"]
SOURCE = ["dataset@source=digits", "source.limit=300", "batch_size=16"]


def pretraining(*overrides: str) -> dict[str, Stream]:
    assembly = assemble(RunSettings.parse(checked([*QUICK, *overrides]).config))
    phase = assembly.plan.fits[0].phases[0]
    assert phase.name == "self_supervised"
    return dict(phase.train)


def known(stream: Stream) -> int:
    """Return how many rows of an epoch come with their digit."""
    batches = list(stream.batches(0, stream.steps_per_epoch))
    assert sum(batch.size for batch in batches) == len(stream.rows)
    masks = [b.labelled["digit"] for b in batches if "digit" in b.targets and b.labelled]
    if not masks:
        return len(stream.rows) if "digit" in batches[0].targets else 0
    return int(torch.cat(masks).sum())


def test_labels_are_those_of_the_shots() -> None:
    streams = pretraining("mode=transfer", *SOURCE, "target.shots=5", "terms=[supcon]")
    assert len(streams["target"].rows) > 300
    assert known(streams["target"]) == 50
    assert known(streams["source"]) == 300


def test_a_target_to_adapt_to_has_none() -> None:
    overrides = ["mode=transfer", "strategy=adapt", *SOURCE, "terms=[mcc,supcon]"]
    streams = pretraining(*overrides)
    assert (known(streams["target"]), known(streams["source"])) == (0, 300)


def test_without_shots_all_rows_have_theirs() -> None:
    streams = pretraining("mode=multitask", "dataset=digits", "terms=[supcon]")
    assert known(streams["dataset"]) == len(streams["dataset"].rows)


def test_unseen_classes_are_not_among_the_rows() -> None:
    streams = pretraining("mode=transfer", "strategy=zero_shot", "terms=[simclr]")
    assert len(streams["target"].rows.targets["digit"].unique()) == 7


@pytest.mark.parametrize("shots", [2, 5])
def test_supervised_contrast_pairs_rows_with_known_labels(shots: int) -> None:
    streams = pretraining("mode=transfer", *SOURCE, f"target.shots={shots}", "terms=[supcon]")
    term = SupCon()
    term._columns, term._groups = {"target": "digit"}, {"target": 0}
    paired = 0
    stream = streams["target"]
    for batch in stream.batches(0, stream.steps_per_epoch):
        classes = term._classes({"target": batch}, torch.device("cpu"))
        paired += int((classes >= 0).sum())
    assert paired == 10 * shots
