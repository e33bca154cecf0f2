"""Names that do not exist are told with the nearest that do."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.config import check_names
from jlrun.config.compose import hydra_state, make_loader
from jlrun.config.names import find_names


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(*overrides: str) -> list[str]:
    return [str(problem) for problem in check_names(list(overrides))]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["mode=trasnfer"], "mode: there is no option 'trasnfer'. Did you mean 'transfer'?"),
        (["moed=transfer"], "moed: there is no such key. Did you mean 'mode'?"),
        (["optimizer.lrr=1"], "optimizer.lrr: there is no key 'lrr'. Did you mean 'lr'?"),
        (["lr=1"], "lr: there is no such key. Did you mean 'optimizer.lr'?"),
        (["val_fraction=0"], "val_fraction: there is no such key. Did you mean 'source.val_f"),
        (["optimiser=sgd"], "optimiser: there is no such key. Did you mean 'optimizer'?"),
        (["backbone/imag=cnn"], "backbone/imag: there is no group 'backbone/imag'. Did you mean"),
        (["backbone=cnn"], "backbone: choose for each part: backbone/audio, backbone/image"),
        (["backbone.image=cnn"], "backbone.image: to choose an option, write backbone/image=cnn"),
        (["optimizer/lr=1"], "optimizer/lr: it is a value: write optimizer.lr=…"),
        (["terms=[l2,l3]"], "terms: there is no option 'l3'."),
        (["terms.l2.weight=1"], "terms.l2.weight: choose the term first, as in terms=[l2]"),
        (["optimizer.momentum=0"], "does not take 'momentum'; optimizer=sgd does"),
        (["weighting.alpha=1"], "'alpha'; weighting=fairgrad and weighting=gradnorm do"),
        (["weighting.gradients=features"], " others do"),
        (["epochs=1,2"], "epochs: several values: add --multirun"),
        (["epochs"], "epochs: not of the form KEY=VALUE."),
        (["multitask"], "multitask: not of the form KEY=VALUE. Did you mean 'mode=multitask'?"),
        (["epochs=[1"], "epochs=[1: cannot be read"),
        (["+epochs=3"], "epochs: it exists already: write it without the +"),
        (["+mode=multitask"], "mode: it is part of the config already"),
        (["~epocs"], "epocs: there is no such key. Did you mean 'epochs'?"),
        (["hydra.run.dri=x"], "hydra.run.dri: there is no key 'dri'. Did you mean 'dir'?"),
        (["optimizer=_x"], "optimizer: there is no option '_x'."),
        (["experiment=null"], "experiment: there is no option 'null'."),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(overrides: list[str], message: str) -> None:
    (problem,) = told(*overrides)
    assert message in problem


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset=digits"], "dataset: mode=transfer takes dataset@source and dataset@target"),
        (["dataset.shots=5"], "dataset.shots: mode=transfer takes dataset@source and dataset@"),
        (["mode=multitask", "dataset@source=digits"], "dataset@source: mode=multitask takes data"),
        (["mode=multitask", "target.shots=5"], "target.shots: mode=multitask takes dataset"),
        (["mode=multitask", "strategy=joint"], "strategy: only mode=transfer has it"),
        (["mode=multimodal", "finetune=head"], "finetune: only mode=transfer has it"),
        (["strategy=joint", "pretrain_epochs=1"], "pretrain_epochs: only strategy=finetune or ada"),
        (["strategy=joint", "finetune=lora"], "finetune: only strategy=finetune has it"),
        (["strategy=generalize", "validator=snd"], "validator: only strategy=adapt has it"),
        (["adapt.oracle=false"], "adapt.oracle: only strategy=adapt or generalize has it"),
        (["zero_shot.unseen=2"], "zero_shot.unseen: only strategy=zero_shot has it"),
        (["mode=multitask", "sources=[digits]"], "mode=multitask"),
        (["mode=multitask", "source_weights={a:1}"], "source_weights: only mode=transfer has it"),
        (["mode=multitask", "strategy=adapt"], "strategy: only mode=transfer has it"),
        (["mode=multitask", "validator=snd"], "validator: only mode=transfer has it"),
        (["mode=multitask", "source.run=there"], "source.run: mode=multitask takes dataset"),
    ],
)
def test_names_of_another_mode_are_told_so(overrides: list[str], message: str) -> None:
    (problem,) = told(*overrides)
    assert message in problem


def test_all_wrong_names_are_told_at_once() -> None:
    problems = told("mode=multitsk", "optimizer.lrr=1", "wieghting=equal", "fusion=gatd")
    assert [problem.split(":")[0] for problem in problems] == [
        "mode",
        "fusion",
        "optimizer.lrr",
        "wieghting",
    ]


def test_a_misspelt_mode_counts_as_the_nearest_for_the_other_names() -> None:
    assert len(told("mode=multitsk", "dataset=digits", "dataset.shots=3")) == 1


def test_nothing_is_guessed_under_a_mode_that_resembles_none() -> None:
    assert len(told("mode=xyz", "dataset=digits")) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["mode=multitask", "dataset=digits", "dataset.shots=3", "terms=[l2]", "terms.l2.weight=1"],
        ["mode=transfer", "dataset@source=digits", "source.shots=3", "finetune=head"],
        ["mode=multitask", "weighting=static", "weighting.weights={digit:2,parity:1}"],
        ["mode=multitask", "weighting=static", "weighting.weights.digit=2"],
        ["+optimizer.amsgrad=true", "~optimizer.betas", "++optimizer.eps=1"],
        ["optimizer.betas.0=0.8", "optimizer.betas=[0.5,0.9]"],
        ["hydra.run.dir=there", "data_root='my data'"],
    ],
)
def test_right_names_are_left_alone(overrides: list[str]) -> None:
    assert told(*overrides) == []


def test_the_right_overrides_remain() -> None:
    with hydra_state():
        names = find_names(make_loader(), ["mode=multitsk", "epochs=3", "epcohs=4"])
    assert names.overrides == ["mode=multitask", "epochs=3"]
    assert names.preview()["epochs"] == 3


def test_options_of_the_users_own_folder_are_found_and_suggested(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nepochs: 3\n")
    assert told("experiment=mine") == []
    assert "Did you mean 'mine'?" in told("experiment=minne")[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("defaults: [{override /mode: multitsk}]", "mode: there is no option 'multitsk'."),
        ("defaults: [{override /optimzer: sgd}]", "experiment/mine: optimzer: not part of this"),
        ("a: [1", "not valid YAML"),
    ],
)
def test_wrong_files_are_told_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    own = tmp_path / "conf" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(f"# @package _global_\n{content}\n")
    (problem,) = told("experiment=mine")
    assert message in problem
    assert "\n" not in problem
