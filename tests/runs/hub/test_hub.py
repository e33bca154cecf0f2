"""``jlrun push`` and ``jlrun pull`` between two folders, over a hub on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import jlrun
from jlrun.cli.main import main
from tests.runs.hub.local_hub import Hub, local_hub

constants = pytest.importorskip("huggingface_hub.constants")

# The library hands bytes to its client in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
REPO = "jane/houses"
SECRET = 51.4159265  # a cell of a training row, and no extreme of its column, which the model knows
SMALL = [
    *("mode=multitask", "epochs=2", "batch_size=32", "baselines=false", "engine.threads=1"),
    *("recorder.progress=none", "backbone.tabular.hidden=[8]"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table in a folder with a name that nobody else should see."""
    folder = tmp_path_factory.mktemp("client_acme")
    rng = np.random.default_rng(0)
    size = rng.normal(50, 10, 120)
    frame = pd.DataFrame({"size": size, "colour": rng.choice(["red", "blue"], 120)})
    frame["price"] = 3 * size + rng.normal(0, 1, 120)
    frame["dear"] = np.where(frame["price"] > 150, "yes", "no")
    frame.loc[frame.index[7], "size"] = SECRET
    frame.to_csv(folder / "houses.csv", index=False)
    data = ["dataset=table", f"dataset.path={folder / 'houses.csv'}"]
    data += ["dataset.targets={price: regression, dear: binary}"]
    assert main([*SMALL, *data, f"hydra.run.dir={folder / 'run'}"]) == 0
    return folder / "run"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with local_hub() as served:
        served.token = "known"
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        files = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", served.token)
        yield served


def test_a_pulled_run_predicts_evaluates_and_exports_as_the_pushed_one(
    run: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(run), REPO, "--private"]) == 0
    assert f"{hub.url}/{REPO}/commit/" in capsys.readouterr().out
    assert hub.private[REPO]
    pulled = tmp_path / "pulled"
    assert main(["pull", REPO, "--output", str(pulled)]) == 0
    rows = pd.DataFrame({"size": [40.0, np.nan, 61.0], "colour": ["red", "blue", "green"]})
    here, there = jlrun.load(run), jlrun.load(pulled)
    assert isinstance(here, jlrun.Run)
    assert isinstance(there, jlrun.Run)
    expected, found = here.predict(rows), there.predict(rows)
    # The interval of a number comes from validation rows, which are not pushed.
    gone = set(expected.columns) - set(found.columns)
    assert gone == {"price_lower", "price_upper"}
    pd.testing.assert_frame_equal(found, expected.drop(columns=[*gone]))
    assert there.test == here.test
    table = run.parent / "houses.csv"
    assert main(["evaluate", str(pulled), f"dataset.path={table}"]) == 0
    assert main(["export", str(pulled), "--output", str(tmp_path / "model")]) == 0
    assert main(["report", str(pulled), "--output", str(tmp_path / "report.html")]) == 0


def test_neither_rows_nor_local_paths_are_pushed(run: Path, hub: Hub) -> None:
    url = jlrun.push(run, REPO, fingerprint=True)
    assert url.startswith(hub.url)
    files = hub.repositories[REPO]
    assert set(files) == {
        *("README.md", "SHA256SUMS", ".gitattributes", "config.yaml", "overrides.yaml"),
        *("result.json", "model.json", "calibration.json", "environment.json", "table.json"),
        *("metrics.csv", "fingerprint.safetensors", "tb/events.out.tfevents.shared"),
        *(f"checkpoints/best/{n}" for n in ("model.safetensors", "state.pt", "SHA256SUMS")),
    }
    for name, content in files.items():
        for secret in ("client_acme", str(Path.home()), str(SECRET), str(run.parent.parent)):
            assert secret.encode() not in content, (name, secret)
    assert b"dataset.path=houses.csv" in files["overrides.yaml"]
    assert b"path: houses.csv" in files["config.yaml"]


