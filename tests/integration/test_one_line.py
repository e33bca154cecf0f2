"""What ended in a traceback, or in a message that led astray, is one clear line."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.config.trust import VARIABLE
from tests.data.tables.files.made import rows_of, write_csv

Capture = pytest.CaptureFixture[str]

MULTITASK = ["mode=multitask", "dataset=digits"]
TABLE = ["mode=multitask", "dataset=table", "dataset.path=t.csv", "dataset.targets=[label]"]
SHORT = ["epochs=1", "batch_size=8", "baselines=false", "recorder.figures=false"]
QUIET = ["recorder.tensorboard=false", "recorder.progress=none", "hydra.run.dir=run"]

OWN = """
import torch
from jlrun.data.dataset import Dataset
from jlrun.models.encoders.base import Encoder

class Narrow(Encoder):
    def __init__(self, width: int = 3):
        super().__init__()

    def forward(self, x):
        return x

class Late(Encoder):
    def __init__(self, spec, width: int = 3):
        super().__init__()

    def forward(self, x):
        return x

def untold():
    return torch.zeros(3), torch.zeros(3)

def other() -> list:
    return [torch.zeros(3), torch.zeros(3)]

def pair() -> Dataset:
    return torch.zeros(3), torch.zeros(3)

def nothing() -> Dataset:
    return None

def bare() -> Dataset:
    return {}["colour"]

def of_tuples() -> Dataset:
    return Dataset([(torch.zeros(3), 0)], {"image": 3}, {"digit": ["a", "b"]})
