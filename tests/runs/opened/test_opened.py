"""Runs opened in Python: frames, the model, predictions, sweeps and studies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jlrun
from jlrun.cli.main import main
from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.study import study as studies

QUIET = (
    *("engine.threads=1", "recorder.progress=none", "recorder.figures=false", "epochs=1"),
    *("recorder.tensorboard=false", "baselines=false", "references=false"),
)
RESULT: dict[str, Any] = {
    "status": "completed",
    "mode": "multitask",
    "seed": 0,
    "overrides": ["weighting=pcgrad", "hydra.run.dir=x"],
    "val": {"digit": {"accuracy": 0.9}},
    "test": {"digit": {"accuracy": 0.8, "loss": None}, "<script>": {"accuracy": 0.5}},
    "primary": {"digit": "accuracy"},
    "objective": {"name": "val/mean_score", "value": 0.9},
    "baselines": {"alone": {"digit": {"accuracy": 0.7}}},
    "intervals": {
        "test": {"digit": {"accuracy": [0.75, 0.85]}},
        "baselines": {"alone": {"digit": {"accuracy": [0.6, 0.8]}}},
    },
}


def made(folder: Path, **changed: Any) -> Path:
    """Return the directory of a run that has no more than a result."""
    folder.mkdir(parents=True)
    RunDirectory(folder).result.write_text(json.dumps(RESULT | changed))
    return folder


def rows(count: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": generator.normal(size=count).round(3),
            "kind": generator.choice(["a", "b"], count),
        }
    )
    frame["label"] = np.where(frame["size"] > 0, "01", "02")
    return frame.assign(price=3 * frame["size"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a table and of a run on it."""
    folder = tmp_path_factory.mktemp("trained")
    rows().to_csv(folder / "rows.csv", index=False)
    data = ("dataset=table", f"dataset.path={folder / 'rows.csv'}")
    targets = "dataset.targets={label: binary, price: regression}"
    jlrun.run(["mode=multitask", *data, targets, *QUIET, f"hydra.run.dir={folder / 'run'}"])
    return folder


def opened(folder: Path) -> jlrun.Run:
    found = jlrun.load(folder)
    assert isinstance(found, jlrun.Run)
    return found


def several(folder: Path) -> jlrun.Runs:
    found = jlrun.load(folder)
    assert isinstance(found, jlrun.Runs)
    return found


def test_importing_jlrun_imports_neither_pytorch_nor_pandas() -> None:
    code = "import sys, jlrun; assert not {'torch', 'pandas', 'pydantic'} & set(sys.modules)"
    code += "; jlrun.ls('weighting'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scores_have_their_intervals(tmp_path: Path) -> None:
    frame = opened(made(tmp_path / "run")).scores.set_index(["fit", "split", "task", "metric"])
    assert frame.loc["main", "test", "digit", "accuracy"].tolist() == [0.8, 0.75, 0.85]
    assert frame.loc["alone", "test", "digit", "accuracy"].tolist() == [0.7, 0.6, 0.8]
    value, low, high = frame.loc["main", "val", "digit", "accuracy"]
    assert (value, np.isnan(low), np.isnan(high)) == (0.9, True, True)
    assert np.isnan(frame.loc["main", "test", "digit", "loss"]["value"])


