"""Tables of one's own, as a user types it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from jlrun.cli.main import main
from jlrun.wording import counted
from tests.data.tables.files.made import rows_of, with_files, write_csv

Capture = pytest.CaptureFixture[str]

QUICK = [
    *("engine.threads=1", "recorder.progress=none", "recorder.figures=false"),
    *("recorder.tensorboard=false", "baselines=false", "batch_size=16"),
]
BARE = ["mode=multimodal", "dataset=table", *QUICK]
TABLE = [*BARE, "dataset.targets=[label]", "epochs=1"]
BOTH = [*BARE, "dataset.targets={label: binary, price: regression}"]
COUNT = 60


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))


def result_of(folder: str) -> dict[str, Any]:
    return json.loads(Path(folder, "result.json").read_text())


def predictions(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


Rows = list[dict[str, str]]


def missing_image(rows: Rows) -> None:
    rows[4]["photo"] = "photos/gone.png"
    rows[7]["photo"] = "photos"


def corrupt_image(rows: Rows) -> None:
    whole = Path(rows[5]["photo"]).read_bytes()
    Path(rows[5]["photo"]).write_bytes(whole[: len(whole) // 2])


def text_as_image(rows: Rows) -> None:
    Path(rows[6]["photo"]).write_text("no picture")


def unreadable_audio(rows: Rows) -> None:
    Path(rows[3]["clip"]).write_bytes(b"RIFF")


def unreadable_series(rows: Rows) -> None:
    np.save(rows[8]["curve"], np.zeros((5, 3), np.float32))
    Path(rows[9]["curve"]).write_bytes(b"none")


def no_number(rows: Rows) -> None:
    rows[2]["age"], rows[10]["age"] = "forty", "1e99"


def no_input(rows: Rows) -> None:
    rows[11] |= dict.fromkeys(("note", "age", "colour", "price"), "")


def unknown_split(rows: Rows) -> None:
    for i, row in enumerate(rows):
        row["part"] = ("train", "train", "test", "val")[i % 4]
    rows[1]["part"], rows[2]["part"] = "trian", ""


def replaced(line: int, text: bytes) -> Callable[[Path], None]:
    """Return what puts a line into a file, counted from 1."""

    def change(path: Path) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        lines[line - 1] = text + b"\n"
        path.write_bytes(b"".join(lines))

    return change


FILES = ["dataset.columns={note: ignore, age: ignore, colour: ignore, price: ignore}"]
# name: how rows are spoilt, overrides, the reason that is told, the lines (from 1), what is told
ROWS: dict[str, tuple[Callable[[Rows], None], list[str], str, list[int], list[str]]] = {
    "missing image": (
        missing_image,
        FILES,
        "missing file",
        [6, 9],
        ["photo", "gone.png", "folder"],
    ),
    "corrupt image": (corrupt_image, FILES, "corrupt image", [7], ["photos/5.png"]),
    "text for an image": (text_as_image, FILES, "corrupt image", [8], ["unknown format"]),
    "unreadable audio": (unreadable_audio, FILES, "unreadable audio", [5], ["clips/3.wav"]),
    "series": (unreadable_series, FILES, "unreadable series", [10, 11], ["3 numbers in a step"]),
    "no number": (no_number, [], "not a number", [4, 12], ["age is 'forty'", "'1e99'"]),
    "no input": (no_input, [], "no input", [13], ["every cell of an input is missing"]),
    "unknown split": (
        unknown_split,
        ["dataset.split_column=part"],
        "unknown split",
        [3, 4],
        ["'trian'", "expected train, val, test"],
    ),
}
# name: how the file is spoilt, the reason, the lines, what is told
LINES: dict[str, tuple[Callable[[Path], None], str, list[int], list[str]]] = {
    "few cells": (replaced(5, b"only,three,cells"), "wrong number of cells", [5], ["3 cells"]),
    "many cells": (replaced(6, b"a,b,c,d,e,f,g"), "wrong number of cells", [6], ["has 5"]),
    "open quote": (replaced(7, b'"open,30,red,good,1'), "broken quotes", [7], ["never closed"]),
    "quote within": (replaced(8, b'"a" b,30,red,good,1'), "broken quotes", [8], ['as ""']),
    "bytes": (replaced(9, b"caf\xe9,30,red,good,1"), "not decodable text", [9], ["0xe9"]),
    "target": (replaced(10, b"fine,30,red,good,cheap"), "not a number", [10], ["price is 'cheap'"]),
}
JSON = {
    "no JSON": (b'{"note": "x"', "not JSON", [5], ["Expecting"]),
    "no object": (b"[1, 2]", "not an object", [5], ["{…}"]),
    "nested": (b'{"note": {"a": 1}, "label": "good"}', "nested value", [5], ["an object"]),
}


def assert_reported(
    capsys: Capture, arguments: Sequence[str], reason: str, lines: Sequence[int], told: list[str]
) -> None:
    """Assert that bad rows stop a run with a report, and cost nothing but themselves if skipped."""
    assert main([*arguments, "hydra.run.dir=failed"]) == 2
    report = capsys.readouterr().err
    assert f"{reason}: {len(lines)} row" in report
    for line in lines:
        assert f"line {line}: " in report
    for part in (*told, "dataset.on_error=skip"):
        assert part in report
    assert "Traceback" not in report
    assert not Path("failed").exists()

    assert main([*arguments, "dataset.on_error=skip", "hydra.run.dir=skipped"]) == 0
    data = result_of("skipped")["data"]["dataset"]
    assert data == {"rows": COUNT, "skipped": len(lines), "reasons": {reason: len(lines)}}
    bad = predictions("skipped/bad_rows.csv")
    assert [int(row["place"]) for row in bad] == lines
    log = Path("skipped/log.txt").read_text()
    assert f"skipped: {counted(len(lines), 'row')} of {bad[0]['file']}: " in log
    (sizes,) = [line for line in log.splitlines() if line.split()[:2] == ["data", "dataset"]]
    words = sizes.replace(",", "").split()
    used = [int(words[i - 1]) for i, word in enumerate(words) if word in ("train", "val", "test")]
    assert sum(used) == COUNT - len(lines)


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_are_bad(name: str, tmp_path: Path, capsys: Capture) -> None:
    spoil, overrides, reason, lines, told = ROWS[name]
    rows = with_files(tmp_path, rows_of(COUNT)) if overrides == FILES else rows_of(COUNT)
    spoil(rows)
    write_csv(tmp_path / "t.csv", rows)
    arguments = [*TABLE, "dataset.path=t.csv", *overrides]
    assert_reported(capsys, arguments, reason, lines, told)


@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_bad(name: str, tmp_path: Path, capsys: Capture) -> None:
    spoil, reason, lines, told = LINES[name]
    spoil(write_csv(tmp_path / "t.csv", rows_of(COUNT)))
    arguments = [*BOTH, "dataset.path=t.csv", "epochs=1"]
    assert_reported(capsys, arguments, reason, lines, told)


@pytest.mark.parametrize("name", JSON)
def test_lines_of_json_that_are_bad(name: str, tmp_path: Path, capsys: Capture) -> None:
    spoilt, reason, lines, told = JSON[name]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(COUNT)))
    replaced(5, spoilt)(path)
    assert_reported(capsys, [*TABLE, "dataset.path=t.jsonl"], reason, lines, told)


def test_several_reasons_are_told_at_once(tmp_path: Path, capsys: Capture) -> None:
    rows = rows_of(COUNT)
    for i in range(12):
        rows[i]["age"] = "old"
    no_input(rows[20:])
    write_csv(tmp_path / "t.csv", rows)
    columns = "dataset.columns={age: number}"
    assert main([*TABLE, "dataset.path=t.csv", columns]) == 2
    report = capsys.readouterr().err
    assert "not a number: 12 rows" in report
    assert "and 2 more" in report
    assert "no input: 1 row" in report
    assert "13 of 60 rows" in report


WRONG = {
    "no path": ([], ["dataset.path: must be set"]),
    "no file": (["dataset.path=nowhere.csv"], ["dataset.path", "no file 'nowhere.csv'", "t.csv"]),
    "no table": (["dataset.path=notes.txt"], ["notes.txt", "JSON Lines"]),
    "task": (
        ["dataset.path=t.csv", "tasks=[lable]"],
        ["the data set has no task 'lable'", "Did you mean 'label'?"],
    ),
    "settings of a task": (
        ["dataset.path=t.csv", "dataset.tasks.lable.label_smoothing=0.1"],
        ["dataset.tasks.lable: the table has no task 'lable'", "Did you mean 'label'?"],
    ),
    "modality": (["dataset.path=t.csv", "modalities=[image,text]"], ["no modality 'image'"]),
    "group": (["dataset.path=t.csv", "dataset.group_by=colur"], ["Did you mean 'colour'?"]),
    "type": (["dataset.path=t.csv", "dataset.columns=3"], ["dataset.columns"]),
    "key": (["dataset.path=t.csv", "dataset.pth=t.csv"], ["dataset.pth", "'path'"]),
    "file and name": (
        ["dataset.path=nowhere.csv", "optimizer.lr=abc", "optimzer=sgd"],
        ["nowhere.csv", "'optimizer'"],
    ),
    "one modality": (
        ["dataset.path=t.csv", "dataset.columns={age: ignore, colour: ignore, price: ignore}"],
        ["multimodal needs at least two modalities, here is text", "mode=multitask"],
    ),
    "reading": (["dataset.path=t.csv", "dataset.reading.decimal=5"], ["reading.decimal", "text"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_config_says_wrongly_of_a_table(name: str, tmp_path: Path, capsys: Capture) -> None:
    arguments, told = WRONG[name]
    write_csv(tmp_path / "t.csv", rows_of(COUNT))
    Path("notes.txt").write_text("a,b")
    assert main([*TABLE, *arguments]) == 2
    report = capsys.readouterr().err
    for part in told:
        assert part in report
    assert "Traceback" not in report
    assert not Path("outputs").exists()


@pytest.fixture
def trained(tmp_path: Path) -> str:
    write_csv(tmp_path / "t.csv", rows_of(120))
    assert main([*BOTH, "dataset.path=t.csv", "epochs=8", "hydra.run.dir=run"]) == 0
    return "run"


def test_a_run_says_and_keeps_what_it_inferred(trained: str) -> None:
    log = Path(trained, "log.txt").read_text()
    assert "note    text" in log
    assert "colour  category" in log
    node = yaml.safe_load(Path(trained, "config.yaml").read_text())["dataset"]
    assert node["columns"] == {"note": "text", "age": "number", "colour": "category"}
    assert node["targets"]["price"] == {"column": "price", "kind": "regression"}
    assert node["modalities"] == ["text", "tabular"]
    assert list(node["tasks"]) == ["label", "price"]
    assert "auroc" in result_of(trained)["test"]["label"]
    assert result_of(trained)["data"]["dataset"] == {"rows": 120, "skipped": 0, "reasons": {}}
    assert not Path(trained, "bad_rows.csv").exists()


def test_new_rows_are_predicted(trained: str, tmp_path: Path, capsys: Capture) -> None:
    rows = rows_of(8, start=500)
    rows[1]["colour"] = "ultramarine"
    rows[2] |= {"note": "", "age": ""}
    rows[3] |= {"note": "words that nobody wrote before", "unknown": "x"}
    write_csv(tmp_path / "new.csv", [row | {"unknown": "x"} for row in rows])
    arguments = ["predict", trained, "--input", "new.csv"]
    assert main([*arguments, "--output", "p.csv", "--columns", "age", "label"]) == 0
    split = {row["place"]: row["split"] for row in predictions(f"{trained}/splits.csv")}
    repeated = [split[str(line)] for line in range(2, 6)].count("train")  # 500 + 4 is 0 again
    told = f"warning: {repeated} of 8 rows were training rows of this run, for example line"
    assert told in capsys.readouterr().out
    found = predictions("p.csv")
    decided = [f"label{end}" for end in ("", "_probability", "_p_bad", "_p_good")]
    numbers = ["price", "price_lower", "price_upper"]
    assert list(found[0]) == ["input", "age", "label_given", *decided, *numbers]
    assert [row["age"] for row in found] == [row["age"] for row in rows]
    assert [row["input"] for row in found] == [f"line {i}" for i in range(2, 10)]
    right = [i for i in (0, 1, 4, 5, 6, 7) if found[i]["label"] == rows[i]["label"]]
    assert len(right) >= 5
    assert all(90 < float(row["price"]) < 140 for row in found)
    assert main([*arguments, "--output", "p.csv", "--calibrated"]) == 0
    cooled = predictions("p.csv")
    assert [row["label"] for row in cooled] == [row["label"] for row in found]
    assert cooled[0]["label_probability"] != found[0]["label_probability"]

    capsys.readouterr()
    chosen = ["--probabilities", "winner", "--level", "0.5", "--scores", "s.json"]
    assert main([*arguments, "--output", "p.jsonl", *chosen]) == 0
    lines = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert list(lines[0]) == ["input", *decided[:2], *numbers]
    scores = json.loads(Path("s.json").read_text())["scores"]
    right = [row["label"] == given["label"] for row, given in zip(lines, rows, strict=True)]
    assert scores["label"]["accuracy"] == np.mean(right)
    pairs = list(zip(lines, [float(row["price"]) for row in rows], strict=True))
    inside = [row["price_lower"] <= price <= row["price_upper"] for row, price in pairs]
    assert scores["price"]["coverage"] == np.mean(inside)
    assert scores["price"]["mae"] == pytest.approx(
        np.mean([abs(row["price"] - price) for row, price in pairs])
    )
    assert "label, 8 rows with a label: accuracy" in capsys.readouterr().out
    wide = float(found[0]["price_upper"]) - float(found[0]["price_lower"])
    assert 0 < lines[0]["price_upper"] - lines[0]["price_lower"] < wide
    for clash in (["--output", "new.csv"], ["--output", "p.csv", "--scores", "p.csv"]):
        assert main([*arguments, *clash]) == 2
        assert "name another one" in capsys.readouterr().err
    assert main([*arguments, "--output", "p.csv", "--columns", "agge"]) == 2
    assert (
        "--columns: the table has no column 'agge'. Did you mean 'age'?" in capsys.readouterr().err
    )


def test_new_rows_without_a_column(trained: str, tmp_path: Path, capsys: Capture) -> None:
    rows = [{"note": row["note"]} for row in rows_of(6)]
    write_csv(tmp_path / "new.csv", rows)
    assert main(["predict", trained, "--input", "new.csv", "--output", "p.csv"]) == 0
    assert "missing in every row: age, colour" in capsys.readouterr().out
    assert len(predictions("p.csv")) == 6


def test_new_rows_that_are_bad(trained: str, tmp_path: Path, capsys: Capture) -> None:
    rows = rows_of(6)
    rows[2]["age"] = "old"
    write_csv(tmp_path / "new.csv", rows)
    arguments = ["predict", trained, "--input", "new.csv", "--output", "p.csv"]
    assert main(arguments) == 2
    report = capsys.readouterr().err
    assert "line 4: age is 'old'" in report
    assert "--on-error skip" in report
    assert main([*arguments, "--on-error", "skip"]) == 0
    assert "skipped: line 4, age is 'old'" in capsys.readouterr().out
    assert [row["input"] for row in predictions("p.csv")][2] == "line 5"


@pytest.mark.parametrize(
    ("content", "told"),
    [("a,b\n1,2\n", "none of the columns"), ("", "is empty"), (None, "there is no file")],
)
def test_no_new_rows(trained: str, content: str | None, told: str, capsys: Capture) -> None:
    if content is not None:
        Path("new.csv").write_text(content)
    assert main(["predict", trained, "--input", "new.csv", "--output", "p.csv"]) == 2
    assert told in capsys.readouterr().err


def test_it_is_evaluated_again(trained: str) -> None:
    assert main(["evaluate", trained, "--output", "scores.json"]) == 0
    again, first = json.loads(Path("scores.json").read_text()), result_of(trained)
    assert again["test"]["label"]["loss"] == pytest.approx(first["test"]["label"]["loss"], rel=1e-5)
    shutil.move("t.csv", "moved.csv")
    assert main(["evaluate", trained, "dataset.path=moved.csv"]) == 0


def test_it_is_evaluated_on_other_test_rows(trained: str, tmp_path: Path, capsys: Capture) -> None:
    """The run's validation rows stay, and its model reads the new rows as `predict` does."""
    rows = [row | {"label": "", "age": f"{i / 7}"} for i, row in enumerate(rows_of(30))]
    write_csv(tmp_path / "new.csv", rows)
    others = ["dataset.test_path=new.csv", "--output", "scores.json"]
    assert main(["evaluate", trained, *others]) == 0
    assert "test: no row has a label of label, so that" in capsys.readouterr().out
    again, first = json.loads(Path("scores.json").read_text()), result_of(trained)
    assert again["val"]["price"] == pytest.approx(first["val"]["price"], rel=1e-5)
    assert list(again["test"]) == ["price"]
    assert main(["predict", trained, "--input", "new.csv", "--output", "p.csv"]) == 0
    pairs = zip(predictions("p.csv"), rows, strict=True)
    errors = [abs(float(found["price"]) - float(row["price"])) for found, row in pairs]
    assert again["test"]["price"]["mae"] == pytest.approx(float(np.mean(errors)), rel=1e-5)

    only = [row | {"label": "good"} for row in rows]
    write_csv(tmp_path / "only.csv", only)
    assert main(["evaluate", trained, "dataset.path=only.csv"]) == 2
    message = "dataset.tasks.label: a binary task has two classes, found 1: good"
    assert message in capsys.readouterr().err
    others = [row | {"label": ("good", "odd")[i % 2]} for i, row in enumerate(rows)]
    write_csv(tmp_path / "others.csv", others)
    assert main(["evaluate", trained, "dataset.path=others.csv"]) == 2
    assert "dataset.tasks.label: the classes are not those of the run" in capsys.readouterr().err