def test_tensorboard_gets_curves_and_hyperparameters_without_pictures(
    run: Path, hub: Hub, tmp_path: Path
) -> None:
    jlrun.push(run, REPO)
    pulled = jlrun.pull(REPO, tmp_path / "pulled")
    plugins, tags = set(), set()
    for event in EventFileLoader(str(next((pulled.path / "tb").iterdir()))).Load():
        for value in event.summary.value:
            plugins.add(value.metadata.plugin_data.plugin_name)
            tags.add(value.tag)
    assert plugins == {"scalars", "hparams", "custom_scalars"}
    assert {"train/price/loss", "test/dear/accuracy", "_hparams_/session_start_info"} <= tags


def test_a_second_push_replaces_the_first(run: Path, hub: Hub, tmp_path: Path) -> None:
    jlrun.push(run, REPO, fingerprint=True)
    assert main(["push", str(run), REPO]) == 0
    assert "fingerprint.safetensors" not in hub.repositories[REPO]
    pulled = jlrun.pull(REPO, tmp_path / "pulled", revision="main")
    again = tmp_path / "again"
    shutil.copytree(pulled.path, again)
    jlrun.push(again, "jane/fork")  # a pulled run is a run
    assert hub.repositories["jane/fork"]["model.json"] == hub.repositories[REPO]["model.json"]


@pytest.mark.parametrize("name", ["result.json", "checkpoints/best/state.pt", "SHA256SUMS"])
def test_what_is_not_as_it_was_pushed_is_not_pulled(
    name: str, run: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jlrun.push(run, REPO)
    files = hub.repositories[REPO]
    files[name] = files[name][:-9] + b"tampered\n"
    assert main(["pull", REPO, "--output", str(tmp_path / "pulled")]) == 2
    assert "is not as it was pushed" in _one_line(capsys)
    del files[name]
    assert main(["pull", REPO, "--output", str(tmp_path / "pulled")]) == 2
    _one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_files_that_no_run_has_are_left_on_the_hub(run: Path, hub: Hub, tmp_path: Path) -> None:
    jlrun.push(run, REPO)
    hub.repositories[REPO] |= {"../evil.py": b"", "checkpoints/best/x/y.py": b"", "more.csv": b""}
    pulled = jlrun.pull(REPO, tmp_path / "pulled")
    assert not [p for p in tmp_path.rglob("*") if p.name in ("evil.py", "y.py", "more.csv")]
    assert pulled.status == "completed"


def test_what_goes_wrong_is_told_in_one_line(
    run: Path,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = str(tmp_path / "pulled")
    hub.repositories["jane/other"] = {"pytorch_model.bin": b"x"}
    hub.private["jane/other"] = False

    def said(code: int, *arguments: str) -> str:
        assert main(list(arguments)) == code
        return _one_line(capsys)

    assert "there is no such repository" in said(2, "pull", "jane/none", "--output", place)
    assert "no run of jlrun" in said(2, "pull", "jane/other", "--output", place)
    assert "no such revision" in said(
        2, "pull", "jane/other", "--output", place, "--revision", "v9"
    )
    assert "expected owner/name" in said(2, "pull", "jane", "--output", place)
    assert "is not empty" in said(2, "pull", "jane/other", "--output", str(run))
    assert "pytorch_model.bin" in said(2, "push", str(run), "jane/other")
    assert "public" in said(2, "push", str(run), "jane/other", "--private")
    assert "no run here" in said(2, "push", str(tmp_path), REPO)
    hub.token = "another"
    assert "hf auth login" in said(2, "push", str(run), REPO)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the Hub can't be reached" in said(1, "push", str(run), REPO)
    assert "the Hub can't be reached" in said(1, "pull", REPO, "--output", place)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline mode" in said(1, "pull", REPO, "--output", place)
    monkeypatch.setattr("jlrun.extras.import_module", _is_absent)
    assert "pip install 'jlrun[hub]'" in said(2, "pull", REPO, "--output", place)
    assert not (tmp_path / "pulled").exists()


def test_a_dry_push_lists_the_files(
    run: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(run), REPO, "--dry"]) == 0
    printed = capsys.readouterr().out
    assert "checkpoints/best/model.safetensors" in printed
    assert "nothing was pushed" in printed
    assert hub.requests == []


def _is_absent(name: str) -> None:
    raise ImportError(name)


def _one_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1, printed
    return printed
