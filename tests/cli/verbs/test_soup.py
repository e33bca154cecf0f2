"""``jlrun soup`` on real runs: what is averaged, what is refused, and that the soup is a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from jlrun.cli.main import main
from jlrun.cli.verbs.evaluate import changed
from jlrun.data.datasets.digits import load_digits
from jlrun.errors import UserError
from jlrun.models.lora import merge_lora
from jlrun.runs.saved_model import load_teacher
from jlrun.runs.saved_run import load_config
from jlrun.runs.settings import RunSettings
from jlrun.runs.soups import check_compatible, each_run, read_members, soup_of_runs
from jlrun.runs.soups import compatibility as likeness

QUICK = [
    *("engine.threads=1", "recorder.figures=false", "recorder.tensorboard=false"),
    *("recorder.progress=none", "baselines=false"),
]
SMALL = [
    *("backbone.image.channels=[4,8]", "backbone.image.hidden=16"),
    *("backbone.image.batch_norm=true", *QUICK),
]
TASKS = {"digit", "parity"}


def train(folder: Path, *what: str) -> Path:
    """Fine-tune the model that lies beside."""
    tuned = ["mode=transfer", "dataset@target=digits", "target.limit=300"]
    start = f"source.run={folder.parent / 'start'}"
    assert main([*tuned, start, *SMALL, *what, f"hydra.run.dir={folder}"]) == 0
    return folder


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "checkpoints" / "best" / "model.safetensors")


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two fine-tunings of one model, one that forgets it, and a copy of the best."""
    folder = tmp_path_factory.mktemp("runs")
    start = ["mode=multitask", "epochs=3", "optimizer.lr=0.01", f"hydra.run.dir={folder / 'start'}"]
    assert main([*start, *SMALL]) == 0
    runs = [
        train(folder / "a", "epochs=2"),
        train(folder / "b", "epochs=2", "optimizer.lr=0.0011"),
        train(folder / "bad", "epochs=1", "optimizer.lr=1.0"),
    ]
    best = max(runs, key=lambda run: result(run)["objective"]["value"])
    shutil.copytree(best, folder / "copy")
    return [*runs, folder / "copy"]


@pytest.fixture(scope="module")
def soup(runs: list[Path]) -> Path:
    folder = runs[0].parent / "soup"
    assert main(["soup", *map(str, runs), "--output", str(folder)]) == 0
    return folder


def test_it_is_the_mean_of_its_members_and_no_worse_than_the_best(
    runs: list[Path], soup: Path
) -> None:
    told = result(soup)["soup"]
    # The runs' own records say how good each is: the same rows, scored in the same way.
    own = {f"../{run.name}": result(run)["objective"]["value"] for run in runs}
    assert told["val_scores"] == pytest.approx(own, abs=1e-6)
    best = max(own, key=lambda name: own[name])
    assert told["members"][0] == best
    assert "../bad" not in told["members"]
    assert told["val_score"] >= own[best] - 1e-6
    assert result(soup)["objective"]["value"] == told["val_score"]
    members = [weights(soup.parent / Path(name).name) for name in told["members"]]
    for name, tensor in weights(soup).items():
        if tensor.is_floating_point():  # running_mean and running_var, too
            mean = torch.stack([member[name].double() for member in members]).mean(dim=0)
            torch.testing.assert_close(tensor, mean.float(), rtol=0, atol=1e-7)
    assert len(members) >= 2  # with its copy the best is the same, so that the score can't fall
    assert any(name.endswith("running_var") for name in weights(soup))