def test_rows_that_are_fetched_train_as_those_in_memory(tmp_path: Path) -> None:
    rows = with_files(tmp_path, rows_of(COUNT))
    for i in range(0, COUNT, 3):
        rows[i] |= {"photo": "", "note": ""}
    write_csv(tmp_path / "t.csv", rows)
    arguments = [*TABLE, "dataset.path=t.csv", "engine.workers=1"]
    assert main([*arguments, "hydra.run.dir=memory"]) == 0
    assert main([*arguments, "engine.memory_budget=0", "hydra.run.dir=fetched"]) == 0
    assert result_of("memory")["test"] == result_of("fetched")["test"]


def test_an_experiment_is_written_and_runs(tmp_path: Path, capsys: Capture) -> None:
    rows = [row | {"Stars, 1-5": str(1 + i % 5)} for i, row in enumerate(rows_of(COUNT))]
    for i, row in enumerate(rows):
        row |= {
            "sold": f"{1 + i % 28}/02/2024",
            "part": ("train", "test")[i % 2],
            "Größe": f"{i},5 %",
        }
    write_csv(tmp_path / "my data.csv", rows, ";")
    write = ["init-config", "my data.csv", "--targets", "label, price"]
    assert main([*write, "dataset.reading.columns={price: {unit: $}}"]) == 0
    shown = capsys.readouterr().out
    assert "jlrun experiment=my_data" in shown
    text = Path("conf/experiment/my_data.yaml").read_text()
    assert "or category, if the numbers stand for names\n    age: number" in text
    assert "# dates with the day first, such as 1/02/2024" in text
    assert "# percentages such as 0,5 %, read as numbers of percent" in text
    assert "# split_column: part  # its cells are test, train" in text
    assert "multiclass, binary, regression, multilabel, ordinal" in text
    assert '"Stars, 1-5": number' in text
    node = yaml.safe_load(text)["dataset"]
    assert node["path"] == str(tmp_path / "my data.csv")
    assert node["reading"]["columns"]["price"] == {"unit": "$"}
    (tmp_path / "other").mkdir()
    os.chdir("other")
    run = ["--config-dir", "../conf", "experiment=my_data", *QUICK, "epochs=1"]
    assert main([*run, "hydra.run.dir=run"]) == 0
    assert set(result_of("run")["test"]) == {"label", "price"}
    os.chdir("..")
    assert main(write) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*write, "--force"]) == 0
    assert main([*write, "epochs=3"]) == 2
    assert "epochs: is to be set in the written file" in capsys.readouterr().err