def test_what_a_notebook_shows_is_escaped(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    made(tmp_path / "0", overrides=[f"weighting={bad}"])
    made(tmp_path / "1", status="failed", error=f"line\n{bad}", overrides=["weighting=x"])
    runs = several(tmp_path)
    shown = [runs._repr_html_(), *(run._repr_html_() for run in runs)]
    assert all("<script" not in html for html in shown)
    assert all("&lt;script&gt;" in html for html in shown)


def test_runs_of_a_folder_are_one_table(tmp_path: Path) -> None:
    for number, value in ((10, 0.4), (9, 0.6)):
        overrides = ["mode=multitask", f"weighting=w{number}"]
        objective = {"name": "val/mean_score", "value": value}
        made(tmp_path / "sweep" / str(number), overrides=overrides, objective=objective)
    made(tmp_path / "sweep" / "9" / "folds" / "0")  # part of a run
    runs = several(tmp_path)
    assert runs.names == ("sweep/9", "sweep/10")
    assert runs.table()["weighting"].tolist() == ["w9", "w10"]
    assert runs.table()["val/mean_score"].tolist() == [0.6, 0.4]
    assert runs.best().name == "sweep/9"
    assert set(runs.scores["run"]) == set(runs.names)
    assert runs["sweep/10"].path == runs[1].path == tmp_path / "sweep" / "10"
    assert len(runs[:1]) == 1
    assert runs.config.shape == (2, 0)
    (tmp_path / "sweep" / "9" / "result.json").write_text("{")
    with pytest.raises(UserError, match=r"result\.json: is damaged"):
        _ = runs.table()


def test_a_study_has_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "runs" / "alone")
    journal = {"finished": True, "sentences": ["It <b>helps</b>."], "comparisons": [{"arm": "a"}]}
    (tmp_path / "study.json").write_text(json.dumps(journal))

    def run_study(texts: list[str], say: Any, opened: Callable[[Path], object]) -> None:
        if "study.dry=true" not in texts:
            opened(tmp_path)

    monkeypatch.setattr(studies, "run_study", run_study)
    for study in (jlrun.study(["dataset=digits"]), jlrun.load(tmp_path)):
        assert isinstance(study, jlrun.StudyRuns)
        assert study.names == ("runs/alone",)
        assert study.sentences == ["It <b>helps</b>."]
        assert study.answers["arm"].tolist() == ["a"]
        assert "It &lt;b&gt;helps" in study._repr_html_()
    assert jlrun.study(["study.dry=true"]) is None


def test_a_sweep_returns_its_runs(tmp_path: Path) -> None:
    swept = ("dataset.limit=60", "seed=0,1", f"hydra.sweep.dir={tmp_path}")
    runs = jlrun.sweep(["mode=multitask", *QUIET, *swept])
    assert runs.table()["seed"].tolist() == [0, 1]
    assert runs.table()["status"].tolist() == ["completed", "completed"]
    assert runs.config["seed"].tolist() == [0, 1]
    tags = runs.curves.query("tag == 'val/digit/accuracy'")
    assert tags["run"].tolist() == ["0", "1"]
    shown = runs.scores.query("split == 'val' and task == 'digit' and metric == 'accuracy'")
    assert tags["value"].tolist() == shown["value"].tolist()


def test_predictions_of_a_frame_are_those_of_the_command(trained: Path, tmp_path: Path) -> None:
    run, output = opened(trained / "run"), tmp_path / "out.csv"
    source, table = ["--input", str(trained / "rows.csv")], ["--output", str(output)]
    assert main(["predict", str(run.path), *source, *table]) == 0
    kinds: Any = {"label": str}
    written = pd.read_csv(output, dtype=kinds, keep_default_na=False)
    asked = rows().drop(columns="label").iloc[::-1].head(7)
    found = run.predict(asked, columns=["kind", "price"])
    assert found.index.tolist() == asked.index.tolist()
    assert found["price_given"].tolist() == asked["price"].tolist()
    expected = written.loc[asked.index]
    assert found["label"].tolist() == expected["label"].tolist()
    assert found["price"].to_numpy() == pytest.approx(expected["price"].to_numpy(), abs=1e-5)
    assert run.predict(trained / "rows.csv", probabilities="winner").columns.tolist() == [
        *("input", "label", "label_probability", "price"),
    ]
    mixed = asked.astype({"size": object})
    mixed.iloc[1, 0] = "x"
    assert run.predict(mixed, on_error="skip").index.tolist() == [59, *asked.index[2:]]
    with pytest.raises(UserError, match=r"on_error='skip'") as caught:
        run.predict(mixed)
    assert str(caught.value).splitlines() == [
        "the frame: not a number: 1 row. row 2: size is 'x'",
        "rows: 1 of 7 rows of the frame can't be used; correct them, or skip them: on_error='skip'",
    ]
    mixed.iloc[1, 0] = "1,234.5"
    with pytest.raises(UserError, match=r"size is '1,234\.5'; write such numbers without the mark"):
        run.predict(mixed)


