"""A study as a user runs it, killed, gone on with and answered."""

import json
import shutil
from collections import Counter

import pytest

from jlrun.cli.main import main
from jlrun.errors import Interrupted
from jlrun.runs.study import study as module
from jlrun.runs.study.budget import Spent
from jlrun.runs.study.cells import Done

TINY = ["dataset=digits", "dataset.limit=60", "epochs=1", "study.seeds=2"]
SOME = [*TINY, "study.questions=[joint,weightings]"]


@pytest.fixture
def counted(monkeypatch):
    """Count the cells that are run, without training; ``stop`` after so many kills the process."""
    seen = Counter()

    def run_cell(cell, runs):
        if sum(seen.values()) == run_cell.stop:
            raise RuntimeError("killed")
        seen[cell.name] += 1
        return Done("completed", Spent(10.0, 5, 1))

    run_cell.stop = None
    run_cell.seen = seen
    monkeypatch.setattr(module, "run_cell", run_cell)
    monkeypatch.setattr(module, "_scores", lambda directory: "")
    monkeypatch.setattr(module, "_is_there", lambda directory: True)
    return run_cell


def test_a_study_from_the_command_to_its_page(tmp_path, capsys):
    overrides = [*TINY, "study.questions=[joint]", f"study.dir={tmp_path / 'study'}"]
    assert main(["study", *overrides]) == 0
    text = capsys.readouterr().out
    assert "[  6/6] joint/equal/seed1" in text
    assert "jointly" in text
    assert "written: " + str(tmp_path / "study/report.html") in text
    content = json.loads((tmp_path / "study/study.json").read_text())
    assert content["finished"]
    assert len(content["cells"]) == 6
    (found,) = (c for c in content["comparisons"] if c["task"] == "parity")
    scores = [
        [json.loads(file.read_text())["test"]["parity"]["accuracy"] for file in sorted(files)]
        for files in (
            (tmp_path / "study/runs/joint/equal").glob("*/result.json"),
            (tmp_path / "study/runs/alone/parity").glob("*/result.json"),
        )
    ]
    each = [a - b for a, b in zip(*scores, strict=True)]
    assert found["difference"] == pytest.approx(sum(each) / 2)
    low, high = found["interval"]
    assert low <= found["difference"] <= high
    page = (tmp_path / "study/study.md").read_text()
    assert "| parity | digit |" in page
    assert page.endswith("study.seeds=2 'study.questions=[joint]'\n")
    cell = tmp_path / "study/runs/joint/equal/seed1"
    (cell / "result.json").unlink()
    assert main(["resume", str(cell)]) == 0
    assert "jlrun multitask, resumed" in capsys.readouterr().out
    shutil.rmtree(cell)  # a run that is gone is trained again
    assert main(["study", f"study.dir={tmp_path / 'study'}"]) == 0
    assert "5 of them done before" in capsys.readouterr().out
    assert (cell / "result.json").is_file()


def test_a_killed_study_goes_on_with_what_is_missing(counted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    damaged = tmp_path / "outputs/study/other/study.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")  # of another study, which is none of this one's business
    counted.stop = 4
    assert main(["study", *SOME]) == 1
    counted.stop = None
    assert main(["study", *SOME]) == 0  # the same command, without naming the folder
    assert "4 of them done before" in capsys.readouterr().out
    assert set(counted.seen.values()) == {1}
    (journal,) = tmp_path.glob("outputs/study/2*/study.json")
    content = json.loads(journal.read_text())
    assert content["finished"]
    assert not content["not_reached"]
    assert list(content["cells"]) == list(counted.seen)


def test_a_budget_ends_a_study_and_more_of_it_goes_on(counted, tmp_path):
    where = f"study.dir={tmp_path / 'study'}"
    assert main(["study", *SOME, "study.budget=50s", where]) == 0
    assert len(counted.seen) == 5
    content = json.loads((tmp_path / "study/study.json").read_text())
    assert len(content["not_reached"]) == 10 - 5
    assert "- joint/pcgrad (2 seeds)" in (tmp_path / "study/study.md").read_text()
    assert main(["study", *SOME, "study.budget=70s", where]) == 0
    assert len(counted.seen) == 7
    assert set(counted.seen.values()) == {1}


def test_a_folder_of_another_study_is_not_taken_and_its_own_needs_no_overrides(
    counted, tmp_path, capsys
):
    where = f"study.dir={tmp_path / 'study'}"
    assert main(["study", *SOME, "study.budget=1run", where]) == 0
    assert main(["study", *SOME[:-1], "study.budget=1run", where]) == 2
    error = capsys.readouterr().err
    assert "holds another study ('study.questions=[joint,weightings]' is missing)" in error
    assert len(error.splitlines()) == 1
    assert main(["study", where, "study.budget=3runs"]) == 0
    assert len(counted.seen) == 3
    content = json.loads((tmp_path / "study/study.json").read_text())
    assert content["overrides"] == [*SOME, "study.budget=3runs"]


def test_a_failed_cell_costs_itself_alone(tmp_path, monkeypatch):
    def fails(composed):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("jlrun.runs.study.cells.execute", fails)
    where = f"study.dir={tmp_path / 'study'}"
    assert main(["study", *TINY, "study.questions=[joint]", where]) == 1
    content = json.loads((tmp_path / "study/study.json").read_text())
    assert {cell["status"] for cell in content["cells"].values()} == {"failed"}
    assert len(content["cells"]) == 6
    assert "no such luck" in (tmp_path / "study/study.md").read_text()


def test_ctrl_c_ends_a_study_and_a_failed_cell_is_tried_again(tmp_path, monkeypatch, capsys):
    ends = [Interrupted("stopped"), RuntimeError("no such luck")]

    def execute(composed):
        raise ends[0]

    monkeypatch.setattr("jlrun.runs.study.cells.execute", execute)
    command = ["study", *TINY, "study.questions=[alone]", "study.budget=1run"]
    command.append(f"study.dir={tmp_path / 'study'}")
    assert main(command) == 130
    assert f"jlrun study {' '.join(TINY)}" in capsys.readouterr().err
    journal = tmp_path / "study/study.json"
    assert json.loads(journal.read_text())["cells"] == {}
    ends.pop(0)
    for _ in range(2):
        assert main(command) == 1
        assert [*json.loads(journal.read_text())["cells"]] == ["alone/digit/seed0"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["study.budget=1run"], "dataset"),
        (["dataset=digits", "weighting=famo"], "a study chooses this"),
        (
            ["dataset=digits", "study.seed=3"],
            "study.seed: there is no such key. Did you mean 'study.seeds'",
        ),
        (["dataset=digit"], "Did you mean 'digits'"),
    ],
)
def test_wrong_requests(texts, said, capsys):
    assert main(["study", *texts]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