def test_an_experiment_for_no_table(tmp_path: Path, capsys: Capture) -> None:
    assert main(["init-config", "nowhere.csv"]) == 2
    assert "table: there is no file 'nowhere.csv'" in capsys.readouterr().err
    write_csv(tmp_path / "t.csv", [{"a": "1", "b": str(i % 2)} for i in range(9)])
    assert main(["init-config", "t.csv"]) == 2
    assert "--targets 'b'" in capsys.readouterr().err


TRANSFER = [
    *("mode=transfer", "dataset@source=table", "dataset@target=table", "fusion=concat"),
    *("source.path=s.csv", "target.path=t.csv", "source.targets=[label]", "target.targets=[label]"),
    *(*QUICK, "pretrain_epochs=1", "epochs=2"),
]


def specs_of(run: str) -> dict[str, Any]:
    return json.loads(Path(run, "model.json").read_text())["modalities"]


def test_a_target_takes_over_the_vocabulary_of_its_source(tmp_path: Path) -> None:
    write_csv(tmp_path / "s.csv", rows_of(120))
    new = [row | {"note": "quite " + row["note"], "colour": "teal"} for row in rows_of(40)]
    write_csv(tmp_path / "t.csv", new)
    assert main([*TRANSFER, "hydra.run.dir=run"]) == 0
    specs = specs_of("run")
    assert "quite" not in specs["text"]["vocabulary"]
    assert "teal" not in specs["tabular"]["levels"][0]
    assert Path("run/table_source.json").exists()
    assert main(["predict", "run", "--input", "t.csv", "--output", "p.csv"]) == 0


