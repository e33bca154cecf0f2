"""``model.json`` and ``config.yaml`` of a stranger name classes of their slots, and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jlrun.cli.main import main
from tests.security.hostile import loaders, put_kind, put_node
from tests.security.verbs import BUILDING, READING, commands

Capture = pytest.CaptureFixture[str]


def told(arguments: list[str], capsys: Capture) -> str:
    """Run a command that must be refused, and return what it says."""
    capsys.readouterr()
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_an_untouched_run_is_read(run: Path) -> None:
    for verb in ("predict", "export", "rank", "distill", "evaluate"):
        assert main(commands(run)[verb]) == 0


def test_no_loader_is_the_kind_of_a_task(run: Path, capsys: Capture) -> None:
    for name, node in loaders(run.parent).items():
        put_kind(run, node)
        said = told(commands(run)["predict"], capsys)
        assert said.count("\n") == 1, name
    put_kind(run, loaders(run.parent)["torch.hub"])
    said = told(commands(run)["predict"], capsys)
    assert "'torch.hub.load' is not a task (jlrun.tasks.Task)" in said


@pytest.mark.parametrize("verb", BUILDING)
@pytest.mark.parametrize("name", ["torch.hub", "another slot", "files of jlrun"])
def test_every_verb_refuses_it(verb: str, name: str, run: Path, capsys: Capture) -> None:
    put_kind(run, loaders(run.parent)[name])
    assert "is not a task (jlrun.tasks.Task)" in told(commands(run)[verb], capsys)


@pytest.mark.parametrize("verb", ["evaluate", "soup", "source.run"])
def test_verbs_that_do_not_build_it_leave_it_alone(verb: str, run: Path) -> None:
    put_kind(run, loaders(run.parent)["torch.hub"])
    shutil.copytree(run, run.parent / "twin")
    assert main(commands(run)[verb]) in (0, 2)


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize(
    "path",
    [
        *("optimizer", "scheduler", "heads", "weighting", "sharing", "balance", "dataset"),
        *("dataset.augment", "dataset.tasks.digit", "backbone.image", "pretraining.views"),
    ],
)
def test_nor_do_they_stand_in_a_config(verb: str, path: str, run: Path, capsys: Capture) -> None:
    node = loaders(run.parent)["torch.hub"]
    kept = ["tasks", "modalities", "augment"] if path == "dataset" else []
    import yaml

    config = yaml.safe_load((run / "config.yaml").read_text())
    put_node(run, path, node | {key: config["dataset"][key] for key in kept})
    shutil.copytree(run, run.parent / "twin")
    said = told(commands(run)[verb], capsys)
    assert f"{path}._target_: 'torch.hub.load' is not a" in said.replace("is not an", "is not a")


def test_a_nested_node_of_a_config_neither(run: Path, capsys: Capture) -> None:
    node = loaders(run.parent)["torch.hub"]
    for path in ("optimizer.lr", "backbone.image.channels", "heads.x", "terms.x", "dataset.root"):
        put_node(run, path, node)
        assert "torch.hub.load" in told(commands(run)["evaluate"], capsys)


def test_what_a_saved_config_says_is_never_resolved(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "canary-of-the-environment")
    put_node(run, "data_root", "${oc.env:SECRET}")
    put_node(run, "dataset.limit", "${oc.env:SECRET}")
    said = told(["evaluate", str(run), "batch_size=8"], capsys)
    assert "${oc.env:SECRET}" in said
    assert "canary" not in said
