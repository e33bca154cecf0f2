"""What the rehearsal before a run reads, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jlrun.config import checked
from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.runs.assembly import assemble
from jlrun.runs.job import Job
from jlrun.runs.rehearsal import rehearse
from jlrun.runs.settings import RunSettings
from jlrun.training.learner import REHEARSED_ROWS, build_learner
from jlrun.training.recorder import Header

QUICK = ["engine.threads=1", "engine.device=cpu", "baselines=false", "mode=transfer"]
# Its own head has other classes than the target's.
OTHER = ["source.per_class=20", "source.classes=[0,1,2]", "tasks=[digit]"]


def rehearsed(folder: Path, *overrides: str) -> Header:
    settings = RunSettings.parse(checked([*QUICK, *overrides]).config)
    return rehearse(Job(settings, folder, overrides), assemble(settings))


def test_no_data_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list[int]()
    sweep = Stream.sweep

    def counted(self: Stream, batch_size: int | None = None) -> Iterator[Batch]:
        for batch in sweep(self, batch_size):
            rows.append(batch.size)
            yield batch

    monkeypatch.setattr(Stream, "sweep", counted)
    settings = RunSettings.parse(checked([*QUICK, *OTHER, "terms=[co_tuning]"]).config)
    assembly = assemble(settings)
    rehearse(Job(settings, tmp_path, ()), assembly)
    assert 0 < sum(rows) <= REHEARSED_ROWS
    rows.clear()
    fit = assembly.plan.fits[0]
    phase = fit.phases[-1]
    build_learner(assembly.new_model(fit), phase, assembly.engine)
    assert sum(rows) == len(phase.train["target"].rows)  # what the term measures in training


def test_nothing_is_written(tmp_path: Path) -> None:
    header = rehearsed(tmp_path, *OTHER)
    assert header.data["source"]["train"] > 0
    assert header.parameters == header.trainable > 0
    assert not list(tmp_path.iterdir())


def test_a_term_that_would_do_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="would do nothing in this run: it brings sources and a"):
        rehearsed(tmp_path, "terms=[dann]", "source.per_class=20")


def test_rows_that_are_learned_from_without_labels_are_counted(tmp_path: Path) -> None:
    few = ["dataset@target=digits", "target.shots=5", "tasks=[digit]"]
    labelled = {"train": 50, "val": 50, "test": 359}
    header = rehearsed(tmp_path, *few)
    assert header.data["target"] == labelled
    for more in (["strategy=adapt"], ["terms=[simclr]", "pretraining.data=[target]"]):
        header = rehearsed(tmp_path, *few, *more)
        assert header.data["target"] == labelled | {"unlabelled": 1150}
        assert list(header.data["target"])[1] == "unlabelled"
        assert "unlabelled" not in header.data["source"]