def test_a_target_takes_over_the_vocabulary_of_a_run(trained: str, tmp_path: Path) -> None:
    new = [{"colour": "teal", **row} for row in rows_of(40)]
    new = [row | {"note": "quite " + row["note"]} for row in new]
    write_csv(tmp_path / "n.csv", new)
    arguments = [
        *("mode=transfer", "dataset@target=table", "target.path=n.csv", "target.targets=[label]"),
        *(f"source.run={trained}", "fusion=gated", *QUICK, "epochs=1", "hydra.run.dir=tuned"),
    ]
    assert main(arguments) == 0
    assert specs_of("tuned") == specs_of(trained)
    start = result_of("tuned")["start"]
    assert not [name for name in start["skipped"] if name.startswith("body.encoders")]


def test_errors_of_a_target_name_it(tmp_path: Path, capsys: Capture) -> None:
    write_csv(tmp_path / "s.csv", rows_of(60))
    rows = rows_of(60)
    rows[3]["age"] = "old"
    write_csv(tmp_path / "t.csv", rows)
    assert main(TRANSFER) == 2
    assert "target.on_error=skip" in capsys.readouterr().err


def test_several_tables(tmp_path: Path, capsys: Capture) -> None:
    write_csv(tmp_path / "a.csv", rows_of(60))
    write_csv(tmp_path / "b.csv", [row | {"colour": "teal"} for row in rows_of(60)])
    arguments = [
        *("mode=multitask", "~dataset", "+dataset@datasets.a=table", "+dataset@datasets.b=table"),
        *("datasets.a.path=a.csv", "datasets.b.path=b.csv", "fusion=concat"),
        *("datasets.a.targets=[label]", "datasets.b.targets=[price]", *QUICK, "epochs=1"),
    ]
    assert main(arguments) == 2
    assert "datasets.b.targets.price: column 'price' is an input" in capsys.readouterr().err
    arguments.append("datasets.a.columns={price: ignore}")
    assert main([*arguments, "hydra.run.dir=run"]) == 0
    assert set(result_of("run")["test"]) == {"a", "b"}
    assert set(result_of("run")["data"]) == {"datasets.a", "datasets.b"}


