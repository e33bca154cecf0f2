"""Data that changed under a run is noticed by every verb that reads it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jlrun.cli.main import main

QUICK = ["epochs=1", "baselines=false", "batch_size=8", "recorder.progress=none"]
QUICK += ["recorder.figures=false", "recorder.tensorboard=false"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_images(folder: Path, count: int, seed: int = 0) -> None:
    draw = np.random.default_rng(seed)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")


def train(*overrides: str) -> None:
    assert main([*QUICK, *overrides, "hydra.run.dir=run"]) == 0


def train_on_images(*overrides: str) -> None:
    write_images(Path("data"), 40)
    train(
        "mode=multitask", "dataset=imagefolder", "dataset.root=data", "dataset.size=8", *overrides
    )


def reopen() -> None:
    """Make a run look interrupted, so that it can be resumed."""
    result = json.loads(Path("run/result.json").read_text())
    Path("run/result.json").write_text(json.dumps({**result, "status": "interrupted"}))


def test_a_file_that_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    train_on_images()
    assert main(["evaluate", "run"]) == 0
    for name in ("a/003.png", "b/004.png"):
        (Path("data") / name).unlink()
    reopen()
    capsys.readouterr()
    for verb in (["evaluate", "run"], ["resume", "run"]):
        assert main(verb) == 2
        told = capsys.readouterr().err
        assert "the data is not what the run was made with" in told
        assert "file missing from train, for example" in told
        assert "test rows were training rows" in told
    assert json.loads(Path("run/result.json").read_text())["status"] == "interrupted"
    # To name the data does not help: its test rows were training rows.
    assert main(["evaluate", "run", "dataset.root=data"]) == 2
    assert "rows were training rows of the run, for example" in capsys.readouterr().err


def test_the_same_files_elsewhere_and_later_are_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_on_images()
    shutil.copytree("data", "moved")
    for path in Path("data").rglob("*.png"):
        path.touch()
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 0
    assert main(["evaluate", "run", "dataset.root=moved"]) == 0
    assert "training rows" not in capsys.readouterr().out


def test_other_content_and_another_label(capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path("data/train"), 12)
    write_images(Path("data/test"), 6, seed=1)
    train("mode=multitask", "dataset=imagefolder", "dataset.root=data", "dataset.size=8")
    Image.new("RGB", (8, 8), "red").save("data/test/a/001.png")
    Path("data/test/a/002.png").rename("data/test/b/100.png")
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    told = capsys.readouterr().err
    assert "1 file of test changed, for example a/001.png" in told
    assert "1 file of test with another label, for example b/100.png" in told
    assert "train" not in told.replace("trained", "")


def test_a_new_class(capsys: pytest.CaptureFixture[str]) -> None:
    train_on_images()
    shutil.copytree("data/b", "data/c")
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert "the classes of 'label' were a, b, now a, b, c" in capsys.readouterr().err


def write_table(path: str, rows: int, seed: int, first: float = 0.0) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=rows) + first
    lines = [
        f"{value:.6f},word{i % 7} {i},{'yes' if value > 0 else 'no'}" for i, value in enumerate(x)
    ]
    Path(path).write_text("x,text,label\n" + "\n".join(lines) + "\n")


def train_on_a_table() -> None:
    write_table("a.csv", 80, 0)
    write_table("t.csv", 20, 1)
    named = ["dataset.path=a.csv", "dataset.test_path=t.csv", "dataset.targets=[label]"]
    train("mode=multimodal", "dataset=table", *named)


def test_rows_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    train_on_a_table()
    assert main(["evaluate", "run"]) == 0
    whole = Path("t.csv").read_text()
    Path("t.csv").write_text(whole.replace("word1 1,", "word8 1,"))
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert "1 line of test changed, for example line 3" in capsys.readouterr().err
    Path("t.csv").write_text("".join(whole.splitlines(keepends=True)[:-2]))
    assert main(["evaluate", "run"]) == 2
    assert "2 lines missing from test, for example line 20" in capsys.readouterr().err


def test_other_test_data_on_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    train_on_a_table()
    write_table("new.csv", 30, 2)
    capsys.readouterr()
    assert main(["evaluate", "run", "dataset.test_path=new.csv"]) == 0
    assert "test: 0 of 30 rows were training rows of the run" in capsys.readouterr().out
    lines = Path("a.csv").read_text().splitlines(keepends=True)
    Path("new.csv").write_text("".join(lines[:50]))
    assert main(["evaluate", "run", "dataset.test_path=new.csv"]) == 2
    told = capsys.readouterr().err
    assert "these rows are no test of the run" in told
    assert "of 49 rows were training rows of the run, for example line" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("limit: 100", "another"),
        ("shots: 3", "missing from train"),
        ("classes: [0, 1, 2]", "the classes of 'digit' were"),
        ("val_fraction: 0.3", "training rows"),
    ],
)
def test_a_subset_of_digits(change: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    train("mode=multitask", "dataset=digits", "dataset.limit=200")
    reopen()
    key = change.partition(":")[0]
    config = Path("run/config.yaml")
    lines = config.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    config.write_text("\n".join([*lines[:place], indent + change, *lines[place + 1 :]]))
    capsys.readouterr()
    assert main(["resume", "run"]) == 2
    found = capsys.readouterr().err
    assert "the data is not what the run was made with" in found
    if told != "another":
        assert told in found


def test_another_seed_makes_validation_rows_of_training_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train("mode=multitask", "dataset=digits")
    capsys.readouterr()
    assert main(["evaluate", "run", "seed=1"]) == 2
    told = capsys.readouterr().err
    assert "val: " in told
    assert "test: " not in told


def test_transfer_names_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path("from"), 30)
    write_images(Path("to"), 30, seed=1)
    nodes = [f"dataset@{name}=imagefolder" for name in ("source", "target")]
    places = ["source.root=from", "target.root=to", "source.size=8", "target.size=8"]
    train("mode=transfer", *nodes, *places, "pretrain_epochs=1", "target.shots=null")
    assert main(["evaluate", "run"]) == 0
    Path("from/a/001.png").unlink()
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    told = capsys.readouterr().err
    assert "source: " in told
    assert "target: " not in told


def test_a_damaged_fingerprint_and_none(capsys: pytest.CaptureFixture[str]) -> None:
    train("mode=multitask", "dataset=digits", "dataset.limit=200")
    file = Path("run/fingerprint.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert "is damaged" in capsys.readouterr().err
    file.unlink()
    assert main(["evaluate", "run"]) == 0
    assert "has no fingerprint of its data" in capsys.readouterr().out


def test_a_baseline_of_other_rows_is_not_shared(capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path("from"), 30)
    write_images(Path("data"), 40, seed=1)
    nodes = [f"dataset@{name}=imagefolder" for name in ("source", "target")]
    places = ["source.root=from", "target.root=data", "source.size=8", "target.size=8"]
    named = ["mode=transfer", *nodes, *places, "pretrain_epochs=1", "target.shots=null", "epochs=1"]
    shared = [*named, "batch_size=8", "recorder.progress=plain", "baselines_cache=shared"]
    shared += ["recorder.figures=false", "recorder.tensorboard=false"]
    for run, changed, expected in (
        ("one", None, False),
        ("two", None, True),
        ("three", "from/a/001.png", True),  # which the baseline does not see
        ("four", "data/a/001.png", False),
    ):
        if changed is not None:
            Image.new("RGB", (8, 8), "red").save(changed)
        capsys.readouterr()
        assert main([*shared, f"hydra.run.dir={run}"]) == 0
        assert ("as trained in" in "".join(capsys.readouterr())) is expected, run


def test_test_rows_that_are_training_rows_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path("data/train"), 10)
    write_images(Path("data/val"), 4, seed=1)
    write_images(Path("data/test"), 4, seed=2)
    images = ["mode=multitask", "dataset=imagefolder", "dataset.root=data", "dataset.size=8"]
    assert main([*QUICK, *images, "hydra.run.dir=clean"]) == 0
    assert "are training rows" not in capsys.readouterr().out
    shutil.rmtree("data/test")
    shutil.copytree("data/train", "data/test")
    train(*images)
    told = "warning: dataset: 20 of 20 test rows are training rows, for example "
    assert told in Path("run/log.txt").read_text()


@pytest.mark.parametrize(("levels", "told"), [(100, True), (4, False)])
def test_the_training_table_in_another_format(levels: int, told: bool) -> None:
    lines = [f"{i % levels},{'ab'[i % 2]}" for i in range(100)]
    Path("t.csv").write_text("\n".join(["x,y", *lines]) + "\n")
    Path("t.tsv").write_text("\n".join(["x\ty", *lines]).replace(",", "\t") + "\n")
    table = ["mode=multitask", "dataset=table", "dataset.path=t.csv", "dataset.targets=[y]"]
    train(*table, "dataset.columns={x: number}", "dataset.test_path=t.tsv")
    assert ("rows are training rows" in Path("run/log.txt").read_text()) == told
