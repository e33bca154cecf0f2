"""Every command of jlrun in the pages: those that train are checked, the others run on small runs.

A command that trains is given to ``jlrun check``, since many take minutes: it composes the
configuration, finds all that is wrong with it, and with ``--multirun`` does so for each value.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jlrun.cli.main import main
from tests.docs.commands import ROOT, commands, trains

COMMANDS = commands()
TRAINING = [text for text, arguments in COMMANDS.items() if trains(arguments)]
WRONG = [text for text in TRAINING if "wieghting" in text]
OF_RUNS = [text for text, arguments in COMMANDS.items() if not trains(arguments)]
OWN_DATA = ROOT / "docs" / "own_data.md"
MY_PACKAGE = """
from jlrun.data import Dataset

def load_mine(shots: int | None = None) -> Dataset:
    raise NotImplementedError  # a configuration is checked before data is read
"""
GAIN = "baselines=true"
SMALL = ["epochs=1", "references=false", "calibration.temperature=false"]
SMALL += ["recorder.tensorboard=false", "recorder.figures=false", "recorder.progress=none"]
# They wait for somebody, take minutes or need files of weights: tests that run these verbs.
ELSEWHERE = {
    r"board": "tests/cli/verbs/test_board.py",
    r"serve .*": "tests/cli/verbs/test_deployment.py",
    r"rank .*--backbones.*": "tests/cli/verbs/test_rank.py",
    r"rank dataset=digits dataset.shots=5 .*": "tests/cli/verbs/test_rank.py",
    r"study .*budget=.*": "tests/runs/study",
    r"resume .*": "tests/reliability",
    r"soup .*": "tests/cli/verbs/test_soup.py",
    r"export .*onnx.*": "tests/runs/exporting",
    r"push (?!.*--dry).*|pull .*|predict digits .*": "tests/runs/hub",
    r"report outputs/study/.*": "tests/runs/report",
}


def written_elsewhere(text: str) -> bool:
    return any(re.fullmatch(pattern, text) for pattern in ELSEWHERE)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with the files that pages name as yours."""
    path = tmp_path_factory.mktemp("commands")
    write_files(path)
    with chdir(path), pytest.MonkeyPatch.context() as patch:
        patch.setenv("JLRUN_CACHE", str(path / "cache"))
        patch.syspath_prepend(str(path))
        yield path
    sys.modules.pop("my_package", None)


def write_files(path: Path) -> None:
    """Write a table of reviews, new rows of it, images, and a data set in Python."""
    rng = np.random.default_rng(0)
    words = np.array(["fine", "soft", "warm", "loose", "cheap", "thin", "pretty", "rough"])
    table = pd.DataFrame(
        {
            "id": np.arange(90),
            "Rating": rng.integers(1, 6, 90),
            "Recommended IND": rng.integers(0, 2, 90),
            "Department Name": rng.choice(["tops", "dresses", "bottoms"], 90),
            "sentiment": rng.choice(["good", "bad"], 90),
            "name": [f"item {i}" for i in range(90)],
            "Class Name": rng.choice(["knits", "jeans"], 90),
            "Age": rng.normal(40, 9, 90).round(1),
            "Review Text": [" ".join(rng.choice(words, 8)) for _ in range(90)],
        }
    )
    (mine,) = re.findall(r"```yaml\n(# conf/dataset/mine.*?)```", OWN_DATA.read_text("utf-8"), re.S)
    (path / "conf/dataset").mkdir(parents=True)
    (path / "conf/dataset/mine.yaml").write_text(mine, "utf-8")
    (path / "my_package.py").write_text(MY_PACKAGE, "utf-8")
    table.to_csv(path / "reviews.csv", index=False)
    table.head(9).to_csv(path / "new.csv", index=False)
    table.rename(columns={"sentiment": "label"}).to_csv(path / "old.csv", index=False)
    for folder in ("digits", "photos/a", "photos/b", "studio/a", "studio/b", "phone/a", "phone/b"):
        (path / folder).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(path / folder / f"{i}.png")


@pytest.fixture(scope="module")
def runs(folder: Path) -> Mapping[str, list[str]]:
    """Placeholder of the pages -> the folders of runs that stand for it, in turns."""
    table = ["dataset=table", "dataset.path=reviews.csv", "dataset.targets=[Rating,Recommended]"]
    made = {
        "outputs/transfer/a": ["mode=transfer", "dataset@source=digits", "source.limit=50", GAIN],
        "outputs/multitask/a": ["mode=multitask", "dataset.limit=50"],
        "outputs/multimodal/a": ["mode=multimodal", *table, "dataset.columns={name: ignore}"],
    }
    for place, overrides in made.items():
        baselines = [] if GAIN in overrides else ["baselines=false"]
        assert main([*overrides, f"hydra.run.dir={place}", *baselines, *SMALL]) == 0
    return {
        **{f"{Path(place).parent}/…": [place] for place in made},
        "RUN": ["outputs/multimodal/a", "outputs/multitask/a"],
    }


def of_small_runs(arguments: list[str], runs: Mapping[str, list[str]]) -> list[str]:
    """Return the arguments with folders of runs in place of placeholders."""
    used = dict.fromkeys(runs, 0)
    found = []
    for argument in arguments:
        if argument in runs:
            places = runs[argument]
            used[argument] += 1
            argument = places[(used[argument] - 1) % len(places)]
        found.append(argument)
    return found


@pytest.mark.parametrize("text", [text for text in TRAINING if text not in WRONG])
def test_a_command_that_trains_is_right(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [re.sub(r"^seed=0,.*", "seed=0", a) for a in COMMANDS[text]]
    if "backbone/text=huggingface" in arguments:
        pytest.skip("needs a model of Hugging Face; tests/models/encoders has the encoder's")
    code = main(["check", *arguments])
    assert code == 0, capsys.readouterr().err


def test_what_is_shown_to_fail_fails_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = WRONG
    assert main(COMMANDS[text]) == 2
    assert capsys.readouterr().err.strip() in (ROOT / "docs/quickstart.md").read_text("utf-8")


@pytest.mark.parametrize("text", [text for text in OF_RUNS if not written_elsewhere(text)])
def test_a_command_on_runs_works(
    text: str, runs: Mapping[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = of_small_runs(COMMANDS[text], runs)
    if arguments[0] in ("init-config", "export"):
        arguments.append("--force")
    code = main(arguments)
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize(("pattern", "place"), ELSEWHERE.items())
def test_the_others_are_tested_where_it_is_said(pattern: str, place: str) -> None:
    assert any(re.fullmatch(pattern, text) for text in OF_RUNS), "no page has such a command"
    assert os.path.exists(ROOT / place)