def test_a_sweep(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", rows_of(60))
    arguments = [*TABLE, "dataset.path=t.csv", "seed=0,1", "hydra.sweep.dir=sweep"]
    assert main(["--multirun", *arguments]) == 0
    for job in ("0", "1"):
        node = yaml.safe_load(Path("sweep", job, "config.yaml").read_text())["dataset"]
        assert node["modalities"] == ["text", "tabular"]
        assert "inferred" in Path("sweep", job, "log.txt").read_text()


REVIEWS = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not REVIEWS.is_dir(), reason="needs ../shared/data")
def test_reviews_of_clothes() -> None:
    data = f"data_root={REVIEWS}"
    arguments = ["experiment=reviews", data, *QUICK, "epochs=1", "dataset.limit=400"]
    assert main([*arguments, "hydra.run.dir=run"]) == 0
    assert set(result_of("run")["test"]) == {"rating", "recommended", "department"}
    assert result_of("run")["data"]["dataset"]["rows"] == 2349


def test_several_modalities_without_a_fusion(tmp_path: Path, capsys: Capture) -> None:
    write_csv(tmp_path / "t.csv", rows_of(COUNT))
    arguments = ["mode=multitask", "dataset=table", "dataset.path=t.csv", "dataset.targets=[label]"]
    assert main([*arguments, "fusion=none"]) == 2
    assert "choose fusion=concat or another, or modalities=[text]" in capsys.readouterr().err


@pytest.mark.parametrize("overrides", [["dataset.path=nowhere.csv"], ["tasks=[lable]"]])
def test_what_is_wrong_with_a_table_needs_no_pytorch(tmp_path: Path, overrides: list[str]) -> None:
    write_csv(tmp_path / "t.csv", rows_of(COUNT))
    path = [] if "dataset.path" in overrides[0] else ["dataset.path=t.csv"]
    arguments = ["mode=multimodal", "dataset=table", "dataset.targets=[label]", *path, *overrides]
    code = (
        "import sys; from jlrun.config import checked; from jlrun.errors import UserError\n"
        f"try: checked({arguments!r})\n"
        "except UserError as error: print(error, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