def test_it_is_a_run_like_any_other(runs: list[Path], soup: Path, tmp_path: Path) -> None:
    told = result(soup)
    assert (told["status"], set(told["test"])) == ("completed", TASKS)
    best = soup / told["soup"]["members"][0]
    assert (soup / "config.yaml").read_text() == (best / "config.yaml").read_text()
    assert not (soup.parent / f".{soup.name}.new").exists()
    assert main(["evaluate", str(soup), "--output", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    for split in ("val", "test"):
        for task in TASKS:
            assert scores[split][task] == pytest.approx(told[split][task])
    assert main(["export", str(soup), "--output", str(tmp_path / "out")]) == 0
    np.savez(tmp_path / "rows.npz", image=np.zeros((2, 8, 8), dtype=np.uint8))
    arguments = ["--input", str(tmp_path / "rows.npz"), "--output", str(tmp_path / "rows.csv")]
    assert main(["predict", str(soup), *arguments]) == 0
    assert main(["resume", str(soup)]) == 2  # it is complete


def test_the_table_tells_every_run_and_tests_the_soup_alone(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "soup"
    arguments = [str(runs[2]), str(runs[0]), "--output", str(output), "engine.evaluation_batch=64"]
    assert main(["soup", *arguments]) == 0
    out = capsys.readouterr().out
    header, first, second, uniform, soup = out.splitlines()[:5]
    assert header.split()[:4] == ["run", "in", "soup", "val/mean_score"]
    assert first.split()[:2] == [str(runs[0]), "yes"]
    assert second.split()[:2] == [str(runs[2]), "no"]
    assert uniform.split()[-2:] == ["-", "-"]
    assert [float(cell) for cell in soup.split()[1:]] == pytest.approx(
        [
            result(output)["soup"]["val_score"],
            *(result(output)["test"][task]["accuracy"] for task in ("digit", "parity")),
        ],
        abs=6e-4,
    )
    assert "the soup is the best run" in out
    assert "BatchNorm statistics are averaged" in out
    for name, tensor in weights(output).items():
        assert torch.equal(tensor, weights(runs[0])[name])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("target.limit=200", "target.limit is 200, but 300 in"),
        ("target.val_fraction=0.3", "target.val_fraction is 0.3, but 0.2 in"),
        ("target.test_seed=1", "target.test_seed is 1, but 0 in"),
        ("backbone.image.hidden=8", "backbone.image.hidden is 8, but 16 in"),
        ("heads._target_=jlrun.models.heads.Cosine", "models of one architecture"),
    ],
)
def test_runs_of_other_data_or_architecture_are_refused(
    runs: list[Path], what: str, message: str
) -> None:
    first, other, *_ = read_members(runs)
    config = changed(load_config(other.directory)[0], [what])
    with pytest.raises(UserError, match=message) as caught:
        check_compatible([first, replace(other, settings=RunSettings.parse(config))])
    assert caught.value.problems[0].where == str(other.directory)


def test_what_only_training_sees_may_differ(runs: list[Path]) -> None:
    first, other, *_ = read_members(runs)
    what = ["target.augment.flip=0.5", "target.tasks.digit.label_smoothing=0.1", "epochs=9"]
    config = changed(load_config(other.directory)[0], [*what, "optimizer.lr=0.1"])
    check_compatible([first, replace(other, settings=RunSettings.parse(config))])


def test_runs_of_other_tasks_are_refused(runs: list[Path]) -> None:
    first, other, *_ = read_members(runs)
    heads = {"digit": first.description["heads"]["digit"]}
    other = replace(other, description={**first.description, "heads": heads})
    with pytest.raises(UserError, match=r"model\.json\.heads\.parity is nothing, but"):
        check_compatible([first, other])


def test_another_seed_draws_another_validation_split(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs[0].parent / "start", tmp_path / "start")
    other = train(tmp_path / "other", "epochs=1", "seed=1")
    arguments = ["soup", str(runs[0]), str(other), "--output", str(tmp_path / "soup")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert f"{other}: seed is 1, but 0 in '{runs[0]}'; 'target' has no official" in error
    assert not (tmp_path / "soup").exists()


def test_seeds_may_differ_where_the_validation_split_is_official(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_members(runs)[0]
    other = replace(first, settings=replace(first.settings, seed=1))
    with pytest.raises(ValueError, match="no official validation split"):
        check_compatible([first, other])
    data = load_digits()
    monkeypatch.setattr(likeness, "build", lambda node, slot: replace(data, val=data.train))
    check_compatible([first, other])


def test_runs_that_are_not_complete_runs_are_refused(
    runs: list[Path], soup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, output = str(runs[0]), ["--output", str(tmp_path / "soup")]
    unfinished = tmp_path / "unfinished"
    shutil.copytree(runs[1], unfinished)
    (unfinished / "result.json").unlink()
    for arguments, message in (
        ([a, *output], "needs two runs or more, found 1"),
        ([a, a, *output], "named twice"),
        ([a, str(unfinished), *output], "this run is unfinished; complete it with `jlrun resume"),
        ([a, str(tmp_path), *output], "there is no run here"),
        ([a, str(runs[1]), "--output", str(soup)], "is not empty; choose a new folder"),
        ([a, str(runs[1]), "engin.device=cpu", *output], "engin.device: there is no such key"),
    ):
        assert main(["soup", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_sweep_stands_for_its_jobs(runs: list[Path], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    for number, run in ((10, runs[0]), (2, runs[1])):
        shutil.copytree(run, sweep / str(number))
    (sweep / "multirun.yaml").write_text("hydra: {}")
    (sweep / "summary.csv").write_text("job")
    assert each_run([runs[2], sweep]) == (runs[2], sweep / "2", sweep / "10")
    assert main(["soup", str(sweep), "--output", str(tmp_path / "soup")]) == 0
    told = result(tmp_path / "soup")["soup"]["val_scores"]
    assert list(told) == ["../sweep/2", "../sweep/10"]


def test_adapters_are_averaged_as_the_weights_that_they_stand_for(tmp_path: Path) -> None:
    """The mean of B A is not the mean of B times the mean of A."""
    lora = [
        *("mode=transfer", "backbone/image=mlp", "source.per_class=8", "pretrain_epochs=1"),
        *("finetune=lora", "epochs=3", *QUICK),
    ]
    runs = [tmp_path / "a", tmp_path / "b"]
    for run, lr in zip(runs, ("0.003", "0.004"), strict=True):
        assert main([*lora, f"optimizer.lr={lr}", f"hydra.run.dir={run}"]) == 0
    members = read_members(runs)
    check_compatible(members)
    soup = soup_of_runs(members, members[0].settings)
    folded = [members[i].model().state_dict() for i in soup.chosen]
    for name, tensor in soup.weights.items():
        mean = torch.stack([each[name].double() for each in folded]).mean(dim=0)
        torch.testing.assert_close(tensor.double(), mean, rtol=0, atol=1e-6)
    assert main(["soup", *map(str, runs), "--output", str(tmp_path / "soup")]) == 0
    saved = load_teacher(tmp_path / "soup", torch.device("cpu")).model
    assert any("lora_a" in name for name, _ in saved.named_parameters())
    merge_lora(saved)
    for name, tensor in saved.state_dict().items():
        torch.testing.assert_close(tensor, soup.weights[name])