def test_a_cross_validation_predicts_the_mean_of_its_folds(trained: Path, tmp_path: Path) -> None:
    data = ["dataset=table", f"dataset.path={trained / 'rows.csv'}", "dataset.folds=2"]
    targets = "dataset.targets={label: binary, price: regression}"
    where = f"hydra.run.dir={tmp_path / 'run'}"
    jlrun.run(["mode=multitask", *data, targets, *QUIET, where])
    asked = rows().iloc[5:12]
    found = opened(tmp_path / "run").predict(asked, level=0.5)
    folds = [opened(tmp_path / f"run/folds/{i}").predict(asked, level=0.5) for i in range(2)]
    for name in ("label_p_01", "label_p_02", "price"):
        mean = (folds[0][name] + folds[1][name]) / 2
        assert found[name].to_numpy() == pytest.approx(mean.to_numpy(), abs=2e-6)
        assert not np.allclose(folds[0][name], folds[1][name])
    assert found["label"].tolist() == np.where(found["label_p_02"] > 0.5, "02", "01").tolist()
    assert (found["price_lower"] < found["price"]).all()
    command = ["predict", str(tmp_path / "run"), "--input", str(trained / "rows.csv")]
    assert main([*command, "--output", str(tmp_path / "out.csv")]) == 0
    assert main([*command, "--output", str(tmp_path / "out.csv"), "--tuned"]) == 2


def test_the_model_takes_rows_as_the_table_holds_them(trained: Path) -> None:
    run = opened(trained / "run")
    model = run.load_model()
    predictions = run.predictions
    assert set(predictions["label_true"]) <= {"01", "02"}
    spec = model.specs["tabular"]
    frame = rows().iloc[predictions["place"].astype(int) - 2]
    found = run.predict(frame)
    assert found["price"].to_numpy() == pytest.approx(predictions["price"].to_numpy(), abs=1e-5)
    assert (spec.numbers, spec.categories) == (("size",), ("kind",))
    levels = [1 + spec.levels[0].index(kind) for kind in frame["kind"]]
    cells = torch.tensor(np.column_stack([frame["size"], levels]))
    prices = model.probabilities({"tabular": cells})["price"][:, 0].detach().numpy()
    assert prices == pytest.approx(found["price"].to_numpy(), abs=1e-5)
    out = model({"tabular": cells[:2]})
    assert {task: tuple(x.shape) for task, x in out.items()} == {"label": (2, 1), "price": (2, 1)}
    assert model.encode({"tabular": cells[:2]}).shape[0] == 2
    out["price"].sum().backward()
    assert any(parameter.grad is not None for parameter in model.parameters())
    for wrong in ({"tabullar": cells}, {"tabular": cells[:, 1:]}, {}):
        with pytest.raises(UserError, match="inputs"):
            model(wrong)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: jlrun.load(run.path / "nothing"), "there is no such folder"),
        (lambda run: jlrun.load(run.path / "checkpoints"), "there is no run in this folder"),
        (lambda run: run.figure("curves"), "no figure 'curves'"),
        (lambda run: run.load_model("warp"), "device: 'warp' is no device"),
        (lambda run: run.predict("gone.csv"), "^rows: there is no file"),
        (lambda run: run.predict([1, 2]), "rows: expected a frame .* not a value of type list"),
        (lambda run: run.predict(rows(), columns="kind"), "columns: .* give a list"),
        (lambda run: run.predict(rows(), level="0.9"), "level: 0.9 is no share"),
        (lambda run: run.predict(rows().head(0)), "rows: the frame has no row"),
        (lambda run: run.predict(rows(), columns=["sise"]), "Did you mean 'size'"),
        (lambda run: run.predict(rows(), on_error="no"), "on_error: 'no' is none of"),
        (lambda run: run.predict(rows(), level=1.0), "level: 1.0 is no share"),
        (lambda run: run.predict(rows().rename(columns={"size": 3})), "must be texts, not 3"),
        (
            lambda run: run.predict(rows().rename(columns={"size": "kind"})),
            "several columns 'kind'",
        ),
    ],
)
def test_what_is_wrong_is_one_line(trained: Path, ask: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        ask(opened(trained / "run"))
    assert "\n" not in str(caught.value)