"""
OWN_DATA = """
defaults: [_subset, _self_]
_target_: own_parts.{}
tasks: {{digit: {{_target_: jlrun.tasks.Multiclass}}}}
modalities: [image]
"""

# name: arguments of `check`, and what the message holds
CHECKED: dict[str, tuple[list[str], list[str]]] = {
    "unresolvable beside a wrong key": (
        [*MULTITASK, "epochs=${nothing}", "optimiser=sgd"],
        ["optimiser: there is no such key", "epochs: Interpolation key 'nothing' not found"],
    ),
    "Hydra's values beside a wrong key": (
        [*MULTITASK, "data_root=${nothing.more}", "epocs=1"],
        ["epocs", "data_root"],
    ),
    "no augmentation": ([*MULTITASK, "dataset.augment=null"], ["dataset.augment: null", "0"]),
    "augmentation as text": ([*MULTITASK, "dataset.augment=no"], ["dataset.augment: 'no' is not"]),
    "augmentation of a source": (
        ["mode=transfer", "source.augment=null"],
        ["source.augment: null is not a group"],
    ),
    "an empty path": (
        ["mode=multitask", "dataset=table", 'dataset.path=""'],
        ["dataset.path: is empty; name the table"],
    ),
    "an empty path of a second table": (
        ["mode=multitask", "dataset=table", "dataset.path=t.csv", 'dataset.test_path=""'],
        ["dataset.test_path: is empty; name a table, or leave it out"],
    ),
    "no task": (
        [*MULTITASK, "dataset.tasks.digit=null"],
        ["dataset.tasks.digit: null", "~dataset.tasks.digit"],
    ),
    "a task of a number": ([*MULTITASK, "dataset.tasks.digit=3"], ["dataset.tasks.digit: 3"]),
    "no weighting": (
        [*MULTITASK, "weighting._target_=torch.nn.Identity"],
        ["weighting._target_", "is not a weighting"],
    ),
    "a head for a weighting": (
        [*MULTITASK, "weighting._target_=jlrun.models.heads.Linear"],
        ["weighting._target_", "is not a weighting"],
    ),
    "learning rate": ([*MULTITASK, "optimizer.lr=1e38"], ["optimizer.lr: 1e+38 is too large"]),
    "learning rate of sgd": (
        [*MULTITASK, "optimizer=sgd", "optimizer.lr=1e300"],
        ["optimizer.lr: 1e+300 is too large"],
    ),
    "launcher": (["-m", *MULTITASK, "hydra/launcher=nope", "seed=1,2"], ["hydra/launcher", "nope"]),
    "sweeper": (
        [*MULTITASK, "hydra.sweeper.params={seed: '1,2'}"],
        ["hydra.sweeper.params", "--multirun seed=1,2"],
    ),
    "search path": ([*MULTITASK, "hydra.searchpath=3"], ["hydra.searchpath must be a list"]),
    "a circle": (
        [*MULTITASK, "seed=${epochs}", "epochs=${seed}"],
        ["seed: Recursive interpolation"],
    ),
    "5,000 letters": ([*MULTITASK, f"engine.device={'x' * 5000}"], ["… (5,00", "is not a device"]),
    "union": (
        [*TABLE[:3], "dataset.targets={label:{a:1}}"],
        ["dataset.targets.label.column: is missing"],
    ),
    "validation file": (
        [*TABLE, "dataset.val_path=none.csv"],
        ["dataset.val_path: there is no file 'none.csv'"],
    ),
    "test folder": ([*TABLE, "dataset.test_path=."], ["dataset.test_path: '.' is a folder"]),
    "encoder without spec": (
        [*MULTITASK, "--trust", "own_parts", "backbone/image=narrow"],
        ["backbone.image._target_", "Narrow must take spec first", "put spec before 'width'"],
    ),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a table, an own module and its options."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    write_csv(tmp_path / "t.csv", rows_of(40))
    (tmp_path / "own_parts.py").write_text(OWN)
    for folder in ("backbone/image", "dataset"):
        (tmp_path / "conf" / folder).mkdir(parents=True)
    (tmp_path / "conf/backbone/image/narrow.yaml").write_text(
        "_target_: own_parts.Narrow\nwidth: 3\n"
    )
    for name in ("untold", "other", "pair", "nothing", "bare", "of_tuples"):
        (tmp_path / f"conf/dataset/{name}.yaml").write_text(OWN_DATA.format(name))
    return tmp_path


def complaint(arguments: list[str], capsys: Capture) -> str:
    """Return what the command says of wrong input."""
    code, told = main(arguments), capsys.readouterr()
    assert code == 2, told.out + told.err
    assert "Traceback" not in told.err
    assert "[union" not in told.err
    assert max(map(len, told.err.splitlines())) < 3000
    return told.err


@pytest.mark.parametrize("name", CHECKED)
def test_check_says_it(name: str, here: Path, capsys: Capture) -> None:
    arguments, expected = CHECKED[name]
    told = complaint(["check", *arguments], capsys)
    for part in expected:
        assert part in told


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "untold",
            "does not say that it returns a data set (jlrun.data.dataset.Dataset): write def",
        ),
        ("other", "is a function that returns list, which is not a data set (jlrun.data.dataset"),
        (
            "pair",
            "'own_parts.pair' returned image of shape (3,); expected (N, C, H, W)",
        ),
        ("bare", "own_parts.bare: raised KeyError: 'colour' at "),
        ("nothing", "own_parts.nothing: it returned nothing, which is not a data set"),
        ("of_tuples", "train is list of 1, which has no targets"),
    ],
)
def test_a_data_set_of_ones_own_that_returns_something_else(
    name: str, expected: str, here: Path, capsys: Capture
) -> None:
    told = complaint(["--trust", "own_parts", "mode=multitask", f"dataset={name}"], capsys)
    assert expected in told
    assert len(told.splitlines()) == (4 if name == "of_tuples" else 1), "a block of 3 problems"


def test_a_learning_rate_that_only_training_meets(here: Path, capsys: Capture) -> None:
    strategy = ["mode=transfer", "finetune.head_lr=1e300", "pretrain_epochs=1"]
    limits = ["source.limit=40", "target.shots=2", "epochs=1", "baselines=false", "batch_size=8"]
    assert main([*strategy, *limits, *QUIET, "recorder.figures=false"]) == 1
    told = capsys.readouterr().err
    assert "is not a finite number at step 2 of phase 'finetune'" in told
    assert len(told.splitlines()) == 1


def _utf_16(path: Path, encoding: str) -> None:
    path.write_bytes((path.with_name("t.csv")).read_text().encode(encoding))


def _long_cell(path: Path) -> None:
    rows = [row | {"photo": "q" * 5000 + ".png"} for row in rows_of(40)]
    write_csv(path, rows)


def _nested(path: Path) -> None:
    depth = 100_000
    lines = [f'{{"age": {i}.5, "label": "{"ab"[i % 2]}"}}' for i in range(40)]
    lines.append(f'{{"age": {"[" * depth}{"]" * depth}, "label": "a"}}')
    lines.append(f'{{"age": {"[" * 5000}{"]" * 5000}, "label": "a"}}')
    path.write_text("\n".join(lines))


def _rate_0(path: Path) -> None:
    samples = bytes(1600)
    header = struct.pack("<IHHIIHH", 16, 1, 1, 0, 0, 2, 16)
    for i in range(40):
        path.with_name(f"{i}.wav").write_bytes(
            b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + header
            + b"data" + struct.pack("<I", len(samples)) + samples
        )  # fmt: skip
    write_csv(path, [row | {"clip": f"{i}.wav"} for i, row in enumerate(rows_of(40))])


def _megabytes(path: Path) -> None:
    text = path.with_name("t.csv").read_text()
    path.write_text(text + f"{'z' * 3_000_000},1,red,good,1\n")


def _json(path: Path) -> None:
    path.write_text('[{"age": 1, "label": "a"},\n {"age": 2, "label": "b"}]')


def _json_lines(path: Path) -> None:
    path.write_text('{"age": 1, "label": "a"}\n{"age": 2, "label": "b"}\n')


# name: the file and how it is written, and what the message holds
FILES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "utf-16": ("x.csv", lambda p: _utf_16(p, "utf-16-le"), "reading.encoding=utf-16-le"),
    "utf-16, the other end first": ("x.csv", lambda p: _utf_16(p, "utf-16-be"), "=utf-16-be"),
    "utf-16 with a mark": ("x.csv", lambda p: _utf_16(p, "utf-16"), "reading.encoding=utf-16"),
    "utf-32": ("x.csv", lambda p: _utf_16(p, "utf-32-le"), "reading.encoding=utf-32-le"),
    "utf-16 with tabs": ("x.tsv", lambda p: _utf_16(p, "utf-16-le"), "=utf-16-le"),
    "utf-16 JSON": ("x.jsonl", lambda p: _utf_16(p, "utf-16-le"), "=utf-16-le"),
    "a cell of 5,000 letters": ("x.csv", _long_cell, "photo is 'qqqqq"),
    "nested": ("x.jsonl", _nested, "nested too deeply"),
    "rate 0": ("x.csv", _rate_0, "its header has no rate"),
    "a cell of 3 MB": ("x.csv", _megabytes, "cell too long: 1 row"),
    "JSON": ("x.csv", _json, "holds JSON, not a table"),
    "JSON lines": ("x.csv", _json_lines, "a file called .jsonl"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_table_says_what_it_is(name: str, here: Path, capsys: Capture) -> None:
    file, write, expected = FILES[name]
    write(here / file)
    photo = expected.startswith("photo")
    modality = "image" if photo else "audio" if name == "rate 0" else "tabular"  # read, if in use
    chosen = ["mode=multitask", "dataset=table", f"dataset.path={file}", f"modalities=[{modality}]"]
    columns = ["dataset.columns.photo=image" if photo else "dataset.columns.age=number"]
    told = complaint([*chosen, *columns, "dataset.targets=[label]", *SHORT, *QUIET], capsys)
    assert expected in told


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
def test_a_table_of_two_bytes_to_a_letter_is_read_once_that_is_said(
    encoding: str, here: Path, capsys: Capture
) -> None:
    for name, text in (
        ("x.csv", (here / "t.csv").read_text()),
        ("x.jsonl", "".join(f'{{"age": {i}.5, "label": "{"ab"[i % 2]}"}}\n' for i in range(40))),
    ):
        (here / name).write_bytes(text.encode(encoding))
        said = [f"dataset.path={name}", f"dataset.reading.encoding={encoding}"]
        chosen = ["check", "mode=multitask", "dataset=table", "dataset.targets=[label]"]
        assert main([*chosen, *said, "modalities=[tabular]"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_predicting_rows_that_are_all_bad(on_error: str, here: Path, capsys: Capture) -> None:
    assert main([*TABLE, "modalities=[tabular]", *SHORT, *QUIET]) == 0
    capsys.readouterr()
    (here / "new.csv").write_text("note,age,colour\nx,old,red\ny,young,red\n")
    predict = ["predict", "run", "--input", "new.csv", "--output", "out.csv"]
    told = complaint([*predict, "--on-error", on_error], capsys)
    assert "not a number: 2 rows" in told
    assert not (here / "out.csv").exists()


def test_columns_of_a_validation_file(here: Path, capsys: Capture) -> None:
    (here / "v.csv").write_text("age,label\n1,good\n2,bad\n")
    told = complaint([*TABLE, "dataset.val_path=v.csv", "fusion=concat", *SHORT, *QUIET], capsys)
    assert "dataset.val_path: 'v.csv' has no column" in told


def test_an_image_folder_is_called_as_in_the_config(here: Path, capsys: Capture) -> None:
    (here / "photos/a").mkdir(parents=True)
    (here / "photos/a/1.png").write_bytes(b"")
    chosen = ["mode=multitask", "dataset=imagefolder", "dataset.root=photos"]
    assert complaint(chosen, capsys).startswith("jlrun: dataset.root: 'photos' has only one class")
